/* Which type each tensor is written in, and in which order they come. See reshape.h. */
#include "reshape.h"

#include "block_name.h"
#include "quantize.h"

#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *name, const char *end) {
    size_t a = strlen(name), b = strlen(end);
    return a >= b && strcmp(name + a - b, end) == 0;
}

/* The smallest type from `type` up whose blocks the columns fill. */
static rp_type fitting(rp_type type, uint64_t columns) {
    if (columns % rp_type_traits[type].columns == 0)
        return type;
    if (columns % RP_TILE == 0)
        return type == RP_Q4_K ? RP_Q5_0 : RP_Q8_0;
    return RP_F16;
}

static rp_type type_of(const rp_draft_tensor *t, rp_type type, rp_type head, bool is_head) {
    bool small = t->vector || ends_with(t->name, ".lora_a") || ends_with(t->name, ".lora_b") ||
                 strcmp(t->name, "exit_gate.weight") == 0;
    if (small)
        return RP_F32;
    if (!is_head)
        return fitting(type, t->columns);
    if (head == RP_TYPES && (rp_type_is_float(type) || type == RP_Q8_0))
        head = type;
    return fitting(head == RP_TYPES ? RP_Q6_K : head, t->columns);
}

/* Zeros beside the columns of the table and of what widens it, and below the rows of what narrows the state. */
static rp_status pad_rank(rp_draft *d, rp_error *err) {
    rp_draft_tensor *table = rp_draft_find(d, "token_embd.weight"), *wide = rp_draft_find(d, "token_embd_proj.weight"),
                    *narrow = rp_draft_find(d, "output_proj.weight"), *head = rp_draft_find(d, "output.weight");
    char key[RP_KEY_SIZE];
    if (!table || !wide || !narrow || table->columns % RP_TILE == 0)
        return RP_OK;
    table->columns = wide->columns = narrow->rows = rp_round_up(table->columns, RP_TILE);
    if (head)
        head->columns = table->columns;
    rp_format(key, sizeof key, "%s.embedding_rank", d->arch);
    return rp_keys_set_u32(d->keys, key, (uint32_t)table->columns, err);
}

/* llama.cpp's numbers for a file's type as a whole. */
static rp_status set_file_type(rp_draft *d, rp_type type, rp_error *err) {
    static const uint8_t numbers[RP_TYPES] = {
        [RP_F32] = 0,  [RP_F16] = 1,  [RP_BF16] = 32, [RP_Q4_0] = 2, [RP_Q4_1] = 3,
        [RP_Q5_0] = 8, [RP_Q8_0] = 7, [RP_Q4_K] = 14, [RP_Q6_K] = 18};
    RP_TRY(rp_keys_set_u32(d->keys, "general.file_type", numbers[type], err));
    return rp_keys_set_u32(d->keys, "general.quantization_version", 2, err);
}

rp_status rp_draft_set_types(rp_draft *d, rp_type type, rp_type head, rp_error *err) {
    bool tied = !rp_draft_find(d, "output.weight");
    RP_TRY(set_file_type(d, type, err));
    if (!rp_type_is_float(type))
        RP_TRY(pad_rank(d, err));
    for (size_t i = 0; i < d->count; i++) {
        rp_draft_tensor *t = &d->tensors[i];
        t->type = type_of(t, type, head, strcmp(t->name, tied ? "token_embd.weight" : "output.weight") == 0);
    }
    return RP_OK;
}

/* ---- Order --------------------------------------------------------------------------------------------- */

static uint32_t rank_of(const char *name) {
    static const char *const first[] = {"token_embd.", "token_embd_proj."}, *const last[] = {"output_proj.", "output."};
    rp_block_name n;
    for (uint32_t i = 0; i < RP_COUNT(first); i++)
        if (strncmp(name, first[i], strlen(first[i])) == 0)
            return i;
    for (uint32_t i = 0; i < RP_COUNT(last); i++)
        if (strncmp(name, last[i], strlen(last[i])) == 0)
            return UINT32_MAX - 1 + i;
    return rp_block_name_read(name, &n) ? 3 + n.block : 2; /* 2: small ones, which some programs need early */
}

typedef struct place {
    uint32_t rank, at;
} place;

static int compare_places(const void *a, const void *b) {
    const place *x = a, *y = b;
    return x->rank != y->rank ? (x->rank > y->rank ? 1 : -1) : (x->at > y->at) - (x->at < y->at);
}

rp_status rp_draft_order(rp_draft *d, rp_error *err) {
    place *places = rp_alloc(d->memory, d->count, sizeof *places, "order of tensors", err);
    rp_draft_tensor *ordered = places ? rp_alloc(d->memory, d->count, sizeof *ordered, "order of tensors", err) : NULL;
    for (size_t i = 0; ordered && i < d->count; i++)
        places[i] = (place){rank_of(d->tensors[i].name), (uint32_t)i};
    if (ordered && d->count)
        qsort(places, d->count, sizeof *places, compare_places);
    for (size_t i = 0; ordered && i < d->count; i++)
        ordered[i] = d->tensors[places[i].at];
    for (size_t i = 0; ordered && i < d->count; i++)
        d->tensors[i] = ordered[i];
    rp_release(d->memory, ordered, d->count, sizeof *ordered);
    rp_release(d->memory, places, d->count, sizeof *places);
    return ordered ? RP_OK : err->status;
}
