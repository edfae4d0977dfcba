/* Random and nasty inputs for the kernels: rows of file blocks with chosen scales, activations of all magnitudes.
 * Everything comes from test_random(), so a seed gives the same bytes on every machine. */
#ifndef RANDOM_WEIGHTS_H
#define RANDOM_WEIGHTS_H

#include "quant.h"
#include "test.h"

/* SANE: scales and float weights within +-0.05. NASTY: half floats with infinities, NaN, denormals, the largest. */
typedef enum weight_fill { WEIGHTS_SANE, WEIGHTS_NASTY, WEIGHTS_ZERO, WEIGHTS_ONES, WEIGHT_FILLS } weight_fill;

typedef enum act_fill {
    ACT_SANE,
    ACT_MAGNITUDES, /* 2^-60 to 2^60 */
    ACT_HUGE,
    ACT_TINY, /* around the limit below which a block counts as zero */
    ACT_ZERO_BLOCKS,
    ACT_INFINITIES,
    ACT_NANS,
    ACT_BITS, /* any float at all */
    ACT_FILLS
} act_fill;

/* Where a block's d is, its minimum follows. */
static size_t scale_offset(rp_type type) {
    return type == RP_Q2_K ? 80 : type == RP_Q3_K ? 108 : type == RP_Q6_K ? 208 : 0;
}

static uint16_t random_half(weight_fill fill) {
    static const uint16_t nasty[] = {0x0000, 0x8000, 0x0001, 0x83ff, 0x0400, 0x7bff,
                                     0xfbff, 0x7c00, 0xfc00, 0x7e00, 0xfd01, 0x3c00};
    if (fill == WEIGHTS_NASTY)
        return nasty[test_random() % RP_COUNT(nasty)];
    return rp_f32_to_f16(test_random_float() * 0.05f);
}

static void put_u16(uint8_t *p, uint16_t value) {
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static void random_float_weight(rp_type type, weight_fill fill, uint8_t *p) {
    float value = test_random_float() * 0.05f;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (fill == WEIGHTS_NASTY)
        bits = test_random() % 4 ? bits : (uint32_t)test_random();
    if (type == RP_F32) {
        put_u16(p, (uint16_t)bits);
        put_u16(p + 2, (uint16_t)(bits >> 16));
    } else {
        put_u16(p, type == RP_F16 ? random_half(fill) : (uint16_t)(bits >> 16));
    }
}

/* `bytes` bytes of file rows: random codes and sub-scales, chosen scales. */
static void random_rows(rp_type type, weight_fill fill, uint8_t *rows, size_t bytes) {
    const rp_traits *t = &rp_type_traits[type];
    for (size_t i = 0; i < bytes; i++)
        rows[i] = fill == WEIGHTS_ZERO ? 0 : fill == WEIGHTS_ONES ? 0xff : (uint8_t)(test_random() >> 40);
    if (fill == WEIGHTS_ZERO || fill == WEIGHTS_ONES)
        return;
    for (size_t at = 0; at < bytes; at += t->block_bytes) {
        if (rp_type_is_float(type)) {
            random_float_weight(type, fill, rows + at);
            continue;
        }
        put_u16(rows + at + scale_offset(type), random_half(fill));
        if (t->minimum)
            put_u16(rows + at + scale_offset(type) + 2, random_half(fill));
    }
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void random_activations(act_fill fill, float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float value = test_random_float();
        uint32_t dice = (uint32_t)(test_random() >> 32);
        switch (fill) {
        case ACT_MAGNITUDES: value *= float_of((67 + dice % 121) << 23); break;
        case ACT_HUGE: value = value * 3.4e38f; break;
        case ACT_TINY: value *= i / 32 % 2 ? 3e-30f : 1e-38f; break;
        case ACT_ZERO_BLOCKS: value = i / 32 % 2 ? value : (dice & 1 ? 0.0f : -0.0f); break;
        case ACT_INFINITIES: value = dice % 16 ? value : float_of(0x7f800000u | (dice & 0x80000000u)); break;
        case ACT_NANS: value = dice % 8 ? value : float_of(0x7fc00000u | (dice & 0x80000000u)); break;
        case ACT_BITS: value = float_of(dice); break;
        default: break;
        }
        x[i] = value;
    }
}

/* Buffers of exactly the size asked for, so that AddressSanitizer sees every byte beyond; filled with poison. */
enum { POISON = 0xa5, BUFFERS = 32 };
static void *buffers[BUFFERS];
static size_t buffer_count;

static void *buffer(size_t bytes) {
    if (buffer_count == BUFFERS)
        abort();
    void *p = malloc(bytes ? bytes : 1);
    if (!p)
        abort();
    return buffers[buffer_count++] = memset(p, POISON, bytes);
}

static void release_buffers(void) {
    while (buffer_count)
        free(buffers[--buffer_count]);
}

/* A matrix in memory layout made from random file rows. `rows_out`, if asked for, gets the file rows. */
static uint8_t *random_matrix(rp_type type, weight_fill fill, size_t rows, size_t columns, uint8_t **rows_out) {
    size_t row_bytes = (size_t)rp_row_file_bytes(type, columns), group_bytes = (size_t)rp_group_bytes(type, columns);
    uint8_t *file = buffer(rows * row_bytes), *matrix = buffer((rows + 7) / 8 * group_bytes);
    random_rows(type, fill, file, rows * row_bytes);
    for (size_t row = 0; row < rows; row += RP_ROWS)
        rp_pack_group(type, columns, file + row * row_bytes, RP_MIN(rows - row, RP_ROWS),
                      matrix + row / RP_ROWS * group_bytes);
    if (rows_out)
        *rows_out = file;
    return matrix;
}

#endif
