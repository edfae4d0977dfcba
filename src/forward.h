/* Inside the forward pass: what its stages share. Stages are jobs of the pool; each leaves what the next one reads. */
#ifndef RP_FORWARD_H
#define RP_FORWARD_H

#include "session.h"

/* A visit, or the head, of some positions, as the stages see it; all of them share this. Position t stands in row first + t of
 * the wave's x, cosines and sines, or in row 0 of its owner's, and in row t of everything else. */
typedef struct rp_pass {
    rp_session *s;
    const rp_visit *visit;
    size_t first, count;
    rp_session *const *owners; /* of each position, where they belong to several sequences; NULL: all are s's own */
    const float *norm, *post_norm, *bias;
} rp_pass;

static inline rp_session *rp_pass_owner(const rp_pass *p, size_t t) {
    return p->owners ? p->owners[t] : p->s;
}
static inline size_t rp_pass_position(const rp_pass *p, size_t t) {
    return p->owners ? p->owners[t]->length : p->s->length + p->first + t;
}
static inline size_t rp_pass_row(const rp_pass *p, size_t t) {
    return p->owners ? 0 : p->first + t;
}
static inline float *rp_pass_x(const rp_pass *p, size_t t) {
    return rp_pass_owner(p, t)->x + rp_pass_row(p, t) * p->s->model->config.dim;
}

/* Matrices that are multiplied with the same activations, as one range of groups. */
typedef struct rp_products {
    const rp_session *s;
    size_t matrices;
    const rp_matrix *matrix[3];
    float *out[3]; /* (positions, stride); rows past a matrix' end, to a multiple of 8, are written, too */
    size_t stride[3];
    const rp_block *block; /* that they are of: it and the session's adapters may have low-rank terms */
    rp_target target;      /* of the first; the others follow it */
} rp_products;

/* products.c: stages. `work` gets a pass, or whatever `user` is. */
void rp_run(const rp_session *s, size_t items, rp_pool_work *work, void *user);
/* One row after another; too little for several threads when it is one row. */
void rp_each_row(rp_pass *p, rp_pool_work *work);
/* Of every position, so many columns. */
void rp_expect_activations(const rp_pass *p, size_t columns);
/* Row t of the activations from n floats. */
void rp_quantize(const rp_session *s, const float *x, size_t n, size_t t);
void rp_multiply(const rp_products *p);
/* h = norm of x, and the activations of it. */
void rp_norm_and_quantize(rp_pass *p, const float *norm);
/* x += h, with a bias before and the norm that some architectures put there. */
void rp_add_to_residual(rp_pass *p, const float *bias, const float *post_norm);

/* attention.c */
void rp_attend(rp_pass *p);

/* loops.c: what happens to x between visits: before the first, before and after each. */
void rp_loop_start(rp_pass *p);
void rp_loop_before(rp_pass *p);
void rp_loop_after(rp_pass *p);

#endif
