/* Between visits: the loops' input that comes in again, step biases, the norm between loops, the exit rule.
 * Injection by a matrix follows Geiping 2025 (arXiv 2502.05171), the exit rule Ouro (arXiv 2510.25741): lambda = sigmoid(w h + b) of
 * the normed state after a loop is the chance to leave there, and a position's logits come from the first loop by which the
 * chance of having left has reached the threshold. All loops are computed, because later positions read their keys and values. */
#include "forward.h"

#include "math.h"

#include <string.h>

static float *row_of(const rp_pass *p, float *rows, size_t t) {
    return rows + rp_pass_row(p, t) * p->s->model->config.dim;
}

/* x = W [x, input] */
static void join(rp_pass *p) {
    rp_session *s = p->s;
    size_t dim = s->model->config.dim;
    rp_expect_activations(p, 2 * dim);
    for (size_t t = 0; t < p->count; t++) {
        memcpy(s->joined, rp_pass_x(p, t), dim * sizeof(float));
        memcpy(s->joined + dim, row_of(p, rp_pass_owner(p, t)->input, t), dim * sizeof(float));
        rp_quantize(s, s->joined, 2 * dim, t);
    }
    rp_multiply(&(rp_products){
        .s = s, .matrices = 1, .matrix = {&s->model->injection}, .out = {s->h}, .stride = {s->dim_stride}});
    for (size_t t = 0; t < p->count; t++)
        memcpy(rp_pass_x(p, t), s->h + t * s->dim_stride, dim * sizeof(float));
}

void rp_loop_before(rp_pass *p) {
    const rp_model *m = p->s->model;
    const float *bias = m->blocks[p->visit->attn].step_bias;
    size_t dim = m->config.dim;
    for (size_t t = 0; p->visit->keeps && t < p->count; t++) {
        memcpy(row_of(p, rp_pass_owner(p, t)->input, t), rp_pass_x(p, t), dim * sizeof(float));
        if (p->visit->clears)
            memset(rp_pass_x(p, t), 0, dim * sizeof(float));
    }
    if (p->visit->injects && m->config.injection == RP_INJECT_CONCAT)
        join(p);
    for (size_t t = 0; p->visit->injects && m->config.injection == RP_INJECT_ADD && t < p->count; t++)
        m->kernels->add(rp_pass_x(p, t), row_of(p, rp_pass_owner(p, t)->input, t), dim);
    for (size_t t = 0; bias && t < p->count; t++)
        m->kernels->add(rp_pass_x(p, t), bias, dim);
}

/* ---- The exit rule ------------------------------------------------------------------------------------- */

void rp_loop_start(rp_pass *p) {
    for (size_t t = 0; p->s->model->config.exits && t < p->count; t++) {
        rp_session *s = rp_pass_owner(p, t);
        s->exit_stays[rp_pass_row(p, t)] = 1.0f;
        s->exit_sum[rp_pass_row(p, t)] = 0.0f;
    }
}

/* One position after a loop, with what the gate gave. A position that has left has a negative chance of staying. */
static void ask_exit(rp_pass *p, size_t t, float gate) {
    rp_session *s = rp_pass_owner(p, t);
    float *stays = &s->exit_stays[rp_pass_row(p, t)], *sum = &s->exit_sum[rp_pass_row(p, t)];
    if (*stays < 0.0f)
        return;
    float leaves = 1.0f / (1.0f + rp_expf(-gate));
    *sum += leaves * *stays;
    *stays *= 1.0f - leaves;
    if (*sum >= s->program.exit_threshold) {
        memcpy(row_of(p, s->exit_x, t), rp_pass_x(p, t), s->model->config.dim * sizeof(float));
        *stays = -1.0f;
    }
}

static void ask_gate(rp_pass *p) {
    rp_session *s = p->s;
    float bias = s->model->exit_bias ? *s->model->exit_bias : 0.0f;
    rp_norm_and_quantize(p, s->model->output_norm);
    rp_multiply(&(rp_products){
        .s = s, .matrices = 1, .matrix = {&s->model->exit_gate}, .out = {s->up}, .stride = {s->ffn_stride}});
    for (size_t t = 0; t < p->count; t++)
        ask_exit(p, t, s->up[t * s->ffn_stride] + bias);
}

void rp_loop_after(rp_pass *p) {
    const rp_model *m = p->s->model;
    bool last = p->visit == &p->s->program.visit[p->s->program.visits - 1];
    if (p->visit->ends_loop && p->s->program.exit_threshold < 1.0f)
        ask_gate(p);
    for (size_t t = 0; p->visit->norm_after && t < p->count; t++)
        m->kernels->rms_norm(rp_pass_x(p, t), rp_pass_x(p, t), m->output_norm, m->config.dim, m->config.norm_eps);
    for (size_t t = 0; last && m->config.exits && t < p->count; t++) {
        rp_session *s = rp_pass_owner(p, t);
        if (s->exit_stays[rp_pass_row(p, t)] < 0.0f)
            memcpy(rp_pass_x(p, t), row_of(p, s->exit_x, t), m->config.dim * sizeof(float));
    }
}
