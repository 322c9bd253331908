KERNEL(128, 1, 1) void k0_dense(
    OUTPUT(float, out),
    INPUT(float, in0),
    INPUT(float, in1),
    INPUT(float, in2)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  OPEN_INPUT(float, in1);
  OPEN_INPUT(float, in2);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 8) {
    const int i1 = place % 4;
    const int i0 = place / 4;
    float acc0 = 0.0f;
    for (int c = 0; c < 5; ++c) {
      acc0 = fma(in0[i0 * 5 + c], in1[i1 * 5 + c], acc0);
    }
    out[i0 * 4 + i1] = acc0 + in2[i1];
  }
}
