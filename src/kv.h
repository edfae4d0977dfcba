/* The KV cache: for each slot and KV head the keys, then the values, laid out for the kernels (kernels.h). Positions are lanes of
 * keys and columns of values, so that both products of attention are matrix products.
 *
 *   keys             a matrix in the layout of quant.h (F16, F32 or Q8_0), one row a position, `width` columns; q8_q4: Q8_0
 *   values, floats   a matrix in the layout of quant.h, one column a position, `width` rows
 *   values, q8_0     strips of 32 columns, each: tiles of 32 positions; a tile: f16 scale[32 positions], then for each pair of
 *                    positions and each of the 32 columns the two codes
 *   values, q8_q4    the same with codes of 4 bits (q4_0): two columns share a byte (rp_mix_q4_place)
 *
 * Every part is one or more strips that grow with the positions: a strip of keys by groups of 8, of float values by columns,
 * of values in codes by tiles. */
#ifndef RP_KV_H
#define RP_KV_H

#include "kernels/kernels.h"
#include "reprise.h"

typedef struct rp_kv {
    rp_kv_type type;
    size_t head_dim, width; /* of one head; rounded up to 8, in codes: to 32 */
    size_t positions;       /* room, a multiple of 32 */
    size_t heads, slots;
    const rp_kernels *kernels;
    uint8_t *bytes;
} rp_kv;

static inline bool rp_kv_is_float(rp_kv_type type) {
    return type == RP_KV_F16 || type == RP_KV_F32;
}
/* The rounding of width. */
size_t rp_kv_width(rp_kv_type type, size_t head_dim);
/* Bytes of all; false on overflow. head_dim and heads up to 4096, slots up to 512. */
bool rp_kv_bytes(const rp_kv *kv, uint64_t *bytes);
uint64_t rp_kv_bytes_per_position(const rp_kv *kv);

/* Of the keys, and of values in floats. */
rp_type rp_kv_matrix_type(const rp_kv *kv);
const uint8_t *rp_kv_keys(const rp_kv *kv, size_t slot, size_t head);
const uint8_t *rp_kv_values(const rp_kv *kv, size_t slot, size_t head);
/* From one group of eight value rows to the next, or from one strip of values in codes to the next. */
size_t rp_kv_value_stride(const rp_kv *kv);

/* Stores head_dim floats. Positions of a strip's unit must be stored in order at first: the unit's first position clears the rest.
 * Values that are infinite or no number are stored as finite ones, so that a weight of 0 leaves nothing of them. */
void rp_kv_store_key(const rp_kv *kv, size_t slot, size_t head, size_t position, const float *x);
void rp_kv_store_value(const rp_kv *kv, size_t slot, size_t head, size_t position, const float *x);

/* Strips one after another, over slots and heads, keys before values: for copying and saving. */
size_t rp_kv_strips(const rp_kv *kv);
/* The bytes that positions 0..length-1 are in. */
uint8_t *rp_kv_strip(const rp_kv *kv, size_t index, size_t length, size_t *bytes);

#endif
