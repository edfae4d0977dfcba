/* The network that the trainer trains: a Llama whose blocks are visited in any order, more than once, with its gradients.
 *
 * Shapes follow src/: RMSNorm before attention and FFN, grouped KV heads of 32 values, rotary pairs in the "rotate halves" layout
 * (export.py permutes Q and K to the layout that GGUF's llama family stores), SwiGLU, output tied to the embedding. Products are of
 * bf16 values summed in float, all else is float. Some rows of tokens, each a sequence of its own, go through at once. */
#ifndef NETWORK_H
#define NETWORK_H

#include "tiles.h"

enum { HEAD = 32, MAX_BLOCKS = 32, MAX_VISITS = 64 };

typedef struct {
    int vocab, dim, heads, kv_heads, ffn;
    int blocks, visits, map[MAX_VISITS]; /* the block of each visit */
    int loop_first, loop_last, loop_min,
        loop_max;  /* blocks that run loop_min to loop_max times, as drawn for each step; loop_max 1: none */
    float dropout; /* of what attention and FFN add, and of the embedding */
} shape;

/* A matrix (rows x columns) among the parameters, and its values as factors of products. */
typedef struct {
    int rows, columns;
    size_t at;
    bf16 *forward, *backward;
} linear;

typedef struct {
    size_t attn_norm, ffn_norm;
    linear qkv, o, gate_up, down; /* Q, K and V are rows of one matrix, and so are gate and up */
} block;

/* What a visit keeps for its gradients. */
typedef struct {
    float *x, *x_ffn, *scale, *scale_ffn, *log_sum; /* before attention and FFN; 1 / RMS; of each head and token */
    bf16 *h, *qkv, *y, *h_ffn, *gate_up;            /* form A */
} trace;

typedef struct network network;

/* A network for `rows` sequences of `length` tokens (a multiple of 32) at once. Parameters are zeros. NULL where memory ends. */
network *network_create(const shape *s, int rows, int length);
size_t network_parameters(const network *net);
float *network_weights(network *net);
float *network_gradients(network *net);
const block *network_blocks(const network *net);
const linear *network_embedding(const network *net);

/* Takes the weights as they are now as factors: before the first pass, and whenever they changed. */
void network_pack(network *net);

/* Adds the gradients of the loss in nats, summed over all tokens and times `factor`, for ids and targets (rows x length), with dropout drawn
 * from the seed and the looped blocks `loops` times. Returns the loss, summed over all tokens. */
double network_pass(network *net, const uint16_t *ids, const uint16_t *targets, float factor, int loops, uint32_t seed);

#endif
