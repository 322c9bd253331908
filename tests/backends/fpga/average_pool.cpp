#include "hls.h"

static void k0_average_pool(float *out, const float *in0) {
  for (int i0 = 0; i0 < 1; ++i0) {
    for (int i1 = 0; i1 < 2; ++i1) {
      for (int i2 = 0; i2 < 4; ++i2) {
        for (int i3 = 0; i3 < 4; ++i3) {
          float acc0 = 0.0f;
          for (int k0 = 0; k0 < 2; ++k0) {
            for (int k1 = 0; k1 < 2; ++k1) {
#pragma HLS PIPELINE
              const int t0 = i2 * 2 + k0 - 1;
              const int t1 = i3 * 2 + k1 - 1;
              acc0 = acc0
                  + (t0 >= 0 && t0 < 6 && t1 >= 0 && t1 < 6 ? in0[i0 * 72 + i1 * 36 + t0 * 6 + t1]
                  : 0.0f);
            }
          }
          const int t2 = i2 * 2;
          const int t3 = i3 * 2;
          out[i0 * 32 + i1 * 16 + i2 * 4 + i3] = acc0
              / (float)((min_int(t2 + 1, 6) - max_int(t2 - 1, 0))
              * (min_int(t3 + 1, 6) - max_int(t3 - 1, 0)));
        }
      }
    }
  }
}

extern "C" void average_pool_top(const float *in_x, float *out_y) {
#pragma HLS INTERFACE m_axi port=in_x offset=slave bundle=gmem0 depth=72
#pragma HLS INTERFACE m_axi port=out_y offset=slave bundle=gmem1 depth=32
#pragma HLS INTERFACE s_axilite port=return
  k0_average_pool(out_y, in_x);
}
