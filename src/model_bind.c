/* Finds the tensors that the program needs, checks their shapes against the config, and plans where each lies in the weights
 * buffer. Every tensor of the file must be used: a tensor that is passed over would change the text. */
#include "model.h"

#include <string.h>

enum { ALIGNMENT = 64 };

/* A tensor: its name (for a block's after "blk.N."), shape (rows 0: a vector of `columns` floats), where it goes. */
typedef struct want {
    const char *name;
    uint64_t rows, columns;
    bool required;
    rp_matrix *matrix;
    const float **vector;
} want;

/* Adds a tensor's place. An absent tensor is an error if required. */
static rp_status add_place(rp_model *m, const char *name, const want *w, uint32_t *ready, rp_error *err) {
    const rp_gguf_tensor *t = rp_gguf_tensor_find(m->gguf, name);
    uint64_t rows = w->rows, columns = w->columns;
    if (!t)
        return w->required ? rp_fail(err, RP_ERR_FORMAT, "%s: this tensor is missing", name) : RP_OK;
    rp_type type;
    if (!rp_type_from_ggml(t->type, &type))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: tensor type %u", name, t->type);
    if (t->shape[0] != columns)
        return rp_fail(err, RP_ERR_FORMAT, "%s: want %llu columns, file has %llu", name, (unsigned long long)columns,
                       (unsigned long long)t->shape[0]);
    uint64_t file_rows = t->shape[1] * t->shape[2] * t->shape[3];
    if (file_rows != RP_MAX(rows, 1))
        return rp_fail(err, RP_ERR_FORMAT, "%s: want %llu rows, file has %llu", name,
                       (unsigned long long)RP_MAX(rows, 1), (unsigned long long)file_rows);
    if (!rows && !rp_type_is_float(type))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: a vector of type %s, want F32, F16 or BF16", name,
                       rp_type_traits[type].name);
    uint64_t groups = (rows + RP_ROWS - 1) / RP_ROWS;
    uint64_t bytes = rows ? groups * rp_group_bytes(type, columns) : columns * sizeof(float);
    m->places[m->place_count++] = (rp_place){.tensor = t,
                                             .type = type,
                                             .is_vector = !rows,
                                             .rows = RP_MAX(rows, 1),
                                             .columns = columns,
                                             .bytes = bytes,
                                             .matrix = w->matrix,
                                             .vector = w->vector,
                                             .ready = ready};
    *ready = UINT32_MAX; /* place_tensors says when */
    if (rows)
        *w->matrix = (rp_matrix){.type = type, .rows = (uint32_t)rows, .columns = (uint32_t)columns};
    return RP_OK;
}

static rp_status add_wanted(rp_model *m, uint32_t block, const want *wants, size_t count, uint32_t *ready,
                            rp_error *err) {
    for (size_t i = 0; i < count; i++) {
        char name[RP_KEY_SIZE];
        rp_format(name, sizeof name, "blk.%u.%s", block, wants[i].name);
        RP_TRY(add_place(m, name, &wants[i], ready, err));
    }
    return RP_OK;
}

static rp_status bind_attention(rp_model *m, uint32_t block, bool keeps_kv, rp_error *err) {
    const rp_config *c = &m->config;
    rp_block *b = &m->blocks[block];
    uint64_t q = (uint64_t)c->heads * c->head_dim, kv = (uint64_t)c->kv_heads * c->head_dim;
    const want wants[] = {
        {"attn_norm.weight", 0, c->dim, true, NULL, &b->attn_norm},
        {"attn_q.weight", q, c->dim, true, &b->q, NULL},
        {"attn_q.bias", 0, q, false, NULL, &b->q_bias},
        {"attn_output.weight", c->dim, q, true, &b->o, NULL},
        {"attn_output.bias", 0, c->dim, false, NULL, &b->o_bias},
    };
    const want kv_wants[] = {
        {"attn_k.weight", kv, c->dim, true, &b->k, NULL},
        {"attn_k.bias", 0, kv, false, NULL, &b->k_bias},
        {"attn_v.weight", kv, c->dim, true, &b->v, NULL},
        {"attn_v.bias", 0, kv, false, NULL, &b->v_bias},
    };
    const want q_norm[] = {{"attn_q_norm.weight", 0, c->head_dim, true, NULL, &b->q_norm}};
    const want k_norm[] = {{"attn_k_norm.weight", 0, c->head_dim, true, NULL, &b->k_norm}};
    const want post[] = {{"post_attention_norm.weight", 0, c->dim, true, NULL, &b->attn_post_norm}};
    RP_TRY(add_wanted(m, block, wants, RP_COUNT(wants), &b->attn_ready, err));
    if (keeps_kv)
        RP_TRY(add_wanted(m, block, kv_wants, RP_COUNT(kv_wants), &b->attn_ready, err));
    if (c->qk_norm)
        RP_TRY(add_wanted(m, block, q_norm, 1, &b->attn_ready, err));
    if (c->qk_norm && keeps_kv)
        RP_TRY(add_wanted(m, block, k_norm, 1, &b->attn_ready, err));
    if (c->post_norms)
        RP_TRY(add_wanted(m, block, post, 1, &b->attn_ready, err));
    return RP_OK;
}

static rp_status bind_ffn(rp_model *m, uint32_t block, rp_error *err) {
    const rp_config *c = &m->config;
    rp_block *b = &m->blocks[block];
    const want wants[] = {
        {"ffn_norm.weight", 0, c->dim, true, NULL, &b->ffn_norm},
        {"ffn_gate.weight", c->ffn, c->dim, true, &b->gate, NULL},
        {"ffn_up.weight", c->ffn, c->dim, true, &b->up, NULL},
        {"ffn_down.weight", c->dim, c->ffn, true, &b->down, NULL},
        {"post_ffw_norm.weight", 0, c->dim, true, NULL, &b->ffn_post_norm},
    };
    return add_wanted(m, block, wants, RP_COUNT(wants) - (c->post_norms ? 0 : 1), &b->ffn_ready, err);
}

static rp_status bind_blocks(rp_model *m, rp_error *err) {
    for (uint32_t block = 0; block < m->config.blocks; block++) {
        bool attends = false, keeps_kv = false, feeds = false;
        for (uint32_t i = 0; i < m->visits; i++) {
            const rp_visit *v = &m->program[i];
            attends |= v->attn == block && v->slot >= 0;
            keeps_kv |= v->attn == block && v->writes;
            feeds |= v->ffn == block;
        }
        if (attends)
            RP_TRY(bind_attention(m, block, keeps_kv, err));
        if (feeds)
            RP_TRY(bind_ffn(m, block, err));
    }
    return RP_OK;
}

static rp_status bind_ends(rp_model *m, rp_error *err) {
    const rp_config *c = &m->config;
    const struct {
        want want;
        uint32_t *ready;
    } ends[] = {
        {{"token_embd.weight", c->vocab, c->dim, true, &m->embedding, NULL}, &m->embedding_ready},
        {{"output_norm.weight", 0, c->dim, true, NULL, &m->output_norm}, &m->norm_ready},
        {{"output.weight", c->vocab, c->dim, false, &m->head, NULL}, &m->head_ready},
        {{"rope_freqs.weight", 0, c->rope_dims / 2, false, NULL, &m->rope_factors}, &m->factors_ready},
    };
    for (size_t i = 0; i < RP_COUNT(ends); i++)
        RP_TRY(add_place(m, ends[i].want.name, &ends[i].want, ends[i].ready, err));
    m->tied = m->head.rows == 0;
    return RP_OK;
}

/* How many visits use the part of the model that a place belongs to; the ends count as one. */
static uint32_t visits_of(const rp_model *m, const rp_place *p) {
    uint32_t visits = 0;
    for (uint32_t i = 0; i < m->visits; i++) {
        const rp_visit *v = &m->program[i];
        visits +=
            (v->slot >= 0 && p->ready == &m->blocks[v->attn].attn_ready) + (p->ready == &m->blocks[v->ffn].ffn_ready);
    }
    return RP_MAX(visits, 1);
}

/* Sorts places into file order, in which their bytes come, and gives each its offset in the weights buffer. */
static rp_status place_tensors(rp_model *m, rp_error *err) {
    for (size_t i = 1; i < m->place_count; i++) { /* nearly sorted already, and a few hundred */
        rp_place moving = m->places[i];
        size_t k = i;
        for (; k > 0 && m->places[k - 1].tensor->offset > moving.tensor->offset; k--)
            m->places[k] = m->places[k - 1];
        m->places[k] = moving;
    }
    for (size_t i = 0; i < m->place_count; i++) {
        rp_place *p = &m->places[i];
        uint64_t rows_at_once = p->is_vector ? 1 : RP_MIN(p->rows, RP_ROWS);
        m->staging_bytes = RP_MAX(m->staging_bytes, rows_at_once * rp_row_file_bytes(p->type, p->columns));
        p->offset = m->weight_bytes;
        *p->ready = (uint32_t)i + 1;                         /* in file order: the last one counts */
        m->weight_bytes += rp_round_up(p->bytes, ALIGNMENT); /* below 2^41 a tensor: no overflow */
        m->parameters_stored += p->rows * p->columns;
        m->repeated_bytes += (visits_of(m, p) - 1) * p->tensor->bytes;
        if (i > 0 && p->tensor == p[-1].tensor)
            return rp_fail(err, RP_ERR_FORMAT, "%.*s: bound twice", (int)p->tensor->name.size, p->tensor->name.data);
    }
    if (m->tied)
        m->head_ready = m->embedding_ready;
    if (m->weight_bytes > SIZE_MAX / 2)
        return rp_fail(err, RP_ERR_MEMORY, "weights: %llu bytes are more than this machine can address",
                       (unsigned long long)m->weight_bytes);
    return RP_OK;
}

static rp_status refuse_unused(const rp_model *m, rp_error *err) {
    for (size_t i = 0, k = 0; i < rp_gguf_tensor_count(m->gguf); i++) {
        const rp_gguf_tensor *t = rp_gguf_tensor_at(m->gguf, i);
        if (k < m->place_count && m->places[k].tensor == t)
            k++;
        else
            return rp_fail(err, RP_ERR_UNSUPPORTED, "%.*s: this tensor is not used by architecture %s",
                           (int)t->name.size, t->name.data, m->config.arch);
    }
    return RP_OK;
}

/* Parameters of a block that a visit runs: attention or FFN part. */
static uint64_t part_parameters(const rp_model *m, uint32_t block, bool ffn) {
    const rp_block *b = &m->blocks[block];
    const rp_matrix *parts[2][4] = {{&b->q, &b->k, &b->v, &b->o}, {&b->gate, &b->up, &b->down, &b->down}};
    uint64_t sum = m->config.dim;
    for (size_t i = 0; i < (ffn ? 3u : 4u); i++)
        sum += (uint64_t)parts[ffn][i]->rows * parts[ffn][i]->columns;
    return sum;
}

rp_status rp_model_bind(rp_model *m, rp_error *err) {
    const rp_config *c = &m->config;
    m->blocks = rp_alloc(&m->memory, c->blocks, sizeof *m->blocks, "blocks", err);
    if (!m->blocks)
        return err->status;
    m->place_capacity = rp_gguf_tensor_count(m->gguf); /* each tensor is bound at most once */
    m->places = rp_alloc(&m->memory, m->place_capacity, sizeof *m->places, "tensor places", err);
    if (!m->places)
        return err->status;
    RP_TRY(bind_ends(m, err));
    RP_TRY(bind_blocks(m, err));
    RP_TRY(place_tensors(m, err));
    RP_TRY(refuse_unused(m, err));
    m->parameters_effective = (uint64_t)c->vocab * c->dim * 2 + c->dim;
    for (uint32_t i = 0; i < m->visits; i++)
        m->parameters_effective += part_parameters(m, m->program[i].attn, false) * (m->program[i].slot >= 0) +
                                   part_parameters(m, m->program[i].ffn, true);
    return RP_OK;
}

void rp_model_attach(rp_model *m) {
    for (size_t i = 0; i < m->place_count; i++) {
        rp_place *p = &m->places[i];
        if (p->is_vector)
            *p->vector = (const float *)(const void *)(m->weights + p->offset);
        else
            p->matrix->data = m->weights + p->offset;
    }
    if (m->tied)
        m->head = m->embedding;
}
