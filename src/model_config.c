/* From a GGUF header's keys to rp_config. What each architecture is follows llama.cpp's loaders, which define the keys'
 * meaning; "reprise-X" is architecture X whose blocks may be shared. */
#include "model.h"

#include <string.h>

/* What an architecture fixes that no key says. */
typedef struct architecture {
    const char *name;
    rp_rope_layout rope_layout;
    rp_activation activation;
    bool qk_norm, post_norms, scales_embedding;
    uint32_t window_period, rope_skip_period;
} architecture;

static const architecture architectures[] = {
    {"llama", RP_ROPE_ADJACENT, RP_SILU, false, false, false, 0, 0},
    {"mobilellm", RP_ROPE_ADJACENT, RP_SILU, false, false, false, 0, 0},
    {"nandi", RP_ROPE_ADJACENT, RP_SILU, false, false, false, 0, 0},
    {"nanbeige", RP_ROPE_ADJACENT, RP_SILU, false, false, false, 0, 0},
    {"ouro", RP_ROPE_ADJACENT, RP_SILU, false, true, false, 0, 0},
    {"qwen2", RP_ROPE_HALVES, RP_SILU, false, false, false, 0, 0},
    {"qwen3", RP_ROPE_HALVES, RP_SILU, true, false, false, 0, 0},
    {"gemma3", RP_ROPE_HALVES, RP_GELU, true, true, true, 6, 0},
    {"smollm3", RP_ROPE_ADJACENT, RP_SILU, false, false, false, 0, 4},
};

/* NULL, with `err` filled, when there is none of the file's name. */
static const architecture *find_architecture(rp_config *c, const rp_gguf *gguf, rp_error *err) {
    rp_span name = {"", 0};
    if (rp_gguf_string(gguf, "general.architecture", &name, err) != RP_OK)
        return NULL;
    const char *prefix = "reprise-";
    size_t skip = name.size > strlen(prefix) && memcmp(name.data, prefix, strlen(prefix)) == 0 ? strlen(prefix) : 0;
    for (size_t i = 0; i < RP_COUNT(architectures); i++)
        if (rp_span_is((rp_span){name.data + skip, name.size - skip}, architectures[i].name)) {
            memcpy(c->arch, name.data, name.size);
            c->arch[name.size] = 0;
            return &architectures[i];
        }
    if (!name.size)
        rp_fail(err, RP_ERR_FORMAT, "general.architecture is missing");
    else
        rp_fail(
            err, RP_ERR_UNSUPPORTED,
            "architecture %.*s is not supported, want llama, mobilellm, nandi, nanbeige, ouro, qwen2, qwen3, gemma3 or "
            "smollm3, or one of them after reprise-",
            (int)RP_MIN(name.size, 60), name.data);
    return NULL;
}

static rp_status require_key(const rp_config *c, const rp_gguf *gguf, const char *name, rp_error *err) {
    char key[RP_KEY_SIZE];
    rp_gguf_value v;
    rp_format(key, sizeof key, "%s.%s", c->arch, name);
    return rp_gguf_find(gguf, key, &v) ? RP_OK : rp_fail(err, RP_ERR_FORMAT, "%s is missing", key);
}

/* A key of the model's architecture, range-checked. `required` ones may not be absent. */
static rp_status read_u32(const rp_config *c, const rp_gguf *gguf, const char *name, bool required, uint32_t low,
                          uint32_t high, uint32_t *out, rp_error *err) {
    char key[RP_KEY_SIZE];
    rp_gguf_value v;
    rp_format(key, sizeof key, "%s.%s", c->arch, name);
    if (required)
        RP_TRY(require_key(c, gguf, name, err));
    if (!rp_gguf_find(gguf, key, &v))
        return RP_OK;
    RP_TRY(rp_gguf_u32(gguf, key, out, err));
    if (*out < low || *out > high)
        return rp_fail(err, RP_ERR_FORMAT, "%s is %u, want %u to %u", key, *out, low, high);
    return RP_OK;
}

static rp_status read_f32(const rp_config *c, const rp_gguf *gguf, const char *name, float low, float high, float *out,
                          rp_error *err) {
    char key[RP_KEY_SIZE];
    rp_format(key, sizeof key, "%s.%s", c->arch, name);
    RP_TRY(rp_gguf_f32(gguf, key, out, err));
    if (!(*out >= low && *out <= high))
        return rp_fail(err, RP_ERR_FORMAT, "%s is %g, want %g to %g", key, (double)*out, (double)low, (double)high);
    return RP_OK;
}

static rp_status read_shape(rp_config *c, const rp_gguf *gguf, uint32_t tokenizer_vocab, rp_error *err) {
    RP_TRY(read_u32(c, gguf, "block_count", true, 1, RP_MAX_VISITS, &c->blocks, err));
    RP_TRY(read_u32(c, gguf, "context_length", true, 1, 1 << 30, &c->context, err));
    RP_TRY(read_u32(c, gguf, "embedding_length", true, 1, 1 << 20, &c->dim, err));
    RP_TRY(read_u32(c, gguf, "feed_forward_length", true, 1, 1 << 20, &c->ffn, err));
    RP_TRY(read_u32(c, gguf, "attention.head_count", true, 1, 1 << 12, &c->heads, err));
    c->kv_heads = c->heads;
    RP_TRY(read_u32(c, gguf, "attention.head_count_kv", false, 1, 1 << 12, &c->kv_heads, err));
    if (c->heads % c->kv_heads)
        return rp_fail(err, RP_ERR_FORMAT, "%u query heads over %u key/value heads, want a multiple", c->heads,
                       c->kv_heads);
    c->head_dim = c->dim / c->heads;
    bool has_key_length = false;
    char key[RP_KEY_SIZE];
    rp_gguf_value v;
    rp_format(key, sizeof key, "%s.attention.key_length", c->arch);
    has_key_length = rp_gguf_find(gguf, key, &v);
    if (!has_key_length && c->dim % c->heads)
        return rp_fail(err, RP_ERR_FORMAT, "embedding_length %u is no multiple of head_count %u", c->dim, c->heads);
    RP_TRY(read_u32(c, gguf, "attention.key_length", false, 1, 1 << 12, &c->head_dim, err));
    uint32_t value_length = c->head_dim;
    RP_TRY(read_u32(c, gguf, "attention.value_length", false, 1, 1 << 12, &value_length, err));
    if (value_length != c->head_dim)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "value_length %u differs from key_length %u", value_length,
                       c->head_dim);
    RP_TRY(read_u32(c, gguf, "embedding_rank", false, 1, c->dim, &c->embedding_rank, err));
    c->vocab = tokenizer_vocab;
    RP_TRY(read_u32(c, gguf, "vocab_size", false, 1, 1 << 24, &c->vocab, err));
    if (c->vocab != tokenizer_vocab)
        return rp_fail(err, RP_ERR_FORMAT, "vocab_size is %u, but the tokenizer has %u tokens", c->vocab,
                       tokenizer_vocab);
    return RP_OK;
}

static rp_status read_rope(rp_config *c, const rp_gguf *gguf, rp_error *err) {
    c->rope_dims = c->head_dim;
    RP_TRY(read_u32(c, gguf, "rope.dimension_count", false, 2, c->head_dim, &c->rope_dims, err));
    if (c->rope_dims % 2)
        return rp_fail(err, RP_ERR_FORMAT, "%u dimensions of a head are rotated, want an even number", c->rope_dims);
    c->rope_base = c->rope_base_local = 10000.0f;
    c->rope_scale = 1.0f;
    RP_TRY(read_f32(c, gguf, "rope.freq_base", 1.0f, 1e12f, &c->rope_base, err));
    RP_TRY(read_f32(c, gguf, "rope.freq_base_swa", 1.0f, 1e12f, &c->rope_base_local, err));
    rp_span type = {"none", 4};
    char key[RP_KEY_SIZE];
    rp_format(key, sizeof key, "%s.rope.scaling.type", c->arch);
    RP_TRY(rp_gguf_string(gguf, key, &type, err));
    float factor = 1.0f;
    RP_TRY(read_f32(c, gguf, "rope.scale_linear", 1e-6f, 1e6f, &factor, err));
    RP_TRY(read_f32(c, gguf, "rope.scaling.factor", 1e-6f, 1e6f, &factor, err));
    if (rp_span_is(type, "linear"))
        c->rope_scale = 1.0f / factor;
    else if (!rp_span_is(type, "none") && !rp_span_is(type, ""))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s is %.*s, want none or linear", key, (int)RP_MIN(type.size, 40),
                       type.data);
    return RP_OK;
}

/* Features that would change the result if they were passed over. */
static rp_status refuse_unsupported(const rp_config *c, const rp_gguf *gguf, rp_error *err) {
    static const char *const names[] = {
        "expert_count", "attn_logit_softcapping", "final_logit_softcapping",
        "logit_scale",  "residual_scale",         "attention.clamp_kqv",
    };
    for (size_t i = 0; i < RP_COUNT(names); i++) {
        char key[RP_KEY_SIZE];
        rp_gguf_value v;
        rp_format(key, sizeof key, "%s.%s", c->arch, names[i]);
        if (!rp_gguf_find(gguf, key, &v))
            continue;
        bool zero = true;
        for (size_t k = 0; k < v.size; k++)
            zero = zero && v.data[k] == 0;
        if (!zero)
            return rp_fail(err, RP_ERR_UNSUPPORTED, "%s is not supported", key);
    }
    return RP_OK;
}

static rp_status read_sandwich(rp_config *c, const rp_gguf *gguf, rp_error *err) {
    rp_span where = {"", 0};
    char key[RP_KEY_SIZE];
    rp_format(key, sizeof key, "%s.sandwich_norms", c->arch);
    RP_TRY(rp_gguf_string(gguf, key, &where, err));
    if (where.size == 0)
        return RP_OK;
    c->norms_on_sum = rp_span_is(where, "sum");
    c->post_norms = c->norms_on_sum || rp_span_is(where, "branch");
    if (!c->post_norms && !rp_span_is(where, "none"))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s is %.*s, want none, branch or sum", key,
                       (int)RP_MIN(where.size, 40), where.data);
    return RP_OK;
}

rp_status rp_config_read(rp_config *c, const rp_gguf *gguf, uint32_t tokenizer_vocab, rp_error *err) {
    const architecture *a = find_architecture(c, gguf, err);
    if (!a)
        return err->status;
    RP_TRY(refuse_unsupported(c, gguf, err));
    RP_TRY(read_shape(c, gguf, tokenizer_vocab, err));
    RP_TRY(read_rope(c, gguf, err));
    RP_TRY(require_key(c, gguf, "attention.layer_norm_rms_epsilon", err));
    RP_TRY(read_f32(c, gguf, "attention.layer_norm_rms_epsilon", 0.0f, 1.0f, &c->norm_eps, err));
    c->rope_layout = a->rope_layout;
    c->activation = a->activation;
    c->qk_norm = a->qk_norm;
    c->post_norms = a->post_norms;
    c->embedding_scale = a->scales_embedding ? __builtin_sqrtf((float)c->dim) : 1.0f;
    c->attention_scale = 1.0f / __builtin_sqrtf((float)c->head_dim);
    RP_TRY(read_f32(c, gguf, "attention.scale", 0.0f, 1e6f, &c->attention_scale, err));
    c->rope_skip_period = a->rope_skip_period;
    c->window_period = a->window_period;
    if (a->window_period)
        RP_TRY(read_u32(c, gguf, "attention.sliding_window", false, 0, 1 << 30, &c->window, err));
    char pattern[RP_KEY_SIZE];
    rp_gguf_value v;
    rp_format(pattern, sizeof pattern, "%s.attention.sliding_window_pattern", c->arch);
    if (!a->window_period && rp_gguf_find(gguf, pattern, &v))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: only gemma3 has windows", pattern);
    RP_TRY(read_f32(c, gguf, "embedding_scale", 0.0f, 1e6f, &c->embedding_scale, err));
    return read_sandwich(c, gguf, err);
}
