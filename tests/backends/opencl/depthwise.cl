KERNEL(128, 1, 1) void k0_conv(OUTPUT(float, out), INPUT(float, in0), INPUT(float, in1)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  OPEN_INPUT(float, in1);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 36) {
    const int i3 = place % 3;
    const int i2 = place / 3 % 3;
    const int i1 = place / 9 % 4;
    const int i0 = place / 36;
    float acc0 = 0.0f;
    for (int c = 0; c < 1; ++c) {
      for (int k0 = 0; k0 < 3; ++k0) {
        for (int k1 = 0; k1 < 3; ++k1) {
          const int t0 = i2 * 2 + k0 - 1;
          const int t1 = i3 * 2 + k1 - 1;
          acc0 = fma(
              t0 >= 0 && t1 >= 0 && t1 < 5 ? in0[i0 * 120 + (i1 + c) * 30 + t0 * 5 + t1] : 0.0f,
              in1[i1 * 9 + c * 9 + k0 * 3 + k1], acc0);
        }
      }
    }
    out[i0 * 36 + i1 * 9 + i2 * 3 + i3] = acc0;
  }
}
