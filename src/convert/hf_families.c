/* What each family's checkpoints look like: names of tensors, names in config.json, and the program of visits. Public modeling code is the
 * source of all but albert_decoder and reprise_looped, which are this project's own (tests/golden/lib/families-own.js). */
#include "hf_internal.h"

#include "../math.h"

#include <string.h>

#define LLAMA_ATTENTION                                                                                                \
    {"self_attn.q_proj.weight", "attn_q.weight", RP_HF_Q, RP_HF_REQUIRED},                                             \
        {"self_attn.q_proj.bias", "attn_q.bias", RP_HF_Q, RP_HF_OPTIONAL},                                             \
        {"self_attn.k_proj.weight", "attn_k.weight", RP_HF_K, RP_HF_REQUIRED},                                         \
        {"self_attn.k_proj.bias", "attn_k.bias", RP_HF_K, RP_HF_OPTIONAL},                                             \
        {"self_attn.v_proj.weight", "attn_v.weight", RP_HF_V, RP_HF_REQUIRED},                                         \
        {"self_attn.v_proj.bias", "attn_v.bias", RP_HF_V, RP_HF_OPTIONAL},                                             \
        {"self_attn.o_proj.weight", "attn_output.weight", RP_HF_O, RP_HF_REQUIRED}, {                                  \
        "self_attn.o_proj.bias", "attn_output.bias", RP_HF_O, RP_HF_OPTIONAL                                           \
    }
#define QK_NORMS                                                                                                       \
    {"self_attn.q_norm.weight", "attn_q_norm.weight", RP_HF_Q_HEAD, RP_HF_REQUIRED}, {                                 \
        "self_attn.k_norm.weight", "attn_k_norm.weight", RP_HF_K_HEAD, RP_HF_REQUIRED                                  \
    }
#define LLAMA_FFN                                                                                                      \
    {"mlp.gate_proj.weight", "ffn_gate.weight", RP_HF_UP, RP_HF_REQUIRED},                                             \
        {"mlp.up_proj.weight", "ffn_up.weight", RP_HF_UP, RP_HF_REQUIRED}, {                                           \
        "mlp.down_proj.weight", "ffn_down.weight", RP_HF_DOWN, RP_HF_REQUIRED                                          \
    }
#define NORM(theirs, ours) {theirs ".weight", ours ".weight", RP_HF_DIM, RP_HF_REQUIRED}
#define END {NULL, NULL, RP_HF_DIM, RP_HF_OPTIONAL}

static const rp_hf_tensor llama_block[] = {NORM("input_layernorm", "attn_norm"), LLAMA_ATTENTION,
                                           NORM("post_attention_layernorm", "ffn_norm"), LLAMA_FFN, END};
static const rp_hf_tensor qwen3_block[] = {NORM("input_layernorm", "attn_norm"),         LLAMA_ATTENTION, QK_NORMS,
                                           NORM("post_attention_layernorm", "ffn_norm"), LLAMA_FFN,       END};
static const rp_hf_tensor gemma3_block[] = {NORM("input_layernorm", "attn_norm"),
                                            LLAMA_ATTENTION,
                                            QK_NORMS,
                                            NORM("post_attention_layernorm", "post_attention_norm"),
                                            NORM("pre_feedforward_layernorm", "ffn_norm"),
                                            LLAMA_FFN,
                                            NORM("post_feedforward_layernorm", "post_ffw_norm"),
                                            END};
/* Its post_attention_layernorm is the norm before its FFN. */
static const rp_hf_tensor ouro_block[] = {NORM("input_layernorm", "attn_norm"),
                                          LLAMA_ATTENTION,
                                          NORM("input_layernorm_2", "post_attention_norm"),
                                          NORM("post_attention_layernorm", "ffn_norm"),
                                          LLAMA_FFN,
                                          NORM("post_attention_layernorm_2", "post_ffw_norm"),
                                          END};
static const rp_hf_tensor albert_block[] = {NORM("attention.LayerNorm", "attn_norm"),
                                            {"attention.query.weight", "attn_q.weight", RP_HF_Q, RP_HF_REQUIRED},
                                            {"attention.key.weight", "attn_k.weight", RP_HF_K, RP_HF_REQUIRED},
                                            {"attention.value.weight", "attn_v.weight", RP_HF_V, RP_HF_REQUIRED},
                                            {"attention.dense.weight", "attn_output.weight", RP_HF_O, RP_HF_REQUIRED},
                                            NORM("full_layer_layer_norm", "ffn_norm"),
                                            {"ffn_gate.weight", "ffn_gate.weight", RP_HF_UP, RP_HF_REQUIRED},
                                            {"ffn.weight", "ffn_up.weight", RP_HF_UP, RP_HF_REQUIRED},
                                            {"ffn_output.weight", "ffn_down.weight", RP_HF_DOWN, RP_HF_REQUIRED},
                                            END};
static const rp_hf_tensor raven_block[] = {NORM("norm_1", "attn_norm"),
                                           {"attn.Wqkv.weight", NULL, RP_HF_FUSED_QKV, RP_HF_REQUIRED},
                                           {"attn.qk_bias", NULL, RP_HF_FUSED_BIAS, RP_HF_OPTIONAL},
                                           {"attn.proj.weight", "attn_output.weight", RP_HF_O, RP_HF_REQUIRED},
                                           NORM("norm_2", "post_attention_norm"),
                                           NORM("norm_3", "ffn_norm"),
                                           {"mlp.fc.weight", NULL, RP_HF_FUSED_FFN, RP_HF_REQUIRED},
                                           {"mlp.proj.weight", "ffn_down.weight", RP_HF_DOWN, RP_HF_REQUIRED},
                                           NORM("norm_4", "post_ffw_norm"),
                                           END};

/* ---- Programs ------------------------------------------------------------------------------------------ */

static rp_status too_long(uint64_t visits, rp_error *err) {
    return rp_fail(err, RP_ERR_UNSUPPORTED, "config.json: %llu visits, want at most %d", (unsigned long long)visits,
                   RP_MAX_VISITS);
}

/* Each block so often in a row. */
static rp_status set_in_a_row(rp_hf *hf, uint32_t times, rp_error *err) {
    uint32_t map[RP_MAX_VISITS];
    if ((uint64_t)hf->blocks * times > RP_MAX_VISITS)
        return too_long((uint64_t)hf->blocks * times, err);
    for (uint32_t i = 0; i < hf->blocks * times; i++)
        map[i] = i / times;
    return times == 1 ? RP_OK : rp_hf_set_list(hf, "layer_map", map, (size_t)hf->blocks * times, err);
}

/* Blocks first..last so often as a stack, the others once; its depth may be changed. */
static rp_status set_loops(rp_hf *hf, uint32_t first, uint32_t last, uint32_t loops, rp_error *err) {
    uint32_t map[RP_MAX_VISITS], core = last - first + 1, count = 0;
    if (loops < 1 || last >= hf->blocks || first > last)
        return rp_fail(err, RP_ERR_FORMAT, "config.json: blocks %u to %u of %u, %u times", first, last, hf->blocks,
                       loops);
    if (hf->blocks - core + (uint64_t)core * loops > RP_MAX_VISITS)
        return too_long(hf->blocks - core + (uint64_t)core * loops, err);
    for (uint32_t i = 0; i < first; i++)
        map[count++] = i;
    for (uint32_t i = 0; i < core * loops; i++)
        map[count++] = first + i % core;
    for (uint32_t i = last + 1; i < hf->blocks; i++)
        map[count++] = i;
    RP_TRY(rp_hf_set_list(hf, "layer_map", map, count, err));
    RP_TRY(rp_hf_set_u32(hf, "loop.first", first, err));
    RP_TRY(rp_hf_set_u32(hf, "loop.last", last, err));
    RP_TRY(rp_hf_set_u32(hf, "loop.min", 1, err));
    return rp_hf_set_u32(hf, "loop.max", loops, err);
}

static rp_status describe_mobilellm(rp_hf *hf, rp_error *err) {
    bool sharing = false;
    uint32_t repeats = 2;
    RP_TRY(rp_json_bool(hf->config, "share_embedding", &hf->tied, err));
    RP_TRY(rp_json_bool(hf->config, "layer_sharing", &sharing, err));
    RP_TRY(rp_json_u32(hf->config, "layer_sharing_repeats", &repeats, err));
    return set_in_a_row(hf, sharing ? RP_MAX(repeats, 1) : 1, err);
}

static rp_status describe_nandi(rp_hf *hf, rp_error *err) {
    bool sharing = false, factorized = false;
    uint32_t repeats = 1;
    RP_TRY(rp_json_bool(hf->config, "layer_sharing", &sharing, err));
    RP_TRY(rp_json_u32(hf->config, "layer_sharing_repeats", &repeats, err));
    RP_TRY(rp_json_bool(hf->config, "factorized_embedding", &factorized, err));
    if (factorized) {
        RP_TRY(rp_json_u32(hf->config, "embedding_rank", &hf->rank, err));
        if (hf->rank < 1 || hf->rank > hf->dim)
            return rp_fail(err, RP_ERR_FORMAT, "config.json: embedding_rank is %u, want 1 to %u", hf->rank, hf->dim);
        RP_TRY(
            rp_hf_add_whole(hf, "model.embedding_proj.weight", "token_embd_proj.weight", hf->dim, hf->rank, true, err));
        RP_TRY(rp_hf_add_whole(hf, "lm_head_proj.weight", "output_proj.weight", hf->rank, hf->dim, true, err));
    }
    return set_in_a_row(hf, sharing ? RP_MAX(repeats, 1) : 1, err);
}

static rp_status describe_nanbeige(rp_hf *hf, rp_error *err) {
    uint32_t loops = 1;
    bool skip = false;
    RP_TRY(rp_json_u32(hf->config, "num_loops", &loops, err));
    RP_TRY(rp_json_bool(hf->config, "skip_loop_final_norm", &skip, err));
    RP_TRY(rp_hf_set_u32(hf, "num_loops", loops, err));
    return rp_hf_set_bool(hf, "skip_loop_final_norm", skip, err);
}

static rp_status describe_ouro(rp_hf *hf, rp_error *err) {
    uint32_t loops = 4;
    float threshold = 1.0f;
    RP_TRY(rp_json_u32(hf->config, "total_ut_steps", &loops, err));
    RP_TRY(rp_json_f32(hf->config, "early_exit_threshold", &threshold, err));
    RP_TRY(rp_hf_set_u32(hf, "num_loops", loops, err));
    RP_TRY(rp_hf_set_u32(hf, "loop.min", 1, err));
    RP_TRY(rp_hf_set_u32(hf, "loop.max", loops, err));
    RP_TRY(rp_hf_set_text(hf, "loop.exit", "gate", err));
    RP_TRY(rp_hf_set_f32(hf, "loop.exit_threshold", threshold, err));
    RP_TRY(rp_hf_add_whole(hf, "model.early_exit_gate.weight", "exit_gate.weight", 1, hf->dim, true, err));
    return rp_hf_add_whole(hf, "model.early_exit_gate.bias", "exit_gate.bias", 1, 0, false, err);
}

static rp_status describe_albert(rp_hf *hf, rp_error *err) {
    uint32_t layers = hf->blocks, groups = 1, inner = 1, map[RP_MAX_VISITS], count = 0;
    RP_TRY(rp_json_u32(hf->config, "num_hidden_groups", &groups, err));
    RP_TRY(rp_json_u32(hf->config, "inner_group_num", &inner, err));
    if (groups < 1 || groups > layers || layers % groups || inner < 1 || (uint64_t)layers * inner > RP_MAX_VISITS)
        return rp_fail(err, RP_ERR_FORMAT, "config.json: %u layers in %u groups of %u", layers, groups, inner);
    for (uint32_t i = 0; i < layers; i++)
        for (uint32_t k = 0; k < inner; k++)
            map[count++] = i / (layers / groups) * inner + k;
    hf->blocks = groups * inner;
    hf->core = inner;
    RP_TRY(rp_hf_set_list(hf, "layer_map", map, count, err));
    RP_TRY(rp_json_u32(hf->config, "embedding_size", &hf->rank, err));
    if (!hf->rank)
        return RP_OK;
    RP_TRY(rp_hf_add_whole(hf, "albert.encoder.embedding_hidden_mapping_in.weight", "token_embd_proj.weight", hf->dim,
                           hf->rank, true, err));
    return rp_hf_add_whole(hf, "predictions.dense.weight", "output_proj.weight", hf->rank, hf->dim, true, err);
}

static void albert_prefix(const rp_hf *hf, uint32_t block, char *out, size_t room) {
    rp_format(out, room, "albert.encoder.albert_layer_groups.%u.albert_layers.%u.", block / hf->core, block % hf->core);
}

static bool has_no_ffn(const rp_hf *hf, uint32_t block, rp_hf_kind kind) {
    (void)hf;
    return block > 0 && (kind == RP_HF_UP || kind == RP_HF_DOWN);
}

/* One FFN for all layers, stored under layer 0 alone or under each. Its config counts KV heads, its code makes one for every query
 * head: k_proj tells. */
static rp_status describe_mobillama(rp_hf *hf, rp_error *err) {
    uint32_t map[RP_MAX_VISITS] = {0};
    const rp_safetensor *k = rp_safetensors_find(hf->tensors, "model.layers.0.self_attn.k_proj.weight");
    if (k && k->dims == 2 && k->shape[0] == (uint64_t)hf->heads * hf->head_dim)
        hf->kv_heads = hf->heads;
    if (rp_safetensors_find(hf->tensors, "model.layers.1.mlp.gate_proj.weight"))
        return RP_OK; /* --dedup finds copies */
    hf->lacks = has_no_ffn;
    hf->one_ffn = true;
    return rp_hf_set_list(hf, "layer_map.ffn", map, hf->blocks, err);
}

/* Its state begins with zeros here; where state_init says noise, its own code draws some for each token, and so another text each time. */
static rp_status describe_raven(rp_hf *hf, rp_error *err) {
    const rp_json *c = hf->config, *values = rp_json_find(c, "init_values");
    uint32_t loops = 1, coda = 0, layers = hf->blocks;
    float scale = 1.0f;
    RP_TRY(rp_json_u32(c, "n_layers_in_prelude", &hf->prelude, err));
    RP_TRY(rp_json_u32(c, "n_layers_in_recurrent_block", &hf->core, err));
    RP_TRY(rp_json_u32(c, "n_layers_in_coda", &coda, err));
    RP_TRY(rp_json_u32(c, "mean_recurrence", &loops, err));
    RP_TRY(rp_json_f32(values, "embed_scale", &scale, err));
    RP_TRY(rp_hf_refuse(hf, "injection_type", "linear", err));
    if (hf->core < 1 || hf->prelude > RP_MAX_VISITS || hf->core > RP_MAX_VISITS || coda > RP_MAX_VISITS)
        return rp_fail(err, RP_ERR_FORMAT, "config.json: %u, %u and %u layers in prelude, recurrent block and coda",
                       hf->prelude, hf->core, coda);
    hf->blocks = hf->prelude + hf->core + coda;
    if (layers != hf->blocks)
        return rp_fail(err, RP_ERR_FORMAT, "config.json: n_layers is %u, but %u, %u and %u are in the parts", layers,
                       hf->prelude, hf->core, coda);
    rp_hf_take(hf, "freqs_cis"); /* follows from the config */
    RP_TRY(set_loops(hf, hf->prelude, hf->prelude + hf->core - 1, loops, err));
    RP_TRY(rp_hf_set_text(hf, "loop.injection", "concat", err));
    RP_TRY(rp_hf_set_bool(hf, "loop.zero_start", true, err));
    RP_TRY(rp_hf_set_text(hf, "loop.norm", "end", err));
    RP_TRY(rp_hf_set_text(hf, "sandwich_norms", "sum", err));
    RP_TRY(rp_hf_set_f32(hf, "embedding_scale", scale, err));
    return rp_hf_add_whole(hf, "transformer.adapter.weight", "loop_inject.weight", hf->dim, 2 * (uint64_t)hf->dim, true,
                           err);
}

static void raven_prefix(const rp_hf *hf, uint32_t block, char *out, size_t room) {
    bool before = block < hf->prelude, looped = block < hf->prelude + hf->core;
    rp_format(out, room, "transformer.%s.%u.",
              before   ? "prelude"
              : looped ? "core_block"
                       : "coda",
              before   ? block
              : looped ? block - hf->prelude
                       : block - hf->prelude - hf->core);
}

/* What a visit has of its own. */
static rp_status add_looped_visit(rp_hf *hf, uint32_t block, uint32_t visit, rp_error *err) {
    static const struct {
        const char *theirs, *ours;
    } names[] = {{"step_bias", "step.bias"},
                 {"input_layernorm.weight", "attn_norm.weight"},
                 {"post_attention_layernorm.weight", "ffn_norm.weight"}};
    char theirs[RP_KEY_SIZE], ours[RP_KEY_SIZE];
    for (size_t i = 0; i < RP_COUNT(names); i++) {
        rp_format(theirs, sizeof theirs, "model.layers.%u.visits.%u.%s", block, visit, names[i].theirs);
        rp_format(ours, sizeof ours, "blk.%u.r%u.%s", block, visit, names[i].ours);
        RP_TRY(rp_hf_add_whole(hf, theirs, ours, hf->dim, 0, false, err));
    }
    uint64_t rows = (uint64_t)hf->heads * hf->head_dim;
    rp_format(theirs, sizeof theirs, "model.layers.%u.visits.%u.self_attn.q_proj.lora_A.weight", block, visit);
    const rp_safetensor *a = rp_safetensors_find(hf->tensors, theirs);
    uint64_t rank = a ? a->shape[0] : 0;
    if (!a)
        return RP_OK;
    rp_format(ours, sizeof ours, "blk.%u.r%u.attn_q.weight.lora_a", block, visit);
    RP_TRY(rp_hf_add_whole(hf, theirs, ours, rank, hf->dim, true, err));
    rp_format(theirs, sizeof theirs, "model.layers.%u.visits.%u.self_attn.q_proj.lora_B.weight", block, visit);
    rp_format(ours, sizeof ours, "blk.%u.r%u.attn_q.weight.lora_b", block, visit);
    RP_TRY(rp_hf_add_whole(hf, theirs, ours, rows, rank, true, err));
    rp_draft_find(hf->draft, ours)->pair_heads = hf->heads;
    return RP_OK;
}

static rp_status describe_looped(rp_hf *hf, rp_error *err) {
    uint32_t first = 0, last = hf->blocks - 1, loops = 1;
    const char *injection = "none";
    RP_TRY(rp_json_u32(hf->config, "loop_first", &first, err));
    RP_TRY(rp_json_u32(hf->config, "loop_last", &last, err));
    RP_TRY(rp_json_u32(hf->config, "num_loops", &loops, err));
    RP_TRY(rp_json_string(hf->config, "loop_injection", &injection, err));
    if (strcmp(injection, "none") != 0 && strcmp(injection, "add") != 0)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "config.json: loop_injection is %.40s, want none or add", injection);
    RP_TRY(set_loops(hf, first, last, loops, err));
    RP_TRY(rp_hf_set_text(hf, "loop.injection", injection, err));
    for (uint32_t block = first; block <= last; block++)
        for (uint32_t visit = 0; visit < loops; visit++)
            RP_TRY(add_looped_visit(hf, block, visit, err));
    return RP_OK;
}

/* ---- Gemma 3 ------------------------------------------------------------------------------------------- */

static bool reads_kv(const rp_hf *hf, uint32_t block, rp_hf_kind kind) {
    return block >= hf->own_kv && (kind == RP_HF_K || kind == RP_HF_V || kind == RP_HF_K_HEAD);
}

/* Which blocks slide: layer_types, or all but every sliding_window_pattern-th. */
static rp_status read_slides(const rp_hf *hf, bool slides[RP_MAX_VISITS], rp_error *err) {
    const rp_json *types = rp_json_find(hf->config, "layer_types"), *type;
    uint32_t period = 6, i = 0;
    RP_TRY(rp_json_u32(hf->config, "sliding_window_pattern", &period, err));
    if (!types || types->kind != RP_JSON_ARRAY) {
        for (; i < hf->blocks; i++)
            slides[i] = period && (i + 1) % period != 0;
        return RP_OK;
    }
    for (type = types->child; type && i < hf->blocks; type = type->next, i++) {
        slides[i] = rp_json_is(type, "sliding_attention");
        if (!slides[i] && !rp_json_is(type, "full_attention"))
            return rp_fail(err, RP_ERR_UNSUPPORTED,
                           "config.json: layer_types[%u], want sliding_attention or full_attention", i);
    }
    return i == hf->blocks && !type
               ? RP_OK
               : rp_fail(err, RP_ERR_FORMAT, "config.json: layer_types has not %u entries", hf->blocks);
}

/* The last `shared` blocks read what the last block before them of their own kind wrote (Gemma 3n). */
static rp_status set_kv_map(rp_hf *hf, uint32_t shared, const bool *slides, rp_error *err) {
    int32_t map[RP_MAX_VISITS];
    char key[RP_KEY_SIZE];
    if (shared >= hf->blocks)
        return rp_fail(err, RP_ERR_FORMAT, "config.json: num_kv_shared_layers is %u, want below %u", shared,
                       hf->blocks);
    hf->own_kv = hf->blocks - shared;
    hf->lacks = reads_kv;
    for (uint32_t i = 0; i < hf->blocks; i++) {
        uint32_t from = RP_MIN(i, hf->own_kv - 1);
        while (i >= hf->own_kv && from > 0 && slides[from] != slides[i])
            from--;
        if (i >= hf->own_kv && slides[from] != slides[i])
            return rp_fail(err, RP_ERR_FORMAT,
                           "config.json: layer %u shares keys and values, but none before is of its type", i);
        map[i] = (int32_t)from;
    }
    rp_format(key, sizeof key, "%s.attention.kv_map", hf->arch);
    return rp_keys_set_i32s(hf->draft->keys, key, map, hf->blocks, err);
}

static rp_status describe_gemma3(rp_hf *hf, rp_error *err) {
    bool slides[RP_MAX_VISITS] = {false};
    uint32_t shared = 0, window = 4096, scalar = hf->head_dim;
    float local = 10000.0f;
    const char *type = "default";
    RP_TRY(rp_hf_tied_by_default(hf, err));
    RP_TRY(rp_json_u32(hf->config, "num_kv_shared_layers", &shared, err));
    RP_TRY(rp_json_u32(hf->config, "sliding_window", &window, err));
    RP_TRY(rp_json_u32(hf->config, "query_pre_attn_scalar", &scalar, err));
    RP_TRY(rp_json_f32(hf->config, "rope_local_base_freq", &local, err));
    const rp_json *sliding = rp_json_find(rp_json_find(hf->config, "rope_parameters"), "sliding_attention");
    RP_TRY(rp_json_f32(sliding, "rope_theta", &local, err));
    RP_TRY(rp_json_string(sliding, "rope_type", &type, err));
    if (strcmp(type, "default") != 0)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "config.json: sliding_attention of rope_type %.40s, want default",
                       type);
    RP_TRY(read_slides(hf, slides, err));
    bool usual = true;
    for (uint32_t i = 0; i < hf->blocks; i++)
        usual &= slides[i] == ((i + 1) % 6 != 0);
    if (usual && !shared)
        hf->arch = "gemma3";
    RP_TRY(rp_hf_set_u32(hf, "attention.sliding_window", window, err));
    RP_TRY(rp_hf_set_f32(hf, "rope.freq_base_swa", local, err));
    if (!usual)
        RP_TRY(rp_hf_set_bools(hf, "attention.sliding_window_pattern", slides, hf->blocks, err));
    if (scalar != hf->head_dim)
        RP_TRY(rp_hf_set_f32(hf, "attention.scale", 1.0f / __builtin_sqrtf((float)scalar), err));
    return shared ? set_kv_map(hf, shared, slides, err) : RP_OK;
}

static rp_status describe_smollm3(rp_hf *hf, rp_error *err) {
    const rp_json *layers = rp_json_find(hf->config, "no_rope_layers");
    uint32_t i = 0, interval = 4;
    RP_TRY(rp_hf_tied_by_default(hf, err));
    RP_TRY(rp_json_u32(hf->config, "no_rope_layer_interval", &interval, err));
    if (interval != 4 && !(layers && layers->child))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "config.json: no_rope_layer_interval is %u, want 4", interval);
    for (const rp_json *l = layers ? layers->child : NULL; l; l = l->next, i++)
        if (l->kind != RP_JSON_NUMBER || (l->number != 0) != ((i + 1) % 4 != 0))
            return rp_fail(err, RP_ERR_UNSUPPORTED,
                           "config.json: no_rope_layers[%u]: want every fourth layer without RoPE", i);
    return RP_OK;
}

#define RAVEN_NAMES                                                                                                    \
    {"n_embd",                                                                                                         \
     "n_heads",                                                                                                        \
     "n_layers",                                                                                                       \
     "block_size",                                                                                                     \
     "norm_eps",                                                                                                       \
     "rope_base",                                                                                                      \
     "transformer.wte.weight",                                                                                         \
     "transformer.ln_f.weight",                                                                                        \
     NULL,                                                                                                             \
     "tie_embeddings"}
#define ALBERT_NAMES {.embedding = "albert.embeddings.word_embeddings.weight", .norm = "albert.LayerNorm.weight"}

const rp_hf_family rp_hf_families[] = {
    {"llama", "MobiLlamaForCausalLM", "reprise-llama", llama_block, {0}, true, 0, describe_mobillama, NULL},
    {"llama", NULL, "llama", llama_block, {0}, true, 0, NULL, NULL},
    {"mobilellm", NULL, "mobilellm", llama_block, {0}, true, 0, describe_mobilellm, NULL},
    {"nandi", NULL, "nandi", llama_block, {0}, true, 0, describe_nandi, NULL},
    {"nanbeige", NULL, "nanbeige", llama_block, {0}, true, 0, describe_nanbeige, NULL},
    {"ouro", NULL, "ouro", ouro_block, {0}, true, 0, describe_ouro, NULL},
    {"albert_decoder", NULL, "reprise-llama", albert_block, ALBERT_NAMES, true, 0, describe_albert, albert_prefix},
    {"huginn_raven", NULL, "reprise-llama", raven_block, RAVEN_NAMES, false, 0, describe_raven, raven_prefix},
    {"reprise_looped", NULL, "reprise-llama", llama_block, {0}, true, 0, describe_looped, NULL},
    {"qwen2", NULL, "qwen2", llama_block, {0}, false, 0, NULL, NULL},
    {"qwen3", NULL, "qwen3", qwen3_block, {0}, false, 0, NULL, NULL},
    {"gemma3_text", NULL, "reprise-gemma3", gemma3_block, {0}, false, 1, describe_gemma3, NULL},
    {"smollm3", NULL, "smollm3", llama_block, {0}, true, 0, describe_smollm3, NULL},
};
const size_t rp_hf_family_count = RP_COUNT(rp_hf_families);
