/* reprise perplexity: how well a model foresees a text. The text is cut into windows that do not overlap; each
 * starts from BOS (where the model has one) and every token after it is scored. With --split each piece is a text of
 * its own, scored with the end token that should follow it; line ends around a piece belong to the separator. */
#include "../math.h"
#include "cli.h"

#include <stdlib.h>
#include <string.h>

typedef struct score {
    engine *e;
    uint32_t window;
    const int32_t *ids; /* the window being scored */
    size_t count;
    scored sum;
    size_t done, total; /* bytes, for progress */
    double shown_ms;
} score;

static bool add_position(void *user, size_t index, const float *logits) {
    score *s = user;
    if (index + 1 == s->count)
        return false;
    s->sum.nll += rp_logits_logsumexp(logits, s->e->vocab) - logits[s->ids[index + 1]];
    s->sum.tokens++;
    return true;
}

static rp_status score_window(score *s, const int32_t *ids, size_t count, rp_error *err) {
    s->ids = ids;
    s->count = count;
    RP_TRY(engine_rewind(s->e, 0, err));
    return engine_feed_each(s->e, ids, count, s, add_position, err);
}

static void show_progress(score *s, double part) {
    double now = host_now_ms();
    if (now - s->shown_ms < 1000)
        return;
    s->shown_ms = now;
    print(2, "%3.0f %%, %llu tokens, perplexity %.3f\n", 100 * ((double)s->done + part) / (double)s->total,
          (unsigned long long)s->sum.tokens, s->sum.tokens ? rp_exp(s->sum.nll / (double)s->sum.tokens) : 0.0);
}

/* Scores one text in windows: first BOS, then window - 1 tokens. */
static rp_status score_text(score *s, const char *text, size_t size, bool with_end, rp_error *err) {
    int32_t bos = rp_token_bos(s->e->model), eos = rp_token_eos(s->e->model), *ids;
    size_t count, first = bos >= 0;
    RP_TRY(text_ids(s->e->model, text, size, 0, &ids, &count, err));
    int32_t *window = malloc(s->window * sizeof *window);
    if (!window) {
        free(ids);
        return rp_fail(err, RP_ERR_MEMORY, "window could not be had");
    }
    rp_status status = RP_OK;
    size_t all = count + (with_end && eos >= 0);
    for (size_t at = 0; status == RP_OK && at < all;) {
        size_t n = RP_MIN(all - at, s->window - first);
        if (first)
            window[0] = bos;
        for (size_t i = 0; i < n; i++)
            window[first + i] = at + i < count ? ids[at + i] : eos;
        status = score_window(s, window, first + n, err);
        at += n;
        show_progress(s, (double)size * (double)at / (double)all);
    }
    free(window);
    free(ids);
    s->sum.bytes += size;
    return status;
}

static bool ends_line(char c) {
    return c == '\n' || c == '\r';
}

static const char *find(const char *text, size_t size, const char *what) {
    size_t length = strlen(what);
    for (size_t i = 0; i + length <= size; i++)
        if (memcmp(text + i, what, length) == 0)
            return text + i;
    return NULL;
}

static rp_status score_pieces(score *s, const char *text, size_t size, const char *split, rp_error *err) {
    while (size) {
        const char *next = find(text, size, split);
        const char *end = next ? next : text + size;
        const char *from = text, *to = end;
        while (from < to && ends_line(*from))
            from++;
        while (from < to && ends_line(to[-1]))
            to--;
        if (from < to)
            RP_TRY(score_text(s, from, (size_t)(to - from), true, err));
        size_t step = (size_t)(end - text) + (next ? strlen(split) : 0);
        s->done += step;
        text += step;
        size -= step;
    }
    return RP_OK;
}

uint32_t scoring_window(const engine *e, const options *o) {
    rp_model_info info;
    rp_model_get_info(e->model, &info);
    return RP_MAX(o->window ? o->window : RP_MIN(512, info.context_trained), 2);
}

rp_status score_file(engine *e, const options *o, const char *path, scored *result, rp_error *err) {
    char *text;
    size_t size;
    if (o->split && !*o->split)
        return rp_fail(err, RP_ERR_ARGUMENT, "--split: want a text that is not empty");
    RP_TRY(file_read(path, &text, &size, err));
    score s = {.e = e, .window = scoring_window(e, o), .total = RP_MAX(size, 1), .shown_ms = host_now_ms()};
    rp_status status = o->split ? score_pieces(&s, text, size, o->split, err) : score_text(&s, text, size, false, err);
    free(text);
    RP_TRY(status);
    *result = s.sum;
    return s.sum.tokens ? RP_OK
                        : rp_fail(err, RP_ERR_ARGUMENT, "%s: no token to score, want a text of some words", path);
}

static rp_status perplexity(const options *o, char **args, engine *e, scored *result, rp_error *err) {
    RP_TRY(load_engine(e, args[0], o, err));
    RP_TRY(open_engine(e, o, RP_MAX(scoring_window(e, o), o->context), err));
    return score_file(e, o, args[1], result, err);
}

void print_scored(const scored *s) {
    print(1, "\"tokens\":%llu,\"bytes\":%llu,\"nll\":", (unsigned long long)s->tokens, (unsigned long long)s->bytes);
    print_json_number(s->nll);
    print(1, ",\"nats_per_byte\":");
    print_json_number(s->nll / (double)s->bytes);
    print(1, ",\"perplexity\":");
    print_json_number(rp_exp(s->nll / (double)s->tokens));
}

int run_perplexity(const options *o, char **args, uint32_t count) {
    (void)count;
    engine e = {0};
    scored s = {0};
    rp_error err;
    rp_status status = perplexity(o, args, &e, &s, &err);
    if (status == RP_OK) {
        print(1, "{");
        print_scored(&s);
        print(1, "}\n");
    }
    close_engine(&e);
    return status == RP_OK ? EXIT_OK : report(&err);
}
