/* Matrix products on WASM simd128, with dots of 16-bit lanes: see simd128_tile.h. Rare types share one function that looks the
 * type up as it runs, and unpacks a tile first: code is what a page downloads. */
#include "simd128_tile.h"

#include <string.h>

/* Columns 4 * at .. as 16-bit lanes: w[0] and w[1]: rows 0-3, columns (0, 2) and (1, 3); w[2] and w[3]: rows 4-7. low_mask is 15 in
 * each 16-bit lane where a type has only the 4-bit plane, 15 in each byte with a second one or a table. */
RP_INLINE void weights_at(const rp_traits *t, const tile *tile, uint32_t at, v128_t w[4]) {
    if (t->low_bits == 8) {
        for (int i = 0; i < 4; i++)
            w[i] = wasm_i16x8_load8x8(tile->low + 32 * at + 8 * i);
        return;
    }
    if (t->low_bits == 4 && !t->high_bits && !t->table) {
        v128_t x = wasm_v128_load(tile->low + 16 * at);
        w[0] = wasm_v128_and(x, tile->low_mask);
        w[1] = wasm_v128_and(wasm_u16x8_shr(x, 8), tile->low_mask);
        w[2] = wasm_v128_and(wasm_u16x8_shr(x, 4), tile->low_mask);
        w[3] = wasm_u16x8_shr(x, 12);
        return;
    }
    for (uint32_t half = 0; half < 2; half++) {
        v128_t codes = codes_at(t, tile, at, half);
        if (t->table) { /* signed */
            w[2 * half] = wasm_i16x8_shr(wasm_i16x8_shl(codes, 8), 8);
            w[2 * half + 1] = wasm_i16x8_shr(codes, 8);
        } else {
            w[2 * half] = wasm_v128_and(codes, wasm_i16x8_splat(255));
            w[2 * half + 1] = wasm_u16x8_shr(codes, 8);
        }
    }
}

/* Dots of column groups first..last-1 (of 4 columns). */
RP_INLINE void dot_columns(const rp_traits *t, const tile *tile, const v128_t (*unpacked)[4], uint32_t first,
                           uint32_t last, int tokens, v128_t dots[RP_TOKENS][2]) {
    v128_t sums[RP_TOKENS][2];
    for (int n = 0; n < tokens; n++)
        sums[n][0] = sums[n][1] = wasm_i32x4_splat(0);
#pragma clang loop unroll(disable)
    for (uint32_t at = first; at < last; at++) {
        v128_t w[4];
        if (unpacked)
            memcpy(w, unpacked[at], sizeof w);
        else
            weights_at(t, tile, at, w);
#pragma clang loop unroll(full)
        for (int n = 0; n < tokens; n++) {
            v128_t even = wasm_v128_load32_splat(tile->pairs + 4 * (uint32_t)tokens * at + 4 * n);
            v128_t odd = wasm_v128_load32_splat(tile->pairs + 4 * (uint32_t)tokens * at + 4 * n + 2);
            sums[n][0] = wasm_i32x4_add(sums[n][0], wasm_i32x4_dot_i16x8(w[0], even));
            sums[n][1] = wasm_i32x4_add(sums[n][1], wasm_i32x4_dot_i16x8(w[2], even));
            sums[n][0] = wasm_i32x4_add(sums[n][0], wasm_i32x4_dot_i16x8(w[1], odd));
            sums[n][1] = wasm_i32x4_add(sums[n][1], wasm_i32x4_dot_i16x8(w[3], odd));
        }
    }
    for (int n = 0; n < tokens; n++)
        for (int half = 0; half < 2; half++)
            dots[n][half] = sums[n][half];
}

/* Times one sub-scale of four rows, in 32-bit lanes. */
RP_INLINE v128_t times_sub_scale(const rp_traits *t, const tile *tile, int sub, int half, v128_t dots) {
    v128_t pairs = sub_pairs(t, tile, false, half, sub, sub);
    return wasm_i32x4_mul(dots, wasm_i32x4_shr(pairs, 16));
}

static __attribute__((noinline, minsize)) void unpack_tile(const rp_traits *t, const tile *tile,
                                                           v128_t (*unpacked)[4]) {
#pragma clang loop unroll(disable)
    for (uint32_t at = 0; at < RP_TILE / 4; at++)
        weights_at(t, tile, at, unpacked[at]);
}

RP_INLINE void tile_dots(const rp_traits *t, bool rare, const tile *tile, int tokens, v128_t dots[RP_TOKENS][2]) {
    v128_t unpacked[RP_TILE / 4][4], high[RP_TOKENS][2];
    if (rare)
        unpack_tile(t, tile, unpacked);
    const v128_t(*ready)[4] = rare ? (const v128_t(*)[4])unpacked : NULL;
    dot_columns(t, tile, ready, 0, t->subs == 2 ? 4 : 8, tokens, dots);
    if (t->subs == 2)
        dot_columns(t, tile, ready, 4, 8, tokens, high);
    for (int n = 0; n < tokens; n++)
        for (int half = 0; half < 2 && t->subs; half++) {
            dots[n][half] = times_sub_scale(t, tile, 0, half, dots[n][half]);
            if (t->subs == 2)
                dots[n][half] = wasm_i32x4_add(dots[n][half], times_sub_scale(t, tile, 1, half, high[n][half]));
        }
}

/* Eight float weights of one column. */
RP_INLINE void load_column(rp_type type, const uint8_t *p, half_constants k, v128_t w[2]) {
    if (type == RP_F32) {
        w[0] = wasm_v128_load(p);
        w[1] = wasm_v128_load(p + 16);
    } else if (type == RP_F16) {
        load_f16x8(p, k, w);
    } else {
        v128_t x = wasm_v128_load(p);
        w[0] = wasm_i32x4_shl(wasm_u32x4_extend_low_u16x8(x), 16);
        w[1] = wasm_i32x4_shl(wasm_u32x4_extend_high_u16x8(x), 16);
    }
}

RP_INLINE void floats_times_tokens(const rp_matmul *job, rp_type type, size_t g, size_t token, int tokens,
                                   size_t wanted) {
    const uint8_t *column = job->weights + g * job->group_bytes;
    const float *values = job->act->values + rp_act_value_at(job->act, token, 0);
    const half_constants k = load_half_constants();
    size_t bytes = RP_ROWS * (type == RP_F32 ? 4 : 2), columns = job->columns;
    v128_t acc[RP_TOKENS][2];
    for (int n = 0; n < tokens; n++)
        acc[n][0] = acc[n][1] = wasm_f32x4_splat(0.0f);
#pragma clang loop unroll_count(2)
    for (size_t c = 0; c < columns; c++, column += bytes, values += tokens) {
        v128_t w[2];
        load_column(type, column, k, w);
#pragma clang loop unroll(full)
        for (int n = 0; n < tokens; n++) {
            v128_t value = wasm_v128_load32_splat(values + n);
            acc[n][0] = wasm_f32x4_add(acc[n][0], wasm_f32x4_mul(w[0], value));
            acc[n][1] = wasm_f32x4_add(acc[n][1], wasm_f32x4_mul(w[1], value));
        }
    }
    for (size_t n = 0; n < wanted; n++)
        for (int half = 0; half < 2; half++)
            wasm_v128_store(job->out + (token + n) * job->stride + g * RP_ROWS + 4 * half, acc[n][half]);
}

RP_INLINE void matmul_floats(const rp_matmul *job, rp_type type) {
    for (size_t g = job->first; g < job->last; g++)
        for (size_t token = 0; token < job->act->tokens; token += RP_TOKENS) {
            size_t wanted = RP_MIN(job->act->tokens - token, RP_TOKENS);
            if (wanted > 1)
                floats_times_tokens(job, type, g, token, RP_TOKENS, wanted);
            else
                floats_times_tokens(job, type, g, token, 1, 1);
        }
}

#define FLOATS(name, type)                                                                                             \
    void rp_matmul_##name##_simd128(const rp_matmul *job) {                                                            \
        matmul_floats(job, type);                                                                                      \
    }
FLOATS(f32, RP_F32)
FLOATS(f16, RP_F16)
FLOATS(bf16, RP_BF16)

RP_INLINE v128_t low_mask(const rp_traits *t) {
    if (t->low_bits == 4)
        return opaque_u16x8(t->high_bits || t->table ? 0x0f0f : 0x000f);
    return opaque_u16x8(0x0303);
}

#define TILES(name, type)                                                                                              \
    void rp_matmul_##name##_simd128(const rp_matmul *job) {                                                            \
        matmul_tiles(job, &rp_type_traits[type], false, low_mask(&rp_type_traits[type]));                              \
    }
TILES(q4_0, RP_Q4_0)
TILES(q4_1, RP_Q4_1)
TILES(q5_0, RP_Q5_0)
TILES(q8_0, RP_Q8_0)
TILES(q4_k, RP_Q4_K)
TILES(q6_k, RP_Q6_K)
TILES(iq4_nl, RP_IQ4_NL)
TILES(iq4_xs, RP_IQ4_XS)

static __attribute__((noinline, minsize)) void matmul_rare(const rp_matmul *job, const rp_traits *t) {
    matmul_tiles(job, t, true, low_mask(t));
}

#define RARE_TILES(name, type)                                                                                         \
    void rp_matmul_##name##_simd128(const rp_matmul *job) {                                                            \
        matmul_rare(job, &rp_type_traits[type]);                                                                       \
    }
RARE_TILES(q5_1, RP_Q5_1)
RARE_TILES(q2_k, RP_Q2_K)
RARE_TILES(q3_k, RP_Q3_K)
RARE_TILES(q5_k, RP_Q5_K)
