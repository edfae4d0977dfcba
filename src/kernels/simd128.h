/* What the simd128 kernels share: the intrinsics (natively through SIMDe), half floats, exp, opaque constants. */
#ifndef RP_SIMD128_H
#define RP_SIMD128_H

#include "kernels.h"

#include "../math.h"

#ifdef __wasm__
#include <wasm_simd128.h>
#else
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/wasm/simd128.h>
#endif

#define RP_INLINE static inline __attribute__((always_inline))

/* A constant that the compiler must load: V8 rebuilds a v128.const at every use, which doubled the 4-bit loop. */
RP_INLINE v128_t opaque_u16x8(uint16_t value) {
    volatile uint16_t hidden = value;
    return wasm_i16x8_splat((int16_t)hidden);
}

RP_INLINE v128_t opaque_f32x4(float value) {
    volatile float hidden = value;
    return wasm_f32x4_splat(hidden);
}

/* All bits of four floats but their signs. */
RP_INLINE v128_t opaque_magnitude(void) {
    volatile uint32_t hidden = 0x7fffffff;
    return wasm_i32x4_splat((int32_t)hidden);
}

/* For half floats, kept in registers. */
typedef struct half_constants {
    v128_t mask, up;
} half_constants;

RP_INLINE half_constants load_half_constants(void) {
    volatile uint32_t mask = 0x8fffe000;
    return (half_constants){wasm_i32x4_splat((int32_t)mask), opaque_f32x4(0x1p112f)};
}

/* Eight halves at p to two vectors, as rp_f16_finite_to_f32: a multiplication moves the exponent and makes denormals right. */
RP_INLINE void load_f16x8(const uint8_t *p, half_constants k, v128_t out[2]) {
    v128_t halves = wasm_v128_load(p);
    v128_t low = wasm_i32x4_extend_low_i16x8(halves), high = wasm_i32x4_extend_high_i16x8(halves);
    out[0] = wasm_f32x4_mul(wasm_v128_and(wasm_i32x4_shl(low, 13), k.mask), k.up);
    out[1] = wasm_f32x4_mul(wasm_v128_and(wasm_i32x4_shl(high, 13), k.mask), k.up);
}

/* rp_expf's constants, and the operations on them one by one. In locals: see opaque_u16x8. */
typedef struct exp_constants {
    v128_t magic, log2e, ln2_high, ln2_low, c[6], one, infinity, highest, lowest;
} exp_constants;

RP_INLINE exp_constants load_exp_constants(void) {
    return (exp_constants){
        .magic = opaque_f32x4(RP_EXPF_MAGIC),
        .log2e = opaque_f32x4(RP_EXPF_LOG2E),
        .ln2_high = opaque_f32x4(RP_EXPF_LN2_HIGH),
        .ln2_low = opaque_f32x4(RP_EXPF_LN2_LOW),
        .c = {opaque_f32x4(RP_EXPF_C0), opaque_f32x4(RP_EXPF_C1), opaque_f32x4(RP_EXPF_C2), opaque_f32x4(RP_EXPF_C3),
              opaque_f32x4(RP_EXPF_C4), opaque_f32x4(RP_EXPF_C5)},
        .one = opaque_f32x4(1.0f),
        .infinity = opaque_f32x4(__builtin_inff()),
        .highest = opaque_f32x4(RP_EXPF_HIGHEST),
        .lowest = opaque_f32x4(RP_EXPF_LOWEST),
    };
}

RP_INLINE v128_t exp_f32x4(v128_t x, const exp_constants *k) {
    v128_t t = wasm_f32x4_add(wasm_f32x4_mul(x, k->log2e), k->magic);
    v128_t n = wasm_f32x4_sub(t, k->magic);
    v128_t r = wasm_f32x4_sub(x, wasm_f32x4_mul(n, k->ln2_high));
    r = wasm_f32x4_sub(r, wasm_f32x4_mul(n, k->ln2_low));
    v128_t p = wasm_f32x4_add(wasm_f32x4_mul(k->c[5], r), k->c[4]);
    for (int i = 3; i >= 0; i--)
        p = wasm_f32x4_add(wasm_f32x4_mul(p, r), k->c[i]);
    v128_t y = wasm_f32x4_add(wasm_f32x4_mul(p, wasm_f32x4_mul(r, r)), r);
    y = wasm_f32x4_add(y, k->one);
    y = wasm_i32x4_add(y, wasm_i32x4_shl(t, 23));
    v128_t over = wasm_f32x4_add(x, k->infinity);
    y = wasm_v128_bitselect(y, over, wasm_f32x4_le(x, k->highest));
    return wasm_v128_andnot(y, wasm_f32x4_lt(x, k->lowest));
}

RP_INLINE int32_t sum_lanes_i32(v128_t lanes) {
    return wasm_i32x4_extract_lane(lanes, 0) + wasm_i32x4_extract_lane(lanes, 1) + wasm_i32x4_extract_lane(lanes, 2) +
           wasm_i32x4_extract_lane(lanes, 3);
}

/* simd128_matmul.c */
#define RP_MATMUL_SIMD128(name) void rp_matmul_##name##_simd128(const rp_matmul *job);
RP_MATMUL_SIMD128(f32)
RP_MATMUL_SIMD128(f16)
RP_MATMUL_SIMD128(bf16)
RP_MATMUL_SIMD128(q4_0)
RP_MATMUL_SIMD128(q4_1)
RP_MATMUL_SIMD128(q5_0)
RP_MATMUL_SIMD128(q5_1)
RP_MATMUL_SIMD128(q8_0)
RP_MATMUL_SIMD128(q2_k)
RP_MATMUL_SIMD128(q3_k)
RP_MATMUL_SIMD128(q4_k)
RP_MATMUL_SIMD128(q5_k)
RP_MATMUL_SIMD128(q6_k)
RP_MATMUL_SIMD128(iq4_nl)
RP_MATMUL_SIMD128(iq4_xs)

/* simd128_vectors.c */
void rp_quantize_simd128(const float *x, size_t n, const rp_act *act, size_t token);
void rp_rms_norm_simd128(float *out, const float *x, const float *weight, size_t n, float eps);
void rp_add_simd128(float *x, const float *y, size_t n);
void rp_silu_mul_simd128(float *gate, const float *up, size_t n);
void rp_gelu_mul_simd128(float *gate, const float *up, size_t n);
void rp_softmax_simd128(float *x, size_t n, float scale);
/* simd128_mix.c */
void rp_mix_q8_0_simd128(const rp_mix *job);
void rp_mix_q4_0_simd128(const rp_mix *job);

/* The tables of simd128 and relaxed, which differ in the matrix products of types whose codes have no sign: rp_matmul_q4_0_##codes
 * and so on. */
#define RP_SIMD128_TABLE(its_name, its_isa, codes)                                                                     \
    {                                                                                                                  \
        .name = its_name,                                                                                              \
        .isa = its_isa,                                                                                                \
        .quantize = rp_quantize_simd128,                                                                               \
        .matmul = {[RP_F32] = rp_matmul_f32_simd128,                                                                   \
                   [RP_F16] = rp_matmul_f16_simd128,                                                                   \
                   [RP_BF16] = rp_matmul_bf16_simd128,                                                                 \
                   [RP_Q4_0] = rp_matmul_q4_0_##codes,                                                                 \
                   [RP_Q4_1] = rp_matmul_q4_1_##codes,                                                                 \
                   [RP_Q5_0] = rp_matmul_q5_0_##codes,                                                                 \
                   [RP_Q5_1] = rp_matmul_q5_1_##codes,                                                                 \
                   [RP_Q8_0] = rp_matmul_q8_0_simd128,                                                                 \
                   [RP_Q2_K] = rp_matmul_q2_k_##codes,                                                                 \
                   [RP_Q3_K] = rp_matmul_q3_k_##codes,                                                                 \
                   [RP_Q4_K] = rp_matmul_q4_k_##codes,                                                                 \
                   [RP_Q5_K] = rp_matmul_q5_k_##codes,                                                                 \
                   [RP_Q6_K] = rp_matmul_q6_k_##codes,                                                                 \
                   [RP_IQ4_NL] = rp_matmul_iq4_nl_simd128,                                                             \
                   [RP_IQ4_XS] = rp_matmul_iq4_xs_simd128},                                                            \
        .rms_norm = rp_rms_norm_simd128,                                                                               \
        .add = rp_add_simd128,                                                                                         \
        .silu_mul = rp_silu_mul_simd128,                                                                               \
        .gelu_mul = rp_gelu_mul_simd128,                                                                               \
        .softmax = rp_softmax_simd128,                                                                                 \
        .mix_q8_0 = rp_mix_q8_0_simd128,                                                                               \
        .mix_q4_0 = rp_mix_q4_0_simd128,                                                                               \
    }

#endif
