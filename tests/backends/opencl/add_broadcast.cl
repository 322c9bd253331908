KERNEL(128, 1, 1) void k0_add(OUTPUT(float, out), INPUT(float, in0), INPUT(float, in1)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  OPEN_INPUT(float, in1);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 24) {
    const int i2 = place % 4;
    const int i1 = place / 4 % 3;
    const int i0 = place / 12;
    out[i0 * 12 + i1 * 4 + i2] = in0[i0 * 12 + i1 * 4 + i2] + in1[i1];
  }
}
