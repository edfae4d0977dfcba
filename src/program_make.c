/* Programs that are not the file's own: another depth, a self-merge, one KV slot for all visits of a block. */
#include "model.h"

#include <string.h>

void rp_program_mark(const rp_model *m, rp_program *p, uint32_t loops) {
    const rp_config *c = &m->config;
    const rp_core *core = &m->core;
    for (uint32_t i = 0; !core->in_a_row && i < loops * core->blocks; i++) {
        rp_visit *v = &p->visit[core->start + i];
        uint32_t loop = i / core->blocks;
        bool starts = i % core->blocks == 0, ends = i % core->blocks == core->blocks - 1;
        v->keeps = c->injection && i == 0;
        v->clears = c->zero_start && i == 0;
        v->injects = c->injection && starts && (loop > 0 || c->zero_start);
        v->ends_loop = c->exits && ends;
        v->norm_after = ends && c->loop_norm == (loop + 1 < loops ? RP_LOOP_NORM_BETWEEN : RP_LOOP_NORM_END);
    }
}

void rp_program_resolve(const rp_model *m, rp_program *p) {
    uint16_t attn_times[RP_MAX_VISITS] = {0}, ffn_times[RP_MAX_VISITS] = {0};
    for (uint32_t i = 0; i < p->visits; i++) {
        rp_visit *v = &p->visit[i];
        uint16_t attn = v->attn, ffn = v->ffn;
        for (uint32_t k = m->config.blocks; k < m->config.blocks + m->variants; k++) {
            const rp_block *b = &m->blocks[k];
            if (b->base == attn && b->time == attn_times[attn])
                v->attn = (uint16_t)k;
            if (b->base == ffn && b->time == ffn_times[ffn])
                v->ffn = (uint16_t)k;
        }
        attn_times[attn]++;
        ffn_times[ffn]++;
    }
}

/* ---- Depth --------------------------------------------------------------------------------------------- */

/* The file's program with its core `loops` times. */
static rp_status deepen(const rp_model *m, uint32_t loops, rp_program *p, rp_error *err) {
    const rp_config *c = &m->config;
    const rp_core *core = &m->core;
    const rp_program *own = &m->program;
    if (loops < c->loop_min || loops > c->loop_max)
        return rp_fail(err, RP_ERR_ARGUMENT,
                       c->loop_min == c->loop_max ? "depth %u: this file allows %u alone"
                                                  : "depth %u: this file allows %u to %u",
                       loops, c->loop_min, c->loop_max);
    if (loops == core->loops || !core->may_change)
        return RP_OK;
    uint32_t looped = loops * core->blocks, end = core->start + core->loops * core->blocks;
    for (uint32_t i = 0; i < looped; i++) {
        uint16_t block = (uint16_t)(core->first + (core->in_a_row ? i / loops : i % core->blocks));
        p->visit[core->start + i] = (rp_visit){.attn = block, .ffn = block};
    }
    p->visits = core->start + looped;
    for (uint32_t i = end; i < own->visits; i++) {
        rp_visit *v = &p->visit[p->visits++];
        *v = own->visit[i];
        v->attn = m->blocks[v->attn].base;
        v->ffn = m->blocks[v->ffn].base;
    }
    for (uint32_t i = 0; i < core->start; i++) {
        p->visit[i].attn = m->blocks[p->visit[i].attn].base;
        p->visit[i].ffn = m->blocks[p->visit[i].ffn].base;
    }
    memset(p->visit + p->visits, 0, (RP_MAX_VISITS - p->visits) * sizeof *p->visit);
    int16_t slots = 0;
    for (uint32_t i = 0; i < p->visits; i++) {
        p->visit[i].slot = slots++;
        p->visit[i].writes = true;
    }
    p->slots = (uint32_t)slots;
    rp_program_mark(m, p, loops);
    rp_program_resolve(m, p);
    return RP_OK;
}

/* ---- Self-merge ---------------------------------------------------------------------------------------- */

/* A number below `limit` at *at, which moves behind it. */
static bool read_number(const char **at, uint32_t limit, uint32_t *value) {
    uint32_t digits = 0;
    for (*value = 0; **at >= '0' && **at <= '9' && *value < limit; digits++)
        *value = *value * 10 + (uint32_t)(*(*at)++ - '0');
    return digits > 0 && *value < limit;
}

/* One more visit at the end: a copy of the file's visit `index`. `slots` says where the file's slots are now. */
static rp_status append(const rp_model *m, uint32_t index, int16_t slots[RP_MAX_VISITS], rp_program *p, rp_error *err) {
    if (p->visits == RP_MAX_VISITS)
        return rp_fail(err, RP_ERR_ARGUMENT, "layers: more than %d visits", RP_MAX_VISITS);
    rp_visit *v = &p->visit[p->visits++];
    *v = m->program.visit[index];
    if (v->slot < 0)
        return RP_OK;
    if (v->writes)
        slots[v->slot] = (int16_t)p->slots++;
    if (slots[v->slot] < 0)
        return rp_fail(err, RP_ERR_ARGUMENT,
                       "layers: visit %u reads the keys and values of one that does not come before", index);
    v->slot = slots[v->slot];
    return RP_OK;
}

/* What is left out may not be what a visit needs: the state that is to come in again. */
static rp_status check_inputs(const rp_program *p, rp_error *err) {
    bool kept = false;
    for (uint32_t i = 0; i < p->visits; i++) {
        kept |= p->visit[i].keeps;
        if (p->visit[i].injects && !kept)
            return rp_fail(err, RP_ERR_ARGUMENT,
                           "layers: the visit at place %u needs the loops' input, which none before keeps", i);
    }
    return RP_OK;
}

static rp_status merge(const rp_model *m, const char *layers, rp_program *p, rp_error *err) {
    int16_t slots[RP_MAX_VISITS];
    uint32_t visits = m->program.visits;
    memset(slots, 0xff, sizeof slots);
    p->visits = p->slots = 0;
    memset(p->visit, 0, sizeof p->visit);
    for (const char *at = layers;; at++) {
        uint32_t first, last, times = 1;
        bool good = read_number(&at, visits, &first);
        last = first;
        if (good && *at == '-') {
            at++;
            good = read_number(&at, visits, &last) && last >= first;
        }
        if (good && *at == 'x') {
            at++;
            good = read_number(&at, RP_MAX_VISITS + 1, &times) && times > 0;
        }
        if (!good || (*at && *at != ','))
            return rp_fail(err, RP_ERR_ARGUMENT,
                           "layers \"%.60s\" at character %llu: want ranges of visits 0 to %u like 0-9,10-13x2", layers,
                           (unsigned long long)(at - layers) + 1, visits - 1);
        for (uint32_t i = 0; i < times * (last - first + 1); i++)
            RP_TRY(append(m, first + i % (last - first + 1), slots, p, err));
        if (!*at)
            return check_inputs(p, err);
    }
}

/* ---- One slot for all visits of a block ---------------------------------------------------------------- */

static rp_status reuse(const rp_model *m, rp_program *p, rp_error *err) {
    int16_t slots[RP_MAX_VISITS];
    memset(slots, 0xff, sizeof slots);
    for (uint32_t i = 0; i < p->visits; i++)
        if (p->visit[i].slot >= 0 && !p->visit[i].writes)
            return rp_fail(err, RP_ERR_ARGUMENT,
                           "visit %u reads another's keys and values already: none are left to reuse", i);
    p->slots = 0;
    for (uint32_t i = 0; i < p->visits; i++) {
        rp_visit *v = &p->visit[i];
        uint16_t block = m->blocks[v->attn].base;
        if (v->slot < 0)
            continue;
        if (slots[block] < 0)
            slots[block] = (int16_t)p->slots++;
        v->slot = slots[block];
    }
    return RP_OK;
}

rp_status rp_program_make(const rp_model *m, const rp_program_options *o, rp_program *p, rp_error *err) {
    *p = m->program;
    if (o->loops && o->layers)
        return rp_fail(err, RP_ERR_ARGUMENT, "a depth and layers: want one of them");
    if (o->loops)
        RP_TRY(deepen(m, o->loops, p, err));
    if (o->layers)
        RP_TRY(merge(m, o->layers, p, err));
    if (o->reuse_kv)
        RP_TRY(reuse(m, p, err));
    if (o->exit_threshold != 0.0f) {
        if (!m->config.exits || !(o->exit_threshold > 0.0f && o->exit_threshold <= 1.0f))
            return rp_fail(err, RP_ERR_ARGUMENT, "exit threshold %g: %s", (double)o->exit_threshold,
                           m->config.exits ? "want above 0 and at most 1" : "this file has no exit rule");
        p->exit_threshold = o->exit_threshold;
    }
    return RP_OK;
}
