/* runs: native wasm */
/* Sessions computed in steps: the bits are those of feeding at once, whatever the chunks, the waves, what was cancelled or shared,
 * and however late the weights come. Embeddings and saved states on the same models. */
#include "test.h"

#include "exercise.h"
#include "looped_model.h"
#include "session.h"

enum { IDS = 600, CONTEXT = 640, WAVE = RP_WAVE, VOCAB = LOOPED_VOCAB };

typedef struct fixture {
    exercise_host host;
    rp_model *model;
    rp_error err;
} fixture;

static gguf_build build;
static int32_t ids[CONTEXT + 1];

static bool start_model(fixture *f, looped_kind kind) {
    *f = (fixture){.host = {.limit = UINT64_MAX}};
    test_now.random = 99;
    looped_build(&build, kind);
    for (int i = 0; i <= CONTEXT; i++)
        ids[i] = (int32_t)(test_random() % VOCAB);
    rp_model_options options = {.host = {&f->host, exercise_alloc, exercise_release}};
    return rp_model_open(&f->model, &options, &f->err) == RP_OK;
}

static bool open_model(fixture *f, looped_kind kind) {
    bool good = start_model(f, kind) && exercise_feed(f->model, build.bytes, build.size, 1000, &f->err) == RP_OK;
    if (!good)
        test_print("%s\n", f->err.message);
    return good;
}

static void close_model(fixture *f) {
    rp_model_close(f->model);
    CHECK_INT(f->host.held, 0);
    CHECK(!f->host.wrong_size);
}

static rp_session *open_session(fixture *f, rp_kv_type kv, uint32_t chunk) {
    rp_session *session = NULL;
    rp_session_open(&session, f->model, &(rp_session_options){.context = CONTEXT, .kv_type = kv, .chunk = chunk},
                    &f->err);
    return session;
}

static uint64_t hash_of(rp_session *session) {
    const float *logits = rp_session_logits(session);
    return logits ? rp_logits_hash(logits, VOCAB) : 0;
}

/* The bits after `count` ids, fed one by one. */
static uint64_t hash_one_by_one(fixture *f, rp_kv_type kv, size_t count) {
    rp_session *session = open_session(f, kv, 1);
    for (size_t i = 0; i < count; i++)
        CHECK_INT(rp_session_feed(session, ids + i, 1, &f->err), RP_OK);
    uint64_t hash = hash_of(session);
    rp_session_close(session);
    return hash;
}

/* Steps until the end or until `most` were done; returns how many. */
static size_t steps(rp_session *session, size_t most) {
    size_t count = 0;
    while (count < most && rp_session_step(session) == RP_STEP_MORE)
        count++;
    return count;
}

static size_t begin(fixture *f, rp_session *session, size_t count) {
    size_t reused = SIZE_MAX;
    CHECK_INT(rp_session_begin(session, ids, count, &reused, &f->err), RP_OK);
    return reused;
}

TEST(steps_are_feeding) {
    static const uint32_t chunks[] = {64, 7, 512, 1000};
    for (int kind = 0; kind < LOOPED_KINDS; kind++) {
        fixture f;
        REQUIRE(open_model(&f, (looped_kind)kind));
        uint64_t want = hash_one_by_one(&f, RP_KV_F16, IDS);
        CHECK(want != 0);
        for (size_t i = 0; i < (kind ? 1 : RP_COUNT(chunks)); i++) {
            rp_session *session = open_session(&f, RP_KV_F16, chunks[i]);
            REQUIRE(session);
            CHECK_INT(begin(&f, session, IDS), 0);
            CHECK(rp_session_logits(session) == NULL);
            steps(session, SIZE_MAX);
            CHECK(hash_of(session) == want);
            CHECK_INT(rp_session_length(session), IDS);
            CHECK(rp_session_step(session) == RP_STEP_DONE);
            CHECK_INT(rp_session_rewind(session, 0, &f.err), RP_OK);
            CHECK_INT(rp_session_feed(session, ids, 513, &f.err), RP_OK);
            CHECK_INT(rp_session_feed(session, ids + 513, IDS - 513, &f.err), RP_OK);
            CHECK(hash_of(session) == want);
            rp_session_close(session);
        }
        close_model(&f);
    }
}

typedef struct seen {
    uint64_t hashes[IDS];
    size_t count;
} seen;

static bool see(void *user, size_t index, const float *logits) {
    seen *s = user;
    CHECK_INT(index, s->count);
    s->hashes[s->count++] = rp_logits_hash(logits, VOCAB);
    return true;
}

TEST(every_position_across_waves) {
    static const size_t places[] = {0, 63, 64, WAVE - 1, WAVE, WAVE + 1, IDS - 1};
    static seen all;
    fixture f;
    all.count = 0;
    REQUIRE(open_model(&f, LOOPED_LOOPS));
    rp_session *session = open_session(&f, RP_KV_F32, 0), *single = open_session(&f, RP_KV_F32, 0);
    REQUIRE(session && single);
    CHECK_INT(rp_session_feed_each(session, ids, IDS, &all, see, &f.err), RP_OK);
    CHECK_INT(all.count, IDS);
    for (size_t i = 0; i < RP_COUNT(places); i++) {
        size_t reused;
        CHECK_INT(rp_session_prompt(single, ids, places[i] + 1, &reused, &f.err), RP_OK);
        CHECK(hash_of(single) == all.hashes[places[i]]);
    }
    rp_session_close(session);
    rp_session_close(single);
    close_model(&f);
}

TEST(cancelling_keeps_whole_waves) {
    fixture f;
    REQUIRE(open_model(&f, LOOPED_MAP));
    uint64_t want = hash_one_by_one(&f, RP_KV_F16, IDS);
    rp_session *session = open_session(&f, RP_KV_F16, 64);
    REQUIRE(session);
    size_t whole = steps(session, SIZE_MAX);
    CHECK_INT(whole, 0);
    begin(&f, session, IDS);
    whole = steps(session, SIZE_MAX);
    for (int i = 0; i < 12; i++) {
        size_t most = test_random() % (whole + 2), done, pending, kept;
        uint32_t visit;
        CHECK_INT(rp_session_rewind(session, 0, &f.err), RP_OK);
        begin(&f, session, IDS);
        steps(session, most);
        rp_session_progress(session, &visit, &done, &pending);
        CHECK_INT(pending, IDS);
        CHECK(visit < 5 && done <= IDS);
        rp_session_cancel(session);
        kept = rp_session_length(session);
        CHECK(kept <= done && (kept % WAVE == 0 || kept == IDS) && (done < WAVE || kept >= WAVE));
        rp_session_progress(session, &visit, &done, &pending);
        CHECK_INT(done + pending, 0);
        CHECK(rp_session_step(session) == RP_STEP_DONE);
        CHECK_INT(begin(&f, session, IDS), kept == IDS && !rp_session_logits(session) ? IDS - 1 : kept);
        steps(session, SIZE_MAX);
        CHECK(hash_of(session) == want);
    }
    rp_session_close(session);
    close_model(&f);
}

TEST(begin_shares_and_replaces) {
    fixture f;
    size_t reused;
    REQUIRE(open_model(&f, LOOPED_TIED));
    uint64_t want = hash_one_by_one(&f, RP_KV_Q8_0, IDS);
    rp_session *session = open_session(&f, RP_KV_Q8_0, 64);
    REQUIRE(session);
    CHECK_INT(rp_session_feed(session, ids, 300, &f.err), RP_OK);
    int32_t wrong[] = {ids[0], VOCAB};
    CHECK_INT(rp_session_begin(session, wrong, 2, &reused, &f.err), RP_ERR_ARGUMENT);
    CHECK_INT(rp_session_length(session), 300);
    CHECK(rp_session_logits(session) != NULL);
    CHECK_INT(begin(&f, session, IDS), 300);
    steps(session, 9);
    CHECK_INT(rp_session_begin(session, ids, CONTEXT + 1, &reused, &f.err), RP_CONTEXT_FULL);
    CHECK(rp_session_step(session) == RP_STEP_MORE); /* what was planned goes on */
    ids[400]++;
    ids[400] %= VOCAB;
    CHECK_INT(begin(&f, session, 580), 300);
    steps(session, 11);
    ids[400] = (ids[400] + VOCAB - 1) % VOCAB;
    CHECK_INT(begin(&f, session, IDS), 300);
    steps(session, SIZE_MAX);
    CHECK(hash_of(session) == want);
    CHECK_INT(begin(&f, session, IDS), IDS);
    CHECK(rp_session_step(session) == RP_STEP_DONE && hash_of(session) == want);
    begin(&f, session, 550);
    CHECK_INT(rp_session_feed(session, ids + 549, IDS - 549, &f.err),
              RP_OK); /* cancels: the last one was to come again */
    CHECK(hash_of(session) == want);
    rp_session_close(session);
    close_model(&f);
}

TEST(prompts_run_while_weights_arrive) {
    for (int kind = 0; kind < LOOPED_KINDS; kind++)
        for (size_t piece = 61; piece < 1000; piece = piece * 16) {
            fixture f;
            size_t reused, early = 0, used;
            rp_session *session = NULL;
            REQUIRE(open_model(&f, (looped_kind)kind));
            uint64_t want = hash_one_by_one(&f, RP_KV_F16, IDS);
            close_model(&f);
            REQUIRE(start_model(&f, (looped_kind)kind));
            for (size_t at = 0; at < build.size; at += used) {
                size_t size = RP_MIN(piece, build.size - at);
                CHECK_INT(rp_model_feed(f.model, build.bytes + at, size, &used, &f.err), RP_OK);
                if (!session && rp_model_load_state(f.model) == RP_LOAD_WEIGHTS) {
                    session = open_session(&f, RP_KV_F16, 64);
                    REQUIRE(session);
                    CHECK_INT(rp_session_feed(session, ids, 1, &f.err), RP_ERR_ARGUMENT);
                    CHECK_INT(rp_session_prompt(session, ids, 1, &reused, &f.err), RP_ERR_ARGUMENT);
                    CHECK_INT(rp_session_key(session), 0);
                    begin(&f, session, IDS);
                    CHECK(rp_session_step(session) == RP_STEP_WAIT);
                }
                if (session && rp_model_load_state(f.model) == RP_LOAD_WEIGHTS)
                    early += steps(session, SIZE_MAX);
            }
            CHECK(early >= 2 * WAVE / 64);                       /* two blocks while the third was to come */
            CHECK(kind != LOOPED_MAP || early >= 5 * WAVE / 64); /* and all visits before the head */
            steps(session, SIZE_MAX);
            CHECK(hash_of(session) == want);
            CHECK(rp_session_key(session) != 0);
            rp_session_close(session);
            close_model(&f);
        }
}

/* The output norm of every position, in doubles, from the residual stream that feeding one id leaves. */
static void mean_of_norms(fixture *f, size_t count, double *mean) {
    rp_session *session = open_session(f, RP_KV_F32, 1);
    memset(mean, 0, LOOPED_DIM * sizeof *mean);
    for (size_t i = 0; i < count; i++) {
        double squares = 0;
        CHECK_INT(rp_session_feed(session, ids + i, 1, &f->err), RP_OK);
        for (size_t k = 0; k < LOOPED_DIM; k++)
            squares += (double)session->x[k] * session->x[k];
        double factor = 1 / __builtin_sqrt(squares / LOOPED_DIM + 1e-5);
        for (size_t k = 0; k < LOOPED_DIM; k++)
            mean[k] += session->x[k] * factor * f->model->output_norm[k] / (double)count;
    }
    rp_session_close(session);
}

TEST(embedding_is_the_mean_over_positions) {
    static const size_t counts[] = {1, 5, WAVE, IDS};
    fixture f;
    REQUIRE(open_model(&f, LOOPED_LOOPS));
    rp_session *session = open_session(&f, RP_KV_F32, 64);
    REQUIRE(session);
    CHECK(rp_session_embedding(session) == NULL);
    for (size_t i = 0; i < RP_COUNT(counts); i++) {
        double want[LOOPED_DIM];
        mean_of_norms(&f, counts[i], want);
        CHECK_INT(rp_session_prompt(session, ids, 3, &(size_t){0}, &f.err), RP_OK); /* which must not be reused */
        begin(&f, session, counts[i]);
        rp_session_want_embedding(session);
        CHECK(rp_session_embedding(session) == NULL);
        steps(session, SIZE_MAX);
        const float *is = rp_session_embedding(session);
        REQUIRE(is);
        for (size_t k = 0; k < LOOPED_DIM; k++)
            CHECK(is[k] - want[k] < 2e-5 && want[k] - is[k] < 2e-5);
        CHECK(rp_session_logits(session) == NULL);
        CHECK_INT(rp_session_length(session), counts[i]);
    }
    begin(&f, session, 20);
    CHECK(rp_session_embedding(session) == NULL);
    steps(session, SIZE_MAX);
    CHECK(hash_of(session) == hash_one_by_one(&f, RP_KV_F32, 20));
    rp_session_close(session);
    close_model(&f);
}

TEST(states_can_be_saved) {
    for (int kv = RP_KV_F16; kv <= RP_KV_Q8_Q4; kv++) {
        fixture f;
        rp_session *to = NULL;
        REQUIRE(open_model(&f, LOOPED_MAP));
        rp_session *from = open_session(&f, (rp_kv_type)kv, 64);
        rp_session_open(&to, f.model, &(rp_session_options){.context = 620, .kv_type = (rp_kv_type)kv, .chunk = 3},
                        &f.err);
        REQUIRE(from && to);
        CHECK_INT(rp_session_feed(from, ids, IDS, &f.err), RP_OK);
        size_t regions = rp_session_state_regions(from), bytes, same;
        CHECK_INT(regions, kv >= RP_KV_Q8_0 ? 5 * 2 : 5 * 3); /* keys; values in strips of 32 or 8 of 16 columns */
        for (size_t i = 0; i < regions; i++) {
            const void *source = rp_session_state_region(from, i, 570, &bytes);
            void *target = rp_session_state_region(to, i, 570, &same);
            REQUIRE(source && target && bytes == same && bytes > 0);
            memcpy(target, source, bytes);
        }
        CHECK(rp_session_state_region(to, regions, 1, &bytes) == NULL);
        CHECK(rp_session_state_region(to, 0, 621, &bytes) == NULL);
        CHECK_INT(rp_session_adopt(to, ids, 621, &f.err), RP_CONTEXT_FULL);
        CHECK_INT(rp_session_adopt(to, (const int32_t[]){0, -1}, 2, &f.err), RP_ERR_ARGUMENT);
        CHECK_INT(rp_session_length(to), 0);
        CHECK_INT(rp_session_adopt(to, ids, 570, &f.err), RP_OK);
        CHECK(rp_session_logits(to) == NULL);
        CHECK_INT(begin(&f, to, IDS), 570);
        steps(to, SIZE_MAX);
        CHECK(hash_of(to) == hash_of(from));
        rp_session_close(from);
        rp_session_close(to);
        close_model(&f);
    }
}

/* Whatever bytes were restored, an id comes out. */
TEST(wrong_states_are_harmless) {
    for (int kv = RP_KV_F16; kv <= RP_KV_Q8_Q4; kv++)
        for (int fill = 0; fill < 4; fill++) {
            fixture f;
            rp_sampler *sampler = NULL;
            size_t bytes;
            REQUIRE(open_model(&f, LOOPED_TIED));
            rp_session *session = open_session(&f, (rp_kv_type)kv, 8);
            rp_sampler_options options = {.temperature = 0.8f, .top_p = 0.9f, .typical_p = 0.9f, .min_p = 0.01f};
            CHECK_INT(rp_sampler_open(&sampler, f.model, &options, &f.err), RP_OK);
            REQUIRE(session && sampler);
            for (size_t i = 0; i < rp_session_state_regions(session); i++) {
                uint8_t *region = rp_session_state_region(session, i, 100, &bytes);
                for (size_t k = 0; k < bytes; k++)
                    region[k] = fill == 0 ? 0xff : fill == 1 ? 0x7c : fill == 2 ? 0x80 : (uint8_t)test_random();
            }
            CHECK_INT(rp_session_adopt(session, ids, 100, &f.err), RP_OK);
            for (int i = 0; i < 3; i++) {
                CHECK_INT(rp_session_feed(session, ids, 9, &f.err), RP_OK);
                int32_t id = rp_sampler_pick(sampler, rp_session_logits(session)), top[3];
                float logprobs[3];
                CHECK(id >= 0 && id < VOCAB);
                CHECK_INT(rp_logits_top(rp_session_logits(session), VOCAB, 3, top, logprobs), 3);
                CHECK(top[0] >= 0 && top[0] < VOCAB && top[1] != top[0]);
                rp_session_logprob(session, id);
            }
            rp_sampler_close(sampler);
            rp_session_close(session);
            close_model(&f);
        }
}

TEST(logprob_is_remembered_for_its_logits) {
    fixture f;
    REQUIRE(open_model(&f, LOOPED_MAP));
    rp_session *session = open_session(&f, RP_KV_F16, 8);
    REQUIRE(session);
    CHECK(rp_session_logprob(session, 0) == -__builtin_inf());
    for (size_t at = 0; at < 40; at += 8) {
        CHECK_INT(rp_session_feed(session, ids + at, 8, &f.err), RP_OK);
        const float *logits = rp_session_logits(session);
        for (int32_t id = 0; id < VOCAB; id++)
            CHECK(rp_session_logprob(session, id) == (double)logits[id] - rp_logits_logsumexp(logits, VOCAB));
        CHECK(rp_session_logprob(session, -1) == -__builtin_inf() && rp_session_logprob(session, VOCAB) < -1e300);
    }
    rp_session_close(session);
    close_model(&f);
}

TEST_MAIN(steps_are_feeding, every_position_across_waves, cancelling_keeps_whole_waves, begin_shares_and_replaces,
          prompts_run_while_weights_arrive, embedding_is_the_mean_over_positions, states_can_be_saved,
          wrong_states_are_harmless, logprob_is_remembered_for_its_logits)
