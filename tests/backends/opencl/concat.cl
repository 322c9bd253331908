KERNEL(128, 1, 1) void k0_concat(OUTPUT(float, out), INPUT(float, in0), INPUT(float, in1)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  OPEN_INPUT(float, in1);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 20) {
    const int i2 = place % 4;
    const int i1 = place / 4 % 5;
    const int i0 = place / 20;
    const int t0 = i1 - 2;
    out[i0 * 20 + i1 * 4 + i2] = i1 >= 2 ? (t0 >= 0 ? in1[i0 * 12 + t0 * 4 + i2] : 0.0f)
        : i1 < 2 ? in0[i0 * 8 + i1 * 4 + i2] : 0.0f;
  }
}
