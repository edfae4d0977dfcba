/* reprise generate: a prompt in, text out, token by token. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

/* What one run holds; all of it is released by run_generate. */
typedef struct run {
    const options *o;
    rp_model *model;
    rp_session *session;
    rp_sampler *sampler;
    rp_text *text;
    int32_t *prompt, *ids; /* ids: generated, the end token not among them */
    size_t prompt_count, count;
    char *json_text; /* what was shown so far, for --json */
    size_t json_size, json_capacity;
    const char *finish;
    double load_ms, prefill_ms, decode_ms;
    bool silent; /* nobody reads any more */
} run;

static rp_status show(run *r, const char *piece, size_t size, rp_error *err) {
    if (!r->o->json) {
        r->silent = size && !host_write(1, piece, size);
        return RP_OK;
    }
    if (r->json_size + size > r->json_capacity) {
        size_t capacity = 2 * (r->json_size + size) + 1024;
        char *bigger = realloc(r->json_text, capacity);
        if (!bigger)
            return rp_fail(err, RP_ERR_MEMORY, "text: %llu bytes could not be had", (unsigned long long)capacity);
        r->json_text = bigger;
        r->json_capacity = capacity;
    }
    if (size)
        memcpy(r->json_text + r->json_size, piece, size);
    r->json_size += size;
    return RP_OK;
}

static rp_status prepare(run *r, const char *path, rp_error *err) {
    const options *o = r->o;
    RP_TRY(load_model(path, o, PART_ALL, &r->model, &r->load_ms, err));
    unsigned flags = RP_TOKENIZE_BOS | (o->special ? RP_TOKENIZE_SPECIAL : 0);
    RP_TRY(prompt_ids(r->model, o, flags, &r->prompt, &r->prompt_count, err));
    RP_TRY(open_session(r->model, o, o->context, &r->session, err));
    rp_sampler_options s = {
        .temperature = o->temperature,
        .top_k = o->top_k,
        .top_p = o->top_p,
        .min_p = o->min_p,
        .typical_p = o->typical,
        .repeat_penalty = o->repeat_penalty,
        .presence_penalty = o->presence_penalty,
        .frequency_penalty = o->frequency_penalty,
        .penalty_last = o->penalty_last,
        .dry_multiplier = o->dry_multiplier,
        .dry_base = o->dry_base,
        .dry_allowed = o->dry_allowed,
        .dry_last = o->dry_last,
        .mirostat_tau = o->mirostat_tau,
        .mirostat_eta = o->mirostat_eta,
        .seed = o->seed,
    };
    RP_TRY(rp_sampler_open(&r->sampler, r->model, &s, err));
    RP_TRY(rp_text_open(&r->text, r->model, o->stops, o->stop_count, err));
    r->ids = malloc((RP_MIN(o->tokens, rp_session_context(r->session)) + 1) * sizeof *r->ids);
    return r->ids ? RP_OK : rp_fail(err, RP_ERR_MEMORY, "ids could not be had");
}

/* Draws and feeds until something ends the text; r->finish says what. */
static rp_status decode(run *r, rp_error *err) {
    const char *piece;
    size_t size;
    r->finish = "length";
    while (r->count < r->o->tokens && !r->silent) {
        int32_t id = rp_sampler_pick(r->sampler, rp_session_logits(r->session));
        if (rp_token_ends(r->model, id)) {
            r->finish = "stop";
            break;
        }
        r->ids[r->count++] = id;
        bool more = rp_text_push(r->text, id, &piece, &size);
        RP_TRY(show(r, piece, size, err));
        if (!more) {
            r->finish = "stop";
            return RP_OK;
        }
        if (r->count == r->o->tokens)
            break;
        rp_status status = rp_session_feed(r->session, &id, 1, err);
        if (status == RP_CONTEXT_FULL) {
            r->finish = "context";
            break;
        }
        RP_TRY(status);
    }
    rp_text_finish(r->text, &piece, &size);
    return show(r, piece, size, err);
}

static rp_status generate(run *r, const char *path, rp_error *err) {
    RP_TRY(prepare(r, path, err));
    double start = host_now_ms();
    RP_TRY(rp_session_feed(r->session, r->prompt, r->prompt_count, err));
    for (size_t i = 0; i < r->prompt_count; i++)
        rp_sampler_accept(r->sampler, r->prompt[i]);
    r->prefill_ms = host_now_ms() - start;
    rp_status status = decode(r, err);
    r->decode_ms = host_now_ms() - start - r->prefill_ms;
    return status;
}

/* The first generated token costs a draw only; every later one a pass of the model. */
static double decode_speed(const run *r) {
    return r->count > 1 && r->decode_ms > 0 ? (double)(r->count - 1) / r->decode_ms * 1e3 : 0;
}

static double prefill_speed(const run *r) {
    return r->prefill_ms > 0 ? (double)r->prompt_count / r->prefill_ms * 1e3 : 0;
}

static uint64_t peak_bytes(const run *r) {
    uint64_t now, peak;
    rp_model_memory(r->model, &now, &peak);
    return host_peak_bytes(peak);
}

static void print_json(const run *r) {
    rp_model_info info;
    rp_model_get_info(r->model, &info);
    print(1, "{\"text\":");
    print_json_string(r->json_size ? r->json_text : "", r->json_size);
    print(1, ",\"ids\":[");
    for (size_t i = 0; i < r->count; i++)
        print(1, "%s%d", i ? "," : "", r->ids[i]);
    print(1,
          "],\"finish_reason\":\"%s\",\"timings\":{\"load_ms\":%.3f,\"prompt_tokens\":%llu,\"prefill_ms\":%.3f,"
          "\"prefill_tokens_per_s\":%.3f,\"generated_tokens\":%llu,\"decode_ms\":%.3f,\"decode_tokens_per_s\":%.3f,"
          "\"isa\":\"%s\",\"threads\":%u,\"peak_bytes\":%llu}}\n",
          r->finish, r->load_ms, (unsigned long long)r->prompt_count, r->prefill_ms, prefill_speed(r),
          (unsigned long long)r->count, r->decode_ms, decode_speed(r), isa_name(info.isa), RP_MAX(r->o->threads, 1),
          (unsigned long long)peak_bytes(r));
}

static void print_figures(const run *r) {
    rp_model_info info;
    uint32_t threads = RP_MAX(r->o->threads, 1);
    rp_model_get_info(r->model, &info);
    print(1,
          "%llu tokens, model %.1f MB, prefill %.0f tokens/s, decode %.0f tokens/s, %s, %u %s, peak memory %.1f MB\n",
          (unsigned long long)r->count, (double)info.file_bytes / 1e6, prefill_speed(r), decode_speed(r),
          isa_name(info.isa), threads, threads == 1 ? "thread" : "threads", (double)peak_bytes(r) / 1e6);
}

int run_generate(const options *o, char **args, uint32_t count) {
    (void)count;
    run r = {.o = o};
    rp_error err;
    rp_status status = generate(&r, args[0], &err);
    if (!o->json && r.finish)
        host_write(1, "\n", 1);
    if (status == RP_OK && o->json)
        print_json(&r);
    if (status == RP_OK && o->figures)
        print_figures(&r);
    rp_text_close(r.text);
    rp_sampler_close(r.sampler);
    rp_session_close(r.session);
    unload_model(r.model);
    free(r.prompt);
    free(r.ids);
    free(r.json_text);
    return status == RP_OK ? EXIT_OK : report(&err);
}
