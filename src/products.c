/* Stages that every part of the forward pass is made of: products with weights, norms, the residual. */
#include "forward.h"

static size_t groups_of(const rp_matrix *w) {
    return (w->rows + RP_ROWS - 1) / RP_ROWS;
}

/* out = groups first..last-1 of the matrix times activations. */
static void multiply_groups(const rp_session *s, const rp_matrix *w, const rp_act *act, size_t first, size_t last,
                            float *out, size_t stride) {
    rp_matmul job = {.weights = w->data,
                     .group_bytes = (size_t)rp_group_bytes(w->type, w->columns),
                     .columns = w->columns,
                     .first = first,
                     .last = last,
                     .act = act,
                     .out = out,
                     .stride = stride};
    s->model->kernels->matmul[w->type](&job);
}

static void do_products(void *user, size_t first, size_t last, size_t thread) {
    const rp_products *p = user;
    (void)thread;
    for (size_t i = 0, start = 0; i < p->matrices; i++) {
        size_t end = start + groups_of(p->matrix[i]);
        if (first < end && last > start)
            multiply_groups(p->s, p->matrix[i], &p->s->act, RP_MAX(first, start) - start, RP_MIN(last, end) - start,
                            p->out[i], p->stride[i]);
        start = end;
    }
}

/* Ranges that are small enough for threads to end together, and large enough not to be noticed. */
static size_t grain_of(const rp_session *s, size_t items) {
    return RP_MAX(items / (4 * (size_t)s->options.threads), 1);
}

/* A session that was opened for fewer threads than are in use goes alone: it has not the scratch for them. */
void rp_run(const rp_session *s, size_t items, rp_pool_work *work, void *user) {
    rp_pool *pool = s->model->pool;
    rp_pool_run(rp_pool_used(pool) > s->options.threads ? NULL : pool, items, grain_of(s, items), work, user);
}

/* One low-rank term on its way: a product with A of the session's activations, then one with B of what that gave. */
typedef struct low_product {
    const rp_session *s;
    const rp_matrix *matrix;
    const rp_act *act;
    float *out;
    size_t stride;
} low_product;

static void do_low_product(void *user, size_t first, size_t last, size_t thread) {
    const low_product *p = user;
    (void)thread;
    multiply_groups(p->s, p->matrix, p->act, first, last, p->out, p->stride);
}

static void multiply_low(const rp_session *s, const rp_matrix *matrix, const rp_act *act, float *out) {
    low_product job = {s, matrix, act, out, groups_of(matrix) * RP_ROWS};
    rp_run(s, groups_of(matrix), do_low_product, &job);
}

/* out += scale * B (A x) for every position. */
static void add_low_rank(const rp_session *s, const rp_low_rank *term, float scale, float *out, size_t stride) {
    rp_act inner = s->low.act;
    size_t rank = term->a.rows, inner_stride = groups_of(&term->a) * RP_ROWS, rows = term->b.rows;
    inner.padded = (size_t)rp_round_up(rank, RP_TILE);
    inner.tokens = s->act.tokens;
    multiply_low(s, &term->a, &s->act, s->low.inner);
    for (size_t t = 0; t < inner.tokens; t++) {
        float *row = s->low.inner + t * inner_stride;
        for (size_t i = 0; i < rank; i++)
            row[i] *= scale;
        s->model->kernels->quantize(row, rank, &inner, t);
    }
    multiply_low(s, &term->b, &inner, s->low.outer);
    for (size_t t = 0; t < inner.tokens; t++)
        s->model->kernels->add(out + t * stride, s->low.outer + t * groups_of(&term->b) * RP_ROWS, rows);
}

static void add_terms(const rp_products *p, size_t i) {
    const rp_low_rank *own = p->block->low_rank ? &p->block->low_rank[p->target + i] : NULL;
    if (own && own->a.rows)
        add_low_rank(p->s, own, own->scale, p->out[i], p->stride[i]);
    for (size_t k = 0; k < p->s->adapter_count; k++) {
        const rp_adapter_use *use = &p->s->adapters[k];
        const rp_low_rank *term = rp_adapter_term(use->adapter, p->block->base, (rp_target)(p->target + i));
        if (term->a.rows && use->scale != 0.0f)
            add_low_rank(p->s, term, use->scale * term->scale, p->out[i], p->stride[i]);
    }
}

void rp_multiply(const rp_products *p) {
    size_t groups = 0;
    for (size_t i = 0; i < p->matrices; i++)
        groups += groups_of(p->matrix[i]);
    rp_run(p->s, groups, do_products, (void *)p);
    for (size_t i = 0; p->block && i < p->matrices; i++)
        add_terms(p, i);
}

void rp_each_row(rp_pass *p, rp_pool_work *work) {
    rp_run(p->s, p->count, work, p);
}

void rp_expect_activations(const rp_pass *p, size_t columns) {
    p->s->act.padded = rp_round_up(columns, RP_TILE);
    p->s->act.tokens = p->count;
}

void rp_quantize(const rp_session *s, const float *x, size_t n, size_t t) {
    s->model->kernels->quantize(x, n, &s->act, t);
}

static void norm_row(const rp_pass *p, const float *norm, size_t t) {
    const rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    float *h = s->h + t * s->dim_stride;
    s->model->kernels->rms_norm(h, rp_pass_x(p, t), norm, c->dim, c->norm_eps);
    rp_quantize(s, h, c->dim, t);
}

static void do_norm(void *user, size_t first, size_t last, size_t thread) {
    const rp_pass *p = user;
    (void)thread;
    for (size_t t = first; t < last; t++)
        norm_row(p, p->norm, t);
}

void rp_norm_and_quantize(rp_pass *p, const float *norm) {
    p->norm = norm;
    rp_expect_activations(p, p->s->model->config.dim);
    rp_each_row(p, do_norm);
}

static void do_residual(void *user, size_t first, size_t last, size_t thread) {
    const rp_pass *p = user;
    const rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    (void)thread;
    for (size_t t = first; t < last; t++) {
        float *h = s->h + t * s->dim_stride;
        if (p->bias)
            s->model->kernels->add(h, p->bias, c->dim);
        float *x = rp_pass_x(p, t);
        if (p->post_norm && !c->norms_on_sum)
            s->model->kernels->rms_norm(h, h, p->post_norm, c->dim, c->norm_eps);
        s->model->kernels->add(x, h, c->dim);
        if (p->post_norm && c->norms_on_sum)
            s->model->kernels->rms_norm(x, x, p->post_norm, c->dim, c->norm_eps);
    }
}

void rp_add_to_residual(rp_pass *p, const float *bias, const float *post_norm) {
    p->bias = bias;
    p->post_norm = post_norm;
    rp_each_row(p, do_residual);
}
