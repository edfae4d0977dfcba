/* What the matrix kernels of simd128 and relaxed share: the walk over groups, super-blocks and tiles, eight rows at a time, one
 * SIMD lane a row (quant.h has the layout, kernels.h the order of sums), and how a tile's integer dots become floats. Each
 * includes it and brings its own dots. One skeleton, specialised by the compiler for each weight type and for one or four
 * tokens. Loops over columns stay loops: unrolled, compilers compute one sum after the other, and V8 spills what waits. */
#ifndef RP_SIMD128_TILE_H
#define RP_SIMD128_TILE_H

#include "simd128.h"

/* A tile of weights and of activations of one or four tokens, and constants that stay in registers. */
typedef struct tile {
    const uint8_t *scales, *low, *high;
    const int8_t *q;
    const int16_t *pairs, *sums;
    const float *scale;
    v128_t low_mask; /* for 2- and 4-bit codes, see the kernels */
    v128_t ones;     /* 16-bit lanes */
} tile;

/* Columns 4 * at .. 4 * at + 3 of four rows (half 0: rows 0-3, half 1: rows 4-7), byte 4r + k; codes as stored, or IQ4's values. */
RP_INLINE v128_t codes_at(const rp_traits *t, const tile *tile, uint32_t at, uint32_t half) {
    v128_t codes;
    if (t->low_bits == 4) {
        codes = wasm_v128_load(tile->low + 16 * at);
        codes = wasm_v128_and(half ? wasm_u16x8_shr(codes, 4) : codes, tile->low_mask);
    } else {
        codes = wasm_v128_load(tile->low + 32 * half + at / 4 * 16);
        codes = wasm_v128_and(wasm_u16x8_shr(codes, at % 4 * 2), tile->low_mask);
    }
    if (t->table)
        codes = wasm_i8x16_swizzle(wasm_v128_load(rp_iq4_values), codes);
    if (t->high_bits) { /* their bits of column group `at`, just above the low plane's */
        uint32_t from = t->high_bits == 1 ? at : at % 4 * 2;
        v128_t x = wasm_v128_load(tile->high + (t->high_bits == 1 ? 16 * half : 32 * half + at / 4 * 16));
        x = wasm_v128_and(wasm_u16x8_shr(x, from), wasm_i8x16_splat((int8_t)((1 << t->high_bits) - 1)));
        codes = wasm_v128_or(codes, wasm_i16x8_shl(x, t->low_bits));
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

/* Four rows' sums with token n after this tile: dots (sub-scales in them) become floats. */
RP_INLINE v128_t add_tile(const rp_traits *t, const tile *tile, int n, int half, v128_t dots, v128_t d, v128_t minimum,
                          v128_t acc) {
    v128_t scale = wasm_v128_load32_splat(tile->scale + n), sums = tile->ones, product;
    if (t->zero || t->minimum)
        sums = wasm_v128_load32_splat(tile->sums + 2 * n);
    if (t->zero) {
        v128_t factor = t->subs ? sub_pairs(t, tile, false, half, 0, t->subs - 1) : tile->ones;
        v128_t zero = wasm_i32x4_shl(wasm_i32x4_dot_i16x8(factor, sums), (uint32_t)__builtin_ctz(t->zero));
        dots = wasm_i32x4_sub(dots, zero);
    }
    acc = wasm_f32x4_add(acc, wasm_f32x4_mul(wasm_f32x4_convert_i32x4(dots), wasm_f32x4_mul(d, scale)));
    if (!t->minimum)
        return acc;
    v128_t factor = t->subs ? sub_pairs(t, tile, true, half, 0, t->subs - 1) : tile->ones;
    product = wasm_f32x4_convert_i32x4(wasm_i32x4_dot_i16x8(factor, sums));
    product = wasm_f32x4_mul(product, wasm_f32x4_mul(minimum, scale));
    return t->subs ? wasm_f32x4_sub(acc, product) : wasm_f32x4_add(acc, product);
}

/* To be brought: integer dots of one tile: dots[token][half], sub-scales multiplied in, zero points not taken out. A rare type's
 * traits are no constants. */
RP_INLINE void tile_dots(const rp_traits *t, bool rare, const tile *tile, int tokens, v128_t dots[RP_TOKENS][2]);

/* One group times one token, or times four of which `wanted` are stored. The sums of four are in memory: the dots need the
 * registers. */
RP_INLINE void group_times_tokens(const rp_matmul *job, const rp_traits *t, bool rare, size_t g, size_t token,
                                  int tokens, size_t wanted, v128_t low_mask, v128_t ones) {
    const uint8_t *group = job->weights + g * job->group_bytes;
    const half_constants k = load_half_constants();
    size_t tiles = t->columns / RP_TILE, supers = job->columns / t->columns, first = rp_act_at(job->act, token, 0),
           first_tile = rp_act_tile_at(job->act, token, 0);
    tile tile = {.q = job->act->q + first,
                 .pairs = job->act->pairs + first,
                 .sums = job->act->sums + 2 * first_tile,
                 .scale = job->act->scale + first_tile,
                 .low_mask = low_mask,
                 .ones = ones};
    v128_t acc[RP_TOKENS][2];
    for (int n = 0; n < tokens; n++)
        acc[n][0] = acc[n][1] = wasm_f32x4_splat(0.0f);
    for (size_t i = 0; i < supers; i++) {
        v128_t d[2], minimum[2] = {ones, ones};
        load_f16x8(group, k, d);
        if (t->minimum)
            load_f16x8(group + 2 * RP_ROWS, k, minimum);
        group += rp_super_head_bytes(t);
        for (size_t j = 0; j < tiles; j++, group += rp_tile_bytes(t)) {
            v128_t dots[RP_TOKENS][2];
            tile.scales = group;
            tile.low = group + rp_tile_scales_bytes(t);
            tile.high = tile.low + RP_ROWS * RP_TILE / 8 * t->low_bits;
            tile_dots(t, rare, &tile, tokens, dots);
#pragma clang loop unroll(full)
            for (int n = 0; n < tokens; n++)
                for (int half = 0; half < 2; half++) {
                    volatile v128_t *sum = (volatile v128_t *)&acc[n][half];
                    if (tokens > 1)
                        *sum = add_tile(t, &tile, n, half, dots[n][half], d[half], minimum[half], *sum);
                    else
                        acc[n][half] = add_tile(t, &tile, n, half, dots[n][half], d[half], minimum[half], acc[n][half]);
                }
            tile.q += tokens * RP_TILE;
            tile.pairs += tokens * RP_TILE;
            tile.sums += tokens * 2;
            tile.scale += tokens;
        }
    }
    for (size_t n = 0; n < wanted; n++)
        for (int half = 0; half < 2; half++)
            wasm_v128_store(job->out + (token + n) * job->stride + g * RP_ROWS + 4 * half, acc[n][half]);
}

/* Group after group, so that weights are read as one stream: whoever reads two groups at once, or touches one ahead of time, loses more
 * to the memory than instructions it saves (a third of the speed, on an EPYC). */
RP_INLINE void matmul_tiles(const rp_matmul *job, const rp_traits *t, bool rare, v128_t low_mask) {
    v128_t ones = opaque_u16x8(1);
    for (size_t g = job->first; g < job->last; g++)
        for (size_t token = 0; token < job->act->tokens; token += RP_TOKENS) {
            size_t wanted = RP_MIN(job->act->tokens - token, RP_TOKENS);
            if (wanted > 1)
                group_times_tokens(job, t, rare, g, token, RP_TOKENS, wanted, low_mask, ones);
            else
                group_times_tokens(job, t, rare, g, token, 1, 1, low_mask, ones);
        }
}

#endif
