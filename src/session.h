/* A session's state: the KV cache and the scratch of the forward pass. T is the chunk: how many positions are computed at once.
 * Two allocations at open, none later. */
#ifndef RP_SESSION_H
#define RP_SESSION_H

#include "model.h"

struct rp_session {
    const rp_model *model;
    rp_session_options options; /* defaults filled in */
    uint64_t key;
    int32_t *ids;  /* (context) */
    size_t length; /* positions held */
    bool has_logits;

    uint8_t *kv; /* (slots, 2: keys and values, kv_heads, context, kv_row_bytes) */
    uint64_t kv_bytes;
    size_t kv_row_bytes, width; /* of one head's row; head_dim rounded up to 8 */

    void *scratch;
    uint64_t scratch_bytes;
    float *x;                   /* (T, dim): the residual stream */
    float *h;                   /* (T, dim_stride): normed input or output of a sub-layer */
    float *q, *k, *v;           /* (T, q_stride), (T, kv_stride) */
    float *mixed;               /* (T, q_stride): heads' outputs side by side */
    float *gate, *up;           /* (T, ffn_stride) */
    float *query, *answer;      /* (heads, width): one token's heads, padded */
    float *row;                 /* (width): one head's key or value, padded */
    float *scores;              /* (heads of a group, score_stride) */
    float *logits;              /* (RP_LOGIT_ROWS, vocab_stride) */
    double *rate[2];            /* (rope_dims / 2): radians a position; [1] for sliding-window blocks */
    float *cosine[2], *sine[2]; /* (T, rope_dims / 2) */
    rp_act act;                 /* (T, widest input) */
    rp_act query_act;           /* (heads of a group, width) */
    size_t dim_stride, q_stride, kv_stride, ffn_stride, score_stride, vocab_stride;
};

/* forward.c: runs the program for `count` ids (at most T) that stand at positions from session->length on, and writes their
 * KV rows. Leaves the residual stream in x. Reads nothing that depends on how ids are split into calls. */
void rp_forward(rp_session *session, const int32_t *ids, size_t count);
/* forward.c: logits of `count` (at most RP_LOGIT_ROWS) of the positions just run, from the first-th on. */
void rp_forward_head(rp_session *session, size_t first, size_t count);
/* forward.c: the rates of RoPE, once at open. */
void rp_forward_prepare(rp_session *session);

#endif
