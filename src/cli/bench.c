/* reprise bench: loading, prefill and decode, measured several times; medians, smallest and largest. */
#include "cli.h"

#include <stdlib.h>

enum { MAX_REPEATS = 64 };

typedef struct figures {
    double values[MAX_REPEATS];
    uint32_t count;
} figures;

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const figures *f) {
    return f->count % 2 ? f->values[f->count / 2] : (f->values[f->count / 2 - 1] + f->values[f->count / 2]) / 2;
}

/* Ids that spread over the vocabulary: what they say does not matter for speed. */
static int32_t made_up_id(uint32_t i, uint32_t vocab) {
    return (int32_t)((uint64_t)(i + 1) * 7919 % vocab);
}

static rp_status measure_once(rp_session *session, const options *o, const int32_t *ids, double *prefill_ms,
                              double *decode_ms, rp_error *err) {
    RP_TRY(rp_session_rewind(session, 0, err));
    double start = host_now_ms();
    RP_TRY(rp_session_feed(session, ids, o->prompt_tokens, err));
    *prefill_ms = host_now_ms() - start;
    start = host_now_ms();
    for (uint32_t i = 0; i < o->tokens; i++)
        RP_TRY(rp_session_feed(session, ids + i % o->prompt_tokens, 1, err));
    *decode_ms = host_now_ms() - start;
    return RP_OK;
}

static void print_row(const char *name, const char *unit, const figures *f, bool json) {
    if (json)
        print(1, "\"%s\":{\"median\":%.3f,\"min\":%.3f,\"max\":%.3f},", name, median(f), f->values[0],
              f->values[f->count - 1]);
    else
        print(1, "%-8s median %10.1f %s, from %.1f to %.1f\n", name, median(f), unit, f->values[0],
              f->values[f->count - 1]);
}

static rp_status bench(const options *o, const char *path, rp_model **model, rp_session **session, int32_t **ids,
                       figures f[3], rp_error *err) {
    uint32_t repeat = RP_MIN(o->repeat, MAX_REPEATS);
    for (uint32_t i = 0; i < repeat; i++) {
        unload_model(*model);
        RP_TRY(load_model(path, o, PART_ALL, model, &f[0].values[i], err));
    }
    rp_model_info info;
    rp_model_get_info(*model, &info);
    RP_TRY(open_session(*model, o, RP_MAX(o->context, o->prompt_tokens + o->tokens), session, err));
    *ids = malloc(o->prompt_tokens * sizeof **ids);
    if (!*ids)
        return rp_fail(err, RP_ERR_MEMORY, "ids could not be had");
    for (uint32_t i = 0; i < o->prompt_tokens; i++)
        (*ids)[i] = made_up_id(i, info.vocab);
    for (uint32_t i = 0; i <= repeat; i++) { /* the first is a warm-up */
        double prefill_ms, decode_ms;
        RP_TRY(measure_once(*session, o, *ids, &prefill_ms, &decode_ms, err));
        if (i == 0)
            continue;
        f[1].values[i - 1] = o->prompt_tokens / RP_MAX(prefill_ms, 1e-3) * 1e3;
        f[2].values[i - 1] = o->tokens / RP_MAX(decode_ms, 1e-3) * 1e3;
    }
    for (size_t i = 0; i < 3; i++) {
        f[i].count = repeat;
        qsort(f[i].values, repeat, sizeof(double), compare);
    }
    return RP_OK;
}

int run_bench(const options *o, char **args, uint32_t count) {
    (void)count;
    rp_model *model = NULL;
    rp_session *session = NULL;
    int32_t *ids = NULL;
    figures f[3] = {0};
    rp_error err;
    rp_status status = bench(o, args[0], &model, &session, &ids, f, &err);
    if (status == RP_OK) {
        uint64_t now, peak;
        rp_model_info info;
        rp_model_memory(model, &now, &peak);
        rp_model_get_info(model, &info);
        print(1, o->json ? "{" : "");
        print_row(o->json ? "load_ms" : "load", "ms", &f[0], o->json);
        print_row(o->json ? "prefill_tokens_per_s" : "prefill", "tokens/s", &f[1], o->json);
        print_row(o->json ? "decode_tokens_per_s" : "decode", "tokens/s", &f[2], o->json);
        print(1,
              o->json ? "\"prompt\":%u,\"generate\":%u,\"isa\":\"%s\",\"threads\":%u,\"peak_bytes\":%llu}\n"
                      : "prompt %u, generate %u, %s, threads %u, peak memory %llu bytes\n",
              o->prompt_tokens, o->tokens, isa_name(info.isa), RP_MAX(o->threads, 1),
              (unsigned long long)host_peak_bytes(peak));
    }
    free(ids);
    rp_session_close(session);
    unload_model(model);
    return status == RP_OK ? EXIT_OK : report(&err);
}
