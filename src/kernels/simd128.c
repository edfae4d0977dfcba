/* The simd128 table and its kernels on vectors of floats; matrix products and attention are in simd128_*.c. Everything that the
 * lanes leave over at the end of a vector is done as in the reference. */
#include "simd128.h"

#include <string.h>

static void quantize_block(const float *x, const rp_act *act, size_t token, size_t start) {
    v128_t v[8], max = wasm_f32x4_splat(0.0f);
    for (size_t i = 0; i < 8; i++) {
        v[i] = wasm_v128_load(x + 4 * i);
        max = wasm_f32x4_pmax(max, wasm_f32x4_abs(v[i]));
    }
    max = wasm_f32x4_pmax(max, wasm_i32x4_shuffle(max, max, 2, 3, 0, 1));
    max = wasm_f32x4_pmax(max, wasm_i32x4_shuffle(max, max, 1, 0, 3, 2));
    float top = wasm_f32x4_extract_lane(max, 0);
    bool zero = top < 1e-30f;
    float d = zero ? 0.0f : top / 127.0f;
    act->scale[token * (act->padded / RP_TILE) + start / RP_TILE] = d;
    v128_t inverse = wasm_f32x4_splat(zero ? 0.0f : 127.0f / top);
    v128_t magic = wasm_f32x4_splat(RP_EXPF_MAGIC), sums[2] = {wasm_i32x4_splat(0), wasm_i32x4_splat(0)};
    for (size_t i = 0; i < 8; i += 2) {
        v128_t q[2];
        for (size_t k = 0; k < 2; k++) {
            v128_t y = wasm_f32x4_mul(v[i + k], inverse);
            y = wasm_f32x4_pmax(wasm_f32x4_splat(-127.0f), y);
            y = wasm_f32x4_pmin(wasm_f32x4_splat(127.0f), y);
            y = wasm_f32x4_sub(wasm_f32x4_add(y, magic), magic);
            wasm_v128_store(act->values + token * act->padded + start + 4 * (i + k), v[i + k]);
            q[k] = wasm_i32x4_trunc_sat_f32x4(y);
            sums[i / 4] = wasm_i32x4_add(sums[i / 4], q[k]);
            q[k] = wasm_i32x4_shuffle(q[k], q[k], 0, 2, 1, 3);
        }
        wasm_v128_store(act->q + token * act->padded + start + 4 * i, wasm_i16x8_narrow_i32x4(q[0], q[1]));
    }
    for (size_t i = 0; i < 2; i++)
        act->sums[token * (act->padded / 16) + start / 16 + i] = sum_lanes_i32(sums[i]);
}

static void quantize_simd128(const float *x, size_t n, const rp_act *act, size_t token) {
    for (size_t start = 0; start < act->padded; start += RP_TILE) {
        if (start + RP_TILE <= n) {
            quantize_block(x + start, act, token, start);
            continue;
        }
        float rest[RP_TILE] = {0};
        if (start < n)
            memcpy(rest, x + start, (n - start) * sizeof *x);
        quantize_block(rest, act, token, start);
    }
}

static void rms_norm_simd128(float *out, const float *x, const float *weight, size_t n, float eps) {
    v128_t sums = wasm_f32x4_splat(0.0f);
    size_t i = 0, whole = n - n % 4;
    for (; i < whole; i += 4) {
        v128_t v = wasm_v128_load(x + i);
        sums = wasm_f32x4_add(sums, wasm_f32x4_mul(v, v));
    }
    float lane[4];
    wasm_v128_store(lane, sums);
    for (; i < n; i++)
        lane[i % 4] += x[i] * x[i];
    float sum = (lane[0] + lane[2]) + (lane[1] + lane[3]);
    float factor = 1.0f / __builtin_elementwise_sqrt(sum / (float)n + eps);
    for (i = 0; i < whole; i += 4) {
        v128_t v = wasm_f32x4_mul(wasm_v128_load(x + i), wasm_f32x4_splat(factor));
        wasm_v128_store(out + i, wasm_f32x4_mul(v, wasm_v128_load(weight + i)));
    }
    for (; i < n; i++)
        out[i] = (x[i] * factor) * weight[i];
}

static void add_simd128(float *x, const float *y, size_t n) {
    size_t whole = n - n % 4;
    for (size_t i = 0; i < whole; i += 4)
        wasm_v128_store(x + i, wasm_f32x4_add(wasm_v128_load(x + i), wasm_v128_load(y + i)));
    for (size_t i = whole; i < n; i++)
        x[i] += y[i];
}

RP_INLINE v128_t silu(v128_t x) {
    v128_t e = exp_f32x4(wasm_f32x4_neg(x));
    return wasm_f32x4_div(x, wasm_f32x4_add(wasm_f32x4_splat(1.0f), e));
}

RP_INLINE v128_t gelu(v128_t x) {
    v128_t cubic = wasm_f32x4_mul(wasm_f32x4_mul(wasm_f32x4_mul(wasm_f32x4_splat(0.044715f), x), x), x);
    v128_t u = wasm_f32x4_mul(wasm_f32x4_splat(0.7978845608f), wasm_f32x4_add(x, cubic));
    v128_t e = exp_f32x4(wasm_f32x4_mul(wasm_f32x4_splat(-2.0f), u));
    return wasm_f32x4_div(x, wasm_f32x4_add(wasm_f32x4_splat(1.0f), e));
}

RP_INLINE void gated(float *gate, const float *up, size_t n, bool is_gelu) {
    for (size_t i = 0; i < n; i += 4) {
        float x[4] = {0}, y[4] = {0};
        bool whole = i + 4 <= n;
        if (!whole) {
            memcpy(x, gate + i, (n - i) * sizeof *x);
            memcpy(y, up + i, (n - i) * sizeof *y);
        }
        v128_t v = wasm_v128_load(whole ? gate + i : x), u = wasm_v128_load(whole ? up + i : y);
        v = wasm_f32x4_mul(is_gelu ? gelu(v) : silu(v), u);
        wasm_v128_store(whole ? gate + i : x, v);
        if (!whole)
            memcpy(gate + i, x, (n - i) * sizeof *x);
    }
}

static void silu_mul_simd128(float *gate, const float *up, size_t n) {
    gated(gate, up, n, false);
}

static void gelu_mul_simd128(float *gate, const float *up, size_t n) {
    gated(gate, up, n, true);
}

static void softmax_simd128(float *x, size_t n) {
    size_t whole = n - n % 4, i;
    v128_t maxima = wasm_v128_load32_splat(x), sums = wasm_f32x4_splat(0.0f);
    for (i = 0; i < whole; i += 4)
        maxima = wasm_f32x4_pmax(maxima, wasm_v128_load(x + i));
    float lane[4], max;
    wasm_v128_store(lane, maxima);
    max = lane[0];
    for (i = 1; i < 4; i++)
        max = max < lane[i] ? lane[i] : max;
    for (i = whole; i < n; i++)
        max = max < x[i] ? x[i] : max;
    for (i = 0; i < whole; i += 4) {
        v128_t e = exp_f32x4(wasm_f32x4_sub(wasm_v128_load(x + i), wasm_f32x4_splat(max)));
        wasm_v128_store(x + i, e);
        sums = wasm_f32x4_add(sums, e);
    }
    wasm_v128_store(lane, sums);
    for (; i < n; i++) {
        x[i] = rp_expf(x[i] - max);
        lane[i % 4] += x[i];
    }
    float inverse = 1.0f / ((lane[0] + lane[2]) + (lane[1] + lane[3]));
    for (i = 0; i < whole; i += 4)
        wasm_v128_store(x + i, wasm_f32x4_mul(wasm_v128_load(x + i), wasm_f32x4_splat(inverse)));
    for (; i < n; i++)
        x[i] *= inverse;
}

const rp_kernels rp_kernels_simd128 = {
    .name = "simd128",
    .isa = RP_ISA_SIMD128,
    .quantize = quantize_simd128,
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
    .rms_norm = rms_norm_simd128,
    .add = add_simd128,
    .silu_mul = silu_mul_simd128,
    .gelu_mul = gelu_mul_simd128,
    .kv_store = {[RP_KV_F32] = rp_kv_store_f32, [RP_KV_F16] = rp_kv_store_f16, [RP_KV_Q8_0] = rp_kv_store_q8_0},
    .kv_scores = {[RP_KV_F32] = rp_kv_scores_f32_simd128,
                  [RP_KV_F16] = rp_kv_scores_f16_simd128,
                  [RP_KV_Q8_0] = rp_kv_scores_q8_0_simd128},
    .kv_mix = {[RP_KV_F32] = rp_kv_mix_f32_simd128,
               [RP_KV_F16] = rp_kv_mix_f16_simd128,
               [RP_KV_Q8_0] = rp_kv_mix_q8_0_simd128},
    .softmax = softmax_simd128,
};
