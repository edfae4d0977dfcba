/* What the files of the trainer's network share: the network itself, and the steps that several of them take. See network.h. */
#ifndef NETWORK_PARTS_H
#define NETWORK_PARTS_H

#include "network.h"

#include <math.h>

struct network {
    shape s;
    int length, tokens; /* of a sequence, of all */
    size_t parameters;
    float *weights, *gradients;
    linear embedding;
    size_t norm;
    block blocks[MAX_BLOCKS];
    int program[MAX_VISITS], visits; /* of the pass */
    uint32_t seed;
    trace traces[MAX_VISITS + 1]; /* the last one's x goes to the output */
    float *cosines, *sines;       /* (length, 16) */
    float *dx;                    /* (tokens, dim) */
    /* Scratch of a sequence (c), of a head (up to dy_b) and of all tokens. */
    float *c, *scores, *dscores, *dq, *dk, *dv;
    bf16 *p, *p_t, *ds_t, *k_t, *v_t, *q_b, *k_b, *v_b, *dy_b, *h_out, *dlogits, *dout, *act, *dgate_up, *dy, *dqkv,
        *left, *right;
};

static inline v16 exponential(v16 x) {
    x = __builtin_elementwise_max(__builtin_elementwise_min(x, (v16)88.0F), (v16)-87.0F);
    v16 n = __builtin_elementwise_roundeven(x * 1.44269504F);
    v16 r = x - n * 0.693359375F + n * 2.12194440e-4F;
    v16 y = ((((r * (1.0F / 720) + 1.0F / 120) * r + 1.0F / 24) * r + 1.0F / 6) * r + 0.5F) * r + 1.0F;
    y = y * r + 1.0F;
    return y * (v16)((__builtin_convertvector(n, v16i) + 127) << 23);
}

static inline float sum_of(v16 v) {
    __auto_type eight = v.lo + v.hi;
    __auto_type four = eight.lo + eight.hi;
    return four[0] + four[1] + four[2] + four[3];
}

static inline float greatest_of(v16 v) {
    __auto_type eight = __builtin_elementwise_max(v.lo, v.hi);
    __auto_type four = __builtin_elementwise_max(eight.lo, eight.hi);
    return fmaxf(fmaxf(four[0], four[1]), fmaxf(four[2], four[3]));
}

static inline v16 sigmoid(v16 x) {
    return 1.0F / (1.0F + exponential(-x));
}

/* The row of a token, 16 i, in a matrix of form A that is `width` wide. */
static inline bf16 *at_token(bf16 *a, int token, int width) {
    return a + (size_t)token * (size_t)width;
}

/* A panel into the tiles of columns 32 j ... of form A. */
static inline void panel_to_a(const network *net, const float *panel, bf16 *a, int width, int j) {
    for (int i = 0; i < net->length / 16; i++)
        for (int e = 0; e < TILE; e += 16)
            store_bf16(a + ((size_t)i * (width / 32) + j) * TILE + e, load(panel + (size_t)i * TILE + e));
}

/* Head j of a sequence, turned to each token's position or, with direction -1, back: queries (which take the factor of scores with
 * them), keys, and values, which do not turn. */
void rotate_panel(const network *net, float *panel, int head, float direction);

/* All heads of all sequences: y of a trace from its qkv, or backward dqkv from dy. */
void attention(network *net, trace *trace, bool backward);

#endif
