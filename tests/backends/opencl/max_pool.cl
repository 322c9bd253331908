KERNEL(128, 1, 1) void k0_max_pool(OUTPUT(float, out), INPUT(float, in0)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 18) {
    const int i3 = place % 3;
    const int i2 = place / 3 % 3;
    const int i1 = place / 9 % 2;
    const int i0 = place / 18;
    float acc0 = -INFINITY;
    for (int k0 = 0; k0 < 3; ++k0) {
      for (int k1 = 0; k1 < 3; ++k1) {
        const int t0 = i2 * 2 + k0 - 1;
        const int t1 = i3 * 2 + k1 - 1;
        acc0 = max_float(acc0,
            t0 >= 0 && t1 >= 0 ? in0[i0 * 72 + i1 * 36 + t0 * 6 + t1] : -INFINITY);
      }
    }
    out[i0 * 18 + i1 * 9 + i2 * 3 + i3] = acc0;
  }
}
