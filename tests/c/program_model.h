/* Small models whose programs say all that a program can say, in memory. A tensor's bytes depend on its name alone, so that a block of
 * one file is the block of another. For tests of programs and adapters. */
#ifndef PROGRAM_MODEL_H
#define PROGRAM_MODEL_H

#include "base.h"
#include "exercise.h"
#include "gguf_builder.h"
#include "test.h"

enum { SHAPE_VOCAB = 40, SHAPE_DIM = 32, SHAPE_FFN = 64, SHAPE_HEADS = 2, SHAPE_KV_DIM = 16, SHAPE_LISTS = 3 };
enum { SHAPE_F32 = 0, SHAPE_F16 = 1, SHAPE_Q8_0 = 8 };

/* What a file says. Zero and NULL: it does not. */
typedef struct shape {
    const char *arch;                              /* NULL: reprise-llama */
    const char *map, *kv_map, *attn_map, *ffn_map; /* a digit each visit, - for none */
    uint32_t blocks;
    bool looped; /* blocks 1 to blocks - 2 are the loops, or all where there are two */
    uint32_t min, max;
    const char *injection, *norm, *exit, *sandwich;
    bool zero_start, untied, is_float, disordered;
    float threshold, gate_bias; /* the bias is there where it is not 0 */
    uint32_t times;    /* visits of block 1 that have tensors of their own: norms, a step bias, low-rank terms */
    uint32_t bias_of;  /* block that has a step bias on its first visit; 0: none */
    uint32_t rank;     /* of the embedding */
    const char *entry; /* a visit */
    const char *lists[SHAPE_LISTS]; /* injected before, normed after, exits after: a digit each */
} shape;

/* Everything at once; depth 1 to 4, the file's is 2. */
__attribute__((unused)) static const shape shape_rich = {.map = "012123",
                                                         .blocks = 4,
                                                         .looped = true,
                                                         .min = 1,
                                                         .max = 4,
                                                         .injection = "concat",
                                                         .norm = "between",
                                                         .exit = "gate",
                                                         .sandwich = "branch",
                                                         .zero_start = true,
                                                         .untied = true,
                                                         .threshold = 0.7f,
                                                         .times = 4,
                                                         .bias_of = 3,
                                                         .rank = 32};

static struct {
    char name[64];
    uint32_t type;
} shape_tensors[GGUF_BUILD_TENSORS];

static const char *shape_arch(const shape *s) {
    return s->arch ? s->arch : "reprise-llama";
}

static const char *shape_key(const shape *s, const char *name) {
    static char key[96];
    snprintf(key, sizeof key, "%s.%s", shape_arch(s), name);
    return key;
}

/* A digit each, as an array of i32. */
static void shape_digits(gguf_build *build, const shape *s, const char *name, const char *digits) {
    if (!digits)
        return;
    gguf_build_array(build, shape_key(s, name), 5, strlen(digits));
    for (const char *at = digits; *at; at++)
        gguf_build_u32_raw(build, *at == '-' ? UINT32_MAX : (uint32_t)(*at - '0'));
}

static void shape_word(gguf_build *build, const shape *s, const char *name, const char *word) {
    if (word)
        gguf_build_string(build, shape_key(s, name), word);
}

static void shape_number(gguf_build *build, const shape *s, const char *name, uint32_t number) {
    if (number)
        gguf_build_u32(build, shape_key(s, name), number);
}

static void shape_program(gguf_build *build, const shape *s) {
    shape_digits(build, s, "layer_map", s->map);
    shape_digits(build, s, "layer_map.attn", s->attn_map);
    shape_digits(build, s, "layer_map.ffn", s->ffn_map);
    shape_digits(build, s, "attention.kv_map", s->kv_map);
    if (s->looped) {
        gguf_build_u32(build, shape_key(s, "loop.first"), s->blocks > 2 ? 1 : 0);
        gguf_build_u32(build, shape_key(s, "loop.last"), s->blocks > 2 ? s->blocks - 2 : s->blocks - 1);
    }
    shape_number(build, s, "loop.min", s->min);
    shape_number(build, s, "loop.max", s->max);
    shape_word(build, s, "loop.injection", s->injection);
    shape_word(build, s, "loop.norm", s->norm);
    shape_word(build, s, "loop.exit", s->exit);
    shape_word(build, s, "sandwich_norms", s->sandwich);
    if (s->zero_start) {
        gguf_build_key(build, shape_key(s, "loop.zero_start"), 7);
        gguf_build_raw(build, "\1", 1);
    }
    if (s->threshold != 0.0f)
        gguf_build_f32(build, shape_key(s, "loop.exit_threshold"), s->threshold);
    shape_number(build, s, "embedding_rank", s->rank);
    if (s->entry)
        gguf_build_u32(build, shape_key(s, "loop.entry_visit"), (uint32_t)(*s->entry - '0'));
    shape_digits(build, s, "loop.inject_visits", s->lists[0]);
    shape_digits(build, s, "loop.norm_visits", s->lists[1]);
    shape_digits(build, s, "loop.exit_visits", s->lists[2]);
}

static void shape_keys(gguf_build *build, const shape *s) {
    gguf_build_string(build, "general.architecture", shape_arch(s));
    gguf_build_u32(build, shape_key(s, "context_length"), 64);
    gguf_build_u32(build, shape_key(s, "embedding_length"), SHAPE_DIM);
    gguf_build_u32(build, shape_key(s, "block_count"), s->blocks);
    gguf_build_u32(build, shape_key(s, "feed_forward_length"), SHAPE_FFN);
    gguf_build_u32(build, shape_key(s, "attention.head_count"), SHAPE_HEADS);
    gguf_build_u32(build, shape_key(s, "attention.head_count_kv"), 1);
    gguf_build_f32(build, shape_key(s, "attention.layer_norm_rms_epsilon"), 1e-5f);
    gguf_build_f32(build, shape_key(s, "rope.freq_base"), 100);
    shape_program(build, s);
    gguf_build_string(build, "tokenizer.ggml.model", "llama");
    gguf_build_array(build, "tokenizer.ggml.tokens", 8, SHAPE_VOCAB);
    for (int i = 0; i < SHAPE_VOCAB; i++) {
        char token[8];
        snprintf(token, sizeof token, "t%d", i);
        gguf_build_text(build, token);
    }
}

/* A tensor; a vector where `rows` is 0. */
static void shape_tensor(gguf_build *build, const char *name, uint32_t type, uint64_t columns, uint64_t rows) {
    uint64_t count = columns * (rows ? rows : 1);
    snprintf(shape_tensors[build->tensors].name, sizeof shape_tensors->name, "%s", name);
    shape_tensors[build->tensors].type = type;
    gguf_build_tensor(build, name, type, columns, rows, type == SHAPE_Q8_0 ? count / 32 * 34 : count * (type ? 2 : 4));
}

static void shape_part(gguf_build *build, const char *prefix, const char *part, uint32_t type, uint64_t columns,
                       uint64_t rows) {
    char name[96];
    snprintf(name, sizeof name, "%s%s", prefix, part);
    shape_tensor(build, name, type, columns, rows);
}

/* True when a visit in `map` (of blocks in `halves`) needs the block. */
static bool shape_uses(const char *halves, const char *slots, uint32_t block, bool writes) {
    for (size_t i = 0; halves && halves[i]; i++)
        if (halves[i] == (char)('0' + block) && !(slots && slots[i] == '-') &&
            !(writes && slots && memchr(slots, slots[i], i)))
            return true;
    return !halves;
}

static void shape_block(gguf_build *build, const shape *s, uint32_t block) {
    char prefix[16];
    uint32_t type = s->is_float ? SHAPE_F32 : SHAPE_Q8_0;
    const char *attn = s->attn_map ? s->attn_map : s->map, *ffn = s->ffn_map ? s->ffn_map : s->map;
    snprintf(prefix, sizeof prefix, "blk.%u.", block);
    if (shape_uses(attn, s->kv_map, block, false)) {
        shape_part(build, prefix, "attn_norm.weight", SHAPE_F32, SHAPE_DIM, 0);
        shape_part(build, prefix, "attn_q.weight", type, SHAPE_DIM, SHAPE_DIM);
        if (shape_uses(attn, s->kv_map, block, true)) {
            shape_part(build, prefix, "attn_k.weight", type, SHAPE_DIM, SHAPE_KV_DIM);
            shape_part(build, prefix, "attn_v.weight", type, SHAPE_DIM, SHAPE_KV_DIM);
        }
        shape_part(build, prefix, "attn_output.weight", type, SHAPE_DIM, SHAPE_DIM);
        if (s->sandwich)
            shape_part(build, prefix, "post_attention_norm.weight", SHAPE_F32, SHAPE_DIM, 0);
    }
    if (!shape_uses(ffn, NULL, block, false))
        return;
    shape_part(build, prefix, "ffn_norm.weight", SHAPE_F32, SHAPE_DIM, 0);
    shape_part(build, prefix, "ffn_gate.weight", type, SHAPE_DIM, SHAPE_FFN);
    shape_part(build, prefix, "ffn_up.weight", type, SHAPE_DIM, SHAPE_FFN);
    shape_part(build, prefix, "ffn_down.weight", type, SHAPE_FFN, SHAPE_DIM);
    if (s->sandwich)
        shape_part(build, prefix, "post_ffw_norm.weight", SHAPE_F32, SHAPE_DIM, 0);
}

static void shape_variants(gguf_build *build, const shape *s) {
    char prefix[16];
    for (uint32_t time = 0; time < s->times; time++) {
        snprintf(prefix, sizeof prefix, "blk.1.r%u.", time);
        shape_part(build, prefix, "attn_norm.weight", SHAPE_F32, SHAPE_DIM, 0);
        shape_part(build, prefix, "step.bias", SHAPE_F32, SHAPE_DIM, 0);
        shape_part(build, prefix, "attn_q.weight.lora_a", SHAPE_F16, SHAPE_DIM, 3);
        shape_part(build, prefix, "attn_q.weight.lora_b", SHAPE_F32, 3, SHAPE_DIM);
        shape_part(build, prefix, "ffn_down.weight.lora_a", SHAPE_Q8_0, SHAPE_FFN, 5);
        shape_part(build, prefix, "ffn_down.weight.lora_b", SHAPE_F16, 5, SHAPE_DIM);
    }
    if (s->bias_of) {
        snprintf(prefix, sizeof prefix, "blk.%u.r0.", s->bias_of);
        shape_part(build, prefix, "step.bias", SHAPE_F32, SHAPE_DIM, 0);
    }
}

/* In the order of a real file: the embedding, blocks, what follows them; or in one that no converter writes. */
static void shape_all(gguf_build *build, const shape *s) {
    uint32_t type = s->is_float ? SHAPE_F32 : SHAPE_Q8_0;
    uint64_t width = s->rank ? s->rank : SHAPE_DIM;
    shape_tensor(build, "token_embd.weight", type, width, SHAPE_VOCAB);
    if (s->rank && !s->disordered)
        shape_tensor(build, "token_embd_proj.weight", type, s->rank, SHAPE_DIM);
    if (s->disordered)
        shape_variants(build, s);
    for (uint32_t block = 0; block < s->blocks; block++)
        shape_block(build, s, block);
    if (!s->disordered)
        shape_variants(build, s);
    if (s->injection && strcmp(s->injection, "concat") == 0)
        shape_tensor(build, "loop_inject.weight", type, 2 * SHAPE_DIM, SHAPE_DIM);
    if (s->exit)
        shape_tensor(build, "exit_gate.weight", SHAPE_F32, SHAPE_DIM, 1);
    if (s->gate_bias != 0.0f)
        shape_tensor(build, "exit_gate.bias", SHAPE_F32, 1, 0);
    shape_tensor(build, "output_norm.weight", SHAPE_F32, SHAPE_DIM, 0);
    if (s->rank)
        shape_tensor(build, "output_proj.weight", type, SHAPE_DIM, s->rank);
    if (s->rank && s->disordered)
        shape_tensor(build, "token_embd_proj.weight", type, s->rank, SHAPE_DIM);
    if (s->untied)
        shape_tensor(build, "output.weight", type, width, SHAPE_VOCAB);
}

/* Vectors around 1, matrices around 0 with a deviation of about 0.2. */
static void shape_fill_tensor(const shape *s, const char *name, uint32_t type, uint8_t *data, uint64_t bytes) {
    bool norm = strstr(name, "norm") != NULL;
    size_t step = type == SHAPE_Q8_0 ? 34 : type == SHAPE_F16 ? 2 : 4;
    test_now.random = rp_hash_bytes(RP_HASH_START, name, strlen(name));
    for (uint64_t at = 0; at < bytes; at += step) {
        float value = norm ? 1 + 0.3f * test_random_float() : 0.35f * test_random_float();
        if (strcmp(name, "exit_gate.bias") == 0)
            value = s->gate_bias;
        uint16_t half = rp_f32_to_f16(type == SHAPE_F16 ? value : 0.003f);
        for (size_t i = 0; i < step; i++)
            data[at + i] = (uint8_t)(test_random() >> 40);
        memcpy(data + at, type == SHAPE_F32 ? (const void *)&value : &half, type == SHAPE_F32 ? 4 : 2);
    }
}

static void shape_fill(gguf_build *build, const shape *s) {
    uint8_t *data = build->bytes + build->header_bytes;
    for (size_t i = 0; i < build->tensors; i++) {
        shape_fill_tensor(s, shape_tensors[i].name, shape_tensors[i].type, data, build->tensor_bytes[i]);
        data += rp_round_up(build->tensor_bytes[i], GGUF_BUILD_ALIGNMENT);
    }
}

/* A tensor's bytes in the file that was built last, or NULL. */
static inline uint8_t *shape_data(gguf_build *build, const char *name) {
    uint8_t *data = build->bytes + build->header_bytes;
    for (size_t i = 0; i < build->tensors; i++) {
        if (strcmp(shape_tensors[i].name, name) == 0)
            return data;
        data += rp_round_up(build->tensor_bytes[i], GGUF_BUILD_ALIGNMENT);
    }
    return NULL;
}

static void shape_build(gguf_build *build, const shape *s) {
    gguf_build_start(build);
    shape_keys(build, s);
    shape_all(build, s);
    gguf_build_finish(build);
    shape_fill(build, s);
}

/* ---- A model that was opened from one, and its sessions -------------------------------------------------- */

typedef struct fixture {
    exercise_host host;
    rp_model *model;
    rp_error err;
} fixture;

enum { SHAPE_IDS = 577 };
static gguf_build build;
static int32_t ids[SHAPE_IDS];

/* Of the file in `build`, which has not been fed. */
static inline bool start_built(fixture *f) {
    *f = (fixture){.host = {.limit = UINT64_MAX}};
    test_now.random = 7;
    for (int i = 0; i < SHAPE_IDS; i++)
        ids[i] = (int32_t)(test_random() % SHAPE_VOCAB);
    rp_model_options model = {.host = {&f->host, exercise_alloc, exercise_release}};
    return rp_model_open(&f->model, &model, &f->err) == RP_OK;
}

static inline bool open_built(fixture *f) {
    bool good = start_built(f) && exercise_feed(f->model, build.bytes, build.size, 4096, &f->err) == RP_OK;
    if (!good)
        test_print("%s\n", f->err.message);
    return good;
}

static inline bool open_shape(fixture *f, const shape *s) {
    shape_build(&build, s);
    return open_built(f);
}

static inline void close_shape(fixture *f) {
    rp_model_close(f->model);
    CHECK_INT(f->host.held, 0);
    CHECK(!f->host.wrong_size);
}

static inline uint64_t hash_of(rp_session *session) {
    const float *logits = session ? rp_session_logits(session) : NULL;
    return logits ? rp_logits_hash(logits, SHAPE_VOCAB) : 0;
}

static inline void finish(rp_session *session) {
    while (rp_session_step(session) == RP_STEP_MORE)
        ;
}

#endif
