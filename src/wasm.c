/* The page's exports: model, tokens, sessions, sampling, text. JavaScript is trusted, files are not. Every function that takes a
 * `page` and can fail leaves the status and its message there. See wasm_json.c for what is told as JSON. */
#include "wasm.h"

#include <stdlib.h>
#include <string.h>

bool page_took(page *p, rp_status status) {
    if (status == RP_OK)
        p->err = (rp_error){.status = RP_OK};
    return status == RP_OK;
}

const void *page_gave(page *p, const void *bytes, size_t size) {
    p->bytes = bytes;
    p->size = bytes ? size : 0;
    return bytes;
}

static void *page_malloc(page *p, size_t count, size_t size, const char *what) {
    uint64_t bytes = (uint64_t)RP_MAX(count, 1) * size;
    void *block = bytes <= SIZE_MAX / 2 ? malloc((size_t)bytes) : NULL;
    if (!block) {
        rp_fail(&p->err, RP_ERR_MEMORY, "%s: %llu bytes could not be had", what, (unsigned long long)bytes);
        p->err.bytes_needed = bytes;
    }
    return block;
}

#ifdef __wasm__
/* In place of kernels/choose.c: the best table, and nothing of the others is linked. */
const rp_kernels *rp_kernels_for(rp_isa isa) {
#if defined RP_HAVE_RELAXED
    const rp_kernels *kernels = &rp_kernels_relaxed;
#elif defined RP_HAVE_SIMD128
    const rp_kernels *kernels = &rp_kernels_simd128;
#else
    const rp_kernels *kernels = &rp_kernels_reference;
#endif
    return isa == RP_ISA_BEST || isa == kernels->isa ? kernels : NULL;
}
#endif

/* ---- Memory and the model ------------------------------------------------------------------------------ */

/* Not inlined: beside a memset the compiler would make it a calloc, which src/wasm_heap.c has not. */
EXPORT(page_alloc) __attribute__((noinline)) void *page_alloc(size_t bytes) {
    return malloc(bytes);
}

EXPORT(page_free) void page_free(void *block) {
    free(block);
}

EXPORT(page_check) uint32_t page_check(void) {
    return rp_kernels_check(rp_kernels_for(RP_ISA_BEST));
}

EXPORT(page_open) page *page_open(void) {
    page *p = page_alloc(sizeof *p);
    if (p)
        memset(p, 0, sizeof *p);
    if (p && rp_model_open(&p->model, &(rp_model_options){0}, &p->err) != RP_OK) {
        free(p);
        p = NULL;
    }
    return p;
}

EXPORT(page_close) void page_close(page *p) {
    if (!p)
        return;
    rp_pool_close(p->model->pool);
    rp_model_close(p->model);
    free(p->stacks);
    free(p->json);
    free(p->ids);
    free(p->layers);
    free(p);
}

EXPORT(page_status) int page_status(const page *p) {
    return (int)p->err.status;
}

EXPORT(page_message) const char *page_message(const page *p) {
    return p->err.message;
}

EXPORT(page_bytes_needed) double page_bytes_needed(const page *p) {
    return (double)p->err.bytes_needed;
}

EXPORT(page_size) size_t page_size(const page *p) {
    return p->size;
}

EXPORT(page_feed) int page_feed(page *p, const void *bytes, size_t size) {
    size_t used;
    bool had_header = rp_model_load_state(p->model) != RP_LOAD_HEADER;
    if (!page_took(p, rp_model_feed(p->model, bytes, RP_MIN(size, INT32_MAX), &used, &p->err)))
        return -1;
    if (!had_header)
        p->header_gaps = page_heap_gaps();
    return (int)used;
}

EXPORT(page_load_state) int page_load_state(const page *p) {
    return (int)rp_model_load_state(p->model);
}

EXPORT(page_finish) int page_finish(page *p) {
    page_took(p, rp_model_finish(p->model, &p->err));
    return (int)p->err.status;
}

EXPORT(memory_counted) double memory_counted(const page *p) {
    uint64_t now, peak;
    rp_model_memory(p->model, &now, &peak);
    return (double)now;
}

/* ---- Tokens -------------------------------------------------------------------------------------------- */

/* False, with an error, before the header is understood. */
static bool has_header(page *p) {
    if (rp_model_load_state(p->model) != RP_LOAD_HEADER)
        return page_took(p, RP_OK);
    rp_fail(&p->err, RP_ERR_ARGUMENT, "the model's header is not there yet");
    return false;
}

EXPORT(page_string) const void *page_string(page *p, const char *key, size_t key_size) {
    char name[RP_KEY_SIZE];
    size_t size = 0;
    page_gave(p, NULL, 0);
    if (!has_header(p) || key_size >= sizeof name)
        return NULL;
    memcpy(name, key, key_size);
    name[key_size] = 0;
    const char *value = rp_model_string(p->model, name, &size);
    return page_gave(p, value, size);
}

static bool take_ids(page *p, size_t count) {
    if (count <= p->id_room)
        return true;
    free(p->ids);
    p->ids = page_malloc(p, count, sizeof *p->ids, "ids");
    p->id_room = p->ids ? count : 0;
    return p->ids != NULL;
}

/* Twice where the ids do not fit: how many there are is known afterwards. */
EXPORT(page_tokenize) int page_tokenize(page *p, const char *text, size_t size, unsigned flags) {
    size_t count = 0;
    if (!has_header(p) || !take_ids(p, 1024))
        return -1;
    for (;;) {
        if (!page_took(p, rp_tokenize(p->model, text, size, flags, p->ids, p->id_room, &count, &p->err)))
            return -1;
        p->shown_ids = p->ids;
        if (count <= p->id_room)
            return (int)count;
        if (!take_ids(p, count))
            return -1;
    }
}

/* Of the last page_tokenize or logits_top. */
EXPORT(page_ids) const int32_t *page_ids(const page *p) {
    return p->shown_ids;
}

EXPORT(page_token_bytes) const void *page_token_bytes(page *p, int32_t id) {
    size_t size = 0;
    const char *bytes = has_header(p) ? rp_token_bytes(p->model, id, &size) : NULL;
    return page_gave(p, bytes, size);
}

EXPORT(page_token_piece) const void *page_token_piece(page *p, int32_t id) {
    size_t size = 0;
    const char *bytes = has_header(p) ? rp_token_piece(p->model, id, &size) : NULL;
    return page_gave(p, bytes, size);
}

EXPORT(page_token_flags) int page_token_flags(page *p, int32_t id) {
    if (!has_header(p))
        return 0;
    return (rp_token_ends(p->model, id) ? 1 : 0) | (rp_token_is_control(p->model, id) ? 2 : 0);
}

/* ---- Sessions ------------------------------------------------------------------------------------------ */

EXPORT(session_open)
rp_session *session_open(page *p, uint32_t context, int kv_type, uint32_t chunk, uint32_t kv_slots) {
    rp_session *s = NULL;
    rp_session_options options = {context, (rp_kv_type)kv_type, chunk, p->threads, p->program, kv_slots};
    page_took(p, rp_session_open(&s, p->model, &options, &p->err));
    return s;
}

EXPORT(session_close) void session_close(rp_session *s) {
    rp_session_close(s);
}

EXPORT(session_begin) int session_begin(page *p, rp_session *s, const int32_t *ids, size_t count) {
    size_t reused = 0;
    return page_took(p, rp_session_begin(s, ids, count, &reused, &p->err)) ? (int)reused : -1;
}

EXPORT(session_embed_begin) int session_embed_begin(page *p, rp_session *s, const int32_t *ids, size_t count) {
    size_t reused;
    if (count == 0) {
        rp_fail(&p->err, RP_ERR_ARGUMENT, "nothing to embed: want at least one id");
        return -1;
    }
    if (!page_took(p, rp_session_begin(s, ids, count, &reused, &p->err)))
        return -1;
    rp_session_want_embedding(s);
    return 0;
}

/* The first one's step, and of those others that are at the same point; what is left for the first one. */
EXPORT(session_step) int session_step(rp_session *const *sessions, size_t count) {
    const rp_session *first = sessions[0];
    if (!first->pending && !first->closing)
        return RP_STEP_DONE;
    if (!rp_sessions_step(sessions, count))
        return RP_STEP_WAIT;
    return first->pending || first->closing ? RP_STEP_MORE : RP_STEP_DONE;
}

EXPORT(session_cancel) void session_cancel(rp_session *s) {
    rp_session_cancel(s);
}

typedef struct progress {
    uint32_t visit;
    size_t done, pending;
} progress;

static progress progress_of(const rp_session *s) {
    progress now;
    rp_session_progress(s, &now.visit, &now.done, &now.pending);
    return now;
}

EXPORT(session_progress_visit) uint32_t session_progress_visit(const rp_session *s) {
    return progress_of(s).visit;
}

EXPORT(session_progress_done) size_t session_progress_done(const rp_session *s) {
    return progress_of(s).done;
}

EXPORT(session_pending) size_t session_pending(const rp_session *s) {
    return progress_of(s).pending;
}

EXPORT(session_rewind) int session_rewind(page *p, rp_session *s, size_t length) {
    page_took(p, rp_session_rewind(s, length, &p->err));
    return (int)p->err.status;
}

EXPORT(session_copy) int session_copy(page *p, rp_session *s, const rp_session *from, size_t length) {
    page_took(p, rp_session_copy(s, from, length, &p->err));
    return (int)p->err.status;
}

EXPORT(session_adopt) int session_adopt(page *p, rp_session *s, const int32_t *ids, size_t length) {
    page_took(p, rp_session_adopt(s, ids, length, &p->err));
    return (int)p->err.status;
}

EXPORT(session_length) size_t session_length(const rp_session *s) {
    return rp_session_length(s);
}

EXPORT(session_context) size_t session_context(const rp_session *s) {
    return rp_session_context(s);
}

EXPORT(session_ids) const int32_t *session_ids(const rp_session *s) {
    return rp_session_ids(s);
}

EXPORT(session_logits) float *session_logits(rp_session *s) {
    return rp_session_logits(s);
}

EXPORT(session_embedding) const float *session_embedding(const rp_session *s) {
    return rp_session_embedding(s);
}

EXPORT(session_key) const char *session_key(page *p, const rp_session *s) {
    rp_format(p->key, sizeof p->key, "%016llx", (unsigned long long)rp_session_key(s));
    return p->key;
}

EXPORT(session_regions) size_t session_regions(const rp_session *s) {
    return rp_session_state_regions(s);
}

EXPORT(session_region) const void *session_region(page *p, rp_session *s, size_t index, size_t length) {
    size_t size;
    void *bytes = rp_session_state_region(s, index, length, &size);
    return page_gave(p, bytes, size);
}

/* ---- Sampling ------------------------------------------------------------------------------------------ */

/* Out of range: the nearest; the options' own checks see it. */
static uint32_t whole(double value) {
    return !(value > 0) ? 0 : value < 4294967295.0 ? (uint32_t)value : UINT32_MAX;
}

/* The order of `d` is told by page_layout. */
static rp_sampler_options sampler_options(const double *d) {
    return (rp_sampler_options){.temperature = (float)d[0],
                                .top_k = whole(d[1]),
                                .top_p = (float)d[2],
                                .min_p = (float)d[3],
                                .typical_p = (float)d[4],
                                .repeat_penalty = (float)d[5],
                                .presence_penalty = (float)d[6],
                                .frequency_penalty = (float)d[7],
                                .penalty_last = whole(d[8]),
                                .dry_multiplier = (float)d[9],
                                .dry_base = (float)d[10],
                                .dry_allowed = whole(d[11]),
                                .dry_last = whole(d[12]),
                                .mirostat_tau = (float)d[13],
                                .mirostat_eta = (float)d[14],
                                .seed = whole(d[15]) | (uint64_t)whole(d[16]) << 32};
}

EXPORT(sampler_open)
rp_sampler *sampler_open(page *p, const double *values, const int32_t *bias_ids, const float *biases, size_t count) {
    rp_sampler *sampler = NULL;
    rp_sampler_options options = sampler_options(values);
    rp_logit_bias *bias = NULL;
    if (!has_header(p) || (count && !(bias = page_malloc(p, count, sizeof *bias, "logit bias"))))
        return NULL;
    for (size_t i = 0; i < count; i++)
        bias[i] = (rp_logit_bias){bias_ids[i], biases[i]};
    options.bias = bias;
    options.bias_count = count;
    page_took(p, rp_sampler_open(&sampler, p->model, &options, &p->err));
    free(bias);
    return sampler;
}

EXPORT(sampler_accept) void sampler_accept(rp_sampler *sampler, int32_t id) {
    rp_sampler_accept(sampler, id);
}

/* -1 when the session has no logits. */
EXPORT(sampler_pick) int32_t sampler_pick(rp_sampler *sampler, rp_session *s) {
    const float *logits = rp_session_logits(s);
    return logits ? rp_sampler_pick(sampler, logits) : -1;
}

EXPORT(sampler_close) void sampler_close(rp_sampler *sampler) {
    rp_sampler_close(sampler);
}

EXPORT(logits_top) size_t logits_top(page *p, rp_session *s, size_t k) {
    const float *logits = rp_session_logits(s);
    p->shown_ids = p->top;
    return logits ? rp_logits_top(logits, s->model->config.vocab, RP_MIN(k, PAGE_TOP), p->top, p->logprobs) : 0;
}

EXPORT(page_logprobs) const float *page_logprobs(const page *p) {
    return p->logprobs;
}

EXPORT(logits_logprob) double logits_logprob(rp_session *s, int32_t id) {
    return rp_session_logprob(s, id);
}

/* ---- Text ---------------------------------------------------------------------------------------------- */

/* Stops are zero-terminated, one after another. */
EXPORT(text_open) rp_text *text_open(page *p, const char *stops, size_t count) {
    rp_text *text = NULL;
    const char **list = NULL;
    if (!has_header(p) || !(list = page_malloc(p, count, sizeof *list, "stop texts")))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        list[i] = stops;
        stops += strlen(stops) + 1;
    }
    page_took(p, rp_text_open(&text, p->model, list, count, &p->err));
    free(list);
    return text;
}

EXPORT(text_push) int text_push(page *p, rp_text *text, int32_t id) {
    const char *piece;
    size_t size;
    bool goes_on = rp_text_push(text, id, &piece, &size);
    page_gave(p, piece, size);
    return goes_on;
}

EXPORT(text_finish) void text_finish(page *p, rp_text *text) {
    const char *piece;
    size_t size;
    rp_text_finish(text, &piece, &size);
    page_gave(p, piece, size);
}

EXPORT(page_piece) const void *page_piece(const page *p) {
    return p->bytes;
}

EXPORT(text_close) void text_close(rp_text *text) {
    rp_text_close(text);
}
