#include "hls.h"

static void k0_conv(float *out, const float *in0, const float *in1) {
  for (int i0 = 0; i0 < 1; ++i0) {
    for (int i1 = 0; i1 < 4; ++i1) {
      for (int i2 = 0; i2 < 6; ++i2) {
        for (int i3 = 0; i3 < 5; ++i3) {
          float acc0 = 0.0f;
          for (int c = 0; c < 3; ++c) {
            for (int k0 = 0; k0 < 3; ++k0) {
              for (int k1 = 0; k1 < 3; ++k1) {
#pragma HLS PIPELINE
                const int t0 = i2 + k0 - 1;
                const int t1 = i3 + k1 - 1;
                acc0 = fma(
                    t0 >= 0 && t0 < 6 && t1 >= 0 && t1 < 5 ? in0[i0 * 90 + c * 30 + t0 * 5 + t1]
                    : 0.0f, in1[i1 * 27 + c * 9 + k0 * 3 + k1], acc0);
              }
            }
          }
          out[i0 * 120 + i1 * 30 + i2 * 5 + i3] = acc0;
        }
      }
    }
  }
}

extern "C" void conv3x3_top(const float *in_x, const float *weights_float, float *out_y) {
#pragma HLS INTERFACE m_axi port=in_x offset=slave bundle=gmem0 depth=90
#pragma HLS INTERFACE m_axi port=weights_float offset=slave bundle=gmem1 depth=108
#pragma HLS INTERFACE m_axi port=out_y offset=slave bundle=gmem2 depth=120
#pragma HLS INTERFACE s_axilite port=return
  k0_conv(out_y, in_x, weights_float);
}
