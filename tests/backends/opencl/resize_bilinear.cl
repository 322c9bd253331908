KERNEL(128, 1, 1) void k0_resize(OUTPUT(float, out), INPUT(float, in0)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 96) {
    const int i3 = place % 8;
    const int i2 = place / 8 % 6;
    const int i1 = place / 48 % 2;
    const int i0 = place / 96;
    const int t0 = i2 * 2 + 3;
    const int t1 = t0 / 4;
    const int t2 = max_int(t1 - 1, 0);
    const int t3 = i3 * 2 + 3;
    const int t4 = t3 / 4;
    const int t5 = max_int(t4 - 1, 0);
    const float t6 = (float)(t3 % 4) / 4.0f;
    const float t7 = 1.0f - t6;
    const int t8 = min_int(t4, 3);
    const float t9 = (float)(t0 % 4) / 4.0f;
    const int t10 = min_int(t1, 2);
    out[i0 * 96 + i1 * 48 + i2 * 8 + i3] =
        (in0[i0 * 24 + i1 * 12 + t2 * 4 + t5] * t7 + in0[i0 * 24 + i1 * 12 + t2 * 4 + t8] * t6)
        * (1.0f - t9)
        + (in0[i0 * 24 + i1 * 12 + t10 * 4 + t5] * t7 + in0[i0 * 24 + i1 * 12 + t10 * 4 + t8] * t6)
        * t9;
  }
}
