/* Tensors of safetensors files under GGUF's names, with the shapes that the config says. */
#include "hf_internal.h"

#include <string.h>

const rp_safetensor *rp_hf_take(rp_hf *hf, const char *name) {
    const rp_safetensor *t = rp_safetensors_find(hf->tensors, name);
    for (size_t i = 0; t && i < rp_safetensors_count(hf->tensors); i++)
        if (rp_safetensors_at(hf->tensors, i) == t)
            hf->used[i] = true;
    return t;
}

static uint64_t values_of(const rp_safetensor *t) {
    uint64_t values = 1;
    for (uint32_t i = 0; i < t->dims; i++)
        values *= t->shape[i]; /* their bytes lie in a file: no overflow */
    return values;
}

rp_status rp_hf_add(rp_hf *hf, const rp_safetensor *from, const char *ours, uint64_t rows, uint64_t columns,
                    uint64_t first, rp_error *err) {
    rp_draft_tensor *t = rp_draft_add(hf->draft, ours, err);
    if (!t)
        return err->status;
    bool vector = columns == 0;
    t->vector = vector;
    t->rows = vector ? 1 : rows;
    t->columns = vector ? rows : columns;
    t->type = vector ? RP_F32 : from->type; /* llama.cpp adds vectors of no other type */
    t->file = from->file;
    t->offset = from->offset;
    t->source_type = from->type;
    t->source_rows = t->rows;
    t->source_columns = t->columns;
    t->first_row = first;
    return RP_OK;
}

/* `parts`: how many such matrices lie one below the other. */
static rp_status check_shape(const rp_safetensor *t, uint64_t rows, uint64_t columns, rp_error *err) {
    uint64_t values = values_of(t), want = columns ? rows * columns : rows;
    bool agrees = values == want && (!columns || (t->dims == 2 && t->shape[0] == rows));
    if (agrees)
        return RP_OK;
    return rp_fail(err, RP_ERR_FORMAT, "%.80s has shape [%llu, %llu%s, config.json says [%llu, %llu]", t->name,
                   (unsigned long long)t->shape[0], (unsigned long long)(t->dims > 1 ? t->shape[1] : 1),
                   t->dims > 2 ? ", …]" : "]", (unsigned long long)rows, (unsigned long long)RP_MAX(columns, 1));
}

rp_status rp_hf_add_whole(rp_hf *hf, const char *theirs, const char *ours, uint64_t rows, uint64_t columns,
                          bool required, rp_error *err) {
    const rp_safetensor *t = rp_hf_take(hf, theirs);
    if (!t)
        return required ? rp_fail(err, RP_ERR_FORMAT, "%s: this tensor is missing", theirs) : RP_OK;
    RP_TRY(check_shape(t, rows, columns, err));
    return rp_hf_add(hf, t, ours, rows, columns, 0, err);
}

/* ---- Blocks -------------------------------------------------------------------------------------------- */

static bool is_vector(const rp_safetensor *t) {
    return t->dims == 1;
}

static rp_status add_rows(rp_hf *hf, const rp_safetensor *t, const char *ours, uint64_t rows, uint32_t pair_heads,
                          rp_error *err) {
    RP_TRY(check_shape(t, rows, is_vector(t) ? 0 : hf->dim, err));
    RP_TRY(rp_hf_add(hf, t, ours, rows, is_vector(t) ? 0 : hf->dim, 0, err));
    rp_draft_tensor *added = &hf->draft->tensors[hf->draft->count - 1];
    added->pair_heads = hf->family->pairs_move ? pair_heads : 0;
    return RP_OK;
}

static rp_status add_norm(rp_hf *hf, const rp_safetensor *t, const char *ours, uint64_t size, bool is_head,
                          rp_error *err) {
    RP_TRY(check_shape(t, size, 0, err));
    RP_TRY(rp_hf_add(hf, t, ours, size, 0, 0, err));
    rp_draft_tensor *added = &hf->draft->tensors[hf->draft->count - 1];
    added->add = hf->family->add;
    added->pair_heads = is_head && hf->family->pairs_move ? 1 : 0;
    return RP_OK;
}

/* Parts of one tensor, one below the other. */
static rp_status add_parts(rp_hf *hf, const rp_safetensor *t, uint32_t block, const char *const *names,
                           const uint64_t *rows, size_t count, bool vectors, rp_error *err) {
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++)
        all += rows[i];
    RP_TRY(check_shape(t, all, vectors ? 0 : hf->dim, err));
    for (size_t i = 0, first = 0; i < count; first += rows[i++]) {
        char name[RP_KEY_SIZE];
        rp_format(name, sizeof name, "blk.%u.%s", block, names[i]);
        RP_TRY(rp_hf_add(hf, t, name, rows[i], vectors ? 0 : hf->dim, vectors ? i : first, err));
    }
    return RP_OK;
}

static rp_status add_fused(rp_hf *hf, const rp_safetensor *t, uint32_t block, rp_hf_kind kind, rp_error *err) {
    static const char *const qkv[] = {"attn_q.weight", "attn_k.weight", "attn_v.weight"};
    static const char *const ffn[] = {"ffn_gate.weight", "ffn_up.weight"};
    static const char *const biases[] = {"attn_q.bias", "attn_k.bias"};
    uint64_t q = (uint64_t)hf->heads * hf->head_dim, kv = (uint64_t)hf->kv_heads * hf->head_dim;
    if (kind == RP_HF_FUSED_QKV)
        return add_parts(hf, t, block, qkv, (uint64_t[]){q, kv, kv}, 3, false, err);
    if (kind == RP_HF_FUSED_FFN)
        return add_parts(hf, t, block, ffn, (uint64_t[]){hf->ffn, hf->ffn}, 2, false, err);
    if (q != kv)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%.80s: biases of Q and K with grouped heads", t->name);
    return add_parts(hf, t, block, biases, (uint64_t[]){q, kv}, 2, true, err);
}

static rp_status add_one(rp_hf *hf, const rp_safetensor *t, const char *ours, rp_hf_kind kind, rp_error *err) {
    uint64_t q = (uint64_t)hf->heads * hf->head_dim, kv = (uint64_t)hf->kv_heads * hf->head_dim;
    switch (kind) {
    case RP_HF_DIM: return add_norm(hf, t, ours, hf->dim, false, err);
    case RP_HF_Q_HEAD:
    case RP_HF_K_HEAD: return add_norm(hf, t, ours, hf->head_dim, true, err);
    case RP_HF_Q: return add_rows(hf, t, ours, q, hf->heads, err);
    case RP_HF_K: return add_rows(hf, t, ours, kv, hf->kv_heads, err);
    case RP_HF_V: return add_rows(hf, t, ours, kv, 0, err);
    case RP_HF_UP: return add_rows(hf, t, ours, hf->ffn, 0, err);
    case RP_HF_O:
    case RP_HF_DOWN: {
        uint64_t columns = kind == RP_HF_O ? q : hf->ffn;
        RP_TRY(check_shape(t, hf->dim, is_vector(t) ? 0 : columns, err));
        return rp_hf_add(hf, t, ours, hf->dim, is_vector(t) ? 0 : columns, 0, err);
    }
    default: return rp_fail(err, RP_ERR_UNSUPPORTED, "%.80s: no way to convert this", t->name);
    }
}

static rp_status add_block(rp_hf *hf, uint32_t block, rp_error *err) {
    char prefix[RP_KEY_SIZE], theirs[2 * RP_KEY_SIZE], ours[RP_KEY_SIZE];
    if (hf->family->prefix)
        hf->family->prefix(hf, block, prefix, sizeof prefix);
    else
        rp_format(prefix, sizeof prefix, "model.layers.%u.", block);
    rp_format(theirs, sizeof theirs, "%sself_attn.rotary_emb.inv_freq", prefix);
    rp_hf_take(hf, theirs); /* older exports store it; it follows from the config */
    for (const rp_hf_tensor *want = hf->family->tensors; want->theirs; want++) {
        rp_format(theirs, sizeof theirs, "%s%s", prefix, want->theirs);
        rp_format(ours, sizeof ours, "blk.%u.%s", block, want->ours ? want->ours : "");
        if (hf->one_ffn && block > 0 && strcmp(ours + strlen(ours) - 15, "ffn_norm.weight") == 0)
            rp_format(ours, sizeof ours, "blk.0.r%u.ffn_norm.weight", block); /* the norm is the layer's own */
        const rp_safetensor *t = rp_hf_take(hf, theirs);
        if (hf->lacks && hf->lacks(hf, block, want->kind))
            continue; /* some store what is never used */
        if (!t && want->need == RP_HF_REQUIRED)
            return rp_fail(err, RP_ERR_FORMAT, "%s: this tensor is missing", theirs);
        if (t && want->kind >= RP_HF_FUSED_QKV)
            RP_TRY(add_fused(hf, t, block, want->kind, err));
        else if (t)
            RP_TRY(add_one(hf, t, ours, want->kind, err));
    }
    return RP_OK;
}

/* ---- The ends ------------------------------------------------------------------------------------------ */

/* A head that is stored although it is tied must be the embedding. */
static rp_status check_tied_head(rp_hf *hf, const rp_safetensor *head, const rp_safetensor *embedding, rp_error *err) {
    uint8_t a[4096], b[4096];
    bool same = head->type == embedding->type && head->bytes == embedding->bytes;
    for (uint64_t at = 0; same && at < head->bytes; at += sizeof a) {
        size_t n = (size_t)RP_MIN(sizeof a, head->bytes - at);
        const rp_files *f = hf->draft->files;
        if (!f->read(f->user, head->file, head->offset + at, a, n) ||
            !f->read(f->user, embedding->file, embedding->offset + at, b, n))
            return rp_fail(err, RP_ERR_IO, "%.80s: cannot be read", head->name);
        same = memcmp(a, b, n) == 0;
    }
    return same ? RP_OK
                : rp_fail(err, RP_ERR_FORMAT, "%.80s differs from the embedding, but config.json says that it is tied",
                          head->name);
}

static rp_status add_ends(rp_hf *hf, rp_error *err) {
    const rp_hf_names *n = &hf->family->names;
    uint64_t width = hf->rank ? hf->rank : hf->dim;
    const char *embedding = n->embedding ? n->embedding : "model.embed_tokens.weight";
    const char *head_name = n->head ? n->head : "lm_head.weight";
    RP_TRY(rp_hf_add_whole(hf, embedding, "token_embd.weight", hf->vocab, width, true, err));
    const rp_safetensor *norm = rp_hf_take(hf, n->norm ? n->norm : "model.norm.weight");
    if (!norm)
        return rp_fail(err, RP_ERR_FORMAT, "%s: this tensor is missing", n->norm ? n->norm : "model.norm.weight");
    RP_TRY(add_norm(hf, norm, "output_norm.weight", hf->dim, false, err));
    const rp_safetensor *head = rp_hf_take(hf, head_name);
    if (hf->tied)
        return head ? check_tied_head(hf, head, rp_safetensors_find(hf->tensors, embedding), err) : RP_OK;
    return rp_hf_add_whole(hf, head_name, "output.weight", hf->vocab, width, true, err);
}

rp_status rp_hf_add_all(rp_hf *hf, rp_error *err) {
    RP_TRY(add_ends(hf, err));
    for (uint32_t block = 0; block < hf->blocks; block++)
        RP_TRY(add_block(hf, block, err));
    return RP_OK;
}
