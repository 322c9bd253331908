#include "hls.h"

static void k0_gather(float *out, const float *in0, const int *in1) {
  for (i64 i0 = 0; i0 < 3; ++i0) {
    for (i64 i1 = 0; i1 < 4; ++i1) {
#pragma HLS PIPELINE
      const i64 t0 = (i64)in1[i0];
      const i64 t1 = t0 < 0 ? t0 + 6 : t0;
      out[i0 * 4 + i1] = t1 >= 0 && t1 < 6 ? in0[t1 * 4 + i1] : 0.0f;
    }
  }
}

extern "C" void gather_top(const float *in_x, const int *in_rows, float *out_y) {
#pragma HLS INTERFACE m_axi port=in_x offset=slave bundle=gmem0 depth=24
#pragma HLS INTERFACE m_axi port=in_rows offset=slave bundle=gmem1 depth=3
#pragma HLS INTERFACE m_axi port=out_y offset=slave bundle=gmem2 depth=12
#pragma HLS INTERFACE s_axilite port=return
  k0_gather(out_y, in_x, in_rows);
}
