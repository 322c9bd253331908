#include "hls.h"

static void k0_resize(float *out, const float *in0) {
  for (int i0 = 0; i0 < 1; ++i0) {
    for (int i1 = 0; i1 < 2; ++i1) {
      for (int i2 = 0; i2 < 6; ++i2) {
        for (int i3 = 0; i3 < 8; ++i3) {
#pragma HLS PIPELINE
          const int t0 = i2 * 2 + 3;
          const int t1 = t0 / 4;
          const int t2 = max_int(t1 - 1, 0);
          const int t3 = i3 * 2 + 3;
          const int t4 = t3 / 4;
          const int t5 = max_int(t4 - 1, 0);
          const float t6 = (float)(t3 % 4) / 4.0f;
          const float t7 = 1.0f - t6;
          const int t8 = min_int(t4, 3);
          const float t9 = (float)(t0 % 4) / 4.0f;
          const int t10 = min_int(t1, 2);
          out[i0 * 96 + i1 * 48 + i2 * 8 + i3] =
              (in0[i0 * 24 + i1 * 12 + t2 * 4 + t5] * t7
              + in0[i0 * 24 + i1 * 12 + t2 * 4 + t8] * t6) * (1.0f - t9)
              + (in0[i0 * 24 + i1 * 12 + t10 * 4 + t5] * t7
              + in0[i0 * 24 + i1 * 12 + t10 * 4 + t8] * t6) * t9;
        }
      }
    }
  }
}

extern "C" void resize_bilinear_top(const float *in_x, float *out_y) {
#pragma HLS INTERFACE m_axi port=in_x offset=slave bundle=gmem0 depth=24
#pragma HLS INTERFACE m_axi port=out_y offset=slave bundle=gmem1 depth=96
#pragma HLS INTERFACE s_axilite port=return
  k0_resize(out_y, in_x);
}
