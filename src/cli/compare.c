/* reprise inspect --compare: two models side by side, on one text. Speeds are medians of runs that alternate, so
 * that a busy machine is busy for both. */
#include "../math.h"
#include "cli.h"

#include <stdlib.h>
#include <string.h>

typedef struct side {
    const char *path;
    engine e;
    rp_model_info info;
    rp_sharing sharing;
    rp_plan plan;
    scored text;
    int32_t *ids;
    figures prefill, decode;
    uint64_t peak_bytes;
} side;

static rp_status load_side(side *s, const options *o, rp_error *err) {
    if (load_engine(&s->e, s->path, o, err) != RP_OK)
        return name_file(s->path, err);
    rp_model_get_info(s->e.model, &s->info);
    return made_up_ids(o, s->e.vocab, &s->ids, err);
}

static rp_status open_side(side *s, const options *o, uint32_t context, rp_error *err) {
    rp_program_options program = program_of(o);
    rp_plan_options plan = {.context = context, .kv_type = kv_type(o), .threads = o->threads, .program = program};
    RP_TRY(rp_model_plan(s->e.model, &plan, &s->plan, err));
    RP_TRY(rp_model_get_sharing(s->e.model, &program, kv_type(o), &s->sharing, err));
    return open_engine(&s->e, o, context, err);
}

/* Of both, so that their memories can be compared: what was asked for, but as much as is measured and scored. */
static uint32_t common_context(const side sides[2], const options *o) {
    uint32_t most = RP_MAX(o->context, o->prompt_tokens + o->tokens);
    return RP_MAX(most, RP_MAX(scoring_window(&sides[0].e, o), scoring_window(&sides[1].e, o)));
}

static rp_status measure(side *s, const options *o, rp_error *err) {
    return measure_speed(s->e.session, o, s->ids, &s->prefill, &s->decode, err);
}

static rp_status compare(side sides[2], const options *o, const char *text, rp_error *err) {
    for (size_t i = 0; i < 2; i++)
        RP_TRY(load_side(&sides[i], o, err));
    for (size_t i = 0; i < 2; i++)
        RP_TRY(open_side(&sides[i], o, common_context(sides, o), err));
    for (uint32_t run = 0; run <= o->repeat; run++) {
        for (size_t i = 0; i < 2; i++)
            RP_TRY(measure(&sides[i], o, err));
        for (size_t i = 0; run == 0 && i < 2; i++) /* that was a warm-up */
            sides[i].prefill.count = sides[i].decode.count = 0;
    }
    for (size_t i = 0; i < 2; i++) {
        sort_figures(&sides[i].prefill);
        sort_figures(&sides[i].decode);
        RP_TRY(score_file(&sides[i].e, o, text, &sides[i].text, err));
        uint64_t now;
        rp_model_memory(sides[i].e.model, &now, &sides[i].peak_bytes);
    }
    return RP_OK;
}

static void print_json(const side *s) {
    print(1, "{\"path\":");
    print_json_string(s->path, strlen(s->path));
    print(1,
          ",\"architecture\":\"%s\",\"file_bytes\":%llu,\"context\":%u,\"planned_bytes\":%llu,\"peak_bytes\":%llu,"
          "\"parameters_stored\":%llu,"
          "\"parameters_effective\":%llu,\"visits\":%u,\"kv_bytes_per_token\":%llu,\"prefill_tokens_per_s\":%.3f,"
          "\"decode_tokens_per_s\":%.3f,",
          s->info.architecture, (unsigned long long)s->info.file_bytes, s->plan.context,
          (unsigned long long)s->plan.total, (unsigned long long)s->peak_bytes,
          (unsigned long long)s->info.parameters_stored, (unsigned long long)s->sharing.parameters_effective,
          s->sharing.visits, (unsigned long long)s->sharing.kv_bytes, median(&s->prefill), median(&s->decode));
    print_scored(&s->text);
    print(1, "}");
}

/* The end of a path that is too long for its column. */
static const char *short_path(const char *path) {
    size_t length = strlen(path);
    return length > 24 ? path + length - 24 : path;
}

static void print_table(const side s[2], const char *text) {
    const struct {
        const char *name;
        double values[2];
        int digits;
    } rows[] = {
        {"file bytes", {(double)s[0].info.file_bytes, (double)s[1].info.file_bytes}, 0},
        {"context", {s[0].plan.context, s[1].plan.context}, 0},
        {"memory, planned", {(double)s[0].plan.total, (double)s[1].plan.total}, 0},
        {"memory, at its most", {(double)s[0].peak_bytes, (double)s[1].peak_bytes}, 0},
        {"parameters stored", {(double)s[0].info.parameters_stored, (double)s[1].info.parameters_stored}, 0},
        {"parameters effective",
         {(double)s[0].sharing.parameters_effective, (double)s[1].sharing.parameters_effective},
         0},
        {"visits", {s[0].sharing.visits, s[1].sharing.visits}, 0},
        {"KV bytes a token", {(double)s[0].sharing.kv_bytes, (double)s[1].sharing.kv_bytes}, 0},
        {"prefill, tokens/s", {median(&s[0].prefill), median(&s[1].prefill)}, 1},
        {"decode, tokens/s", {median(&s[0].decode), median(&s[1].decode)}, 1},
        {"nats per byte", {s[0].text.nll / (double)s[0].text.bytes, s[1].text.nll / (double)s[1].text.bytes}, 4},
        {"perplexity",
         {rp_exp(s[0].text.nll / (double)s[0].text.tokens), rp_exp(s[1].text.nll / (double)s[1].text.tokens)},
         3},
    };
    print(1, "%-22s %24s %24s\n", "", short_path(s[0].path), short_path(s[1].path));
    for (size_t i = 0; i < RP_COUNT(rows); i++)
        print(1, "%-22s %24.*f %24.*f\n", rows[i].name, rows[i].digits, rows[i].values[0], rows[i].digits,
              rows[i].values[1]);
    print(
        1,
        "on %s: %llu bytes, %llu and %llu tokens. Perplexities of different vocabularies cannot be compared, nats per "
        "byte can.\n",
        text, (unsigned long long)s[0].text.bytes, (unsigned long long)s[0].text.tokens,
        (unsigned long long)s[1].text.tokens);
}

int run_compare(const options *o, char **args) {
    side sides[2] = {{.path = args[0]}, {.path = args[1]}};
    rp_error err;
    rp_status status = compare(sides, o, args[2], &err);
    if (status == RP_OK && o->json) {
        print(1, "[");
        print_json(&sides[0]);
        print(1, ",");
        print_json(&sides[1]);
        print(1, "]\n");
    } else if (status == RP_OK) {
        print_table(sides, args[2]);
    }
    for (size_t i = 0; i < 2; i++) {
        close_engine(&sides[i].e);
        free(sides[i].ids);
    }
    return status == RP_OK ? EXIT_OK : report(&err);
}
