/* The program of visits: which block's weights run on each visit and which KV slot it uses. A plain model is the identity.
 * src/README.md has the table of keys. A file that says more than we understand is refused, since running fewer blocks prints
 * plausible nonsense. */
#include "model.h"

#include <string.h>

static void key_of(const rp_model *m, const char *name, char key[RP_KEY_SIZE]) {
    rp_format(key, RP_KEY_SIZE, "%s.%s", m->config.arch, name);
}

/* Keys that begin like ours and are none of ours. */
static rp_status refuse_unknown(const rp_model *m, rp_error *err) {
    static const char *const prefixes[] = {"loop.", "layer_map", "attention.kv_map"};
    static const char *const known[] = {
        "layer_map",        "layer_map.attn",     "layer_map.ffn",    "attention.kv_map", "loop.first",
        "loop.last",        "loop.min",           "loop.max",         "loop.injection",   "loop.zero_start",
        "loop.entry_visit", "loop.inject_visits", "loop.norm_visits", "loop.exit",        "loop.exit_threshold",
        "loop.exit_visits", "loop.norm",
    };
    size_t arch = strlen(m->config.arch);
    for (size_t i = 0; i < rp_gguf_key_count(m->gguf); i++) {
        rp_span key = rp_gguf_key_at(m->gguf, i);
        if (key.size <= arch + 1 || memcmp(key.data, m->config.arch, arch) != 0 || key.data[arch] != '.')
            continue;
        rp_span name = {key.data + arch + 1, key.size - arch - 1};
        bool ours = false, is_known = false;
        for (size_t k = 0; k < RP_COUNT(prefixes); k++)
            ours |= name.size >= strlen(prefixes[k]) && memcmp(name.data, prefixes[k], strlen(prefixes[k])) == 0;
        for (size_t k = 0; k < RP_COUNT(known); k++)
            is_known |= rp_span_is(name, known[k]);
        if (ours && !is_known)
            return rp_fail(err, RP_ERR_UNSUPPORTED, "%.*s: this key is not known", (int)RP_MIN(key.size, 100),
                           key.data);
    }
    return RP_OK;
}

/* An integer array into out[], with *count entries; *count stays 0 when the key is absent. */
static rp_status read_map(const rp_model *m, const char *name, int low, int high, int out[RP_MAX_VISITS],
                          uint32_t *count, rp_error *err) {
    char key[RP_KEY_SIZE];
    rp_gguf_value v;
    key_of(m, name, key);
    *count = 0;
    if (!rp_gguf_find(m->gguf, key, &v))
        return RP_OK;
    bool integers = v.type <= RP_GGUF_I32 || v.type == RP_GGUF_U64 || v.type == RP_GGUF_I64;
    if (!v.is_array || !integers)
        return rp_fail(err, RP_ERR_FORMAT, "%s: value of type %d, want an array of integers", key, (int)v.type);
    if (v.count < 1 || v.count > RP_MAX_VISITS)
        return rp_fail(err, RP_ERR_FORMAT, "%s has %llu visits, want 1 to %d", key, (unsigned long long)v.count,
                       RP_MAX_VISITS);
    for (uint64_t i = 0; i < v.count; i++) {
        int64_t value = rp_gguf_int_at(&v, i);
        if (value < low || value > high)
            return rp_fail(err, RP_ERR_FORMAT, "%s[%llu] is %lld, want %d to %d", key, (unsigned long long)i,
                           (long long)value, low, high);
        out[i] = (int)value;
    }
    *count = (uint32_t)v.count;
    return RP_OK;
}

static rp_status read_loops(rp_model *m, rp_error *err) {
    rp_config *c = &m->config;
    char key[RP_KEY_SIZE];
    bool skip = false;
    c->loops = 1;
    key_of(m, "num_loops", key);
    RP_TRY(rp_gguf_u32(m->gguf, key, &c->loops, err));
    if (c->loops < 1 || c->loops > RP_MAX_VISITS / c->blocks)
        return rp_fail(err, RP_ERR_FORMAT, "%s is %u, want 1 to %u, for %d visits at most", key, c->loops,
                       RP_MAX_VISITS / c->blocks, RP_MAX_VISITS);
    key_of(m, "skip_loop_final_norm", key);
    RP_TRY(rp_gguf_bool(m->gguf, key, &skip, err));
    c->loop_norm = c->loops > 1 && !skip ? RP_LOOP_NORM_BETWEEN : RP_LOOP_NORM_NONE;
    return RP_OK;
}

/* Blocks of every visit, from the maps or from num_loops. */
static rp_status read_blocks(rp_model *m, rp_error *err) {
    const rp_config *c = &m->config;
    int map[RP_MAX_VISITS], attn[RP_MAX_VISITS], ffn[RP_MAX_VISITS], high = (int)c->blocks - 1;
    uint32_t count, attn_count, ffn_count;
    RP_TRY(read_map(m, "layer_map", 0, high, map, &count, err));
    RP_TRY(read_map(m, "layer_map.attn", 0, high, attn, &attn_count, err));
    RP_TRY(read_map(m, "layer_map.ffn", 0, high, ffn, &ffn_count, err));
    if (count && c->loops > 1) {
        bool same = count == c->blocks * c->loops;
        for (uint32_t i = 0; same && i < count; i++)
            same = map[i] == (int)(i % c->blocks);
        if (!same)
            return rp_fail(err, RP_ERR_FORMAT, "%s.layer_map is not the whole stack repeated num_loops = %u times",
                           c->arch, c->loops);
    }
    uint32_t visits = count ? count : RP_MAX(attn_count, ffn_count);
    m->program.visits = visits = visits ? visits : c->blocks * c->loops;
    if (attn_count && attn_count != visits)
        return rp_fail(err, RP_ERR_FORMAT, "%s.layer_map.attn has %u visits, want %u", c->arch, attn_count, visits);
    if (ffn_count && ffn_count != visits)
        return rp_fail(err, RP_ERR_FORMAT, "%s.layer_map.ffn has %u visits, want %u", c->arch, ffn_count, visits);
    bool needs_map = !count && (!attn_count || !ffn_count || c->loops > 1) && visits != c->blocks * c->loops;
    if (needs_map)
        return rp_fail(err, RP_ERR_FORMAT, "%s.layer_map.%s has %u visits, want %u or a layer_map", c->arch,
                       attn_count ? "attn" : "ffn", visits, c->blocks * c->loops);
    for (uint32_t i = 0; i < visits; i++) {
        int block = count ? map[i] : (int)(i % c->blocks);
        m->program.visit[i].attn = (uint16_t)(attn_count ? attn[i] : block);
        m->program.visit[i].ffn = (uint16_t)(ffn_count ? ffn[i] : block);
    }
    return RP_OK;
}

/* KV slots; *shared says whether a map gives them. */
static rp_status read_slots(rp_model *m, bool *shared, rp_error *err) {
    rp_program *p = &m->program;
    int map[RP_MAX_VISITS];
    bool named[RP_MAX_VISITS] = {false};
    uint32_t count;
    RP_TRY(read_map(m, "attention.kv_map", -1, (int)p->visits - 1, map, &count, err));
    if (count && count != p->visits)
        return rp_fail(err, RP_ERR_FORMAT, "%s.attention.kv_map has %u visits, want %u", m->config.arch, count,
                       p->visits);
    *shared = count > 0;
    for (uint32_t i = 0; i < p->visits; i++) {
        int slot = count ? map[i] : (int)i;
        p->visit[i].slot = (int16_t)slot;
        p->visit[i].writes = slot >= 0 && !named[slot];
        if (slot >= 0) {
            named[slot] = true;
            p->slots = RP_MAX(p->slots, (uint32_t)slot + 1);
        }
    }
    for (uint32_t i = 0; i < p->slots; i++)
        if (!named[i])
            return rp_fail(err, RP_ERR_FORMAT, "%s.attention.kv_map never names slot %u, but slot %u", m->config.arch,
                           i, p->slots - 1);
    return RP_OK;
}

/* ---- Loops --------------------------------------------------------------------------------------------- */

/* True when the visits of blocks first..last are the stack of them repeated, or each of them in a row. */
static bool find_core(const rp_program *p, uint32_t first, uint32_t last, rp_core *core) {
    uint32_t start = 0, end = p->visits;
    while (start < end && (p->visit[start].attn < first || p->visit[start].attn > last))
        start++;
    while (end > start && (p->visit[end - 1].attn < first || p->visit[end - 1].attn > last))
        end--;
    *core = (rp_core){.start = start, .blocks = last - first + 1, .first = first};
    core->loops = (end - start) / core->blocks;
    if (!core->loops || core->loops * core->blocks != end - start)
        return false;
    bool stack = true, in_a_row = true;
    for (uint32_t i = 0; i < end - start; i++) {
        const rp_visit *v = &p->visit[start + i];
        stack &= v->attn == first + i % core->blocks && v->ffn == v->attn;
        in_a_row &= v->attn == first + i / core->loops && v->ffn == v->attn;
    }
    core->in_a_row = !stack;
    return stack || in_a_row;
}

/* The blocks that a run-time depth repeats, and its range. Where visits are named, nothing asks which loop a visit is in. */
static rp_status read_core(rp_model *m, bool shares_slots, bool by_visit, rp_error *err) {
    rp_config *c = &m->config;
    uint32_t first = 0, last = c->blocks - 1;
    uint32_t *const values[] = {&first, &last, &c->loop_min, &c->loop_max};
    static const char *const names[] = {"loop.first", "loop.last", "loop.min", "loop.max"};
    bool named = false, asks = !by_visit && (c->injection || c->exits || c->loop_norm);
    char key[RP_KEY_SIZE];
    for (size_t i = 0; i < RP_COUNT(names); i++) {
        rp_gguf_value v;
        key_of(m, names[i], key);
        named |= rp_gguf_find(m->gguf, key, &v);
        RP_TRY(rp_gguf_u32(m->gguf, key, values[i], err));
    }
    if (first > last || last >= c->blocks)
        return rp_fail(err, RP_ERR_FORMAT, "%s.loop covers blocks %u to %u, want a range below block_count %u", c->arch,
                       first, last, c->blocks);
    bool found = find_core(&m->program, first, last, &m->core);
    if (!found && (named || asks))
        return rp_fail(err, RP_ERR_FORMAT, "%s.loop covers blocks %u to %u, but layer_map does not repeat just these",
                       c->arch, first, last);
    if (!found)
        m->core = (rp_core){0};
    uint32_t loops = found ? m->core.loops : 1;
    c->loop_min = c->loop_min ? c->loop_min : loops;
    c->loop_max = c->loop_max ? c->loop_max : loops;
    if (c->loop_min > loops || c->loop_max < loops)
        return rp_fail(err, RP_ERR_FORMAT,
                       "%s.loop.min is %u and loop.max %u, want a range with the program's %u loops", c->arch,
                       c->loop_min, c->loop_max, loops);
    uint64_t most = m->program.visits + (uint64_t)(c->loop_max - loops) * m->core.blocks;
    if (most > RP_MAX_VISITS)
        return rp_fail(err, RP_ERR_FORMAT, "%s.loop.max %u makes more than %d visits", c->arch, c->loop_max,
                       RP_MAX_VISITS);
    m->core.may_change = found && c->loop_min < c->loop_max;
    if (m->core.may_change && shares_slots)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s has a kv_map and a run-time depth, want one of them", c->arch);
    if (m->core.in_a_row && asks)
        return rp_fail(err, RP_ERR_FORMAT, "%s.layer_map has no loops to inject into, to exit from or to norm between",
                       c->arch);
    return RP_OK;
}

/* One of the words that a key may say; *out is left as it was when it is absent. */
static rp_status read_word(const rp_model *m, const char *name, const char *const *words, size_t count, uint32_t *out,
                           rp_error *err) {
    rp_span word = {NULL, 0};
    char key[RP_KEY_SIZE];
    key_of(m, name, key);
    RP_TRY(rp_gguf_string(m->gguf, key, &word, err));
    if (!word.data)
        return RP_OK;
    for (size_t i = 0; i < count; i++)
        if (rp_span_is(word, words[i])) {
            *out = (uint32_t)i;
            return RP_OK;
        }
    return rp_fail(err, RP_ERR_UNSUPPORTED, "%s is %.*s, want %s%s%s or %s", key, (int)RP_MIN(word.size, 40), word.data,
                   words[0], count > 2 ? ", " : "", count > 2 ? words[1] : "", words[count - 1]);
}

static rp_status read_rules(rp_model *m, rp_error *err) {
    static const char *const injections[] = {"none", "add", "concat"}, *const norms[] = {"none", "between", "end"},
                             *const exits[] = {"none", "gate"};
    rp_config *c = &m->config;
    uint32_t injection = RP_INJECT_NONE, norm = c->loop_norm, exit = 0;
    char key[RP_KEY_SIZE];
    RP_TRY(read_word(m, "loop.injection", injections, RP_COUNT(injections), &injection, err));
    RP_TRY(read_word(m, "loop.norm", norms, RP_COUNT(norms), &norm, err));
    RP_TRY(read_word(m, "loop.exit", exits, RP_COUNT(exits), &exit, err));
    c->injection = (rp_injection)injection;
    c->loop_norm = (rp_loop_norm)norm;
    c->exits = exit == 1;
    key_of(m, "loop.zero_start", key);
    RP_TRY(rp_gguf_bool(m->gguf, key, &c->zero_start, err));
    if (c->zero_start && !c->injection)
        return rp_fail(err, RP_ERR_FORMAT, "%s without %s.loop.injection", key, c->arch);
    c->exit_threshold = 1.0f;
    key_of(m, "loop.exit_threshold", key);
    RP_TRY(rp_gguf_f32(m->gguf, key, &c->exit_threshold, err));
    if (!(c->exit_threshold > 0.0f && c->exit_threshold <= 1.0f))
        return rp_fail(err, RP_ERR_FORMAT, "%s is %g, want above 0 and at most 1", key, (double)c->exit_threshold);
    return RP_OK;
}

/* What a file says about each visit because it has no loops left to say it of: an unrolled or merged one. *any: it does. */
static rp_status read_visits(rp_model *m, bool *any, rp_error *err) {
    static const char *const names[] = {"loop.inject_visits", "loop.norm_visits", "loop.exit_visits"};
    rp_program *p = &m->program;
    char key[RP_KEY_SIZE];
    rp_gguf_value v;
    uint32_t entry = 0;
    key_of(m, "loop.entry_visit", key);
    RP_TRY(rp_gguf_u32(m->gguf, key, &entry, err));
    if (entry >= p->visits)
        return rp_fail(err, RP_ERR_FORMAT, "%s is %u, want 0 to %u", key, entry, p->visits - 1);
    bool enters = rp_gguf_find(m->gguf, key, &v);
    *any = enters;
    if (enters && !m->config.injection)
        return rp_fail(err, RP_ERR_FORMAT, "%s without %s.loop.injection", key, m->config.arch);
    if (enters) {
        p->visit[entry].keeps = true;
        p->visit[entry].clears = m->config.zero_start;
    }
    for (size_t i = 0; i < RP_COUNT(names); i++) {
        int map[RP_MAX_VISITS];
        uint32_t count;
        RP_TRY(read_map(m, names[i], 0, (int)p->visits - 1, map, &count, err));
        *any |= count > 0;
        for (uint32_t k = 0; k < count; k++) {
            rp_visit *visit = &p->visit[map[k]];
            bool *const flags[] = {&visit->injects, &visit->norm_after, &visit->ends_loop};
            if (i == 0 && (!enters || (uint32_t)map[k] < entry))
                return rp_fail(err, RP_ERR_FORMAT, "%s.%s names visit %d, which has nothing to inject", m->config.arch,
                               names[i], map[k]);
            if (i == 2 && !m->config.exits)
                return rp_fail(err, RP_ERR_FORMAT, "%s.%s without %s.loop.exit", m->config.arch, names[i],
                               m->config.arch);
            *flags[i] = true;
        }
    }
    return RP_OK;
}

rp_status rp_program_read(rp_model *m, rp_error *err) {
    bool used[RP_MAX_VISITS] = {false}, shares_slots = false, by_visit = false;
    RP_TRY(refuse_unknown(m, err));
    RP_TRY(read_loops(m, err));
    RP_TRY(read_blocks(m, err));
    RP_TRY(read_slots(m, &shares_slots, err));
    for (uint32_t i = 0; i < m->program.visits; i++)
        used[m->program.visit[i].attn] = used[m->program.visit[i].ffn] = true;
    for (uint32_t i = 0; i < m->config.blocks; i++)
        if (!used[i])
            return rp_fail(err, RP_ERR_FORMAT, "block %u is never visited by %s.layer_map", i, m->config.arch);
    RP_TRY(read_rules(m, err));
    RP_TRY(read_visits(m, &by_visit, err));
    RP_TRY(read_core(m, shares_slots, by_visit, err));
    if (by_visit && (m->config.loops > 1 || m->config.loop_norm || m->core.may_change))
        return rp_fail(err, RP_ERR_FORMAT, "%s has loops and names visits: want one of them", m->config.arch);
    m->program.exit_threshold = m->config.exit_threshold;
    if (!by_visit)
        rp_program_mark(m, &m->program, m->core.loops);
    return RP_OK;
}
