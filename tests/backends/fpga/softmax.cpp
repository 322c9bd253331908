#include "hls.h"

static void k0_reduce_max(float *out, const float *in0) {
  for (int i0 = 0; i0 < 2; ++i0) {
    for (int i1 = 0; i1 < 1; ++i1) {
      float acc0 = -INFINITY;
      for (int r1 = 0; r1 < 5; ++r1) {
#pragma HLS PIPELINE
        acc0 = max_float(acc0, in0[i0 * 5 + r1]);
      }
      out[i0 + i1] = acc0;
    }
  }
}

static void k1_sub_exp(float *out, const float *in0, const float *in1) {
  for (int i0 = 0; i0 < 2; ++i0) {
    for (int i1 = 0; i1 < 5; ++i1) {
#pragma HLS PIPELINE
      const float t0 = in0[i0 * 5 + i1] - in1[i0];
      const float t1 = t0 > 89.0f ? 89.0f : t0;
      const float t2 = t1 < -104.0f ? -104.0f : t1;
      const float t3 = fma(t2, 1.442695f, 12582912.0f);
      const float t4 = t3 - 12582912.0f;
      const float t5 = fma(t4, 1.9046542e-09f, fma(t4, -0.6931472f, t2));
      const int t6 = (int)((u32)int_of_float_bits(t3) + 3032481792u);
      const int t7 = t6 >> 1;
      out[i0 * 5 + i1] =
          (fma(fma(fma(fma(fma(0.0013819513f, t5, 0.0083686905f), t5, 0.04166828f), t5,
          0.16666521f), t5, 0.49999994f), t5 * t5, t5) + 1.0f)
          * float_of_u32_bits(((u32)t7 + 127u) << 23u)
          * float_of_u32_bits(((u32)t6 - (u32)t7 + 127u) << 23u);
    }
  }
}

static void k2_reduce_sum(float *out, const float *in0) {
  for (int i0 = 0; i0 < 2; ++i0) {
    for (int i1 = 0; i1 < 1; ++i1) {
      float acc0 = 0.0f;
      for (int r1 = 0; r1 < 5; ++r1) {
#pragma HLS PIPELINE
        acc0 = acc0 + in0[i0 * 5 + r1];
      }
      out[i0 + i1] = acc0;
    }
  }
}

static void k3_div(float *out, const float *in0, const float *in1) {
  for (int i0 = 0; i0 < 2; ++i0) {
    for (int i1 = 0; i1 < 5; ++i1) {
#pragma HLS PIPELINE
      out[i0 * 5 + i1] = in0[i0 * 5 + i1] / in1[i0];
    }
  }
}

extern "C" void softmax_top(const float *in_x, float *out_y) {
#pragma HLS INTERFACE m_axi port=in_x offset=slave bundle=gmem0 depth=10
#pragma HLS INTERFACE m_axi port=out_y offset=slave bundle=gmem1 depth=10
#pragma HLS INTERFACE s_axilite port=return
  static float t1[2];
  static float t2[10];
  static float t3[2];
  k0_reduce_max(t1, in_x);
  k1_sub_exp(t2, in_x, t1);
  k2_reduce_sum(t3, t2);
  k3_div(out_y, t2, t3);
}
