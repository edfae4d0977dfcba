/* runs: native wasm */
/* GGUF files and llama2.c checkpoints into drafts: a model that goes through the converter unchanged is the same
 * model, every truncation is refused, and a checkpoint's weights stand where run.c reads them. */
#include "convert/gguf_input.h"
#include "convert/llama2c.h"
#include "gguf_builder.h"
#include "memory_files.h"

static memory_files m;
static rp_draft draft;
static rp_error err;
static gguf_build build;

static void open_draft(const void *input, uint64_t size) {
    memory_files_open(&m);
    m.inputs[2].bytes = input;
    m.inputs[2].size = size;
    CHECK_INT(rp_draft_open(&draft, &m.files, &m.memory, &err), RP_OK);
}

static void close_draft(void) {
    rp_draft_close(&draft);
    memory_files_close(&m);
}

static exercise_result load(const uint8_t *bytes, size_t size) {
    exercise_host host = {.limit = 64 << 20};
    return exercise(bytes, size, 1000, &host);
}

/* ---- GGUF ---------------------------------------------------------------------------------------------- */

TEST(a_model_stays_itself) {
    gguf_build_small(&build);
    exercise_result before = load(build.bytes, build.size);
    REQUIRE(before.status == RP_OK);
    open_draft(build.bytes, build.size);
    CHECK_INT(rp_draft_from_gguf(&draft, 2, build.size, &err), RP_OK);
    CHECK_TEXT(draft.arch, "reprise-llama");
    CHECK_INT(draft.count, build.tensors);
    CHECK_INT(rp_keys_count(draft.keys), build.keys);
    CHECK_INT(rp_draft_write(&draft, &err), RP_OK);
    /* But for the padding, which the builder fills, and which ends its file after the last tensor's last byte. */
    REQUIRE(m.written >= build.size && m.written - build.size < 32);
    CHECK(memcmp(m.output, build.bytes, build.header_bytes) == 0);
    size_t at = build.header_bytes;
    for (size_t i = 0; i < build.tensors; i++) {
        CHECK(memcmp(m.output + at, build.bytes + at, build.tensor_bytes[i]) == 0);
        at += (size_t)rp_round_up(build.tensor_bytes[i], 32);
    }
    exercise_result after = load(m.output, m.written);
    CHECK_INT(after.status, RP_OK);
    CHECK(after.hash == before.hash);
    close_draft();
}

/* The same model with its matrices in other types loads and gives other logits. */
TEST(a_model_changes_its_types) {
    gguf_build_small(&build);
    exercise_result before = load(build.bytes, build.size);
    open_draft(build.bytes, build.size);
    REQUIRE(rp_draft_from_gguf(&draft, 2, build.size, &err) == RP_OK);
    for (size_t i = 0; i < draft.count; i++)
        if (!draft.tensors[i].vector)
            draft.tensors[i].type = draft.tensors[i].type == RP_Q4_0 ? RP_F16 : RP_Q4_0;
    CHECK_INT(rp_draft_write(&draft, &err), RP_OK);
    exercise_result after = load(m.output, m.written);
    CHECK_INT(after.status, RP_OK);
    CHECK(after.hash != before.hash);
    close_draft();
}

TEST(gguf_truncated) {
    gguf_build_small(&build);
    for (uint64_t size = 0; size < build.size; size += size < build.header_bytes ? 1 : 61) {
        open_draft(build.bytes, size);
        CHECK_INT(rp_draft_from_gguf(&draft, 2, size, &err), RP_ERR_FORMAT);
        CHECK(strstr(err.message, "file ends at byte"));
        close_draft();
    }
    open_draft(build.bytes, build.size - 1); /* shorter than it said */
    m.fail_read = 1;
    CHECK_INT(rp_draft_from_gguf(&draft, 2, build.size, &err), RP_ERR_IO);
    close_draft();
}

/* One tensor, with what the builder cannot say. */
static rp_status read_odd(uint32_t alignment, uint32_t type, const char *name, size_t name_size, uint32_t dims,
                          const char *arch) {
    gguf_build_start(&build);
    if (arch)
        gguf_build_string(&build, "general.architecture", arch);
    gguf_build_u32(&build, "general.alignment", alignment);
    gguf_build_u64_raw(&build, name_size);
    gguf_build_raw(&build, name, name_size);
    gguf_build_u32_raw(&build, dims);
    static const uint64_t shape[] = {4, 1, 1, 2};
    for (uint32_t i = 0; i < dims; i++)
        gguf_build_u64_raw(&build, shape[i]);
    gguf_build_u32_raw(&build, type);
    gguf_build_u64_raw(&build, 0);
    build.tensors = 1;
    build.bytes[8] = 1;
    build.bytes[16] = (uint8_t)build.keys;
    while (build.size % alignment)
        gguf_build_raw(&build, "", 1);
    for (int i = 0; i < 64; i++)
        gguf_build_raw(&build, "x", 1);
    open_draft(build.bytes, build.size);
    return rp_draft_from_gguf(&draft, 2, build.size, &err);
}

TEST(gguf_oddities) {
    CHECK_INT(read_odd(128, 0, "w", 1, 1, "llama"), RP_OK);
    rp_gguf_value value;
    CHECK(!rp_keys_find(draft.keys, "general.alignment", &value));
    CHECK_INT(draft.tensors[0].offset, build.size - 64);
    CHECK(draft.tensors[0].vector);
    close_draft();
    CHECK_INT(read_odd(32, 0, "w", 1, 3, "llama"), RP_OK); /* 4 x 1 x 1 */
    CHECK(!draft.tensors[0].vector);
    close_draft();
    CHECK_INT(read_odd(32, 0, "w", 1, 4, "llama"), RP_ERR_UNSUPPORTED);
    CHECK(strstr(err.message, "w: tensor of 4 x 1 x 1 x 2"));
    close_draft();
    CHECK_INT(read_odd(32, 99, "strange", 7, 1, "llama"), RP_ERR_UNSUPPORTED);
    CHECK(strstr(err.message, "strange"));
    close_draft();
    CHECK_INT(read_odd(32, 0, "a\0b", 3, 1, "llama"), RP_ERR_FORMAT);
    close_draft();
    CHECK_INT(read_odd(32, 0, "w", 1, 1, NULL), RP_ERR_FORMAT);
    CHECK(strstr(err.message, "general.architecture"));
    close_draft();
    CHECK_INT(read_odd(32, 0, "w", 1, 1, "an architecture whose name is longer than any name has ever been"),
              RP_ERR_FORMAT);
    close_draft();
}

TEST(gguf_memory_runs_out) {
    gguf_build_small(&build);
    for (uint64_t fail_at = 1; fail_at < 200; fail_at++) {
        open_draft(build.bytes, build.size);
        m.host.asked = 0;
        m.host.fail_at = fail_at;
        rp_status status = rp_draft_from_gguf(&draft, 2, build.size, &err);
        CHECK(status == RP_OK || status == RP_ERR_MEMORY);
        close_draft();
        if (status == RP_OK)
            return;
    }
    CHECK(!"no end of allocations");
}

/* ---- llama2.c ------------------------------------------------------------------------------------------ */

enum { DIM = 8, HIDDEN = 12, LAYERS = 2, HEADS = 2, KV_HEADS = 1, VOCAB = 6, CONTEXT = 10, KV_DIM = 4 };
enum {
    LAYER_FLOATS = 2 * DIM + 2 * DIM * DIM + 2 * DIM * KV_DIM + 3 * DIM * HIDDEN,
    TIED_FLOATS = VOCAB * DIM + LAYERS * LAYER_FLOATS + DIM + CONTEXT * (DIM / HEADS),
    FLOATS = TIED_FLOATS + VOCAB * DIM
};
static uint8_t checkpoint[RP_LLAMA2C_HEAD + 4 * FLOATS];

/* Each weight is its index. Returns the file's size. */
static size_t make_checkpoint(bool tied) {
    const int32_t head[7] = {DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, tied ? VOCAB : -VOCAB, CONTEXT};
    memcpy(checkpoint, head, sizeof head);
    for (size_t i = 0; i < FLOATS; i++) {
        float value = (float)i;
        memcpy(checkpoint + RP_LLAMA2C_HEAD + 4 * i, &value, 4);
    }
    return RP_LLAMA2C_HEAD + 4 * (size_t)(tied ? TIED_FLOATS : FLOATS);
}

/* In run.c's memory_map_weights: pointers that advance by each kind's size in all layers. */
static void check_weights(bool tied) {
    static const struct {
        const char *name;
        uint64_t rows, columns; /* rows 0: a vector */
    } kinds[] = {{"attn_norm", 0, DIM},     {"attn_q", DIM, DIM},      {"attn_k", KV_DIM, DIM},
                 {"attn_v", KV_DIM, DIM},   {"attn_output", DIM, DIM}, {"ffn_norm", 0, DIM},
                 {"ffn_gate", HIDDEN, DIM}, {"ffn_down", DIM, HIDDEN}, {"ffn_up", HIDDEN, DIM}};
    uint64_t at = VOCAB * DIM;
    for (size_t i = 0; i < RP_COUNT(kinds); i++)
        for (int layer = 0; layer < LAYERS; layer++) {
            char name[64];
            float values[HIDDEN * DIM];
            uint64_t rows = kinds[i].rows ? kinds[i].rows : 1;
            snprintf(name, sizeof name, "blk.%d.%s.weight", layer, kinds[i].name);
            const rp_draft_tensor *t = rp_draft_find(&draft, name);
            REQUIRE(t);
            CHECK(t->vector == (kinds[i].rows == 0) && t->rows == rows && t->columns == kinds[i].columns);
            CHECK_INT(rp_draft_rows(&draft, t, 0, t->rows, values, &err), RP_OK);
            for (size_t k = 0; k < rows * kinds[i].columns; k++)
                CHECK_INT((int64_t)values[k], (int64_t)at++);
        }
    float values[VOCAB * DIM];
    CHECK_INT(rp_draft_rows(&draft, rp_draft_find(&draft, "output_norm.weight"), 0, 1, values, &err), RP_OK);
    CHECK_INT((int64_t)values[0], (int64_t)at);
    CHECK_INT(rp_draft_rows(&draft, rp_draft_find(&draft, "token_embd.weight"), 1, 1, values, &err), RP_OK);
    CHECK_INT((int64_t)values[0], DIM);
    const rp_draft_tensor *output = rp_draft_find(&draft, "output.weight");
    REQUIRE(!output == tied);
    if (tied)
        return;
    CHECK_INT(rp_draft_rows(&draft, output, 0, VOCAB, values, &err), RP_OK);
    CHECK_INT((int64_t)values[0], TIED_FLOATS);
}

static int64_t number(const char *key) {
    rp_gguf_value value;
    return rp_keys_find(draft.keys, key, &value) ? rp_gguf_int_at(&value, 0) : -1;
}

TEST(llama2c_weights) {
    for (int tied = 0; tied < 2; tied++) {
        size_t size = make_checkpoint(tied);
        CHECK(rp_looks_like_llama2c(checkpoint, RP_LLAMA2C_HEAD, size));
        open_draft(checkpoint, size);
        CHECK_INT(rp_draft_from_llama2c(&draft, 2, size, &err), RP_OK);
        CHECK_TEXT(draft.arch, "llama");
        CHECK_INT(draft.count, 9 * LAYERS + 2 + !tied);
        check_weights(tied);
        CHECK_INT(number("llama.block_count"), LAYERS);
        CHECK_INT(number("llama.context_length"), CONTEXT);
        CHECK_INT(number("llama.embedding_length"), DIM);
        CHECK_INT(number("llama.feed_forward_length"), HIDDEN);
        CHECK_INT(number("llama.attention.head_count"), HEADS);
        CHECK_INT(number("llama.attention.head_count_kv"), KV_HEADS);
        CHECK_INT(number("llama.rope.dimension_count"), DIM / HEADS);
        CHECK_INT(number("llama.vocab_size"), VOCAB);
        close_draft();
    }
}

/* A file one weight longer or shorter, and headers that describe no model. */
TEST(llama2c_refused) {
    size_t whole = make_checkpoint(true);
    static const size_t sizes[] = {0, 27, 28, 1000};
    for (size_t i = 0; i < RP_COUNT(sizes) + 2; i++) {
        size_t size = i < RP_COUNT(sizes) ? sizes[i] : i == RP_COUNT(sizes) ? whole - 4 : whole + 4;
        open_draft(checkpoint, size);
        CHECK_INT(rp_draft_from_llama2c(&draft, 2, size, &err), RP_ERR_FORMAT);
        close_draft();
    }
    static const struct {
        size_t field;
        int32_t value;
        const char *says;
    } wrong[] = {{0, 0, "dim is 0"},           {0, -8, "dim is -8"},     {0, 0x46554747, "dim is"},
                 {0, 9, "do not fit"},         {3, 8, "do not fit"},     {4, 0, "n_kv_heads is 0"},
                 {3, 3, "do not fit"},         {2, 5000, "n_layers is"}, {5, INT32_MIN, "vocab_size is -2147483648"},
                 {6, 0x7fffffff, "seq_len is"}};
    for (size_t i = 0; i < RP_COUNT(wrong); i++) {
        make_checkpoint(true);
        memcpy(checkpoint + 4 * wrong[i].field, &wrong[i].value, 4);
        CHECK(!rp_looks_like_llama2c(checkpoint, whole, whole));
        open_draft(checkpoint, whole);
        CHECK_INT(rp_draft_from_llama2c(&draft, 2, whole, &err), RP_ERR_FORMAT);
        if (!strstr(err.message, wrong[i].says) && test_complain(__FILE__, __LINE__))
            test_print("\"%s\" does not say \"%s\"\n", err.message, wrong[i].says);
        close_draft();
    }
    gguf_build_small(&build);
    CHECK(!rp_looks_like_llama2c(build.bytes, build.size, build.size));
    make_checkpoint(true);
    CHECK(!rp_looks_like_llama2c(checkpoint, 27, whole));
}

static void set_vocabulary(size_t count) {
    rp_span tokens[512];
    static char letters[512][4];
    for (size_t i = 0; i < count; i++)
        tokens[i] = (rp_span){letters[i], rp_format(letters[i], sizeof letters[i], "%u", (unsigned)i)};
    CHECK_INT(rp_keys_set_string(draft.keys, "tokenizer.ggml.model", "llama", 5, &err), RP_OK);
    CHECK_INT(rp_keys_set_strings(draft.keys, "tokenizer.ggml.tokens", tokens, count, &err), RP_OK);
}

TEST(llama2c_runs) {
    size_t size = make_checkpoint(false);
    for (size_t i = 0; i < FLOATS; i++) {
        float value = test_random_float();
        memcpy(checkpoint + RP_LLAMA2C_HEAD + 4 * i, &value, 4);
    }
    open_draft(checkpoint, size);
    REQUIRE(rp_draft_from_llama2c(&draft, 2, size, &err) == RP_OK);
    CHECK_INT(rp_keys_set_u32(draft.keys, "llama.context_length", 64, &err), RP_OK); /* exercise wants 16 */
    set_vocabulary(VOCAB);
    CHECK_INT(rp_draft_write(&draft, &err), RP_OK);
    exercise_result result = load(m.output, m.written);
    CHECK_INT(result.status, RP_OK);
    if (result.status != RP_OK)
        test_print("%s\n", result.error.message);
    close_draft();
}

/* A real one: TinyStories, 260 thousand weights (karpathy/tinyllamas). */
TEST(stories260k) {
#ifdef __wasm__
    SKIP("there are no files here");
#else
    static uint8_t bytes[1 << 21];
    FILE *file = fopen("../shared/data/stories260k/checkpoint_legacy.bin", "rb");
    if (!file)
        SKIP("../shared/data/stories260k/checkpoint_legacy.bin is not there");
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    open_draft(bytes, size);
    CHECK(rp_looks_like_llama2c(bytes, 100, size));
    CHECK_INT(rp_draft_from_llama2c(&draft, 2, size, &err), RP_OK);
    CHECK_INT(draft.count, 5 * 9 + 2);
    CHECK_INT(number("llama.embedding_length"), 64);
    CHECK_INT(number("llama.vocab_size"), 512);
    set_vocabulary(512);
    CHECK_INT(rp_draft_write(&draft, &err), RP_OK);
    CHECK_INT(load(m.output, m.written).status, RP_OK);
    close_draft();
#endif
}

TEST_MAIN(a_model_stays_itself, a_model_changes_its_types, gguf_truncated, gguf_oddities, gguf_memory_runs_out,
          llama2c_weights, llama2c_refused, llama2c_runs, stories260k)
