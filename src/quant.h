/* Weight types: how a GGUF file stores them and how they lie in memory here.
 *
 * In the file every row is a run of blocks of 32 or 256 weights (ggml's block_q4_0 and so on). In memory eight rows lie
 * side by side, so that one SIMD lane is one row: no horizontal sums, one activation broadcast serves eight rows,
 * and the order of float additions is the same for every instruction set: block after block.
 *
 * Memory layout of a quantized matrix, all groups of 8 rows one after another (missing rows are zero):
 *   group  = its super-blocks, left to right
 *   super  = f16 d[8], then f16 min[8] if the type has minimums, then its tiles (1 of them, or 8 for 256-wide types)
 *   tile   = 8 rows x 32 columns: sub-scales, then planes of bits
 *   sub-scales: u8 or i8 sc[subs][8], u8 m[subs][8] (Q2_K: sc | m << 4 in one byte); absent for 32-wide types
 *   planes, for row r and column c = 4t + k:
 *     8 bits  byte 32t + 16(r/4) + 8(k&1) + 2(r%4) + k/2
 *     4 bits  byte 16t + 4(r%4) + k, nibble r/4
 *     2 bits  byte 32(r/4) + 16(t/4) + 4(r%4) + k, bits 2(t%4)
 *     1 bit   byte 16(r/4) + 4(r%4) + k, bit t
 *   The low plane comes first (8, 4 or 2 bits), then the high one (2 or 1 bits), if any.
 * Float matrices (F32, F16, BF16): group = columns, each with the 8 rows' values.
 *
 * A weight's value is d * sc * (code - zero) - min * m, with table[code] for code - zero in IQ4. */
#ifndef RP_QUANT_H
#define RP_QUANT_H

#include "base.h"

enum { RP_ROWS = 8, RP_TILE = 32 };

/* The types we run, densely numbered; ggml's own numbers are in the traits. */
typedef enum rp_type {
    RP_F32,
    RP_F16,
    RP_BF16,
    RP_Q4_0,
    RP_Q4_1,
    RP_Q5_0,
    RP_Q5_1,
    RP_Q8_0,
    RP_Q2_K,
    RP_Q3_K,
    RP_Q4_K,
    RP_Q5_K,
    RP_Q6_K,
    RP_IQ4_NL,
    RP_IQ4_XS,
    RP_TYPES,
} rp_type;

typedef struct rp_traits {
    const char *name;
    uint8_t ggml_type;           /* its number in GGUF files */
    uint16_t columns;            /* of a block */
    uint16_t block_bytes;        /* of a block in the file */
    uint8_t low_bits, high_bits; /* planes; 0, 0 for floats */
    uint8_t zero;                /* subtracted from a code */
    uint8_t subs;                /* sub-scales in a tile: 0 (the super's d alone), 1 or 2 */
    bool minimum;                /* has a minimum */
    bool table;                  /* codes index rp_iq4_values */
} rp_traits;

/* In the header so that a kernel for one type sees constants. */
static const rp_traits rp_type_traits[RP_TYPES] = {
    /*            name     ggml columns bytes low high zero subs minimum table */
    [RP_F32] = {"F32", 0, 1, 4, 0, 0, 0, 0, false, false},
    [RP_F16] = {"F16", 1, 1, 2, 0, 0, 0, 0, false, false},
    [RP_BF16] = {"BF16", 30, 1, 2, 0, 0, 0, 0, false, false},
    [RP_Q4_0] = {"Q4_0", 2, 32, 18, 4, 0, 8, 0, false, false},
    [RP_Q4_1] = {"Q4_1", 3, 32, 20, 4, 0, 0, 0, true, false},
    [RP_Q5_0] = {"Q5_0", 6, 32, 22, 4, 1, 16, 0, false, false},
    [RP_Q5_1] = {"Q5_1", 7, 32, 24, 4, 1, 0, 0, true, false},
    [RP_Q8_0] = {"Q8_0", 8, 32, 34, 8, 0, 0, 0, false, false},
    [RP_Q2_K] = {"Q2_K", 10, 256, 84, 2, 0, 0, 2, true, false},
    [RP_Q3_K] = {"Q3_K", 11, 256, 110, 2, 1, 4, 2, false, false},
    [RP_Q4_K] = {"Q4_K", 12, 256, 144, 4, 0, 0, 1, true, false},
    [RP_Q5_K] = {"Q5_K", 13, 256, 176, 4, 1, 0, 1, true, false},
    [RP_Q6_K] = {"Q6_K", 14, 256, 210, 4, 2, 32, 2, false, false},
    [RP_IQ4_NL] = {"IQ4_NL", 20, 32, 18, 4, 0, 0, 0, false, true},
    [RP_IQ4_XS] = {"IQ4_XS", 23, 256, 136, 4, 0, 0, 1, false, true},
};

extern const int8_t rp_iq4_values[16];

/* False when ggml's type number is none of ours. */
bool rp_type_from_ggml(uint32_t ggml_type, rp_type *type);

static inline bool rp_type_is_float(rp_type type) {
    return type <= RP_BF16;
}

/* Pieces of the memory layout, in bytes. Written to fold to constants where the type is one. */
static inline size_t rp_tile_scales_bytes(const rp_traits *t) {
    return (size_t)t->subs * RP_ROWS * (t->minimum && t->low_bits != 2 ? 2 : 1);
}
static inline size_t rp_tile_bytes(const rp_traits *t) {
    return rp_tile_scales_bytes(t) + RP_ROWS * RP_TILE / 8 * (size_t)(t->low_bits + t->high_bits);
}
static inline size_t rp_super_head_bytes(const rp_traits *t) {
    return 2 * RP_ROWS * (t->minimum ? 2 : 1);
}
static inline size_t rp_super_bytes(const rp_traits *t) {
    return rp_super_head_bytes(t) + t->columns / RP_TILE * rp_tile_bytes(t);
}

/* Bytes of one row in the file; columns must be a multiple of the block's. */
uint64_t rp_row_file_bytes(rp_type type, uint64_t columns);
/* Bytes of a group of 8 rows in memory. */
uint64_t rp_group_bytes(rp_type type, uint64_t columns);

/* Lays out `count` (1 to 8) rows of a file, one after another at `rows`, as one group at `group`. */
void rp_pack_group(rp_type type, size_t columns, const uint8_t *rows, size_t count, uint8_t *group);

/* Puts one row of 32 signed codes into the plane of a Q8_0 tile. */
void rp_store_row_q8_0(uint8_t *plane, size_t r, const int8_t codes[RP_TILE]);

/* One tile's codes, zero point subtracted (or looked up): codes[row][column]. */
void rp_unpack_codes(rp_type type, const uint8_t *tile, int8_t codes[RP_ROWS][RP_TILE]);
/* Sub-scale and sub-minimum of a row in a tile; 1 and 1 where the type has none. */
void rp_unpack_scales(rp_type type, const uint8_t *tile, size_t sub, size_t row, int *scale, int *minimum);

/* Row `row` of a matrix in memory layout as floats: for embeddings. */
void rp_unpack_row(rp_type type, size_t columns, const uint8_t *matrix, size_t row, float *out);
/* A row as the file stores it, as floats: for norms and biases. */
void rp_file_row_to_f32(rp_type type, size_t columns, const uint8_t *row, float *out);

#endif
