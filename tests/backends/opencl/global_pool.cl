KERNEL(128, 1, 1) void k0_reduce_mean(OUTPUT(float, out), INPUT(float, in0)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 4) {
    const int i3 = 0;
    const int i2 = 0;
    const int i1 = place % 4;
    const int i0 = place / 4;
    float acc0 = 0.0f;
    for (int r2 = 0; r2 < 6; ++r2) {
      for (int r3 = 0; r3 < 5; ++r3) {
        acc0 = acc0 + in0[i0 * 120 + i1 * 30 + r2 * 5 + r3];
      }
    }
    out[i0 * 4 + i1 + i2 + i3] = acc0 / 30.0f;
  }
}
