/* Mixing cached values in q8_0 and q4_0, on WASM simd128: 16-bit weights times 8-bit codes, two positions a lane. */
#include "simd128.h"

enum { MOST = 3, COLUMNS = 16 }; /* queries that are mixed together, columns whose sums stay in registers */

typedef struct constants {
    half_constants half;
    v128_t magic, lowest, magnitude;
} constants;

/* One tile's weights times its scales, in 16 bits; returns what a step of them is worth. Where nothing is too large, an integer is what
 * the magic number's bits and those of the sum differ by. */
RP_INLINE float quantize_weights(const float *weights, const v128_t scales[8], const constants *k, int16_t q[RP_TILE]) {
    v128_t w[8], top = wasm_f32x4_splat(0.0f);
    for (size_t i = 0; i < 8; i++) {
        w[i] = wasm_f32x4_mul(wasm_v128_load(weights + 4 * i), scales[i]);
        top = wasm_f32x4_pmax(top, wasm_v128_and(w[i], k->magnitude));
    }
    top = wasm_f32x4_pmax(top, wasm_i32x4_shuffle(top, top, 2, 3, 0, 1));
    top = wasm_f32x4_pmax(top, wasm_i32x4_shuffle(top, top, 1, 0, 3, 2));
    float most = wasm_f32x4_extract_lane(top, 0);
    bool zero = most < 1e-30f;
    v128_t inverse = wasm_f32x4_splat(zero ? 0.0f : 32767.0f / most);
    for (size_t i = 0; i < 8; i++) {
        w[i] = wasm_f32x4_pmax(k->lowest, wasm_f32x4_mul(w[i], inverse));
        w[i] = wasm_i32x4_sub(wasm_f32x4_add(w[i], k->magic), k->magic);
    }
    for (size_t i = 0; i < 4; i++)
        wasm_v128_store(q + 8 * i, wasm_i16x8_narrow_i32x4(w[2 * i], w[2 * i + 1]));
    return zero ? 0.0f : most / 32767.0f;
}

/* A tile's nibbles as the codes of one in q8_0. A pass of its own, a tenth of the time: done in the loop over positions, it
 * would want that loop once more for each number of queries, and pages download it. */
static __attribute__((noinline)) const uint8_t *unpack(const uint8_t *nibbles, uint8_t codes[RP_TILE * RP_TILE]) {
    const v128_t mask = opaque_u16x8(0x0f0f), zero = opaque_u16x8(RP_MIX_Q4_ZERO * 0x0101);
    for (size_t pair = 0; pair < RP_TILE / 2; pair++)
        for (size_t half = 0; half < 2; half++) {
            v128_t both = wasm_v128_load(nibbles + RP_TILE * pair + 16 * half);
            uint8_t *to = codes + 2 * RP_TILE * pair + 16 * half;
            wasm_v128_store(to, wasm_i8x16_sub(wasm_v128_and(both, mask), zero));
            wasm_v128_store(to + RP_TILE, wasm_i8x16_sub(wasm_v128_and(wasm_u16x8_shr(both, 4), mask), zero));
        }
    return codes;
}

/* A tile is taken apart once for all queries. Its positions stay a loop: see simd128_tile.h. */
RP_INLINE void mix_tile(const uint8_t *codes, size_t start, const int16_t q[MOST][RP_TILE], const float *unit,
                        int queries, float *out, size_t stride) {
    v128_t sums[MOST][COLUMNS / 4];
    for (int n = 0; n < queries; n++)
        for (size_t i = 0; i < COLUMNS / 4; i++)
            sums[n][i] = wasm_i32x4_splat(0);
#pragma clang loop unroll(disable)
    for (size_t pair = 0; pair < RP_TILE / 2; pair++) {
        v128_t weight[MOST];
        for (int n = 0; n < queries; n++)
            weight[n] = wasm_v128_load32_splat(&q[n][2 * pair]);
        for (size_t i = 0; i < COLUMNS / 4; i++) {
            v128_t code = wasm_i16x8_load8x8(codes + 2 * RP_TILE * pair + 2 * start + 8 * i);
            for (int n = 0; n < queries; n++)
                sums[n][i] = wasm_i32x4_add(sums[n][i], wasm_i32x4_dot_i16x8(code, weight[n]));
        }
    }
    for (int n = 0; n < queries; n++)
        for (size_t i = 0; i < COLUMNS / 4; i++) {
            float *to = out + (size_t)n * stride + start + 4 * i;
            v128_t product = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(sums[n][i]), wasm_f32x4_splat(unit[n]));
            wasm_v128_store(to, wasm_f32x4_add(wasm_v128_load(to), product));
        }
}

RP_INLINE void mix_queries(const rp_mix *job, bool nibbles, size_t first, int queries) {
    const constants k = {load_half_constants(), opaque_f32x4(RP_EXPF_MAGIC), opaque_f32x4(-32767.0f),
                         opaque_magnitude()};
    float *out = job->out + first * job->stride;
    for (int n = 0; n < queries; n++)
        for (size_t c = 0; c < RP_TILE; c += 4)
            wasm_v128_store(out + (size_t)n * job->stride + c, wasm_f32x4_splat(0.0f));
    for (size_t i = 0; i < job->tiles; i++) {
        const uint8_t *tile = job->strip + i * (size_t)(nibbles ? RP_MIX_Q4_TILE_BYTES : RP_MIX_TILE_BYTES);
        const float *weights = job->weights + first * job->weight_stride + i * RP_TILE;
        v128_t scales[8];
        int16_t q[MOST][RP_TILE];
        float unit[MOST];
        uint8_t unpacked[RP_TILE * RP_TILE];
        for (size_t j = 0; j < 4; j++)
            load_f16x8(tile + 16 * j, k.half, scales + 2 * j);
        for (int n = 0; n < queries; n++)
            unit[n] = quantize_weights(weights + (size_t)n * job->weight_stride, scales, &k, q[n]);
        const uint8_t *codes = nibbles ? unpack(tile + 2 * RP_TILE, unpacked) : tile + 2 * RP_TILE;
        for (size_t start = 0; start < RP_TILE; start += COLUMNS)
            mix_tile(codes, start, q, unit, queries, out, job->stride);
    }
}

/* One function for both types, so that there are three loops and not six. */
static __attribute__((noinline)) void mix(const rp_mix *job, bool nibbles) {
    for (size_t query = 0, queries; query < job->queries; query += queries) {
        size_t left = job->queries - query;
        queries = left == MOST + 1 ? 2 : RP_MIN(left, (size_t)MOST);
        switch (queries) {
        case 3: mix_queries(job, nibbles, query, 3); break;
        case 2: mix_queries(job, nibbles, query, 2); break;
        default: mix_queries(job, nibbles, query, 1); break;
        }
    }
}

void rp_mix_q8_0_simd128(const rp_mix *job) {
    mix(job, false);
}

void rp_mix_q4_0_simd128(const rp_mix *job) {
    mix(job, true);
}
