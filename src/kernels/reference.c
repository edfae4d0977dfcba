/* The scalar kernels: the specification that every other table is compared with, bit for bit, and the build for
 * machines without SIMD. The order of every float sum is the one stated in kernels.h; clarity comes before speed, except
 * that a tile of weights is unpacked once for all tokens. */
#include "kernels.h"

#include "../math.h"

#include <string.h>

#define RP_INLINE static inline __attribute__((always_inline))

/* ---- Activations --------------------------------------------------------------------------------------- */

static void quantize_reference(const float *x, size_t n, const rp_act *act, size_t token) {
    for (size_t start = 0; start < act->padded; start += RP_TILE) {
        size_t tile = rp_act_tile_at(act, token, start / RP_TILE);
        int16_t *sums = act->sums + 2 * tile;
        float max = 0.0f;
        for (size_t c = start; c < RP_MIN(start + RP_TILE, n); c++) {
            float magnitude = x[c] < 0.0f ? -x[c] : x[c];
            max = max < magnitude ? magnitude : max;
        }
        bool zero = max < 1e-30f;
        float d = zero ? 0.0f : max / 127.0f, inverse = zero ? 0.0f : 127.0f / max;
        act->scale[tile] = d;
        sums[0] = sums[1] = 0;
        for (size_t c = start; c < start + RP_TILE; c++) {
            float value = c < n ? x[c] : 0.0f, v = value * inverse;
            v = -127.0f < v ? v : -127.0f;
            v = v < 127.0f ? v : 127.0f;
            int8_t q = (int8_t)((v + RP_EXPF_MAGIC) - RP_EXPF_MAGIC);
            act->values[rp_act_value_at(act, token, c)] = value;
            act->q[rp_act_at(act, token, c)] = q;
            act->pairs[rp_act_pair_at(act, token, c)] = q;
            sums[c % RP_TILE / 16] = (int16_t)(sums[c % RP_TILE / 16] + q);
        }
    }
}

/* ---- Matrix products ----------------------------------------------------------------------------------- */

/* A tile of weights taken apart, once for all tokens. */
typedef struct tile_rows {
    int8_t codes[RP_ROWS][RP_TILE];
    int scale[RP_ROWS][2], m[RP_ROWS][2]; /* of columns 0-15 and 16-31 */
    float d[RP_ROWS], minimum[RP_ROWS];
} tile_rows;

RP_INLINE void unpack_tile(rp_type type, const uint8_t *super, const uint8_t *tile, tile_rows *out) {
    const rp_traits *t = &rp_type_traits[type];
    rp_unpack_codes(type, tile, out->codes);
    for (size_t r = 0; r < RP_ROWS; r++) {
        for (size_t half = 0; half < 2; half++)
            rp_unpack_scales(type, tile, t->subs == 2 ? half : 0, r, &out->scale[r][half], &out->m[r][half]);
        out->d[r] = rp_f16_finite_to_f32(rp_load_u16(super + 2 * r));
        if (t->minimum)
            out->minimum[r] = rp_f16_finite_to_f32(rp_load_u16(super + 2 * (RP_ROWS + r)));
    }
}

RP_INLINE void tile_times_token(const rp_traits *t, const tile_rows *tile, const rp_act *act, size_t token,
                                size_t index, float *acc) {
    size_t at = rp_act_tile_at(act, token, index);
    const int16_t *sums = act->sums + 2 * at;
    float scale = act->scale[at];
    int8_t q[RP_TILE];
    for (size_t c = 0; c < RP_TILE; c++)
        q[c] = act->q[rp_act_at(act, token, index * RP_TILE + c)];
    for (size_t r = 0; r < RP_ROWS; r++) {
        int32_t dot[2] = {0, 0};
        for (size_t c = 0; c < 16; c++)
            dot[0] += tile->codes[r][c] * q[c];
        for (size_t c = 16; c < 32; c++)
            dot[1] += tile->codes[r][c] * q[c];
        acc[r] += (float)(tile->scale[r][0] * dot[0] + tile->scale[r][1] * dot[1]) * (tile->d[r] * scale);
        if (t->minimum) {
            int32_t sum = tile->m[r][0] * sums[0] + tile->m[r][1] * sums[1];
            float product = (float)sum * (tile->minimum[r] * scale);
            acc[r] = t->subs ? acc[r] - product : acc[r] + product;
        }
    }
}

static void clear_group(const rp_matmul *job, size_t g) {
    for (size_t token = 0; token < job->act->tokens; token++)
        memset(job->out + token * job->stride + g * RP_ROWS, 0, RP_ROWS * sizeof(float));
}

RP_INLINE void matmul_tiles(const rp_matmul *job, rp_type type) {
    const rp_traits *t = &rp_type_traits[type];
    size_t tiles = t->columns / RP_TILE;
    for (size_t g = job->first; g < job->last; g++) {
        const uint8_t *group = job->weights + g * job->group_bytes;
        clear_group(job, g);
        for (size_t i = 0; i < job->columns / RP_TILE; i++) {
            const uint8_t *super = group + i / tiles * rp_super_bytes(t);
            tile_rows tile;
            unpack_tile(type, super, super + rp_super_head_bytes(t) + i % tiles * rp_tile_bytes(t), &tile);
            for (size_t token = 0; token < job->act->tokens; token++)
                tile_times_token(t, &tile, job->act, token, i, job->out + token * job->stride + g * RP_ROWS);
        }
    }
}

RP_INLINE float weight_value(rp_type type, const uint8_t *p) {
    if (type == RP_F32)
        return rp_f32_from_bits(rp_load_u32(p));
    return type == RP_F16 ? rp_f16_finite_to_f32(rp_load_u16(p)) : rp_bf16_to_f32(rp_load_u16(p));
}

RP_INLINE void matmul_floats(const rp_matmul *job, rp_type type) {
    size_t size = rp_type_traits[type].block_bytes;
    for (size_t g = job->first; g < job->last; g++) {
        const uint8_t *group = job->weights + g * job->group_bytes;
        clear_group(job, g);
        for (size_t c = 0; c < job->columns; c++) {
            float weights[RP_ROWS];
            for (size_t r = 0; r < RP_ROWS; r++)
                weights[r] = weight_value(type, group + (c * RP_ROWS + r) * size);
            for (size_t token = 0; token < job->act->tokens; token++) {
                float value = job->act->values[rp_act_value_at(job->act, token, c)];
                float *acc = job->out + token * job->stride + g * RP_ROWS;
                for (size_t r = 0; r < RP_ROWS; r++)
                    acc[r] += weights[r] * value;
            }
        }
    }
}

#define TILES(name, type)                                                                                              \
    static void matmul_##name##_reference(const rp_matmul *job) {                                                      \
        matmul_tiles(job, type);                                                                                       \
    }
#define FLOATS(name, type)                                                                                             \
    static void matmul_##name##_reference(const rp_matmul *job) {                                                      \
        matmul_floats(job, type);                                                                                      \
    }
FLOATS(f32, RP_F32)
FLOATS(f16, RP_F16)
FLOATS(bf16, RP_BF16)
TILES(q4_0, RP_Q4_0)
TILES(q4_1, RP_Q4_1)
TILES(q5_0, RP_Q5_0)
TILES(q5_1, RP_Q5_1)
TILES(q8_0, RP_Q8_0)
TILES(q2_k, RP_Q2_K)
TILES(q3_k, RP_Q3_K)
TILES(q4_k, RP_Q4_K)
TILES(q5_k, RP_Q5_K)
TILES(q6_k, RP_Q6_K)
TILES(iq4_nl, RP_IQ4_NL)
TILES(iq4_xs, RP_IQ4_XS)

/* ---- Vectors ------------------------------------------------------------------------------------------- */

static void rms_norm_reference(float *out, const float *x, const float *weight, size_t n, float eps) {
    float lane[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; i++)
        lane[i % 4] += x[i] * x[i];
    float sum = (lane[0] + lane[2]) + (lane[1] + lane[3]);
    float factor = 1.0f / __builtin_elementwise_sqrt(sum / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        out[i] = (x[i] * factor) * weight[i];
}

static void add_reference(float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

static void silu_mul_reference(float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i++)
        gate[i] = gate[i] / (1.0f + rp_expf(-gate[i])) * up[i];
}

static void gelu_mul_reference(float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float x = gate[i];
        float u = 0.7978845608f * (x + 0.044715f * x * x * x);
        gate[i] = x / (1.0f + rp_expf(-2.0f * u)) * up[i];
    }
}

static void softmax_reference(float *x, size_t n, float scale) {
    float max = x[0];
    for (size_t i = 1; i < n; i++)
        max = max < x[i] ? x[i] : max;
    float lane[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; i++) {
        x[i] = rp_expf(scale * (x[i] - max));
        lane[i % 4] += x[i];
    }
    float inverse = 1.0f / ((lane[0] + lane[2]) + (lane[1] + lane[3]));
    for (size_t i = 0; i < n; i++)
        x[i] *= inverse;
}

/* ---- Cached values in q8_0 and q4_0 -------------------------------------------------------------------- */

/* One tile's weights times its scales, in 16 bits; returns what a step of them is worth. */
static float quantize_weights(const float *weights, const uint8_t *tile, int16_t q[RP_TILE]) {
    float w[RP_TILE], top = 0.0f;
    for (size_t p = 0; p < RP_TILE; p++) {
        w[p] = weights[p] * rp_f16_finite_to_f32(rp_load_u16(tile + 2 * p));
        float magnitude = w[p] < 0.0f ? -w[p] : w[p];
        top = top < magnitude ? magnitude : top;
    }
    bool zero = top < 1e-30f;
    float inverse = zero ? 0.0f : 32767.0f / top;
    for (size_t p = 0; p < RP_TILE; p++) {
        float v = w[p] * inverse;
        v = -32767.0f < v ? v : -32767.0f;
        v = v < 32767.0f ? v : 32767.0f;
        q[p] = (int16_t)((v + RP_EXPF_MAGIC) - RP_EXPF_MAGIC);
    }
    return zero ? 0.0f : top / 32767.0f;
}

RP_INLINE int mix_code(const uint8_t *tile, bool nibbles, size_t p, size_t c) {
    if (nibbles)
        return (tile[rp_mix_q4_place(p, c)] >> rp_mix_q4_shift(c) & 15) - RP_MIX_Q4_ZERO;
    return (int8_t)tile[rp_mix_place(p, c)];
}

RP_INLINE void mix(const rp_mix *job, bool nibbles) {
    for (size_t query = 0; query < job->queries; query++) {
        float *out = job->out + query * job->stride;
        memset(out, 0, RP_TILE * sizeof *out);
        for (size_t i = 0; i < job->tiles; i++) {
            const uint8_t *tile = job->strip + i * (size_t)(nibbles ? RP_MIX_Q4_TILE_BYTES : RP_MIX_TILE_BYTES);
            int16_t q[RP_TILE];
            float unit = quantize_weights(job->weights + query * job->weight_stride + i * RP_TILE, tile, q);
            for (size_t c = 0; c < RP_TILE; c++) {
                int32_t sum = 0;
                for (size_t p = 0; p < RP_TILE; p++)
                    sum += q[p] * mix_code(tile, nibbles, p, c);
                out[c] += (float)sum * unit;
            }
        }
    }
}

static void mix_q8_0_reference(const rp_mix *job) {
    mix(job, false);
}

static void mix_q4_0_reference(const rp_mix *job) {
    mix(job, true);
}

const rp_kernels rp_kernels_reference = {
    .name = "scalar",
    .isa = RP_ISA_SCALAR,
    .quantize = quantize_reference,
    .matmul =
        {
            [RP_F32] = matmul_f32_reference,
            [RP_F16] = matmul_f16_reference,
            [RP_BF16] = matmul_bf16_reference,
            [RP_Q4_0] = matmul_q4_0_reference,
            [RP_Q4_1] = matmul_q4_1_reference,
            [RP_Q5_0] = matmul_q5_0_reference,
            [RP_Q5_1] = matmul_q5_1_reference,
            [RP_Q8_0] = matmul_q8_0_reference,
            [RP_Q2_K] = matmul_q2_k_reference,
            [RP_Q3_K] = matmul_q3_k_reference,
            [RP_Q4_K] = matmul_q4_k_reference,
            [RP_Q5_K] = matmul_q5_k_reference,
            [RP_Q6_K] = matmul_q6_k_reference,
            [RP_IQ4_NL] = matmul_iq4_nl_reference,
            [RP_IQ4_XS] = matmul_iq4_xs_reference,
        },
    .rms_norm = rms_norm_reference,
    .add = add_reference,
    .silu_mul = silu_mul_reference,
    .gelu_mul = gelu_mul_reference,
    .softmax = softmax_reference,
    .mix_q8_0 = mix_q8_0_reference,
    .mix_q4_0 = mix_q4_0_reference,
};
