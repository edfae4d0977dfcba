/* One small computation through a table of kernels, so that whoever loads a build can see that this machine computes what
 * every other does. */
#include "kernels.h"

#include <string.h>

enum { COLUMNS = 64 };

/* Fixed numbers in [-1, 1), from a linear congruential generator (Knuth's MMIX). */
static float next_float(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(int32_t)(*state >> 40) / 8388608.0f - 1.0f;
}

uint32_t rp_kernels_check(const rp_kernels *kernels) {
    static const rp_type types[] = {RP_F32, RP_Q4_0, RP_Q8_0};
    uint8_t rows[RP_ROWS * COLUMNS * 4] __attribute__((aligned(16))), group[sizeof rows] __attribute__((aligned(16)));
    float x[COLUMNS], values[COLUMNS], scale[COLUMNS / RP_TILE], out[RP_ROWS];
    int8_t q[COLUMNS];
    int16_t pairs[COLUMNS], sums[COLUMNS / 16];
    rp_act act = {q, pairs, scale, sums, values, COLUMNS, 1};
    uint64_t state = 1, hash = RP_HASH_START;
    for (size_t i = 0; i < RP_COUNT(types); i++) {
        size_t row_bytes = (size_t)rp_row_file_bytes(types[i], COLUMNS), block = rp_type_traits[types[i]].block_bytes;
        for (size_t c = 0; c < COLUMNS; c++)
            x[c] = 3 * next_float(&state);
        for (size_t at = 0; at < RP_ROWS * row_bytes; at += block) {
            float value = next_float(&state);
            uint16_t half = rp_f32_to_f16(value);
            for (size_t k = 0; k < block; k++)
                rows[at + k] = (uint8_t)(128 * next_float(&state) + 128);
            memcpy(rows + at, types[i] == RP_F32 ? (const void *)&value : &half, types[i] == RP_F32 ? 4 : 2);
        }
        rp_pack_group(types[i], COLUMNS, rows, RP_ROWS, group);
        kernels->quantize(x, COLUMNS, &act, 0);
        rp_matmul job = {.weights = group,
                         .group_bytes = 0,
                         .columns = COLUMNS,
                         .last = 1,
                         .act = &act,
                         .out = out,
                         .stride = RP_ROWS};
        kernels->matmul[types[i]](&job);
        hash = rp_hash_bytes(hash, out, sizeof out);
        kernels->rms_norm(values, x, x, COLUMNS - 1, 1e-5f);
        kernels->silu_mul(values, x, COLUMNS - 1);
        kernels->softmax(x, COLUMNS - 1, 1.0f);
        hash = rp_hash_bytes(hash, x, sizeof x);
        hash = rp_hash_bytes(hash, values, (COLUMNS - 1) * sizeof *values);
    }
    return (uint32_t)(hash ^ hash >> 32);
}
