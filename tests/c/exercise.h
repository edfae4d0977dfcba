/* Loads a file, good or bad, through the public API and, when it loads, asks everything of it that a user
 * might. Used by the GGUF tests and the fuzzer. Memory comes from a host that counts, checks the sizes given
 * back, gives no more than a limit, and can be told to fail. */
#ifndef EXERCISE_H
#define EXERCISE_H

#include "reprise.h"

#include <stdlib.h>
#include <string.h>

typedef struct exercise_host {
    uint64_t held, blocks; /* bytes and blocks not given back */
    uint64_t limit;        /* bytes; beyond it alloc gives NULL */
    uint64_t asked;        /* allocations so far */
    uint64_t fail_at;      /* the allocation (from 1) that fails; 0: none */
    bool fail_after;       /* all later ones fail too */
    bool wrong_size;       /* something was given back with another size */
} exercise_host;

enum { EXERCISE_PREFIX = 16 };

static void *exercise_alloc(void *user, size_t bytes) {
    exercise_host *host = user;
    host->asked++;
    bool fails = host->fail_at && (host->fail_after ? host->asked >= host->fail_at : host->asked == host->fail_at);
    if (fails || bytes > host->limit - host->held)
        return NULL;
    uint8_t *block = malloc(EXERCISE_PREFIX + bytes);
    if (!block)
        return NULL;
    uint64_t size = bytes;
    memcpy(block, &size, sizeof size);
    host->held += bytes;
    host->blocks++;
    return block + EXERCISE_PREFIX;
}

static void exercise_release(void *user, void *memory, size_t bytes) {
    exercise_host *host = user;
    if (!memory)
        return;
    uint8_t *block = (uint8_t *)memory - EXERCISE_PREFIX;
    uint64_t size;
    memcpy(&size, block, sizeof size);
    host->wrong_size |= size != bytes;
    host->held -= size;
    host->blocks--;
    free(block);
}

/* What became of a file. */
typedef struct exercise_result {
    rp_status status;
    rp_error error;
    uint64_t hash; /* of the logits, when all went well */
} exercise_result;

static rp_status exercise_feed(rp_model *model, const uint8_t *bytes, size_t size, size_t piece, rp_error *err) {
    int idle = 0; /* a feed takes nothing only where the header ended with the piece before */
    for (size_t at = 0; at < size;) {
        size_t part = size - at < piece ? size - at : piece, used = 0;
        rp_status status = rp_model_feed(model, bytes + at, part, &used, err);
        if (status != RP_OK)
            return status;
        at += used;
        if (used == 0 && rp_model_load_state(model) == RP_LOAD_READY)
            break;
        idle += used == 0;
        if (used > part || idle > 2)
            abort();
    }
    return rp_model_finish(model, err);
}

static void exercise_type(void *user, const char *type, uint64_t bytes, uint32_t tensors) {
    (void)tensors;
    *(uint64_t *)user += bytes + strlen(type);
}

static void exercise_visit(void *user, uint32_t visit, const rp_visit_info *v) {
    const rp_model_info *info = user;
    if (visit >= info->visits || v->attn >= info->blocks || v->ffn >= info->blocks ||
        v->slot >= (int32_t)info->kv_slots)
        abort();
}

/* Facts: nothing here may fail or read out of bounds for a model whose header was accepted. */
static void exercise_facts(const rp_model *model) {
    rp_model_info info;
    rp_model_get_info(model, &info);
    uint64_t types = 0;
    rp_model_types(model, &types, exercise_type);
    rp_error err;
    if (rp_model_program(model, &(rp_program_options){0}, &info, exercise_visit, &err) != RP_OK)
        abort();
    for (int32_t id = -1; id <= (int32_t)info.vocab && id < 1000; id++) {
        size_t size = 0;
        rp_token_bytes(model, id, &size);
        rp_token_piece(model, id, &size);
        rp_token_ends(model, id);
    }
}

/* The ids it is fed are those of a short text, and a few that the vocabulary has in any case. */
static rp_status exercise_run(const rp_model *model, uint64_t *hash, rp_error *err) {
    rp_session *session = NULL;
    rp_sampler *sampler = NULL;
    rp_text *text = NULL;
    rp_model_info info;
    rp_model_get_info(model, &info);
    int32_t ids[16];
    size_t count = 0;
    rp_status status = rp_tokenize(model, "ab <s>a\xff", 8, RP_TOKENIZE_SPECIAL | RP_TOKENIZE_BOS, ids, 8, &count, err);
    if (status != RP_OK)
        return status;
    count = count < 8 ? count : 8;
    for (int32_t id = 0; id < 4; id++)
        if ((uint32_t)id < info.vocab)
            ids[count++] = id;
    const char *stop = "b";
    status = rp_session_open(&session, model, &(rp_session_options){.context = 16, .chunk = 4}, err);
    if (status == RP_OK)
        status =
            rp_sampler_open(&sampler, model, &(rp_sampler_options){.temperature = 0.8f, .top_k = 4, .seed = 1}, err);
    if (status == RP_OK)
        status = rp_text_open(&text, model, &stop, 1, err);
    if (status == RP_OK)
        status = rp_session_feed(session, ids, count, err);
    if (status == RP_OK) {
        const float *logits = rp_session_logits(session);
        *hash = rp_logits_hash(logits, info.vocab);
        const char *piece;
        size_t size;
        rp_text_push(text, rp_sampler_pick(sampler, logits), &piece, &size);
        rp_text_finish(text, &piece, &size);
    }
    rp_text_close(text);
    rp_sampler_close(sampler);
    rp_session_close(session);
    return status;
}

/* One session after other programs: what the model allows of them runs, what it does not is an error. */
static rp_status exercise_programs(const rp_model *model, rp_error *err) {
    static const rp_program_options programs[] = {{.layers = "0,0"},
                                                  {.reuse_kv = true},
                                                  {.exit_threshold = 0.5f},
                                                  {.layers = "1x3,0-1", .reuse_kv = true},
                                                  {.loops = 1},
                                                  {0}};
    static const int32_t ids[] = {0, 0, 0};
    rp_model_info info;
    rp_session *session = NULL;
    size_t reused;
    rp_model_get_info(model, &info);
    rp_session_options first = {.context = 8, .chunk = 2, .kv_type = RP_KV_Q8_0, .program = {.loops = info.loop_max}};
    rp_status status = rp_session_open(&session, model, &first, err);
    if (status == RP_OK)
        status = rp_session_feed(session, ids, 3, err);
    for (size_t i = 0; status == RP_OK && i < sizeof programs / sizeof *programs; i++) {
        if (rp_session_reprogram(session, &programs[i], err) == RP_ERR_MEMORY)
            status = err->status;
        while (status == RP_OK && rp_session_step(session) == RP_STEP_MORE)
            ;
    }
    if (status == RP_OK)
        status = rp_session_begin(session, ids, 2, &reused, err);
    if (status == RP_OK)
        rp_session_want_embedding(session);
    while (status == RP_OK && rp_session_step(session) == RP_STEP_MORE)
        ;
    rp_session_close(session);
    return status;
}

/* Feeds the file in pieces of `piece` bytes and uses the model if it loads. */
static inline exercise_result exercise(const uint8_t *bytes, size_t size, size_t piece, exercise_host *host) {
    exercise_result result = {.status = RP_OK};
    rp_model *model = NULL;
    rp_model_options options = {.host = {host, exercise_alloc, exercise_release}};
    result.status = rp_model_open(&model, &options, &result.error);
    if (result.status == RP_OK) {
        result.status = exercise_feed(model, bytes, size, piece, &result.error);
        if (rp_model_load_state(model) != RP_LOAD_HEADER && result.status == RP_OK) {
            rp_plan plan;
            result.status = rp_model_plan(model, &(rp_plan_options){.sessions = 2}, &plan, &result.error);
            exercise_facts(model);
        }
        if (result.status == RP_OK)
            result.status = exercise_run(model, &result.hash, &result.error);
        if (result.status == RP_OK)
            result.status = exercise_programs(model, &result.error);
    }
    rp_model_close(model);
    return result;
}

#endif
