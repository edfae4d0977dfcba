/* The forward pass: a walk over the program of visits. Each visit names the block whose weights are used and the KV slot that is
 * read and written, so a block that is visited twice is held once and has two slots.
 * Attention as in Vaswani 2017 with grouped heads (Ainslie 2023) and RoPE (Su 2021), SwiGLU or GeGLU (Shazeer 2020). */
#include "session.h"

#include "math.h"

#include <string.h>

/* A visit, or the head, of some positions, as the stages see it; all of them share this. Position t stands in row first + t of
 * the wave's x, cosines and sines, or in row 0 of its owner's, and in row t of everything else. */
typedef struct pass {
    rp_session *s;
    const rp_visit *visit;
    size_t first, count;
    rp_session *const *owners; /* of each position, where they belong to several sequences; NULL: all are s's own */
    const float *norm, *post_norm, *bias;
} pass;

static rp_session *owner(const pass *p, size_t t) {
    return p->owners ? p->owners[t] : p->s;
}

static size_t position(const pass *p, size_t t) {
    return p->owners ? p->owners[t]->length : p->s->length + p->first + t;
}

static size_t row(const pass *p, size_t t) {
    return p->owners ? 0 : p->first + t;
}

static float *x_row(const pass *p, size_t t) {
    return owner(p, t)->x + row(p, t) * p->s->model->config.dim;
}

/* ---- Products ------------------------------------------------------------------------------------------ */

/* Matrices that are multiplied with the same activations, as one range of groups. */
typedef struct products {
    const rp_session *s;
    size_t matrices;
    const rp_matrix *matrix[3];
    float *out[3];
    size_t stride[3];
} products;

static size_t groups_of(const rp_matrix *w) {
    return (w->rows + RP_ROWS - 1) / RP_ROWS;
}

/* out = groups first..last-1 of the matrix times the session's activations. */
static void multiply_groups(const rp_session *s, const rp_matrix *w, size_t first, size_t last, float *out,
                            size_t stride) {
    rp_matmul job = {.weights = w->data,
                     .group_bytes = (size_t)rp_group_bytes(w->type, w->columns),
                     .columns = w->columns,
                     .first = first,
                     .last = last,
                     .act = &s->act,
                     .out = out,
                     .stride = stride};
    s->model->kernels->matmul[w->type](&job);
}

static void do_products(void *user, size_t first, size_t last, size_t thread) {
    const products *p = user;
    (void)thread;
    for (size_t i = 0, start = 0; i < p->matrices; i++) {
        size_t end = start + groups_of(p->matrix[i]);
        if (first < end && last > start)
            multiply_groups(p->s, p->matrix[i], RP_MAX(first, start) - start, RP_MIN(last, end) - start, p->out[i],
                            p->stride[i]);
        start = end;
    }
}

/* Ranges that are small enough for threads to end together, and large enough not to be noticed. */
static size_t grain_of(const rp_session *s, size_t items) {
    return RP_MAX(items / (4 * (size_t)s->options.threads), 1);
}

/* A session that was opened for fewer threads than are in use goes alone: it has not the scratch for them. */
static void run(const rp_session *s, size_t items, rp_pool_work *work, void *user) {
    rp_pool *pool = s->model->pool;
    rp_pool_run(rp_pool_used(pool) > s->options.threads ? NULL : pool, items, grain_of(s, items), work, user);
}

static void multiply(const products *p) {
    size_t groups = 0;
    for (size_t i = 0; i < p->matrices; i++)
        groups += groups_of(p->matrix[i]);
    run(p->s, groups, do_products, (void *)p);
}

/* One row after another; too little for several threads when it is one row. */
static void each_row(pass *p, rp_pool_work *work) {
    run(p->s, p->count, work, p);
}

/* Of every position, so many columns. */
static void expect_activations(const pass *p, size_t columns) {
    p->s->act.padded = rp_round_up(columns, RP_TILE);
    p->s->act.tokens = p->count;
}

/* Row t of the activations from n floats. */
static void quantize(const rp_session *s, const float *x, size_t n, size_t t) {
    s->model->kernels->quantize(x, n, &s->act, t);
}

static void norm_row(const pass *p, const float *norm, size_t t) {
    const rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    float *h = s->h + t * s->dim_stride;
    s->model->kernels->rms_norm(h, x_row(p, t), norm, c->dim, c->norm_eps);
    quantize(s, h, c->dim, t);
}

static void do_norm(void *user, size_t first, size_t last, size_t thread) {
    const pass *p = user;
    (void)thread;
    for (size_t t = first; t < last; t++)
        norm_row(p, p->norm, t);
}

static void norm_and_quantize(pass *p, const float *norm) {
    p->norm = norm;
    expect_activations(p, p->s->model->config.dim);
    each_row(p, do_norm);
}

/* x += h, with a bias before and the norm that some architectures put there. */
static void do_residual(void *user, size_t first, size_t last, size_t thread) {
    const pass *p = user;
    const rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    (void)thread;
    for (size_t t = first; t < last; t++) {
        float *h = s->h + t * s->dim_stride;
        if (p->bias)
            s->model->kernels->add(h, p->bias, c->dim);
        if (p->post_norm)
            s->model->kernels->rms_norm(h, h, p->post_norm, c->dim, c->norm_eps);
        s->model->kernels->add(x_row(p, t), h, c->dim);
    }
}

static void add_to_residual(pass *p, const float *bias, const float *post_norm) {
    p->bias = bias;
    p->post_norm = post_norm;
    each_row(p, do_residual);
}

/* ---- Attention ----------------------------------------------------------------------------------------- */

static void rotate(const rp_config *c, float *head, const float *cosine, const float *sine) {
    size_t pairs = c->rope_dims / 2;
    size_t step = c->rope_layout == RP_ROPE_ADJACENT ? 2 : 1, apart = c->rope_layout == RP_ROPE_ADJACENT ? 1 : pairs;
    for (size_t i = 0; i < pairs; i++) {
        float a = head[i * step], b = head[i * step + apart];
        head[i * step] = a * cosine[i] - b * sine[i];
        head[i * step + apart] = a * sine[i] + b * cosine[i];
    }
}

/* Bias, norm and rotation of head `index` of position t, in place. */
static void shape_head(const pass *p, float *head, size_t index, const float *bias, const float *norm, size_t t) {
    const rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    size_t local = rp_block_slides(c, p->visit->attn), at = row(p, t) * (c->rope_dims / 2);
    if (bias)
        s->model->kernels->add(head, bias + index * c->head_dim, c->head_dim);
    if (norm)
        s->model->kernels->rms_norm(head, head, norm, c->head_dim, c->norm_eps);
    if (rp_block_rotates(c, p->visit->attn))
        rotate(c, head, owner(p, t)->cosine[local] + at, owner(p, t)->sine[local] + at);
}

/* The queries' heads, then the keys' and values', which are stored. */
static void do_heads(void *user, size_t first, size_t last, size_t thread) {
    const pass *p = user;
    const rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    const rp_block *b = &s->model->blocks[p->visit->attn];
    size_t slot = (size_t)p->visit->slot;
    (void)thread;
    for (size_t h = first; h < last; h++)
        for (size_t t = 0; t < p->count; t++) {
            if (h < c->heads) {
                shape_head(p, s->q + t * s->q_stride + h * c->head_dim, h, b->q_bias, b->q_norm, t);
                continue;
            }
            size_t kv = h - c->heads;
            float *key = s->k + t * s->kv_stride + kv * c->head_dim,
                  *value = s->v + t * s->kv_stride + kv * c->head_dim;
            shape_head(p, key, kv, b->k_bias, b->k_norm, t);
            if (b->v_bias)
                s->model->kernels->add(value, b->v_bias + kv * c->head_dim, c->head_dim);
            rp_kv_store_key(&owner(p, t)->kv, slot, kv, position(p, t), key);
            rp_kv_store_value(&owner(p, t)->kv, slot, kv, position(p, t), value);
        }
}

/* Some positions' heads that share a KV head, over the positions that each sees: rows of `scores` are the queries, position after
 * position and head after head. */
typedef struct tile {
    const rp_attention *own; /* this thread's */
    rp_act query;
    const rp_kv *kv;
    size_t slot, head;
    size_t first, group; /* position of query 0; heads that share the KV head */
    size_t queries;
    size_t start, end; /* positions that any of them sees, rounded to multiples of 32 */
    size_t stored;     /* the end, not rounded: beyond it floats may be anything */
} tile;

/* scores = queries times keys. */
static void score(const rp_kernels *kernels, const tile *a) {
    size_t group_bytes = (size_t)rp_group_bytes(rp_kv_matrix_type(a->kv), a->kv->width);
    rp_matmul job = {.weights = rp_kv_keys(a->kv, a->slot, a->head) + a->start / RP_ROWS * group_bytes,
                     .group_bytes = group_bytes,
                     .columns = a->kv->width,
                     .last = (a->end - a->start) / RP_ROWS,
                     .act = &a->query,
                     .out = a->own->scores,
                     .stride = a->own->score_stride};
    kernels->matmul[rp_kv_matrix_type(a->kv)](&job);
}

/* answer (queries, width) = scores times values in floats, one column a position. */
static void mix_floats(const rp_kernels *kernels, const tile *a) {
    const rp_act weights = {.values = a->own->weights, .padded = a->own->score_stride, .tokens = a->queries};
    for (size_t query = 0; query < a->queries; query++)
        for (size_t i = 0; i < a->stored - a->start; i++)
            weights.values[rp_act_value_at(&weights, query, i)] = a->own->scores[query * a->own->score_stride + i];
    size_t column = RP_ROWS * rp_type_traits[rp_kv_matrix_type(a->kv)].block_bytes;
    rp_matmul job = {.weights = rp_kv_values(a->kv, a->slot, a->head) + a->start * column,
                     .group_bytes = rp_kv_value_stride(a->kv),
                     .columns = a->stored - a->start,
                     .last = a->kv->width / RP_ROWS,
                     .act = &weights,
                     .out = a->own->answer,
                     .stride = a->kv->width};
    kernels->matmul[rp_kv_matrix_type(a->kv)](&job);
}

static void mix_q8_0(const rp_kernels *kernels, const tile *a) {
    const uint8_t *strip = rp_kv_values(a->kv, a->slot, a->head) + a->start / RP_TILE * RP_MIX_TILE_BYTES;
    for (size_t column = 0; column < a->kv->width; column += RP_TILE, strip += rp_kv_value_stride(a->kv)) {
        rp_mix job = {.strip = strip,
                      .tiles = (a->end - a->start) / RP_TILE,
                      .weights = a->own->scores,
                      .weight_stride = a->own->score_stride,
                      .queries = a->queries,
                      .out = a->own->answer + column,
                      .stride = a->kv->width};
        kernels->mix_q8_0(&job);
    }
}

/* The first position that one at `position` sees. */
static size_t sees_from(const pass *p, size_t position) {
    const rp_config *c = &p->s->model->config;
    return rp_block_slides(c, p->visit->attn) && position + 1 > c->window ? position + 1 - c->window : 0;
}

/* Query i's head within rows of all heads. */
static float *head_of(const pass *p, const tile *a, float *rows, size_t i) {
    size_t t = a->first + i / a->group, head = a->head * a->group + i % a->group;
    return rows + t * p->s->q_stride + head * p->s->model->config.head_dim;
}

/* Scores of query i become weights; 0 for what it does not see. */
static void weigh(const pass *p, const tile *a, size_t i) {
    size_t at = position(p, a->first + i / a->group), last = at + 1 - a->start, first = sees_from(p, at);
    float *scores = a->own->scores + i * a->own->score_stride;
    first -= RP_MIN(first, a->start);
    memset(scores, 0, first * sizeof *scores);
    memset(scores + last, 0, (a->end - a->start - last) * sizeof *scores);
    p->s->model->kernels->softmax(scores + first, last - first, p->s->model->config.attention_scale);
}

/* Positions t..t+count-1 of one sequence, KV head `head`. */
static void attend(const pass *p, size_t head, size_t t, size_t count, size_t thread) {
    const rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    const rp_kernels *kernels = s->model->kernels;
    tile a = {.own = &s->attention[thread],
              .kv = &owner(p, t)->kv,
              .slot = (size_t)p->visit->slot,
              .head = head,
              .group = RP_MAX(c->heads / c->kv_heads, 1),
              .first = t};
    a.queries = count * a.group;
    a.start = sees_from(p, position(p, t)) / RP_TILE * RP_TILE;
    a.stored = position(p, t) + count;
    a.end = rp_round_up(a.stored, RP_TILE);
    a.query = a.own->query;
    a.query.tokens = a.queries;
    for (size_t i = 0; i < a.queries; i++)
        kernels->quantize(head_of(p, &a, s->q, i), c->head_dim, &a.query, i);
    score(kernels, &a);
    for (size_t i = 0; i < a.queries; i++)
        weigh(p, &a, i);
    if (a.kv->type == RP_KV_Q8_0)
        mix_q8_0(kernels, &a);
    else
        mix_floats(kernels, &a);
    for (size_t i = 0; i < a.queries; i++)
        memcpy(head_of(p, &a, s->mixed, i), a.own->answer + i * a.kv->width, c->head_dim * sizeof(float));
}

/* Positions that are attended at once: of one sequence. */
static size_t attended(const pass *p) {
    return p->owners || p->count == 1 ? 1 : RP_ATTENDED;
}

static void do_attend(void *user, size_t first, size_t last, size_t thread) {
    const pass *p = user;
    size_t heads = p->s->model->config.kv_heads;
    for (size_t i = first; i < last; i++) {
        size_t t = i / heads * attended(p);
        attend(p, i % heads, t, RP_MIN(p->count - t, attended(p)), thread);
    }
}

static void do_quantize_mixed(void *user, size_t first, size_t last, size_t thread) {
    const pass *p = user;
    const rp_session *s = p->s;
    (void)thread;
    for (size_t t = first; t < last; t++)
        quantize(s, s->mixed + t * s->q_stride, s->model->config.heads * (size_t)s->model->config.head_dim, t);
}

static void attention(pass *p) {
    rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    const rp_block *b = &s->model->blocks[p->visit->attn];
    size_t tiles = (p->count + attended(p) - 1) / attended(p);
    norm_and_quantize(p, b->attn_norm);
    multiply(&(products){.s = s,
                         .matrices = p->visit->writes ? 3 : 1,
                         .matrix = {&b->q, &b->k, &b->v},
                         .out = {s->q, s->k, s->v},
                         .stride = {s->q_stride, s->kv_stride, s->kv_stride}});
    run(s, c->heads + (p->visit->writes ? c->kv_heads : 0), do_heads, p);
    run(s, tiles * c->kv_heads, do_attend, p);
    expect_activations(p, c->heads * (size_t)c->head_dim);
    each_row(p, do_quantize_mixed);
    multiply(&(products){.s = s, .matrices = 1, .matrix = {&b->o}, .out = {s->h}, .stride = {s->dim_stride}});
    add_to_residual(p, b->o_bias, b->attn_post_norm);
}

/* ---- Feed-forward -------------------------------------------------------------------------------------- */

static void do_activation(void *user, size_t first, size_t last, size_t thread) {
    const pass *p = user;
    const rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    (void)thread;
    for (size_t t = first; t < last; t++) {
        float *gate = s->gate + t * s->ffn_stride, *up = s->up + t * s->ffn_stride;
        if (c->activation == RP_GELU)
            s->model->kernels->gelu_mul(gate, up, c->ffn);
        else
            s->model->kernels->silu_mul(gate, up, c->ffn);
        quantize(s, gate, c->ffn, t);
    }
}

static void feed_forward(pass *p) {
    rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    const rp_block *b = &s->model->blocks[p->visit->ffn];
    norm_and_quantize(p, b->ffn_norm);
    multiply(&(products){.s = s,
                         .matrices = 2,
                         .matrix = {&b->gate, &b->up},
                         .out = {s->gate, s->up},
                         .stride = {s->ffn_stride, s->ffn_stride}});
    expect_activations(p, c->ffn);
    each_row(p, do_activation);
    multiply(&(products){.s = s, .matrices = 1, .matrix = {&b->down}, .out = {s->h}, .stride = {s->dim_stride}});
    add_to_residual(p, NULL, b->ffn_post_norm);
}

static void embed(const pass *p) {
    const rp_config *c = &p->s->model->config;
    const rp_matrix *e = &p->s->model->embedding;
    for (size_t t = 0; t < p->count; t++) {
        float *x = x_row(p, t);
        rp_unpack_row(e->type, c->dim, e->data, (size_t)owner(p, t)->ids[position(p, t)], x);
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
static void turn(const pass *p) {
    const rp_session *s = p->s;
    size_t pairs = s->model->config.rope_dims / 2;
    for (size_t local = 0; local < (s->model->config.window ? 2u : 1u); local++)
        for (size_t t = 0; t < p->count; t++)
            for (size_t i = 0; i < pairs; i++) {
                double sine, cosine;
                rp_sincos((double)position(p, t) * s->rate[local][i], &sine, &cosine);
                owner(p, t)->cosine[local][row(p, t) * pairs + i] = (float)cosine;
                owner(p, t)->sine[local][row(p, t) * pairs + i] = (float)sine;
            }
}

void rp_forward_visit(rp_session *s, rp_session *const *owners, uint32_t index, size_t first, size_t count) {
    const rp_model *m = s->model;
    pass p = {.s = s, .visit = &m->program[index], .first = first, .count = count, .owners = owners};
    if (index == 0) {
        embed(&p);
        turn(&p);
    }
    if (p.visit->slot >= 0)
        attention(&p);
    feed_forward(&p);
    for (size_t t = 0; p.visit->norm_after && t < count; t++)
        m->kernels->rms_norm(x_row(&p, t), x_row(&p, t), m->output_norm, m->config.dim, m->config.norm_eps);
}

void rp_forward_head(rp_session *s, rp_session *const *owners, size_t first, size_t count) {
    pass p = {.s = s, .first = first, .count = count, .owners = owners};
    norm_and_quantize(&p, s->model->output_norm);
    multiply(&(products){
        .s = s, .matrices = 1, .matrix = {&s->model->head}, .out = {s->logits}, .stride = {s->vocab_stride}});
    for (size_t t = 0; owners && t < count; t++)
        if (owners[t] != s)
            memcpy(owners[t]->logits, s->logits + t * s->vocab_stride, s->vocab_stride * sizeof *s->logits);
}

void rp_forward_pool(rp_session *s, size_t count) {
    const rp_config *c = &s->model->config;
    const pass p = {.s = s, .count = count};
    for (size_t t = 0; t < count; t++) {
        s->model->kernels->rms_norm(s->h, x_row(&p, t), s->model->output_norm, c->dim, c->norm_eps);
        s->model->kernels->add(s->pooled, s->h, c->dim);
    }
}
