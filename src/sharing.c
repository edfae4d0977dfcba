/* What a model shares, in numbers: against the same model with a head, blocks, KV heads and KV slots of their own. */
#include "kv.h"
#include "model.h"

/* A variant has a vector of its own in the place of its block's. */
static bool replaces(const rp_model *m, uint32_t variant, const rp_place *p) {
    const rp_block *own = &m->blocks[variant], *base = &m->blocks[own->base];
    size_t field = (size_t)((const char *)p->vector - (const char *)base);
    for (size_t i = 0; i < m->weights.count; i++)
        if ((const char *)m->weights.places[i].vector == (const char *)own + field)
            return true;
    return false;
}

/* A half, of visits whose block is `used`, runs the tensor. */
static bool runs(const rp_model *m, uint32_t used, const uint32_t *half, const uint32_t *base_half, const rp_place *p) {
    if (p->ready == half)
        return true;
    return p->ready == base_half && !(used >= m->config.blocks && p->is_vector && replaces(m, used, p));
}

static bool makes_kv(const rp_block *b, const rp_place *p) {
    return p->matrix == &b->k || p->matrix == &b->v || p->vector == &b->k_bias || p->vector == &b->v_bias ||
           p->vector == &b->k_norm;
}

uint32_t rp_place_visits(const rp_model *m, const rp_program *program, const rp_place *p, bool *of_block) {
    uint32_t visits = 0;
    *of_block = false;
    for (uint32_t k = 0; k < m->config.blocks + m->variants; k++)
        *of_block |= p->ready == &m->blocks[k].attn_ready || p->ready == &m->blocks[k].ffn_ready;
    for (uint32_t i = 0; *of_block && i < program->visits; i++) {
        const rp_visit *v = &program->visit[i];
        const rp_block *attn = &m->blocks[v->attn], *ffn = &m->blocks[v->ffn];
        const rp_block *attn_base = &m->blocks[attn->base], *ffn_base = &m->blocks[ffn->base];
        if (v->slot >= 0 && (v->writes || !makes_kv(attn_base, p)))
            visits += runs(m, v->attn, &attn->attn_ready, &attn_base->attn_ready, p);
        visits += runs(m, v->ffn, &ffn->ffn_ready, &ffn_base->ffn_ready, p);
    }
    return *of_block ? visits : 1;
}

static uint64_t kv_bytes(const rp_model *m, rp_kv_type type, uint32_t heads, uint32_t slots) {
    return rp_kv_bytes_per_position(&(rp_kv){.type = type,
                                             .head_dim = m->config.head_dim,
                                             .width = rp_kv_width(type, m->config.head_dim),
                                             .heads = heads,
                                             .slots = slots});
}

rp_status rp_model_get_sharing(const rp_model *m, const rp_program_options *options, rp_kv_type kv_type,
                               rp_sharing *sharing, rp_error *err) {
    const rp_config *c = &m->config;
    rp_program program;
    rp_sharing s = {0};
    if (m->state < RP_LOAD_WEIGHTS)
        return rp_fail(err, RP_ERR_ARGUMENT, "sharing needs the whole header of a model");
    RP_TRY(rp_program_make(m, options, &program, err));
    for (size_t i = 0; i < m->weights.count; i++) {
        const rp_place *p = &m->weights.places[i];
        bool of_block;
        uint32_t visits = rp_place_visits(m, &program, p, &of_block);
        if (p->matrix == &m->embedding && m->tied) {
            s.tied_bytes = p->tensor->bytes;
            s.parameters_effective += p->rows * p->columns;
        }
        s.parameters_effective += p->rows * p->columns * visits;
        s.block_bytes += of_block ? p->tensor->bytes : 0;
        s.block_matrix_bytes += of_block && !p->is_vector ? p->tensor->bytes : 0;
        s.visited_bytes += of_block ? p->tensor->bytes * visits : 0;
    }
    for (uint32_t i = 0; i < program.visits; i++)
        s.attention_visits += program.visit[i].slot >= 0;
    s.visits = program.visits;
    s.kv_slots = program.slots;
    s.kv_bytes = kv_bytes(m, kv_type, c->kv_heads, program.slots);
    s.kv_bytes_all_heads = kv_bytes(m, kv_type, c->heads, program.slots);
    s.kv_bytes_all_slots = kv_bytes(m, kv_type, c->kv_heads, s.attention_visits);
    s.kv_bytes_plain = kv_bytes(m, kv_type, c->heads, s.attention_visits);
    *sharing = s;
    return RP_OK;
}
