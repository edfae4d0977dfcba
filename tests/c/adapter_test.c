/* runs: native wasm */
/* LoRA adapters: on, off, scaled, several at once, the bits are those of a session that never had others, and the numbers those of
 * weights into which the adapter was added; files that are wrong are named errors. */
#include "test.h"

#include "adapter.h"
#include "program_model.h"
#include "session.h"

enum { IDS = 23, CONTEXT = 64, VOCAB = SHAPE_VOCAB, KV_TYPES = RP_KV_Q8_Q4 + 1, TERMS = 8 };

/* A low-rank term of an adapter's file. */
typedef struct term {
    const char *of; /* "0.attn_q": block and matrix */
    uint32_t rank, columns, rows;
    uint32_t a_type, b_type;
} term;

typedef struct lora {
    const char *type, *kind, *arch; /* NULL: adapter, lora, llama */
    float alpha;                    /* 0: not said */
    uint32_t salt;                  /* other bytes */
    term terms[TERMS];
    const char *only; /* "a" or "b": the first term has this alone */
} lora;

static const lora lora_q = {.alpha = 6, .terms = {{"0.attn_q", 3, 32, 32, SHAPE_F16, SHAPE_F32}}};
static const lora lora_all = {.salt = 1,
                              .alpha = 8,
                              .terms = {{"0.attn_q", 4, 32, 32, SHAPE_F32, SHAPE_F32},
                                        {"0.attn_k", 1, 32, 16, SHAPE_Q8_0, SHAPE_F32},
                                        {"0.attn_v", 2, 32, 16, SHAPE_F16, SHAPE_F16},
                                        {"0.attn_output", 8, 32, 32, SHAPE_F32, SHAPE_F16},
                                        {"1.ffn_gate", 5, 32, 64, SHAPE_Q8_0, SHAPE_F16},
                                        {"1.ffn_up", 32, 32, 64, SHAPE_F32, SHAPE_Q8_0},
                                        {"1.ffn_down", 40, 64, 32, SHAPE_Q8_0, SHAPE_F32}}};
static const lora lora_wide = {.salt = 2, .terms = {{"1.attn_q", 70, 32, 32, SHAPE_F32, SHAPE_F32}}};

static const shape plain = {.map = "0011", .blocks = 2};

/* ---- Adapters' files ----------------------------------------------------------------------------------- */

static gguf_build file;

static void lora_tensor(const char *prefix, const term *t, const char *part) {
    bool is_a = strcmp(part, "lora_a") == 0;
    char name[96];
    snprintf(name, sizeof name, "%s%s.weight.%s", prefix, t->of, part);
    shape_tensor(&file, name, is_a ? t->a_type : t->b_type, is_a ? t->columns : t->rank, is_a ? t->rank : t->rows);
}

static void lora_build(const lora *l) {
    gguf_build_start(&file);
    gguf_build_string(&file, "general.type", l->type ? l->type : "adapter");
    gguf_build_string(&file, "general.architecture", l->arch ? l->arch : "llama");
    gguf_build_string(&file, "adapter.type", l->kind ? l->kind : "lora");
    if (l->alpha != 0.0f)
        gguf_build_f32(&file, "adapter.lora.alpha", l->alpha);
    for (size_t i = 0; i < TERMS && l->terms[i].of; i++) {
        if (i || !l->only || *l->only == 'a')
            lora_tensor("blk.", &l->terms[i], "lora_a");
        if (i || !l->only || *l->only == 'b')
            lora_tensor("blk.", &l->terms[i], "lora_b");
    }
    gguf_build_finish(&file);
    uint8_t *data = file.bytes + file.header_bytes;
    for (size_t i = 0; i < file.tensors; i++) {
        char name[96];
        snprintf(name, sizeof name, "%u %s", l->salt, shape_tensors[i].name);
        shape_fill_tensor(&plain, l->salt == UINT32_MAX ? shape_tensors[i].name : name, shape_tensors[i].type, data,
                          file.tensor_bytes[i]);
        data += rp_round_up(file.tensor_bytes[i], GGUF_BUILD_ALIGNMENT);
    }
}

static rp_status feed_adapter(rp_adapter *adapter, size_t size, size_t piece, rp_error *err) {
    for (size_t at = 0; at < size; at += piece)
        RP_TRY(rp_adapter_feed(adapter, file.bytes + at, RP_MIN(piece, size - at), err));
    return rp_adapter_finish(adapter, err);
}

static rp_adapter *open_adapter(fixture *f, const lora *l) {
    rp_adapter *adapter = NULL;
    lora_build(l);
    CHECK_INT(rp_adapter_open(&adapter, f->model, &f->err), RP_OK);
    if (adapter && feed_adapter(adapter, file.size, file.size, &f->err) != RP_OK) {
        test_print("%s\n", f->err.message);
        CHECK(false);
    }
    return adapter;
}

/* ---- Sessions with them -------------------------------------------------------------------------------- */

static rp_session *open_session(fixture *f, rp_kv_type kv, uint32_t chunk) {
    rp_session *session = NULL;
    rp_session_options o = {.context = CONTEXT, .kv_type = kv, .chunk = chunk};
    CHECK_INT(rp_session_open(&session, f->model, &o, &f->err), RP_OK);
    return session;
}

/* A fresh session's bits. */
static uint64_t hash_with(fixture *f, const rp_adapter_use *uses, size_t count, rp_kv_type kv, uint32_t chunk,
                          size_t step) {
    rp_session *session = open_session(f, kv, chunk);
    CHECK_INT(rp_session_use_adapters(session, uses, count, &f->err), RP_OK);
    for (size_t at = 0; at < IDS; at += step)
        CHECK_INT(rp_session_feed(session, ids + at, RP_MIN(step, IDS - at), &f->err), RP_OK);
    uint64_t hash = hash_of(session);
    CHECK(hash != 0);
    rp_session_close(session);
    return hash;
}

static uint64_t hash_one(fixture *f, const rp_adapter *adapter, float scale) {
    return hash_with(f, &(rp_adapter_use){adapter, scale}, 1, RP_KV_F16, 0, IDS);
}

TEST(splits_agree) {
    fixture f;
    REQUIRE(open_shape(&f, &plain));
    rp_adapter *all = open_adapter(&f, &lora_all), *wide = open_adapter(&f, &lora_wide);
    const rp_adapter_use uses[] = {{all, 1}, {wide, -0.5f}};
    for (int kv = 0; kv < KV_TYPES; kv++) {
        rp_kv_type type = (rp_kv_type)kv;
        uint64_t whole = hash_with(&f, uses, 2, type, 64, IDS);
        CHECK(whole == hash_with(&f, uses, 2, type, 64, 1));
        CHECK(whole == hash_with(&f, uses, 2, type, 5, IDS));
        CHECK(whole == hash_with(&f, uses, 2, type, 2, 7));
        CHECK(whole != hash_with(&f, uses, 1, type, 64, IDS));
    }
    rp_adapter_close(all);
    rp_adapter_close(wide);
    close_shape(&f);
}

TEST(on_off_and_scaled) {
    fixture f;
    REQUIRE(open_shape(&f, &plain));
    rp_adapter *adapters[] = {open_adapter(&f, &lora_q), open_adapter(&f, &lora_all), open_adapter(&f, &lora_wide)};
    static const float scales[] = {1, 0.25f, -2, 0};
    uint64_t none = hash_with(&f, NULL, 0, RP_KV_F16, 0, IDS);
    rp_session *session = open_session(&f, RP_KV_F16, 0);
    uint64_t key = rp_session_key(session);
    CHECK_INT(rp_session_feed(session, ids, IDS, &f.err), RP_OK);
    CHECK(hash_of(session) == none);
    test_now.random = 3;
    for (int i = 0; i < 40; i++) {
        rp_adapter_use uses[3];
        size_t count = test_random() % 4;
        for (size_t k = 0; k < count; k++)
            uses[k] = (rp_adapter_use){adapters[test_random() % 3], scales[test_random() % 4]};
        CHECK_INT(rp_session_use_adapters(session, uses, count, &f.err), RP_OK);
        CHECK_INT(rp_session_length(session), 0);
        CHECK(rp_session_logits(session) == NULL);
        finish(session);
        CHECK_INT(rp_session_length(session), IDS);
        CHECK(hash_of(session) == hash_with(&f, uses, count, RP_KV_F16, 0, IDS));
        bool is_off = true;
        for (size_t k = 0; k < count; k++)
            is_off &= uses[k].scale == 0.0f;
        CHECK((rp_session_key(session) == key) == is_off);
    }
    CHECK_INT(rp_session_use_adapters(session, NULL, 0, &f.err), RP_OK);
    finish(session);
    CHECK(hash_of(session) == none && rp_session_key(session) == key);
    rp_session_close(session);
    CHECK(hash_one(&f, adapters[0], 0) == none);
    CHECK(hash_one(&f, adapters[0], 1) != none);
    CHECK(hash_one(&f, adapters[0], 1) != hash_one(&f, adapters[0], 0.25f));
    for (size_t i = 0; i < 3; i++)
        rp_adapter_close(adapters[i]);
    close_shape(&f);
}

/* ---- What they compute --------------------------------------------------------------------------------- */

/* A value of a tensor of the adapter's file. */
static double value_of(const uint8_t *data, uint32_t type, size_t index) {
    float value;
    if (type == SHAPE_F32)
        memcpy(&value, data + 4 * index, 4);
    else if (type == SHAPE_F16)
        value = rp_f16_to_f32(rp_load_u16(data + 2 * index));
    else
        value =
            rp_f16_to_f32(rp_load_u16(data + index / 32 * 34)) * (float)(int8_t)data[index / 32 * 34 + 2 + index % 32];
    return value;
}

/* W += scale * alpha / rank * B A, in a model's file of floats. */
static void merge(const lora *l, float scale) {
    static gguf_build model;
    static char names[GGUF_BUILD_TENSORS][64];
    memcpy(&model, &build, sizeof model);
    for (size_t i = 0; i < model.tensors; i++)
        memcpy(names[i], shape_tensors[i].name, sizeof names[i]);
    lora_build(l);
    const uint8_t *data = file.bytes + file.header_bytes;
    for (size_t i = 0; i < TERMS && l->terms[i].of; i++) {
        const term *t = &l->terms[i];
        const uint8_t *a = data, *b = a + rp_round_up(file.tensor_bytes[2 * i], GGUF_BUILD_ALIGNMENT);
        data = b + rp_round_up(file.tensor_bytes[2 * i + 1], GGUF_BUILD_ALIGNMENT);
        char name[64];
        snprintf(name, sizeof name, "blk.%s.weight", t->of);
        uint8_t *w = model.bytes + model.header_bytes;
        for (size_t k = 0; strcmp(names[k], name) != 0; k++)
            w += rp_round_up(model.tensor_bytes[k], GGUF_BUILD_ALIGNMENT);
        double factor = scale * (l->alpha != 0.0f ? l->alpha / (float)t->rank : 1);
        for (size_t row = 0; row < t->rows; row++)
            for (size_t column = 0; column < t->columns; column++) {
                double sum = value_of(w, SHAPE_F32, row * t->columns + column);
                for (size_t k = 0; k < t->rank; k++)
                    sum += factor * value_of(b, t->b_type, row * t->rank + k) *
                           value_of(a, t->a_type, k * t->columns + column);
                float merged = (float)sum;
                memcpy(w + 4 * (row * t->columns + column), &merged, 4);
            }
    }
    memcpy(&build, &model, sizeof build);
}

/* As an adapter that quantizes nothing: error of floats alone. One in Q8_0 has its input quantized: not compared here. */
TEST(merged_weights_give_the_same_numbers) {
    static const shape floats = {.map = "0011", .blocks = 2, .is_float = true};
    lora l = lora_all;
    fixture f, merged;
    l.terms[1].a_type = l.terms[4].a_type = l.terms[6].a_type = SHAPE_F32;
    l.terms[5].b_type = SHAPE_F16;
    for (int i = 0; i < 3; i++) {
        float scale = i == 0 ? 1.0f : i == 1 ? -0.5f : 0.1f, worst = 0, moved = 0;
        REQUIRE(open_shape(&f, &floats));
        merge(&l, scale);
        REQUIRE(open_built(&merged));
        rp_adapter *adapter = open_adapter(&f, &l);
        rp_session *with = open_session(&f, RP_KV_F32, 0), *without = open_session(&f, RP_KV_F32, 0),
                   *other = open_session(&merged, RP_KV_F32, 0);
        CHECK_INT(rp_session_use_adapters(with, &(rp_adapter_use){adapter, scale}, 1, &f.err), RP_OK);
        CHECK_INT(rp_session_feed(with, ids, IDS, &f.err), RP_OK);
        CHECK_INT(rp_session_feed(without, ids, IDS, &f.err), RP_OK);
        CHECK_INT(rp_session_feed(other, ids, IDS, &f.err), RP_OK);
        for (int32_t id = 0; id < VOCAB; id++) {
            float error = rp_session_logits(with)[id] - rp_session_logits(other)[id],
                  change = rp_session_logits(without)[id] - rp_session_logits(other)[id];
            worst = RP_MAX(worst, error < 0 ? -error : error);
            moved = RP_MAX(moved, change < 0 ? -change : change);
        }
        CHECK(worst < 2e-5f && moved > 1000 * worst);
        rp_session_close(with);
        rp_session_close(without);
        rp_session_close(other);
        rp_adapter_close(adapter);
        close_shape(&f);
        close_shape(&merged);
    }
}

/* The same terms in the model's own file, of a visit, and in an adapter. */
TEST(terms_of_visits_are_as_an_adapters) {
    static const shape varied = {.map = "01", .blocks = 2, .times = 1};
    static const lora same = {.salt = UINT32_MAX,
                              .terms = {{"1.r0.attn_q", 3, 32, 32, SHAPE_F16, SHAPE_F32},
                                        {"1.r0.ffn_down", 5, 64, 32, SHAPE_Q8_0, SHAPE_F16}}};
    fixture f;
    REQUIRE(open_shape(&f, &varied));
    uint64_t want = hash_with(&f, NULL, 0, RP_KV_F16, 0, IDS);
    close_shape(&f);
    /* The twin has the norm and the bias of the visit, and the adapter has its terms under the block's name. */
    shape_build(&build, &varied);
    for (size_t i = 0; i < build.tensors; i++)
        if (strstr(shape_tensors[i].name, "lora_b"))
            memset(shape_data(&build, shape_tensors[i].name), 0, build.tensor_bytes[i]);
    REQUIRE(open_built(&f));
    lora_build(&same);
    uint8_t values[4096];
    size_t size = file.size - file.header_bytes;
    REQUIRE(size < sizeof values);
    memcpy(values, file.bytes + file.header_bytes, size);
    lora renamed = same;
    renamed.terms[0].of = "1.attn_q";
    renamed.terms[1].of = "1.ffn_down";
    lora_build(&renamed);
    memcpy(file.bytes + file.header_bytes, values, size);
    rp_adapter *adapter = NULL;
    CHECK_INT(rp_adapter_open(&adapter, f.model, &f.err), RP_OK);
    CHECK_INT(feed_adapter(adapter, file.size, file.size, &f.err), RP_OK);
    CHECK(hash_one(&f, adapter, 0) != want);
    CHECK(hash_one(&f, adapter, 1) == want);
    rp_adapter_close(adapter);
    close_shape(&f);
}

TEST(alpha_is_a_scale) {
    fixture f;
    lora twice = lora_q, without = lora_q;
    twice.alpha = 12; /* rank 3: 4, 2 and 1 */
    without.alpha = 0;
    REQUIRE(open_shape(&f, &plain));
    rp_adapter *one = open_adapter(&f, &lora_q), *two = open_adapter(&f, &twice), *none = open_adapter(&f, &without);
    CHECK(hash_one(&f, one, 2) == hash_one(&f, two, 1));
    CHECK(hash_one(&f, one, 0.5f) == hash_one(&f, none, 1));
    CHECK(rp_adapter_fingerprint(one) != rp_adapter_fingerprint(two));
    rp_adapter_close(one);
    rp_adapter_close(two);
    rp_adapter_close(none);
    close_shape(&f);
}

/* A block's adapter is on every visit of it, also where the visit has terms of its own, at every depth. */
TEST(programs_and_adapters_mix) {
    fixture f;
    REQUIRE(open_shape(&f, &shape_rich));
    rp_adapter *all = open_adapter(&f, &lora_all);
    rp_adapter_use use = {all, 0.5f};
    rp_session *session = open_session(&f, RP_KV_Q8_0, 0);
    CHECK_INT(rp_session_feed(session, ids, IDS, &f.err), RP_OK);
    for (uint32_t i = 0; i < 8; i++) {
        rp_session_options o = {.context = CONTEXT, .kv_type = RP_KV_Q8_0, .program = {.loops = 1 + i % 4}};
        rp_session *fresh = NULL;
        CHECK_INT(rp_session_open(&fresh, f.model, &o, &f.err), RP_OK);
        CHECK_INT(rp_session_use_adapters(fresh, &use, i / 4, &f.err), RP_OK);
        CHECK_INT(rp_session_feed(fresh, ids, IDS, &f.err), RP_OK);
        CHECK_INT(rp_session_reprogram(session, &o.program, &f.err), RP_OK);
        CHECK_INT(rp_session_use_adapters(session, &use, i / 4, &f.err), RP_OK);
        finish(session);
        CHECK(hash_of(session) == hash_of(fresh) && hash_of(fresh));
        CHECK(rp_session_key(session) == rp_session_key(fresh));
        rp_session_close(fresh);
    }
    rp_session_close(session);
    rp_adapter_close(all);
    close_shape(&f);
}

TEST(together_go_those_with_the_same) {
    enum { MANY = 6 };
    fixture f;
    REQUIRE(open_shape(&f, &plain));
    rp_adapter *q = open_adapter(&f, &lora_q), *all = open_adapter(&f, &lora_all);
    const rp_adapter_use uses[] = {{q, 1}, {all, 1}, {q, 1}};
    rp_session *open[MANY];
    uint64_t want[MANY];
    size_t reused;
    for (size_t i = 0; i < MANY; i++) { /* q and all; q alone; none */
        rp_session *alone = open_session(&f, RP_KV_F16, 16);
        open[i] = open_session(&f, RP_KV_F16, 16);
        CHECK_INT(rp_session_use_adapters(alone, uses, i % 3, &f.err), RP_OK);
        CHECK_INT(rp_session_use_adapters(open[i], uses, i % 3, &f.err), RP_OK);
        CHECK_INT(rp_session_feed(alone, ids, 5 + i, &f.err), RP_OK);
        CHECK_INT(rp_session_feed(open[i], ids, 4 + i, &f.err), RP_OK);
        CHECK_INT(rp_session_begin(open[i], ids, 5 + i, &reused, &f.err), RP_OK);
        want[i] = hash_of(alone);
        rp_session_close(alone);
    }
    for (size_t i = 0; i < 3; i++)
        while (!rp_session_logits(open[i])) {
            uint32_t stepped = rp_sessions_step(open + i, 4);
            CHECK_INT(stepped, 1 | 1 << 3); /* it and the one with the same adapters */
        }
    for (size_t i = 0; i < MANY; i++) {
        finish(open[i]);
        CHECK(hash_of(open[i]) == want[i]);
        rp_session_close(open[i]);
    }
    rp_adapter_close(q);
    rp_adapter_close(all);
    close_shape(&f);
}

/* Adapters whose bytes are the same and whose terms are of other matrices are not taken for one another. */
TEST(names_tell_adapters_apart) {
    fixture f;
    lora q = lora_q, o = lora_q;
    q.salt = o.salt = 5;
    o.terms[0].of = "0.attn_output";
    REQUIRE(open_shape(&f, &plain));
    lora_build(&q);
    size_t size = file.size - file.header_bytes;
    uint8_t values[2048];
    REQUIRE(size < sizeof values);
    memcpy(values, file.bytes + file.header_bytes, size);
    rp_adapter *first = open_adapter(&f, &q), *second = NULL;
    lora_build(&o);
    memcpy(file.bytes + file.header_bytes, values, size);
    CHECK_INT(rp_adapter_open(&second, f.model, &f.err), RP_OK);
    CHECK_INT(feed_adapter(second, file.size, file.size, &f.err), RP_OK);
    CHECK(rp_adapter_fingerprint(first) != rp_adapter_fingerprint(second));
    const rp_adapter_use uses[] = {{first, 1}, {first, 2}, {second, 1}};
    uint64_t keys[RP_COUNT(uses)];
    rp_session *session = open_session(&f, RP_KV_F16, 0);
    for (size_t i = 0; i < RP_COUNT(uses); i++) {
        CHECK_INT(rp_session_use_adapters(session, &uses[i], 1, &f.err), RP_OK);
        keys[i] = rp_session_key(session);
        CHECK(i == 0 || (keys[i] != keys[i - 1] && keys[i] != keys[0]));
    }
    rp_session_close(session);
    rp_adapter_close(first);
    rp_adapter_close(second);
    close_shape(&f);
}

TEST(an_adapter_at_scale_zero_is_none) {
    fixture f;
    REQUIRE(open_shape(&f, &plain));
    rp_adapter *q = open_adapter(&f, &lora_q), *all = open_adapter(&f, &lora_all);
    rp_session *session = open_session(&f, RP_KV_F16, 0);
    uint64_t none = rp_session_key(session), one;
    CHECK_INT(rp_session_use_adapters(session, &(rp_adapter_use){q, 1}, 1, &f.err), RP_OK);
    one = rp_session_key(session);
    CHECK_INT(rp_session_use_adapters(session, (rp_adapter_use[]){{all, 0}, {q, 1}, {all, -0.0f}}, 3, &f.err), RP_OK);
    CHECK(rp_session_key(session) == one && one != none);
    CHECK_INT(rp_session_use_adapters(session, &(rp_adapter_use){q, 0}, 1, &f.err), RP_OK);
    CHECK(rp_session_key(session) == none);
    rp_session_close(session);
    rp_adapter_close(q);
    rp_adapter_close(all);
    close_shape(&f);
}

/* ---- Memory and errors --------------------------------------------------------------------------------- */

TEST(plans_count_their_rank) {
    fixture f;
    REQUIRE(open_shape(&f, &plain));
    rp_adapter *q = open_adapter(&f, &lora_q), *wide = open_adapter(&f, &lora_wide);
    const rp_adapter_use uses[] = {{q, 1}, {wide, 1}};
    uint64_t before, after, peak, scratch, kv;
    uint32_t slots;
    rp_session_options o = {.context = CONTEXT};
    CHECK_INT(rp_session_defaults(f.model, &o, &f.err), RP_OK);
    CHECK_INT(rp_session_bytes(f.model, &o, rp_adapter_rank(wide), &scratch, &kv, &slots, &f.err), RP_OK);
    rp_model_memory(f.model, &before, &peak);
    rp_session *session = open_session(&f, RP_KV_F16, 0);
    CHECK_INT(rp_session_use_adapters(session, uses, 2, &f.err), RP_OK);
    rp_model_memory(f.model, &after, &peak);
    CHECK_INT(after - before, scratch + kv);
    f.host.limit = f.host.held; /* nothing more is taken */
    CHECK_INT(rp_session_use_adapters(session, uses, 1, &f.err), RP_OK);
    CHECK_INT(rp_session_use_adapters(session, uses, 2, &f.err), RP_OK);
    CHECK_INT(rp_session_feed(session, ids, IDS, &f.err), RP_OK);
    rp_session_close(session);
    rp_adapter_close(q);
    rp_adapter_close(wide);
    close_shape(&f);
}

TEST(a_session_that_gets_no_memory_stays_as_it_is) {
    fixture f;
    REQUIRE(open_shape(&f, &plain));
    rp_adapter *wide = open_adapter(&f, &lora_wide);
    rp_session *session = open_session(&f, RP_KV_F16, 0);
    CHECK_INT(rp_session_feed(session, ids, IDS, &f.err), RP_OK);
    uint64_t hash = hash_of(session), key = rp_session_key(session);
    f.host.limit = f.host.held;
    CHECK_INT(rp_session_use_adapters(session, &(rp_adapter_use){wide, 1}, 1, &f.err), RP_ERR_MEMORY);
    CHECK(hash_of(session) == hash && rp_session_key(session) == key);
    f.host.limit = UINT64_MAX;
    rp_session_close(session);
    rp_adapter_close(wide);
    close_shape(&f);
}

TEST(pieces_of_any_size) {
    static const size_t pieces[] = {1, 7, 61, 500, 1 << 20};
    fixture f;
    REQUIRE(open_shape(&f, &plain));
    rp_adapter *whole = open_adapter(&f, &lora_all);
    uint64_t want = hash_one(&f, whole, 1);
    for (size_t i = 0; i < RP_COUNT(pieces); i++) {
        rp_adapter *adapter = NULL;
        lora_build(&lora_all);
        CHECK_INT(rp_adapter_open(&adapter, f.model, &f.err), RP_OK);
        CHECK_INT(feed_adapter(adapter, file.size, pieces[i], &f.err), RP_OK);
        CHECK(rp_adapter_fingerprint(adapter) == rp_adapter_fingerprint(whole));
        CHECK(hash_one(&f, adapter, 1) == want);
        rp_adapter_close(adapter);
    }
    for (size_t size = 0; size < file.size; size += 97) {
        rp_adapter *adapter = NULL;
        CHECK_INT(rp_adapter_open(&adapter, f.model, &f.err), RP_OK);
        CHECK_INT(feed_adapter(adapter, size, 64, &f.err), RP_ERR_FORMAT);
        rp_session *session = open_session(&f, RP_KV_F16, 0);
        CHECK_INT(rp_session_use_adapters(session, &(rp_adapter_use){adapter, 1}, 1, &f.err), RP_ERR_ARGUMENT);
        rp_session_close(session);
        rp_adapter_close(adapter);
    }
    rp_adapter_close(whole);
    close_shape(&f);
}

TEST(allocations_may_fail) {
    fixture f;
    REQUIRE(open_shape(&f, &plain));
    lora_build(&lora_all);
    bool failed = true;
    for (uint64_t fail_at = 1; failed && fail_at < 100; fail_at++) {
        rp_adapter *adapter = NULL;
        uint64_t held = f.host.held;
        f.host.asked = 0;
        f.host.fail_at = fail_at;
        rp_status status = rp_adapter_open(&adapter, f.model, &f.err);
        if (status == RP_OK)
            status = feed_adapter(adapter, file.size, 64, &f.err);
        failed = status != RP_OK;
        CHECK(status == RP_OK || status == RP_ERR_MEMORY);
        rp_adapter_close(adapter);
        CHECK_INT(f.host.held, held);
    }
    CHECK(!failed);
    f.host.fail_at = 0;
    close_shape(&f);
}

TEST(wrong_files_are_named) {
    static const term q = {"0.attn_q", 3, 32, 32, SHAPE_F16, SHAPE_F32};
    static const struct {
        lora l;
        rp_status status;
        const char *mention;
    } cases[] = {
        {{.type = "model", .terms = {q}}, RP_ERR_FORMAT, "general.type"},
        {{.kind = "aloha", .terms = {q}}, RP_ERR_FORMAT, "adapter.type"},
        {{.arch = "qwen3", .terms = {q}}, RP_ERR_FORMAT, "qwen3"},
        {{.alpha = 1}, RP_ERR_FORMAT, "no terms"},
        {{.terms = {q}, .only = "a"}, RP_ERR_FORMAT, "lora_b: this tensor is missing"},
        {{.terms = {q}, .only = "b"}, RP_ERR_FORMAT, "lora_a: this tensor is missing"},
        {{.terms = {{"0.attn_q", 3, 64, 32, SHAPE_F32, SHAPE_F32}}}, RP_ERR_FORMAT, "want 32 columns"},
        {{.terms = {{"0.attn_q", 3, 32, 16, SHAPE_F32, SHAPE_F32}}}, RP_ERR_FORMAT, "want 32 rows"},
        {{.terms = {{"0.attn_q", 4097, 1, 1, SHAPE_F16, SHAPE_F32}}}, RP_ERR_FORMAT, "rank 4097"},
        {{.terms = {q, {"2.attn_q", 3, 32, 32, SHAPE_F16, SHAPE_F32}}}, RP_ERR_UNSUPPORTED, "blk.2.attn_q"},
        {{.terms = {q, {"0.attn_norm", 3, 32, 1, SHAPE_F16, SHAPE_F32}}}, RP_ERR_UNSUPPORTED, "attn_norm"},
    };
    fixture f;
    REQUIRE(open_shape(&f, &plain));
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        rp_adapter *adapter = NULL;
        lora_build(&cases[i].l);
        CHECK_INT(rp_adapter_open(&adapter, f.model, &f.err), RP_OK);
        CHECK_INT(feed_adapter(adapter, file.size, file.size, &f.err), cases[i].status);
        CHECK(strstr(f.err.message, cases[i].mention));
        if (!strstr(f.err.message, cases[i].mention))
            test_print("%s\n", f.err.message);
        rp_adapter_close(adapter);
    }
    close_shape(&f);
}

TEST(wrong_uses_are_named) {
    fixture f, g;
    REQUIRE(open_shape(&f, &plain));
    REQUIRE(open_shape(&g, &plain));
    rp_adapter *ours = open_adapter(&f, &lora_q), *theirs = open_adapter(&g, &lora_q);
    rp_adapter_use many[RP_ADAPTERS_MOST + 1];
    for (size_t i = 0; i <= RP_ADAPTERS_MOST; i++)
        many[i] = (rp_adapter_use){ours, 0.1f};
    rp_session *session = open_session(&f, RP_KV_F16, 0);
    CHECK_INT(rp_session_feed(session, ids, IDS, &f.err), RP_OK);
    uint64_t hash = hash_of(session);
    CHECK_INT(rp_session_use_adapters(session, &(rp_adapter_use){theirs, 1}, 1, &f.err), RP_ERR_ARGUMENT);
    CHECK_INT(rp_session_use_adapters(session, &(rp_adapter_use){ours, __builtin_nanf("")}, 1, &f.err),
              RP_ERR_ARGUMENT);
    CHECK_INT(rp_session_use_adapters(session, &(rp_adapter_use){ours, 1e30f}, 1, &f.err), RP_ERR_ARGUMENT);
    CHECK_INT(rp_session_use_adapters(session, many, RP_ADAPTERS_MOST + 1, &f.err), RP_ERR_ARGUMENT);
    CHECK(hash_of(session) == hash);
    CHECK_INT(rp_session_use_adapters(session, many, RP_ADAPTERS_MOST, &f.err), RP_OK);
    finish(session);
    CHECK(hash_of(session) != hash);
    rp_session_close(session);
    rp_adapter_close(ours);
    rp_adapter_close(theirs);
    close_shape(&g);
    rp_model *fresh = NULL;
    rp_adapter *early = NULL;
    CHECK_INT(rp_model_open(&fresh, &(rp_model_options){0}, &f.err), RP_OK);
    CHECK_INT(rp_adapter_open(&early, fresh, &f.err), RP_ERR_ARGUMENT);
    CHECK(early == NULL);
    rp_model_close(fresh);
    close_shape(&f);
}

TEST_MAIN(splits_agree, an_adapter_at_scale_zero_is_none, on_off_and_scaled, merged_weights_give_the_same_numbers,
          terms_of_visits_are_as_an_adapters, alpha_is_a_scale, programs_and_adapters_mix,
          together_go_those_with_the_same, names_tell_adapters_apart, plans_count_their_rank,
          a_session_that_gets_no_memory_stays_as_it_is, pieces_of_any_size, allocations_may_fail, wrong_files_are_named,
          wrong_uses_are_named)
