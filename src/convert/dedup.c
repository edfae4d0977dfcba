/* Finding blocks that are stored more than once. Halves are compared by the matrices and biases that they have: first by a hash, then
 * byte by byte. Norms, step biases and low-rank terms may differ from visit to visit. See reshape.h. */
#include "reshape_keys.h"

#include <string.h>

enum { PIECE = 1 << 14 };

typedef struct half {
    uint64_t hash; /* of its tensors' names, shapes and bytes, but for K and V */
    bool has_kv, exists;
} half;

typedef struct search {
    rp_draft *draft;
    const rp_model *model;
    half halves[2][RP_MAX_VISITS];     /* [attention, FFN][block] */
    uint32_t same[2][RP_MAX_VISITS];   /* the first block whose half is the same */
    uint32_t number[2][RP_MAX_VISITS]; /* new block of a half, by `same` */
    uint32_t blocks;
    uint8_t a[PIECE], b[PIECE];
} search;

/* ---- Equal bytes --------------------------------------------------------------------------------------- */

static uint64_t source_bytes(const rp_draft_tensor *t) {
    return t->source_rows * rp_row_file_bytes(t->source_type, t->source_columns);
}

static uint64_t source_offset(const rp_draft_tensor *t) {
    return t->offset + t->first_row * rp_row_file_bytes(t->source_type, t->source_columns);
}

static rp_status read_source(const rp_draft *d, const rp_draft_tensor *t, uint64_t at, uint8_t *bytes, size_t size,
                             rp_error *err) {
    if (rp_draft_read(d, t->file, source_offset(t) + at, bytes, size))
        return RP_OK;
    return rp_fail(err, RP_ERR_IO, "%s: cannot be read", t->name);
}

static bool alike(const rp_draft_tensor *a, const rp_draft_tensor *b) {
    return a->vector == b->vector && a->rows == b->rows && a->columns == b->columns && a->type == b->type &&
           a->source_type == b->source_type && a->source_rows == b->source_rows &&
           a->source_columns == b->source_columns && a->pair_heads == b->pair_heads && a->add == b->add;
}

static rp_status same_bytes(search *s, const rp_draft_tensor *a, const rp_draft_tensor *b, bool *same, rp_error *err) {
    *same = alike(a, b);
    if (*same && a->file == b->file && source_offset(a) == source_offset(b))
        return RP_OK;
    for (uint64_t at = 0; *same && at < source_bytes(a); at += PIECE) {
        size_t n = (size_t)RP_MIN(PIECE, source_bytes(a) - at);
        RP_TRY(read_source(s->draft, a, at, s->a, n, err));
        RP_TRY(read_source(s->draft, b, at, s->b, n, err));
        *same = memcmp(s->a, s->b, n) == 0;
    }
    return RP_OK;
}

static rp_status hash_tensor(search *s, const rp_draft_tensor *t, const char *name, uint64_t *hash, rp_error *err) {
    uint64_t one = rp_hash_bytes(RP_HASH_START, name, strlen(name));
    for (uint64_t at = 0; at < source_bytes(t); at += PIECE) {
        size_t n = (size_t)RP_MIN(PIECE, source_bytes(t) - at);
        RP_TRY(read_source(s->draft, t, at, s->a, n, err));
        one = rp_hash_words(one, s->a, n);
    }
    *hash += one; /* tensors in any order */
    return RP_OK;
}

static rp_status hash_halves(search *s, rp_error *err) {
    const rp_draft *d = s->draft;
    uint64_t done = 0, total = 0;
    for (size_t i = 0; i < d->count; i++)
        total += source_bytes(&d->tensors[i]);
    for (size_t i = 0; i < d->count; i++) {
        rp_block_name n;
        if (d->files->progress && !d->files->progress(d->files->user, "comparing", done, total))
            return rp_fail(err, RP_ERR_IO, "comparing was stopped");
        done += source_bytes(&d->tensors[i]);
        if (!rp_block_name_read(d->tensors[i].name, &n) || n.time != RP_EVERY_VISIT)
            continue;
        half *h = &s->halves[n.ffn][n.block];
        h->exists = true;
        h->has_kv |= n.kv;
        if (!n.kv && !n.norm)
            RP_TRY(hash_tensor(s, &d->tensors[i], n.name, &h->hash, err));
    }
    return RP_OK;
}

/* Whether every tensor of one half that counts is in another, with the same bytes. K and V may be missing in `b`, all of them. */
static rp_status covers(search *s, uint32_t a, uint32_t b, bool ffn, bool *yes, rp_error *err) {
    const rp_draft *d = s->draft;
    *yes = true;
    for (size_t i = 0; *yes && i < d->count; i++) {
        rp_block_name n;
        char theirs[RP_KEY_SIZE];
        if (!rp_block_name_read(d->tensors[i].name, &n) || n.block != a || n.time != RP_EVERY_VISIT || n.norm ||
            n.ffn != ffn)
            continue;
        rp_format(theirs, sizeof theirs, "blk.%u.%s", b, n.name);
        const rp_draft_tensor *other = rp_draft_find(d, theirs);
        if (!other && n.kv && !s->halves[ffn][b].has_kv)
            continue;
        *yes = other != NULL;
        if (other)
            RP_TRY(same_bytes(s, &d->tensors[i], other, yes, err));
    }
    return RP_OK;
}

/* The first block whose half has the same weights, and slides and rotates alike. */
static rp_status find_same(search *s, bool ffn, uint32_t block, rp_error *err) {
    const half *own = &s->halves[ffn][block];
    s->same[ffn][block] = block;
    for (uint32_t k = 0; own->exists && k < block; k++) {
        const half *other = &s->halves[ffn][k];
        bool same = false;
        const rp_block *a = &s->model->blocks[k], *b = &s->model->blocks[block];
        if (s->same[ffn][k] != k || !other->exists || other->hash != own->hash || (own->has_kv && !other->has_kv) ||
            (!ffn && (a->slides != b->slides || a->rotates != b->rotates)))
            continue;
        RP_TRY(covers(s, k, block, ffn, &same, err));
        if (same && own->has_kv)
            RP_TRY(covers(s, block, k, ffn, &same, err));
        if (!same)
            continue;
        s->same[ffn][block] = k;
        return RP_OK;
    }
    return RP_OK;
}

/* ---- New numbers --------------------------------------------------------------------------------------- */

static uint32_t physical(const search *s, const rp_visit *v, bool ffn) {
    return s->model->blocks[ffn ? v->ffn : v->attn].base;
}

/* Halves in the order of their first visits. */
static void number_blocks(search *s) {
    const rp_program *p = &s->model->program;
    for (int ffn = 0; ffn < 2; ffn++) {
        bool seen[RP_MAX_VISITS] = {false};
        uint32_t count = 0;
        for (uint32_t i = 0; i < p->visits; i++) {
            uint32_t first = s->same[ffn][physical(s, &p->visit[i], ffn)];
            if (!seen[first])
                s->number[ffn][first] = count++;
            seen[first] = true;
        }
        s->blocks = RP_MAX(s->blocks, count);
    }
}

/* ---- The new draft ------------------------------------------------------------------------------------- */

/* A norm or a visit's own tensor: the block's if it is the same there, else one of this visit. */
static rp_status copy_small(search *s, rp_draft *to, const rp_draft_tensor *t, const rp_block_name *n, uint32_t block,
                            uint32_t time, rp_error *err) {
    char own[RP_KEY_SIZE];
    bool same = false;
    rp_format(own, sizeof own, "blk.%u.%s", block, n->name);
    const rp_draft_tensor *there = rp_draft_find(to, own);
    if (there)
        RP_TRY(same_bytes(s, t, there, &same, err));
    if (same)
        return RP_OK;
    if (n->visits_only || there)
        rp_format(own, sizeof own, "blk.%u.r%u.%s", block, time, n->name);
    return rp_draft_copy(to, t, own, err);
}

/* One half of visit v, which is the time-th of its new block. */
static rp_status copy_half(search *s, rp_draft *to, const rp_visit *v, bool ffn, uint32_t time, rp_error *err) {
    const rp_draft *d = s->draft;
    const rp_block *half = &s->model->blocks[ffn ? v->ffn : v->attn];
    uint32_t first = s->same[ffn][half->base], block = s->number[ffn][first];
    for (size_t i = 0; i < d->count; i++) {
        const rp_draft_tensor *t = &d->tensors[i];
        rp_block_name n;
        char own[RP_KEY_SIZE];
        if (!rp_block_name_read(t->name, &n) || n.block != half->base || n.ffn != ffn)
            continue;
        rp_format(own, sizeof own, "blk.%u.r%u.%s", half->base, half->time, n.name);
        bool of_visit = n.time == half->time, replaced = n.time == RP_EVERY_VISIT && rp_draft_find(d, own);
        if (of_visit || (n.time == RP_EVERY_VISIT && n.norm && !replaced)) {
            RP_TRY(copy_small(s, to, t, &n, block, time, err));
        } else if (n.time == RP_EVERY_VISIT && !n.norm && half->base == first) {
            rp_format(own, sizeof own, "blk.%u.%s", block, n.name);
            RP_TRY(rp_draft_copy(to, t, own, err));
        }
    }
    return RP_OK;
}

static rp_status copy_all(search *s, rp_draft *to, uint32_t *maps[2], rp_error *err) {
    const rp_program *p = &s->model->program;
    uint32_t times[2][RP_MAX_VISITS] = {{0}};
    RP_TRY(rp_draft_copy_ends(to, s->draft, err));
    for (uint32_t i = 0; i < p->visits; i++)
        for (int ffn = 0; ffn < 2; ffn++) {
            const rp_visit *v = &p->visit[i];
            uint32_t block = s->number[ffn][s->same[ffn][physical(s, v, ffn)]];
            maps[ffn][i] = block;
            RP_TRY(copy_half(s, to, v, ffn, times[ffn][block]++, err));
        }
    return RP_OK;
}

static rp_status write_shared(search *s, rp_error *err) {
    rp_draft *d = s->draft;
    const rp_model *m = s->model;
    uint32_t attn[RP_MAX_VISITS], ffn[RP_MAX_VISITS], from[RP_MAX_VISITS] = {0}, *maps[] = {attn, ffn};
    rp_draft made = {.memory = d->memory, .files = d->files};
    const char *keeps = NULL;
    rp_status status = copy_all(s, &made, maps, err);
    if (status == RP_OK)
        rp_draft_take(d, &made);
    rp_draft_drop(&made);
    RP_TRY(status);
    for (uint32_t i = m->program.visits; i-- > 0;)
        from[attn[i]] = physical(s, &m->program.visit[i], false);
    rp_draft_clear_program(d);
    RP_TRY(rp_draft_set_maps(d, s->blocks, attn, ffn, m->program.visits, err));
    RP_TRY(rp_draft_set_visits(d, m, &m->program, &keeps, err));
    RP_TRY(rp_draft_set_patterns(d, m, from, s->blocks, &keeps, err));
    return rp_draft_set_reprise_name(d, m, err);
}

rp_status rp_draft_dedup(rp_draft *d, const rp_model *m, uint32_t *found, rp_error *err) {
    search *s = rp_alloc(d->memory, 1, sizeof *s, "search for equal blocks", err);
    rp_status status = s ? RP_OK : err->status;
    *found = 0;
    if (!s)
        return status;
    s->draft = d;
    s->model = m;
    status = hash_halves(s, err);
    for (uint32_t block = 0; status == RP_OK && block < m->config.blocks; block++)
        for (int ffn = 0; status == RP_OK && ffn < 2; ffn++) {
            status = find_same(s, ffn, block, err);
            *found += s->same[ffn][block] != block;
        }
    if (status == RP_OK && *found) {
        number_blocks(s);
        status = write_shared(s, err);
    }
    rp_release(d->memory, s, 1, sizeof *s);
    return status;
}
