/* Opening a model from bytes that arrive in pieces: header, plan, weights. */
#include "model.h"

#include <string.h>

rp_memory *rp_model_memory_of(const rp_model *model) {
    return (rp_memory *)&model->memory; /* counting what is held does not change the model */
}

rp_status rp_model_open(rp_model **out, const rp_model_options *options, rp_error *err) {
    rp_memory memory;
    *out = NULL;
    rp_memory_init(&memory, &options->host);
    const rp_kernels *kernels = rp_kernels_for(options->isa);
    if (!kernels)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "this build has no kernels for the instruction set that was asked for");
    rp_model *m = rp_alloc(&memory, 1, sizeof *m, "model", err);
    if (!m)
        return err->status;
    m->memory = memory;
    m->kernels = kernels;
    m->vocabulary_only = options->vocabulary_only;
    m->weights.fingerprint = RP_HASH_START;
    rp_status status = rp_gguf_open(&m->gguf, &m->memory, err);
    if (status != RP_OK) {
        rp_model_close(m);
        return status;
    }
    *out = m;
    return RP_OK;
}

void rp_model_close(rp_model *m) {
    if (!m)
        return;
    rp_weights_close(&m->weights, &m->memory);
    for (uint32_t i = 0; m->blocks && i < m->block_room; i++)
        rp_release(&m->memory, m->blocks[i].low_rank, RP_TARGETS, sizeof *m->blocks[i].low_rank);
    rp_release(&m->memory, m->blocks, m->block_room, sizeof *m->blocks);
    rp_tokenizer_close(m->tokenizer);
    rp_gguf_close(m->gguf);
    rp_memory memory = m->memory;
    rp_release(&memory, m, 1, sizeof *m);
}

void rp_model_use_pool(rp_model *m, rp_pool *pool) {
    m->pool = pool;
}

static rp_status understand_header(rp_model *m, rp_error *err) {
    RP_TRY(rp_tokenizer_open(&m->tokenizer, m->gguf, &m->memory, err));
    if (m->vocabulary_only) {
        m->config.vocab = rp_tokenizer_vocab(m->tokenizer);
        m->state = RP_LOAD_VOCABULARY;
        return RP_OK;
    }
    RP_TRY(rp_config_read(&m->config, m->gguf, rp_tokenizer_vocab(m->tokenizer), err));
    RP_TRY(rp_program_read(m, err));
    RP_TRY(rp_model_bind(m, err));
    m->header_memory = m->memory.bytes_now;
    m->state = RP_LOAD_WEIGHTS;
    return RP_OK;
}

rp_status rp_model_feed(rp_model *m, const void *bytes, size_t size, size_t *used, rp_error *err) {
    *used = 0;
    if (m->state == RP_LOAD_HEADER) {
        bool done;
        RP_TRY(rp_gguf_feed(m->gguf, bytes, size, used, &done, err));
        return done ? understand_header(m, err) : RP_OK;
    }
    if (m->state == RP_LOAD_WEIGHTS) {
        if (!m->weights.data) {
            RP_TRY(rp_weights_take(&m->weights, &m->memory, err));
            rp_model_attach(m);
        }
        if (rp_weights_feed(&m->weights, &m->memory, bytes, size))
            m->state = RP_LOAD_READY;
    }
    *used = size;
    return RP_OK;
}

rp_load_state rp_model_load_state(const rp_model *m) {
    return m->state;
}

rp_status rp_model_finish(rp_model *m, rp_error *err) {
    if (m->state == RP_LOAD_READY || m->state == RP_LOAD_VOCABULARY)
        return RP_OK;
    if (m->state == RP_LOAD_HEADER)
        return rp_fail(err, RP_ERR_FORMAT, "file ends inside its header");
    return rp_fail(err, RP_ERR_FORMAT, "file ends after %llu bytes, want %llu",
                   (unsigned long long)(rp_gguf_header_bytes(m->gguf) + m->weights.position),
                   (unsigned long long)(rp_gguf_header_bytes(m->gguf) + rp_gguf_data_bytes(m->gguf)));
}

/* ---- Facts --------------------------------------------------------------------------------------------- */

const char *rp_model_string(const rp_model *m, const char *key, size_t *length) {
    rp_gguf_value v;
    if (!rp_gguf_find(m->gguf, key, &v) || v.is_array || v.type != RP_GGUF_STRING)
        return NULL;
    *length = v.size;
    return (const char *)v.data;
}

void rp_model_get_info(const rp_model *m, rp_model_info *info) {
    const rp_config *c = &m->config;
    uint64_t file_bytes = rp_gguf_header_bytes(m->gguf) + rp_gguf_data_bytes(m->gguf);
    *info = (rp_model_info){
        .architecture = c->arch,
        .blocks = c->blocks,
        .visits = m->program.visits,
        .kv_slots = m->program.slots,
        .dim = c->dim,
        .ffn_dim = c->ffn,
        .heads = c->heads,
        .kv_heads = c->kv_heads,
        .head_dim = c->head_dim,
        .vocab = c->vocab,
        .context_trained = c->context,
        .embedding_rank = c->embedding_rank,
        .loops = RP_MAX(m->core.loops, 1),
        .loop_min = c->loop_min,
        .loop_max = c->loop_max,
        .parameters_stored = m->parameters_stored,
        .parameters_effective = m->parameters_effective,
        .file_bytes = file_bytes,
        .unrolled_bytes = file_bytes + m->repeated_bytes,
        .tied = m->tied,
        .isa = m->kernels->isa,
    };
}

void rp_model_types(const rp_model *m, void *user,
                    void (*each)(void *user, const char *type, uint64_t bytes, uint32_t tensors)) {
    for (int type = 0; type < RP_TYPES; type++) {
        uint64_t bytes = 0;
        uint32_t tensors = 0;
        for (size_t i = 0; i < m->weights.count; i++)
            if (m->weights.places[i].type == (rp_type)type) {
                bytes += m->weights.places[i].tensor->bytes;
                tensors++;
            }
        if (tensors)
            each(user, rp_type_traits[type].name, bytes, tensors);
    }
}

rp_status rp_model_program(const rp_model *m, const rp_program_options *options, void *user,
                           void (*each)(void *user, uint32_t visit, const rp_visit_info *info), rp_error *err) {
    rp_program p;
    if (m->state < RP_LOAD_WEIGHTS)
        return rp_fail(err, RP_ERR_ARGUMENT, "a program needs the whole header of a model");
    RP_TRY(rp_program_make(m, options, &p, err));
    for (uint32_t i = 0; i < p.visits; i++) {
        const rp_visit *v = &p.visit[i];
        const rp_block *attn = &m->blocks[v->attn], *ffn = &m->blocks[v->ffn];
        each(user, i,
             &(rp_visit_info){.attn = attn->base,
                              .ffn = ffn->base,
                              .slot = v->slot,
                              .writes = v->writes,
                              .varies = v->attn >= m->config.blocks || v->ffn >= m->config.blocks,
                              .injects = v->injects,
                              .may_exit = v->ends_loop,
                              .norm_after = v->norm_after});
    }
    return RP_OK;
}

void rp_model_memory(const rp_model *m, uint64_t *bytes_now, uint64_t *bytes_peak) {
    *bytes_now = m->memory.bytes_now;
    *bytes_peak = m->memory.bytes_peak;
}

rp_status rp_model_plan(const rp_model *m, const rp_plan_options *options, rp_plan *plan, rp_error *err) {
    if (m->state < RP_LOAD_WEIGHTS)
        return rp_fail(err, RP_ERR_ARGUMENT, "a plan needs the whole header of a model");
    rp_session_options session = {options->context, options->kv_type, options->chunk,
                                  options->threads, options->program, 0};
    RP_TRY(rp_session_defaults(m, &session, err));
    uint32_t slots;
    uint64_t scratch, kv, sessions = RP_MAX(options->sessions, 1), sequences = RP_MAX(options->sequences, 1);
    RP_TRY(rp_session_bytes(m, &session, options->adapter_rank, &scratch, &kv, &slots, err));
    *plan = (rp_plan){
        .weights = m->weights.bytes,
        .vocabulary = m->header_memory,
        .adapters = options->adapter_bytes,
        .kv_per_token = kv / rp_round_up(session.context, RP_TILE),
        .context = session.context,
        .kv_slots = slots,
        .isa = m->kernels->isa,
    };
    bool fits = rp_mul(kv, sequences, &kv) && rp_mul(kv, sessions, &plan->kv);
    scratch += (uint64_t)m->config.vocab * RP_SAMPLER_BYTES + RP_SAMPLER_FIXED; /* below 2^32 */
    scratch += 3 * (uint64_t)rp_tokenizer_longest(m->tokenizer) + RP_TEXT_FIXED;
    fits = fits && rp_mul(scratch, sessions, &plan->scratch) &&
           rp_add(plan->scratch, m->weights.staging_bytes, &plan->scratch);
    fits = fits && rp_add(plan->weights, plan->vocabulary, &plan->total) &&
           rp_add(plan->total, plan->kv, &plan->total) && rp_add(plan->total, plan->scratch, &plan->total) &&
           rp_add(plan->total, plan->adapters, &plan->total);
    if (!fits)
        return rp_fail(err, RP_ERR_ARGUMENT, "a plan for %llu sessions of %u positions overflows",
                       (unsigned long long)sessions, session.context);
    return RP_OK;
}

/* ---- The tokenizer, for those who have a model --------------------------------------------------------- */

rp_status rp_tokenize(const rp_model *m, const char *text, size_t size, unsigned flags, int32_t *ids, size_t capacity,
                      size_t *count, rp_error *err) {
    return rp_tokenizer_encode(m->tokenizer, text, size, flags, ids, capacity, count, err);
}

const char *rp_token_bytes(const rp_model *m, int32_t id, size_t *size) {
    return rp_tokenizer_bytes_of(m->tokenizer, id, size);
}

const char *rp_token_piece(const rp_model *m, int32_t id, size_t *size) {
    return rp_tokenizer_piece_of(m->tokenizer, id, size);
}

bool rp_token_ends(const rp_model *m, int32_t id) {
    return rp_tokenizer_ends(m->tokenizer, id);
}

bool rp_token_is_control(const rp_model *m, int32_t id) {
    return rp_tokenizer_is_control(m->tokenizer, id);
}

int32_t rp_token_bos(const rp_model *m) {
    return rp_tokenizer_bos(m->tokenizer);
}

int32_t rp_token_eos(const rp_model *m) {
    return rp_tokenizer_eos(m->tokenizer);
}
