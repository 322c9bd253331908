KERNEL(128, 1, 1) void k0_reduce_sum(OUTPUT(float, out), INPUT(float, in0)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 8) {
    const int i1 = place % 4;
    const int i0 = place / 4;
    float acc0 = 0.0f;
    for (int r1 = 0; r1 < 3; ++r1) {
      acc0 = acc0 + in0[i0 * 12 + r1 * 4 + i1];
    }
    out[i0 * 4 + i1] = acc0;
  }
}
