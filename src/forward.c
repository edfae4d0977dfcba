/* The forward pass: a walk over the program of visits. Each visit names the block whose weights are used and the KV slot that is
 * read and written, so a block that is visited twice is held once and has two slots.
 * Attention as in Vaswani 2017 with grouped heads (Ainslie 2023) and RoPE (Su 2021), SwiGLU or GeGLU (Shazeer 2020). */
#include "session.h"

#include "math.h"

#include <string.h>

/* out (count, stride) = matrix times act. */
static void multiply(const rp_session *s, const rp_matrix *w, const rp_act *act, size_t count, float *out,
                     size_t stride) {
    rp_matmul job = {.weights = w->data,
                     .columns = w->columns,
                     .first = 0,
                     .last = (w->rows + RP_ROWS - 1) / RP_ROWS,
                     .act = act,
                     .tokens = count,
                     .out = out,
                     .stride = stride};
    s->model->kernels->matmul[w->type](&job);
}

/* Quantizes `count` rows of n floats into the session's activations. */
static const rp_act *quantize(rp_session *s, const float *x, size_t n, size_t stride, size_t count) {
    s->act.padded = rp_round_up(n, RP_TILE);
    for (size_t t = 0; t < count; t++)
        s->model->kernels->quantize(x + t * stride, n, &s->act, t);
    return &s->act;
}

/* The positions that a step computes: rows first.. of the wave's x, cosines and sines, rows 0.. of everything else. */
typedef struct rows {
    size_t first, count;
} rows;

static float *x_row(const rp_session *s, size_t row) {
    return s->x + row * s->model->config.dim;
}

static const rp_act *norm_and_quantize(rp_session *s, const float *weight, rows r) {
    const rp_config *c = &s->model->config;
    for (size_t t = 0; t < r.count; t++)
        s->model->kernels->rms_norm(s->h + t * s->dim_stride, x_row(s, r.first + t), weight, c->dim, c->norm_eps);
    return quantize(s, s->h, c->dim, s->dim_stride, r.count);
}

static void add_bias(const rp_session *s, float *x, const float *bias, size_t n, size_t stride, size_t count) {
    if (bias)
        for (size_t t = 0; t < count; t++)
            s->model->kernels->add(x + t * stride, bias, n);
}

/* x += h, after the norm that some architectures put there. */
static void add_to_residual(rp_session *s, const float *post_norm, rows r) {
    const rp_config *c = &s->model->config;
    for (size_t t = 0; t < r.count; t++) {
        float *h = s->h + t * s->dim_stride;
        if (post_norm)
            s->model->kernels->rms_norm(h, h, post_norm, c->dim, c->norm_eps);
        s->model->kernels->add(x_row(s, r.first + t), h, c->dim);
    }
}

static void rotate(const rp_config *c, float *head, const float *cosine, const float *sine) {
    size_t pairs = c->rope_dims / 2;
    size_t step = c->rope_layout == RP_ROPE_ADJACENT ? 2 : 1, apart = c->rope_layout == RP_ROPE_ADJACENT ? 1 : pairs;
    for (size_t i = 0; i < pairs; i++) {
        float a = head[i * step], b = head[i * step + apart];
        head[i * step] = a * cosine[i] - b * sine[i];
        head[i * step + apart] = a * sine[i] + b * cosine[i];
    }
}

/* Norm and rotation of `heads` heads of one token, in place; `row` is the wave's. */
static void shape_heads(const rp_session *s, uint32_t block, float *x, uint32_t heads, const float *norm, size_t row) {
    const rp_config *c = &s->model->config;
    size_t local = rp_block_slides(c, block), pairs = c->rope_dims / 2;
    for (uint32_t h = 0; h < heads; h++) {
        float *head = x + (size_t)h * c->head_dim;
        if (norm)
            s->model->kernels->rms_norm(head, head, norm, c->head_dim, c->norm_eps);
        if (rp_block_rotates(c, block))
            rotate(c, head, s->cosine[local] + row * pairs, s->sine[local] + row * pairs);
    }
}

/* Start of the rows of one KV head: keys (part 0) or values (part 1) of a slot. */
static uint8_t *kv_rows(const rp_session *s, uint32_t slot, uint32_t part, uint32_t head) {
    size_t heads = s->model->config.kv_heads;
    return s->kv + (((size_t)slot * 2 + part) * heads + head) * s->options.context * s->kv_row_bytes;
}

static void store_kv(rp_session *s, uint32_t slot, uint32_t part, const float *x, size_t position) {
    const rp_config *c = &s->model->config;
    for (uint32_t h = 0; h < c->kv_heads; h++) {
        memcpy(s->row, x + (size_t)h * c->head_dim, c->head_dim * sizeof *x); /* the padding stays zero */
        s->model->kernels->kv_store[s->options.kv_type](kv_rows(s, slot, part, h) + position * s->kv_row_bytes, s->row,
                                                        s->width);
    }
}

/* One token's heads over the positions up to its own. */
static void attend(rp_session *s, const rp_visit *visit, const float *q, size_t position, float *mixed) {
    const rp_config *c = &s->model->config;
    const rp_kernels *kernels = s->model->kernels;
    size_t group = c->heads / c->kv_heads;
    for (uint32_t h = 0; h < c->heads; h++)
        memcpy(s->query + h * s->width, q + (size_t)h * c->head_dim, c->head_dim * sizeof *q);
    bool slides = rp_block_slides(c, visit->attn);
    rp_attention job = {.heads = group,
                        .first = slides && position + 1 > c->window ? position + 1 - c->window : 0,
                        .last = position + 1,
                        .scale = c->attention_scale,
                        .scores = s->scores,
                        .score_stride = s->score_stride,
                        .q_act = &s->query_act};
    for (uint32_t kv = 0; kv < c->kv_heads; kv++) {
        job.k = (rp_kv_rows){kv_rows(s, (uint32_t)visit->slot, 0, kv), s->kv_row_bytes, s->width};
        job.v = (rp_kv_rows){kv_rows(s, (uint32_t)visit->slot, 1, kv), s->kv_row_bytes, s->width};
        job.q = s->query + kv * group * s->width;
        job.out = s->answer + kv * group * s->width;
        if (s->options.kv_type == RP_KV_Q8_0)
            for (size_t h = 0; h < group; h++)
                kernels->quantize(job.q + h * s->width, s->width, &s->query_act, h);
        kernels->kv_scores[s->options.kv_type](&job);
        for (size_t h = 0; h < group; h++)
            kernels->softmax(s->scores + h * s->score_stride, job.last - job.first);
        kernels->kv_mix[s->options.kv_type](&job);
    }
    for (uint32_t h = 0; h < c->heads; h++)
        memcpy(mixed + (size_t)h * c->head_dim, s->answer + h * s->width, c->head_dim * sizeof *mixed);
}

static void attention(rp_session *s, const rp_visit *visit, rows r) {
    const rp_config *c = &s->model->config;
    const rp_block *b = &s->model->blocks[visit->attn];
    size_t q_width = (size_t)c->heads * c->head_dim, kv_width = (size_t)c->kv_heads * c->head_dim;
    size_t position = s->length + r.first;
    const rp_act *act = norm_and_quantize(s, b->attn_norm, r);
    multiply(s, &b->q, act, r.count, s->q, s->q_stride);
    add_bias(s, s->q, b->q_bias, q_width, s->q_stride, r.count);
    if (visit->writes) {
        multiply(s, &b->k, act, r.count, s->k, s->kv_stride);
        multiply(s, &b->v, act, r.count, s->v, s->kv_stride);
        add_bias(s, s->k, b->k_bias, kv_width, s->kv_stride, r.count);
        add_bias(s, s->v, b->v_bias, kv_width, s->kv_stride, r.count);
    }
    for (size_t t = 0; t < r.count; t++) {
        shape_heads(s, visit->attn, s->q + t * s->q_stride, c->heads, b->q_norm, r.first + t);
        if (!visit->writes)
            continue;
        shape_heads(s, visit->attn, s->k + t * s->kv_stride, c->kv_heads, b->k_norm, r.first + t);
        store_kv(s, (uint32_t)visit->slot, 0, s->k + t * s->kv_stride, position + t);
        store_kv(s, (uint32_t)visit->slot, 1, s->v + t * s->kv_stride, position + t);
    }
    for (size_t t = 0; t < r.count; t++)
        attend(s, visit, s->q + t * s->q_stride, position + t, s->mixed + t * s->q_stride);
    act = quantize(s, s->mixed, q_width, s->q_stride, r.count);
    multiply(s, &b->o, act, r.count, s->h, s->dim_stride);
    add_bias(s, s->h, b->o_bias, c->dim, s->dim_stride, r.count);
    add_to_residual(s, b->attn_post_norm, r);
}

static void feed_forward(rp_session *s, const rp_visit *visit, rows r) {
    const rp_config *c = &s->model->config;
    const rp_block *b = &s->model->blocks[visit->ffn];
    const rp_act *act = norm_and_quantize(s, b->ffn_norm, r);
    multiply(s, &b->gate, act, r.count, s->gate, s->ffn_stride);
    multiply(s, &b->up, act, r.count, s->up, s->ffn_stride);
    for (size_t t = 0; t < r.count; t++) {
        float *gate = s->gate + t * s->ffn_stride, *up = s->up + t * s->ffn_stride;
        if (c->activation == RP_GELU)
            s->model->kernels->gelu_mul(gate, up, c->ffn);
        else
            s->model->kernels->silu_mul(gate, up, c->ffn);
    }
    act = quantize(s, s->gate, c->ffn, s->ffn_stride, r.count);
    multiply(s, &b->down, act, r.count, s->h, s->dim_stride);
    add_to_residual(s, b->ffn_post_norm, r);
}

static void embed(rp_session *s, rows r) {
    const rp_config *c = &s->model->config;
    const rp_matrix *e = &s->model->embedding;
    for (size_t row = r.first; row < r.first + r.count; row++) {
        float *x = x_row(s, row);
        rp_unpack_row(e->type, c->dim, e->data, (size_t)s->ids[s->length + row], x);
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
static void turn(rp_session *s, rows r) {
    size_t pairs = s->model->config.rope_dims / 2;
    for (size_t local = 0; local < (s->model->config.window ? 2u : 1u); local++)
        for (size_t row = r.first; row < r.first + r.count; row++)
            for (size_t i = 0; i < pairs; i++) {
                double sine, cosine;
                rp_sincos((double)(s->length + row) * s->rate[local][i], &sine, &cosine);
                s->cosine[local][row * pairs + i] = (float)cosine;
                s->sine[local][row * pairs + i] = (float)sine;
            }
}

void rp_forward_visit(rp_session *s, uint32_t index, size_t first, size_t count) {
    const rp_model *m = s->model;
    const rp_visit *visit = &m->program[index];
    const rows r = {first, count};
    if (index == 0) {
        embed(s, r);
        turn(s, r);
    }
    if (visit->slot >= 0)
        attention(s, visit, r);
    feed_forward(s, visit, r);
    for (size_t row = first; visit->norm_after && row < first + count; row++)
        m->kernels->rms_norm(x_row(s, row), x_row(s, row), m->output_norm, m->config.dim, m->config.norm_eps);
}

void rp_forward_head(rp_session *s, size_t first, size_t count) {
    const rp_act *act = norm_and_quantize(s, s->model->output_norm, (rows){first, count});
    multiply(s, &s->model->head, act, count, s->logits, s->vocab_stride);
}

void rp_forward_pool(rp_session *s, size_t count) {
    const rp_config *c = &s->model->config;
    for (size_t row = 0; row < count; row++) {
        s->model->kernels->rms_norm(s->h, x_row(s, row), s->model->output_norm, c->dim, c->norm_eps);
        s->model->kernels->add(s->pooled, s->h, c->dim);
    }
}
