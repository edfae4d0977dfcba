/* Attention on WASM simd128: dots of queries with cached keys, and mixing of cached values. Keys and values are read once for
 * all query heads that share them (in groups of up to four heads). The order of sums is the one in kernels.h. */
#include "simd128.h"

/* Eight cached values from column i on, as two vectors of floats. */
RP_INLINE void load_kv(rp_kv_type type, const uint8_t *row, size_t i, v128_t out[2]) {
    if (type == RP_KV_F32) {
        out[0] = wasm_v128_load(row + 4 * i);
        out[1] = wasm_v128_load(row + 4 * i + 16);
    } else if (type == RP_KV_F16) {
        load_f16x8(row + 2 * i, out);
    } else {
        v128_t x = wasm_i16x8_load8x8(row + i);
        out[0] = wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(x));
        out[1] = wasm_f32x4_convert_i32x4(wasm_i32x4_extend_high_i16x8(x));
    }
}

RP_INLINE void scores_floats(const rp_attention *job, rp_kv_type type, size_t head, int heads) {
    size_t width = job->k.width;
    const float *q = job->q + head * width;
    for (size_t p = job->first; p < job->last; p++) {
        const uint8_t *row = job->k.rows + p * job->k.bytes;
        v128_t acc[4][2];
        for (int h = 0; h < heads; h++)
            acc[h][0] = acc[h][1] = wasm_f32x4_splat(0.0f);
        for (size_t i = 0; i < width; i += 8) {
            v128_t k[2];
            load_kv(type, row, i, k);
            for (int h = 0; h < heads; h++)
                for (int half = 0; half < 2; half++) {
                    v128_t x = wasm_v128_load(q + (size_t)h * width + i + 4 * (size_t)half);
                    acc[h][half] = wasm_f32x4_add(acc[h][half], wasm_f32x4_mul(x, k[half]));
                }
        }
        for (int h = 0; h < heads; h++)
            job->scores[(head + (size_t)h) * job->score_stride + p - job->first] =
                job->scale * sum_lanes(wasm_f32x4_add(acc[h][0], acc[h][1]));
    }
}

/* Eight columns in order, from rp_act.q's order 0 2 1 3: what the keys' bytes are multiplied with. */
RP_INLINE v128_t act_in_order(const int16_t *q) {
    v128_t x = wasm_v128_load(q);
    return wasm_i16x8_shuffle(x, x, 0, 2, 1, 3, 4, 6, 5, 7);
}

RP_INLINE void scores_q8_0(const rp_attention *job, size_t head, int heads) {
    const rp_act *act = job->q_act;
    size_t width = job->k.width, blocks = act->padded / RP_TILE;
    for (size_t p = job->first; p < job->last; p++) {
        const uint8_t *row = job->k.rows + p * job->k.bytes;
        float acc[4] = {0, 0, 0, 0};
        for (size_t start = 0; start < width; start += RP_TILE) {
            v128_t dot[4];
            for (int h = 0; h < heads; h++)
                dot[h] = wasm_i32x4_splat(0);
            for (size_t i = start; i < RP_MIN(start + RP_TILE, width); i += 8) {
                v128_t k = wasm_i16x8_load8x8(row + i);
                for (int h = 0; h < heads; h++) {
                    v128_t q = act_in_order(act->q + (head + (size_t)h) * act->padded + i);
                    dot[h] = wasm_i32x4_add(dot[h], wasm_i32x4_dot_i16x8(k, q));
                }
            }
            float d = rp_f16_to_f32(rp_load_u16(row + width + start / RP_TILE * 2));
            for (int h = 0; h < heads; h++)
                acc[h] +=
                    (float)sum_lanes_i32(dot[h]) * (act->scale[(head + (size_t)h) * blocks + start / RP_TILE] * d);
        }
        for (int h = 0; h < heads; h++)
            job->scores[(head + (size_t)h) * job->score_stride + p - job->first] = job->scale * acc[h];
    }
}

RP_INLINE void scores(const rp_attention *job, rp_kv_type type, size_t head, int heads) {
    if (type == RP_KV_Q8_0)
        scores_q8_0(job, head, heads);
    else
        scores_floats(job, type, head, heads);
}

/* Positions are taken in runs that stay in the first-level cache while the columns pass over them, eight at a time. */
enum { RUN = 64 };

RP_INLINE void mix(const rp_attention *job, rp_kv_type type, size_t head, int heads) {
    size_t width = job->v.width;
    for (size_t h = head; h < head + (size_t)heads; h++)
        for (size_t i = 0; i < width; i += 4)
            wasm_v128_store(job->out + h * width + i, wasm_f32x4_splat(0.0f));
    for (size_t run = job->first; run < job->last; run += RUN)
        for (size_t i = 0; i < width; i += 8) {
            v128_t acc[4][2];
            for (int h = 0; h < heads; h++)
                for (size_t half = 0; half < 2; half++)
                    acc[h][half] = wasm_v128_load(job->out + (head + (size_t)h) * width + i + 4 * half);
            for (size_t p = run; p < RP_MIN(run + RUN, job->last); p++) {
                const uint8_t *row = job->v.rows + p * job->v.bytes;
                v128_t v[2];
                load_kv(type, row, i, v);
                float d = 1.0f;
                if (type == RP_KV_Q8_0)
                    d = rp_f16_to_f32(rp_load_u16(row + width + i / RP_TILE * 2));
                for (int h = 0; h < heads; h++) {
                    float score = job->scores[(head + (size_t)h) * job->score_stride + p - job->first];
                    v128_t weight = wasm_f32x4_splat(type == RP_KV_Q8_0 ? score * d : score);
                    for (int half = 0; half < 2; half++)
                        acc[h][half] = wasm_f32x4_add(acc[h][half], wasm_f32x4_mul(weight, v[half]));
                }
            }
            for (int h = 0; h < heads; h++)
                for (size_t half = 0; half < 2; half++)
                    wasm_v128_store(job->out + (head + (size_t)h) * width + i + 4 * half, acc[h][half]);
        }
}

/* Calls one of the above for all heads: four, three, two or one at a time with f16, the default; the others, which are rare, two or
 * one at a time, for less code. */
#define FOR_HEADS(function, name, type, most)                                                                          \
    void rp_kv_##function##_##name##_simd128(const rp_attention *job) {                                                \
        size_t head = 0;                                                                                               \
        for (; head + most <= job->heads; head += most)                                                                \
            function(job, type, head, most);                                                                           \
        switch (job->heads - head) {                                                                                   \
        case 3: function(job, type, head, most > 3 ? 3 : 1); break;                                                    \
        case 2: function(job, type, head, most > 2 ? 2 : 1); break;                                                    \
        case 1: function(job, type, head, 1); break;                                                                   \
        }                                                                                                              \
    }
FOR_HEADS(scores, f32, RP_KV_F32, 2)
FOR_HEADS(scores, f16, RP_KV_F16, 4)
FOR_HEADS(scores, q8_0, RP_KV_Q8_0, 2)
FOR_HEADS(mix, f32, RP_KV_F32, 2)
FOR_HEADS(mix, f16, RP_KV_F16, 4)
FOR_HEADS(mix, q8_0, RP_KV_Q8_0, 2)
