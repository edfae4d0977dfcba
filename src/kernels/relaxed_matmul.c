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
RP_INLINE void add_dots(const rp_traits *t, const tile *tile, uint32_t at, int tokens, int first, int last,
                        v128_t sums[RP_TOKENS][2]) {
    v128_t codes[2];
    for (int half = first; half < last; half++)
        codes[half] = codes_at(t, tile, at, (uint32_t)half);
#pragma clang loop unroll(full)
    for (int n = 0; n < tokens; n++) {
        v128_t four = wasm_v128_load32_splat(tile->q + 4 * (uint32_t)tokens * at + 4 * n);
        for (int half = first; half < last; half++)
            sums[n][half] = wasm_i16x8_add(sums[n][half], wasm_i16x8_relaxed_dot_i8x16_i7x16(four, codes[half]));
    }
}

/* Dots of rows of the halves first..last-1. */
RP_INLINE void dot_halves(const rp_traits *t, const tile *tile, int tokens, int first, int last,
                          v128_t dots[RP_TOKENS][2]) {
    uint32_t steps = steps_at_once(t);
    for (int n = 0; n < tokens; n++)
        for (int half = first; half < last; half++)
            dots[n][half] = wasm_i32x4_splat(0);
#pragma clang loop unroll(full)
    for (uint32_t start = 0; start < RP_TILE / 4; start += steps) {
        v128_t sums[RP_TOKENS][2];
        for (int n = 0; n < tokens; n++)
            for (int half = first; half < last; half++)
                sums[n][half] = wasm_i16x8_splat(0);
        if (t->high_bits && tokens == 1) { /* shifts by a constant, and few sums */
#pragma clang loop unroll(full)
            for (uint32_t at = start; at < start + steps; at++)
                add_dots(t, tile, at, tokens, first, last, sums);
        } else if (tokens == 1) {
#pragma clang loop unroll_count(2)
            for (uint32_t at = start; at < start + steps; at++)
                add_dots(t, tile, at, tokens, first, last, sums);
        } else {
#pragma clang loop unroll(disable)
            for (uint32_t at = start; at < start + steps; at++)
                add_dots(t, tile, at, tokens, first, last, sums);
        }
        int sub = t->subs == 2 ? (int)start / 4 : 0;
        for (int half = first; half < last; half++) {
            v128_t factor = t->subs ? sub_pairs(t, tile, false, half, sub, sub) : tile->ones;
            for (int n = 0; n < tokens; n++)
                dots[n][half] = wasm_i32x4_add(dots[n][half], wasm_i32x4_dot_i16x8(sums[n][half], factor));
        }
    }
}

RP_INLINE void tile_dots(const rp_traits *t, bool rare, const tile *tile, int tokens, v128_t dots[RP_TOKENS][2]) {
    (void)rare;
    if (steps_at_once(t) == RP_TILE / 4) {
        dot_halves(t, tile, tokens, 0, 2, dots);
    } else { /* one half after the other: two kinds of sums want registers */
        dot_halves(t, tile, tokens, 0, 1, dots);
        dot_halves(t, tile, tokens, 1, 2, dots);
    }
}

#define TILES(name, type, mask)                                                                                        \
    void rp_matmul_##name##_relaxed(const rp_matmul *job) {                                                            \
        matmul_tiles(job, &rp_type_traits[type], false, opaque_u16x8(mask));                                           \
    }
TILES(q4_0, RP_Q4_0, 0x0f0f)
TILES(q4_1, RP_Q4_1, 0x0f0f)
TILES(q5_0, RP_Q5_0, 0x0f0f)
TILES(q5_1, RP_Q5_1, 0x0f0f)
TILES(q2_k, RP_Q2_K, 0x0303)
TILES(q3_k, RP_Q3_K, 0x0303)
TILES(q4_k, RP_Q4_K, 0x0f0f)
TILES(q5_k, RP_Q5_K, 0x0f0f)
TILES(q6_k, RP_Q6_K, 0x0f0f)
