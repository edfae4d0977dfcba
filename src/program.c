/* The program of visits: which block's weights run on each visit and which KV slot it uses. A plain model is the identity.
 * Keys (src/README.md has the table): layer_map, layer_map.attn, layer_map.ffn, attention.kv_map, num_loops,
 * skip_loop_final_norm, loop.first/.last/.min/.max. An older or newer file that says more than we understand is refused,
 * since running fewer blocks prints plausible nonsense. */
#include "model.h"

#include <string.h>

static void key_of(const rp_model *m, const char *name, char key[RP_KEY_SIZE]) {
    rp_format(key, RP_KEY_SIZE, "%s.%s", m->config.arch, name);
}

/* Keys that begin like ours and are none of ours. */
static rp_status refuse_unknown(const rp_model *m, rp_error *err) {
    static const char *const prefixes[] = {"loop.", "layer_map", "attention.kv_map"};
    static const char *const known[] = {"loop.first", "loop.last",      "loop.min",      "loop.max",
                                        "layer_map",  "layer_map.attn", "layer_map.ffn", "attention.kv_map"};
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
    c->norm_between_loops = c->loops > 1 && !skip;
    c->loop_last = c->blocks - 1;
    c->loop_min = c->loop_max = 1;
    struct {
        const char *name;
        uint32_t *value;
    } keys[] = {{"loop.first", &c->loop_first},
                {"loop.last", &c->loop_last},
                {"loop.min", &c->loop_min},
                {"loop.max", &c->loop_max}};
    for (size_t i = 0; i < RP_COUNT(keys); i++) {
        key_of(m, keys[i].name, key);
        RP_TRY(rp_gguf_u32(m->gguf, key, keys[i].value, err));
    }
    if (c->loop_first > c->loop_last || c->loop_last >= c->blocks)
        return rp_fail(err, RP_ERR_FORMAT, "%s.loop covers blocks %u to %u, want a range below block_count %u", c->arch,
                       c->loop_first, c->loop_last, c->blocks);
    if (c->loop_min < 1 || c->loop_min > c->loop_max)
        return rp_fail(err, RP_ERR_FORMAT, "%s.loop.min is %u and loop.max %u, want 1 <= min <= max", c->arch,
                       c->loop_min, c->loop_max);
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
    m->visits = count ? count : RP_MAX(attn_count, ffn_count);
    if (!m->visits)
        m->visits = c->blocks * c->loops;
    if (attn_count && attn_count != m->visits)
        return rp_fail(err, RP_ERR_FORMAT, "%s.layer_map.attn has %u visits, want %u", c->arch, attn_count, m->visits);
    if (ffn_count && ffn_count != m->visits)
        return rp_fail(err, RP_ERR_FORMAT, "%s.layer_map.ffn has %u visits, want %u", c->arch, ffn_count, m->visits);
    bool needs_map = !count && (!attn_count || !ffn_count) && m->visits != c->blocks * c->loops;
    if (needs_map)
        return rp_fail(err, RP_ERR_FORMAT, "%s.layer_map.%s has %u visits, want %u or a layer_map", c->arch,
                       attn_count ? "attn" : "ffn", m->visits, c->blocks * c->loops);
    for (uint32_t i = 0; i < m->visits; i++) {
        int block = count ? map[i] : (int)(i % c->blocks);
        m->program[i].attn = (uint16_t)(attn_count ? attn[i] : block);
        m->program[i].ffn = (uint16_t)(ffn_count ? ffn[i] : block);
        m->program[i].norm_after = c->norm_between_loops && (i + 1) % c->blocks == 0 && i + 1 < m->visits;
    }
    return RP_OK;
}

static rp_status read_slots(rp_model *m, rp_error *err) {
    int map[RP_MAX_VISITS];
    bool named[RP_MAX_VISITS] = {false};
    uint32_t count;
    RP_TRY(read_map(m, "attention.kv_map", -1, (int)m->visits - 1, map, &count, err));
    if (count && count != m->visits)
        return rp_fail(err, RP_ERR_FORMAT, "%s.attention.kv_map has %u visits, want %u", m->config.arch, count,
                       m->visits);
    for (uint32_t i = 0; i < m->visits; i++) {
        int slot = count ? map[i] : (int)i;
        m->program[i].slot = (int16_t)slot;
        m->program[i].writes = slot >= 0 && !named[slot];
        if (slot >= 0) {
            named[slot] = true;
            m->slots = RP_MAX(m->slots, (uint32_t)slot + 1);
        }
    }
    for (uint32_t i = 0; i < m->slots; i++)
        if (!named[i])
            return rp_fail(err, RP_ERR_FORMAT, "%s.attention.kv_map never names slot %u, but slot %u", m->config.arch,
                           i, m->slots - 1);
    return RP_OK;
}

rp_status rp_program_read(rp_model *m, rp_error *err) {
    bool used[RP_MAX_VISITS] = {false};
    RP_TRY(refuse_unknown(m, err));
    RP_TRY(read_loops(m, err));
    RP_TRY(read_blocks(m, err));
    RP_TRY(read_slots(m, err));
    for (uint32_t i = 0; i < m->visits; i++)
        used[m->program[i].attn] = used[m->program[i].ffn] = true;
    for (uint32_t i = 0; i < m->config.blocks; i++)
        if (!used[i])
            return rp_fail(err, RP_ERR_FORMAT, "block %u is never visited by %s.layer_map", i, m->config.arch);
    return RP_OK;
}
