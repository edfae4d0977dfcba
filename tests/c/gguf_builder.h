/* Builds small GGUF files in memory for C tests: metadata first, then tensors, then gguf_build_finish.
 * Everything lies in one fixed buffer; a file that does not fit is a mistake of the test and aborts.
 * gguf_build_small makes the model that the bad-input tests start from. */
#ifndef GGUF_BUILDER_H
#define GGUF_BUILDER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GGUF_BUILD_CAPACITY = 1 << 17, GGUF_BUILD_TENSORS = 192, GGUF_BUILD_ALIGNMENT = 32 };

typedef struct gguf_build {
    uint8_t bytes[GGUF_BUILD_CAPACITY];
    size_t size;
    uint64_t keys, tensors;
    uint64_t data_bytes;                       /* offset of the next tensor's data */
    uint64_t tensor_bytes[GGUF_BUILD_TENSORS]; /* of each tensor, in order */
    size_t header_bytes;                       /* set by gguf_build_finish */
} gguf_build;

static inline void gguf_build_raw(gguf_build *build, const void *bytes, size_t size) {
    if (size > GGUF_BUILD_CAPACITY - build->size)
        abort();
    memcpy(build->bytes + build->size, bytes, size);
    build->size += size;
}
static inline void gguf_build_u32_raw(gguf_build *build, uint32_t value) {
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
    gguf_build_raw(build, bytes, 4);
}
static inline void gguf_build_u64_raw(gguf_build *build, uint64_t value) {
    gguf_build_u32_raw(build, (uint32_t)value);
    gguf_build_u32_raw(build, (uint32_t)(value >> 32));
}
static inline void gguf_build_text(gguf_build *build, const char *text) {
    gguf_build_u64_raw(build, strlen(text));
    gguf_build_raw(build, text, strlen(text));
}

static inline void gguf_build_start(gguf_build *build) {
    memset(build, 0, sizeof *build);
    gguf_build_raw(build, "GGUF", 4);
    gguf_build_u32_raw(build, 3);
    gguf_build_u64_raw(build, 0); /* tensors and keys, known at the end */
    gguf_build_u64_raw(build, 0);
}

static inline void gguf_build_key(gguf_build *build, const char *key, uint32_t type) {
    build->keys++;
    gguf_build_text(build, key);
    gguf_build_u32_raw(build, type);
}
static inline void gguf_build_u32(gguf_build *build, const char *key, uint32_t value) {
    gguf_build_key(build, key, 4);
    gguf_build_u32_raw(build, value);
}
static inline void gguf_build_f32(gguf_build *build, const char *key, float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    gguf_build_key(build, key, 6);
    gguf_build_u32_raw(build, bits);
}
static inline void gguf_build_string(gguf_build *build, const char *key, const char *value) {
    gguf_build_key(build, key, 8);
    gguf_build_text(build, value);
}
/* An array's head; its elements follow, written raw. */
static inline void gguf_build_array(gguf_build *build, const char *key, uint32_t type, uint64_t count) {
    gguf_build_key(build, key, 9);
    gguf_build_u32_raw(build, type);
    gguf_build_u64_raw(build, count);
}

/* A matrix of `rows` of `columns`, or a vector where rows is 0; `bytes` of data. */
static inline void gguf_build_tensor(gguf_build *build, const char *name, uint32_t type, uint64_t columns,
                                     uint64_t rows, uint64_t bytes) {
    if (build->tensors == GGUF_BUILD_TENSORS)
        abort();
    gguf_build_text(build, name);
    gguf_build_u32_raw(build, rows ? 2 : 1);
    gguf_build_u64_raw(build, columns);
    if (rows)
        gguf_build_u64_raw(build, rows);
    gguf_build_u32_raw(build, type);
    gguf_build_u64_raw(build, build->data_bytes);
    build->tensor_bytes[build->tensors++] = bytes;
    build->data_bytes += (bytes + GGUF_BUILD_ALIGNMENT - 1) / GGUF_BUILD_ALIGNMENT * GGUF_BUILD_ALIGNMENT;
}

/* Fills in the counts and appends data: bytes whose value in any tensor type is small and finite (0x2c: half
 * 0.065, float 2.4e-12). The file ends with the last tensor's last byte, so that every truncation misses
 * something. */
static inline void gguf_build_finish(gguf_build *build) {
    build->bytes[8] = (uint8_t)build->tensors;
    build->bytes[16] = (uint8_t)build->keys;
    while (build->size % GGUF_BUILD_ALIGNMENT)
        gguf_build_raw(build, "", 1);
    build->header_bytes = build->size;
    uint64_t last = build->tensors ? build->tensor_bytes[build->tensors - 1] : 0;
    uint64_t padded = (last + GGUF_BUILD_ALIGNMENT - 1) / GGUF_BUILD_ALIGNMENT * GGUF_BUILD_ALIGNMENT;
    uint64_t bytes = build->data_bytes - padded + last;
    for (uint64_t i = 0; i < bytes; i++)
        gguf_build_raw(build, i % 7 < 5 ? "\x2c" : "\x2d", 1);
}

static inline void gguf_build_small_keys(gguf_build *build, uint32_t dim) {
    static const char *const tokens[] = {"<unk>", "<s>", "</s>", "a", "b", "ab"};
    static const uint32_t types[] = {2, 3, 3, 1, 1, 1};
    gguf_build_string(build, "general.architecture", "reprise-llama");
    gguf_build_u32(build, "reprise-llama.context_length", 64);
    gguf_build_u32(build, "reprise-llama.embedding_length", dim);
    gguf_build_u32(build, "reprise-llama.block_count", 1);
    gguf_build_u32(build, "reprise-llama.feed_forward_length", dim);
    gguf_build_u32(build, "reprise-llama.attention.head_count", 2);
    gguf_build_u32(build, "reprise-llama.attention.head_count_kv", 1);
    gguf_build_f32(build, "reprise-llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_build_f32(build, "reprise-llama.rope.freq_base", 10000);
    gguf_build_array(build, "reprise-llama.layer_map", 4, 2);
    gguf_build_u32_raw(build, 0);
    gguf_build_u32_raw(build, 0);
    gguf_build_array(build, "reprise-llama.attention.kv_map", 5, 2);
    gguf_build_u32_raw(build, 0);
    gguf_build_u32_raw(build, 1);
    gguf_build_string(build, "tokenizer.ggml.model", "llama");
    gguf_build_array(build, "tokenizer.ggml.tokens", 8, 6);
    for (int i = 0; i < 6; i++)
        gguf_build_text(build, tokens[i]);
    gguf_build_array(build, "tokenizer.ggml.scores", 6, 6);
    for (int i = 0; i < 6; i++)
        gguf_build_u32_raw(build, 0);
    gguf_build_array(build, "tokenizer.ggml.token_type", 5, 6);
    for (int i = 0; i < 6; i++)
        gguf_build_u32_raw(build, types[i]);
    gguf_build_u32(build, "tokenizer.ggml.bos_token_id", 1);
    gguf_build_u32(build, "tokenizer.ggml.eos_token_id", 2);
}

/* A shared llama of one block visited twice, 6 tokens, five tensor types; its header is under 2 KB, the file
 * above 5 KB. */
static inline void gguf_build_small(gguf_build *build) {
    enum { DIM = 32, F32 = 0, F16 = 1, Q4_0 = 2, Q8_0 = 8, BF16 = 30 };
    gguf_build_start(build);
    gguf_build_small_keys(build, DIM);
    gguf_build_tensor(build, "token_embd.weight", Q8_0, DIM, 6, 6 * 34);
    gguf_build_tensor(build, "output_norm.weight", F32, DIM, 0, 4 * DIM);
    gguf_build_tensor(build, "blk.0.attn_norm.weight", F32, DIM, 0, 4 * DIM);
    gguf_build_tensor(build, "blk.0.attn_q.weight", Q4_0, DIM, DIM, DIM * 18);
    gguf_build_tensor(build, "blk.0.attn_k.weight", Q8_0, DIM, DIM / 2, DIM / 2 * 34);
    gguf_build_tensor(build, "blk.0.attn_v.weight", BF16, DIM, DIM / 2, DIM / 2 * 2 * DIM);
    gguf_build_tensor(build, "blk.0.attn_output.weight", F16, DIM, DIM, 2 * DIM * DIM);
    gguf_build_tensor(build, "blk.0.ffn_norm.weight", F32, DIM, 0, 4 * DIM);
    gguf_build_tensor(build, "blk.0.ffn_gate.weight", Q4_0, DIM, DIM, DIM * 18);
    gguf_build_tensor(build, "blk.0.ffn_up.weight", Q8_0, DIM, DIM, DIM * 34);
    gguf_build_tensor(build, "blk.0.ffn_down.weight", F32, DIM, DIM, 4 * DIM * DIM);
    gguf_build_finish(build);
}

#endif
