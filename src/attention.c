/* Attention (Vaswani 2017) with grouped heads (Ainslie 2023) and RoPE (Su 2021), as two products with the KV cache. */
#include "forward.h"

#include <string.h>

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
static void shape_head(const rp_pass *p, float *head, size_t index, const float *bias, const float *norm, size_t t) {
    const rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    const rp_block *b = &s->model->blocks[p->visit->attn];
    size_t local = b->slides, at = rp_pass_row(p, t) * (c->rope_dims / 2);
    if (bias)
        s->model->kernels->add(head, bias + index * c->head_dim, c->head_dim);
    if (norm)
        s->model->kernels->rms_norm(head, head, norm, c->head_dim, c->norm_eps);
    if (b->rotates)
        rotate(c, head, rp_pass_owner(p, t)->cosine[local] + at, rp_pass_owner(p, t)->sine[local] + at);
}

/* The queries' heads, then the keys' and values', which are stored. */
static void do_heads(void *user, size_t first, size_t last, size_t thread) {
    const rp_pass *p = user;
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
            rp_kv_store_key(&rp_pass_owner(p, t)->kv, slot, kv, rp_pass_position(p, t), key);
            rp_kv_store_value(&rp_pass_owner(p, t)->kv, slot, kv, rp_pass_position(p, t), value);
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

/* The same of values in codes. */
static void mix_codes(const rp_kernels *kernels, const tile *a) {
    bool nibbles = a->kv->type == RP_KV_Q8_Q4;
    size_t tile_bytes = nibbles ? RP_MIX_Q4_TILE_BYTES : RP_MIX_TILE_BYTES;
    const uint8_t *strip = rp_kv_values(a->kv, a->slot, a->head) + a->start / RP_TILE * tile_bytes;
    for (size_t column = 0; column < a->kv->width; column += RP_TILE, strip += rp_kv_value_stride(a->kv)) {
        rp_mix job = {.strip = strip,
                      .tiles = (a->end - a->start) / RP_TILE,
                      .weights = a->own->scores,
                      .weight_stride = a->own->score_stride,
                      .queries = a->queries,
                      .out = a->own->answer + column,
                      .stride = a->kv->width};
        (nibbles ? kernels->mix_q4_0 : kernels->mix_q8_0)(&job);
    }
}

/* The first position that one at `position` sees. */
static size_t sees_from(const rp_pass *p, size_t position) {
    const rp_model *m = p->s->model;
    size_t window = m->blocks[p->visit->attn].slides ? m->config.window : SIZE_MAX;
    return position + 1 > window ? position + 1 - window : 0;
}

/* Query i's head within rows of all heads. */
static float *head_of(const rp_pass *p, const tile *a, float *rows, size_t i) {
    size_t t = a->first + i / a->group, head = a->head * a->group + i % a->group;
    return rows + t * p->s->q_stride + head * p->s->model->config.head_dim;
}

/* Scores of query i become weights; 0 for what it does not see. */
static void weigh(const rp_pass *p, const tile *a, size_t i) {
    size_t at = rp_pass_position(p, a->first + i / a->group), last = at + 1 - a->start, first = sees_from(p, at);
    float *scores = a->own->scores + i * a->own->score_stride;
    first -= RP_MIN(first, a->start);
    memset(scores, 0, first * sizeof *scores);
    memset(scores + last, 0, (a->end - a->start - last) * sizeof *scores);
    p->s->model->kernels->softmax(scores + first, last - first, p->s->model->config.attention_scale);
}

/* Positions t..t+count-1 of one sequence, KV head `head`. */
static void attend(const rp_pass *p, size_t head, size_t t, size_t count, size_t thread) {
    const rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    const rp_kernels *kernels = s->model->kernels;
    tile a = {.own = &s->attention[thread],
              .kv = &rp_pass_owner(p, t)->kv,
              .slot = (size_t)p->visit->slot,
              .head = head,
              .group = RP_MAX(c->heads / c->kv_heads, 1),
              .first = t};
    a.queries = count * a.group;
    a.start = sees_from(p, rp_pass_position(p, t)) / RP_TILE * RP_TILE;
    a.stored = rp_pass_position(p, t) + count;
    a.end = rp_round_up(a.stored, RP_TILE);
    a.query = a.own->query;
    a.query.tokens = a.queries;
    for (size_t i = 0; i < a.queries; i++)
        kernels->quantize(head_of(p, &a, s->q, i), c->head_dim, &a.query, i);
    score(kernels, &a);
    for (size_t i = 0; i < a.queries; i++)
        weigh(p, &a, i);
    (rp_kv_is_float(a.kv->type) ? mix_floats : mix_codes)(kernels, &a);
    for (size_t i = 0; i < a.queries; i++)
        memcpy(head_of(p, &a, s->mixed, i), a.own->answer + i * a.kv->width, c->head_dim * sizeof(float));
}

/* Positions that are attended at once: of one sequence. */
static size_t attended(const rp_pass *p) {
    return p->owners || p->count == 1 ? 1 : RP_ATTENDED;
}

static void do_attend(void *user, size_t first, size_t last, size_t thread) {
    const rp_pass *p = user;
    size_t heads = p->s->model->config.kv_heads;
    for (size_t i = first; i < last; i++) {
        size_t t = i / heads * attended(p);
        attend(p, i % heads, t, RP_MIN(p->count - t, attended(p)), thread);
    }
}

static void do_quantize_mixed(void *user, size_t first, size_t last, size_t thread) {
    const rp_pass *p = user;
    const rp_session *s = p->s;
    (void)thread;
    for (size_t t = first; t < last; t++)
        rp_quantize(s, s->mixed + t * s->q_stride, s->model->config.heads * (size_t)s->model->config.head_dim, t);
}

void rp_attend(rp_pass *p) {
    rp_session *s = p->s;
    const rp_config *c = &s->model->config;
    const rp_block *b = &s->model->blocks[p->visit->attn];
    size_t tiles = (p->count + attended(p) - 1) / attended(p);
    rp_norm_and_quantize(p, b->attn_norm);
    rp_multiply(&(rp_products){.s = s,
                               .matrices = p->visit->writes ? 3 : 1,
                               .matrix = {&b->q, &b->k, &b->v},
                               .out = {s->q, s->k, s->v},
                               .stride = {s->q_stride, s->kv_stride, s->kv_stride},
                               .block = b,
                               .target = RP_TARGET_Q});
    rp_run(s, c->heads + (p->visit->writes ? c->kv_heads : 0), do_heads, p);
    rp_run(s, tiles * c->kv_heads, do_attend, p);
    rp_expect_activations(p, c->heads * (size_t)c->head_dim);
    rp_each_row(p, do_quantize_mixed);
    rp_multiply(&(rp_products){.s = s,
                               .matrices = 1,
                               .matrix = {&b->o},
                               .out = {s->h},
                               .stride = {s->dim_stride},
                               .block = b,
                               .target = RP_TARGET_O});
    rp_add_to_residual(p, b->o_bias, b->attn_post_norm);
}
