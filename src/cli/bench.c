/* reprise bench: loading, prefill and decode, measured several times; medians, smallest and largest. */
#include "cli.h"

#include <stdlib.h>

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void sort_figures(figures *f) {
    qsort(f->values, f->count, sizeof(double), compare);
}

double median(const figures *f) {
    return f->count % 2 ? f->values[f->count / 2] : (f->values[f->count / 2 - 1] + f->values[f->count / 2]) / 2;
}

rp_status made_up_ids(const options *o, uint32_t vocab, int32_t **ids, rp_error *err) {
    *ids = malloc(o->prompt_tokens * sizeof **ids);
    if (!*ids)
        return rp_fail(err, RP_ERR_MEMORY, "ids could not be had");
    for (uint32_t i = 0; i < o->prompt_tokens; i++)
        (*ids)[i] = (int32_t)((uint64_t)(i + 1) * 7919 % vocab); /* spread over the vocabulary */
    return RP_OK;
}

rp_status measure_speed(rp_session *session, const options *o, const int32_t *ids, figures *prefill, figures *decode,
                        rp_error *err) {
    RP_TRY(rp_session_rewind(session, 0, err));
    double start = host_now_ms();
    RP_TRY(rp_session_feed(session, ids, o->prompt_tokens, err));
    double middle = host_now_ms();
    for (uint32_t i = 0; i < o->tokens; i++)
        RP_TRY(rp_session_feed(session, ids + i % o->prompt_tokens, 1, err));
    prefill->values[prefill->count++] = o->prompt_tokens / RP_MAX(middle - start, 1e-3) * 1e3;
    decode->values[decode->count++] = o->tokens / RP_MAX(host_now_ms() - middle, 1e-3) * 1e3;
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

static rp_status bench(const options *o, const char *path, engine *e, int32_t **ids, figures f[3], rp_error *err) {
    for (uint32_t i = 0; i < o->repeat; i++) {
        close_engine(e);
        *e = (engine){0};
        RP_TRY(load_engine(e, path, o, err));
        f[0].values[f[0].count++] = e->load_ms;
    }
    RP_TRY(open_engine(e, o, RP_MAX(o->context, o->prompt_tokens + o->tokens), err));
    RP_TRY(made_up_ids(o, e->vocab, ids, err));
    RP_TRY(measure_speed(e->session, o, *ids, &f[1], &f[2], err)); /* a warm-up */
    f[1].count = f[2].count = 0;
    for (uint32_t i = 0; i < o->repeat; i++)
        RP_TRY(measure_speed(e->session, o, *ids, &f[1], &f[2], err));
    for (size_t i = 0; i < 3; i++)
        sort_figures(&f[i]);
    return RP_OK;
}

int run_bench(const options *o, char **args, uint32_t count) {
    (void)count;
    engine e = {0};
    int32_t *ids = NULL;
    figures f[3] = {0};
    rp_error err;
    rp_status status = bench(o, args[0], &e, &ids, f, &err);
    if (status == RP_OK) {
        rp_model_info info;
        rp_model_get_info(e.model, &info);
        print(1, o->json ? "{" : "");
        print_row(o->json ? "load_ms" : "load", "ms", &f[0], o->json);
        print_row(o->json ? "prefill_tokens_per_s" : "prefill", "tokens/s", &f[1], o->json);
        print_row(o->json ? "decode_tokens_per_s" : "decode", "tokens/s", &f[2], o->json);
        print(1,
              o->json ? "\"prompt\":%u,\"generate\":%u,\"isa\":\"%s\",\"threads\":%u,\"peak_bytes\":%llu}\n"
                      : "prompt %u, generate %u, %s, threads %u, peak memory %llu bytes\n",
              o->prompt_tokens, o->tokens, isa_name(info.isa), RP_MAX(o->threads, 1),
              (unsigned long long)engine_peak_bytes(&e));
    }
    free(ids);
    close_engine(&e);
    return status == RP_OK ? EXIT_OK : report(&err);
}
