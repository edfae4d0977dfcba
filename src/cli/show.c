/* reprise tokenize, detokenize, logits: small looks into a model. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static void print_ids(const int32_t *ids, size_t count) {
    print(1, "[");
    for (size_t i = 0; i < count; i++)
        print(1, "%s%d", i ? "," : "", ids[i]);
    print(1, "]");
}

static rp_status tokenize(const options *o, char **args, uint32_t count, rp_model **model, rp_error *err) {
    double load_ms;
    if ((count == 2) == (o->file != NULL))
        return rp_fail(err, RP_ERR_ARGUMENT, "want a text or --file, and not both");
    RP_TRY(load_model(args[0], o, PART_VOCABULARY, model, &load_ms, err));
    char *bytes = NULL;
    size_t size = count == 2 ? strlen(args[1]) : 0;
    if (o->file)
        RP_TRY(file_read(o->file, &bytes, &size, err));
    int32_t *ids;
    size_t id_count;
    rp_status status =
        text_ids(*model, o->file ? bytes : args[1], size, o->special ? RP_TOKENIZE_SPECIAL : 0, &ids, &id_count, err);
    free(bytes);
    RP_TRY(status);
    print_ids(ids, id_count);
    print(1, "\n");
    free(ids);
    return RP_OK;
}

int run_tokenize(const options *o, char **args, uint32_t count) {
    rp_model *model = NULL;
    rp_error err;
    rp_status status = tokenize(o, args, count, &model, &err);
    unload_model(model);
    return status == RP_OK ? EXIT_OK : report(&err);
}

static rp_status detokenize(const rp_model *model, char **args, uint32_t count, rp_error *err) {
    rp_model_info info;
    rp_model_get_info(model, &info);
    for (uint32_t i = 0; i < count; i++) {
        char *end;
        long id = strtol(args[i], &end, 10);
        if (end == args[i] || *end || id < 0 || id >= (long)info.vocab)
            return rp_fail(err, RP_ERR_ARGUMENT, "id %.40s, want 0 to %u", args[i], info.vocab - 1);
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t size;
        const char *bytes = rp_token_bytes(model, (int32_t)strtol(args[i], NULL, 10), &size);
        host_write(1, bytes, size);
    }
    return RP_OK;
}

int run_detokenize(const options *o, char **args, uint32_t count) {
    rp_model *model = NULL;
    rp_error err;
    double load_ms;
    rp_status status = load_model(args[0], o, PART_VOCABULARY, &model, &load_ms, &err);
    if (status == RP_OK)
        status = detokenize(model, args + 1, count - 1, &err);
    unload_model(model);
    return status == RP_OK ? EXIT_OK : report(&err);
}

/* What the lines about all positions share. */
typedef struct shown {
    const rp_model *model;
    const int32_t *ids;
    size_t room; /* of top */
    int32_t *top;
    float *logprobs;
} shown;

/* One line of JSON for one position. */
static void print_logits(const shown *s, size_t id_count, const float *logits) {
    rp_model_info info;
    rp_model_get_info(s->model, &info);
    double sum = rp_logits_logsumexp(logits, info.vocab);
    print(1, "{\"ids\":");
    print_ids(s->ids, id_count);
    print(1, ",\"top\":[");
    size_t count = rp_logits_top(logits, info.vocab, s->room, s->top, s->logprobs);
    for (size_t k = 0; k < count; k++) {
        int32_t id = s->top[k];
        size_t size;
        const char *piece = rp_token_bytes(s->model, id, &size);
        if (!size)
            piece = rp_token_piece(s->model, id, &size);
        print(1, "%s{\"id\":%d,\"piece\":", k ? "," : "", id);
        print_json_string(piece, size);
        print(1, ",\"logit\":");
        print_json_number(logits[id]);
        print(1, ",\"logprob\":");
        print_json_number(logits[id] - sum);
        print(1, "}");
    }
    print(1, "],\"hash\":\"%016llx\"}\n", (unsigned long long)rp_logits_hash(logits, info.vocab));
}

static bool print_position(void *user, size_t index, const float *logits) {
    print_logits(user, index + 1, logits);
    return true;
}

static rp_status show_logits(shown *s, bool each, size_t count, engine *e, rp_error *err) {
    if (each)
        return engine_feed_each(e, s->ids, count, s, print_position, err);
    RP_TRY(engine_feed(e, s->ids, count, err));
    print_logits(s, count, engine_logits(e));
    return RP_OK;
}

static rp_status logits(const char *path, const options *o, engine *e, shown *s, int32_t **ids, rp_error *err) {
    size_t count = 0;
    unsigned flags = RP_TOKENIZE_BOS | (o->special ? RP_TOKENIZE_SPECIAL : 0);
    RP_TRY(load_engine(e, path, o, err));
    RP_TRY(prompt_ids(e->model, o, flags, false, ids, &count, err));
    RP_TRY(open_engine(e, o, o->context, err));
    s->model = e->model;
    s->ids = *ids;
    s->room = RP_MIN(o->top, e->vocab);
    s->top = malloc(RP_MAX(s->room, 1) * sizeof *s->top);
    s->logprobs = malloc(RP_MAX(s->room, 1) * sizeof *s->logprobs);
    if (!s->top || !s->logprobs)
        return rp_fail(err, RP_ERR_MEMORY, "room for the likeliest ids could not be had");
    return show_logits(s, o->each, count, e, err);
}

int run_logits(const options *o, char **args, uint32_t count) {
    (void)count;
    engine e = {0};
    shown s = {0};
    int32_t *ids = NULL;
    rp_error err;
    rp_status status = logits(args[0], o, &e, &s, &ids, &err);
    free(s.top);
    free(s.logprobs);
    free(ids);
    close_engine(&e);
    return status == RP_OK ? EXIT_OK : report(&err);
}
