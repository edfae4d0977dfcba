/* The table of kernels on WASM simd128; they are in simd128_*.c. */
#include "simd128.h"

const rp_kernels rp_kernels_simd128 = {
    .name = "simd128",
    .isa = RP_ISA_SIMD128,
    .quantize = rp_quantize_simd128,
    .matmul =
        {
            [RP_F32] = rp_matmul_f32_simd128,
            [RP_F16] = rp_matmul_f16_simd128,
            [RP_BF16] = rp_matmul_bf16_simd128,
            [RP_Q4_0] = rp_matmul_q4_0_simd128,
            [RP_Q4_1] = rp_matmul_q4_1_simd128,
            [RP_Q5_0] = rp_matmul_q5_0_simd128,
            [RP_Q5_1] = rp_matmul_q5_1_simd128,
            [RP_Q8_0] = rp_matmul_q8_0_simd128,
            [RP_Q2_K] = rp_matmul_q2_k_simd128,
            [RP_Q3_K] = rp_matmul_q3_k_simd128,
            [RP_Q4_K] = rp_matmul_q4_k_simd128,
            [RP_Q5_K] = rp_matmul_q5_k_simd128,
            [RP_Q6_K] = rp_matmul_q6_k_simd128,
            [RP_IQ4_NL] = rp_matmul_iq4_nl_simd128,
            [RP_IQ4_XS] = rp_matmul_iq4_xs_simd128,
        },
    .rms_norm = rp_rms_norm_simd128,
    .add = rp_add_simd128,
    .silu_mul = rp_silu_mul_simd128,
    .gelu_mul = rp_gelu_mul_simd128,
    .softmax = rp_softmax_simd128,
    .mix_q8_0 = rp_mix_q8_0_simd128,
};
