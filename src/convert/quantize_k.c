/* Q4_K and Q6_K: blocks of 256 weights whose sub-blocks of 32 or 16 have scales of their own, stored in 6 or 8 bits.
 * Layouts are those that quant.c reads. The searches are ggml's (make_qkx2_quants, make_qx_quants): try scales around
 * the one that just covers the range, fit each by least squares, keep the best; then round the scales, and last the
 * codes against the rounded scales. */
#include "quantize.h"

#include <string.h>

enum {
    SUPER = 256,
    Q4_SUBS = 8,
    Q4_SUB = 32,
    Q4_TRIES = 21, /* 1.0 below the range's scale to 1.0 above it, by 0.1 */
    Q6_SUBS = 16,
    Q6_SUB = 16,
    Q6_TRIES = 9, /* 0.1 apart, to either side */
};
/* Ranges below it are zero: scales that small vanish in a half float, and their inverses would overflow. */
#define NOTHING 1e-15f

static float magnitude(float value) {
    return value < 0 ? -value : value;
}

/* To the nearest integer in low..high, ties to even. Adding 1.5 * 2^23 pushes all fraction bits out, with the
 * processor's own rounding; clamping first keeps it in the range where that works. */
static float nearest(float value, float low, float high) {
    value = value < low ? low : value > high ? high : value;
    return value + 0x1.8p23f - 0x1.8p23f;
}

/* ---- Q4_K: values are scale * code - minimum ----------------------------------------------------------- */

typedef struct line {
    float scale, minimum; /* the minimum is no less than zero */
} line;

typedef struct sums { /* weighted */
    float one, x;
} sums;

static float line_error(const float *x, const float *weights, const float *codes, line fit) {
    float error = 0;
    for (int i = 0; i < Q4_SUB; i++) {
        float difference = fit.scale * codes[i] - fit.minimum - x[i];
        error += weights[i] * (difference * difference);
    }
    return error;
}

static void line_codes(const float *x, float low, float per_value, float *codes) {
    for (int i = 0; i < Q4_SUB; i++)
        codes[i] = nearest(per_value * (x[i] - low), 0, 15);
}

/* The line with the least weighted square error for given codes; false when codes do not determine one. */
static bool line_fit(const float *x, const float *weights, const float *codes, sums all, line *fit) {
    float l = 0, l2 = 0, xl = 0;
    for (int i = 0; i < Q4_SUB; i++) {
        float part = weights[i] * codes[i];
        l += part;
        l2 += part * codes[i];
        xl += part * x[i];
    }
    float determinant = all.one * l2 - l * l;
    if (!(determinant > 0))
        return false;
    *fit = (line){(all.one * xl - all.x * l) / determinant, (l * xl - l2 * all.x) / determinant};
    if (fit->minimum < 0)
        *fit = (line){xl / l2, 0};
    return true;
}

static line line_search(const float *x, const float *weights) {
    float low = 0, high = x[0]; /* a minimum cannot be stored when all are positive */
    sums all = {0, 0};
    for (int i = 0; i < Q4_SUB; i++) {
        low = RP_MIN(low, x[i]);
        high = RP_MAX(high, x[i]);
        all.one += weights[i];
        all.x += weights[i] * x[i];
    }
    float codes[Q4_SUB];
    if (high - low < NOTHING)
        return (line){0, -low};
    float per_value = 15 / (high - low);
    line best = {1 / per_value, -low};
    line_codes(x, low, per_value, codes);
    float least = line_error(x, weights, codes, best);
    for (int i = 0; i < Q4_TRIES; i++) {
        line fit;
        line_codes(x, low, (14 + 0.1f * (float)i) / (high - low), codes);
        if (!line_fit(x, weights, codes, all, &fit))
            continue;
        float error = line_error(x, weights, codes, fit);
        if (error < least) {
            least = error;
            best = fit;
            low = -fit.minimum; /* later tries start from the better line */
        }
    }
    return best;
}

/* Large values count more, by how much they stand out of their sub-block. */
static line line_of_sub(const float *x) {
    float squares = 0, weights[Q4_SUB];
    for (int i = 0; i < Q4_SUB; i++)
        squares += x[i] * x[i];
    float typical = __builtin_sqrtf(squares / Q4_SUB);
    for (int i = 0; i < Q4_SUB; i++)
        weights[i] = typical + magnitude(x[i]);
    return line_search(x, weights);
}

/* The 12 bytes that read_k_scales of quant.c takes apart. */
static void pack_scales(const uint8_t scales[Q4_SUBS], const uint8_t minimums[Q4_SUBS], uint8_t *out) {
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(scales[i] | scales[i + 4] >> 4 << 6);
        out[i + 4] = (uint8_t)(minimums[i] | minimums[i + 4] >> 4 << 6);
        out[i + 8] = (uint8_t)((scales[i + 4] & 15) | (minimums[i + 4] & 15) << 4);
    }
}

void rp_quantize_block_q4_k(const float *values, uint8_t *block) {
    line lines[Q4_SUBS], most = {0, 0};
    uint8_t scales[Q4_SUBS], minimums[Q4_SUBS], codes[SUPER];
    for (int sub = 0; sub < Q4_SUBS; sub++) {
        lines[sub] = line_of_sub(values + sub * Q4_SUB);
        most.scale = RP_MAX(lines[sub].scale, most.scale); /* 0, not -0, of both */
        most.minimum = RP_MAX(lines[sub].minimum, most.minimum);
    }
    float per_scale = most.scale > NOTHING ? 63 / most.scale : 0;
    float per_minimum = most.minimum > NOTHING ? 63 / most.minimum : 0;
    rp_store_u16(block, rp_f32_to_f16(most.scale / 63));
    rp_store_u16(block + 2, rp_f32_to_f16(most.minimum / 63));
    float d = rp_f16_to_f32(rp_load_u16(block)), m = rp_f16_to_f32(rp_load_u16(block + 2));
    for (int sub = 0; sub < Q4_SUBS; sub++) {
        float scale = nearest(per_scale * lines[sub].scale, 0, 63);
        float minimum = nearest(per_minimum * lines[sub].minimum, 0, 63);
        scales[sub] = (uint8_t)scale;
        minimums[sub] = (uint8_t)minimum;
        for (int i = sub * Q4_SUB; i < (sub + 1) * Q4_SUB; i++)
            codes[i] = d * scale > 0 ? (uint8_t)nearest((values[i] + m * minimum) / (d * scale), 0, 15) : 0;
    }
    pack_scales(scales, minimums, block + 4);
    for (int pair = 0; pair < 4; pair++)
        for (int i = 0; i < 32; i++)
            block[16 + pair * 32 + i] = (uint8_t)(codes[pair * 64 + i] | codes[pair * 64 + 32 + i] << 4);
}

/* ---- Q6_K: values are scale * (code - 32) -------------------------------------------------------------- */

/* The scale with the least square error, weighted with the squares of the values. For given codes q the best one is
 * sum(w x q) / sum(w q q), and what it takes off the error is sum(w x q)^2 / sum(w q q). */
static float scale_search(const float *x) {
    float most = 0; /* with its sign: it gets code -32, of which there is one more than of positive ones */
    for (int i = 0; i < Q6_SUB; i++)
        if (magnitude(x[i]) > magnitude(most))
            most = x[i];
    if (magnitude(most) < NOTHING)
        return 0;
    float best = 0, gain = 0;
    for (int try = 0; try <= 2 * Q6_TRIES; try++) {
        /* 0, -9 .. -1, 1 .. 9: the plain range first, since ties go to the earlier one */
        int step = try == 0 ? 0 : try <= Q6_TRIES ? try - Q6_TRIES - 1 : try - Q6_TRIES;
        float per_value = -(32 + 0.1f * (float)step) / most, xq = 0, qq = 0;
        for (int i = 0; i < Q6_SUB; i++) {
            float code = nearest(per_value * x[i], -32, 31), weight = x[i] * x[i];
            xq += weight * x[i] * code;
            qq += weight * code * code;
        }
        if (qq > 0 && xq * xq > gain * qq) {
            best = xq / qq;
            gain = best * xq;
        }
    }
    return best;
}

/* Halves of 128: 64 bytes of low nibbles (all halves' first), then 32 bytes of pairs of high bits. */
static void pack_six_bits(const uint8_t *codes, uint8_t *block) {
    for (int half = 0; half < 2; half++, codes += 128) {
        uint8_t *low = block + half * 64, *high = block + 128 + half * 32;
        for (int i = 0; i < 64; i++)
            low[i] = (uint8_t)((codes[i] & 15) | (codes[i + 64] & 15) << 4);
        for (int i = 0; i < 32; i++)
            high[i] =
                (uint8_t)(codes[i] >> 4 | codes[i + 32] >> 4 << 2 | codes[i + 64] >> 4 << 4 | codes[i + 96] >> 4 << 6);
    }
}

void rp_quantize_block_q6_k(const float *values, uint8_t *block) {
    float scales[Q6_SUBS], most = 0;
    uint8_t codes[SUPER];
    for (int sub = 0; sub < Q6_SUBS; sub++) {
        scales[sub] = scale_search(values + sub * Q6_SUB);
        if (magnitude(scales[sub]) > magnitude(most))
            most = scales[sub];
    }
    if (!(magnitude(most) > 0)) {
        memset(block, 0, rp_type_traits[RP_Q6_K].block_bytes);
        return;
    }
    float per_scale = -128 / most;
    rp_store_u16(block + 208, rp_f32_to_f16(1 / per_scale));
    float d = rp_f16_to_f32(rp_load_u16(block + 208));
    for (int sub = 0; sub < Q6_SUBS; sub++) {
        float scale = nearest(per_scale * scales[sub], -128, 127), step = d * scale;
        block[192 + sub] = (uint8_t)(int8_t)scale;
        bool zero = !(magnitude(step) > 0);
        for (int i = sub * Q6_SUB; i < (sub + 1) * Q6_SUB; i++)
            codes[i] = (uint8_t)((zero ? 0 : nearest(values[i] / step, -32, 31)) + 32);
    }
    pack_six_bits(codes, block);
}
