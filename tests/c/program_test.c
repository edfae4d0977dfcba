/* runs: native wasm */
/* Programs that are not the order of blocks alone: however ids are split, whatever the depth, the layers, the way there, the bits are those
 * of a file that says just that program, and of a session that knew no other. */
#include "test.h"

#include "program_model.h"
#include "session.h"

enum { IDS = 560, CONTEXT = 576, SOME = 23, VOCAB = SHAPE_VOCAB, KV_TYPES = RP_KV_Q8_Q4 + 1 };

typedef rp_program_options options;

static rp_session *open_session(fixture *f, options program, rp_kv_type kv, uint32_t chunk) {
    rp_session *session = NULL;
    rp_session_options o = {.context = CONTEXT, .kv_type = kv, .chunk = chunk, .program = program};
    if (rp_session_open(&session, f->model, &o, &f->err) != RP_OK)
        test_print("%s\n", f->err.message);
    return session;
}

/* The bits after the first `count` ids of a fresh session, fed `step` at a time. */
static uint64_t hash_in_steps(fixture *f, options program, rp_kv_type kv, uint32_t chunk, size_t count, size_t step) {
    rp_session *session = open_session(f, program, kv, chunk);
    for (size_t at = 0; session && at < count; at += step)
        CHECK_INT(rp_session_feed(session, ids + at, RP_MIN(step, count - at), &f->err), RP_OK);
    uint64_t hash = hash_of(session);
    CHECK(hash != 0);
    rp_session_close(session);
    return hash;
}

/* In several calls, so that what earlier ones left in the KV slots counts. */
static uint64_t hash_with(fixture *f, options program) {
    return hash_in_steps(f, program, RP_KV_F16, 0, SOME, 5);
}

static uint64_t hash_of_file(const shape *s) {
    fixture f;
    uint64_t hash = open_shape(&f, s) ? hash_with(&f, (options){0}) : 0;
    close_shape(&f);
    return hash;
}

/* ---- The same program ---------------------------------------------------------------------------------- */

static const shape shapes[] = {
    {.map = "001122", .blocks = 3, .times = 2, .bias_of = 2},
    {.map = "001122", .blocks = 3, .times = 2, .bias_of = 2, .disordered = true},
    {.map = "0011", .blocks = 2, .rank = 32, .disordered = true},
    {.map = "010101", .blocks = 2, .injection = "add", .norm = "end", .sandwich = "sum", .times = 3},
    {.map = "012123",
     .blocks = 4,
     .looped = true,
     .injection = "concat",
     .zero_start = true,
     .exit = "gate",
     .threshold = 0.5f,
     .gate_bias = -0.4f,
     .norm = "between"},
    {.map = "10101", .kv_map = "0-0-1", .blocks = 2, .times = 2, .rank = 32},
    {.map = "01212", .kv_map = "0-1-2", .blocks = 3, .bias_of = 1},
};

TEST(splits_agree) {
    for (size_t i = 0; i <= RP_COUNT(shapes); i++)
        for (int kv = 0; kv < KV_TYPES; kv++) {
            fixture f;
            rp_kv_type type = (rp_kv_type)kv;
            REQUIRE(open_shape(&f, i < RP_COUNT(shapes) ? &shapes[i] : &shape_rich));
            size_t count = kv ? SOME : IDS; /* more than a wave */
            uint64_t whole = hash_in_steps(&f, (options){0}, type, 64, count, count);
            CHECK(whole == hash_in_steps(&f, (options){0}, type, 64, count, 1));
            CHECK(whole == hash_in_steps(&f, (options){0}, type, 5, count, count));
            CHECK(whole == hash_in_steps(&f, (options){0}, type, 7, count, 3));
            CHECK(whole == hash_in_steps(&f, (options){0}, type, 512, count, 300));
            close_shape(&f);
        }
}

TEST(prompts_run_while_weights_arrive) {
    for (size_t i = 0; i <= RP_COUNT(shapes); i++)
        for (size_t piece = 61; piece < 3000; piece *= 16) {
            fixture f;
            const shape *s = i < RP_COUNT(shapes) ? &shapes[i] : &shape_rich;
            rp_session *session = NULL;
            size_t used, reused, early = 0;
            REQUIRE(open_shape(&f, s));
            uint64_t want = hash_with(&f, (options){0});
            close_shape(&f);
            REQUIRE(start_built(&f));
            for (size_t at = 0; at < build.size; at += used) {
                CHECK_INT(rp_model_feed(f.model, build.bytes + at, RP_MIN(piece, build.size - at), &used, &f.err),
                          RP_OK);
                if (rp_model_load_state(f.model) != RP_LOAD_WEIGHTS)
                    continue;
                if (!session) {
                    session = open_session(&f, (options){0}, RP_KV_F16, 0);
                    REQUIRE(session);
                    CHECK_INT(rp_session_begin(session, ids, SOME, &reused, &f.err), RP_OK);
                }
                for (; rp_session_step(session) == RP_STEP_MORE; early++)
                    ;
            }
            CHECK(early > 0 || (s->rank && s->disordered)); /* there what the first visit needs comes last */
            finish(session);
            CHECK(hash_of(session) == want);
            rp_session_close(session);
            close_shape(&f);
        }
}

TEST(together_is_as_alone) {
    enum { MANY = 6 };
    for (size_t i = 0; i <= RP_COUNT(shapes); i++) {
        fixture f;
        rp_session *open[MANY];
        uint32_t shared = 0;
        uint64_t want[MANY];
        size_t reused;
        REQUIRE(open_shape(&f, i < RP_COUNT(shapes) ? &shapes[i] : &shape_rich));
        for (size_t k = 0; k < MANY; k++) {
            rp_session *alone = open_session(&f, (options){0}, RP_KV_F16, 16);
            open[k] = open_session(&f, (options){0}, RP_KV_F16, 16);
            REQUIRE(alone && open[k]);
            CHECK_INT(rp_session_feed(alone, ids + k, 3 + k, &f.err), RP_OK);
            CHECK_INT(rp_session_feed(open[k], ids + k, 2 + k, &f.err), RP_OK);
            CHECK_INT(rp_session_begin(open[k], ids + k, 3 + k, &reused, &f.err), RP_OK);
            CHECK_INT(reused, 2 + k);
            want[k] = hash_of(alone);
            rp_session_close(alone);
        }
        while (!rp_session_logits(open[0]))
            shared |= rp_sessions_step(open, MANY);
        CHECK_INT(shared, (1 << MANY) - 1);
        for (size_t k = 0; k < MANY; k++) {
            finish(open[k]);
            CHECK(hash_of(open[k]) == want[k]);
            rp_session_close(open[k]);
        }
        close_shape(&f);
    }
}

/* ---- Another program ----------------------------------------------------------------------------------- */

TEST(depth_is_a_file_of_that_depth) {
    static const char *const stacks[] = {"0123", "012123", "01212123", "0121212123"};
    static const char *const rows[] = {"0123", "011223", "01112223", "0111122223"};
    for (int in_a_row = 0; in_a_row < 2; in_a_row++) {
        shape file = shape_rich, other;
        fixture f;
        if (in_a_row)
            file = (shape){.map = rows[1], .blocks = 4, .looped = true, .min = 1, .max = 4, .times = 4};
        uint64_t hashes[RP_COUNT(stacks)];
        REQUIRE(open_shape(&f, &file));
        for (uint32_t loops = 1; loops <= 4; loops++)
            hashes[loops - 1] = hash_with(&f, (options){.loops = loops});
        CHECK(hashes[1] == hash_with(&f, (options){0}));
        rp_model_info info;
        rp_model_get_info(f.model, &info);
        CHECK(info.loops == 2 && info.loop_min == 1 && info.loop_max == 4);
        close_shape(&f);
        for (uint32_t loops = 1; loops <= 4; loops++) {
            other = file;
            other.map = in_a_row ? rows[loops - 1] : stacks[loops - 1];
            CHECK(hashes[loops - 1] == hash_of_file(&other));
            CHECK(loops == 1 || hashes[loops - 1] != hashes[loops - 2]);
        }
    }
}

TEST(layers_are_a_file_with_that_map) {
    static const struct {
        const char *map, *layers, *merged;
    } cases[] = {
        {"0123", "0-3", "0123"},     {"0123", "0-3x2", "01230123"},        {"0123", "0,1-2x3,3", "01212123"},
        {"0123", "3,2,1,0", "3210"}, {"001123", "0,2-3x2,4-5", "0111123"}, {"0123", "0x3,1,2x2,3", "0001223"},
    };
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        fixture f;
        REQUIRE(open_shape(&f, &(shape){.map = cases[i].map, .blocks = 4}));
        uint64_t hash = hash_with(&f, (options){.layers = cases[i].layers});
        close_shape(&f);
        CHECK(hash == hash_of_file(&(shape){.map = cases[i].merged, .blocks = 4}));
    }
}

/* What happens between visits goes along with them; so do the slots that later visits read. */
TEST(layers_take_along_what_belongs_to_visits) {
    fixture f;
    shape file = {
        .map = "01212", .blocks = 3, .injection = "add", .norm = "between", .exit = "gate", .threshold = 0.5f};
    file.entry = "1";
    file.lists[0] = "3";
    file.lists[1] = "2";
    file.lists[2] = "24";
    file.norm = NULL;
    REQUIRE(open_shape(&f, &file));
    uint64_t hash = hash_with(&f, (options){.layers = "0-2,0,3-4x2"});
    close_shape(&f);
    shape merged = file;
    merged.map = "01201212";
    merged.lists[0] = "46";
    merged.lists[2] = "257";
    CHECK(hash == hash_of_file(&merged));

    shape slots = {.map = "0121", .kv_map = "0120", .blocks = 3};
    REQUIRE(open_shape(&f, &slots));
    hash = hash_with(&f, (options){.layers = "0-3,1,3"});
    CHECK_INT(
        rp_session_open(&(rp_session *){NULL}, f.model, &(rp_session_options){.program = {.layers = "1-3"}}, &f.err),
        RP_ERR_ARGUMENT);
    close_shape(&f);
    slots.map = "012111";
    slots.kv_map = "012030";
    CHECK(hash == hash_of_file(&slots));
}

static options random_options(bool exits) {
    static const char *const layers[] = {"0-5", "0-4x2,5", "0,1-2x3,5", "0-3,1-5"};
    options o = {0};
    if (test_random() & 1)
        o.loops = 1 + (uint32_t)(test_random() % 4);
    else if (test_random() & 1)
        o.layers = layers[test_random() % RP_COUNT(layers)];
    o.reuse_kv = test_random() % 3 == 0;
    if (exits && (test_random() & 1))
        o.exit_threshold = (float)(1 + test_random() % 10) / 10;
    return o;
}

TEST(programs_there_and_back) {
    fixture f;
    REQUIRE(open_shape(&f, &shape_rich));
    for (int kv = 0; kv < KV_TYPES; kv++) {
        rp_session *session = open_session(&f, (options){.loops = 1}, (rp_kv_type)kv, 0);
        REQUIRE(session);
        test_now.random = 1 + (uint64_t)kv;
        CHECK_INT(rp_session_feed(session, ids, SOME, &f.err), RP_OK);
        for (int i = 0; i < 24; i++) {
            options o = random_options(true);
            rp_session *fresh = open_session(&f, o, (rp_kv_type)kv, 0);
            REQUIRE(fresh);
            CHECK_INT(rp_session_reprogram(session, &o, &f.err), RP_OK);
            CHECK_INT(rp_session_length(session), 0);
            CHECK(rp_session_logits(session) == NULL);
            finish(session);
            CHECK_INT(rp_session_feed(fresh, ids, SOME, &f.err), RP_OK);
            CHECK_INT(rp_session_length(session), SOME);
            CHECK(hash_of(session) == hash_of(fresh) && hash_of(fresh));
            CHECK(rp_session_key(session) == rp_session_key(fresh));
            CHECK_INT(rp_session_state_regions(session), rp_session_state_regions(fresh));
            rp_session_close(fresh);
        }
        uint64_t before = hash_of(session);
        CHECK_INT(rp_session_reprogram(session, &(options){.loops = 5}, &f.err), RP_ERR_ARGUMENT);
        CHECK(hash_of(session) == before);
        rp_session_close(session);
    }
    close_shape(&f);
}

/* A session that once had more slots gives and takes what one that never had them holds. */
TEST(copies_between_sessions_of_other_pasts) {
    fixture f;
    size_t bytes, same;
    REQUIRE(open_shape(&f, &shape_rich));
    rp_session *deep = open_session(&f, (options){.loops = 4}, RP_KV_F16, 0);
    rp_session *plain = open_session(&f, (options){.loops = 2}, RP_KV_F16, 0);
    REQUIRE(deep && plain);
    uint64_t want = hash_with(&f, (options){0});
    CHECK_INT(rp_session_feed(plain, ids, SOME - 1, &f.err), RP_OK);
    CHECK_INT(rp_session_copy(deep, plain, SOME - 1, &f.err), RP_ERR_ARGUMENT);
    CHECK_INT(rp_session_reprogram(deep, &(options){.loops = 2}, &f.err), RP_OK);
    CHECK_INT(rp_session_copy(deep, plain, SOME - 1, &f.err), RP_OK);
    CHECK_INT(rp_session_feed(deep, ids + SOME - 1, 1, &f.err), RP_OK);
    CHECK(hash_of(deep) == want);
    CHECK_INT(rp_session_rewind(plain, 0, &f.err), RP_OK);
    CHECK_INT(rp_session_copy(plain, deep, SOME - 1, &f.err), RP_OK);
    CHECK_INT(rp_session_feed(plain, ids + SOME - 1, 1, &f.err), RP_OK);
    CHECK(hash_of(plain) == want);
    CHECK_INT(rp_session_rewind(deep, 0, &f.err), RP_OK);
    for (size_t i = 0; i < rp_session_state_regions(plain); i++) {
        const void *from = rp_session_state_region(plain, i, SOME - 1, &bytes);
        void *to = rp_session_state_region(deep, i, SOME - 1, &same);
        REQUIRE(from && to && bytes == same);
        memcpy(to, from, bytes);
    }
    CHECK_INT(rp_session_adopt(deep, ids, SOME - 1, &f.err), RP_OK);
    CHECK_INT(rp_session_feed(deep, ids + SOME - 1, 1, &f.err), RP_OK);
    CHECK(hash_of(deep) == want);
    rp_session_close(deep);
    rp_session_close(plain);
    close_shape(&f);
}

/* ---- One slot for all visits of a block ---------------------------------------------------------------- */

static void see_slots(void *user, uint32_t visit, const rp_visit_info *v) {
    int32_t *slots = user;
    slots[visit] = v->writes ? v->slot : -2;
}

TEST(reused_slots_are_one_a_block) {
    fixture f;
    static const int32_t want[] = {0, 1, 2, 1, 2, 3};
    int32_t slots[6] = {9, 9, 9, 9, 9, 9};
    rp_plan plan, whole;
    options reuse = {.reuse_kv = true};
    REQUIRE(open_shape(&f, &shape_rich));
    CHECK_INT(rp_model_program(f.model, &reuse, slots, see_slots, &f.err), RP_OK);
    CHECK(memcmp(slots, want, sizeof want) == 0);
    CHECK_INT(rp_model_plan(f.model, &(rp_plan_options){.context = 64, .program = reuse}, &plan, &f.err), RP_OK);
    CHECK_INT(rp_model_plan(f.model, &(rp_plan_options){.context = 64}, &whole, &f.err), RP_OK);
    CHECK_INT(plan.kv_per_token * 6, whole.kv_per_token * 4);
    /* The first position has nothing before it: what it reads is its own. */
    CHECK(hash_in_steps(&f, reuse, RP_KV_F32, 0, 1, 1) == hash_in_steps(&f, (options){0}, RP_KV_F32, 0, 1, 1));
    /* Of a wave every visit reads what it just wrote; of what was fed before, what the last visit left. */
    options never = {.exit_threshold = 1};
    reuse.exit_threshold = 1;
    CHECK(hash_in_steps(&f, reuse, RP_KV_F16, 0, SOME, SOME) == hash_with(&f, never));
    CHECK(hash_with(&f, reuse) != hash_with(&f, never));
    reuse.exit_threshold = 0;
    close_shape(&f);
    shape reads = {.map = "0101", .kv_map = "0101", .blocks = 2};
    REQUIRE(open_shape(&f, &reads));
    CHECK_INT(rp_model_program(f.model, &reuse, slots, see_slots, &f.err), RP_ERR_ARGUMENT);
    close_shape(&f);
}

/* Fed one by one, a visit reads of earlier positions what the last visit of its block left: made by hand from a file in which
 * only those are left. */
TEST(reused_slots_hold_the_last_visit) {
    fixture f;
    REQUIRE(open_shape(&f, &(shape){.map = "00", .blocks = 1}));
    rp_session *reuse = open_session(&f, (options){.reuse_kv = true}, RP_KV_F32, 1);
    rp_session *whole = open_session(&f, (options){0}, RP_KV_F32, 1);
    REQUIRE(reuse && whole && rp_session_state_regions(whole) == 2 * rp_session_state_regions(reuse));
    for (size_t i = 0; i < SOME; i++) {
        CHECK_INT(rp_session_feed(reuse, ids + i, 1, &f.err), RP_OK);
        CHECK_INT(rp_session_feed(whole, ids + i, 1, &f.err), RP_OK);
        CHECK(hash_of(reuse) == hash_of(whole));
        for (size_t k = 0; k < rp_session_state_regions(reuse); k++) { /* slot 1 is what slot 0 is to be */
            size_t bytes, regions = rp_session_state_regions(reuse);
            const void *last = rp_session_state_region(whole, regions + k, i + 1, &bytes);
            CHECK(memcmp(last, rp_session_state_region(reuse, k, i + 1, &bytes), bytes) == 0);
            memcpy(rp_session_state_region(whole, k, i + 1, &bytes), last, bytes);
        }
    }
    rp_session_close(reuse);
    rp_session_close(whole);
    close_shape(&f);
}

/* ---- The exit rule ------------------------------------------------------------------------------------- */

/* Without blocks after the loops, leaving after loop n gives the logits of depth n: later loops do not change earlier ones. */
TEST(leaving_is_a_smaller_depth) {
    shape file = {
        .map = "01010101", .blocks = 2, .looped = true, .min = 1, .max = 4, .exit = "gate", .norm = "between"};
    fixture f;
    uint64_t depth[4];
    size_t left_at[5] = {0};
    file.injection = "add";
    REQUIRE(open_shape(&f, &file));
    for (size_t count = 1; count <= SOME; count++) {
        size_t before = 0;
        for (uint32_t loops = 1; loops <= 4; loops++)
            depth[loops - 1] = hash_in_steps(&f, (options){.loops = loops}, RP_KV_F16, 0, count, count);
        for (int threshold = 1; threshold <= 20; threshold++) {
            options o = {.exit_threshold = (float)threshold / 20};
            uint64_t hash = hash_in_steps(&f, o, RP_KV_F16, 0, count, count);
            size_t at = 0;
            while (at < 4 && depth[at] != hash)
                at++;
            CHECK(at < 4 && at >= before); /* a higher threshold leaves no earlier */
            before = at;
            left_at[at]++;
        }
        CHECK_INT(before, 3);
    }
    for (size_t at = 0; at < 4; at++)
        CHECK(left_at[at] > 0);
    CHECK(hash_with(&f, (options){.exit_threshold = 1e-6f}) == hash_with(&f, (options){.loops = 1}));
    close_shape(&f);
    shape plain = file;
    plain.exit = NULL;
    uint64_t without = hash_of_file(&plain);
    CHECK(without == hash_of_file(&file));
}

TEST(embedding_is_of_where_positions_left) {
    shape file = shape_rich;
    fixture f;
    size_t reused;
    double mean[SHAPE_DIM] = {0};
    file.threshold = 0.6f;
    REQUIRE(open_shape(&f, &file));
    rp_session *session = open_session(&f, (options){0}, RP_KV_F32, 0),
               *single = open_session(&f, (options){0}, RP_KV_F32, 1);
    REQUIRE(session && single);
    for (size_t i = 0; i < IDS; i++) {
        double squares = 0;
        CHECK_INT(rp_session_feed(single, ids + i, 1, &f.err), RP_OK);
        for (size_t k = 0; k < SHAPE_DIM; k++)
            squares += (double)single->x[k] * single->x[k];
        for (size_t k = 0; k < SHAPE_DIM; k++)
            mean[k] += single->x[k] / __builtin_sqrt(squares / SHAPE_DIM + 1e-5) * f.model->output_norm[k] / IDS;
    }
    CHECK_INT(rp_session_begin(session, ids, IDS, &reused, &f.err), RP_OK);
    rp_session_want_embedding(session);
    finish(session);
    const float *is = rp_session_embedding(session);
    REQUIRE(is);
    for (size_t k = 0; k < SHAPE_DIM; k++)
        CHECK(is[k] - mean[k] < 2e-5 && mean[k] - is[k] < 2e-5);
    rp_session_close(session);
    rp_session_close(single);
    close_shape(&f);
}

/* ---- Facts, memory, refusals --------------------------------------------------------------------------- */

static void see_flags(void *user, uint32_t visit, const rp_visit_info *v) {
    char *flags = (char *)user + 5 * visit;
    flags[0] = v->injects ? 'i' : '.';
    flags[1] = v->may_exit ? 'e' : '.';
    flags[2] = v->norm_after ? 'n' : '.';
    flags[3] = v->varies ? 'v' : '.';
    flags[4] = (char)('0' + v->attn);
}

TEST(programs_are_shown) {
    fixture f;
    char flags[64] = "";
    REQUIRE(open_shape(&f, &shape_rich));
    CHECK_INT(rp_model_program(f.model, &(options){0}, flags, see_flags, &f.err), RP_OK);
    CHECK_TEXT(flags, "....0i..v1.en.2i..v1.e..2...v3");
    memset(flags, 0, sizeof flags);
    CHECK_INT(rp_model_program(f.model, &(options){.loops = 1}, flags, see_flags, &f.err), RP_OK);
    CHECK_TEXT(flags, "....0i..v1.e..2...v3");
    memset(flags, 0, sizeof flags);
    CHECK_INT(rp_model_program(f.model, &(options){.layers = "1x2,5"}, flags, see_flags, &f.err), RP_OK);
    CHECK_TEXT(flags, "i..v1i..v1...v3");
    close_shape(&f);
}

TEST(plans_are_what_sessions_take) {
    static const options programs[] = {{0}, {.loops = 1}, {.loops = 4}, {.reuse_kv = true}, {.layers = "0-4x3,5"}};
    fixture f;
    REQUIRE(open_shape(&f, &shape_rich));
    for (size_t i = 0; i < RP_COUNT(programs); i++) {
        rp_session_options o = {.context = 100, .program = programs[i]};
        rp_session *session = NULL;
        rp_plan plan;
        uint64_t before, after, peak, scratch, kv;
        uint32_t slots;
        CHECK_INT(rp_session_defaults(f.model, &o, &f.err), RP_OK);
        CHECK_INT(rp_session_bytes(f.model, &o, 0, &scratch, &kv, &slots, &f.err), RP_OK);
        rp_model_memory(f.model, &before, &peak);
        CHECK_INT(rp_session_open(&session, f.model, &o, &f.err), RP_OK);
        rp_model_memory(f.model, &after, &peak);
        CHECK_INT(after - before, scratch + kv);
        rp_plan_options wanted = {.context = 100, .program = programs[i]};
        CHECK_INT(rp_model_plan(f.model, &wanted, &plan, &f.err), RP_OK);
        CHECK_INT(plan.kv, kv);
        CHECK_INT(plan.kv_slots, slots);
        CHECK(plan.scratch >= scratch);
        rp_session_close(session);
    }
    close_shape(&f);
}

/* A session takes what its program needs, or room for as many slots as it was told; a program that needs more and gets none leaves it
 * as it is. */
TEST(room_for_other_programs_is_asked_for) {
    static const uint32_t rooms[] = {0, 1};
    fixture f;
    REQUIRE(open_shape(&f, &shape_rich));
    rp_plan plan;
    CHECK_INT(rp_model_plan(f.model, &(rp_plan_options){.context = CONTEXT}, &plan, &f.err), RP_OK);
    for (size_t i = 0; i < RP_COUNT(rooms); i++) {
        rp_session_options o = {.context = CONTEXT, .program = {.loops = 1}, .kv_slots = rooms[i] * plan.kv_slots};
        rp_session *session = NULL;
        CHECK_INT(rp_session_open(&session, f.model, &o, &f.err), RP_OK);
        REQUIRE(session);
        CHECK_INT(rp_session_feed(session, ids, SOME, &f.err), RP_OK);
        f.host.limit = f.host.held;
        uint64_t hash = hash_of(session), key = rp_session_key(session);
        CHECK_INT(rp_session_reprogram(session, &(options){.loops = 4}, &f.err), RP_ERR_MEMORY);
        CHECK(hash_of(session) == hash && rp_session_key(session) == key);
        CHECK_INT(rp_session_reprogram(session, &(options){0}, &f.err), rooms[i] ? RP_OK : RP_ERR_MEMORY);
        finish(session);
        CHECK((hash_of(session) != hash) == (rooms[i] == 1));
        f.host.limit = UINT64_MAX;
        rp_session_close(session);
    }
    close_shape(&f);
}

TEST(keys_tell_programs_apart) {
    static const options programs[] = {{0},
                                       {.loops = 1},
                                       {.loops = 3},
                                       {.reuse_kv = true},
                                       {.layers = "0-4,5x2"},
                                       {.exit_threshold = 0.5f},
                                       {.loops = 3, .exit_threshold = 0.5f}};
    uint64_t keys[RP_COUNT(programs)];
    fixture f;
    REQUIRE(open_shape(&f, &shape_rich));
    for (size_t i = 0; i < RP_COUNT(programs); i++) {
        rp_session *session = open_session(&f, programs[i], RP_KV_F16, 0);
        REQUIRE(session);
        keys[i] = rp_session_key(session);
        for (size_t k = 0; k < i; k++)
            CHECK(keys[k] != keys[i]);
        rp_session_close(session);
    }
    close_shape(&f);
}

/* As the author of an adapter can make them. */
TEST(equal_hashes_make_no_equal_programs) {
    fixture f;
    size_t reused;
    REQUIRE(open_shape(&f, &shape_rich));
    rp_session *deep = open_session(&f, (options){.loops = 4}, RP_KV_F16, 0);
    rp_session *flat = open_session(&f, (options){.loops = 1}, RP_KV_F16, 0);
    REQUIRE(deep && flat);
    flat->program_hash = deep->program_hash;
    CHECK_INT(rp_session_feed(flat, ids, 3, &f.err), RP_OK);
    CHECK_INT(rp_session_copy(deep, flat, 3, &f.err), RP_ERR_ARGUMENT);
    rp_session *both[] = {deep, flat};
    for (size_t i = 0; i < 2; i++) {
        CHECK_INT(rp_session_rewind(both[i], 0, &f.err), RP_OK);
        CHECK_INT(rp_session_begin(both[i], ids, 1, &reused, &f.err), RP_OK);
    }
    CHECK_INT(rp_sessions_step(both, 2), 1);
    rp_session_close(deep);
    rp_session_close(flat);
    close_shape(&f);
}

TEST(bad_options_are_named) {
    static const options wrong[] = {
        {.loops = 5},
        {.loops = 2, .layers = "0-5"},
        {.layers = ""},
        {.layers = "0-6"},
        {.layers = "3-2"},
        {.layers = "0-5x0"},
        {.layers = "0-5,"},
        {.layers = "0-5 "},
        {.layers = "0--5"},
        {.layers = "-1"},
        {.layers = "99999999999999999999"},
        {.layers = "0-5x86"},  /* 516 visits */
        {.layers = "0-5x513"}, /* and a number that is none */
        {.layers = "0,3-5"},   /* injects what was not kept */
        {.exit_threshold = -0.5f},
        {.exit_threshold = 1.5f},
        {.exit_threshold = __builtin_nanf("")},
    };
    fixture f;
    REQUIRE(open_shape(&f, &shape_rich));
    for (size_t i = 0; i < RP_COUNT(wrong); i++) {
        rp_session *session = NULL;
        rp_plan plan;
        CHECK_INT(rp_session_open(&session, f.model, &(rp_session_options){.program = wrong[i]}, &f.err),
                  RP_ERR_ARGUMENT);
        CHECK(session == NULL);
        CHECK_INT(rp_model_plan(f.model, &(rp_plan_options){.program = wrong[i]}, &plan, &f.err), RP_ERR_ARGUMENT);
    }
    CHECK_INT(rp_model_plan(f.model, &(rp_plan_options){.program = {.layers = "0-5x85"}}, &(rp_plan){0}, &f.err),
              RP_OK);
    close_shape(&f);
    REQUIRE(open_shape(&f, &(shape){.map = "0101", .blocks = 2}));
    rp_session *session = NULL;
    CHECK_INT(rp_session_open(&session, f.model, &(rp_session_options){.program = {.exit_threshold = 0.5f}}, &f.err),
              RP_ERR_ARGUMENT);
    CHECK_INT(rp_session_open(&session, f.model, &(rp_session_options){.program = {.loops = 1}}, &f.err),
              RP_ERR_ARGUMENT);
    CHECK_INT(rp_session_open(&session, f.model, &(rp_session_options){.program = {.loops = 2}}, &f.err), RP_OK);
    rp_session_close(session);
    close_shape(&f);
}

TEST_MAIN(splits_agree, prompts_run_while_weights_arrive, together_is_as_alone, depth_is_a_file_of_that_depth,
          layers_are_a_file_with_that_map, layers_take_along_what_belongs_to_visits, programs_there_and_back,
          copies_between_sessions_of_other_pasts, reused_slots_are_one_a_block, reused_slots_hold_the_last_visit,
          leaving_is_a_smaller_depth, embedding_is_of_where_positions_left, programs_are_shown,
          plans_are_what_sessions_take, room_for_other_programs_is_asked_for, keys_tell_programs_apart,
          equal_hashes_make_no_equal_programs, bad_options_are_named)
