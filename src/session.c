/* A sequence of ids and what the model remembers of it: opening, rewinding, copying, saving. Computing is in steps.c, its
 * arithmetic in forward.c. */
#include "session.h"

#include <string.h>

enum { KV_LAYOUT = 2 }; /* of kv.h: a saved state of another one is of no use */

rp_status rp_session_defaults(const rp_model *m, rp_session_options *o, rp_error *err) {
    if (!o->context)
        o->context = RP_MIN(RP_DEFAULT_CONTEXT, m->config.context);
    if (!o->chunk)
        o->chunk = RP_DEFAULT_CHUNK;
    o->threads = RP_MAX(o->threads, 1);
    if (o->threads > RP_MAX_THREADS)
        return rp_fail(err, RP_ERR_ARGUMENT, "%u threads, want 1 to %d", o->threads, RP_MAX_THREADS);
    o->chunk = RP_MIN(o->chunk, o->context);
    if (o->context > 1 << 24)
        return rp_fail(err, RP_ERR_ARGUMENT, "context is %u positions, want 1 to 16777216", o->context);
    if (o->chunk > 4096)
        return rp_fail(err, RP_ERR_ARGUMENT, "chunk is %u positions, want 1 to 4096", o->chunk);
    if ((int)o->kv_type < 0 || o->kv_type > RP_KV_Q8_Q4)
        return rp_fail(err, RP_ERR_ARGUMENT, "KV type is %d, want f16, f32, q8_0 or q8_q4", (int)o->kv_type);
    return RP_OK;
}

/* Takes `count` items of `size` bytes from `memory` at *used; only counts when there is no memory yet. */
static void *take(void *memory, uint64_t *used, uint64_t count, size_t size) {
    uint64_t at = *used;
    *used += rp_round_up(count * size, 64);
    return memory ? (char *)memory + at : NULL;
}

static void *carve(const rp_session *s, uint64_t *used, uint64_t count, size_t size) {
    return take(s->scratch, used, count, size);
}

static void take_act(void *memory, rp_act *act, uint64_t *used, uint64_t rows, uint64_t columns) {
    rows = rp_round_up(rows, RP_TOKENS);
    act->padded = (size_t)rp_round_up(columns, RP_TILE);
    act->q = take(memory, used, rows * act->padded, sizeof *act->q);
    act->pairs = take(memory, used, rows * act->padded, sizeof *act->pairs);
    act->scale = take(memory, used, rows * (act->padded / RP_TILE), sizeof *act->scale);
    act->sums = take(memory, used, rows * (act->padded / 16), sizeof *act->sums);
    act->values = take(memory, used, rows * act->padded, sizeof *act->values);
}

/* Room for low-rank terms of a rank up to `rank`; as above. */
static uint64_t lay_out_low(const rp_session *s, uint32_t rank, rp_low *low) {
    const rp_config *c = &s->model->config;
    uint64_t used = 0, rows = RP_MAX(s->options.chunk, RP_LOGIT_ROWS);
    uint64_t widest = RP_MAX(RP_MAX(c->dim, c->ffn), (uint64_t)c->heads * c->head_dim);
    if (rank == 0)
        return 0;
    low->rank = rank;
    take_act(low->memory, &low->act, &used, rows, rank);
    low->inner = take(low->memory, &used, rows * rp_round_up(rank, RP_ROWS), sizeof(float));
    low->outer = take(low->memory, &used, rows * rp_round_up(widest, RP_ROWS), sizeof(float));
    return used;
}

/* Of thread `index`; only counts when there is no scratch yet. */
static void lay_out_attention(rp_session *s, uint32_t index, uint64_t *used) {
    uint64_t queries =
        (uint64_t)RP_MIN(RP_ATTENDED, s->options.chunk) * (s->model->config.heads / s->model->config.kv_heads);
    rp_attention a = {.score_stride = s->kv.positions};
    take_act(s->scratch, &a.query, used, queries, s->kv.width);
    a.scores = carve(s, used, queries * a.score_stride, sizeof(float));
    if (rp_kv_is_float(s->kv.type))
        a.weights = carve(s, used, rp_round_up(queries, RP_TOKENS) * a.score_stride, sizeof(float));
    a.answer = carve(s, used, queries * s->kv.width, sizeof(float));
    if (s->scratch)
        s->attention[index] = a;
}

/* Lays out the scratch; returns its size. Dimensions are below 2^20 and heads below 2^12 (model_config.c), T and W are
 * at most 2^12 and the context 2^24, so that no product reaches 2^64. */
static uint64_t lay_out(rp_session *s) {
    const rp_config *c = &s->model->config;
    uint64_t used = 0, T = s->options.chunk, W = rp_session_wave(&s->options);
    uint64_t q_width = (uint64_t)c->heads * c->head_dim, kv_width = (uint64_t)c->kv_heads * c->head_dim;
    s->kv = (rp_kv){.type = s->options.kv_type,
                    .head_dim = c->head_dim,
                    .width = rp_kv_width(s->options.kv_type, c->head_dim),
                    .positions = (size_t)rp_round_up(s->options.context, RP_TILE),
                    .heads = c->kv_heads,
                    .slots = RP_MAX(s->program.slots, s->options.kv_slots),
                    .kernels = s->model->kernels,
                    .bytes = s->kv.bytes};
    s->dim_stride = (size_t)rp_round_up(c->dim, RP_ROWS);
    s->q_stride = (size_t)rp_round_up(q_width, RP_ROWS);
    s->kv_stride = (size_t)rp_round_up(kv_width, RP_ROWS);
    s->ffn_stride = (size_t)rp_round_up(c->ffn, RP_ROWS);
    s->vocab_stride = (size_t)rp_round_up(c->vocab, RP_ROWS);
    s->ids = carve(s, &used, s->options.context, sizeof *s->ids);
    s->x = carve(s, &used, W * c->dim, sizeof(float));
    s->h = carve(s, &used, RP_MAX(T, RP_LOGIT_ROWS) * s->dim_stride, sizeof(float));
    s->q = carve(s, &used, T * s->q_stride, sizeof(float));
    s->k = carve(s, &used, T * s->kv_stride, sizeof(float));
    s->v = carve(s, &used, T * s->kv_stride, sizeof(float));
    s->mixed = carve(s, &used, T * s->q_stride, sizeof(float));
    s->gate = carve(s, &used, T * s->ffn_stride, sizeof(float));
    s->up = carve(s, &used, T * s->ffn_stride, sizeof(float));
    s->logits = carve(s, &used, RP_LOGIT_ROWS * s->vocab_stride, sizeof(float));
    s->pooled = carve(s, &used, c->dim, sizeof(float));
    s->input = carve(s, &used, c->injection ? W * c->dim : 0, sizeof(float));
    s->joined = carve(s, &used, c->injection == RP_INJECT_CONCAT ? 2 * (uint64_t)c->dim : 0, sizeof(float));
    s->exit_x = carve(s, &used, c->exits ? W * c->dim : 0, sizeof(float));
    s->exit_stays = carve(s, &used, c->exits ? W : 0, sizeof(float));
    s->exit_sum = carve(s, &used, c->exits ? W : 0, sizeof(float));
    for (size_t i = 0; i < 2; i++) {
        s->rate[i] = carve(s, &used, c->rope_dims / 2, sizeof(double));
        s->cosine[i] = carve(s, &used, W * (c->rope_dims / 2), sizeof(float));
        s->sine[i] = carve(s, &used, W * (c->rope_dims / 2), sizeof(float));
    }
    uint64_t widest = RP_MAX(RP_MAX(c->dim, c->ffn), q_width);
    if (c->injection == RP_INJECT_CONCAT)
        widest = RP_MAX(widest, 2 * (uint64_t)c->dim);
    take_act(s->scratch, &s->act, &used, RP_MAX(T, RP_LOGIT_ROWS), widest);
    s->attention = carve(s, &used, s->options.threads, sizeof *s->attention);
    for (uint32_t i = 0; i < s->options.threads; i++)
        lay_out_attention(s, i, &used);
    return used;
}

static size_t program_bytes(const rp_program *p) {
    return offsetof(rp_program, visit) + p->visits * sizeof *p->visit;
}

static void set_hash(rp_session *s) {
    s->program_hash = rp_hash_bytes(RP_HASH_START, &s->program, program_bytes(&s->program));
    for (size_t i = 0; i < s->adapter_count; i++) {
        uint64_t adapter = rp_adapter_fingerprint(s->adapters[i].adapter);
        s->program_hash = rp_hash_bytes(s->program_hash, &adapter, sizeof adapter);
        s->program_hash = rp_hash_bytes(s->program_hash, &s->adapters[i].scale, sizeof s->adapters[i].scale);
    }
}

static rp_status size_session(rp_session *s, rp_error *err) {
    RP_TRY(rp_program_make(s->model, &s->options.program, &s->program, err));
    s->scratch_bytes = lay_out(s);
    s->low.bytes = lay_out_low(s, s->model->low_rank_most, &s->low);
    if (!rp_kv_bytes(&s->kv, &s->kv_bytes) || s->kv_bytes > SIZE_MAX / 2 || s->scratch_bytes > SIZE_MAX / 2)
        return rp_fail(err, RP_ERR_MEMORY, "a context of %u positions is more than this machine can address",
                       s->options.context);
    return RP_OK;
}

rp_status rp_session_bytes(const rp_model *m, const rp_session_options *options, uint32_t adapter_rank,
                           uint64_t *scratch, uint64_t *kv, uint32_t *slots, rp_error *err) {
    rp_session s = {.model = m, .options = *options};
    RP_TRY(size_session(&s, err));
    *scratch = s.scratch_bytes + sizeof s + RP_MAX(s.low.bytes, lay_out_low(&s, adapter_rank, &s.low));
    *kv = s.kv_bytes;
    *slots = s.program.slots;
    return RP_OK;
}

static rp_status take_memory(rp_session *s, rp_error *err) {
    rp_memory *memory = rp_model_memory_of(s->model);
    RP_TRY(size_session(s, err));
    s->scratch = rp_alloc(memory, (size_t)s->scratch_bytes, 1, "scratch", err);
    s->low.memory = s->scratch ? rp_alloc(memory, (size_t)s->low.bytes, 1, "scratch of low-rank terms", err) : NULL;
    s->kv.bytes = s->low.memory ? rp_alloc_raw(memory, (size_t)s->kv_bytes, 1, "KV cache", err) : NULL;
    if (!s->kv.bytes)
        return err->status;
    lay_out(s);
    lay_out_low(s, s->model->low_rank_most, &s->low);
    s->options.program.layers = NULL;
    set_hash(s);
    return RP_OK;
}

rp_status rp_session_open(rp_session **out, const rp_model *m, const rp_session_options *options, rp_error *err) {
    rp_session_options filled = *options;
    *out = NULL;
    if (m->state < RP_LOAD_WEIGHTS)
        return rp_fail(err, RP_ERR_ARGUMENT, "a session needs the whole header of a model");
    RP_TRY(rp_session_defaults(m, &filled, err));
    rp_session *s = rp_alloc(rp_model_memory_of(m), 1, sizeof *s, "session", err);
    if (!s)
        return err->status;
    s->model = m;
    s->options = filled;
    rp_status status = take_memory(s, err);
    if (status != RP_OK) {
        rp_session_close(s);
        return status;
    }
    *out = s;
    return RP_OK;
}

void rp_session_close(rp_session *s) {
    if (!s)
        return;
    rp_memory *memory = rp_model_memory_of(s->model);
    rp_release(memory, s->kv.bytes, (size_t)s->kv_bytes, 1);
    rp_release(memory, s->low.memory, (size_t)s->low.bytes, 1);
    rp_release(memory, s->scratch, (size_t)s->scratch_bytes, 1);
    rp_release(memory, s, 1, sizeof *s);
}

/* ---- Another program, other adapters ------------------------------------------------------------------- */

/* All ids that it holds or was to hold are to be computed. */
static void plan_anew(rp_session *s) {
    size_t count = s->length + s->pending;
    rp_session_cancel(s);
    s->length = 0;
    s->has_logits = false;
    s->planned = s->pending = count;
    set_hash(s);
}

rp_status rp_session_reprogram(rp_session *s, const rp_program_options *options, rp_error *err) {
    rp_memory *memory = rp_model_memory_of(s->model);
    rp_program program;
    RP_TRY(rp_program_make(s->model, options, &program, err));
    if (program.slots > s->kv.slots) {
        rp_kv wider = s->kv;
        uint64_t bytes;
        wider.slots = program.slots;
        if (!rp_kv_bytes(&wider, &bytes) || bytes > SIZE_MAX / 2)
            return rp_fail(err, RP_ERR_MEMORY, "%u KV slots are more than this machine can address", program.slots);
        wider.bytes = rp_alloc_raw(memory, (size_t)bytes, 1, "KV cache", err);
        if (!wider.bytes)
            return err->status;
        rp_release(memory, s->kv.bytes, (size_t)s->kv_bytes, 1);
        s->kv = wider;
        s->kv_bytes = bytes;
    }
    s->options.program = *options;
    s->options.program.layers = NULL;
    s->program = program;
    plan_anew(s);
    return RP_OK;
}

rp_status rp_session_use_adapters(rp_session *s, const rp_adapter_use *uses, size_t count, rp_error *err) {
    rp_memory *memory = rp_model_memory_of(s->model);
    uint32_t rank = s->low.rank;
    if (count > RP_ADAPTERS_MOST)
        return rp_fail(err, RP_ERR_ARGUMENT, "%llu adapters at once, want at most %d", (unsigned long long)count,
                       RP_ADAPTERS_MOST);
    for (size_t i = 0; i < count; i++) {
        if (rp_adapter_model(uses[i].adapter) != s->model)
            return rp_fail(err, RP_ERR_ARGUMENT, "adapter %llu belongs to another model", (unsigned long long)i);
        if (!rp_adapter_is_ready(uses[i].adapter))
            return rp_fail(err, RP_ERR_ARGUMENT, "adapter %llu is not all there", (unsigned long long)i);
        if (!(uses[i].scale > -1e6f && uses[i].scale < 1e6f))
            return rp_fail(err, RP_ERR_ARGUMENT, "adapter %llu: scale %g", (unsigned long long)i,
                           (double)uses[i].scale);
        rank = RP_MAX(rank, rp_adapter_rank(uses[i].adapter));
    }
    if (rank > s->low.rank) {
        rp_low low = {0};
        low.bytes = lay_out_low(s, rank, &low);
        low.memory = rp_alloc(memory, (size_t)low.bytes, 1, "scratch of low-rank terms", err);
        if (!low.memory)
            return err->status;
        lay_out_low(s, rank, &low);
        rp_release(memory, s->low.memory, (size_t)s->low.bytes, 1);
        s->low = low;
    }
    s->adapter_count = 0;
    for (size_t i = 0; i < count; i++)
        if (uses[i].scale != 0.0f)
            s->adapters[s->adapter_count++] = uses[i];
    plan_anew(s);
    return RP_OK;
}

/* ---- What it holds ------------------------------------------------------------------------------------- */

rp_status rp_session_check(const rp_session *s, const int32_t *ids, size_t length, size_t count, rp_error *err) {
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= s->model->config.vocab)
            return rp_fail(err, RP_ERR_ARGUMENT, "id %d at place %llu, want 0 to %u", ids[i], (unsigned long long)i,
                           s->model->config.vocab - 1);
    if (count > s->options.context - length)
        return rp_fail(err, RP_CONTEXT_FULL, "%llu tokens do not fit after %llu, the context is %u",
                       (unsigned long long)count, (unsigned long long)length, s->options.context);
    return RP_OK;
}

rp_status rp_session_rewind(rp_session *s, size_t length, rp_error *err) {
    if (length > s->length)
        return rp_fail(err, RP_ERR_ARGUMENT, "rewind to %llu, want 0 to %llu", (unsigned long long)length,
                       (unsigned long long)s->length);
    rp_session_cancel(s);
    s->has_logits = s->has_logits && length == s->length;
    s->length = length;
    return RP_OK;
}

/* Strips of the slots that its program uses; another program may have left it more. */
static size_t strips_of(const rp_session *s) {
    rp_kv used = s->kv;
    used.slots = s->program.slots;
    return rp_kv_strips(&used);
}

bool rp_session_computes_as(const rp_session *a, const rp_session *b) {
    return a->program_hash == b->program_hash && a->program.visits == b->program.visits &&
           memcmp(&a->program, &b->program, program_bytes(&a->program)) == 0;
}

static bool belong_together(const rp_session *a, const rp_session *b) {
    if (a->model == b->model)
        return a->options.kv_type == b->options.kv_type && rp_session_computes_as(a, b);
    bool same_shape = a->kv.type == b->kv.type && a->kv.head_dim == b->kv.head_dim && a->kv.heads == b->kv.heads &&
                      a->program.slots == b->program.slots; /* hashes can be made to collide */
    uint64_t key = rp_session_key(a);
    return same_shape && key && key == rp_session_key(b);
}

rp_status rp_session_copy(rp_session *s, const rp_session *from, size_t length, rp_error *err) {
    if (!belong_together(s, from))
        return rp_fail(err, RP_ERR_ARGUMENT, "the sessions differ in weights, program or KV type");
    if (length > from->length)
        return rp_fail(err, RP_ERR_ARGUMENT, "copy of %llu positions, want 0 to %llu", (unsigned long long)length,
                       (unsigned long long)from->length);
    if (length > s->options.context)
        return rp_fail(err, RP_CONTEXT_FULL, "%llu positions do not fit, the context is %u", (unsigned long long)length,
                       s->options.context);
    rp_session_cancel(s);
    for (size_t i = 0; s != from && i < strips_of(s); i++) {
        size_t bytes;
        const uint8_t *strip = rp_kv_strip(&from->kv, i, length, &bytes);
        memcpy(rp_kv_strip(&s->kv, i, length, &bytes), strip, bytes);
    }
    memmove(s->ids, from->ids, length * sizeof *s->ids);
    s->length = length;
    s->has_logits = false;
    return RP_OK;
}

size_t rp_session_state_regions(const rp_session *s) {
    return strips_of(s);
}

void *rp_session_state_region(rp_session *s, size_t index, size_t length, size_t *bytes) {
    *bytes = 0;
    if (index >= strips_of(s) || length > s->options.context)
        return NULL;
    return rp_kv_strip(&s->kv, index, length, bytes);
}

rp_status rp_session_adopt(rp_session *s, const int32_t *ids, size_t length, rp_error *err) {
    RP_TRY(rp_session_check(s, ids, 0, length, err));
    rp_session_cancel(s);
    memmove(s->ids, ids, length * sizeof *ids);
    s->length = length;
    s->has_logits = false;
    return RP_OK;
}

uint64_t rp_session_key(const rp_session *s) {
    const rp_model *m = s->model;
    if (m->state != RP_LOAD_READY)
        return 0;
    uint64_t hash = m->weights.fingerprint ^ KV_LAYOUT;
    hash = rp_hash_bytes(hash, &m->config, sizeof m->config);
    hash = rp_hash_bytes(hash, &s->program_hash, sizeof s->program_hash);
    return rp_hash_bytes(hash, &s->options.kv_type, sizeof s->options.kv_type);
}

size_t rp_session_length(const rp_session *s) {
    return s->length;
}

size_t rp_session_context(const rp_session *s) {
    return s->options.context;
}

const int32_t *rp_session_ids(const rp_session *s) {
    return s->ids;
}

float *rp_session_logits(rp_session *s) {
    return s->has_logits ? s->logits : NULL;
}

double rp_session_logprob(rp_session *s, int32_t id) {
    uint32_t vocab = s->model->config.vocab;
    if (!s->has_logits || id < 0 || (uint32_t)id >= vocab)
        return -__builtin_inf();
    if (!s->has_sum)
        s->sum = rp_logits_logsumexp(s->logits, vocab);
    s->has_sum = true;
    return (double)s->logits[id] - s->sum;
}
