/* The table of kernels: all arithmetic on weights, activations and KV caches. One table for each instruction set; the
 * scalar one in reference.c is the specification, every other gives the same bits. A kernel never allocates, never fails
 * and never looks at a model. Shapes are in elements unless a name says bytes.
 *
 * What makes the bits equal: integer sums are exact in any order; float sums have one fixed order, stated at each slot;
 * multiplications and additions are never fused; exp is rp_expf (math.h) operation by operation. */
#ifndef RP_KERNELS_H
#define RP_KERNELS_H

#include "../quant.h"

/* Activations, quantized: value = q * scale, q in -127..127, one scale for 32 columns. q is kept in 16 bits and, within
 * four columns, in the order 0 2 1 3, which is what the weights' layout wants side by side. `values` holds the
 * row as it was, in column order: float weights are multiplied with that, since 8 bits would cost precision and save nothing.
 * Rows (one a token) follow each other at the given strides. */
typedef struct rp_act {
    int16_t *q;    /* (tokens, padded) with padded = columns rounded up to 32, zeros there */
    float *scale;  /* (tokens, padded / 32) */
    int32_t *sums; /* (tokens, padded / 16): sums of q */
    float *values; /* (tokens, padded) */
    size_t padded;
} rp_act;

/* out[token * stride + row] = weights (rows, columns) times activations, for groups first..last-1 of 8 rows; rows past
 * the matrix' end give zeros. Order of sums, for each row and token: over tiles of 32 columns from left to right,
 *   acc += float(sum over subs of sc * (sum of code * q)) * (d * scale)
 *   acc -= float(sum over subs of m * sums) * (min * scale)     for 256-wide types with minimums
 *   acc += float(sums) * (min * scale)                          for 32-wide ones
 * and for float weights, over columns: acc += weight * value. */
typedef struct rp_matmul {
    const uint8_t *weights;
    size_t columns;
    size_t first, last; /* groups */
    const rp_act *act;
    size_t tokens;
    float *out;
    size_t stride;
} rp_matmul;

/* One KV head's keys or values for positions 0.. of one sequence: rows of `bytes` each; f32 and f16: values; q8_0: padded
 * int8 values, then one f16 scale for each 32 of them. `width` is head_dim rounded up to 8, zeros there. */
typedef struct rp_kv_rows {
    const uint8_t *rows;
    size_t bytes;
    size_t width;
} rp_kv_rows;

/* Attention of `heads` query heads that share one KV head, over positions first..last-1. q: (heads, width) floats.
 * For q8_0 keys the query is quantized as in `quantize`, 32 columns a scale, and dots are integer.
 * scores: (heads, score_stride), score of position p at [p - first]. */
typedef struct rp_attention {
    rp_kv_rows k, v;
    const float *q;
    const rp_act *q_act; /* the query quantized, tokens = heads; used by q8_0 only */
    size_t heads;
    size_t first, last;
    float scale;
    float *scores;
    size_t score_stride;
    float *out; /* (heads, width) */
} rp_attention;

typedef struct rp_kernels {
    const char *name;
    rp_isa isa;

    /* One row of n floats into row `token` of `act`. Scale: max |x| / 127 of 32 columns (a maximum below 1e-30 counts as
     * zero); q: x * (127 / max), kept within -127..127 (NaN gives -127), to nearest even. */
    void (*quantize)(const float *x, size_t n, const rp_act *act, size_t token);

    void (*matmul[RP_TYPES])(const rp_matmul *job);

    /* out = x / sqrt(mean(x^2) + eps) * weight. Sum of squares: lane i % 4 sums its elements in order, then
     * (l0 + l2) + (l1 + l3). RMSNorm, Zhang and Sennrich 2019. out may be x. */
    void (*rms_norm)(float *out, const float *x, const float *weight, size_t n, float eps);
    void (*add)(float *x, const float *y, size_t n);
    /* gate[i] = silu(gate[i]) * up[i], silu(x) = x / (1 + exp(-x)) */
    void (*silu_mul)(float *gate, const float *up, size_t n);
    /* gate[i] = gelu(gate[i]) * up[i], the tanh form: x / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3) */
    void (*gelu_mul)(float *gate, const float *up, size_t n);

    /* Stores `width` floats as one KV row. */
    void (*kv_store[3])(uint8_t *row, const float *x, size_t width);
    /* scores = scale * (q . k). Float keys: lane i % 8 sums its products in order, then m_j = l_j + l_(j+4) and
     * (m0 + m2) + (m1 + m3). q8_0: acc += float(integer dot of 32) * (scale of q * scale of k), left to right. */
    void (*kv_scores[3])(const rp_attention *job);
    /* out = sum over positions, in order, of scores * v, lane by lane; q8_0: (score * scale of v) * value. */
    void (*kv_mix[3])(const rp_attention *job);
    /* x = exp(x - max) / sum, the sum as in rms_norm; multiplied by 1 / sum. */
    void (*softmax)(float *x, size_t n);
} rp_kernels;

extern const rp_kernels rp_kernels_reference;
/* Stores are a thousandth of a token's work: every table uses the reference's. */
void rp_kv_store_f32(uint8_t *row, const float *x, size_t width);
void rp_kv_store_f16(uint8_t *row, const float *x, size_t width);
void rp_kv_store_q8_0(uint8_t *row, const float *x, size_t width);
#ifdef RP_HAVE_SIMD128
extern const rp_kernels rp_kernels_simd128;
#endif

/* The table for an instruction set, or NULL when this build has none. RP_ISA_BEST gives the fastest one. */
const rp_kernels *rp_kernels_for(rp_isa isa);

/* check.c: hash of a small fixed computation, the same for every table of every build. */
uint32_t rp_kernels_check(const rp_kernels *kernels);
#define RP_KERNELS_CHECK 2981320302

/* Place of column c within a row of rp_act.q. */
static inline size_t rp_act_place(size_t c) {
    return (c & ~(size_t)3) + (c & 1) * 2 + (c >> 1 & 1);
}
/* Bytes of one KV row of `width` values. */
static inline size_t rp_kv_row_bytes(rp_kv_type type, size_t width) {
    return type == RP_KV_F32 ? width * 4 : type == RP_KV_F16 ? width * 2 : width + (width + 31) / 32 * 2;
}

#endif
