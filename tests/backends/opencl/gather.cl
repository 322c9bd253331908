KERNEL(128, 1, 1) void k0_gather(OUTPUT(float, out), INPUT(float, in0), INPUT(int, in1)) {
  OPEN_OUTPUT(float, out);
  OPEN_INPUT(float, in0);
  OPEN_INPUT(int, in1);
  const i64 block = GROUP(0);
  const i64 thread = LOCAL(0);
  const i64 place = block * 128 + thread;
  if (place < 12) {
    const i64 i1 = place % 4;
    const i64 i0 = place / 4;
    const i64 t0 = (i64)in1[i0];
    const i64 t1 = t0 < 0 ? t0 + 6 : t0;
    out[i0 * 4 + i1] = t1 >= 0 && t1 < 6 ? in0[t1 * 4 + i1] : 0.0f;
  }
}
