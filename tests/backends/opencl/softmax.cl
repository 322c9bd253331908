KERNEL(128, 1, 1) void k0_reduce_max(OUTPUT(float, out), INPUT(float, in0)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 2) {
    const int i1 = 0;
    const int i0 = place;
    float acc0 = -INFINITY;
    for (int r1 = 0; r1 < 5; ++r1) {
      acc0 = max_float(acc0, in0[i0 * 5 + r1]);
    }
    out[i0 + i1] = acc0;
  }
}

KERNEL(128, 1, 1) void k1_sub_exp(OUTPUT(float, out), INPUT(float, in0), INPUT(float, in1)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  OPEN_INPUT(float, in1);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 10) {
    const int i1 = place % 5;
    const int i0 = place / 5;
    const float t0 = in0[i0 * 5 + i1] - in1[i0];
    const float t1 = t0 > 89.0f ? 89.0f : t0;
    const float t2 = t1 < -104.0f ? -104.0f : t1;
    const float t3 = fma(t2, 1.442695f, 12582912.0f);
    const float t4 = t3 - 12582912.0f;
    const float t5 = fma(t4, 1.9046542e-09f, fma(t4, -0.6931472f, t2));
    const int t6 = (int)((u32)int_of_float_bits(t3) + 3032481792u);
    const int t7 = t6 >> 1;
    out[i0 * 5 + i1] =
        (fma(fma(fma(fma(fma(0.0013819513f, t5, 0.0083686905f), t5, 0.04166828f), t5, 0.16666521f),
        t5, 0.49999994f), t5 * t5, t5) + 1.0f) * float_of_u32_bits(((u32)t7 + 127u) << 23u)
        * float_of_u32_bits(((u32)t6 - (u32)t7 + 127u) << 23u);
  }
}

KERNEL(128, 1, 1) void k2_reduce_sum(OUTPUT(float, out), INPUT(float, in0)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 2) {
    const int i1 = 0;
    const int i0 = place;
    float acc0 = 0.0f;
    for (int r1 = 0; r1 < 5; ++r1) {
      acc0 = acc0 + in0[i0 * 5 + r1];
    }
    out[i0 + i1] = acc0;
  }
}

KERNEL(128, 1, 1) void k3_div(OUTPUT(float, out), INPUT(float, in0), INPUT(float, in1)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  OPEN_INPUT(float, in1);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 10) {
    const int i1 = place % 5;
    const int i0 = place / 5;
    out[i0 * 5 + i1] = in0[i0 * 5 + i1] / in1[i0];
  }
}
