/* What the matrix kernels of simd128 and relaxed share: the walk over groups, super-blocks and tiles, eight rows at a time, one
 * SIMD lane a row (quant.h has the layout, kernels.h the order of sums), and how a tile's integer dots become floats. Each
 * includes it and brings its own dots. One skeleton, specialised by the compiler for each weight type and for one or four
 * tokens. */
#ifndef RP_SIMD128_TILE_H
#define RP_SIMD128_TILE_H

#include "simd128.h"

enum { TOKENS = 4 }; /* that are computed together: what eight sums in registers serve */

/* A tile, and constants that stay in registers. */
typedef struct tile {
    const uint8_t *scales, *low, *high;
    v128_t low_mask; /* for 4-bit codes, see the kernels */
    v128_t ones;     /* 16-bit lanes */
} tile;

/* Activations of one token at one tile. */
typedef struct tile_act {
    const int8_t *q;
    const int16_t *pairs, *sums;
    const float *scale;
} tile_act;

RP_INLINE tile_act act_at(const rp_act *act, size_t token, size_t index) {
    return (tile_act){act->q + token * act->padded + index * RP_TILE,
                      act->pairs + token * act->padded + index * RP_TILE,
                      act->sums + token * (act->padded / 16) + index * 2,
                      act->scale + token * (act->padded / RP_TILE) + index};
}

/* Columns 4 * at .. 4 * at + 3 of four rows (half 0: rows 0-3, half 1: rows 4-7), byte 4r + k; codes as stored, or IQ4's values. */
RP_INLINE v128_t codes_at(const rp_traits *t, const tile *tile, int at, int half) {
    v128_t codes;
    if (t->low_bits == 4) {
        codes = wasm_v128_load(tile->low + 16 * at);
        codes = wasm_v128_and(half ? wasm_u16x8_shr(codes, 4) : codes, tile->low_mask);
    } else {
        codes = wasm_v128_load(tile->low + 32 * half + at / 4 * 16);
        codes = wasm_v128_and(wasm_u16x8_shr(codes, (uint32_t)at % 4 * 2), tile->low_mask);
    }
    if (t->table)
        codes = wasm_i8x16_swizzle(wasm_v128_load(rp_iq4_values), codes);
    if (t->high_bits) { /* move the bits of column group `at` to just above the low plane's */
        int from = t->high_bits == 1 ? at : at % 4 * 2, shift = t->low_bits - from;
        v128_t x = wasm_v128_load(tile->high + (t->high_bits == 1 ? 16 * half : 32 * half + at / 4 * 16));
        v128_t mask = wasm_i8x16_splat((int8_t)(((1 << t->high_bits) - 1) << t->low_bits));
        x = shift >= 0 ? wasm_i16x8_shl(x, (uint32_t)shift) : wasm_u16x8_shr(x, (uint32_t)-shift);
        codes = wasm_v128_or(codes, wasm_v128_and(x, mask));
    }
    return codes;
}

/* Sub-scales, or sub-minimums, of four rows as pairs of 16-bit lanes: (first sub, second sub), or one sub twice. */
RP_INLINE v128_t sub_pairs(const rp_traits *t, const tile *tile, bool minimum, int half, int first, int second) {
    const uint8_t *p = tile->scales + (minimum && t->low_bits != 2 ? t->subs * RP_ROWS : 0) + 4 * half;
    v128_t a = wasm_v128_load32_zero(p + first * RP_ROWS), b = wasm_v128_load32_zero(p + second * RP_ROWS);
    v128_t pairs = wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    if (!t->minimum)
        return wasm_i16x8_extend_low_i8x16(pairs);
    pairs = wasm_u16x8_extend_low_u8x16(pairs);
    if (t->low_bits != 2)
        return pairs;
    return minimum ? wasm_u16x8_shr(pairs, 4) : wasm_v128_and(pairs, wasm_i16x8_splat(15));
}

/* What the zero point adds to the dots of four rows, to be taken away. `sums` is the token's, splat. */
RP_INLINE v128_t zero_of(const rp_traits *t, const tile *tile, v128_t sums, int half) {
    v128_t factor = t->subs ? sub_pairs(t, tile, false, half, 0, t->subs - 1) : tile->ones;
    return wasm_i32x4_shl(wasm_i32x4_dot_i16x8(factor, sums), (uint32_t)__builtin_ctz(t->zero));
}

/* Four rows' sums after this tile: dots (sub-scales in them) become floats. */
RP_INLINE v128_t add_tile(const rp_traits *t, const tile *tile, const tile_act *act, int half, v128_t dots, v128_t d,
                          v128_t minimum, v128_t acc) {
    v128_t scale = wasm_v128_load32_splat(act->scale), sums;
    if (t->zero || t->minimum)
        sums = wasm_v128_load32_splat(act->sums);
    if (t->zero)
        dots = wasm_i32x4_sub(dots, zero_of(t, tile, sums, half));
    acc = wasm_f32x4_add(acc, wasm_f32x4_mul(wasm_f32x4_convert_i32x4(dots), wasm_f32x4_mul(d, scale)));
    if (!t->minimum)
        return acc;
    v128_t factor = t->subs ? sub_pairs(t, tile, true, half, 0, t->subs - 1) : tile->ones;
    v128_t product = wasm_f32x4_convert_i32x4(wasm_i32x4_dot_i16x8(factor, sums));
    product = wasm_f32x4_mul(product, wasm_f32x4_mul(minimum, scale));
    return t->subs ? wasm_f32x4_sub(acc, product) : wasm_f32x4_add(acc, product);
}

/* Integer dots of one tile with `tokens` tokens: dots[token][half], sub-scales multiplied in, zero points not taken out. A rare
 * type's traits are no constants. */
RP_INLINE void tile_dots(const rp_traits *t, bool rare, const tile *tile, const rp_act *act, size_t token, size_t index,
                         int tokens, v128_t dots[TOKENS][2]);

/* One group times one token: sums stay in registers. Or times four: they stay in `out`, the dots need the registers. */
RP_INLINE void group_times_tokens(const rp_matmul *job, const rp_traits *t, bool rare, const uint8_t *group, float *out,
                                  size_t token, int tokens, v128_t low_mask, v128_t ones) {
    v128_t acc[2] = {wasm_f32x4_splat(0.0f), wasm_f32x4_splat(0.0f)};
    if (tokens > 1)
        for (int n = 0; n < tokens; n++)
            for (int half = 0; half < 2; half++)
                wasm_v128_store(out + (size_t)n * job->stride + 4 * half, acc[half]);
    size_t tiles = t->columns / RP_TILE, supers = job->columns / t->columns, index = 0;
    for (size_t i = 0; i < supers; i++) {
        v128_t d[2], minimum[2] = {acc[0], acc[0]};
        load_f16x8(group, d);
        if (t->minimum)
            load_f16x8(group + 2 * RP_ROWS, minimum);
        group += rp_super_head_bytes(t);
        for (size_t k = 0; k < tiles; k++, index++, group += rp_tile_bytes(t)) {
            const uint8_t *low = group + rp_tile_scales_bytes(t);
            const tile tile = {group, low, low + RP_ROWS * RP_TILE / 8 * t->low_bits, low_mask, ones};
            v128_t dots[TOKENS][2];
            tile_dots(t, rare, &tile, job->act, token, index, tokens, dots);
#pragma clang loop unroll(full)
            for (int n = 0; n < tokens; n++) {
                const tile_act act = act_at(job->act, token + (size_t)n, index);
                float *to = out + (size_t)n * job->stride;
                for (int half = 0; half < 2; half++) {
                    v128_t sum = tokens > 1 ? wasm_v128_load(to + 4 * half) : acc[half];
                    sum = add_tile(t, &tile, &act, half, dots[n][half], d[half], minimum[half], sum);
                    if (tokens > 1)
                        wasm_v128_store(to + 4 * half, sum);
                    else
                        acc[half] = sum;
                }
            }
        }
    }
    if (tokens == 1)
        for (int half = 0; half < 2; half++)
            wasm_v128_store(out + 4 * half, acc[half]);
}

/* Three that are left over are taken with the one before them, again: cheaper than one by one. */
RP_INLINE size_t tokens_at(const rp_matmul *job, size_t *token) {
    size_t rest = job->tokens - *token;
    if (rest == TOKENS - 1 && *token)
        --*token;
    return job->tokens - *token >= TOKENS ? TOKENS : 1;
}

RP_INLINE void matmul_tiles(const rp_matmul *job, const rp_traits *t, bool rare, v128_t low_mask) {
    v128_t ones = opaque_u16x8(1);
    for (size_t g = job->first; g < job->last; g++) {
        const uint8_t *group = job->weights + g * job->group_bytes;
        for (size_t token = 0, step; token < job->tokens; token += step) {
            step = tokens_at(job, &token);
            float *out = job->out + token * job->stride + g * RP_ROWS;
            if (step == TOKENS)
                group_times_tokens(job, t, rare, group, out, token, TOKENS, low_mask, ones);
            else
                group_times_tokens(job, t, rare, group, out, token, 1, low_mask, ones);
        }
    }
}

#endif
