/* From the file's rows to the buffer, eight at a time, with a small staging buffer for rows that a piece cuts in two. */
#include "weights.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

rp_status rp_weights_open(rp_weights *w, rp_memory *memory, const rp_gguf *gguf, rp_error *err) {
    w->capacity = rp_gguf_tensor_count(gguf); /* each tensor is added at most once */
    w->places = rp_alloc(memory, w->capacity, sizeof *w->places, "tensor places", err);
    return w->places ? RP_OK : err->status;
}

void rp_weights_close(rp_weights *w, rp_memory *memory) {
    rp_release(memory, w->data, (size_t)w->bytes, 1);
    rp_release(memory, w->staging, (size_t)w->staging_bytes, 1);
    rp_release(memory, w->places, w->capacity, sizeof *w->places);
    *w = (rp_weights){0};
}

static rp_status check_shape(const rp_gguf_tensor *t, const char *name, const rp_want *want, rp_type type,
                             rp_error *err) {
    uint64_t rows = RP_MAX(want->rows, 1), file_rows = t->shape[1] * t->shape[2] * t->shape[3];
    if (t->shape[0] != want->columns)
        return rp_fail(err, RP_ERR_FORMAT, "%s: want %llu columns, file has %llu", name,
                       (unsigned long long)want->columns, (unsigned long long)t->shape[0]);
    if (file_rows != rows)
        return rp_fail(err, RP_ERR_FORMAT, "%s: want %llu rows, file has %llu", name, (unsigned long long)rows,
                       (unsigned long long)file_rows);
    if (!want->rows && !rp_type_is_float(type))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: a vector of type %s, want F32, F16 or BF16", name,
                       rp_type_traits[type].name);
    return RP_OK;
}

rp_status rp_weights_add(rp_weights *w, const rp_gguf *gguf, const char *name, const rp_want *want, uint32_t *ready,
                         rp_error *err) {
    const rp_gguf_tensor *t = rp_gguf_tensor_find(gguf, name);
    if (!t)
        return want->required ? rp_fail(err, RP_ERR_FORMAT, "%s: this tensor is missing", name) : RP_OK;
    rp_type type;
    if (!rp_type_from_ggml(t->type, &type))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: tensor type %u", name, t->type);
    RP_TRY(check_shape(t, name, want, type, err));
    for (size_t i = 0; i < w->count; i++)
        if (w->places[i].tensor == t)
            return rp_fail(err, RP_ERR_FORMAT, "%s: bound twice", name);
    uint64_t groups = (want->rows + RP_ROWS - 1) / RP_ROWS;
    w->places[w->count++] = (rp_place){
        .tensor = t,
        .type = type,
        .is_vector = !want->rows,
        .rows = RP_MAX(want->rows, 1),
        .columns = want->columns,
        .bytes = want->rows ? groups * rp_group_bytes(type, want->columns) : want->columns * sizeof(float),
        .matrix = want->matrix,
        .vector = want->vector,
    };
    w->places[w->count - 1].ready = ready;
    if (want->rows)
        *want->matrix = (rp_matrix){.type = type, .rows = (uint32_t)want->rows, .columns = (uint32_t)want->columns};
    return RP_OK;
}

static rp_status refuse_unused(const rp_weights *w, const rp_gguf *gguf, const char *who, rp_error *err) {
    for (size_t i = 0, k = 0; i < rp_gguf_tensor_count(gguf); i++) {
        const rp_gguf_tensor *t = rp_gguf_tensor_at(gguf, i);
        if (k < w->count && w->places[k].tensor == t)
            k++;
        else
            return rp_fail(err, RP_ERR_UNSUPPORTED, "%.*s: this tensor is not used by %s", (int)t->name.size,
                           t->name.data, who);
    }
    return RP_OK;
}

static int compare_places(const void *a, const void *b) {
    uint64_t x = ((const rp_place *)a)->tensor->offset, y = ((const rp_place *)b)->tensor->offset;
    return (x > y) - (x < y);
}

rp_status rp_weights_arrange(rp_weights *w, const rp_gguf *gguf, const char *who, rp_error *err) {
    if (w->count)
        qsort(w->places, w->count, sizeof *w->places, compare_places);
    for (size_t i = 0; i < w->count; i++) {
        rp_place *p = &w->places[i];
        uint64_t rows_at_once = p->is_vector ? 1 : RP_MIN(p->rows, RP_ROWS);
        w->staging_bytes = RP_MAX(w->staging_bytes, rows_at_once * rp_row_file_bytes(p->type, p->columns));
        const uint64_t shape[] = {p->type, p->rows, p->columns};
        w->fingerprint = rp_hash_bytes(w->fingerprint, p->tensor->name.data, p->tensor->name.size);
        w->fingerprint = rp_hash_bytes(w->fingerprint, shape, sizeof shape);
        p->offset = w->bytes;
        *p->ready = (uint32_t)i + 1;                  /* in file order: the last one counts */
        w->bytes += rp_round_up(p->bytes, ALIGNMENT); /* below 2^41 a tensor: no overflow */
    }
    if (w->bytes > SIZE_MAX / 2)
        return rp_fail(err, RP_ERR_MEMORY, "weights: %llu bytes are more than this machine can address",
                       (unsigned long long)w->bytes);
    return refuse_unused(w, gguf, who, err);
}

rp_status rp_weights_take(rp_weights *w, rp_memory *memory, rp_error *err) {
    w->data = rp_alloc_raw(memory, (size_t)w->bytes, 1, "weights", err);
    w->staging = w->data ? rp_alloc_raw(memory, (size_t)w->staging_bytes, 1, "staging", err) : NULL;
    if (!w->staging)
        return err->status;
    for (size_t i = 0; i < w->count; i++) {
        rp_place *p = &w->places[i];
        if (p->is_vector)
            *p->vector = (const float *)(const void *)(w->data + p->offset);
        else
            p->matrix->data = w->data + p->offset;
    }
    return RP_OK;
}

/* Bytes of the rows that are laid out at once, from the row that comes next. */
static size_t unit_bytes(const rp_weights *w, const rp_place *p) {
    uint64_t rows = RP_MIN(p->rows - w->rows_done, RP_ROWS);
    return (size_t)(rows * rp_row_file_bytes(p->type, p->columns));
}

static void lay_out(rp_weights *w, const rp_place *p, const uint8_t *rows) {
    uint8_t *to = w->data + p->offset;
    size_t count = (size_t)RP_MIN(p->rows - w->rows_done, RP_ROWS), columns = (size_t)p->columns;
    w->fingerprint = rp_hash_words(w->fingerprint, rows, unit_bytes(w, p));
    if (p->is_vector)
        rp_file_row_to_f32(p->type, columns, rows, (float *)(void *)to);
    else
        rp_pack_group(p->type, columns, rows, count,
                      to + w->rows_done / RP_ROWS * (size_t)rp_group_bytes(p->type, columns));
    w->rows_done += count;
    if (w->rows_done == p->rows) {
        w->rows_done = 0;
        w->loading++;
    }
}

bool rp_weights_feed(rp_weights *w, rp_memory *memory, const uint8_t *bytes, size_t size) {
    while (size && w->loading < w->count) {
        const rp_place *p = &w->places[w->loading];
        size_t unit = unit_bytes(w, p), part;
        if (w->position < p->tensor->offset) {
            part = (size_t)RP_MIN(p->tensor->offset - w->position, size);
        } else if (!w->staged && size >= unit) {
            part = unit;
            lay_out(w, p, bytes);
        } else {
            part = RP_MIN(unit - w->staged, size);
            memcpy(w->staging + w->staged, bytes, part);
            w->staged += part;
            if (w->staged == unit) {
                w->staged = 0;
                lay_out(w, p, w->staging);
            }
        }
        bytes += part;
        size -= part;
        w->position += part;
    }
    if (w->loading < w->count)
        return false;
    rp_release(memory, w->staging, (size_t)w->staging_bytes, 1);
    w->staging = NULL;
    return true;
}
