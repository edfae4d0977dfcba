/* The table of kernels: all arithmetic on weights, activations and KV caches. One table for each instruction set; the
 * scalar one in reference.c is the specification, every other gives the same bits. A kernel never allocates, never fails
 * and never looks at a model. Shapes are in elements unless a name says bytes.
 *
 * What makes the bits equal: integer sums are exact in any order; float sums have one fixed order, stated at each slot;
 * multiplications and additions are never fused; exp is rp_expf (math.h) operation by operation. */
#ifndef RP_KERNELS_H
#define RP_KERNELS_H

#include "../quant.h"

/* Activations, quantized: value = q * scale, q in -127..127, one scale for 32 columns. `pairs` holds q in 16 bits and, within
 * four columns, in the order 0 2 1 3: what kernels without dots of bytes want side by side. `values` holds the row as it
 * was: float weights are multiplied with that, since 8 bits would cost precision and save nothing. Four tokens' rows lie
 * side by side, four columns of each in turn, so that a product with four tokens reads one stream; a last one that is left alone
 * lies plainly, since decode has nothing else. */
typedef struct rp_act {
    int8_t *q;      /* (tokens, padded) with padded = columns rounded up to 32, zeros there: see rp_act_at */
    int16_t *pairs; /* (tokens, padded): rp_act_at, in the other order */
    float *scale;   /* (tokens, padded / 32): rp_act_tile_at */
    int16_t *sums;  /* (tokens, padded / 32, 2): sums of 16 q each: 2 * rp_act_tile_at */
    float *values;  /* (tokens, padded): rp_act_value_at */
    size_t padded, tokens;
} rp_act;

enum { RP_TOKENS = 4 }; /* two and three are padded to this, what lies there is of no meaning */

/* How many tokens lie side by side where this one does. */
static inline size_t rp_act_lanes(const rp_act *act, size_t token) {
    return token % RP_TOKENS == 0 && token + 1 == act->tokens ? 1 : RP_TOKENS;
}
static inline size_t rp_act_place(const rp_act *act, size_t token, size_t row, size_t index, size_t together) {
    size_t lanes = rp_act_lanes(act, token), lane = token % RP_TOKENS;
    return (token - lane) * row + (index / together * lanes + lane) * together + index % together;
}
static inline size_t rp_act_at(const rp_act *act, size_t token, size_t column) {
    return rp_act_place(act, token, act->padded, column, 4);
}
static inline size_t rp_act_pair_at(const rp_act *act, size_t token, size_t column) {
    return rp_act_at(act, token, (column & ~(size_t)3) + (column & 1) * 2 + (column >> 1 & 1));
}
static inline size_t rp_act_tile_at(const rp_act *act, size_t token, size_t tile) {
    return rp_act_place(act, token, act->padded / RP_TILE, tile, 1);
}
static inline size_t rp_act_value_at(const rp_act *act, size_t token, size_t column) {
    return rp_act_place(act, token, act->padded, column, 1);
}

/* out[token * stride + row] = weights (rows, columns) times activations, for groups first..last-1 of 8 rows; rows past
 * the matrix' end give zeros. Order of sums, for each row and token: over tiles of 32 columns from left to right,
 *   acc += float(sum over subs of sc * (sum of code * q)) * (d * scale)
 *   acc -= float(sum over subs of m * sums) * (min * scale)     for 256-wide types with minimums
 *   acc += float(sums) * (min * scale)                          for 32-wide ones
 * and for float weights, over columns: acc += weight * value. Half floats are read by rp_f16_finite_to_f32. Cached keys are such a matrix, one row a position, and so
 * are cached values in floats, one column a position (kv.h). */
typedef struct rp_matmul {
    const uint8_t *weights;
    size_t group_bytes; /* from one group to the next */
    size_t columns;
    size_t first, last; /* groups */
    const rp_act *act;
    float *out;
    size_t stride;
} rp_matmul;

/* Cached values in q8_0 or q4_0, mixed: out[query * stride + i] = sum over positions of weight * value, for the 32 columns i of one
 * strip (kv.h). Order of sums: over tiles of 32 positions from left to right,
 *   w[p] = weights[p] * d[p], top = max |w|, q[p] = w[p] * (32767 / top) to nearest even, all 0 if top is below 1e-30
 *   acc += float(sum of q * code) * (top / 32767)
 * A w that is no number counts as nothing in the maximum and becomes -32767. */
typedef struct rp_mix {
    const uint8_t *strip;
    size_t tiles;
    const float *weights; /* (queries, weight_stride) with 32 * tiles of them used */
    size_t weight_stride, queries;
    float *out;
    size_t stride;
} rp_mix;

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

    /* x = exp(scale * (x - max)) / sum, the sum as in rms_norm; multiplied by 1 / sum. */
    void (*softmax)(float *x, size_t n, float scale);
    void (*mix_q8_0)(const rp_mix *job);
    void (*mix_q4_0)(const rp_mix *job); /* the same of code = nibble - 8 */
} rp_kernels;

extern const rp_kernels rp_kernels_reference;
#ifdef RP_HAVE_SIMD128
extern const rp_kernels rp_kernels_simd128;
#endif
#ifdef RP_HAVE_RELAXED
extern const rp_kernels rp_kernels_relaxed;
#endif

/* The table for an instruction set, or NULL when this build has none. RP_ISA_BEST gives the fastest one. */
const rp_kernels *rp_kernels_for(rp_isa isa);

/* check.c: hash of a small fixed computation, the same for every table of every build. */
uint32_t rp_kernels_check(const rp_kernels *kernels);
#define RP_KERNELS_CHECK 2981320302

/* A tile of cached values in q8_0: f16 scales of 32 positions, then codes, two positions side by side. */
enum { RP_MIX_TILE_BYTES = 2 * RP_TILE + RP_TILE * RP_TILE };
static inline size_t rp_mix_place(size_t position, size_t column) {
    return 2 * RP_TILE + position / 2 * 2 * RP_TILE + 2 * column + position % 2;
}

/* The same in q4_0: a byte holds a column's code + 8 in its low nibble and that of the column 16 further on in its high
 * one, so that taking them apart gives two runs of the layout above. */
enum { RP_MIX_Q4_TILE_BYTES = 2 * RP_TILE + RP_TILE * RP_TILE / 2, RP_MIX_Q4_ZERO = 8 };
static inline size_t rp_mix_q4_place(size_t position, size_t column) {
    return 2 * RP_TILE + position / 2 * RP_TILE + 2 * (column % (RP_TILE / 2)) + position % 2;
}
static inline unsigned rp_mix_q4_shift(size_t column) {
    return column < RP_TILE / 2 ? 0 : 4;
}

#endif
