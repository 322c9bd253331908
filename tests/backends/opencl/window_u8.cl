KERNEL(128, 1, 1) void k0_cast_sub_div_add_clip(OUTPUT(float, out), INPUT(u8, in0)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(u8, in0);
  const int block = GROUP(0);
  const int thread = LOCAL(0);
  const int place = block * 128 + thread;
  if (place < 24) {
    const int i1 = place % 6;
    const int i0 = place / 6;
    out[i0 * 6 + i1] = min_float(
        max_float(((float)in0[i0 * 6 + i1] - 100.0f) / 80.0f + 0.5f, 0.0f), 1.0f);
  }
}
