/* config.json as GGUF keys, as llama.cpp's convert_hf_to_gguf.py writes them. Families are in hf_families.c. */
#include "hf.h"

#include "hf_internal.h"
#include "vocabulary.h"

#include "../math.h"

#include <string.h>

enum { CONFIG_MOST = 1 << 24 };

static void key_of(const rp_hf *hf, const char *name, char key[RP_KEY_SIZE]) {
    rp_format(key, RP_KEY_SIZE, "%s.%s", hf->arch, name);
}

rp_status rp_hf_set_u32(rp_hf *hf, const char *name, uint32_t value, rp_error *err) {
    char key[RP_KEY_SIZE];
    key_of(hf, name, key);
    return rp_keys_set_u32(hf->draft->keys, key, value, err);
}

rp_status rp_hf_set_f32(rp_hf *hf, const char *name, float value, rp_error *err) {
    char key[RP_KEY_SIZE];
    key_of(hf, name, key);
    return rp_keys_set_f32(hf->draft->keys, key, value, err);
}

rp_status rp_hf_set_bool(rp_hf *hf, const char *name, bool value, rp_error *err) {
    char key[RP_KEY_SIZE];
    key_of(hf, name, key);
    return rp_keys_set_bool(hf->draft->keys, key, value, err);
}

rp_status rp_hf_set_text(rp_hf *hf, const char *name, const char *text, rp_error *err) {
    char key[RP_KEY_SIZE];
    key_of(hf, name, key);
    return rp_keys_set_string(hf->draft->keys, key, text, strlen(text), err);
}

rp_status rp_hf_set_list(rp_hf *hf, const char *name, const uint32_t *values, size_t count, rp_error *err) {
    char key[RP_KEY_SIZE];
    key_of(hf, name, key);
    return rp_keys_set_u32s(hf->draft->keys, key, values, count, err);
}

rp_status rp_hf_set_bools(rp_hf *hf, const char *name, const bool *values, size_t count, rp_error *err) {
    char key[RP_KEY_SIZE];
    uint8_t bytes[RP_MAX_VISITS];
    key_of(hf, name, key);
    for (size_t i = 0; i < count; i++)
        bytes[i] = values[i];
    return rp_keys_set(
        hf->draft->keys, key,
        &(rp_gguf_value){.type = RP_GGUF_BOOL, .is_array = true, .count = count, .data = bytes, .size = count}, err);
}

rp_status rp_hf_refuse(const rp_hf *hf, const char *name, const char *allowed, rp_error *err) {
    const rp_json *v = rp_json_find(hf->config, name);
    bool nothing = !v || v->kind == RP_JSON_NULL || v->kind == RP_JSON_FALSE ||
                   (v->kind == RP_JSON_NUMBER && v->number == 0) ||
                   ((v->kind == RP_JSON_ARRAY || v->kind == RP_JSON_OBJECT) && v->size == 0);
    if (nothing || (allowed && rp_json_is(v, allowed)))
        return RP_OK;
    return rp_fail(err, RP_ERR_UNSUPPORTED, "config.json: %s is set%s%s, which this converter does not do", name,
                   allowed ? " and is not " : "", allowed ? allowed : "");
}

static rp_status find_family(rp_hf *hf, rp_error *err) {
    const rp_json *type = rp_json_find(hf->config, "model_type"), *classes = rp_json_find(hf->config, "architectures");
    const rp_json *class_name = classes && classes->kind == RP_JSON_ARRAY ? classes->child : NULL;
    for (size_t i = 0; i < rp_hf_family_count && type; i++) {
        const rp_hf_family *f = &rp_hf_families[i];
        if (rp_json_is(type, f->model_type) &&
            (!f->class_name || (class_name && rp_json_is(class_name, f->class_name)))) {
            hf->family = f;
            hf->arch = f->arch;
            return RP_OK;
        }
    }
    return rp_fail(err, RP_ERR_UNSUPPORTED,
                   "config.json: model_type is %.60s; known are llama, mobilellm, nandi, ouro, "
                   "nanbeige, albert_decoder, huginn_raven, reprise_looped, qwen2, qwen3, gemma3_text, smollm3",
                   type && type->kind == RP_JSON_STRING ? type->string : "missing");
}

static rp_status require(const rp_json *config, const char *name, uint32_t low, uint32_t high, uint32_t *out,
                         rp_error *err) {
    if (!rp_json_find(config, name))
        return rp_fail(err, RP_ERR_FORMAT, "config.json: %s is missing", name);
    RP_TRY(rp_json_u32(config, name, out, err));
    if (*out < low || *out > high)
        return rp_fail(err, RP_ERR_FORMAT, "config.json: %s is %u, want %u to %u", name, *out, low, high);
    return RP_OK;
}

static const char *name_or(const char *name, const char *usual) {
    return name ? name : usual;
}

static rp_status read_shape(rp_hf *hf, rp_error *err) {
    const rp_hf_names *n = &hf->family->names;
    const rp_json *c = hf->config;
    RP_TRY(require(c, name_or(n->blocks, "num_hidden_layers"), 1, RP_MAX_VISITS, &hf->blocks, err));
    RP_TRY(require(c, name_or(n->dim, "hidden_size"), 1, 1 << 20, &hf->dim, err));
    RP_TRY(require(c, "intermediate_size", 1, 1 << 20, &hf->ffn, err));
    RP_TRY(require(c, name_or(n->heads, "num_attention_heads"), 1, 1 << 12, &hf->heads, err));
    RP_TRY(require(c, "vocab_size", 1, 1 << 24, &hf->vocab, err));
    RP_TRY(require(c, name_or(n->context, "max_position_embeddings"), 1, 1 << 30, &hf->context, err));
    hf->kv_heads = hf->heads;
    RP_TRY(rp_json_u32(c, "num_key_value_heads", &hf->kv_heads, err));
    hf->head_dim = hf->dim / hf->heads;
    RP_TRY(rp_json_u32(c, "head_dim", &hf->head_dim, err));
    if (hf->kv_heads < 1 || hf->heads % hf->kv_heads || hf->head_dim < 1 || hf->head_dim > 1 << 12 || hf->head_dim % 2)
        return rp_fail(err, RP_ERR_FORMAT,
                       "config.json: %u query heads, %u key/value heads of %u: want a multiple, even", hf->heads,
                       hf->kv_heads, hf->head_dim);
    const rp_json *head = rp_json_find(c, name_or(n->tied, "tie_word_embeddings"));
    hf->tied = head && head->kind == RP_JSON_TRUE;
    return RP_OK;
}

static rp_status set_shape(rp_hf *hf, rp_error *err) {
    const rp_hf_names *n = &hf->family->names;
    const rp_json *c = hf->config;
    float eps = 1e-6f;
    RP_TRY(rp_keys_set_string(hf->draft->keys, "general.architecture", hf->arch, strlen(hf->arch), err));
    rp_format(hf->draft->arch, sizeof hf->draft->arch, "%s", hf->arch);
    RP_TRY(rp_json_f32(c, name_or(n->eps, "rms_norm_eps"), &eps, err));
    const struct {
        const char *name;
        uint32_t value;
    } numbers[] = {{"block_count", hf->blocks},
                   {"context_length", hf->context},
                   {"embedding_length", hf->dim},
                   {"feed_forward_length", hf->ffn},
                   {"attention.head_count", hf->heads},
                   {"attention.head_count_kv", hf->kv_heads},
                   {"attention.key_length", hf->head_dim},
                   {"attention.value_length", hf->head_dim},
                   {"rope.dimension_count", hf->head_dim},
                   {"vocab_size", hf->vocab}};
    for (size_t i = 0; i < RP_COUNT(numbers); i++)
        RP_TRY(rp_hf_set_u32(hf, numbers[i].name, numbers[i].value, err));
    if (hf->rank)
        RP_TRY(rp_hf_set_u32(hf, "embedding_rank", hf->rank, err));
    return rp_hf_set_f32(hf, "attention.layer_norm_rms_epsilon", eps, err);
}

/* ---- RoPE ---------------------------------------------------------------------------------------------- */

/* Llama 3's scaling as a factor for each pair, as llama.cpp stores it. */
static rp_status add_llama3_factors(rp_hf *hf, const rp_json *scaling, float base, rp_error *err) {
    float factor = 8, low = 1, high = 4;
    uint32_t original = 8192, pairs = hf->head_dim / 2;
    RP_TRY(rp_json_f32(scaling, "factor", &factor, err));
    RP_TRY(rp_json_f32(scaling, "low_freq_factor", &low, err));
    RP_TRY(rp_json_f32(scaling, "high_freq_factor", &high, err));
    RP_TRY(rp_json_u32(scaling, "original_max_position_embeddings", &original, err));
    if (!(factor >= 1 && low > 0 && high > low))
        return rp_fail(err, RP_ERR_FORMAT, "config.json: rope_scaling's factors make no sense");
    rp_draft_tensor *t = rp_draft_add(hf->draft, "rope_freqs.weight", err);
    float *values = t ? rp_draft_values(hf->draft, t, pairs, err) : NULL;
    if (!values)
        return err->status;
    for (uint32_t i = 0; i < pairs; i++) {
        double wave = 6.283185307179586 * rp_pow(base, 2.0 * i / hf->head_dim), smooth;
        if (wave < original / (double)high) {
            values[i] = 1.0f;
        } else if (wave > original / (double)low) {
            values[i] = factor;
        } else {
            smooth = (original / wave - low) / ((double)high - low);
            values[i] = (float)(1.0 / ((1 - smooth) / factor + smooth));
        }
    }
    return RP_OK;
}

/* What transformers 5 writes in place of rope_theta and rope_scaling, for all layers or for those of a type; NULL: it is not there. */
static const rp_json *rope_parameters(const rp_json *config) {
    const rp_json *all = rp_json_find(config, "rope_parameters"), *full = rp_json_find(all, "full_attention");
    const rp_json *found = full ? full : all;
    return found && found->kind == RP_JSON_OBJECT ? found : NULL;
}

static rp_status set_rope(rp_hf *hf, rp_error *err) {
    const rp_json *c = hf->config, *parameters = rope_parameters(c), *scaling;
    const char *type = "default";
    float base = 10000, factor = 1;
    RP_TRY(rp_json_f32(c, name_or(hf->family->names.rope_base, "rope_theta"), &base, err));
    RP_TRY(rp_json_f32(parameters, "rope_theta", &base, err));
    scaling = parameters ? parameters : rp_json_find(c, "rope_scaling");
    RP_TRY(rp_json_string(scaling, "type", &type, err));
    RP_TRY(rp_json_string(scaling, "rope_type", &type, err));
    RP_TRY(rp_hf_set_f32(hf, "rope.freq_base", base, err));
    if (strcmp(type, "default") == 0)
        return RP_OK;
    if (strcmp(type, "llama3") == 0)
        return add_llama3_factors(hf, scaling, base, err);
    if (strcmp(type, "linear") != 0)
        return rp_fail(err, RP_ERR_UNSUPPORTED,
                       "config.json: rope_scaling of type %.40s, want default, linear or llama3", type);
    RP_TRY(rp_json_f32(scaling, "factor", &factor, err));
    RP_TRY(rp_hf_set_text(hf, "rope.scaling.type", "linear", err));
    return rp_hf_set_f32(hf, "rope.scaling.factor", factor, err);
}

/* ---- The whole ----------------------------------------------------------------------------------------- */

static rp_status refuse_features(const rp_hf *hf, rp_error *err) {
    static const char *const features[] = {"mlp_bias",
                                           "attn_logit_softcapping",
                                           "final_logit_softcapping",
                                           "num_local_experts",
                                           "num_experts",
                                           "use_sliding_window",
                                           "logits_scaling",
                                           "residual_multiplier",
                                           "loop_share_kv",
                                           "enable_double_loop_split",
                                           "qk_layernorm",
                                           "embedding_multiplier",
                                           "use_hyper_connections",
                                           "attention_multiplier"};
    for (size_t i = 0; i < RP_COUNT(features); i++)
        RP_TRY(rp_hf_refuse(hf, features[i], NULL, err));
    bool gelu = strcmp(hf->family->arch, "reprise-gemma3") == 0;
    RP_TRY(rp_hf_refuse(hf, "hidden_act", gelu ? "gelu_pytorch_tanh" : "silu", err));
    RP_TRY(rp_hf_refuse(hf, "hidden_activation", gelu ? "gelu_pytorch_tanh" : "silu", err));
    return rp_hf_refuse(hf, "nonlin_name", "SiLU", err);
}

rp_status rp_hf_tied_by_default(rp_hf *hf, rp_error *err) {
    hf->tied = true;
    return rp_json_bool(hf->config, "tie_word_embeddings", &hf->tied, err);
}

/* What the layers are, where a family does not read that itself. */
static rp_status check_layers(const rp_hf *hf, rp_error *err) {
    const rp_json *types = rp_json_find(hf->config, "layer_types");
    float rotated = 1;
    uint32_t i = 0;
    RP_TRY(rp_json_f32(hf->config, "partial_rotary_factor", &rotated, err));
    if (rotated != 1)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "config.json: partial_rotary_factor is %g, want 1", (double)rotated);
    if (strcmp(hf->family->arch, "reprise-gemma3") == 0 || !types || types->kind != RP_JSON_ARRAY)
        return RP_OK;
    for (const rp_json *type = types->child; type; type = type->next, i++)
        if (!rp_json_is(type, "full_attention"))
            return rp_fail(err, RP_ERR_UNSUPPORTED, "config.json: layer_types[%u], want full_attention", i);
    return RP_OK;
}

/* A config that promises biases, or a family that always has them, and tensors without. */
static rp_status check_biases(const rp_hf *hf, rp_error *err) {
    static const char bias[] = ".self_attn.q_proj.bias";
    const rp_json *promise = rp_json_find(hf->config, "attention_bias");
    bool always = strcmp(hf->arch, "qwen2") == 0;
    if (!always && !(promise && promise->kind == RP_JSON_TRUE))
        return RP_OK;
    for (size_t i = 0; i < rp_safetensors_count(hf->tensors); i++) {
        const char *name = rp_safetensors_at(hf->tensors, i)->name;
        size_t length = strlen(name);
        if (length >= sizeof bias && strcmp(name + length - (sizeof bias - 1), bias) == 0)
            return RP_OK;
    }
    return rp_fail(err, RP_ERR_FORMAT, "config.json: %s, but there is no tensor *%s",
                   always ? "qwen2 has biases" : "attention_bias is true", bias);
}

static rp_status refuse_unused(const rp_hf *hf, rp_error *err) {
    for (size_t i = 0; i < rp_safetensors_count(hf->tensors); i++)
        if (!hf->used[i])
            return rp_fail(err, RP_ERR_UNSUPPORTED, "%.100s: this tensor is not known of %s models",
                           rp_safetensors_at(hf->tensors, i)->name, hf->family->model_type);
    return RP_OK;
}

static rp_status read_folder(rp_hf *hf, bool vocabulary, rp_error *err) {
    rp_draft *d = hf->draft;
    RP_TRY(find_family(hf, err));
    /* The first key of the file; the name may become a plainer one. */
    RP_TRY(rp_keys_set_string(d->keys, "general.architecture", hf->arch, strlen(hf->arch), err));
    RP_TRY(refuse_features(hf, err));
    RP_TRY(check_layers(hf, err));
    RP_TRY(read_shape(hf, err));
    RP_TRY(rp_safetensors_open(&hf->tensors, d->files, d->memory, err));
    hf->used = rp_alloc(d->memory, rp_safetensors_count(hf->tensors), sizeof *hf->used, "list of tensors", err);
    if (!hf->used)
        return err->status;
    if (hf->family->describe)
        RP_TRY(hf->family->describe(hf, err));
    RP_TRY(set_shape(hf, err)); /* describing may change block counts and the like */
    RP_TRY(set_rope(hf, err));
    RP_TRY(rp_hf_add_all(hf, err));
    RP_TRY(check_biases(hf, err));
    RP_TRY(refuse_unused(hf, err));
    return vocabulary ? rp_vocabulary_from_folder(d->keys, d->files, d->memory, hf->vocab, err) : RP_OK;
}

rp_status rp_draft_from_folder(rp_draft *draft, bool vocabulary, rp_error *err) {
    rp_hf hf = {.draft = draft, .arch = ""};
    rp_json_document *document = NULL;
    char *text = NULL;
    size_t size = 0;
    RP_TRY(rp_files_read_all(draft->files, draft->memory, "config.json", CONFIG_MOST, &text, &size, err));
    rp_status status = rp_json_read(&document, draft->memory, "config.json", text, size, err);
    rp_release(draft->memory, text, size + 1, 1);
    RP_TRY(status);
    hf.config = rp_json_root(document);
    status = read_folder(&hf, vocabulary, err);
    if (hf.tensors)
        rp_release(draft->memory, hf.used, rp_safetensors_count(hf.tensors), sizeof *hf.used);
    draft->input = hf.tensors; /* its files are read when the draft is written */
    rp_json_close(document);
    return status;
}
