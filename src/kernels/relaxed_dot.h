/* The relaxed dot of bytes where it is not an instruction: SIMDe has none. The second operand must lie in 0..127. */
#ifndef RP_RELAXED_DOT_H
#define RP_RELAXED_DOT_H

#include "simd128.h"

#ifndef __wasm__
#ifdef __SSSE3__
#include <tmmintrin.h>
#endif

static inline v128_t wasm_i16x8_relaxed_dot_i8x16_i7x16(v128_t a, v128_t b) {
#ifdef __SSSE3__
    return simde_v128_from_m128i(_mm_maddubs_epi16(simde_v128_to_m128i(b), simde_v128_to_m128i(a)));
#else
    v128_t low = wasm_i16x8_extmul_low_i8x16(a, b), high = wasm_i16x8_extmul_high_i8x16(a, b);
    v128_t even = wasm_i16x8_shuffle(low, high, 0, 2, 4, 6, 8, 10, 12, 14);
    return wasm_i16x8_add(even, wasm_i16x8_shuffle(low, high, 1, 3, 5, 7, 9, 11, 13, 15));
#endif
}
#endif

#endif
