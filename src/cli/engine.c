/* What a command computes with: a model and its adapters, one session, and for proxy-tuning an expert and an anti-
 * expert with sessions of their own that are fed the same ids. */
#include "../gguf.h"
#include "cli.h"

#include <stdlib.h>
#include <string.h>

enum { STEERED_ROWS = 16, PIECE = 1 << 16 }; /* positions whose logits are kept at once; bytes */

rp_program_options program_of(const options *o) {
    return (rp_program_options){
        .loops = o->loops, .layers = o->layers, .reuse_kv = o->kv_reuse != NULL, .exit_threshold = o->exit_threshold};
}

/* ---- Adapters ------------------------------------------------------------------------------------------ */

rp_status split_scale(const char *text, char **path, float *scale, rp_error *err) {
    const char *equals = strrchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    char *end = NULL;
    *scale = equals ? strtof(equals + 1, &end) : 1.0f;
    if (equals && (end == equals + 1 || *end)) {
        length = strlen(text);
        *scale = 1.0f;
    }
    *path = malloc(length + 1);
    if (!*path)
        return rp_fail(err, RP_ERR_MEMORY, "a name of %llu bytes could not be had", (unsigned long long)length);
    memcpy(*path, text, length);
    (*path)[length] = 0;
    return RP_OK;
}

static rp_status feed_adapter(rp_adapter *adapter, int handle, rp_error *err) {
    static const char unread[] = "cannot be read";
    char *piece = malloc(PIECE);
    rp_status status = piece ? RP_OK : rp_fail(err, RP_ERR_MEMORY, "reading: %d bytes could not be had", PIECE);
    int64_t n = 1;
    while (status == RP_OK && (n = host_read(handle, piece, PIECE)) > 0)
        status = rp_adapter_feed(adapter, piece, (size_t)n, err);
    free(piece);
    if (n < 0)
        return rp_fail(err, RP_ERR_IO, unread);
    return status == RP_OK ? rp_adapter_finish(adapter, err) : status;
}

static rp_status load_adapter(const char *path, const rp_model *model, rp_adapter **adapter, rp_error *err) {
    int handle = host_open(path);
    if (handle < 0)
        return rp_fail(err, RP_ERR_IO, "%s: cannot be opened", path);
    rp_status status = rp_adapter_open(adapter, model, err);
    if (status == RP_OK)
        status = feed_adapter(*adapter, handle, err);
    host_close(handle);
    return status == RP_OK ? RP_OK : name_file(path, err);
}

static rp_status load_adapters(engine *e, const options *o, rp_error *err) {
    for (uint32_t i = 0; i < o->loras.count; i++) {
        char *path;
        rp_adapter *adapter = NULL;
        rp_adapter_use *use = &e->adapters[i];
        RP_TRY(split_scale(o->loras.text[i], &path, &use->scale, err));
        rp_status status = load_adapter(path, e->model, &adapter, err);
        free(path);
        use->adapter = adapter;
        e->adapter_count++;
        RP_TRY(status);
    }
    return RP_OK;
}

/* ---- Helpers ------------------------------------------------------------------------------------------- */

/* What a GGUF file says it is, from its header. */
static rp_status is_adapter(const char *path, bool *adapter, rp_error *err) {
    rp_memory memory;
    rp_gguf *gguf = NULL;
    rp_span type = {"", 0};
    uint8_t piece[4096];
    bool done = false;
    int64_t n = 1;
    int handle = host_open(path);
    if (handle < 0)
        return rp_fail(err, RP_ERR_IO, "%s: cannot be opened", path);
    rp_memory_init(&memory, &(rp_host){0});
    rp_status status = rp_gguf_open(&gguf, &memory, err);
    while (status == RP_OK && !done && (n = host_read(handle, piece, sizeof piece)) > 0) {
        size_t used;
        status = rp_gguf_feed(gguf, piece, (size_t)n, &used, &done, err);
    }
    if (status == RP_OK && !done)
        status = n < 0 ? rp_fail(err, RP_ERR_IO, "cannot be read")
                       : rp_fail(err, RP_ERR_FORMAT, "file ends inside its header");
    if (status == RP_OK)
        status = rp_gguf_string(gguf, "general.type", &type, err);
    *adapter = status == RP_OK && type.size == 7 && memcmp(type.data, "adapter", 7) == 0;
    rp_gguf_close(gguf);
    host_close(handle);
    return status == RP_OK ? RP_OK : name_file(path, err);
}

static bool is_base(const char *name) {
    return strcmp(name, "base") == 0;
}

static rp_status load_helper(const engine *e, const char *name, const options *o, helper *h, rp_error *err) {
    bool adapter = false;
    double load_ms;
    if (is_base(name))
        return RP_OK;
    RP_TRY(is_adapter(name, &adapter, err));
    if (adapter)
        return load_adapter(name, e->model, &h->adapter, err);
    if (load_model(name, o, PART_ALL, &h->model, &load_ms, err) != RP_OK ||
        rp_model_check_vocabulary(e->model, h->model, err) != RP_OK)
        return name_file(name, err);
    return RP_OK;
}

/* Its session has the base's context. A helper of its own file runs that file's own program. */
static rp_status open_helper(engine *e, const options *o, helper *h, rp_error *err) {
    rp_session_options how = {
        .context = (uint32_t)rp_session_context(e->session), .kv_type = kv_type(o), .threads = o->threads};
    if (!h->model && !h->adapter && !e->adapter_count)
        return RP_OK;
    if (!h->model)
        how.program = program_of(o);
    h->rows = malloc((size_t)STEERED_ROWS * e->vocab * sizeof *h->rows);
    if (!h->rows)
        return rp_fail(err, RP_ERR_MEMORY, "logits of a helper could not be had");
    RP_TRY(rp_session_open(&h->session, h->model ? h->model : e->model, &how, err));
    if (!h->adapter)
        return RP_OK;
    return rp_session_use_adapters(h->session, &(rp_adapter_use){h->adapter, 1.0f}, 1, err);
}

static void close_helper(helper *h) {
    rp_session_close(h->session);
    rp_adapter_close(h->adapter);
    unload_model(h->model);
    free(h->rows);
}

/* ---- All of it ----------------------------------------------------------------------------------------- */

rp_status load_engine(engine *e, const char *path, const options *o, rp_error *err) {
    double start = host_now_ms(), load_ms;
    rp_model_info info;
    if (!o->expert != !o->antiexpert)
        return rp_fail(err, RP_ERR_ARGUMENT, "--expert and --antiexpert go together; \"base\" is the model itself");
    if (!o->expert && o->alpha != 1.0f)
        return rp_fail(err, RP_ERR_ARGUMENT, "--alpha %g without --expert and --antiexpert", (double)o->alpha);
    RP_TRY(load_model(path, o, PART_ALL, &e->model, &load_ms, err));
    rp_model_get_info(e->model, &info);
    e->vocab = info.vocab;
    RP_TRY(load_adapters(e, o, err));
    e->alpha = o->alpha;
    if (o->expert) {
        RP_TRY(load_helper(e, o->expert, o, &e->expert, err));
        RP_TRY(load_helper(e, o->antiexpert, o, &e->antiexpert, err));
        e->steered = o->alpha != 0.0f;
    }
    e->load_ms = host_now_ms() - start;
    return RP_OK;
}

rp_status open_twin(const engine *e, const options *o, const rp_program_options *program, rp_session **session,
                    rp_error *err) {
    rp_session_options how = {.context = o->context, .kv_type = kv_type(o), .threads = o->threads, .program = *program};
    if (e->session)
        how.context = (uint32_t)rp_session_context(e->session);
    RP_TRY(rp_session_open(session, e->model, &how, err));
    return e->adapter_count ? rp_session_use_adapters(*session, e->adapters, e->adapter_count, err) : RP_OK;
}

rp_status open_engine(engine *e, const options *o, uint32_t context, rp_error *err) {
    options with_context = *o;
    rp_program_options program = program_of(o);
    with_context.context = context;
    RP_TRY(open_twin(e, &with_context, &program, &e->session, err));
    if (!e->steered)
        return RP_OK;
    e->logits = malloc((size_t)STEERED_ROWS * e->vocab * sizeof *e->logits);
    if (!e->logits)
        return rp_fail(err, RP_ERR_MEMORY, "steered logits could not be had");
    RP_TRY(open_helper(e, o, &e->expert, err));
    return open_helper(e, o, &e->antiexpert, err);
}

void close_engine(engine *e) {
    close_helper(&e->expert);
    close_helper(&e->antiexpert);
    rp_session_close(e->session);
    for (uint32_t i = 0; i < e->adapter_count; i++)
        rp_adapter_close((rp_adapter *)e->adapters[i].adapter);
    unload_model(e->model);
    free(e->logits);
}

uint64_t engine_peak_bytes(const engine *e) {
    const rp_model *models[] = {e->model, e->expert.model, e->antiexpert.model};
    uint64_t now, peak, sum = 0;
    for (size_t i = 0; i < RP_COUNT(models); i++)
        if (models[i]) {
            rp_model_memory(models[i], &now, &peak);
            sum += peak;
        }
    return host_peak_bytes(sum);
}

/* ---- Feeding ------------------------------------------------------------------------------------------- */

rp_status engine_rewind(engine *e, size_t length, rp_error *err) {
    RP_TRY(rp_session_rewind(e->session, length, err));
    if (e->expert.session)
        RP_TRY(rp_session_rewind(e->expert.session, length, err));
    return e->antiexpert.session ? rp_session_rewind(e->antiexpert.session, length, err) : RP_OK;
}

static rp_status feed_helper(helper *h, const int32_t *ids, size_t count, rp_error *err) {
    return h->session ? rp_session_feed(h->session, ids, count, err) : RP_OK;
}

static rp_status prompt_helper(helper *h, const int32_t *ids, size_t count, rp_error *err) {
    size_t reused;
    return h->session ? rp_session_prompt(h->session, ids, count, &reused, err) : RP_OK;
}

rp_status engine_feed(engine *e, const int32_t *ids, size_t count, rp_error *err) {
    RP_TRY(rp_session_feed(e->session, ids, count, err));
    if (!e->steered)
        return RP_OK;
    RP_TRY(feed_helper(&e->expert, ids, count, err));
    RP_TRY(feed_helper(&e->antiexpert, ids, count, err));
    return rp_session_steer(e->session, e->expert.session, e->antiexpert.session, e->alpha, err);
}

rp_status engine_prompt(engine *e, const int32_t *ids, size_t count, size_t *reused, rp_error *err) {
    RP_TRY(rp_session_prompt(e->session, ids, count, reused, err));
    if (!e->steered)
        return RP_OK;
    RP_TRY(prompt_helper(&e->expert, ids, count, err));
    RP_TRY(prompt_helper(&e->antiexpert, ids, count, err));
    return rp_session_steer(e->session, e->expert.session, e->antiexpert.session, e->alpha, err);
}

const float *engine_logits(const engine *e) {
    return rp_session_logits(e->session);
}

/* Rows that a session shows go here. */
typedef struct rows {
    float *to;
    size_t vocab;
} rows;

static bool keep_row(void *user, size_t index, const float *logits) {
    const rows *r = user;
    memcpy(r->to + index * r->vocab, logits, r->vocab * sizeof *logits);
    return true;
}

static rp_status keep_rows(rp_session *session, float *to, size_t vocab, const int32_t *ids, size_t count,
                           rp_error *err) {
    return session ? rp_session_feed_each(session, ids, count, &(rows){to, vocab}, keep_row, err) : RP_OK;
}

rp_status engine_feed_each(engine *e, const int32_t *ids, size_t count, void *user,
                           bool (*each)(void *user, size_t index, const float *logits), rp_error *err) {
    if (!e->steered)
        return rp_session_feed_each(e->session, ids, count, user, each, err);
    for (size_t at = 0, n; at < count; at += n) {
        n = RP_MIN(count - at, STEERED_ROWS);
        RP_TRY(keep_rows(e->session, e->logits, e->vocab, ids + at, n, err));
        RP_TRY(keep_rows(e->expert.session, e->expert.rows, e->vocab, ids + at, n, err));
        RP_TRY(keep_rows(e->antiexpert.session, e->antiexpert.rows, e->vocab, ids + at, n, err));
        for (size_t i = 0; i < n; i++) {
            size_t row = i * e->vocab;
            rp_logits_steer(e->logits + row, (e->expert.session ? e->expert.rows : e->logits) + row,
                            (e->antiexpert.session ? e->antiexpert.rows : e->logits) + row, e->vocab, e->alpha);
            if (!each(user, at + i, e->logits + row))
                return RP_OK;
        }
    }
    return RP_OK;
}
