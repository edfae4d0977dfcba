/* Floats to the plain weight types: halves, and blocks of 32 with one scale. Byte for byte what ggml's reference
 * quantizers (quantize_row_*_ref) make. Types of 256-wide blocks: quantize_k.c. */
#include "quantize.h"

#include <string.h>

enum { BLOCK = 32 };

bool rp_can_quantize(rp_type type) {
    switch (type) {
    case RP_F32:
    case RP_F16:
    case RP_BF16:
    case RP_Q4_0:
    case RP_Q4_1:
    case RP_Q5_0:
    case RP_Q8_0:
    case RP_Q4_K:
    case RP_Q6_K: return true;
    default: return false;
    }
}

/* To nearest even; NaN stays one. */
static uint16_t bf16_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* 1 / d, or 0 where that is too much for a float: such a d is a zero when it is stored. */
static float inverse(float d) {
    float result = d < 0 || d > 0 ? 1 / d : 0;
    return result > -0x1p127f && result < 0x1p127f ? result : 0;
}

/* The value that is farthest from zero, the first of several, with its sign. */
static float farthest(const float *x) {
    float most = 0, size = 0;
    for (int i = 0; i < BLOCK; i++) {
        float now = x[i] < 0 ? -x[i] : x[i];
        if (now > size) {
            size = now;
            most = x[i];
        }
    }
    return most;
}

/* x * scale + offset, cut to an integer of at most `most`: codes of types that round halves up. */
static void codes_of(const float *x, float minimum, float scale, float offset, int most, uint8_t *codes) {
    for (int i = 0; i < BLOCK; i++) {
        int code = (int)((x[i] - minimum) * scale + offset);
        codes[i] = (uint8_t)RP_MIN(code, most);
    }
}

static void pack_nibbles(const uint8_t *codes, uint8_t *out) {
    for (int i = 0; i < 16; i++)
        out[i] = (uint8_t)((codes[i] & 15) | (codes[i + 16] & 15) << 4);
}

static void block_q4_0(const float *x, uint8_t *out) {
    uint8_t codes[BLOCK];
    float d = farthest(x) / -8;
    rp_store_u16(out, rp_f32_to_f16(d));
    codes_of(x, 0, inverse(d), 8.5f, 15, codes);
    pack_nibbles(codes, out + 2);
}

static void block_q4_1(const float *x, uint8_t *out) {
    uint8_t codes[BLOCK];
    float low = x[0], high = x[0];
    for (int i = 1; i < BLOCK; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    float d = (high - low) / 15;
    rp_store_u16(out, rp_f32_to_f16(d));
    rp_store_u16(out + 2, rp_f32_to_f16(low));
    codes_of(x, low, inverse(d), 0.5f, 15, codes);
    pack_nibbles(codes, out + 4);
}

static void block_q5_0(const float *x, uint8_t *out) {
    uint8_t codes[BLOCK];
    float d = farthest(x) / -16;
    rp_store_u16(out, rp_f32_to_f16(d));
    codes_of(x, 0, inverse(d), 16.5f, 31, codes);
    memset(out + 2, 0, 4);
    for (int i = 0; i < BLOCK; i++)
        out[2 + i / 8] |= (uint8_t)(codes[i] >> 4 << i % 8);
    pack_nibbles(codes, out + 6);
}

/* Halves are rounded away from zero, as roundf does. */
static void block_q8_0(const float *x, uint8_t *out) {
    float most = farthest(x), d = (most < 0 ? -most : most) / 127, scale = inverse(d);
    rp_store_u16(out, rp_f32_to_f16(d));
    for (int i = 0; i < BLOCK; i++) {
        float value = x[i] * scale;
        int code = (int)value;
        float rest = value - (float)code;
        code += (rest >= 0.5f) - (rest <= -0.5f);
        out[2 + i] = (uint8_t)(int8_t)code;
    }
}

static void quantize_block(rp_type type, const float *x, uint8_t *out) {
    uint32_t bits;
    switch (type) {
    case RP_F32:
        memcpy(&bits, x, 4);
        rp_store_u16(out, (uint16_t)bits);
        rp_store_u16(out + 2, (uint16_t)(bits >> 16));
        return;
    case RP_F16: rp_store_u16(out, rp_f32_to_f16(*x)); return;
    case RP_BF16: rp_store_u16(out, bf16_of(*x)); return;
    case RP_Q4_0: block_q4_0(x, out); return;
    case RP_Q4_1: block_q4_1(x, out); return;
    case RP_Q5_0: block_q5_0(x, out); return;
    case RP_Q8_0: block_q8_0(x, out); return;
    case RP_Q4_K: rp_quantize_block_q4_k(x, out); return;
    case RP_Q6_K: rp_quantize_block_q6_k(x, out); return;
    default: return;
    }
}

void rp_quantize_row(rp_type type, size_t columns, const float *values, uint8_t *row) {
    const rp_traits *t = &rp_type_traits[type];
    for (size_t at = 0; at < columns; at += t->columns, row += t->block_bytes)
        quantize_block(type, values + at, row);
}
