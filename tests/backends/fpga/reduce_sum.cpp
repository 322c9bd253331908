#include "hls.h"

static void k0_reduce_sum(float *out, const float *in0) {
  for (int i0 = 0; i0 < 2; ++i0) {
    for (int i1 = 0; i1 < 4; ++i1) {
      float acc0 = 0.0f;
      for (int r1 = 0; r1 < 3; ++r1) {
#pragma HLS PIPELINE
        acc0 = acc0 + in0[i0 * 12 + r1 * 4 + i1];
      }
      out[i0 * 4 + i1] = acc0;
    }
  }
}

extern "C" void reduce_sum_top(const float *in_x, float *out_y) {
#pragma HLS INTERFACE m_axi port=in_x offset=slave bundle=gmem0 depth=24
#pragma HLS INTERFACE m_axi port=out_y offset=slave bundle=gmem1 depth=8
#pragma HLS INTERFACE s_axilite port=return
  k0_reduce_sum(out_y, in_x);
}
