/* LoRA adapters in llama.cpp's files (convert_lora_to_gguf.py): general.type "adapter", adapter.type "lora", adapter.lora.alpha, and for
 * each matrix W that is adapted W.lora_a and W.lora_b. A term's scale is alpha / rank (1 where alpha is 0). */
#include "adapter.h"

#include <string.h>

struct rp_adapter {
    const rp_model *model;
    rp_gguf *gguf;
    rp_low_rank *terms; /* (blocks, RP_TARGETS) */
    rp_weights weights;
    uint32_t rank, ready;
    bool has_header;
};

static size_t term_count(const rp_adapter *a) {
    return (size_t)a->model->config.blocks * RP_TARGETS;
}

rp_status rp_adapter_open(rp_adapter **out, const rp_model *model, rp_error *err) {
    rp_memory *memory = rp_model_memory_of(model);
    *out = NULL;
    if (model->state < RP_LOAD_WEIGHTS)
        return rp_fail(err, RP_ERR_ARGUMENT, "an adapter needs the whole header of a model");
    rp_adapter *a = rp_alloc(memory, 1, sizeof *a, "adapter", err);
    if (!a)
        return err->status;
    a->model = model;
    a->weights.fingerprint = RP_HASH_START;
    a->terms = rp_alloc(memory, term_count(a), sizeof *a->terms, "adapter's terms", err);
    if (!a->terms || rp_gguf_open(&a->gguf, memory, err) != RP_OK) {
        rp_adapter_close(a);
        return err->status;
    }
    *out = a;
    return RP_OK;
}

void rp_adapter_close(rp_adapter *a) {
    if (!a)
        return;
    rp_memory *memory = rp_model_memory_of(a->model);
    rp_weights_close(&a->weights, memory);
    rp_release(memory, a->terms, term_count(a), sizeof *a->terms);
    rp_gguf_close(a->gguf);
    rp_release(memory, a, 1, sizeof *a);
}

static rp_span plain_name(rp_span name) {
    const char prefix[] = "reprise-";
    size_t skip =
        name.size > sizeof prefix - 1 && memcmp(name.data, prefix, sizeof prefix - 1) == 0 ? sizeof prefix - 1 : 0;
    return (rp_span){name.data + skip, name.size - skip};
}

static rp_status check_keys(const rp_adapter *a, float *alpha, rp_error *err) {
    rp_span type = {"", 0}, kind = {"", 0}, arch = {"", 0};
    RP_TRY(rp_gguf_string(a->gguf, "general.type", &type, err));
    RP_TRY(rp_gguf_string(a->gguf, "adapter.type", &kind, err));
    RP_TRY(rp_gguf_string(a->gguf, "general.architecture", &arch, err));
    RP_TRY(rp_gguf_f32(a->gguf, "adapter.lora.alpha", alpha, err));
    if (!rp_span_is(type, "adapter") || !rp_span_is(kind, "lora"))
        return rp_fail(err, RP_ERR_FORMAT, "general.type is \"%.*s\" and adapter.type \"%.*s\", want adapter and lora",
                       (int)RP_MIN(type.size, 40), type.data, (int)RP_MIN(kind.size, 40), kind.data);
    const char *own = a->model->config.arch;
    rp_span ours = plain_name((rp_span){own, strlen(own)}), theirs = plain_name(arch);
    if (ours.size != theirs.size || memcmp(ours.data, theirs.data, ours.size) != 0)
        return rp_fail(err, RP_ERR_FORMAT, "this adapter is for architecture %.*s, the model is %s",
                       (int)RP_MIN(arch.size, 40), arch.data, own);
    return RP_OK;
}

static rp_status understand_header(rp_adapter *a, rp_error *err) {
    const rp_model *m = a->model;
    float alpha = 0.0f;
    RP_TRY(check_keys(a, &alpha, err));
    RP_TRY(rp_weights_open(&a->weights, rp_model_memory_of(m), a->gguf, err));
    for (uint32_t block = 0; block < m->config.blocks; block++)
        for (int t = 0; t < RP_TARGETS; t++) {
            char name[RP_KEY_SIZE];
            const rp_matrix *of = rp_block_matrix(&m->blocks[block], (rp_target)t);
            rp_low_rank *term = &a->terms[block * RP_TARGETS + (uint32_t)t];
            rp_format(name, sizeof name, "blk.%u.%s.weight", block, rp_target_names[t]);
            if (of->rows)
                RP_TRY(rp_low_rank_add(&a->weights, a->gguf, name, of, term, &a->ready, &a->rank, err));
            term->scale = alpha != 0.0f && term->a.rows ? alpha / (float)term->a.rows : 1.0f;
        }
    if (!a->weights.count)
        return rp_fail(err, RP_ERR_FORMAT, "this adapter has no terms for the model's matrices");
    RP_TRY(rp_weights_arrange(&a->weights, a->gguf, "this engine's adapters", err));
    a->weights.fingerprint = rp_hash_bytes(a->weights.fingerprint, &alpha, sizeof alpha);
    a->has_header = true;
    return RP_OK;
}

rp_status rp_adapter_feed(rp_adapter *a, const void *bytes, size_t size, rp_error *err) {
    const uint8_t *at = bytes;
    if (!a->has_header) {
        bool done;
        size_t used;
        RP_TRY(rp_gguf_feed(a->gguf, at, size, &used, &done, err));
        if (!done)
            return RP_OK;
        RP_TRY(understand_header(a, err));
        RP_TRY(rp_weights_take(&a->weights, rp_model_memory_of(a->model), err));
        at += used;
        size -= used;
    }
    rp_weights_feed(&a->weights, rp_model_memory_of(a->model), at, size);
    return RP_OK;
}

bool rp_adapter_is_ready(const rp_adapter *a) {
    return a->has_header && a->weights.loading == a->weights.count;
}

rp_status rp_adapter_finish(rp_adapter *a, rp_error *err) {
    if (rp_adapter_is_ready(a))
        return RP_OK;
    return rp_fail(err, RP_ERR_FORMAT,
                   a->has_header ? "the adapter's file ends before its tensors do"
                                 : "the adapter's file ends inside its header");
}

const rp_low_rank *rp_adapter_term(const rp_adapter *a, uint32_t block, rp_target target) {
    return &a->terms[block * RP_TARGETS + target];
}

uint32_t rp_adapter_rank(const rp_adapter *a) {
    return a->rank;
}

uint64_t rp_adapter_fingerprint(const rp_adapter *a) {
    return a->weights.fingerprint;
}

const rp_model *rp_adapter_model(const rp_adapter *a) {
    return a->model;
}
