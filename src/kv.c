/* The KV cache: where what lies, and storing. See kv.h. */
#include "kv.h"

#include "math.h"

#include <string.h>

size_t rp_kv_width(rp_kv_type type, size_t head_dim) {
    return (size_t)rp_round_up(head_dim, rp_kv_is_float(type) ? RP_ROWS : RP_TILE);
}

rp_type rp_kv_matrix_type(const rp_kv *kv) {
    return kv->type == RP_KV_F32 ? RP_F32 : kv->type == RP_KV_F16 ? RP_F16 : RP_Q8_0;
}

static size_t key_group_bytes(const rp_kv *kv) {
    return (size_t)rp_group_bytes(rp_kv_matrix_type(kv), kv->width);
}

/* Of the values: columns of a strip, positions and bytes of its unit. */
static size_t value_columns(const rp_kv *kv) {
    return rp_kv_is_float(kv->type) ? RP_ROWS : RP_TILE;
}

static size_t value_unit(const rp_kv *kv) {
    return rp_kv_is_float(kv->type) ? 1 : RP_TILE;
}

static size_t value_unit_bytes(const rp_kv *kv) {
    switch (kv->type) {
    case RP_KV_F16: return 2 * RP_ROWS;
    case RP_KV_F32: return 4 * RP_ROWS;
    case RP_KV_Q8_0: return RP_MIX_TILE_BYTES;
    default: return RP_MIX_Q4_TILE_BYTES;
    }
}

size_t rp_kv_value_stride(const rp_kv *kv) {
    return kv->positions / value_unit(kv) * value_unit_bytes(kv);
}

static size_t key_bytes(const rp_kv *kv) {
    return kv->positions / RP_ROWS * key_group_bytes(kv);
}

static size_t head_bytes(const rp_kv *kv) {
    return key_bytes(kv) + kv->width / value_columns(kv) * rp_kv_value_stride(kv);
}

uint64_t rp_kv_bytes_per_position(const rp_kv *kv) {
    uint64_t key = key_group_bytes(kv) / RP_ROWS;
    uint64_t value = kv->width / value_columns(kv) * value_unit_bytes(kv) / value_unit(kv);
    return (uint64_t)kv->slots * kv->heads * (key + value);
}

bool rp_kv_bytes(const rp_kv *kv, uint64_t *bytes) {
    return rp_mul(rp_kv_bytes_per_position(kv), kv->positions, bytes);
}

static uint8_t *head_start(const rp_kv *kv, size_t slot, size_t head) {
    return kv->bytes + (slot * kv->heads + head) * head_bytes(kv);
}

const uint8_t *rp_kv_keys(const rp_kv *kv, size_t slot, size_t head) {
    return head_start(kv, slot, head);
}

const uint8_t *rp_kv_values(const rp_kv *kv, size_t slot, size_t head) {
    return head_start(kv, slot, head) + key_bytes(kv);
}

/* ---- Storing ------------------------------------------------------------------------------------------- */

static void store_float(rp_kv_type type, uint8_t *p, float x) {
    if (type == RP_KV_F32)
        memcpy(p, &x, sizeof x);
    else
        rp_store_u16(p, rp_f32_to_f16(x));
}

/* 32 floats as q8_0 (ggml's block_q8_0): codes from the unrounded scale max / 127; returns the scale. */
static float codes_of(const rp_kernels *kernels, const float *x, size_t n, int8_t codes[RP_TILE]) {
    int16_t pairs[RP_TILE], sums[2];
    float scale, values[RP_TILE];
    const rp_act act = {codes, pairs, &scale, sums, values, RP_TILE, 1};
    kernels->quantize(x, n, &act, 0);
    return scale;
}

/* The same in 4 bits (ggml's block_q4_0): -8 is what lies farthest from zero, whatever its sign, so that all 16 codes
 * are used; a symmetric max / 7 has 13 % more error on SmolLM2's values. Columns from n on are 0. */
static float codes_of_4_bits(const float *x, size_t n, int8_t codes[RP_TILE]) {
    float farthest = 0.0f, most = 0.0f;
    for (size_t c = 0; c < n; c++) {
        float magnitude = x[c] < 0.0f ? -x[c] : x[c];
        if (most < magnitude) {
            most = magnitude;
            farthest = x[c];
        }
    }
    bool zero = most < 1e-30f;
    float inverse = zero ? 0.0f : -8.0f / farthest;
    for (size_t c = 0; c < RP_TILE; c++) {
        float v = c < n ? x[c] * inverse : 0.0f;
        v = -8.0f < v ? v : -8.0f;
        v = v < 7.0f ? v : 7.0f;
        codes[c] = (int8_t)((v + RP_EXPF_MAGIC) - RP_EXPF_MAGIC);
    }
    return zero ? 0.0f : farthest / -8.0f;
}

static float at_most(float x, float most) {
    return x > most ? most : x < -most ? -most : x == x ? x : 0.0f;
}

enum { HALF_MOST = 65504 };

void rp_kv_store_key(const rp_kv *kv, size_t slot, size_t head, size_t position, const float *x) {
    size_t r = position % RP_ROWS, bytes = key_group_bytes(kv);
    uint8_t *group = head_start(kv, slot, head) + position / RP_ROWS * bytes;
    if (r == 0)
        memset(group, 0, bytes);
    if (rp_kv_is_float(kv->type)) {
        size_t size = kv->type == RP_KV_F32 ? 4 : 2;
        for (size_t c = 0; c < kv->head_dim; c++)
            store_float(kv->type, group + (c * RP_ROWS + r) * size,
                        x[c] == x[c] ? x[c] : 0.0f); /* a NaN's sign is the machine's */
        return;
    }
    for (size_t start = 0; start < kv->head_dim; start += RP_TILE) {
        int8_t codes[RP_TILE];
        rp_store_u16(group + 2 * r,
                     rp_f32_to_f16(codes_of(kv->kernels, x + start, RP_MIN(kv->head_dim - start, RP_TILE), codes)));
        rp_store_row_q8_0(group + 2 * RP_ROWS, r, codes);
        group += rp_super_bytes(&rp_type_traits[RP_Q8_0]);
    }
}

/* One position's 32 values into a tile. */
static void store_value_codes(const rp_kv *kv, uint8_t *tile, size_t position, const float *x, size_t n) {
    int8_t codes[RP_TILE];
    bool nibbles = kv->type == RP_KV_Q8_Q4;
    float scale = nibbles ? codes_of_4_bits(x, n, codes) : codes_of(kv->kernels, x, n, codes);
    rp_store_u16(tile + 2 * position, rp_f32_to_f16(at_most(scale, HALF_MOST)));
    for (size_t c = 0; c < RP_TILE && !nibbles; c++)
        tile[rp_mix_place(position, c)] = (uint8_t)codes[c];
    for (size_t c = 0; c < RP_TILE / 2 && nibbles; c++) { /* whole bytes: after a rewind something else lies there */
        int low = codes[c] + RP_MIX_Q4_ZERO, high = codes[c + RP_TILE / 2] + RP_MIX_Q4_ZERO;
        tile[rp_mix_q4_place(position, c)] = (uint8_t)(low | high << 4);
    }
}

void rp_kv_store_value(const rp_kv *kv, size_t slot, size_t head, size_t position, const float *x) {
    size_t unit = value_unit(kv), bytes = value_unit_bytes(kv), columns = value_columns(kv);
    uint8_t *to = (uint8_t *)rp_kv_values(kv, slot, head) + position / unit * bytes;
    for (size_t start = 0; start < kv->width; start += columns, to += rp_kv_value_stride(kv)) {
        size_t n = RP_MIN(kv->head_dim - RP_MIN(start, kv->head_dim), columns);
        if (position % unit == 0)
            memset(to, 0, bytes);
        if (rp_kv_is_float(kv->type)) {
            float most = kv->type == RP_KV_F32 ? 3.402823466e38f : HALF_MOST;
            for (size_t c = 0; c < n; c++)
                store_float(kv->type, to + c * (bytes / RP_ROWS), at_most(x[start + c], most));
            continue;
        }
        store_value_codes(kv, to, position % RP_TILE, x + start, n);
    }
}

/* ---- Strips -------------------------------------------------------------------------------------------- */

static size_t strips_of_head(const rp_kv *kv) {
    return 1 + kv->width / value_columns(kv);
}

size_t rp_kv_strips(const rp_kv *kv) {
    return kv->slots * kv->heads * strips_of_head(kv);
}

uint8_t *rp_kv_strip(const rp_kv *kv, size_t index, size_t length, size_t *bytes) {
    size_t part = index % strips_of_head(kv), head = index / strips_of_head(kv);
    uint8_t *start = head_start(kv, 0, head);
    if (part == 0) {
        *bytes = (length + RP_ROWS - 1) / RP_ROWS * key_group_bytes(kv);
        return start;
    }
    *bytes = (length + value_unit(kv) - 1) / value_unit(kv) * value_unit_bytes(kv);
    return start + key_bytes(kv) + (part - 1) * rp_kv_value_stride(kv);
}
