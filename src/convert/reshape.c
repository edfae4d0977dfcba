/* Unrolling and self-merge: the same tensors under other blocks' names, another program in the keys. See reshape.h. */
#include "reshape_keys.h"

#include <string.h>

/* ---- Keys ---------------------------------------------------------------------------------------------- */

static void key_of(const rp_draft *d, const char *name, char key[RP_KEY_SIZE]) {
    rp_format(key, RP_KEY_SIZE, "%s.%s", d->arch, name);
}

void rp_draft_clear_program(rp_draft *d) {
    static const char *const exact[] = {"num_loops", "skip_loop_final_norm", "attention.kv_map", "rope.pattern",
                                        "attention.sliding_window_pattern"};
    char key[RP_KEY_SIZE];
    for (size_t i = 0; i < RP_COUNT(exact); i++) {
        key_of(d, exact[i], key);
        rp_keys_remove(d->keys, key);
    }
    key_of(d, "loop.", key);
    rp_keys_remove_all(d->keys, key);
    key_of(d, "layer_map", key);
    rp_keys_remove_all(d->keys, key);
}

static rp_status set_list(rp_draft *d, const char *name, const uint32_t *values, uint32_t count, rp_error *err) {
    char key[RP_KEY_SIZE];
    key_of(d, name, key);
    return rp_keys_set_u32s(d->keys, key, values, count, err);
}

rp_status rp_draft_set_maps(rp_draft *d, uint32_t blocks, const uint32_t *attn, const uint32_t *ffn, uint32_t visits,
                            rp_error *err) {
    char key[RP_KEY_SIZE];
    bool same = true, plain_attn = visits == blocks, plain_ffn = plain_attn;
    for (uint32_t i = 0; i < visits; i++) {
        same &= attn[i] == ffn[i];
        plain_attn &= attn[i] == i;
        plain_ffn &= ffn[i] == i;
    }
    key_of(d, "block_count", key);
    RP_TRY(rp_keys_set_u32(d->keys, key, blocks, err));
    if (same)
        return plain_attn ? RP_OK : set_list(d, "layer_map", attn, visits, err);
    if (!plain_attn)
        RP_TRY(set_list(d, "layer_map.attn", attn, visits, err));
    return plain_ffn ? RP_OK : set_list(d, "layer_map.ffn", ffn, visits, err);
}

typedef struct visit_list {
    const char *name;
    size_t flag; /* offset of a bool in rp_visit */
} visit_list;

/* Injection and the exit rule, where a visit of the program has them; else what they are computed with is not needed either. */
static rp_status set_rules(rp_draft *d, const rp_model *m, const rp_program *p, const char **keeps, rp_error *err) {
    const rp_config *c = &m->config;
    char key[RP_KEY_SIZE];
    bool enters = false, exits = false;
    for (uint32_t i = 0; i < p->visits; i++) {
        enters |= p->visit[i].keeps;
        exits |= p->visit[i].ends_loop;
    }
    if (!enters)
        rp_draft_remove(d, "loop_inject.");
    if (!exits)
        rp_draft_remove(d, "exit_gate.");
    if (enters) {
        const char *word = c->injection == RP_INJECT_ADD ? "add" : "concat";
        key_of(d, "loop.injection", key);
        RP_TRY(rp_keys_set_string(d->keys, key, word, strlen(word), err));
        key_of(d, "loop.zero_start", key);
        RP_TRY(rp_keys_set_bool(d->keys, key, c->zero_start, err));
        *keeps = "loop.injection";
    }
    if (!exits)
        return RP_OK;
    *keeps = "loop.exit";
    key_of(d, "loop.exit", key);
    RP_TRY(rp_keys_set_string(d->keys, key, "gate", 4, err));
    key_of(d, "loop.exit_threshold", key);
    return rp_keys_set_f32(d->keys, key, c->exit_threshold, err);
}

rp_status rp_draft_set_visits(rp_draft *d, const rp_model *m, const rp_program *p, const char **keeps, rp_error *err) {
    static const visit_list lists[] = {{"loop.inject_visits", offsetof(rp_visit, injects)},
                                       {"loop.norm_visits", offsetof(rp_visit, norm_after)},
                                       {"loop.exit_visits", offsetof(rp_visit, ends_loop)}};
    int32_t slots[RP_MAX_VISITS];
    bool own_slots = true;
    char key[RP_KEY_SIZE];
    RP_TRY(set_rules(d, m, p, keeps, err));
    for (uint32_t i = 0; i < p->visits; i++) {
        slots[i] = p->visit[i].slot;
        own_slots &= slots[i] == (int32_t)i;
        if (!p->visit[i].keeps)
            continue;
        key_of(d, "loop.entry_visit", key);
        RP_TRY(rp_keys_set_u32(d->keys, key, i, err));
    }
    for (size_t k = 0; k < RP_COUNT(lists); k++) {
        uint32_t list[RP_MAX_VISITS], count = 0;
        for (uint32_t i = 0; i < p->visits; i++)
            if (*(const bool *)((const char *)&p->visit[i] + lists[k].flag))
                list[count++] = i;
        if (count == 0)
            continue;
        RP_TRY(set_list(d, lists[k].name, list, count, err));
        *keeps = lists[k].name;
    }
    if (own_slots)
        return RP_OK;
    *keeps = "attention.kv_map";
    key_of(d, "attention.kv_map", key);
    return rp_keys_set_i32s(d->keys, key, slots, p->visits, err);
}

static rp_status set_pattern(rp_draft *d, const char *name, const uint8_t *flags, uint32_t count, rp_error *err) {
    char key[RP_KEY_SIZE];
    key_of(d, name, key);
    return rp_keys_set(
        d->keys, key,
        &(rp_gguf_value){.type = RP_GGUF_BOOL, .is_array = true, .count = count, .data = flags, .size = count}, err);
}

rp_status rp_draft_set_patterns(rp_draft *d, const rp_model *m, const uint32_t *from, uint32_t blocks,
                                const char **keeps, rp_error *err) {
    const rp_config *c = &m->config;
    uint8_t slides[RP_MAX_VISITS], rotates[RP_MAX_VISITS];
    bool usual_slides = true, usual_rotates = true;
    for (uint32_t i = 0; i < blocks; i++) {
        slides[i] = m->blocks[from[i]].slides;
        rotates[i] = m->blocks[from[i]].rotates;
        usual_slides &= slides[i] == (c->window && (!c->window_period || (i + 1) % c->window_period != 0));
        usual_rotates &= rotates[i] == (!c->rope_skip_period || (i + 1) % c->rope_skip_period != 0);
    }
    if (!usual_slides) {
        RP_TRY(set_pattern(d, "attention.sliding_window_pattern", slides, blocks, err));
        *keeps = "attention.sliding_window_pattern";
    }
    if (usual_rotates)
        return RP_OK;
    *keeps = "rope.pattern";
    return set_pattern(d, "rope.pattern", rotates, blocks, err);
}

rp_status rp_draft_rename(rp_draft *d, const char *arch, rp_error *err) {
    char old[sizeof d->arch + 1], key[RP_KEY_SIZE];
    rp_format(old, sizeof old, "%s.", d->arch);
    if (strcmp(d->arch, arch) == 0)
        return RP_OK;
    for (size_t i = 0; i < rp_keys_count(d->keys); i++) {
        rp_gguf_value value;
        rp_span name = rp_keys_at(d->keys, i, &value);
        if (name.size <= strlen(old) || memcmp(name.data, old, strlen(old)) != 0)
            continue;
        rp_format(key, sizeof key, "%s.%.*s", arch, (int)(name.size - strlen(old)), name.data + strlen(old));
        RP_TRY(rp_keys_rename(d->keys, i, key, err));
    }
    rp_format(d->arch, sizeof d->arch, "%s", arch);
    return rp_keys_set_string(d->keys, "general.architecture", arch, strlen(arch), err);
}

/* ---- Tensors of visits --------------------------------------------------------------------------------- */

rp_status rp_draft_copy(rp_draft *d, const rp_draft_tensor *from, const char *name, rp_error *err) {
    rp_draft_tensor *t = rp_draft_find(d, name);
    t = t ? t : rp_draft_add(d, name, err);
    if (!t)
        return err->status;
    rp_draft_tensor copy = *from;
    memcpy(copy.name, t->name, sizeof copy.name);
    *t = copy;
    return RP_OK;
}

rp_status rp_draft_copy_ends(rp_draft *to, const rp_draft *from, rp_error *err) {
    rp_block_name of_block;
    for (size_t i = 0; i < from->count; i++)
        if (!rp_block_name_read(from->tensors[i].name, &of_block))
            RP_TRY(rp_draft_copy(to, &from->tensors[i], from->tensors[i].name, err));
    return RP_OK;
}

/* One half of a visit into a block of the new draft. What the visit has of its own is that block's `time`-th visit's there, or takes the
 * place of the block's when no other visit is to use it, RP_EVERY_VISIT. */
static rp_status copy_half(rp_draft *to, const rp_draft *from, const rp_visit *v, const rp_block *half, bool ffn,
                           uint32_t block, int32_t time, rp_error *err) {
    const int32_t times[] = {RP_EVERY_VISIT, half->time};
    for (size_t k = 0; k < RP_COUNT(times); k++)
        for (size_t i = 0; i < from->count; i++) {
            rp_block_name n;
            char ours[RP_KEY_SIZE];
            if (!rp_block_name_read(from->tensors[i].name, &n) || n.block != half->base || n.time != times[k] ||
                n.ffn != ffn || (n.kv && !v->writes) || (!ffn && v->slot < 0 && strcmp(n.name, "step.bias") != 0))
                continue;
            if (k == 0 || (time == RP_EVERY_VISIT && !n.visits_only))
                rp_format(ours, sizeof ours, "blk.%u.%s", block, n.name);
            else
                rp_format(ours, sizeof ours, "blk.%u.r%u.%s", block, (uint32_t)RP_MAX(time, 0), n.name);
            RP_TRY(rp_draft_copy(to, &from->tensors[i], ours, err));
        }
    return RP_OK;
}

static rp_status copy_visit(rp_draft *to, const rp_draft *from, const rp_model *m, const rp_visit *v,
                            const uint32_t blocks[2], const int32_t times[2], rp_error *err) {
    RP_TRY(copy_half(to, from, v, &m->blocks[v->attn], false, blocks[0], times[0], err));
    return copy_half(to, from, v, &m->blocks[v->ffn], true, blocks[1], times[1], err);
}

/* The plain architecture with the same blocks. */
static const char *plain_arch(const char *arch) {
    const char *prefix = "reprise-";
    if (strncmp(arch, prefix, strlen(prefix)) == 0)
        return arch + strlen(prefix);
    return strcmp(arch, "mobilellm") == 0 || strcmp(arch, "nandi") == 0 || strcmp(arch, "nanbeige") == 0 ? "llama"
                                                                                                         : arch;
}

/* What of the model itself no plain loader knows. */
static const char *special(const rp_model *m) {
    const char *plain = plain_arch(m->config.arch);
    if (m->config.embedding_rank)
        return "embedding_rank";
    if (m->config.post_norms && strcmp(plain, "gemma3") != 0)
        return "sandwich_norms";
    if (m->config.embedding_scale != 1.0f && strcmp(plain, "gemma3") != 0)
        return "embedding_scale";
    return strcmp(plain, "ouro") == 0 ? "architecture ouro" : NULL;
}

void rp_draft_take(rp_draft *d, rp_draft *made) {
    rp_draft_tensor *tensors = d->tensors;
    size_t count = d->count, capacity = d->capacity;
    d->tensors = made->tensors;
    d->count = made->count;
    d->capacity = made->capacity;
    made->tensors = tensors;
    made->count = count;
    made->capacity = capacity;
}

void rp_draft_drop(rp_draft *made) {
    rp_release(made->memory, made->tensors, made->capacity, sizeof *made->tensors);
}

rp_status rp_draft_unroll(rp_draft *d, const rp_model *m, const char **keeps, rp_error *err) {
    const rp_program *p = &m->program;
    uint32_t identity[RP_MAX_VISITS], from[RP_MAX_VISITS];
    rp_draft made = {.memory = d->memory, .files = d->files};
    rp_status status = rp_draft_copy_ends(&made, d, err);
    for (uint32_t i = 0; status == RP_OK && i < p->visits; i++) {
        identity[i] = i;
        from[i] = m->blocks[p->visit[i].attn].base;
        status =
            copy_visit(&made, d, m, &p->visit[i], (uint32_t[]){i, i}, (int32_t[]){RP_EVERY_VISIT, RP_EVERY_VISIT}, err);
    }
    if (status == RP_OK)
        rp_draft_take(d, &made);
    rp_draft_drop(&made);
    RP_TRY(status);
    *keeps = special(m);
    for (size_t i = 0; i < d->count; i++) {
        rp_block_name n;
        if (rp_block_name_read(d->tensors[i].name, &n) && n.visits_only)
            *keeps = "step biases and low-rank terms";
    }
    rp_draft_clear_program(d);
    RP_TRY(rp_draft_set_maps(d, p->visits, identity, identity, p->visits, err));
    RP_TRY(rp_draft_set_visits(d, m, p, keeps, err));
    RP_TRY(rp_draft_set_patterns(d, m, from, p->visits, keeps, err));
    return *keeps ? RP_OK : rp_draft_rename(d, plain_arch(m->config.arch), err);
}

/* ---- Self-merge ---------------------------------------------------------------------------------------- */

static rp_status select_tensors(rp_draft *d, const rp_model *m, const rp_program *p, const int32_t *number,
                                rp_error *err) {
    uint16_t attn_times[RP_MAX_VISITS] = {0}, ffn_times[RP_MAX_VISITS] = {0};
    rp_draft made = {.memory = d->memory, .files = d->files};
    rp_status status = rp_draft_copy_ends(&made, d, err);
    for (uint32_t i = 0; status == RP_OK && i < p->visits; i++) {
        const rp_visit *v = &p->visit[i];
        uint16_t attn = m->blocks[v->attn].base, ffn = m->blocks[v->ffn].base;
        status = copy_visit(&made, d, m, v, (uint32_t[]){(uint32_t)number[attn], (uint32_t)number[ffn]},
                            (int32_t[]){attn_times[attn]++, ffn_times[ffn]++}, err);
    }
    if (status == RP_OK)
        rp_draft_take(d, &made);
    rp_draft_drop(&made);
    return status;
}

/* A file can say one visit at which the loops' input is kept. */
static rp_status check_entry(const rp_program *p, rp_error *err) {
    uint32_t entries = 0;
    for (uint32_t i = 0; i < p->visits; i++)
        entries += p->visit[i].keeps;
    return entries < 2
               ? RP_OK
               : rp_fail(err, RP_ERR_UNSUPPORTED,
                         "--layers: the visit where the loops begin is there %u times, a file can have one", entries);
}

rp_status rp_draft_set_reprise_name(rp_draft *d, const rp_model *m, rp_error *err) {
    char arch[sizeof d->arch];
    bool plain = strcmp(plain_arch(m->config.arch), m->config.arch) == 0 && strcmp(m->config.arch, "ouro") != 0;
    rp_format(arch, sizeof arch, plain ? "reprise-%s" : "%s", m->config.arch);
    return rp_draft_rename(d, arch, err);
}

rp_status rp_draft_select(rp_draft *d, const rp_model *m, const char *layers, rp_error *err) {
    rp_program p;
    int32_t number[RP_MAX_VISITS];
    uint32_t attn[RP_MAX_VISITS], ffn[RP_MAX_VISITS], from[RP_MAX_VISITS], blocks = 0;
    const char *keeps = NULL;
    RP_TRY(rp_program_make(m, &(rp_program_options){.layers = layers}, &p, err));
    RP_TRY(check_entry(&p, err));
    memset(number, 0xff, sizeof number);
    for (uint32_t i = 0; i < m->config.blocks; i++)
        for (uint32_t k = 0; number[i] < 0 && k < p.visits; k++)
            if (m->blocks[p.visit[k].attn].base == i || m->blocks[p.visit[k].ffn].base == i) {
                from[blocks] = i;
                number[i] = (int32_t)blocks++;
            }
    for (uint32_t i = 0; i < p.visits; i++) {
        attn[i] = (uint32_t)number[m->blocks[p.visit[i].attn].base];
        ffn[i] = (uint32_t)number[m->blocks[p.visit[i].ffn].base];
    }
    RP_TRY(select_tensors(d, m, &p, number, err));
    rp_draft_clear_program(d);
    RP_TRY(rp_draft_set_maps(d, blocks, attn, ffn, p.visits, err));
    RP_TRY(rp_draft_set_visits(d, m, &p, &keeps, err));
    RP_TRY(rp_draft_set_patterns(d, m, from, blocks, &keeps, err));
    bool identity = p.visits == blocks && !keeps;
    for (uint32_t i = 0; i < p.visits; i++)
        identity &= attn[i] == i && ffn[i] == i;
    return identity ? RP_OK : rp_draft_set_reprise_name(d, m, err);
}
