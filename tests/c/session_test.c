/* runs: native wasm */
/* Sessions: however ids are split into calls, rewound or reused, the bits are the same; what does not fit or does not belong
 * together is refused and nothing is lost. Runs on the small model of gguf_builder.h, every KV type, every table. */
#include "test.h"

#include "base.h"
#include "exercise.h"
#include "gguf_builder.h"

enum { IDS = 29, VOCAB = 6, CONTEXT = 40 };

static const rp_isa isas[] = {
    RP_ISA_SCALAR,
#ifdef RP_HAVE_SIMD128
    RP_ISA_SIMD128,
#endif
#ifdef RP_HAVE_RELAXED
    RP_ISA_RELAXED,
#endif
};

static float test_float(float size) {
    return ((float)(test_random() % 2001) - 1000) / 1000 * size;
}

/* Random values of a sane size into one tensor, by ggml's type number. */
static void fill_tensor(uint8_t *data, uint32_t type, uint64_t bytes) {
    size_t step = type == 0 ? 4 : type == 2 ? 18 : type == 8 ? 34 : 2;
    for (uint64_t at = 0; at < bytes; at += step) {
        float value = test_float(0.4f);
        uint16_t half = rp_f32_to_f16(type == 1 ? value : type == 2 ? 0.06f : 0.003f);
        for (size_t i = 0; i < step; i++)
            data[at + i] = (uint8_t)test_random();
        if (type == 0)
            memcpy(data + at, &value, 4);
        else if (type == 30)
            memcpy(data + at, (uint8_t *)&value + 2, 2);
        else
            memcpy(data + at, &half, 2);
    }
}

/* gguf_build_small's weights are all nearly equal, so that attention could do anything: here they are random. */
static void fill_small(gguf_build *build) {
    static const uint32_t types[] = {8, 0, 0, 2, 8, 30, 1, 0, 2, 8, 0};
    uint8_t *data = build->bytes + build->header_bytes;
    for (size_t i = 0; i < build->tensors; i++) {
        fill_tensor(data, types[i], build->tensor_bytes[i]);
        data += (build->tensor_bytes[i] + GGUF_BUILD_ALIGNMENT - 1) / GGUF_BUILD_ALIGNMENT * GGUF_BUILD_ALIGNMENT;
    }
}

typedef struct fixture {
    exercise_host host;
    rp_model *model;
    rp_error err;
    int32_t ids[IDS];
} fixture;

static bool open_model(fixture *f, rp_isa isa, uint8_t damage) {
    static gguf_build build;
    *f = (fixture){.host = {.limit = UINT64_MAX}};
    gguf_build_small(&build);
    test_now.random = 12345; /* the same weights every time */
    fill_small(&build);
    build.bytes[build.size - 9] ^= damage; /* a weight's bits */
    for (int i = 0; i < IDS; i++)
        f->ids[i] = (int32_t)(test_random() % VOCAB);
    rp_model_options options = {.host = {&f->host, exercise_alloc, exercise_release}, .isa = isa};
    return rp_model_open(&f->model, &options, &f->err) == RP_OK &&
           exercise_feed(f->model, build.bytes, build.size, 100, &f->err) == RP_OK;
}

static rp_session *open_session(fixture *f, rp_kv_type kv, uint32_t chunk, uint32_t context) {
    rp_session *session = NULL;
    rp_session_open(&session, f->model, &(rp_session_options){.context = context, .kv_type = kv, .chunk = chunk},
                    &f->err);
    return session;
}

static uint64_t hash_of(rp_session *session) {
    const float *logits = rp_session_logits(session);
    return logits ? rp_logits_hash(logits, VOCAB) : 0;
}

/* The bits after feeding everything in chunks of `chunk` positions and calls of `step` ids. */
static uint64_t feed_in_steps(fixture *f, rp_kv_type kv, uint32_t chunk, size_t step) {
    rp_session *session = open_session(f, kv, chunk, CONTEXT);
    for (size_t at = 0; session && at < IDS; at += step)
        CHECK_INT(rp_session_feed(session, f->ids + at, step < IDS - at ? step : IDS - at, &f->err), RP_OK);
    uint64_t hash = session ? hash_of(session) : 0;
    rp_session_close(session);
    return hash;
}

static void close_model(fixture *f) {
    rp_model_close(f->model);
    CHECK_INT(f->host.held, 0);
    CHECK(!f->host.wrong_size);
}

TEST(splits_agree) {
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
        for (int kv = RP_KV_F16; kv <= RP_KV_Q8_Q4; kv++) {
            fixture f;
            REQUIRE(open_model(&f, isas[i], 0));
            uint64_t whole = feed_in_steps(&f, (rp_kv_type)kv, 32, IDS);
            CHECK(whole != 0);
            CHECK(whole == feed_in_steps(&f, (rp_kv_type)kv, 32, 1));
            CHECK(whole == feed_in_steps(&f, (rp_kv_type)kv, 5, IDS));
            CHECK(whole == feed_in_steps(&f, (rp_kv_type)kv, 7, 3));
            close_model(&f);
        }
}

TEST(tables_agree) {
    for (int kv = RP_KV_F16; kv <= RP_KV_Q8_Q4; kv++) {
        uint64_t hashes[sizeof isas / sizeof *isas];
        for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
            fixture f;
            REQUIRE(open_model(&f, isas[i], 0));
            for (int k = 0; k < IDS; k++)
                f.ids[k] = k * 5 % VOCAB;
            hashes[i] = feed_in_steps(&f, (rp_kv_type)kv, 8, IDS);
            close_model(&f);
        }
        test_print("hash with KV type %d: %016llx\n", kv, (unsigned long long)hashes[0]);
        for (size_t i = 1; i < sizeof isas / sizeof *isas; i++)
            CHECK(hashes[0] == hashes[i]);
    }
}

TEST(rewind_and_refeed_agree) {
    fixture f;
    REQUIRE(open_model(&f, RP_ISA_BEST, 0));
    for (int kv = RP_KV_F16; kv <= RP_KV_Q8_Q4; kv++) {
        rp_session *session = open_session(&f, (rp_kv_type)kv, 4, CONTEXT);
        REQUIRE(session);
        int32_t other[6] = {5, 4, 3, 2, 1, 0};
        CHECK_INT(rp_session_feed(session, f.ids, 11, &f.err), RP_OK);
        CHECK_INT(rp_session_feed(session, other, 6, &f.err), RP_OK);
        CHECK_INT(rp_session_rewind(session, 11, &f.err), RP_OK);
        CHECK(rp_session_logits(session) == NULL);
        CHECK_INT(rp_session_feed(session, f.ids + 11, IDS - 11, &f.err), RP_OK);
        CHECK(hash_of(session) == feed_in_steps(&f, (rp_kv_type)kv, 32, IDS));
        CHECK_INT(rp_session_rewind(session, IDS + 1, &f.err), RP_ERR_ARGUMENT);
        CHECK_INT(rp_session_length(session), IDS);
        rp_session_close(session);
    }
    close_model(&f);
}

TEST(prompt_keeps_the_common_prefix) {
    fixture f;
    size_t reused = 99;
    REQUIRE(open_model(&f, RP_ISA_BEST, 0));
    rp_session *session = open_session(&f, RP_KV_F16, 8, CONTEXT);
    REQUIRE(session);
    CHECK_INT(rp_session_prompt(session, f.ids, 20, &reused, &f.err), RP_OK);
    CHECK_INT(reused, 0);
    uint64_t at_20 = hash_of(session);
    CHECK_INT(rp_session_prompt(session, f.ids, IDS, &reused, &f.err), RP_OK);
    CHECK_INT(reused, 20);
    CHECK(hash_of(session) == feed_in_steps(&f, RP_KV_F16, 32, IDS));
    CHECK_INT(rp_session_prompt(session, f.ids, IDS, &reused, &f.err), RP_OK);
    CHECK_INT(reused, IDS); /* nothing to do: the logits are still there */
    CHECK_INT(rp_session_prompt(session, f.ids, 20, &reused, &f.err), RP_OK);
    CHECK_INT(reused, 19); /* the last one again, for its logits */
    CHECK(hash_of(session) == at_20);
    f.ids[7] = (f.ids[7] + 1) % VOCAB;
    CHECK_INT(rp_session_prompt(session, f.ids, IDS, &reused, &f.err), RP_OK);
    CHECK_INT(reused, 7);
    CHECK(hash_of(session) == feed_in_steps(&f, RP_KV_F16, 32, IDS));
    rp_session_close(session);
    close_model(&f);
}

TEST(full_context_loses_nothing) {
    fixture f;
    size_t reused;
    REQUIRE(open_model(&f, RP_ISA_BEST, 0));
    rp_session *session = open_session(&f, RP_KV_F16, 8, 20);
    REQUIRE(session);
    CHECK_INT(rp_session_feed(session, f.ids, 15, &f.err), RP_OK);
    uint64_t before = hash_of(session);
    CHECK_INT(rp_session_feed(session, f.ids + 15, 6, &f.err), RP_CONTEXT_FULL);
    CHECK_INT(rp_session_prompt(session, f.ids, 21, &reused, &f.err), RP_CONTEXT_FULL);
    CHECK_INT(rp_session_length(session), 15);
    CHECK(hash_of(session) == before);
    int32_t wrong[2] = {0, VOCAB};
    CHECK_INT(rp_session_feed(session, wrong, 2, &f.err), RP_ERR_ARGUMENT);
    wrong[1] = -1;
    CHECK_INT(rp_session_prompt(session, wrong, 2, &reused, &f.err), RP_ERR_ARGUMENT);
    CHECK(hash_of(session) == before);
    CHECK_INT(rp_session_feed(session, f.ids + 15, 5, &f.err), RP_OK);
    CHECK_INT(rp_session_length(session), 20);
    rp_session_close(session);
    close_model(&f);
}

TEST(copies_only_what_belongs_together) {
    fixture f, g;
    REQUIRE(open_model(&f, RP_ISA_BEST, 0));
    REQUIRE(open_model(&g, RP_ISA_BEST, 1));
    rp_session *from = open_session(&f, RP_KV_Q8_0, 8, CONTEXT), *to = open_session(&f, RP_KV_Q8_0, 3, CONTEXT + 9);
    rp_session *other_kv = open_session(&f, RP_KV_F16, 8, CONTEXT),
               *other_weights = open_session(&g, RP_KV_Q8_0, 8, CONTEXT);
    REQUIRE(from && to && other_kv && other_weights);
    CHECK_INT(rp_session_feed(from, f.ids, 20, &f.err), RP_OK);
    CHECK_INT(rp_session_copy(to, from, 13, &f.err), RP_OK);
    CHECK_INT(rp_session_length(to), 13);
    CHECK_INT(rp_session_feed(to, f.ids + 13, IDS - 13, &f.err), RP_OK);
    CHECK(hash_of(to) == feed_in_steps(&f, RP_KV_Q8_0, 32, IDS));
    CHECK_INT(rp_session_copy(other_kv, from, 13, &f.err), RP_ERR_ARGUMENT);
    CHECK_INT(rp_session_copy(other_weights, from, 13, &f.err), RP_ERR_ARGUMENT);
    CHECK_INT(rp_session_copy(to, from, 21, &f.err), RP_ERR_ARGUMENT);
    CHECK(rp_session_key(from) == rp_session_key(to));
    rp_session_close(from);
    rp_session_close(to);
    rp_session_close(other_kv);
    rp_session_close(other_weights);
    close_model(&f);
    close_model(&g);
}

typedef struct seen {
    uint64_t hashes[IDS];
    size_t count, stop_at;
} seen;

static bool see(void *user, size_t index, const float *logits) {
    seen *s = user;
    CHECK_INT(index, s->count);
    s->hashes[s->count++] = rp_logits_hash(logits, VOCAB);
    return s->count != s->stop_at;
}

TEST(every_position_shows_the_logits_of_its_own) {
    fixture f;
    seen all = {.stop_at = 0}, some = {.stop_at = 6};
    REQUIRE(open_model(&f, RP_ISA_BEST, 0));
    rp_session *session = open_session(&f, RP_KV_F32, 8, CONTEXT), *single = open_session(&f, RP_KV_F32, 8, CONTEXT);
    REQUIRE(session && single);
    CHECK_INT(rp_session_feed_each(session, f.ids, IDS, &all, see, &f.err), RP_OK);
    CHECK_INT(all.count, IDS);
    for (size_t i = 0; i < IDS; i++) {
        CHECK_INT(rp_session_feed(single, f.ids + i, 1, &f.err), RP_OK);
        CHECK(hash_of(single) == all.hashes[i]);
    }
    CHECK_INT(rp_session_rewind(session, 0, &f.err), RP_OK);
    CHECK_INT(rp_session_feed_each(session, f.ids, IDS, &some, see, &f.err), RP_OK);
    CHECK_INT(some.count, 6);
    rp_session_close(session);
    rp_session_close(single);
    close_model(&f);
}

/* Prefixes of different lengths, then one id each at a time: by themselves and together, one joining late. */
TEST(together_is_as_alone) {
    enum { MANY = 11 };
    for (int kv = RP_KV_F16; kv <= RP_KV_Q8_Q4; kv++) {
        fixture f;
        CHECK(open_model(&f, RP_ISA_BEST, 0));
        rp_session *alone[MANY], *together[MANY];
        size_t reused;
        uint64_t passes = 0, steps = 0;
        for (size_t i = 0; i < MANY; i++) {
            /* One of a longer context, and long itself, goes with none; one of another KV type neither. */
            uint32_t context = i == 5 ? 4 * CONTEXT : CONTEXT;
            rp_kv_type type = i == 7 ? (rp_kv_type)((kv + 1) % 4) : (rp_kv_type)kv;
            alone[i] = open_session(&f, type, 16, context);
            together[i] = open_session(&f, type, 16, context);
            for (size_t more = 0; i == 5 && more < 4; more++) {
                CHECK_INT(rp_session_feed(alone[i], f.ids, IDS, &f.err), RP_OK);
                CHECK_INT(rp_session_feed(together[i], f.ids, IDS, &f.err), RP_OK);
            }
            CHECK_INT(rp_session_feed(alone[i], f.ids + i, 1 + i, &f.err), RP_OK);
            CHECK_INT(rp_session_feed(together[i], f.ids + i, 1 + i, &f.err), RP_OK);
        }
        for (size_t round = 0; round < 4; round++) {
            int32_t ids[4 * CONTEXT];
            rp_session *open[MANY];
            size_t count = round ? MANY : MANY - 1;
            for (size_t i = 0; i < count; i++) {
                size_t length = rp_session_length(alone[i]);
                memcpy(ids, rp_session_ids(together[i]), length * sizeof *ids);
                ids[length] = f.ids[(i + round) % IDS];
                CHECK_INT(rp_session_feed(alone[i], ids + length, 1, &f.err), RP_OK);
                CHECK_INT(rp_session_begin(together[i], ids, length + 1, &reused, &f.err), RP_OK);
                open[i] = together[i];
            }
            if (round == 2)
                rp_session_step(together[3]); /* ahead of the others */
            while (count) {
                uint32_t stepped = rp_sessions_step(open, count);
                CHECK(stepped & 1);
                passes++;
                size_t left = 0;
                for (size_t i = 0; i < count; i++) {
                    steps += stepped >> i & 1;
                    if (!rp_session_logits(open[i]))
                        open[left++] = open[i];
                }
                count = left;
            }
            for (size_t i = 0; i < MANY; i++)
                CHECK(hash_of(together[i]) == hash_of(alone[i]) && hash_of(alone[i]));
        }
        CHECK(passes * 2 < steps); /* most steps were shared */
        for (size_t i = 0; i < MANY; i++) {
            rp_session_close(alone[i]);
            rp_session_close(together[i]);
        }
        rp_model_close(f.model);
        CHECK_INT(f.host.held, 0);
    }
}

TEST(bad_options_are_named) {
    fixture f;
    rp_session *session = NULL;
    REQUIRE(open_model(&f, RP_ISA_BEST, 0));
    rp_session_options wrong[] = {
        {.context = 1u << 30}, {.chunk = 1 << 20, .context = 1 << 20}, {.kv_type = (rp_kv_type)9}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_INT(rp_session_open(&session, f.model, &wrong[i], &f.err), RP_ERR_ARGUMENT);
        CHECK(session == NULL);
    }
    rp_model *fresh;
    CHECK_INT(rp_model_open(&fresh, &(rp_model_options){0}, &f.err), RP_OK);
    CHECK_INT(rp_session_open(&session, fresh, &(rp_session_options){0}, &f.err), RP_ERR_ARGUMENT);
    rp_model_close(fresh);
    CHECK_INT(rp_model_open(&fresh, &(rp_model_options){.isa = (rp_isa)9}, &f.err), RP_ERR_UNSUPPORTED);
    close_model(&f);
}

TEST_MAIN(splits_agree, tables_agree, rewind_and_refeed_agree, prompt_keeps_the_common_prefix,
          full_context_loses_nothing, copies_only_what_belongs_together, every_position_shows_the_logits_of_its_own,
          together_is_as_alone, bad_options_are_named)
