/* The forward pass: a walk over the program of visits. Each visit names the block whose weights are used and the KV slot that is
 * read and written, so a block that is visited twice is held once and has two slots. Stages are in products.c, attention in
 * attention.c, what happens between visits in loops.c. SwiGLU or GeGLU (Shazeer 2020). */
#include "forward.h"

#include "math.h"

#include <string.h>

/* ---- Feed-forward -------------------------------------------------------------------------------------- */

static void do_activation(void *user, size_t first, size_t last, size_t thread) {
    const rp_pass *p = user;
    const rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    (void)thread;
    for (size_t t = first; t < last; t++) {
        float *gate = s->gate + t * s->ffn_stride, *up = s->up + t * s->ffn_stride;
        if (c->activation == RP_GELU)
            s->model->kernels->gelu_mul(gate, up, c->ffn);
        else
            s->model->kernels->silu_mul(gate, up, c->ffn);
        rp_quantize(s, gate, c->ffn, t);
    }
}

static void feed_forward(rp_pass *p) {
    rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    const rp_block *b = &s->model->blocks[p->visit->ffn];
    rp_norm_and_quantize(p, b->ffn_norm);
    rp_multiply(&(rp_products){.s = s,
                               .matrices = 2,
                               .matrix = {&b->gate, &b->up},
                               .out = {s->gate, s->up},
                               .stride = {s->ffn_stride, s->ffn_stride},
                               .block = b,
                               .target = RP_TARGET_GATE});
    rp_expect_activations(p, c->ffn);
    rp_each_row(p, do_activation);
    rp_multiply(&(rp_products){.s = s,
                               .matrices = 1,
                               .matrix = {&b->down},
                               .out = {s->h},
                               .stride = {s->dim_stride},
                               .block = b,
                               .target = RP_TARGET_DOWN});
    rp_add_to_residual(p, NULL, b->ffn_post_norm);
}

/* ---- From ids, to logits ------------------------------------------------------------------------------- */

/* A factorised embedding (Lan 2020): rows of the table are `rank` wide and go through a matrix. */
static void widen(rp_pass *p) {
    rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    const rp_matrix *e = &s->model->embedding;
    rp_expect_activations(p, c->embedding_rank);
    for (size_t t = 0; t < p->count; t++) {
        rp_unpack_row(e->type, e->columns, e->data, (size_t)rp_pass_owner(p, t)->ids[rp_pass_position(p, t)], s->h);
        rp_quantize(s, s->h, e->columns, t);
    }
    rp_multiply(&(rp_products){
        .s = s, .matrices = 1, .matrix = {&s->model->embedding_proj}, .out = {s->h}, .stride = {s->dim_stride}});
    for (size_t t = 0; t < p->count; t++)
        memcpy(rp_pass_x(p, t), s->h + t * s->dim_stride, c->dim * sizeof(float));
}

static void embed(rp_pass *p) {
    const rp_config *c = &p->s->model->config;
    const rp_matrix *e = &p->s->model->embedding;
    if (c->embedding_rank)
        widen(p);
    for (size_t t = 0; t < p->count; t++) {
        float *x = rp_pass_x(p, t);
        if (!c->embedding_rank)
            rp_unpack_row(e->type, c->dim, e->data, (size_t)rp_pass_owner(p, t)->ids[rp_pass_position(p, t)], x);
        for (uint32_t i = 0; c->embedding_scale != 1.0f && i < c->dim; i++)
            x[i] *= c->embedding_scale;
    }
}

void rp_forward_prepare(rp_session *s) {
    const rp_config *c = &s->model->config;
    for (size_t local = 0; local < 2; local++)
        for (uint32_t i = 0; i < c->rope_dims / 2; i++) {
            double rate = rp_pow(local ? c->rope_base_local : c->rope_base, -2.0 * i / c->rope_dims);
            if (!local)
                rate *= c->rope_scale;
            if (s->model->rope_factors)
                rate /= s->model->rope_factors[i];
            s->rate[local][i] = rate;
        }
    s->has_rates = true;
}

/* Cosines and sines of the positions: the same for every visit. */
static void turn(const rp_pass *p) {
    const rp_session *s = p->s;
    size_t pairs = s->model->config.rope_dims / 2;
    for (size_t local = 0; local < (s->model->config.window ? 2u : 1u); local++)
        for (size_t t = 0; t < p->count; t++)
            for (size_t i = 0; i < pairs; i++) {
                double sine, cosine;
                rp_sincos((double)rp_pass_position(p, t) * s->rate[local][i], &sine, &cosine);
                rp_pass_owner(p, t)->cosine[local][rp_pass_row(p, t) * pairs + i] = (float)cosine;
                rp_pass_owner(p, t)->sine[local][rp_pass_row(p, t) * pairs + i] = (float)sine;
            }
}

void rp_forward_visit(rp_session *s, rp_session *const *owners, uint32_t index, size_t first, size_t count) {
    rp_pass p = {.s = s, .visit = &s->program.visit[index], .first = first, .count = count, .owners = owners};
    if (index == 0) {
        embed(&p);
        turn(&p);
        rp_loop_start(&p);
    }
    rp_loop_before(&p);
    if (p.visit->slot >= 0)
        rp_attend(&p);
    feed_forward(&p);
    rp_loop_after(&p);
}

void rp_forward_head(rp_session *s, rp_session *const *owners, size_t first, size_t count) {
    const rp_model *m = s->model;
    rp_pass p = {.s = s, .first = first, .count = count, .owners = owners};
    rp_norm_and_quantize(&p, m->output_norm);
    if (m->config.embedding_rank) {
        rp_multiply(
            &(rp_products){.s = s, .matrices = 1, .matrix = {&m->head_proj}, .out = {s->h}, .stride = {s->dim_stride}});
        rp_expect_activations(&p, m->head.columns);
        for (size_t t = 0; t < count; t++)
            rp_quantize(s, s->h + t * s->dim_stride, m->head.columns, t);
    }
    rp_multiply(
        &(rp_products){.s = s, .matrices = 1, .matrix = {&m->head}, .out = {s->logits}, .stride = {s->vocab_stride}});
    for (size_t t = 0; owners && t < count; t++)
        if (owners[t] != s)
            memcpy(owners[t]->logits, s->logits + t * s->vocab_stride, s->vocab_stride * sizeof *s->logits);
}

void rp_forward_pool(rp_session *s, size_t count) {
    const rp_config *c = &s->model->config;
    const rp_pass p = {.s = s, .count = count};
    for (size_t t = 0; t < count; t++) {
        s->model->kernels->rms_norm(s->h, rp_pass_x(&p, t), s->model->output_norm, c->dim, c->norm_eps);
        s->model->kernels->add(s->pooled, s->h, c->dim);
    }
}
