/* Kernels on vectors of floats, on WASM simd128. Everything that the lanes leave over at the end of a vector is done as in the
 * reference. */
#include "simd128.h"

#include <string.h>

/* 32 columns of one token; the arrays point at the first ones' places. An integer is what the magic number's bits and those of the
 * sum differ by. */
RP_INLINE void quantize_tile(const float *x, size_t lanes, int8_t *q, int16_t *pairs, float *scale, int16_t *sums,
                             float *values) {
    v128_t v[8], max = wasm_f32x4_splat(0.0f);
    for (size_t i = 0; i < 8; i++) {
        v[i] = wasm_v128_load(x + 4 * i);
        max = wasm_f32x4_pmax(max, wasm_f32x4_abs(v[i]));
    }
    max = wasm_f32x4_pmax(max, wasm_i32x4_shuffle(max, max, 2, 3, 0, 1));
    max = wasm_f32x4_pmax(max, wasm_i32x4_shuffle(max, max, 1, 0, 3, 2));
    float top = wasm_f32x4_extract_lane(max, 0);
    bool zero = top < 1e-30f;
    *scale = zero ? 0.0f : top / 127.0f;
    v128_t inverse = wasm_f32x4_splat(zero ? 0.0f : 127.0f / top), magic = wasm_f32x4_splat(RP_EXPF_MAGIC);
    v128_t lowest = wasm_f32x4_splat(-127.0f), sum = wasm_i32x4_splat(0);
    for (size_t i = 0; i < 8; i++) {
        v128_t y = wasm_f32x4_pmax(lowest, wasm_f32x4_mul(v[i], inverse));
        v128_t word = wasm_i32x4_sub(wasm_f32x4_add(y, magic), magic);
        sum = wasm_i32x4_add(sum, word);
        if (i % 4 == 3) {
            sums[i / 4] = (int16_t)sum_lanes_i32(sum);
            sum = wasm_i32x4_splat(0);
        }
        word = wasm_i16x8_narrow_i32x4(word, word);
        wasm_v128_store32_lane(q + 4 * lanes * i, wasm_i8x16_narrow_i16x8(word, word), 0);
        wasm_v128_store64_lane(pairs + 4 * lanes * i, wasm_i16x8_shuffle(word, word, 0, 2, 1, 3, 4, 5, 6, 7), 0);
        if (lanes == 1) {
            wasm_v128_store(values + 4 * i, v[i]);
            continue;
        }
        wasm_v128_store32_lane(values + 16 * i, v[i], 0);
        wasm_v128_store32_lane(values + 16 * i + 4, v[i], 1);
        wasm_v128_store32_lane(values + 16 * i + 8, v[i], 2);
        wasm_v128_store32_lane(values + 16 * i + 12, v[i], 3);
    }
}

void rp_quantize_simd128(const float *x, size_t n, const rp_act *act, size_t token) {
    for (size_t start = 0; start < act->padded; start += RP_TILE) {
        float rest[RP_TILE] = {0};
        if (start + RP_TILE > n && start < n)
            memcpy(rest, x + start, (n - start) * sizeof *x);
        size_t at = rp_act_at(act, token, start), tile = rp_act_tile_at(act, token, start / RP_TILE);
        const float *from = start + RP_TILE <= n ? x + start : rest;
        float *values = act->values + rp_act_value_at(act, token, start);
        if (rp_act_lanes(act, token) == 1)
            quantize_tile(from, 1, act->q + at, act->pairs + at, act->scale + tile, act->sums + 2 * tile, values);
        else
            quantize_tile(from, RP_TOKENS, act->q + at, act->pairs + at, act->scale + tile, act->sums + 2 * tile,
                          values);
    }
}

void rp_rms_norm_simd128(float *out, const float *x, const float *weight, size_t n, float eps) {
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

void rp_add_simd128(float *x, const float *y, size_t n) {
    size_t whole = n - n % 4;
    for (size_t i = 0; i < whole; i += 4)
        wasm_v128_store(x + i, wasm_f32x4_add(wasm_v128_load(x + i), wasm_v128_load(y + i)));
    for (size_t i = whole; i < n; i++)
        x[i] += y[i];
}

RP_INLINE v128_t silu(v128_t x, const exp_constants *k) {
    v128_t e = exp_f32x4(wasm_f32x4_neg(x), k);
    return wasm_f32x4_div(x, wasm_f32x4_add(k->one, e));
}

RP_INLINE v128_t gelu(v128_t x, const exp_constants *k) {
    v128_t cubic = wasm_f32x4_mul(wasm_f32x4_mul(wasm_f32x4_mul(wasm_f32x4_splat(0.044715f), x), x), x);
    v128_t u = wasm_f32x4_mul(wasm_f32x4_splat(0.7978845608f), wasm_f32x4_add(x, cubic));
    v128_t e = exp_f32x4(wasm_f32x4_mul(wasm_f32x4_splat(-2.0f), u), k);
    return wasm_f32x4_div(x, wasm_f32x4_add(k->one, e));
}

RP_INLINE void gated(float *gate, const float *up, size_t n, bool is_gelu) {
    const exp_constants k = load_exp_constants();
    for (size_t i = 0; i < n; i += 4) {
        float x[4] = {0}, y[4] = {0};
        bool whole = i + 4 <= n;
        if (!whole) {
            memcpy(x, gate + i, (n - i) * sizeof *x);
            memcpy(y, up + i, (n - i) * sizeof *y);
        }
        v128_t v = wasm_v128_load(whole ? gate + i : x), u = wasm_v128_load(whole ? up + i : y);
        v = wasm_f32x4_mul(is_gelu ? gelu(v, &k) : silu(v, &k), u);
        wasm_v128_store(whole ? gate + i : x, v);
        if (!whole)
            memcpy(gate + i, x, (n - i) * sizeof *x);
    }
}

void rp_silu_mul_simd128(float *gate, const float *up, size_t n) {
    gated(gate, up, n, false);
}

void rp_gelu_mul_simd128(float *gate, const float *up, size_t n) {
    gated(gate, up, n, true);
}

void rp_softmax_simd128(float *x, size_t n, float scale) {
    const exp_constants k = load_exp_constants();
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
        v128_t below = wasm_f32x4_sub(wasm_v128_load(x + i), wasm_f32x4_splat(max));
        v128_t e = exp_f32x4(wasm_f32x4_mul(wasm_f32x4_splat(scale), below), &k);
        wasm_v128_store(x + i, e);
        sums = wasm_f32x4_add(sums, e);
    }
    wasm_v128_store(lane, sums);
    for (; i < n; i++) {
        x[i] = rp_expf(scale * (x[i] - max));
        lane[i % 4] += x[i];
    }
    float inverse = 1.0f / ((lane[0] + lane[2]) + (lane[1] + lane[3]));
    for (i = 0; i < whole; i += 4)
        wasm_v128_store(x + i, wasm_f32x4_mul(wasm_v128_load(x + i), wasm_f32x4_splat(inverse)));
    for (; i < n; i++)
        x[i] *= inverse;
}
