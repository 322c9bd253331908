KERNEL(128, 1, 1) void k0_relu(OUTPUT(float, out), INPUT(float, in0)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 16) {
    const int i1 = place % 8;
    const int i0 = place / 8;
    out[i0 * 8 + i1] = max_float(in0[i0 * 8 + i1], 0.0f);
  }
}
