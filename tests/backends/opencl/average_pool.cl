KERNEL(128, 1, 1) void k0_average_pool(OUTPUT(float, out), INPUT(float, in0)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 32) {
    const int i3 = place % 4;
    const int i2 = place / 4 % 4;
    const int i1 = place / 16 % 2;
    const int i0 = place / 32;
    float acc0 = 0.0f;
    for (int k0 = 0; k0 < 2; ++k0) {
      for (int k1 = 0; k1 < 2; ++k1) {
        const int t0 = i2 * 2 + k0 - 1;
        const int t1 = i3 * 2 + k1 - 1;
        acc0 = acc0
            + (t0 >= 0 && t0 < 6 && t1 >= 0 && t1 < 6 ? in0[i0 * 72 + i1 * 36 + t0 * 6 + t1]
            : 0.0f);
      }
    }
    const int t2 = i2 * 2;
    const int t3 = i3 * 2;
    out[i0 * 32 + i1 * 16 + i2 * 4 + i3] = acc0
        / (float)((min_int(t2 + 1, 6) - max_int(t2 - 1, 0))
        * (min_int(t3 + 1, 6) - max_int(t3 - 1, 0)));
  }
}
