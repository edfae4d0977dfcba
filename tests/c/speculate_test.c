/* runs: native wasm */
/* Speculation: whoever guesses and however well, the ids are those of feeding one by one, picked by the same draws,
 * and no memory is taken on the way. */
#include "test.h"

#include "program_model.h"
#include "session.h"

enum { CONTEXT = 70, PROMPT = 9, VOCAB = SHAPE_VOCAB };

typedef rp_program_options options;

static const shape shape_deep = {
    .map = "012123", .blocks = 4, .looped = true, .min = 1, .max = 4, .times = 2, .untied = true};

static rp_session *open_session(fixture *f, options program, rp_kv_type kv, uint32_t context) {
    rp_session *session = NULL;
    rp_session_options o = {.context = context, .kv_type = kv, .program = program};
    if (rp_session_open(&session, f->model, &o, &f->err) != RP_OK)
        test_print("%s\n", f->err.message);
    return session;
}

static const rp_sampler_options ways[] = {
    {.temperature = 0},
    {.temperature = 0, .repeat_penalty = 1.3f, .frequency_penalty = 0.2f, .dry_multiplier = 1},
    {.temperature = 0.4f, .top_k = 5, .seed = 3},
    {.temperature = 1.5f, .seed = 4, .presence_penalty = 0.5f},
    {.temperature = 0.8f, .seed = 5, .mirostat_tau = 2},
};

static int32_t pick(void *user, const float *logits) {
    return rp_sampler_pick(user, logits);
}

/* Ids until the context is full, one by one; returns how many. */
static size_t plainly(fixture *f, rp_kv_type kv, const rp_sampler_options *way, int32_t out[CONTEXT]) {
    rp_session *session = open_session(f, (options){0}, kv, CONTEXT);
    rp_sampler *sampler = NULL;
    size_t count = 0;
    CHECK_INT(rp_sampler_open(&sampler, f->model, way, &f->err), RP_OK);
    CHECK_INT(rp_session_feed(session, ids, PROMPT, &f->err), RP_OK);
    do
        out[count] = rp_sampler_pick(sampler, rp_session_logits(session));
    while (rp_session_feed(session, out + count++, 1, &f->err) == RP_OK);
    rp_sampler_close(sampler);
    rp_session_close(session);
    return count;
}

typedef struct drafting {
    bool by_session;
    options program;
    uint32_t guesses;
} drafting;

static void compare(fixture *f, rp_kv_type kv, const rp_sampler_options *way, const drafting *d,
                    rp_speculator_figures *figures) {
    int32_t want[CONTEXT], id;
    size_t count = plainly(f, kv, way, want);
    rp_session *session = open_session(f, (options){0}, kv, CONTEXT);
    rp_session *drafter = d->by_session ? open_session(f, d->program, kv, CONTEXT) : NULL;
    rp_speculator_options o = {.drafter = drafter, .guesses = d->guesses};
    rp_speculator *speculator = NULL;
    rp_sampler *sampler = NULL;
    CHECK_INT(rp_sampler_open(&sampler, f->model, way, &f->err), RP_OK);
    CHECK_INT(rp_speculator_open(&speculator, session, &o, &f->err), RP_OK);
    CHECK_INT(rp_session_feed(session, ids, PROMPT, &f->err), RP_OK);
    uint64_t asked = f->host.asked;
    for (size_t i = 0; i < count; i++) {
        CHECK_INT(rp_speculator_next(speculator, CONTEXT, sampler, pick, &id, &f->err), RP_OK);
        CHECK_INT(id, want[i]);
    }
    CHECK_INT(rp_speculator_next(speculator, CONTEXT, sampler, pick, &id, &f->err), RP_CONTEXT_FULL);
    CHECK_INT(f->host.asked, asked);
    CHECK_INT(rp_session_length(session), CONTEXT);
    rp_speculator_get_figures(speculator, figures);
    CHECK(figures->passes + figures->accepted >= count - 1); /* a guessed end token ends a pass, too */
    CHECK(figures->passes <= count - 1 && figures->accepted <= figures->drafted);
    rp_speculator_close(speculator);
    rp_sampler_close(sampler);
    rp_session_close(drafter);
    rp_session_close(session);
}

TEST(ids_are_those_of_one_by_one) {
    static const drafting draftings[] = {
        {.guesses = 3},
        {.guesses = RP_GUESSES_MOST},
        {.by_session = true, .guesses = 4, .program = {.loops = 1}},
        {.by_session = true, .guesses = 7, .program = {.loops = 4}},
        {.by_session = true, .guesses = 1, .program = {.layers = "0,2,5"}},
    };
    const shape *shapes[] = {&shape_rich, &shape_deep};
    for (size_t s = 0; s < RP_COUNT(shapes); s++) {
        fixture f;
        uint64_t accepted = 0, drafted = 0;
        REQUIRE(open_shape(&f, shapes[s]));
        for (size_t w = 0; w < RP_COUNT(ways); w++)
            for (size_t d = 0; d < RP_COUNT(draftings); d++) {
                rp_speculator_figures figures;
                compare(&f, (rp_kv_type)((w + d) % (RP_KV_Q8_Q4 + 1)), &ways[w], &draftings[d], &figures);
                accepted += figures.accepted;
                drafted += figures.drafted;
            }
        CHECK(accepted > 0 && accepted < drafted); /* else half of it was not tested */
        close_shape(&f);
    }
}

TEST(a_drafter_of_the_same_program_is_always_right) {
    fixture f;
    rp_speculator_figures figures;
    REQUIRE(open_shape(&f, &shape_rich));
    compare(&f, RP_KV_F16, &ways[0], &(drafting){.by_session = true, .guesses = 3}, &figures);
    CHECK_INT(figures.accepted, figures.drafted);
    CHECK_INT(figures.passes, (CONTEXT - PROMPT + 3) / 4);
    close_shape(&f);
}

/* What the caller wants no more is never picked, and settling leaves what came out. */
TEST(stops_anywhere) {
    fixture f;
    int32_t want[CONTEXT], id;
    REQUIRE(open_shape(&f, &shape_rich));
    plainly(&f, RP_KV_Q8_0, &ways[0], want);
    for (size_t stop = 1; stop < 12; stop++) {
        rp_session *session = open_session(&f, (options){0}, RP_KV_Q8_0, CONTEXT);
        rp_session *drafter = open_session(&f, (options){0}, RP_KV_Q8_0, CONTEXT + 1);
        rp_session *fresh = open_session(&f, (options){0}, RP_KV_Q8_0, CONTEXT);
        rp_speculator *speculator = NULL;
        rp_sampler *sampler = NULL;
        CHECK_INT(rp_sampler_open(&sampler, f.model, &ways[0], &f.err), RP_OK);
        CHECK_INT(rp_speculator_open(&speculator, session, &(rp_speculator_options){.drafter = drafter}, &f.err),
                  RP_OK);
        CHECK_INT(rp_speculator_next(speculator, 1, sampler, pick, &id, &f.err), RP_ERR_ARGUMENT); /* no prompt */
        CHECK_INT(rp_session_feed(session, ids, PROMPT, &f.err), RP_OK);
        for (int round = 0; round < 2; round++) {
            size_t at = round * (stop - 1);
            for (size_t i = 0; i < stop; i++) {
                size_t most = stop % 2 ? stop - i : CONTEXT;
                CHECK_INT(rp_speculator_next(speculator, most, sampler, pick, &id, &f.err), RP_OK);
                CHECK_INT(id, want[at + i]);
            }
            if (stop % 2)
                CHECK_INT(rp_session_length(session), PROMPT + at + stop - 1);
            CHECK_INT(rp_speculator_settle(speculator, &f.err), RP_OK);
            CHECK_INT(rp_session_length(session), PROMPT + at + stop - 1);
            size_t length = rp_session_length(session);
            CHECK_INT(rp_session_rewind(session, length - 1, &f.err), RP_OK); /* for its logits */
            int32_t last = rp_session_ids(session)[length - 1];
            CHECK_INT(rp_session_feed(session, &last, 1, &f.err), RP_OK);
        }
        CHECK_INT(rp_session_feed(fresh, rp_session_ids(session), rp_session_length(session), &f.err), RP_OK);
        CHECK(hash_of(fresh) == hash_of(session));
        rp_speculator_close(speculator);
        rp_sampler_close(sampler);
        rp_session_close(session);
        rp_session_close(drafter);
        rp_session_close(fresh);
    }
    close_shape(&f);
}

TEST(what_cannot_be_speculated_is_named) {
    fixture f;
    rp_speculator *speculator;
    REQUIRE(open_shape(&f, &shape_deep));
    rp_session *session = open_session(&f, (options){0}, RP_KV_F16, CONTEXT);
    rp_session *smaller = open_session(&f, (options){.loops = 1}, RP_KV_F16, CONTEXT - 1);
    rp_session *reusing = open_session(&f, (options){.reuse_kv = true}, RP_KV_F16, CONTEXT);
    REQUIRE(session && smaller && reusing);
    const struct {
        rp_session *session;
        rp_speculator_options options;
    } wrong[] = {
        {session, {.guesses = RP_GUESSES_MOST + 1}},
        {session, {.drafter = session}},
        {session, {.drafter = smaller}},
        {reusing, {0}},
    };
    for (size_t i = 0; i < RP_COUNT(wrong); i++) {
        CHECK_INT(rp_speculator_open(&speculator, wrong[i].session, &wrong[i].options, &f.err), RP_ERR_ARGUMENT);
        CHECK(speculator == NULL);
    }
    for (uint64_t fail = 1; fail <= 2; fail++) {
        f.host.fail_at = f.host.asked + fail;
        CHECK_INT(rp_speculator_open(&speculator, session, &wrong[0].options, &f.err), RP_ERR_ARGUMENT);
        CHECK_INT(rp_speculator_open(&speculator, session, &(rp_speculator_options){0}, &f.err), RP_ERR_MEMORY);
        CHECK(speculator == NULL);
    }
    rp_session_close(session);
    rp_session_close(smaller);
    rp_session_close(reusing);
    close_shape(&f);
}

/* Between two ids the session may become one that cannot be speculated on. */
TEST(what_the_session_becomes_counts) {
    fixture f;
    rp_speculator *speculator = NULL;
    int32_t id;
    REQUIRE(open_shape(&f, &shape_deep));
    rp_session *session = open_session(&f, (options){0}, RP_KV_F16, CONTEXT);
    rp_sampler *sampler = NULL;
    CHECK_INT(rp_sampler_open(&sampler, f.model, &ways[0], &f.err), RP_OK);
    CHECK_INT(rp_speculator_open(&speculator, session, &(rp_speculator_options){0}, &f.err), RP_OK);
    CHECK_INT(rp_session_feed(session, ids, PROMPT, &f.err), RP_OK);
    CHECK_INT(rp_speculator_next(speculator, 1, sampler, pick, &id, &f.err), RP_OK);
    CHECK_INT(rp_speculator_settle(speculator, &f.err), RP_OK);
    CHECK_INT(rp_session_length(session), PROMPT);
    CHECK(!rp_session_logits(session));
    CHECK_INT(rp_speculator_next(speculator, 1, sampler, pick, &id, &f.err), RP_ERR_ARGUMENT);
    CHECK_INT(rp_session_feed(session, &id, 1, &f.err), RP_OK);
    CHECK_INT(rp_session_steer(session, NULL, NULL, 1, &f.err), RP_OK);
    CHECK_INT(rp_speculator_next(speculator, 1, sampler, pick, &id, &f.err), RP_ERR_ARGUMENT);
    CHECK_INT(rp_session_feed(session, &id, 1, &f.err), RP_OK);
    CHECK_INT(rp_speculator_next(speculator, 1, sampler, pick, &id, &f.err), RP_OK);
    CHECK_INT(rp_session_reprogram(session, &(options){.reuse_kv = true}, &f.err), RP_OK);
    CHECK_INT(rp_speculator_next(speculator, 1, sampler, pick, &id, &f.err), RP_ERR_ARGUMENT);
    rp_speculator_close(speculator);
    rp_sampler_close(sampler);
    rp_session_close(session);
    close_shape(&f);
}

TEST_MAIN(ids_are_those_of_one_by_one, a_drafter_of_the_same_program_is_always_right, stops_anywhere,
          what_cannot_be_speculated_is_named, what_the_session_becomes_counts)
