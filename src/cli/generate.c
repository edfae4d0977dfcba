/* reprise generate: a prompt in, text out, token by token. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

/* What one run holds; all of it is released by run_generate. */
typedef struct run {
    const options *o;
    engine e;
    rp_session *drafter;
    rp_speculator *speculator; /* NULL: one id after another */
    rp_sampler *sampler;
    rp_text *text;
    int32_t *prompt,
        *ids; /* prompt: what was restored, then what was asked for; ids: generated, the end token not among them */
    size_t restored, prompt_count, reused, count;
    char *json_text; /* what was shown so far, for --json */
    size_t json_size, json_capacity;
    const char *finish;
    double prefill_ms, decode_ms;
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

static rp_status open_sampler(run *r, rp_error *err) {
    const options *o = r->o;
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
    return rp_sampler_open(&r->sampler, r->e.model, &s, err);
}

/* What was restored, and behind it what is asked for now. */
static rp_status make_prompt(run *r, rp_error *err) {
    const options *o = r->o;
    int32_t *ids = NULL;
    size_t count = 0;
    unsigned flags = o->special ? RP_TOKENIZE_SPECIAL : 0;
    if (o->restore)
        RP_TRY(restore_session(r->e.session, o->restore, err));
    r->restored = rp_session_length(r->e.session);
    flags |= r->restored ? RP_TOKENIZE_CONTINUES : RP_TOKENIZE_BOS;
    RP_TRY(prompt_ids(r->e.model, o, flags, r->restored > 0, &ids, &count, err));
    r->prompt_count = r->restored + count;
    r->prompt = malloc(r->prompt_count * sizeof *r->prompt);
    if (r->prompt) {
        memcpy(r->prompt, rp_session_ids(r->e.session), r->restored * sizeof *ids);
        memcpy(r->prompt + r->restored, ids, count * sizeof *ids);
    }
    free(ids);
    return r->prompt ? RP_OK : rp_fail(err, RP_ERR_MEMORY, "prompt could not be had");
}

/* What is read does not get lost under what is saved; a session that is restored may be saved again. */
static rp_status check_save(const options *o, const char *path, rp_error *err) {
    const char *files[] = {path, o->expert, o->antiexpert};
    for (size_t i = 0; o->save && i < RP_COUNT(files); i++)
        if (files[i] && host_same_file(o->save, files[i]))
            return rp_fail(err, RP_ERR_ARGUMENT, "--save-session %s is %s", o->save, i ? "a helper" : "the model");
    for (uint32_t i = 0; o->save && i < o->loras.count; i++) {
        char *adapter;
        float scale;
        RP_TRY(split_scale(o->loras.text[i], &adapter, &scale, err));
        bool same = host_same_file(o->save, adapter);
        free(adapter);
        if (same)
            return rp_fail(err, RP_ERR_ARGUMENT, "--save-session %s is an adapter", o->save);
    }
    return RP_OK;
}

static rp_status prepare(run *r, const char *path, rp_error *err) {
    const options *o = r->o;
    RP_TRY(check_save(o, path, err));
    if (!o->draft && o->draft_tokens)
        return rp_fail(err, RP_ERR_ARGUMENT, "--draft-tokens without --draft");
    RP_TRY(load_engine(&r->e, path, o, err));
    RP_TRY(open_engine(&r->e, o, o->context, err));
    RP_TRY(make_prompt(r, err));
    if (o->draft)
        RP_TRY(open_speculator(&r->e, o, &r->speculator, &r->drafter, err));
    RP_TRY(open_sampler(r, err));
    RP_TRY(rp_text_open(&r->text, r->e.model, o->stops.text, o->stops.count, err));
    r->ids = malloc((RP_MIN(o->tokens, rp_session_context(r->e.session)) + 1) * sizeof *r->ids);
    return r->ids ? RP_OK : rp_fail(err, RP_ERR_MEMORY, "ids could not be had");
}

static int32_t pick(void *user, const float *logits) {
    const run *r = user;
    return rp_sampler_pick(r->sampler, logits);
}

static rp_status next_id(run *r, int32_t *id, rp_error *err) {
    if (r->speculator)
        return rp_speculator_next(r->speculator, r->o->tokens - r->count, r, pick, id, err);
    if (r->count)
        RP_TRY(engine_feed(&r->e, r->ids + r->count - 1, 1, err));
    *id = pick(r, engine_logits(&r->e));
    return RP_OK;
}

/* Draws until something ends the text; r->finish says what. */
static rp_status decode(run *r, rp_error *err) {
    const char *piece;
    size_t size;
    r->finish = "length";
    while (r->count < r->o->tokens && !r->silent) {
        int32_t id;
        rp_status status = next_id(r, &id, err);
        if (status == RP_CONTEXT_FULL) {
            r->finish = "context";
            break;
        }
        RP_TRY(status);
        if (rp_token_ends(r->e.model, id)) {
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
    }
    rp_text_finish(r->text, &piece, &size);
    return show(r, piece, size, err);
}

/* With all that was generated, as far as the context allows. */
static rp_status save(run *r, rp_error *err) {
    if (r->speculator)
        RP_TRY(rp_speculator_settle(r->speculator, err));
    size_t fed = rp_session_length(r->e.session) - r->prompt_count;
    if (fed < r->count && rp_session_length(r->e.session) < rp_session_context(r->e.session))
        RP_TRY(rp_session_feed(r->e.session, r->ids + fed, r->count - fed, err));
    return save_session(r->e.session, r->o->save, err);
}

static rp_status generate(run *r, const char *path, rp_error *err) {
    RP_TRY(prepare(r, path, err));
    double start = host_now_ms();
    RP_TRY(engine_prompt(&r->e, r->prompt, r->prompt_count, &r->reused, err));
    for (size_t i = 0; i < r->prompt_count; i++)
        rp_sampler_accept(r->sampler, r->prompt[i]);
    r->prefill_ms = host_now_ms() - start;
    rp_status status = decode(r, err);
    r->decode_ms = host_now_ms() - start - r->prefill_ms;
    return status == RP_OK && r->o->save ? save(r, err) : status;
}

/* The first generated token costs a draw only; every later one a pass of the model. */
static double decode_speed(const run *r) {
    return r->count > 1 && r->decode_ms > 0 ? (double)(r->count - 1) / r->decode_ms * 1e3 : 0;
}

static double prefill_speed(const run *r) {
    return r->prefill_ms > 0 ? (double)(r->prompt_count - r->reused) / r->prefill_ms * 1e3 : 0;
}

static double acceptance(const rp_speculator_figures *f) {
    return f->drafted ? (double)f->accepted / (double)f->drafted : 0;
}

static void print_json(const run *r) {
    rp_model_info info;
    rp_model_get_info(r->e.model, &info);
    print(1, "{\"text\":");
    print_json_string(r->json_size ? r->json_text : "", r->json_size);
    print(1, ",\"ids\":[");
    for (size_t i = 0; i < r->count; i++)
        print(1, "%s%d", i ? "," : "", r->ids[i]);
    print(1, "],\"finish_reason\":\"%s\",\"restored_tokens\":%llu", r->finish, (unsigned long long)r->restored);
    if (r->speculator) {
        rp_speculator_figures f;
        rp_speculator_get_figures(r->speculator, &f);
        print(1, ",\"speculation\":{\"drafted\":%llu,\"accepted\":%llu,\"acceptance\":%.4f,\"passes\":%llu}",
              (unsigned long long)f.drafted, (unsigned long long)f.accepted, acceptance(&f),
              (unsigned long long)f.passes);
    }
    print(1,
          ",\"timings\":{\"load_ms\":%.3f,\"prompt_tokens\":%llu,\"prefill_ms\":%.3f,"
          "\"prefill_tokens_per_s\":%.3f,\"generated_tokens\":%llu,\"decode_ms\":%.3f,\"decode_tokens_per_s\":%.3f,"
          "\"isa\":\"%s\",\"threads\":%u,\"peak_bytes\":%llu}}\n",
          r->e.load_ms, (unsigned long long)r->prompt_count, r->prefill_ms, prefill_speed(r),
          (unsigned long long)r->count, r->decode_ms, decode_speed(r), isa_name(info.isa), RP_MAX(r->o->threads, 1),
          (unsigned long long)engine_peak_bytes(&r->e));
}

static void print_figures(const run *r) {
    rp_model_info info;
    uint32_t threads = RP_MAX(r->o->threads, 1);
    rp_model_get_info(r->e.model, &info);
    print(1, "%llu tokens, model %.1f MB, prefill %.0f tokens/s, decode %.0f tokens/s, %s, %u %s, peak memory %.1f MB",
          (unsigned long long)r->count, (double)info.file_bytes / 1e6, prefill_speed(r), decode_speed(r),
          isa_name(info.isa), threads, threads == 1 ? "thread" : "threads", (double)engine_peak_bytes(&r->e) / 1e6);
    if (r->speculator) {
        rp_speculator_figures f;
        rp_speculator_get_figures(r->speculator, &f);
        print(1, ", %llu of %llu drafted accepted (%.0f %%) in %llu passes", (unsigned long long)f.accepted,
              (unsigned long long)f.drafted, 100 * acceptance(&f), (unsigned long long)f.passes);
    }
    print(1, "\n");
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
    rp_speculator_close(r.speculator);
    rp_session_close(r.drafter);
    close_engine(&r.e);
    free(r.prompt);
    free(r.ids);
    free(r.json_text);
    return status == RP_OK ? EXIT_OK : report(&err);
}
