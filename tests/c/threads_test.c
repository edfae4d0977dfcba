/* runs: native tsan */
/* The forward pass with threads: the bits are those of one thread, for every program, KV type and chunk, in prefill and decode,
 * while threads come, leave a job alone, or are fewer than the session was opened for. */
#include "crew.h"
#include "looped_model.h"
#include "session.h"

enum { PROMPT = 100, DECODED = 8, CONTEXT = 128, THREADS = 4 };

static gguf_build build;
static int32_t ids[CONTEXT];

/* Memory of pool and model is counted together. */
static bool open_model(crew *c, rp_model **model, looped_kind kind) {
    test_now.random = 7;
    looped_build(&build, kind);
    for (int i = 0; i < CONTEXT; i++)
        ids[i] = (int32_t)(test_random() % LOOPED_VOCAB);
    return crew_open(c, THREADS) &&
           rp_model_open(model, &(rp_model_options){.host = c->memory.host}, &c->err) == RP_OK &&
           exercise_feed(*model, build.bytes, build.size, 1000, &c->err) == RP_OK;
}

/* Of the logits after the prompt and after each decoded id. */
static uint64_t hash_of(rp_model *model, rp_kv_type kv, uint32_t chunk, uint32_t threads) {
    rp_session *session = NULL;
    rp_error err;
    rp_session_options options = {.context = CONTEXT, .kv_type = kv, .chunk = chunk, .threads = threads};
    CHECK_INT(rp_session_open(&session, model, &options, &err), RP_OK);
    if (!session)
        return 0;
    uint64_t hash = RP_HASH_START;
    CHECK_INT(rp_session_feed(session, ids, PROMPT, &err), RP_OK);
    for (size_t i = 0; i < DECODED; i++) {
        hash = rp_hash_bytes(hash, rp_session_logits(session), LOOPED_VOCAB * sizeof(float));
        CHECK_INT(rp_session_feed(session, ids + PROMPT + i, 1, &err), RP_OK);
    }
    rp_session_close(session);
    return hash;
}

static const uint32_t chunks[] = {64, 7};

TEST(bits_do_not_depend_on_threads) {
    for (int kind = 0; kind < LOOPED_KINDS; kind++) {
        static crew c;
        rp_model *model;
        REQUIRE(open_model(&c, &model, (looped_kind)kind));
        REQUIRE(crew_start(&c, THREADS - 1)); /* they come while the first jobs are done */
        for (int kv = RP_KV_F16; kv <= RP_KV_Q8_Q4; kv++)
            for (size_t i = 0; i < RP_COUNT(chunks); i++) {
                rp_model_use_pool(model, NULL);
                uint64_t want = hash_of(model, (rp_kv_type)kv, chunks[i], 1);
                rp_model_use_pool(model, c.pool);
                for (uint32_t threads = 1; threads <= THREADS; threads++) {
                    rp_pool_use(c.pool, threads);
                    CHECK(hash_of(model, (rp_kv_type)kv, chunks[i], threads) == want);
                }
                CHECK(hash_of(model, (rp_kv_type)kv, chunks[i], 1) == want); /* for fewer than are used */
                rp_pool_use(c.pool, 2);
                CHECK(hash_of(model, (rp_kv_type)kv, chunks[i], THREADS) == want); /* opened for more than are used */
            }
        rp_model_close(model);
        crew_close(&c);
    }
}

TEST_MAIN(bits_do_not_depend_on_threads)
