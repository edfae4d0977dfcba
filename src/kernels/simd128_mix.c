/* Mixing cached values in q8_0, on WASM simd128: 16-bit weights times 8-bit codes, two positions a lane. */
#include "simd128.h"

/* One tile's weights times its scales, in 16 bits; returns what a step of them is worth. */
static float quantize_weights(const float *weights, const uint8_t *tile, int16_t q[RP_TILE]) {
    const half_constants k16 = load_half_constants();
    v128_t w[8], top = wasm_f32x4_splat(0.0f);
    for (size_t i = 0; i < 4; i++) {
        v128_t d[2];
        load_f16x8(tile + 16 * i, k16, d);
        for (size_t k = 0; k < 2; k++) {
            w[2 * i + k] = wasm_f32x4_mul(wasm_v128_load(weights + 8 * i + 4 * k), d[k]);
            top = wasm_f32x4_pmax(top, wasm_f32x4_abs(w[2 * i + k]));
        }
    }
    top = wasm_f32x4_pmax(top, wasm_i32x4_shuffle(top, top, 2, 3, 0, 1));
    top = wasm_f32x4_pmax(top, wasm_i32x4_shuffle(top, top, 1, 0, 3, 2));
    float most = wasm_f32x4_extract_lane(top, 0);
    bool zero = most < 1e-30f;
    v128_t inverse = wasm_f32x4_splat(zero ? 0.0f : 32767.0f / most), magic = wasm_f32x4_splat(RP_EXPF_MAGIC);
    for (size_t i = 0; i < 8; i++) {
        w[i] = wasm_f32x4_pmax(wasm_f32x4_splat(-32767.0f), wasm_f32x4_mul(w[i], inverse));
        w[i] = wasm_f32x4_pmin(wasm_f32x4_splat(32767.0f), w[i]);
        w[i] = wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_sub(wasm_f32x4_add(w[i], magic), magic));
    }
    for (size_t i = 0; i < 4; i++)
        wasm_v128_store(q + 8 * i, wasm_i16x8_narrow_i32x4(w[2 * i], w[2 * i + 1]));
    return zero ? 0.0f : most / 32767.0f;
}

enum { COLUMNS = 16 }; /* whose sums stay in registers */

static void mix_tile(const uint8_t *codes, const int16_t q[RP_TILE], float unit, float *out) {
    for (size_t start = 0; start < RP_TILE; start += COLUMNS) {
        v128_t sums[COLUMNS / 4];
        for (size_t i = 0; i < COLUMNS / 4; i++)
            sums[i] = wasm_i32x4_splat(0);
#pragma clang loop unroll_count(4)
        for (size_t pair = 0; pair < RP_TILE / 2; pair++) {
            v128_t weight = wasm_v128_load32_splat(q + 2 * pair);
            for (size_t i = 0; i < COLUMNS / 4; i++) {
                v128_t code = wasm_i16x8_load8x8(codes + 2 * RP_TILE * pair + 2 * start + 8 * i);
                sums[i] = wasm_i32x4_add(sums[i], wasm_i32x4_dot_i16x8(code, weight));
            }
        }
        for (size_t i = 0; i < COLUMNS / 4; i++) {
            float *to = out + start + 4 * i;
            v128_t product = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(sums[i]), wasm_f32x4_splat(unit));
            wasm_v128_store(to, wasm_f32x4_add(wasm_v128_load(to), product));
        }
    }
}

/* Tile by tile, so that a tile is read from memory once for all queries. */
void rp_mix_q8_0_simd128(const rp_mix *job) {
    for (size_t query = 0; query < job->queries; query++)
        for (size_t c = 0; c < RP_TILE; c += 4)
            wasm_v128_store(job->out + query * job->stride + c, wasm_f32x4_splat(0.0f));
    for (size_t i = 0; i < job->tiles; i++) {
        const uint8_t *tile = job->strip + i * RP_MIX_TILE_BYTES;
        for (size_t query = 0; query < job->queries; query++) {
            int16_t q[RP_TILE];
            float unit = quantize_weights(job->weights + query * job->weight_stride + i * RP_TILE, tile, q);
            mix_tile(tile + 2 * RP_TILE, q, unit, job->out + query * job->stride);
        }
    }
}
