/* What the inner loops of the matrix products could reach if nothing else had to be done: the same loads, unpacking, dots and sums on one
 * group of weights that stays in the first-level cache, without scales, minimums and outputs. And how fast memory is read. */
#ifndef CEILINGS_H
#define CEILINGS_H

#include "kernels/simd128.h"
#ifdef RP_HAVE_RELAXED
#include "kernels/relaxed_dot.h"
#endif

enum { CEILING_COLUMNS = 1536 };

typedef struct ceiling_data {
    uint8_t weights[CEILING_COLUMNS * RP_ROWS] __attribute__((aligned(16)));
    int8_t q[RP_TOKENS * CEILING_COLUMNS] __attribute__((aligned(16)));
    int16_t pairs[RP_TOKENS * CEILING_COLUMNS] __attribute__((aligned(16)));
    float values[RP_TOKENS * CEILING_COLUMNS] __attribute__((aligned(16)));
} ceiling_data;

/* The loops' kinds: bytes (4-bit codes, dots of bytes), words of 4-bit codes, words of 8-bit codes, floats. */
typedef enum ceiling_kind { CEILING_BYTES, CEILING_WORDS_4, CEILING_WORDS_8, CEILING_FLOATS, CEILINGS } ceiling_kind;

RP_INLINE void ceiling_step(ceiling_kind kind, const ceiling_data *d, size_t at, int tokens, v128_t mask,
                            v128_t sums[RP_TOKENS][2]) {
    v128_t w[4];
    if (kind == CEILING_WORDS_8)
        for (size_t i = 0; i < 4; i++)
            w[i] = wasm_i16x8_load8x8(d->weights + 32 * at + 8 * i);
    else if (kind == CEILING_FLOATS)
        for (size_t i = 0; i < 2; i++)
            w[i] = wasm_v128_load(d->values + 8 * (at % (CEILING_COLUMNS / 4)) + 4 * i);
    else {
        v128_t x = wasm_v128_load(d->weights + 16 * at);
        w[0] = wasm_v128_and(x, mask);
        w[1] = wasm_v128_and(wasm_u16x8_shr(x, 4), mask);
        w[2] = kind == CEILING_WORDS_4 ? wasm_v128_and(wasm_u16x8_shr(x, 8), mask) : x;
        w[3] = kind == CEILING_WORDS_4 ? wasm_u16x8_shr(x, 12) : x;
    }
#pragma clang loop unroll(full)
    for (int n = 0; n < tokens; n++) {
        if (kind == CEILING_FLOATS) {
            v128_t value = wasm_v128_load32_splat(d->values + (size_t)tokens * at + n);
            for (int half = 0; half < 2; half++)
                sums[n][half] = wasm_f32x4_add(sums[n][half], wasm_f32x4_mul(w[half], value));
            continue;
        }
#ifdef RP_HAVE_RELAXED
        if (kind == CEILING_BYTES) {
            v128_t four = wasm_v128_load32_splat(d->q + 4 * (size_t)tokens * at + 4 * n);
            for (int half = 0; half < 2; half++)
                sums[n][half] = wasm_i16x8_add(sums[n][half], wasm_i16x8_relaxed_dot_i8x16_i7x16(four, w[half]));
            continue;
        }
#endif
        v128_t even = wasm_v128_load32_splat(d->pairs + 4 * (size_t)tokens * at + 4 * n);
        v128_t odd = wasm_v128_load32_splat(d->pairs + 4 * (size_t)tokens * at + 4 * n + 2);
        for (int half = 0; half < 2; half++) {
            sums[n][half] = wasm_i32x4_add(sums[n][half], wasm_i32x4_dot_i16x8(w[half], even));
            sums[n][half] = wasm_i32x4_add(sums[n][half], wasm_i32x4_dot_i16x8(w[2 + half], odd));
        }
    }
}

RP_INLINE float ceiling_run(ceiling_kind kind, const ceiling_data *d, int tokens) {
    v128_t mask = opaque_u16x8(kind == CEILING_BYTES ? 0x0f0f : 0x000f), sums[RP_TOKENS][2], all = wasm_f32x4_splat(0);
    for (int n = 0; n < tokens; n++)
        sums[n][0] = sums[n][1] = all;
    size_t steps = kind == CEILING_FLOATS ? CEILING_COLUMNS : CEILING_COLUMNS / 4;
#pragma clang loop unroll(disable)
    for (size_t at = 0; at < steps; at++)
        ceiling_step(kind, d, at, tokens, mask, sums);
    for (int n = 0; n < tokens; n++)
        all = wasm_v128_xor(all, wasm_v128_xor(sums[n][0], sums[n][1]));
    return wasm_f32x4_extract_lane(all, 0);
}

/* 8 rows times 1 or 4 tokens once; the result keeps the compiler from leaving it out. */
static __attribute__((noinline)) float ceiling_once(ceiling_kind kind, const ceiling_data *d, bool many) {
    switch (kind) {
    case CEILING_BYTES: return many ? ceiling_run(CEILING_BYTES, d, 4) : ceiling_run(CEILING_BYTES, d, 1);
    case CEILING_WORDS_4: return many ? ceiling_run(CEILING_WORDS_4, d, 4) : ceiling_run(CEILING_WORDS_4, d, 1);
    case CEILING_WORDS_8: return many ? ceiling_run(CEILING_WORDS_8, d, 4) : ceiling_run(CEILING_WORDS_8, d, 1);
    default: return many ? ceiling_run(CEILING_FLOATS, d, 4) : ceiling_run(CEILING_FLOATS, d, 1);
    }
}

/* The loop that a table's kernel for a type is made of. */
static ceiling_kind ceiling_of(rp_isa isa, rp_type type) {
    const rp_traits *t = &rp_type_traits[type];
    if (rp_type_is_float(type))
        return CEILING_FLOATS;
    if (t->low_bits == 8 || t->table)
        return CEILING_WORDS_8;
    return isa == RP_ISA_RELAXED ? CEILING_BYTES : CEILING_WORDS_4;
}

/* Reads bytes of a block much larger than any cache. */
static __attribute__((noinline)) float stream_once(const uint8_t *bytes, size_t size) {
    v128_t sums[4] = {wasm_i32x4_splat(0), wasm_i32x4_splat(0), wasm_i32x4_splat(0), wasm_i32x4_splat(0)};
    for (size_t at = 0; at + 64 <= size; at += 64)
        for (size_t i = 0; i < 4; i++)
            sums[i] = wasm_i32x4_add(sums[i], wasm_v128_load(bytes + at + 16 * i));
    return (float)wasm_i32x4_extract_lane(
        wasm_v128_xor(wasm_v128_xor(sums[0], sums[1]), wasm_v128_xor(sums[2], sums[3])), 0);
}

#endif
