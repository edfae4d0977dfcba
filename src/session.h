/* A session's state: the KV cache and the scratch of the forward pass. T is the chunk: how many positions are computed at once.
 * W is the wave: how many positions go through a visit, chunk after chunk, before the next visit's turn comes, so that a
 * prompt needs each block once a wave and can follow a file that is still arriving. Memory is taken at open and never later. */
#ifndef RP_SESSION_H
#define RP_SESSION_H

#include "adapter.h"
#include "kv.h"
#include "model.h"

enum {
    RP_ATTENDED = 8, /* positions whose attention is computed at once: they read keys and values together */
    RP_TOGETHER = 8, /* sessions that make a step together */
};

/* What one thread needs for attention: RP_ATTENDED positions' heads that share a KV head are its queries. */
typedef struct rp_attention {
    rp_act query;   /* (queries, head_dim) */
    float *scores;  /* (queries, score_stride) */
    float *weights; /* the same as rp_act.values, where values are floats */
    float *answer;  /* (queries, width) */
    size_t score_stride;
} rp_attention;

/* What low-rank terms are computed with: T rows each. */
typedef struct rp_low {
    rp_act act;           /* (T, rank) */
    float *inner, *outer; /* (T, rank) and (T, widest output), each rounded up to 8 */
    uint32_t rank;        /* there is room for */
    void *memory;
    uint64_t bytes;
} rp_low;

struct rp_session {
    const rp_model *model;
    rp_session_options options; /* defaults filled in */
    rp_program program;
    uint64_t program_hash;
    rp_adapter_use adapters[RP_ADAPTERS_MOST];
    size_t adapter_count;
    int32_t *ids;  /* (context): `length` that are held, then `pending` that are to come */
    size_t length; /* positions held */
    bool has_logits, has_sum, is_steered;
    double sum; /* of the logits' exponentials, its logarithm */

    size_t planned, pending; /* ids that the last begin or feed planned; those of them whose wave is not complete */
    size_t wave, at; /* positions on their way, in the first rows of x (0: none yet); those the visit has seen */
    uint32_t visit, visit_done; /* of the wave; computed last */
    size_t closing;             /* rows of x, through all visits, whose logits or mean are due */
    bool pools;                 /* the mean of all positions is wanted instead of logits */
    bool has_rates;

    rp_kv kv;
    uint64_t kv_bytes;
    rp_low low;

    void *scratch;
    uint64_t scratch_bytes;
    float *x;                     /* (W, dim): the residual stream */
    float *h;                     /* (max(T, RP_LOGIT_ROWS), dim_stride): normed input or output of a sub-layer */
    float *q, *k, *v;             /* (T, q_stride), (T, kv_stride) */
    float *mixed;                 /* (T, q_stride): heads' outputs side by side */
    float *gate, *up;             /* (T, ffn_stride) */
    float *logits;                /* (RP_LOGIT_ROWS, vocab_stride) */
    float *pooled;                /* (dim): sum, at last mean, over positions */
    float *input, *joined;        /* of loops into which it is injected: (W, dim), (2 dim) */
    float *exit_x;                /* (W, dim): x of positions that have left */
    float *exit_stays, *exit_sum; /* (W): chances of not having left, and of having left */
    double *rate[2];              /* (rope_dims / 2): radians a position; [1] for sliding-window blocks */
    float *cosine[2], *sine[2];   /* (W, rope_dims / 2) */
    rp_act act;                   /* (T, widest input) */
    rp_attention *attention;      /* (threads) */
    size_t dim_stride, q_stride, kv_stride, ffn_stride, vocab_stride;
};

/* forward.c: runs one visit for `count` (at most T) positions of the wave, from its first-th on; they stand at
 * session->length + first. The first visit also embeds their ids, every one that writes a KV slot stores their rows. Reads
 * nothing that depends on how ids are split into calls, waves or chunks. With `owners` (the first is `session`), position t is the one
 * that comes next in owners[t], alone in its wave. */
void rp_forward_visit(rp_session *session, rp_session *const *owners, uint32_t visit, size_t first, size_t count);
/* forward.c: logits of `count` (at most RP_LOGIT_ROWS) rows of x that went through all visits, from the first-th on; with `owners`
 * of each one's first row, to each. */
void rp_forward_head(rp_session *session, rp_session *const *owners, size_t first, size_t count);
/* forward.c: adds the first `count` rows of x, after the output norm, to session->pooled. */
void rp_forward_pool(rp_session *session, size_t count);
/* forward.c: the rates of RoPE; reads the model's factors. */
void rp_forward_prepare(rp_session *session);

/* session.c: RP_ERR_ARGUMENT for an id outside the vocabulary, RP_CONTEXT_FULL when `count` do not fit after `length`. */
rp_status rp_session_check(const rp_session *session, const int32_t *ids, size_t length, size_t count, rp_error *err);

/* session.c: whether two sessions of one model compute the same: the hashes of programs and adapters are equal, and so are the programs. An adapter's
 * author could make the hashes equal alone, and KV slots of one program are no slots of another. */
bool rp_session_computes_as(const rp_session *a, const rp_session *b);

#endif
