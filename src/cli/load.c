/* Files into memory and into models, their threads, and prompts into ids. */
#include "../model.h"
#include "cli.h"

#include "../kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 18 };
#define MAX_TEXT ((size_t)1 << 30)

rp_status file_read(const char *path, char **bytes, size_t *size, rp_error *err) {
    int handle = host_open(path);
    if (handle < 0)
        return rp_fail(err, RP_ERR_IO, "%s: cannot be opened", path);
    size_t capacity = PIECE;
    char *buffer = malloc(capacity);
    int64_t n = 0;
    *size = 0;
    while (buffer && (n = host_read(handle, buffer + *size, capacity - *size)) > 0) {
        *size += (size_t)n;
        if (*size < capacity)
            continue;
        char *bigger = capacity < MAX_TEXT ? realloc(buffer, capacity * 2) : NULL;
        if (!bigger)
            free(buffer);
        buffer = bigger;
        capacity *= 2;
    }
    host_close(handle);
    if (!buffer)
        return rp_fail(err, RP_ERR_MEMORY, "%s: %llu bytes and more could not be had", path,
                       (unsigned long long)capacity);
    if (n < 0) {
        free(buffer);
        return rp_fail(err, RP_ERR_IO, "%s: cannot be read", path);
    }
    *bytes = buffer;
    return RP_OK;
}

static rp_status isa_of(const options *o, rp_isa *isa, rp_error *err) {
    *isa = RP_ISA_BEST;
    for (int i = RP_ISA_SCALAR; o->isa && i <= RP_ISA_RELAXED; i++)
        if (is_word(isa_name((rp_isa)i), o->isa, strlen(o->isa)))
            *isa = (rp_isa)i;
    const rp_kernels *kernels = rp_kernels_for(*isa);
    if (!kernels)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "--isa %s: this build has no such kernels", o->isa);
    if (rp_kernels_check(kernels) != RP_KERNELS_CHECK) /* as relaxed SIMD in Node 20 */
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s kernels compute wrong sums on this machine", kernels->name);
    return RP_OK;
}

static rp_status feed_file(rp_model *model, int handle, part wanted, rp_error *err) {
    char *piece = malloc(PIECE);
    if (!piece)
        return rp_fail(err, RP_ERR_MEMORY, "reading: %d bytes could not be had", PIECE);
    rp_status status = RP_OK;
    int64_t n = 1;
    bool done = false;
    while (status == RP_OK && !done && (n = host_read(handle, piece, PIECE)) > 0)
        for (size_t at = 0, used; status == RP_OK && !done && at < (size_t)n; at += used) {
            status = rp_model_feed(model, piece + at, (size_t)n - at, &used, err);
            rp_load_state state = rp_model_load_state(model);
            done = status == RP_OK && (state == RP_LOAD_READY || (wanted != PART_ALL && state != RP_LOAD_HEADER));
        }
    free(piece);
    if (n < 0)
        return rp_fail(err, RP_ERR_IO, "cannot be read");
    return status != RP_OK || done ? status : rp_model_finish(model, err);
}

static rp_status start_threads(rp_model *model, uint32_t threads, rp_error *err) {
    rp_pool *pool;
    if (threads < 2)
        return RP_OK;
    if (rp_pool_open(&pool, threads, rp_model_memory_of(model), err) == RP_ERR_UNSUPPORTED)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "--threads %u: the terminal program in WebAssembly has one thread",
                       threads);
    if (!pool)
        return err->status;
    rp_model_use_pool(model, pool);
    for (uint32_t i = 1; i < threads; i++)
        if (!host_thread(pool))
            return rp_fail(err, RP_ERR_MEMORY, "--threads %u: only %u could be started", threads, i);
    rp_pool_use(pool, threads);
    return RP_OK;
}

void unload_model(rp_model *model) {
    if (model)
        rp_pool_close(model->pool);
    rp_model_close(model);
}

rp_status load_model(const char *path, const options *o, part wanted, rp_model **model, double *load_ms,
                     rp_error *err) {
    double start = host_now_ms();
    rp_model_options how = {.vocabulary_only = wanted == PART_VOCABULARY};
    RP_TRY(isa_of(o, &how.isa, err));
    RP_TRY(rp_model_open(model, &how, err));
    int handle = host_open(path);
    rp_status status = handle < 0 ? rp_fail(err, RP_ERR_IO, "%s: cannot be opened", path) : RP_OK;
    if (status == RP_OK && wanted == PART_ALL)
        status = start_threads(*model, o->threads, err);
    if (status == RP_OK)
        status = feed_file(*model, handle, wanted, err);
    if (handle >= 0)
        host_close(handle);
    if (handle >= 0 && status == RP_ERR_IO)
        rp_fail(err, RP_ERR_IO, "%s: cannot be read", path);
    if (status != RP_OK) {
        unload_model(*model);
        *model = NULL;
    }
    *load_ms = host_now_ms() - start;
    return status;
}

rp_status text_ids(const rp_model *model, const char *text, size_t size, unsigned flags, int32_t **ids, size_t *count,
                   rp_error *err) {
    size_t capacity = size + 8; /* a token a byte at most, and what the model puts around */
    *ids = malloc(capacity * sizeof **ids);
    if (!*ids)
        return rp_fail(err, RP_ERR_MEMORY, "ids: %llu bytes could not be had",
                       (unsigned long long)(capacity * sizeof **ids));
    rp_status status = rp_tokenize(model, text, size, flags, *ids, capacity, count, err);
    if (status == RP_OK && *count > capacity) {
        capacity = *count;
        free(*ids);
        *ids = malloc(capacity * sizeof **ids);
        status = *ids ? rp_tokenize(model, text, size, flags, *ids, capacity, count, err)
                      : rp_fail(err, RP_ERR_MEMORY, "ids: %llu bytes could not be had",
                                (unsigned long long)(capacity * sizeof **ids));
    }
    if (status != RP_OK) {
        free(*ids);
        *ids = NULL;
    }
    return status;
}

static rp_status listed_ids(const char *text, int32_t **ids, size_t *count, rp_error *err) {
    *count = 0;
    *ids = malloc((strlen(text) / 2 + 1) * sizeof **ids);
    if (!*ids)
        return rp_fail(err, RP_ERR_MEMORY, "ids could not be had");
    for (const char *at = text; *at;) {
        char *end;
        long id = strtol(at, &end, 10);
        if (end == at || id < 0 || id > INT32_MAX || (*end && *end != ',') || (*end == ',' && !end[1])) {
            free(*ids);
            *ids = NULL;
            return rp_fail(err, RP_ERR_ARGUMENT, "--ids: at \"%.20s\": want ids with commas between them", at);
        }
        (*ids)[(*count)++] = (int32_t)id;
        at = *end ? end + 1 : end;
    }
    return RP_OK;
}

rp_status prompt_ids(const rp_model *model, const options *o, unsigned flags, bool may_be_empty, int32_t **ids,
                     size_t *count, rp_error *err) {
    *ids = NULL;
    if ((o->prompt != NULL) + (o->file != NULL) + (o->ids != NULL) > 1)
        return rp_fail(err, RP_ERR_ARGUMENT, "a prompt comes from one of --prompt, --file and --ids, not from two");
    if (o->ids)
        RP_TRY(listed_ids(o->ids, ids, count, err));
    else if (o->file) {
        char *text = NULL;
        size_t size = 0;
        RP_TRY(file_read(o->file, &text, &size, err));
        rp_status status = text_ids(model, text, size, flags, ids, count, err);
        free(text);
        RP_TRY(status);
    } else {
        const char *text = o->prompt ? o->prompt : "";
        RP_TRY(text_ids(model, text, strlen(text), flags, ids, count, err));
    }
    if (*count || may_be_empty)
        return RP_OK;
    free(*ids);
    *ids = NULL;
    return rp_fail(err, RP_ERR_ARGUMENT,
                   "the prompt is empty and the model puts no BOS first; want at least one token");
}

rp_status name_file(const char *path, rp_error *err) {
    char message[sizeof err->message];
    memcpy(message, err->message, sizeof message);
    return rp_fail(err, err->status, "%s: %s", path, message);
}

const char *kv_name(rp_kv_type type) {
    static const char *const names[] = {"f16", "f32", "q8_0", "q8_q4"};
    return names[type];
}

rp_kv_type kv_type(const options *o) {
    for (int i = 0; o->kv && i <= RP_KV_Q8_Q4; i++)
        if (is_word(kv_name((rp_kv_type)i), o->kv, strlen(o->kv)))
            return (rp_kv_type)i;
    return RP_KV_F16;
}

const char *isa_name(rp_isa isa) {
    static const char *const names[] = {"best", "scalar", "simd128", "relaxed"};
    return names[isa];
}
