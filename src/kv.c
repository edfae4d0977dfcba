/* The KV cache: where what lies, and storing. See kv.h. */
#include "kv.h"

#include <string.h>

size_t rp_kv_width(rp_kv_type type, size_t head_dim) {
    return (size_t)rp_round_up(head_dim, type == RP_KV_Q8_0 ? RP_TILE : RP_ROWS);
}

rp_type rp_kv_matrix_type(const rp_kv *kv) {
    return kv->type == RP_KV_F32 ? RP_F32 : kv->type == RP_KV_F16 ? RP_F16 : RP_Q8_0;
}

static size_t key_group_bytes(const rp_kv *kv) {
    return (size_t)rp_group_bytes(rp_kv_matrix_type(kv), kv->width);
}

/* Of the values: columns of a strip, positions and bytes of its unit. */
static size_t value_columns(const rp_kv *kv) {
    return kv->type == RP_KV_Q8_0 ? RP_TILE : RP_ROWS;
}

static size_t value_unit(const rp_kv *kv) {
    return kv->type == RP_KV_Q8_0 ? RP_TILE : 1;
}

static size_t value_unit_bytes(const rp_kv *kv) {
    return kv->type == RP_KV_Q8_0 ? RP_MIX_TILE_BYTES : kv->type == RP_KV_F32 ? 4 * RP_ROWS : 2 * RP_ROWS;
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

static float at_most(float x, float most) {
    return x > most ? most : x < -most ? -most : x == x ? x : 0.0f;
}

enum { HALF_MOST = 65504 };

void rp_kv_store_key(const rp_kv *kv, size_t slot, size_t head, size_t position, const float *x) {
    size_t r = position % RP_ROWS, bytes = key_group_bytes(kv);
    uint8_t *group = head_start(kv, slot, head) + position / RP_ROWS * bytes;
    if (r == 0)
        memset(group, 0, bytes);
    if (kv->type != RP_KV_Q8_0) {
        size_t size = kv->type == RP_KV_F32 ? 4 : 2;
        for (size_t c = 0; c < kv->head_dim; c++)
            store_float(kv->type, group + (c * RP_ROWS + r) * size, x[c]);
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

void rp_kv_store_value(const rp_kv *kv, size_t slot, size_t head, size_t position, const float *x) {
    size_t unit = value_unit(kv), bytes = value_unit_bytes(kv), columns = value_columns(kv);
    uint8_t *to = (uint8_t *)rp_kv_values(kv, slot, head) + position / unit * bytes;
    for (size_t start = 0; start < kv->width; start += columns, to += rp_kv_value_stride(kv)) {
        size_t n = RP_MIN(kv->head_dim - RP_MIN(start, kv->head_dim), columns);
        if (position % unit == 0)
            memset(to, 0, bytes);
        if (kv->type != RP_KV_Q8_0) {
            float most = kv->type == RP_KV_F32 ? 3.402823466e38f : HALF_MOST;
            for (size_t c = 0; c < n; c++)
                store_float(kv->type, to + c * (bytes / RP_ROWS), at_most(x[start + c], most));
            continue;
        }
        int8_t codes[RP_TILE];
        float scale = codes_of(kv->kernels, x + start, n, codes);
        rp_store_u16(to + 2 * (position % RP_TILE), rp_f32_to_f16(at_most(scale, HALF_MOST)));
        for (size_t c = 0; c < RP_TILE; c++)
            to[rp_mix_place(position % RP_TILE, c)] = (uint8_t)codes[c];
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
