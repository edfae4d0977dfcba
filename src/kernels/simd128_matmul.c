/* Matrix products on WASM simd128, eight rows at a time, one SIMD lane a row: see quant.h for the layout and kernels.h for
 * the order of sums. One skeleton, specialised by the compiler for each common weight type and for one or four tokens;
 * only taking four columns of weights out of their planes differs. Rare types share one function that looks the type up as it
 * runs, and unpacks a tile first: code is what a page downloads. */
#include "simd128.h"

#include <string.h>

/* A tile's planes, and masks kept in registers. */
typedef struct planes {
    const uint8_t *low, *high;
    v128_t mask;                 /* u16 lanes: the bits of one code */
    const v128_t (*unpacked)[4]; /* rare types: what weights_at gave for each four columns; else NULL */
} planes;

/* Columns 4t..4t+3 of eight rows, bytes of rows 0-3 in *a and of rows 4-7 in *b (byte 4r + k), for types with two planes or a
 * table. */
RP_INLINE void codes_at(const rp_traits *t, const planes *p, int at, v128_t *a, v128_t *b) {
    if (t->low_bits == 4) {
        v128_t x = wasm_v128_load(p->low + 16 * at);
        v128_t nibble = wasm_i8x16_splat(15);
        *a = wasm_v128_and(x, nibble);
        *b = wasm_v128_and(wasm_u16x8_shr(x, 4), nibble);
    } else {
        v128_t pair = wasm_i8x16_splat(3);
        *a = wasm_v128_and(wasm_u16x8_shr(wasm_v128_load(p->low + at / 4 * 16), at % 4 * 2), pair);
        *b = wasm_v128_and(wasm_u16x8_shr(wasm_v128_load(p->low + 32 + at / 4 * 16), at % 4 * 2), pair);
    }
    if (t->table) {
        v128_t table = wasm_v128_load(rp_iq4_values);
        *a = wasm_i8x16_swizzle(table, *a);
        *b = wasm_i8x16_swizzle(table, *b);
    }
    if (t->high_bits) { /* move the bits of column group `at` to just above the low plane's */
        int from = t->high_bits == 1 ? at : at % 4 * 2, shift = t->low_bits - from;
        size_t group = t->high_bits == 1 ? 16 : 32, offset = t->high_bits == 1 ? 0 : (size_t)at / 4 * 16;
        v128_t x = wasm_v128_load(p->high + offset), y = wasm_v128_load(p->high + group + offset);
        v128_t mask = wasm_i8x16_splat((int8_t)(((1 << t->high_bits) - 1) << t->low_bits));
        x = shift >= 0 ? wasm_i16x8_shl(x, (uint32_t)shift) : wasm_u16x8_shr(x, (uint32_t)-shift);
        y = shift >= 0 ? wasm_i16x8_shl(y, (uint32_t)shift) : wasm_u16x8_shr(y, (uint32_t)-shift);
        *a = wasm_v128_or(*a, wasm_v128_and(x, mask));
        *b = wasm_v128_or(*b, wasm_v128_and(y, mask));
    }
}

/* Columns 4t..4t+3 as 16-bit lanes: w[0] and w[1]: rows 0-3, columns (0, 2) and (1, 3); w[2] and w[3]: rows 4-7. */
RP_INLINE void weights_at(const rp_traits *t, const planes *p, int at, v128_t w[4]) {
    if (t->low_bits == 8) {
        for (int i = 0; i < 4; i++)
            w[i] = wasm_i16x8_load8x8(p->low + 32 * at + 8 * i);
    } else if (t->low_bits == 4 && !t->high_bits && !t->table) {
        v128_t x = wasm_v128_load(p->low + 16 * at);
        w[0] = wasm_v128_and(x, p->mask);
        w[1] = wasm_v128_and(wasm_u16x8_shr(x, 8), p->mask);
        w[2] = wasm_v128_and(wasm_u16x8_shr(x, 4), p->mask);
        w[3] = wasm_u16x8_shr(x, 12);
    } else {
        v128_t a, b;
        codes_at(t, p, at, &a, &b);
        if (t->table) { /* signed */
            w[0] = wasm_i16x8_shr(wasm_i16x8_shl(a, 8), 8);
            w[1] = wasm_i16x8_shr(a, 8);
            w[2] = wasm_i16x8_shr(wasm_i16x8_shl(b, 8), 8);
            w[3] = wasm_i16x8_shr(b, 8);
        } else {
            w[0] = wasm_v128_and(a, p->mask);
            w[1] = wasm_u16x8_shr(a, 8);
            w[2] = wasm_v128_and(b, p->mask);
            w[3] = wasm_u16x8_shr(b, 8);
        }
    }
}

/* Integer dots of column groups first..last-1 (of 4 columns) for N tokens: sums[token][rows 0-3, rows 4-7]. */
RP_INLINE void dot_columns(const rp_traits *t, const planes *p, int first, int last, const int16_t *q, size_t q_stride,
                           int tokens, v128_t sums[][2]) {
    for (int n = 0; n < tokens; n++)
        sums[n][0] = sums[n][1] = wasm_i32x4_splat(0);
#pragma clang loop unroll(full)
    for (int at = first; at < last; at++) {
        v128_t w[4];
        if (p->unpacked)
            memcpy(w, p->unpacked[at], sizeof w);
        else
            weights_at(t, p, at, w);
#pragma clang loop unroll(full)
        for (int n = 0; n < tokens; n++) {
            v128_t even = wasm_v128_load32_splat(q + (size_t)n * q_stride + 4 * at);
            v128_t odd = wasm_v128_load32_splat(q + (size_t)n * q_stride + 4 * at + 2);
            sums[n][0] = wasm_i32x4_add(sums[n][0], wasm_i32x4_dot_i16x8(w[0], even));
            sums[n][1] = wasm_i32x4_add(sums[n][1], wasm_i32x4_dot_i16x8(w[2], even));
            sums[n][0] = wasm_i32x4_add(sums[n][0], wasm_i32x4_dot_i16x8(w[1], odd));
            sums[n][1] = wasm_i32x4_add(sums[n][1], wasm_i32x4_dot_i16x8(w[3], odd));
        }
    }
}

/* Sub-scales or sub-minimums `sub` of the eight rows, as two vectors of 32 bits. */
RP_INLINE void sub_scales(const rp_traits *t, const uint8_t *tile, int sub, bool minimum, v128_t out[2]) {
    v128_t x;
    if (!t->minimum) {
        x = wasm_i16x8_load8x8(tile + sub * RP_ROWS);
    } else if (t->low_bits == 2) {
        x = wasm_u16x8_load8x8(tile + sub * RP_ROWS);
        x = minimum ? wasm_u16x8_shr(x, 4) : wasm_v128_and(x, wasm_i16x8_splat(15));
    } else {
        x = wasm_u16x8_load8x8(tile + (sub + (minimum ? t->subs : 0)) * RP_ROWS);
    }
    out[0] = wasm_i32x4_extend_low_i16x8(x);
    out[1] = wasm_i32x4_extend_high_i16x8(x);
}

/* Takes the zero point out of the dots and multiplies by the sub-scale. */
RP_INLINE v128_t scaled_dot(const rp_traits *t, v128_t dot, int32_t sum, v128_t scale) {
    if (t->zero)
        dot = wasm_i32x4_sub(dot, wasm_i32x4_splat(t->zero * sum));
    return t->subs ? wasm_i32x4_mul(dot, scale) : dot;
}

typedef struct super_scales {
    v128_t d[2], minimum[2];
} super_scales;

/* Adds a tile's minimums to the sums of one token: + min * sum for 32-wide types, - m * min * sum for 256-wide ones. */
RP_INLINE void add_minimums(const rp_traits *t, const super_scales *super, const uint8_t *tile, const int32_t *sums,
                            v128_t scale, v128_t acc[2]) {
    v128_t m0[2], m1[2];
    if (t->subs) {
        sub_scales(t, tile, 0, true, m0);
        sub_scales(t, tile, t->subs - 1, true, m1);
    }
    for (int half = 0; half < 2; half++) {
        v128_t total;
        if (t->subs == 2)
            total = wasm_i32x4_add(wasm_i32x4_mul(m0[half], wasm_i32x4_splat(sums[0])),
                                   wasm_i32x4_mul(m1[half], wasm_i32x4_splat(sums[1])));
        else
            total = wasm_i32x4_splat(sums[0] + sums[1]);
        if (t->subs == 1)
            total = wasm_i32x4_mul(m0[half], total);
        v128_t product = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(total), wasm_f32x4_mul(super->minimum[half], scale));
        acc[half] = t->subs ? wasm_f32x4_sub(acc[half], product) : wasm_f32x4_add(acc[half], product);
    }
}

RP_INLINE void tile_times_tokens(const rp_traits *t, const super_scales *super, const uint8_t *tile, const planes *p,
                                 const rp_act *act, size_t token, size_t index, int tokens, v128_t acc[][2]) {
    const int16_t *q = act->q + token * act->padded + index * RP_TILE;
    v128_t dots[4][2], dots_high[4][2], sc[2][2] = {{wasm_i32x4_splat(1), wasm_i32x4_splat(1)}};
    if (t->subs)
        sub_scales(t, tile, 0, false, sc[0]);
    if (t->subs == 2) {
        sub_scales(t, tile, 1, false, sc[1]);
        dot_columns(t, p, 0, 4, q, act->padded, tokens, dots);
        dot_columns(t, p, 4, 8, q, act->padded, tokens, dots_high);
    } else {
        dot_columns(t, p, 0, 8, q, act->padded, tokens, dots);
    }
#pragma clang loop unroll(full)
    for (int n = 0; n < tokens; n++) {
        const int32_t *sums = act->sums + (token + (size_t)n) * (act->padded / 16) + index * 2;
        v128_t scale = wasm_v128_load32_splat(act->scale + (token + (size_t)n) * (act->padded / RP_TILE) + index);
        for (int half = 0; half < 2; half++) {
            v128_t dot = scaled_dot(t, dots[n][half], t->subs == 2 ? sums[0] : sums[0] + sums[1], sc[0][half]);
            if (t->subs == 2)
                dot = wasm_i32x4_add(dot, scaled_dot(t, dots_high[n][half], sums[1], sc[1][half]));
            acc[n][half] = wasm_f32x4_add(
                acc[n][half], wasm_f32x4_mul(wasm_f32x4_convert_i32x4(dot), wasm_f32x4_mul(super->d[half], scale)));
        }
        if (t->minimum)
            add_minimums(t, super, tile, sums, scale, acc[n]);
    }
}

static __attribute__((noinline, minsize)) void unpack_tile(const rp_traits *t, const planes *p, v128_t (*unpacked)[4]) {
#pragma clang loop unroll(disable)
    for (int at = 0; at < RP_TILE / 4; at++)
        weights_at(t, p, at, unpacked[at]);
}

RP_INLINE void group_times_tokens(const rp_matmul *job, const rp_traits *t, const uint8_t *group, size_t g,
                                  size_t token, int tokens, v128_t mask, bool rare) {
    v128_t acc[4][2];
    for (int n = 0; n < tokens; n++)
        acc[n][0] = acc[n][1] = wasm_f32x4_splat(0.0f);
    size_t tiles = t->columns / RP_TILE, supers = job->columns / t->columns;
    for (size_t i = 0; i < supers; i++) {
        super_scales super;
        load_f16x8(group, super.d);
        if (t->minimum)
            load_f16x8(group + 2 * RP_ROWS, super.minimum);
        group += rp_super_head_bytes(t);
        for (size_t k = 0; k < tiles; k++, group += rp_tile_bytes(t)) {
            planes p = {.low = group + rp_tile_scales_bytes(t), .mask = mask};
            p.high = p.low + RP_ROWS * RP_TILE / 8 * t->low_bits;
            v128_t unpacked[RP_TILE / 4][4];
            if (rare) {
                unpack_tile(t, &p, unpacked);
                p.unpacked = (const v128_t(*)[4])unpacked;
            }
            tile_times_tokens(t, &super, group, &p, job->act, token, i * tiles + k, tokens, acc);
        }
    }
    for (int n = 0; n < tokens; n++)
        for (int half = 0; half < 2; half++)
            wasm_v128_store(job->out + (token + (size_t)n) * job->stride + g * RP_ROWS + 4 * half, acc[n][half]);
}

RP_INLINE void matmul_tiles(const rp_matmul *job, const rp_traits *t, bool rare) {
    size_t group_bytes = job->columns / t->columns * rp_super_bytes(t);
    v128_t mask = opaque_u16x8(t->low_bits == 4 && !t->high_bits && !t->table ? 15 : 255);
    for (size_t g = job->first; g < job->last; g++) {
        const uint8_t *group = job->weights + g * group_bytes;
        size_t token = 0;
        for (; token + 4 <= job->tokens; token += 4)
            group_times_tokens(job, t, group, g, token, 4, mask, rare);
        for (; token < job->tokens; token++)
            group_times_tokens(job, t, group, g, token, 1, mask, rare);
    }
}

/* Eight float weights of one column. */
RP_INLINE void load_column(rp_type type, const uint8_t *p, v128_t w[2]) {
    if (type == RP_F32) {
        w[0] = wasm_v128_load(p);
        w[1] = wasm_v128_load(p + 16);
    } else if (type == RP_F16) {
        load_f16x8(p, w);
    } else {
        v128_t x = wasm_v128_load(p);
        w[0] = wasm_i32x4_shl(wasm_u32x4_extend_low_u16x8(x), 16);
        w[1] = wasm_i32x4_shl(wasm_u32x4_extend_high_u16x8(x), 16);
    }
}

RP_INLINE void floats_times_tokens(const rp_matmul *job, rp_type type, const uint8_t *group, size_t g, size_t token,
                                   int tokens) {
    size_t bytes = RP_ROWS * (type == RP_F32 ? 4 : 2);
    v128_t acc[4][2];
    for (int n = 0; n < tokens; n++)
        acc[n][0] = acc[n][1] = wasm_f32x4_splat(0.0f);
    const float *values = job->act->values + token * job->act->padded;
    for (size_t c = 0; c < job->columns; c++) {
        v128_t w[2];
        load_column(type, group + c * bytes, w);
#pragma clang loop unroll(full)
        for (int n = 0; n < tokens; n++) {
            v128_t value = wasm_v128_load32_splat(values + (size_t)n * job->act->padded + c);
            acc[n][0] = wasm_f32x4_add(acc[n][0], wasm_f32x4_mul(w[0], value));
            acc[n][1] = wasm_f32x4_add(acc[n][1], wasm_f32x4_mul(w[1], value));
        }
    }
    for (int n = 0; n < tokens; n++)
        for (int half = 0; half < 2; half++)
            wasm_v128_store(job->out + (token + (size_t)n) * job->stride + g * RP_ROWS + 4 * half, acc[n][half]);
}

RP_INLINE void matmul_floats(const rp_matmul *job, rp_type type) {
    size_t group_bytes = job->columns * RP_ROWS * (type == RP_F32 ? 4 : 2);
    for (size_t g = job->first; g < job->last; g++) {
        size_t token = 0;
        for (; token + 4 <= job->tokens; token += 4)
            floats_times_tokens(job, type, job->weights + g * group_bytes, g, token, 4);
        for (; token < job->tokens; token++)
            floats_times_tokens(job, type, job->weights + g * group_bytes, g, token, 1);
    }
}

#define FLOATS(name, type)                                                                                             \
    void rp_matmul_##name##_simd128(const rp_matmul *job) {                                                            \
        matmul_floats(job, type);                                                                                      \
    }
FLOATS(f32, RP_F32)
FLOATS(f16, RP_F16)
FLOATS(bf16, RP_BF16)

#define TILES(name, type)                                                                                              \
    void rp_matmul_##name##_simd128(const rp_matmul *job) {                                                            \
        matmul_tiles(job, &rp_type_traits[type], false);                                                               \
    }
TILES(q4_0, RP_Q4_0)
TILES(q4_1, RP_Q4_1)
TILES(q5_0, RP_Q5_0)
TILES(q8_0, RP_Q8_0)
TILES(q4_k, RP_Q4_K)
TILES(q6_k, RP_Q6_K)

static __attribute__((noinline, minsize)) void matmul_rare(const rp_matmul *job, const rp_traits *t) {
    matmul_tiles(job, t, true);
}

#define RARE_TILES(name, type)                                                                                         \
    void rp_matmul_##name##_simd128(const rp_matmul *job) {                                                            \
        matmul_rare(job, &rp_type_traits[type]);                                                                       \
    }
RARE_TILES(q5_1, RP_Q5_1)
RARE_TILES(q2_k, RP_Q2_K)
RARE_TILES(q3_k, RP_Q3_K)
RARE_TILES(q5_k, RP_Q5_K)
RARE_TILES(iq4_nl, RP_IQ4_NL)
RARE_TILES(iq4_xs, RP_IQ4_XS)
