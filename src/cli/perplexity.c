/* reprise perplexity: how well a model foresees a text. The text is cut into windows that do not overlap; each starts from
 * BOS (where the model has one) and every token after it is scored. With --split each piece is a text of its own, scored with
 * the end token that should follow it; line ends around a piece belong to the separator. */
#include "../math.h"
#include "cli.h"

#include <stdlib.h>
#include <string.h>

typedef struct score {
    rp_session *session;
    const rp_model *model;
    uint32_t vocab, window;
    const int32_t *ids; /* the window being scored */
    size_t count;
    uint64_t tokens, bytes;
    double nll;
    size_t done, total; /* bytes, for progress */
    double shown_ms;
} score;

static bool add_position(void *user, size_t index, const float *logits) {
    score *s = user;
    if (index + 1 == s->count)
        return false;
    s->nll += rp_logits_logsumexp(logits, s->vocab) - logits[s->ids[index + 1]];
    s->tokens++;
    return true;
}

static rp_status score_window(score *s, const int32_t *ids, size_t count, rp_error *err) {
    s->ids = ids;
    s->count = count;
    RP_TRY(rp_session_rewind(s->session, 0, err));
    return rp_session_feed_each(s->session, ids, count, s, add_position, err);
}

static void show_progress(score *s, double part) {
    double now = host_now_ms();
    if (now - s->shown_ms < 1000)
        return;
    s->shown_ms = now;
    print(2, "%3.0f %%, %llu tokens, perplexity %.3f\n", 100 * ((double)s->done + part) / (double)s->total,
          (unsigned long long)s->tokens, s->tokens ? rp_exp(s->nll / (double)s->tokens) : 0.0);
}

/* Scores one text in windows: first BOS, then window - 1 tokens. */
static rp_status score_text(score *s, const char *text, size_t size, bool with_end, rp_error *err) {
    int32_t bos = rp_token_bos(s->model), eos = rp_token_eos(s->model), *ids;
    size_t count, first = bos >= 0;
    RP_TRY(text_ids(s->model, text, size, 0, &ids, &count, err));
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
    s->bytes += size;
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

static rp_status perplexity(const options *o, char **args, rp_model **model, score *s, rp_error *err) {
    double load_ms;
    char *text;
    size_t size;
    rp_model_info info;
    if (o->split && !*o->split)
        return rp_fail(err, RP_ERR_ARGUMENT, "--split: want a text that is not empty");
    RP_TRY(load_model(args[0], o, PART_ALL, model, &load_ms, err));
    rp_model_get_info(*model, &info);
    s->model = *model;
    s->vocab = info.vocab;
    s->window = o->window ? o->window : RP_MIN(512, info.context_trained);
    s->window = RP_MAX(s->window, 2);
    RP_TRY(open_session(*model, o, RP_MAX(s->window, o->context), &s->session, err));
    RP_TRY(file_read(args[1], &text, &size, err));
    s->total = RP_MAX(size, 1);
    s->shown_ms = host_now_ms();
    rp_status status = o->split ? score_pieces(s, text, size, o->split, err) : score_text(s, text, size, false, err);
    free(text);
    RP_TRY(status);
    return s->tokens ? RP_OK
                     : rp_fail(err, RP_ERR_ARGUMENT, "%s: no token to score, want a text of some words", args[1]);
}

int run_perplexity(const options *o, char **args, uint32_t count) {
    (void)count;
    rp_model *model = NULL;
    score s = {0};
    rp_error err;
    rp_status status = perplexity(o, args, &model, &s, &err);
    if (status == RP_OK) {
        print(1, "{\"tokens\":%llu,\"bytes\":%llu,\"nll\":", (unsigned long long)s.tokens, (unsigned long long)s.bytes);
        print_json_number(s.nll);
        print(1, ",\"nats_per_byte\":");
        print_json_number(s.nll / (double)s.bytes);
        print(1, ",\"perplexity\":");
        print_json_number(rp_exp(s.nll / (double)s.tokens));
        print(1, "}\n");
    }
    rp_session_close(s.session);
    unload_model(model);
    return status == RP_OK ? EXIT_OK : report(&err);
}
