/* Matrix products on WASM relaxed SIMD: dots of bytes, for codes of up to 6 bits; see simd128_tile.h. The only relaxed instruction is
 * i16x8.relaxed_dot_i8x16_i7x16_s, whose result every engine agrees on as long as its second operand lies in 0..127 (WebAssembly
 * relaxed SIMD, "relaxed integer dot product"): codes do, and their zero points are taken out later. Q8_0 and IQ4, whose
 * weights have a sign, stay with dots of 16-bit lanes. */
#include "relaxed_dot.h"
#include "simd128_tile.h"

/* Steps of 4 columns whose pairs' dots fit into 16 bits together: codes up to `most`, activations up to 127, two columns a pair. */
RP_INLINE uint32_t steps_at_once(const rp_traits *t) {
    int most = (1 << (t->low_bits + t->high_bits)) - 1, steps = 32767 / (2 * 127 * most);
    int whole = t->subs == 2 ? 4 : 8;
    return steps >= whole ? whole : steps >= 4 ? 4 : 2;
}

/* Four columns more. */
RP_INLINE void add_dots(const rp_traits *t, const tile *tile, size_t group_bytes, uint32_t at, int groups, int tokens,
                        int first, int last, v128_t sums[RP_TOKENS][2]) {
    for (int g = 0; g < groups; g++) {
        const struct tile of_group = moved(*tile, (size_t)g * group_bytes);
        v128_t codes[2];
        for (int half = first; half < last; half++)
            codes[half] = codes_at(t, &of_group, at, (uint32_t)half);
#pragma clang loop unroll(full)
        for (int n = 0; n < tokens; n++) {
            v128_t four = wasm_v128_load32_splat(tile->q + 16 * at + 4 * n);
            for (int half = first; half < last; half++) {
                v128_t dot = wasm_i16x8_relaxed_dot_i8x16_i7x16(four, codes[half]);
                sums[g + n][half] = wasm_i16x8_add(sums[g + n][half], dot);
            }
        }
    }
}

/* Dots of rows of the halves first..last-1. */
RP_INLINE void dot_halves(const rp_traits *t, const tile *tile, size_t group_bytes, int groups, int tokens, int first,
                          int last, v128_t dots[RP_TOKENS][2]) {
    uint32_t steps = steps_at_once(t);
    int units = groups * tokens;
    for (int n = 0; n < units; n++)
        for (int half = first; half < last; half++)
            dots[n][half] = wasm_i32x4_splat(0);
#pragma clang loop unroll(full)
    for (uint32_t start = 0; start < RP_TILE / 4; start += steps) {
        v128_t sums[RP_TOKENS][2];
        for (int n = 0; n < units; n++)
            for (int half = first; half < last; half++)
                sums[n][half] = wasm_i16x8_splat(0);
        if (t->high_bits && tokens == 1) { /* shifts by a constant, and few sums */
#pragma clang loop unroll(full)
            for (uint32_t at = start; at < start + steps; at++)
                add_dots(t, tile, group_bytes, at, groups, tokens, first, last, sums);
        } else {
#pragma clang loop unroll(disable)
            for (uint32_t at = start; at < start + steps; at++)
                add_dots(t, tile, group_bytes, at, groups, tokens, first, last, sums);
        }
        int sub = t->subs == 2 ? (int)start / 4 : 0;
        for (int n = 0; n < units; n++)
            for (int half = first; half < last; half++) {
                const struct tile of_group = moved(*tile, groups > 1 ? (size_t)n * group_bytes : 0);
                v128_t factor = t->subs ? sub_pairs(t, &of_group, false, half, sub, sub) : tile->ones;
                dots[n][half] = wasm_i32x4_add(dots[n][half], wasm_i32x4_dot_i16x8(sums[n][half], factor));
            }
    }
}

RP_INLINE void tile_dots(const rp_traits *t, bool rare, const tile *tile, size_t group_bytes, int groups, int tokens,
                         v128_t dots[RP_TOKENS][2]) {
    (void)rare;
    if (steps_at_once(t) == RP_TILE / 4) {
        dot_halves(t, tile, group_bytes, groups, tokens, 0, 2, dots);
    } else { /* one half after the other: two kinds of sums want registers */
        dot_halves(t, tile, group_bytes, groups, tokens, 0, 1, dots);
        dot_halves(t, tile, group_bytes, groups, tokens, 1, 2, dots);
    }
}

#define TILES(name, type, rare, mask)                                                                                  \
    void rp_matmul_##name##_relaxed(const rp_matmul *job) {                                                            \
        matmul_tiles(job, &rp_type_traits[type], rare, opaque_u16x8(mask));                                            \
    }
TILES(q4_0, RP_Q4_0, false, 0x0f0f)
TILES(q4_1, RP_Q4_1, false, 0x0f0f)
TILES(q5_0, RP_Q5_0, false, 0x0f0f)
TILES(q5_1, RP_Q5_1, true, 0x0f0f)
TILES(q2_k, RP_Q2_K, true, 0x0303)
TILES(q3_k, RP_Q3_K, true, 0x0303)
TILES(q4_k, RP_Q4_K, false, 0x0f0f)
TILES(q5_k, RP_Q5_K, false, 0x0f0f)
TILES(q6_k, RP_Q6_K, false, 0x0f0f)
