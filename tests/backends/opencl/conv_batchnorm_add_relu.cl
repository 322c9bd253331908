KERNEL(128, 1, 1) void k0_conv_add_relu(
    OUTPUT(float, out),
    INPUT(float, in0),
    INPUT(float, in1),
    INPUT(float, in2),
    INPUT(float, in3)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  OPEN_INPUT(float, in1);
  OPEN_INPUT(float, in2);
  OPEN_INPUT(float, in3);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 120) {
    const int i3 = place % 5;
    const int i2 = place / 5 % 6;
    const int i1 = place / 30 % 4;
    const int i0 = place / 120;
    float acc0 = 0.0f;
    for (int c = 0; c < 3; ++c) {
      for (int k0 = 0; k0 < 3; ++k0) {
        for (int k1 = 0; k1 < 3; ++k1) {
          const int t0 = i2 + k0 - 1;
          const int t1 = i3 + k1 - 1;
          acc0 = fma(t0 >= 0 && t0 < 6 && t1 >= 0 && t1 < 5 ? in0[c * 30 + t0 * 5 + t1] : 0.0f,
              in1[i1 * 27 + c * 9 + k0 * 3 + k1], acc0);
        }
      }
    }
    out[i0 * 120 + i1 * 30 + i2 * 5 + i3] = max_float(acc0 + in2[i1] + in3[i1 * 30 + i2 * 5 + i3],
        0.0f);
  }
}
