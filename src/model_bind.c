/* Finds the tensors that the program needs, checks their shapes against the config, and plans where each lies in the weights
 * buffer. Every tensor of the file must be used: a tensor that is passed over would change the text. */
#include "model.h"

#include <string.h>

const char *const rp_target_names[RP_TARGETS] = {"attn_q",   "attn_k", "attn_v",  "attn_output",
                                                 "ffn_gate", "ffn_up", "ffn_down"};

const rp_matrix *rp_block_matrix(const rp_block *b, rp_target target) {
    const rp_matrix *const matrices[RP_TARGETS] = {&b->q, &b->k, &b->v, &b->o, &b->gate, &b->up, &b->down};
    return matrices[target];
}

/* Tensors of one half of a block, or of what is its own in a variant. */
static rp_status add_wanted(rp_model *m, uint32_t block, const rp_want *wants, size_t count, uint32_t *ready,
                            rp_error *err) {
    const rp_block *b = &m->blocks[block];
    for (size_t i = 0; i < count; i++) {
        char name[RP_KEY_SIZE];
        if (block < m->config.blocks)
            rp_format(name, sizeof name, "blk.%u.%s", block, wants[i].name);
        else
            rp_format(name, sizeof name, "blk.%u.r%u.%s", b->base, b->time, wants[i].name);
        RP_TRY(rp_weights_add(&m->weights, m->gguf, name, &wants[i], ready, err));
    }
    return RP_OK;
}

static rp_status bind_attention(rp_model *m, uint32_t block, bool keeps_kv, rp_error *err) {
    const rp_config *c = &m->config;
    rp_block *b = &m->blocks[block];
    uint64_t q = (uint64_t)c->heads * c->head_dim, kv = (uint64_t)c->kv_heads * c->head_dim;
    const rp_want wants[] = {
        {"attn_norm.weight", 0, c->dim, true, NULL, &b->attn_norm},
        {"attn_q.weight", q, c->dim, true, &b->q, NULL},
        {"attn_q.bias", 0, q, false, NULL, &b->q_bias},
        {"attn_output.weight", c->dim, q, true, &b->o, NULL},
        {"attn_output.bias", 0, c->dim, false, NULL, &b->o_bias},
    };
    const rp_want kv_wants[] = {
        {"attn_k.weight", kv, c->dim, true, &b->k, NULL},
        {"attn_k.bias", 0, kv, false, NULL, &b->k_bias},
        {"attn_v.weight", kv, c->dim, true, &b->v, NULL},
        {"attn_v.bias", 0, kv, false, NULL, &b->v_bias},
    };
    const rp_want q_norm[] = {{"attn_q_norm.weight", 0, c->head_dim, true, NULL, &b->q_norm}};
    const rp_want k_norm[] = {{"attn_k_norm.weight", 0, c->head_dim, true, NULL, &b->k_norm}};
    const rp_want post[] = {{"post_attention_norm.weight", 0, c->dim, true, NULL, &b->attn_post_norm}};
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
    const rp_want wants[] = {
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
        for (uint32_t i = 0; i < m->program.visits; i++) {
            const rp_visit *v = &m->program.visit[i];
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

/* ---- Variants: blk.P.rR.NAME --------------------------------------------------------------------------- */

/* A number at *at, which moves behind it; false when there is none below RP_MAX_VISITS. */
static bool read_number(rp_span name, size_t *at, uint32_t *value) {
    size_t start = *at;
    for (*value = 0; *at < name.size && name.data[*at] >= '0' && name.data[*at] <= '9' && *value < RP_MAX_VISITS; ++*at)
        *value = *value * 10 + (uint32_t)(name.data[*at] - '0');
    return *at > start && *value < RP_MAX_VISITS;
}

/* True for "blk.P.rR.NAME". */
static bool names_variant(rp_span name, uint32_t *block, uint32_t *time) {
    size_t at = 4;
    if (name.size < 4 || memcmp(name.data, "blk.", 4) != 0 || !read_number(name, &at, block))
        return false;
    if (name.size - at < 2 || memcmp(name.data + at, ".r", 2) != 0)
        return false;
    at += 2;
    return read_number(name, &at, time) && at < name.size && name.data[at] == '.';
}

/* Makes room for blocks and for each variant that a tensor names. */
static rp_status take_blocks(rp_model *m, rp_error *err) {
    size_t room = m->config.blocks, tensors = rp_gguf_tensor_count(m->gguf);
    uint32_t block, time;
    for (size_t i = 0; i < tensors; i++)
        room += names_variant(rp_gguf_tensor_at(m->gguf, i)->name, &block, &time);
    if (room > RP_MAX_BLOCKS)
        return rp_fail(err, RP_ERR_FORMAT, "%llu blocks and tensors of single visits, want at most %d",
                       (unsigned long long)room, RP_MAX_BLOCKS);
    m->block_room = (uint32_t)room;
    m->blocks = rp_alloc(&m->memory, room, sizeof *m->blocks, "blocks", err);
    if (!m->blocks)
        return err->status;
    for (uint32_t i = 0; i < m->config.blocks; i++)
        m->blocks[i] = (rp_block){.base = (uint16_t)i, .time = UINT16_MAX};
    for (size_t i = 0; i < tensors; i++) {
        uint32_t k = m->config.blocks;
        if (!names_variant(rp_gguf_tensor_at(m->gguf, i)->name, &block, &time))
            continue;
        while (k < m->config.blocks + m->variants && (m->blocks[k].base != block || m->blocks[k].time != time))
            k++;
        if (k == m->config.blocks + m->variants) {
            m->blocks[k] = (rp_block){.base = (uint16_t)block, .time = (uint16_t)time};
            m->variants++;
        }
    }
    return RP_OK;
}

/* A low-rank term's two tensors; the file says its rank. */
rp_status rp_low_rank_add(rp_weights *w, const rp_gguf *gguf, const char *matrix, const rp_matrix *of,
                          rp_low_rank *term, uint32_t *ready, uint32_t *most, rp_error *err) {
    char a_name[RP_KEY_SIZE], b_name[RP_KEY_SIZE];
    rp_format(a_name, sizeof a_name, "%s.lora_a", matrix);
    rp_format(b_name, sizeof b_name, "%s.lora_b", matrix);
    const rp_gguf_tensor *a = rp_gguf_tensor_find(gguf, a_name);
    uint64_t rank = a ? a->shape[1] : 0;
    if (!a && !rp_gguf_tensor_find(gguf, b_name))
        return RP_OK;
    if (a && (rank < 1 || rank > RP_RANK_MOST))
        return rp_fail(err, RP_ERR_FORMAT, "%s: rank %llu, want 1 to %d", a_name, (unsigned long long)rank,
                       RP_RANK_MOST);
    const rp_want wants[] = {{a_name, rank, of->columns, true, &term->a, NULL},
                             {b_name, of->rows, rank, true, &term->b, NULL}};
    for (size_t i = 0; i < RP_COUNT(wants); i++)
        RP_TRY(rp_weights_add(w, gguf, wants[i].name, &wants[i], ready, err));
    *most = RP_MAX(*most, (uint32_t)rank);
    return RP_OK;
}

static rp_status bind_low_rank(rp_model *m, rp_block *b, rp_error *err) {
    const rp_block *base = &m->blocks[b->base];
    rp_low_rank terms[RP_TARGETS] = {0};
    bool any = false;
    for (int t = 0; t < RP_TARGETS; t++) {
        char name[RP_KEY_SIZE];
        rp_format(name, sizeof name, "blk.%u.r%u.%s.weight.lora_a", b->base, b->time, rp_target_names[t]);
        any |= rp_gguf_tensor_find(m->gguf, name) != NULL;
    }
    if (!any)
        return RP_OK;
    b->low_rank = rp_alloc(&m->memory, RP_TARGETS, sizeof *terms, "low-rank terms", err);
    if (!b->low_rank)
        return err->status;
    for (int t = 0; t < RP_TARGETS; t++) {
        char name[RP_KEY_SIZE];
        const rp_matrix *of = rp_block_matrix(base, (rp_target)t);
        rp_format(name, sizeof name, "blk.%u.r%u.%s.weight", b->base, b->time, rp_target_names[t]);
        b->low_rank[t].scale = 1.0f;
        if (of->rows)
            RP_TRY(rp_low_rank_add(&m->weights, m->gguf, name, of, &b->low_rank[t],
                                   t < RP_TARGET_GATE ? &b->attn_ready : &b->ffn_ready, &m->low_rank_most, err));
    }
    return RP_OK;
}

static rp_status bind_variants(rp_model *m, rp_error *err) {
    const rp_config *c = &m->config;
    for (uint32_t i = c->blocks; i < c->blocks + m->variants; i++) {
        rp_block *b = &m->blocks[i];
        const rp_want attn[] = {
            {"attn_norm.weight", 0, c->dim, false, NULL, &b->attn_norm},
            {"step.bias", 0, c->dim, false, NULL, &b->step_bias},
            {"attn_q_norm.weight", 0, c->head_dim, false, NULL, &b->q_norm},
            {"attn_k_norm.weight", 0, c->head_dim, false, NULL, &b->k_norm},
            {"post_attention_norm.weight", 0, c->dim, false, NULL, &b->attn_post_norm},
        };
        const rp_want ffn[] = {
            {"ffn_norm.weight", 0, c->dim, false, NULL, &b->ffn_norm},
            {"post_ffw_norm.weight", 0, c->dim, false, NULL, &b->ffn_post_norm},
        };
        if (b->base >= c->blocks)
            return rp_fail(err, RP_ERR_FORMAT, "blk.%u.r%u: want a block below block_count %u", b->base, b->time,
                           c->blocks);
        RP_TRY(add_wanted(m, i, attn, RP_COUNT(attn), &b->attn_ready, err));
        RP_TRY(add_wanted(m, i, ffn, RP_COUNT(ffn), &b->ffn_ready, err));
        RP_TRY(bind_low_rank(m, b, err));
    }
    return RP_OK;
}

/* ---- The whole ----------------------------------------------------------------------------------------- */

static rp_status bind_ends(rp_model *m, rp_error *err) {
    const rp_config *c = &m->config;
    uint32_t rank = c->embedding_rank, width = rank ? rank : c->dim;
    const struct {
        bool wanted;
        rp_want want;
        uint32_t *ready;
    } ends[] = {
        {true, {"token_embd.weight", c->vocab, width, true, &m->embedding, NULL}, &m->embedding_ready},
        {rank > 0, {"token_embd_proj.weight", c->dim, rank, true, &m->embedding_proj, NULL}, &m->embedding_ready},
        {true, {"output_norm.weight", 0, c->dim, true, NULL, &m->output_norm}, &m->norm_ready},
        {rank > 0, {"output_proj.weight", rank, c->dim, true, &m->head_proj, NULL}, &m->head_ready},
        {true, {"output.weight", c->vocab, width, false, &m->head, NULL}, &m->head_ready},
        {true, {"rope_freqs.weight", 0, c->rope_dims / 2, false, NULL, &m->rope_factors}, &m->factors_ready},
        {c->injection == RP_INJECT_CONCAT,
         {"loop_inject.weight", c->dim, 2 * (uint64_t)c->dim, true, &m->injection, NULL},
         &m->loop_ready},
        {c->exits, {"exit_gate.weight", 1, c->dim, true, &m->exit_gate, NULL}, &m->loop_ready},
        {c->exits, {"exit_gate.bias", 0, 1, false, NULL, &m->exit_bias}, &m->loop_ready},
    };
    for (size_t i = 0; i < RP_COUNT(ends); i++)
        if (ends[i].wanted)
            RP_TRY(rp_weights_add(&m->weights, m->gguf, ends[i].want.name, &ends[i].want, ends[i].ready, err));
    m->tied = m->head.rows == 0;
    return RP_OK;
}

/* Booleans for each block from a key that may also be one number, every how manieth block is different: true for all others. */
static rp_status read_pattern(const rp_model *m, const char *name, uint32_t period, bool *out, rp_error *err) {
    char key[RP_KEY_SIZE];
    rp_gguf_value v;
    uint32_t blocks = m->config.blocks;
    rp_format(key, sizeof key, "%s.%s", m->config.arch, name);
    if (rp_gguf_find(m->gguf, key, &v) && v.is_array) {
        if (v.type != RP_GGUF_BOOL || v.count != blocks)
            return rp_fail(err, RP_ERR_FORMAT, "%s: want an array of %u booleans", key, blocks);
        for (uint32_t i = 0; i < blocks; i++)
            out[i] = v.data[i] != 0;
        return RP_OK;
    }
    RP_TRY(rp_gguf_u32(m->gguf, key, &period, err));
    for (uint32_t i = 0; i < blocks; i++)
        out[i] = !period || (i + 1) % period != 0;
    return RP_OK;
}

static rp_status mark_blocks(rp_model *m, rp_error *err) {
    const rp_config *c = &m->config;
    bool slides[RP_MAX_VISITS] = {false}, rotates[RP_MAX_VISITS] = {false};
    RP_TRY(read_pattern(m, "attention.sliding_window_pattern", c->window_period, slides, err));
    RP_TRY(read_pattern(m, "rope.pattern", c->rope_skip_period, rotates, err));
    for (uint32_t i = 0; i < c->blocks; i++) {
        m->blocks[i].slides = c->window && slides[i];
        m->blocks[i].rotates = rotates[i];
        const bool differs[] = {m->blocks[i].slides, rotates[i]};
        m->weights.fingerprint = rp_hash_bytes(m->weights.fingerprint, differs, sizeof differs);
    }
    return RP_OK;
}

static void count_parameters(rp_model *m) {
    m->parameters_effective = m->tied ? (uint64_t)m->embedding.rows * m->embedding.columns : 0;
    for (size_t i = 0; i < m->weights.count; i++) {
        const rp_place *p = &m->weights.places[i];
        bool of_block;
        uint32_t visits = rp_place_visits(m, &m->program, p, &of_block);
        m->parameters_stored += p->rows * p->columns;
        m->parameters_effective += p->rows * p->columns * visits;
        m->repeated_bytes +=
            ((uint64_t)visits - 1) * p->tensor->bytes; /* what each visit replaces counts less than once */
    }
}

/* A variant of a visit that no depth has would be passed over. */
static rp_status check_variants(const rp_model *m, rp_error *err) {
    const rp_config *c = &m->config;
    rp_program deepest;
    RP_TRY(rp_program_make(m, &(rp_program_options){.loops = m->core.may_change ? c->loop_max : 0}, &deepest, err));
    for (uint32_t k = c->blocks; k < c->blocks + m->variants; k++) {
        bool used = false;
        for (uint32_t i = 0; i < deepest.visits; i++)
            used |= deepest.visit[i].attn == k || deepest.visit[i].ffn == k;
        if (!used)
            return rp_fail(err, RP_ERR_FORMAT, "blk.%u.r%u: block %u has no visit %u, counted from 0",
                           m->blocks[k].base, m->blocks[k].time, m->blocks[k].base, m->blocks[k].time);
    }
    return RP_OK;
}

rp_status rp_model_bind(rp_model *m, rp_error *err) {
    const rp_config *c = &m->config;
    RP_TRY(take_blocks(m, err));
    RP_TRY(rp_weights_open(&m->weights, &m->memory, m->gguf, err));
    RP_TRY(mark_blocks(m, err));
    RP_TRY(bind_ends(m, err));
    RP_TRY(bind_blocks(m, err));
    RP_TRY(bind_variants(m, err));
    char who[RP_KEY_SIZE];
    rp_format(who, sizeof who, "architecture %s", c->arch);
    RP_TRY(rp_weights_arrange(&m->weights, m->gguf, who, err));
    if (m->tied)
        m->head_ready = RP_MAX(m->head_ready, m->embedding_ready);
    rp_program_resolve(m, &m->program);
    RP_TRY(check_variants(m, err));
    count_parameters(m);
    return RP_OK;
}

/* What a variant has not is its block's. */
static void complete(const rp_model *m, rp_block *b) {
    rp_block *own = b, whole = m->blocks[b->base];
    const float **const theirs[] = {&whole.attn_norm, &whole.ffn_norm, &whole.attn_post_norm, &whole.ffn_post_norm,
                                    &whole.q_norm,    &whole.k_norm,   &whole.step_bias};
    const float *const ours[] = {own->attn_norm, own->ffn_norm, own->attn_post_norm, own->ffn_post_norm,
                                 own->q_norm,    own->k_norm,   own->step_bias};
    for (size_t i = 0; i < RP_COUNT(ours); i++)
        if (ours[i])
            *theirs[i] = ours[i];
    whole.base = own->base;
    whole.time = own->time;
    whole.low_rank = own->low_rank;
    whole.attn_ready = RP_MAX(whole.attn_ready, own->attn_ready);
    whole.ffn_ready = RP_MAX(whole.ffn_ready, own->ffn_ready);
    *own = whole;
}

void rp_model_attach(rp_model *m) {
    for (uint32_t i = m->config.blocks; i < m->config.blocks + m->variants; i++)
        complete(m, &m->blocks[i]);
    if (m->tied)
        m->head = m->embedding;
}
