/* A small model of three blocks with random weights, in memory: its blocks are shared by a layer map or by loops, its head is
 * tied (with factors of RoPE) or not, its tensors come in the order of a real file. For tests of sessions on programs longer than their blocks. */
#ifndef LOOPED_MODEL_H
#define LOOPED_MODEL_H

#include "base.h"
#include "gguf_builder.h"
#include "test.h"

enum { LOOPED_VOCAB = 40, LOOPED_DIM = 32, LOOPED_BLOCKS = 3 };

typedef enum looped_kind { LOOPED_MAP, LOOPED_LOOPS, LOOPED_TIED, LOOPED_KINDS } looped_kind;

static void looped_keys(gguf_build *build, looped_kind kind) {
    gguf_build_string(build, "general.architecture", "reprise-llama");
    gguf_build_u32(build, "reprise-llama.context_length", 64);
    gguf_build_u32(build, "reprise-llama.embedding_length", LOOPED_DIM);
    gguf_build_u32(build, "reprise-llama.block_count", LOOPED_BLOCKS);
    gguf_build_u32(build, "reprise-llama.feed_forward_length", LOOPED_DIM);
    gguf_build_u32(build, "reprise-llama.attention.head_count", 2);
    gguf_build_u32(build, "reprise-llama.attention.head_count_kv", 1);
    gguf_build_f32(build, "reprise-llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_build_f32(build, "reprise-llama.rope.freq_base", 10000);
    if (kind == LOOPED_LOOPS) {
        gguf_build_u32(build, "reprise-llama.num_loops", 2);
    } else {
        static const uint32_t map[] = {0, 1, 2, 0, 1};
        gguf_build_array(build, "reprise-llama.layer_map", 4, 5);
        for (size_t i = 0; i < 5; i++)
            gguf_build_u32_raw(build, map[i]);
    }
    gguf_build_string(build, "tokenizer.ggml.model", "llama");
    gguf_build_array(build, "tokenizer.ggml.tokens", 8, LOOPED_VOCAB);
    for (int i = 0; i < LOOPED_VOCAB; i++) {
        char token[8];
        snprintf(token, sizeof token, "t%d", i);
        gguf_build_text(build, token);
    }
}

static void looped_tensors(gguf_build *build, looped_kind kind) {
    enum { DIM = LOOPED_DIM, F32 = 0, Q4_0 = 2, Q8_0 = 8 };
    gguf_build_tensor(build, "token_embd.weight", Q8_0, DIM, LOOPED_VOCAB, LOOPED_VOCAB * 34);
    for (int block = 0; block < LOOPED_BLOCKS; block++) {
        static const struct {
            const char *name;
            uint32_t type;
            uint64_t rows, bytes;
        } tensors[] = {
            {"attn_norm.weight", F32, 0, 4 * DIM},       {"attn_q.weight", Q4_0, DIM, 18 * DIM},
            {"attn_k.weight", Q8_0, DIM / 2, 17 * DIM},  {"attn_v.weight", Q8_0, DIM / 2, 17 * DIM},
            {"attn_output.weight", Q4_0, DIM, 18 * DIM}, {"ffn_norm.weight", F32, 0, 4 * DIM},
            {"ffn_gate.weight", Q8_0, DIM, 34 * DIM},    {"ffn_up.weight", Q4_0, DIM, 18 * DIM},
            {"ffn_down.weight", Q8_0, DIM, 34 * DIM},
        };
        for (size_t i = 0; i < RP_COUNT(tensors); i++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s", block, tensors[i].name);
            gguf_build_tensor(build, name, tensors[i].type, DIM, tensors[i].rows, tensors[i].bytes);
        }
        if (kind == LOOPED_TIED && block == 0)
            gguf_build_tensor(build, "rope_freqs.weight", F32, DIM / 4, 0, DIM);
    }
    gguf_build_tensor(build, "output_norm.weight", F32, DIM, 0, 4 * DIM);
    if (kind != LOOPED_TIED)
        gguf_build_tensor(build, "output.weight", Q8_0, DIM, LOOPED_VOCAB, LOOPED_VOCAB * 34);
}

/* Random codes, scales of a sane size; `tensor` says which by its bytes. */
static void looped_fill(uint8_t *data, uint64_t bytes) {
    bool vector = bytes == 4 * LOOPED_DIM || bytes == LOOPED_DIM;
    size_t step = vector ? 4 : bytes % 34 == 0 && bytes != 18 * LOOPED_DIM ? 34 : 18;
    for (uint64_t at = 0; at < bytes; at += step) {
        float value = 1 + 0.3f * test_random_float();
        uint16_t half = rp_f32_to_f16(step == 18 ? 0.06f : 0.004f);
        for (size_t i = 0; i < step; i++)
            data[at + i] = (uint8_t)(test_random() >> 40);
        memcpy(data + at, vector ? (const void *)&value : &half, vector ? 4 : 2);
    }
}

static void looped_build(gguf_build *build, looped_kind kind) {
    gguf_build_start(build);
    looped_keys(build, kind);
    looped_tensors(build, kind);
    gguf_build_finish(build);
    uint8_t *data = build->bytes + build->header_bytes;
    for (size_t i = 0; i < build->tensors; i++) {
        looped_fill(data, build->tensor_bytes[i]);
        data += (build->tensor_bytes[i] + GGUF_BUILD_ALIGNMENT - 1) / GGUF_BUILD_ALIGNMENT * GGUF_BUILD_ALIGNMENT;
    }
}

#endif
