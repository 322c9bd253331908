#include "hls.h"

static void k0_cast_sub_div_add_clip(float *out, const u8 *in0) {
  for (int i0 = 0; i0 < 4; ++i0) {
    for (int i1 = 0; i1 < 6; ++i1) {
#pragma HLS PIPELINE
      out[i0 * 6 + i1] = min_float(
          max_float(((float)in0[i0 * 6 + i1] - 100.0f) / 80.0f + 0.5f, 0.0f), 1.0f);
    }
  }
}

extern "C" void window_u8_top(const u8 *in_x, float *out_y) {
#pragma HLS INTERFACE m_axi port=in_x offset=slave bundle=gmem0 depth=24
#pragma HLS INTERFACE m_axi port=out_y offset=slave bundle=gmem1 depth=24
#pragma HLS INTERFACE s_axilite port=return
  k0_cast_sub_div_add_clip(out_y, in_x);
}
