/* From a llama2.c checkpoint to a draft: see llama2c.h. Each kind of weight stands for all layers before the next kind.
 * run.c rotates adjacent pairs of Q and K, as llama.cpp's llama does: no row moves. */
#include "llama2c.h"

#include <string.h>

typedef struct config {
    uint32_t dim, hidden, layers, heads, kv_heads, vocab, context;
    bool tied; /* the file says it with the sign of vocab */
} config;

enum { FIELDS = 7, SHARED_SIGN = 5 };

static const struct {
    const char *name;
    uint32_t most; /* generous: models of this kind are small */
} fields[FIELDS] = {
    {"dim", 1 << 16},        {"hidden_dim", 1 << 20}, {"n_layers", 1 << 10}, {"n_heads", 1 << 12},
    {"n_kv_heads", 1 << 12}, {"vocab_size", 1 << 20}, {"seq_len", 1 << 24},
};

/* False with `err` filled when these are no sizes of a model. */
static bool read_config(const uint8_t head[RP_LLAMA2C_HEAD], config *out, rp_error *err) {
    uint32_t values[FIELDS];
    for (size_t i = 0; i < FIELDS; i++) {
        int64_t value = (int32_t)rp_load_u32(head + 4 * i);
        values[i] = (uint32_t)(i == SHARED_SIGN && value < 0 ? -value : value);
        if (values[i] == 0 || values[i] > fields[i].most) {
            rp_fail(err, RP_ERR_FORMAT, "llama2.c checkpoint: %s is %lld, want 1 to %u", fields[i].name,
                    (long long)value, fields[i].most);
            return false;
        }
    }
    *out = (config){values[0], values[1], values[2], values[3],
                    values[4], values[5], values[6], (int32_t)rp_load_u32(head + 4 * SHARED_SIGN) > 0};
    if (out->dim % out->heads == 0 && out->dim / out->heads % 2 == 0 && out->heads % out->kv_heads == 0)
        return true;
    rp_fail(err, RP_ERR_FORMAT,
            "llama2.c checkpoint: dim %u, n_heads %u and n_kv_heads %u do not fit, want heads of one even size, and as "
            "many for each KV head",
            out->dim, out->heads, out->kv_heads);
    return false;
}

bool rp_looks_like_llama2c(const uint8_t *head, size_t size, uint64_t file_size) {
    config c;
    rp_error ignored;
    return size >= RP_LLAMA2C_HEAD && file_size > RP_LLAMA2C_HEAD && read_config(head, &c, &ignored);
}

/* ---- Weights ------------------------------------------------------------------------------------------- */

/* Takes tensors off the file, one after another. */
typedef struct taker {
    rp_draft *draft;
    int file;
    uint64_t at;
    rp_error *err;
} taker;

static rp_status take(taker *t, const char *name, bool vector, uint64_t rows, uint64_t columns) {
    rp_draft_tensor *tensor = rp_draft_add(t->draft, name, t->err);
    if (!tensor)
        return t->err->status;
    tensor->vector = vector;
    tensor->rows = tensor->source_rows = rows;
    tensor->columns = tensor->source_columns = columns;
    tensor->type = tensor->source_type = RP_F32;
    tensor->file = t->file;
    tensor->offset = t->at;
    t->at += rows * columns * sizeof(float); /* the config's limits keep all sums below 2^60 */
    return RP_OK;
}

static rp_status take_each(taker *t, uint32_t layers, const char *kind, bool vector, uint64_t rows, uint64_t columns) {
    for (uint32_t layer = 0; layer < layers; layer++) {
        char name[RP_TENSOR_NAME];
        rp_format(name, sizeof name, "blk.%u.%s.weight", layer, kind);
        RP_TRY(take(t, name, vector, rows, columns));
    }
    return RP_OK;
}

static rp_status take_all(taker *t, const config *c) {
    uint64_t dim = c->dim, kv_dim = dim / c->heads * c->kv_heads;
    RP_TRY(take(t, "token_embd.weight", false, c->vocab, dim));
    RP_TRY(take_each(t, c->layers, "attn_norm", true, 1, dim));
    RP_TRY(take_each(t, c->layers, "attn_q", false, dim, dim));
    RP_TRY(take_each(t, c->layers, "attn_k", false, kv_dim, dim));
    RP_TRY(take_each(t, c->layers, "attn_v", false, kv_dim, dim));
    RP_TRY(take_each(t, c->layers, "attn_output", false, dim, dim));
    RP_TRY(take_each(t, c->layers, "ffn_norm", true, 1, dim));
    RP_TRY(take_each(t, c->layers, "ffn_gate", false, c->hidden, dim));
    RP_TRY(take_each(t, c->layers, "ffn_down", false, dim, c->hidden));
    RP_TRY(take_each(t, c->layers, "ffn_up", false, c->hidden, dim));
    RP_TRY(take(t, "output_norm.weight", true, 1, dim));
    t->at += (uint64_t)c->context * (c->dim / c->heads) * sizeof(float); /* cosines and sines, which the engine makes */
    return c->tied ? RP_OK : take(t, "output.weight", false, c->vocab, dim);
}

static rp_status set_keys(rp_draft *draft, const config *c, rp_error *err) {
    rp_keys *keys = draft->keys;
    const struct {
        const char *key;
        uint32_t value;
    } numbers[] = {
        {"llama.block_count", c->layers},
        {"llama.context_length", c->context},
        {"llama.embedding_length", c->dim},
        {"llama.feed_forward_length", c->hidden},
        {"llama.attention.head_count", c->heads},
        {"llama.attention.head_count_kv", c->kv_heads},
        {"llama.rope.dimension_count", c->dim / c->heads},
        {"llama.vocab_size", c->vocab},
    };
    RP_TRY(rp_keys_set_string(keys, "general.architecture", "llama", 5, err));
    RP_TRY(rp_keys_set_string(keys, "general.name", "llama2.c", 8, err));
    for (size_t i = 0; i < RP_COUNT(numbers); i++)
        RP_TRY(rp_keys_set_u32(keys, numbers[i].key, numbers[i].value, err));
    RP_TRY(rp_keys_set_f32(keys, "llama.attention.layer_norm_rms_epsilon", 1e-5f, err));
    memcpy(draft->arch, "llama", sizeof "llama");
    return rp_keys_set_f32(keys, "llama.rope.freq_base", 10000, err);
}

rp_status rp_draft_from_llama2c(rp_draft *draft, int file, uint64_t size, rp_error *err) {
    const rp_files *files = draft->files;
    uint8_t head[RP_LLAMA2C_HEAD];
    config c;
    if (size < sizeof head)
        return rp_fail(err, RP_ERR_FORMAT, "llama2.c checkpoint: has %llu bytes, want a header of %d",
                       (unsigned long long)size, RP_LLAMA2C_HEAD);
    if (!files->read(files->user, file, 0, head, sizeof head))
        return rp_fail(err, RP_ERR_IO, "llama2.c checkpoint: cannot read its header");
    if (!read_config(head, &c, err))
        return err->status;
    RP_TRY(set_keys(draft, &c, err));
    taker t = {.draft = draft, .file = file, .at = RP_LLAMA2C_HEAD, .err = err};
    RP_TRY(take_all(&t, &c));
    if (t.at != size)
        return rp_fail(err, RP_ERR_FORMAT, "llama2.c checkpoint: has %llu bytes, its header describes %llu",
                       (unsigned long long)size, (unsigned long long)t.at);
    return RP_OK;
}
