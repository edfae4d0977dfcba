/* runs: native wasm */
/* Saved sessions: what is restored goes on as what was saved, and bytes that are of something else, damaged or
 * missing change nothing. */
#include "test.h"

#include "program_model.h"
#include "session.h"

enum { CONTEXT = 48, LENGTH = 21, STATE_MOST = 1 << 18 };

typedef rp_program_options options;

typedef struct state {
    uint8_t bytes[STATE_MOST];
    size_t size, most; /* most: what can be written */
} state;

static state saved;

static bool take(void *user, const void *bytes, size_t size) {
    state *s = user;
    if (size > s->most - s->size)
        return false;
    memcpy(s->bytes + s->size, bytes, size);
    s->size += size;
    return true;
}

static rp_session *open_session(fixture *f, rp_session_options o) {
    rp_session *session = NULL;
    o.context = o.context ? o.context : CONTEXT;
    if (rp_session_open(&session, f->model, &o, &f->err) != RP_OK)
        test_print("%s\n", f->err.message);
    return session;
}

static rp_session *open_fed(fixture *f, rp_session_options o, size_t length) {
    rp_session *session = open_session(f, o);
    if (session)
        CHECK_INT(rp_session_feed(session, ids, length, &f->err), RP_OK);
    return session;
}

static void save(fixture *f, rp_session *session) {
    saved.size = 0;
    saved.most = STATE_MOST;
    CHECK_INT(rp_session_save(session, &saved, take, &f->err), RP_OK);
    CHECK_INT(saved.size, rp_session_saved_bytes(session));
}

TEST(what_is_restored_goes_on) {
    for (int kv = 0; kv <= RP_KV_Q8_Q4; kv++)
        for (size_t length = 0; length <= CONTEXT - 5; length += 7) {
            fixture f;
            REQUIRE(open_shape(&f, &shape_rich));
            rp_session *from = open_fed(&f, (rp_session_options){.kv_type = (rp_kv_type)kv}, length);
            rp_session *to =
                open_fed(&f, (rp_session_options){.kv_type = (rp_kv_type)kv, .context = CONTEXT + 50, .chunk = 3}, 4);
            REQUIRE(from && to);
            save(&f, from);
            CHECK_INT(rp_session_restore(to, saved.bytes, saved.size, &f.err), RP_OK);
            CHECK_INT(rp_session_length(to), length);
            CHECK(rp_session_logits(to) == NULL);
            CHECK_INT(rp_session_feed(from, ids + length, 5, &f.err), RP_OK);
            CHECK_INT(rp_session_feed(to, ids + length, 5, &f.err), RP_OK);
            CHECK(memcmp(rp_session_ids(to), ids, (length + 5) * sizeof *ids) == 0);
            CHECK(hash_of(from) == hash_of(to) && hash_of(to));
            rp_session_close(from);
            rp_session_close(to);
            close_shape(&f);
        }
}

/* Restores, which must fail, and looks whether the session is what it was. */
static void refuse(fixture *f, rp_session *session, size_t size, rp_status want, const char *what, size_t at) {
    uint64_t before = hash_of(session);
    size_t length = rp_session_length(session);
    rp_status status = rp_session_restore(session, saved.bytes, size, &f->err);
    if (status != want)
        test_print("%s at %d: %s\n", what, (int)at, status == RP_OK ? "accepted" : f->err.message);
    CHECK_INT(status, want);
    CHECK_INT(rp_session_length(session), length);
    CHECK(before && hash_of(session) == before);
}

TEST(damage_changes_nothing) {
    fixture f;
    REQUIRE(open_shape(&f, &shape_rich));
    rp_session *from = open_fed(&f, (rp_session_options){.kv_type = RP_KV_Q8_0}, LENGTH);
    rp_session *to = open_fed(&f, (rp_session_options){.kv_type = RP_KV_Q8_0}, 9);
    REQUIRE(from && to);
    save(&f, from);
    for (size_t size = 0; size < saved.size; size += size < 200 ? 1 : 97)
        refuse(&f, to, size, RP_ERR_FORMAT, "cut", size);
    for (size_t at = 0; at < saved.size; at += at < 200 || at > saved.size - 20 ? 1 : 97) {
        uint8_t was = saved.bytes[at];
        saved.bytes[at] ^= (uint8_t)(1 + test_random() % 255);
        refuse(&f, to, saved.size, RP_ERR_FORMAT, "damaged", at);
        saved.bytes[at] = was;
    }
    saved.bytes[saved.size] = 0;
    refuse(&f, to, saved.size + 1, RP_ERR_FORMAT, "longer", saved.size);
    CHECK_INT(rp_session_feed(to, ids + 9, LENGTH - 9, &f.err), RP_OK);
    uint64_t want = hash_of(to);
    CHECK_INT(rp_session_feed(from, ids + LENGTH, 1, &f.err), RP_OK);
    CHECK_INT(rp_session_rewind(from, LENGTH - 1, &f.err), RP_OK);
    CHECK_INT(rp_session_feed(from, ids + LENGTH - 1, 1, &f.err), RP_OK);
    CHECK(hash_of(from) == want); /* no cache was touched */
    rp_session_close(from);
    rp_session_close(to);
    close_shape(&f);
}

/* Headers whose hash is right and whose numbers are not: version, positions, size. */
TEST(numbers_that_lie_are_refused) {
    static const struct {
        size_t at;
        uint32_t value;
        rp_status status;
    } lies[] = {
        {8, 2, RP_ERR_UNSUPPORTED},         {12, LENGTH + 1, RP_ERR_FORMAT},   {12, 0, RP_ERR_FORMAT},
        {12, CONTEXT + 1, RP_CONTEXT_FULL}, {12, UINT32_MAX, RP_CONTEXT_FULL}, {24, 0, RP_ERR_FORMAT},
        {28, UINT32_MAX, RP_ERR_FORMAT},
    };
    fixture f;
    REQUIRE(open_shape(&f, &shape_rich));
    rp_session *session = open_fed(&f, (rp_session_options){0}, LENGTH);
    REQUIRE(session);
    for (size_t i = 0; i < RP_COUNT(lies); i++) {
        save(&f, session);
        memcpy(saved.bytes + lies[i].at, &lies[i].value, 4);
        uint64_t hash = rp_hash_words(RP_HASH_START, saved.bytes, 32);
        memcpy(saved.bytes + 32, &hash, 8);
        refuse(&f, session, saved.size, lies[i].status, "lie", i);
    }
    rp_session_close(session);
    close_shape(&f);
}

TEST(a_state_of_something_else_is_refused) {
    static shape other = {0};
    fixture f, g;
    other = shape_rich;
    other.threshold = 0.6f;
    REQUIRE(open_shape(&f, &shape_rich));
    rp_session *from = open_fed(&f, (rp_session_options){0}, LENGTH);
    REQUIRE(from);
    save(&f, from);
    const rp_session_options differing[] = {
        {.kv_type = RP_KV_F32}, {.program = {.loops = 1}}, {.program = {.layers = "0-5"}, .kv_type = RP_KV_Q8_0}};
    for (size_t i = 0; i < RP_COUNT(differing); i++) {
        rp_session *to = open_fed(&f, differing[i], 5);
        REQUIRE(to);
        refuse(&f, to, saved.size, RP_ERR_ARGUMENT, "other session", i);
        rp_session_close(to);
    }
    rp_session *small = open_fed(&f, (rp_session_options){.context = LENGTH - 1}, 5);
    REQUIRE(small);
    refuse(&f, small, saved.size, RP_CONTEXT_FULL, "small context", 0);
    REQUIRE(open_shape(&g, &other));
    rp_session *elsewhere = open_fed(&g, (rp_session_options){0}, 5);
    REQUIRE(elsewhere);
    refuse(&g, elsewhere, saved.size, RP_ERR_ARGUMENT, "other model", 0);
    rp_session_close(from);
    rp_session_close(small);
    rp_session_close(elsewhere);
    close_shape(&f);
    close_shape(&g);
}

TEST(a_full_disk_is_said) {
    fixture f;
    REQUIRE(open_shape(&f, &shape_rich));
    rp_session *session = open_fed(&f, (rp_session_options){0}, LENGTH);
    REQUIRE(session);
    uint64_t size = rp_session_saved_bytes(session), before = hash_of(session);
    for (size_t most = 0; most < size; most += 61) {
        saved.size = 0;
        saved.most = most;
        CHECK_INT(rp_session_save(session, &saved, take, &f.err), RP_ERR_IO);
    }
    CHECK(before && hash_of(session) == before);
    rp_session_close(session);
    close_shape(&f);
}

TEST_MAIN(what_is_restored_goes_on, damage_changes_nothing, numbers_that_lie_are_refused,
          a_state_of_something_else_is_refused, a_full_disk_is_said)
