KERNEL(128, 1, 1) void k0_pad(OUTPUT(float, out), INPUT(float, in0)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 14) {
    const int i1 = place % 7;
    const int i0 = place / 7;
    const int t0 = i1 - 2;
    const int t1 = max_int(t0, 0 - t0);
    out[i0 * 7 + i1] = in0[i0 * 4 + min_int(t1, 6 - t1)];
  }
}
