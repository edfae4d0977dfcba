/* A draft as a GGUF file: header, then the tensors' rows, each as its type wants it. Everything goes through one output
 * that remembers its first failure, so that what writes need not look. The header is written twice, at first only to
 * count its bytes. */
#include "rows.h"

#include "quantize.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 16, VERSION = 3 };
#define LARGEST_HALF 65504.0f /* also the largest scale of a block */

typedef struct output {
    const rp_draft *draft;
    bool counting; /* bytes are counted and not written */
    uint64_t at, total;
    rp_buffer piece; /* `used` bytes of it wait to be written */
    size_t used;
    rp_status status;
    rp_error *err;
} output;

/* ---- Bytes --------------------------------------------------------------------------------------------- */

static void write_bytes(output *o, const void *bytes, size_t size) {
    const rp_files *files = o->draft->files;
    if (o->status != RP_OK || size == 0)
        return;
    if (!files->write(files->user, bytes, size))
        o->status = rp_fail(o->err, RP_ERR_IO, "cannot write %llu bytes of the output's %llu, is the disk full?",
                            (unsigned long long)size, (unsigned long long)o->total);
    else if (files->progress && !files->progress(files->user, "writing", o->at, o->total))
        o->status = rp_fail(o->err, RP_ERR_IO, "stopped after %llu of %llu bytes", (unsigned long long)o->at,
                            (unsigned long long)o->total);
}

static void flush(output *o) {
    write_bytes(o, o->piece.bytes, o->used);
    o->used = 0;
}

static void put(output *o, const void *bytes, size_t size) {
    o->at += size;
    if (o->counting || size == 0)
        return;
    if (size > o->piece.size - o->used)
        flush(o);
    if (size >= o->piece.size) {
        write_bytes(o, bytes, size);
        return;
    }
    memcpy(o->piece.bytes + o->used, bytes, size);
    o->used += size;
}

static void put_u32(output *o, uint32_t value) {
    uint8_t bytes[4];
    rp_store_u16(bytes, (uint16_t)value);
    rp_store_u16(bytes + 2, (uint16_t)(value >> 16));
    put(o, bytes, sizeof bytes);
}

static void put_u64(output *o, uint64_t value) {
    put_u32(o, (uint32_t)value);
    put_u32(o, (uint32_t)(value >> 32));
}

static void put_text(output *o, const char *text, size_t size) {
    put_u64(o, size);
    put(o, text, size);
}

static void put_padding(output *o) {
    static const uint8_t zeros[RP_DRAFT_ALIGNMENT] = {0};
    put(o, zeros, (size_t)(rp_round_up(o->at, RP_DRAFT_ALIGNMENT) - o->at));
}

/* ---- The header ---------------------------------------------------------------------------------------- */

static void put_key(output *o, rp_span key, const rp_gguf_value *value) {
    put_text(o, key.data, key.size);
    put_u32(o, value->is_array ? RP_GGUF_ARRAY : value->type);
    if (value->is_array) {
        put_u32(o, value->type);
        put_u64(o, value->count);
    } else if (value->type == RP_GGUF_STRING) {
        put_u64(o, value->size);
    }
    put(o, value->data, value->size);
}

static uint64_t tensor_bytes(const rp_draft_tensor *t) {
    return t->rows * rp_row_file_bytes(t->type, t->columns);
}

static void put_header(output *o) {
    const rp_draft *draft = o->draft;
    put(o, "GGUF", 4);
    put_u32(o, VERSION);
    put_u64(o, draft->count);
    put_u64(o, rp_keys_count(draft->keys));
    for (size_t i = 0; i < rp_keys_count(draft->keys); i++) {
        rp_gguf_value value;
        rp_span key = rp_keys_at(draft->keys, i, &value);
        put_key(o, key, &value);
    }
    uint64_t offset = 0;
    for (size_t i = 0; i < draft->count; i++) {
        const rp_draft_tensor *t = &draft->tensors[i];
        put_text(o, t->name, strlen(t->name));
        put_u32(o, t->vector ? 1 : 2);
        put_u64(o, t->columns);
        if (!t->vector)
            put_u64(o, t->rows);
        put_u32(o, rp_type_traits[t->type].ggml_type);
        put_u64(o, offset);
        offset += rp_round_up(tensor_bytes(t), RP_DRAFT_ALIGNMENT);
    }
    if (draft->count)
        put_padding(o);
}

/* ---- Tensors ------------------------------------------------------------------------------------------- */

static rp_status check_values(const rp_rows *rows, uint64_t row, size_t count, const float *values, rp_error *err) {
    const rp_draft_tensor *t = &rows->tensor;
    if (t->type == RP_F32 || t->type == RP_BF16)
        return RP_OK;
    for (size_t i = 0; i < count * (size_t)t->columns; i++)
        if (!(values[i] >= -LARGEST_HALF && values[i] <= LARGEST_HALF))
            return rp_fail(err, RP_ERR_FORMAT, "%s: value %llu of row %llu is %s, want -65504 to 65504 for %s", t->name,
                           (unsigned long long)(i % t->columns), (unsigned long long)(row + i / t->columns),
                           __builtin_isnan(values[i])   ? "not a number"
                           : __builtin_isinf(values[i]) ? "infinite"
                                                        : "too large",
                           rp_type_traits[t->type].name);
    return RP_OK;
}

static rp_status convert_rows(output *o, const rp_rows *rows, const rp_buffer *values, const rp_buffer *packed,
                              rp_error *err) {
    const rp_draft_tensor *t = &rows->tensor;
    size_t columns = (size_t)t->columns;
    for (uint64_t row = 0; row < t->rows && o->status == RP_OK; row += rows->capacity) {
        size_t count = (size_t)RP_MIN(rows->capacity, t->rows - row);
        RP_TRY(rp_rows_load(rows, row, count, err));
        if (rows->copied) {
            rp_rows_bytes(rows, count, packed->bytes);
        } else {
            float *floats = (float *)(void *)values->bytes;
            rp_rows_floats(rows, row, count, floats);
            RP_TRY(check_values(rows, row, count, floats, err));
            for (size_t i = 0; i < count; i++)
                rp_quantize_row(t->type, columns, floats + i * columns, packed->bytes + i * rows->row_bytes);
        }
        put(o, packed->bytes, count * rows->row_bytes);
    }
    return o->status;
}

static rp_status put_tensor(output *o, const rp_draft_tensor *tensor, rp_error *err) {
    rp_rows rows;
    rp_buffer values = {0}, packed = {0};
    rp_memory *memory = o->draft->memory;
    RP_TRY(rp_rows_open(&rows, o->draft, tensor, true, err));
    rp_status status = rp_buffer_take(&packed, memory, (uint64_t)rows.capacity * rows.row_bytes, err);
    if (status == RP_OK && !rows.copied)
        status = rp_buffer_take(&values, memory, rows.capacity * rows.tensor.columns * sizeof(float), err);
    if (status == RP_OK)
        status = convert_rows(o, &rows, &values, &packed, err);
    rp_buffer_release(&values, memory);
    rp_buffer_release(&packed, memory);
    rp_rows_close(&rows);
    put_padding(o);
    return status;
}

/* ---- The file ------------------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static rp_status check_names(const rp_draft *draft, rp_error *err) {
    const char **names = rp_alloc(draft->memory, draft->count, sizeof *names, "tensor names", err);
    if (!names)
        return err->status;
    for (size_t i = 0; i < draft->count; i++)
        names[i] = draft->tensors[i].name;
    if (draft->count)
        qsort(names, draft->count, sizeof *names, compare_names);
    rp_status status = RP_OK;
    for (size_t i = 1; status == RP_OK && i < draft->count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            status = rp_fail(err, RP_ERR_ARGUMENT, "%s: two tensors have this name", names[i]);
    rp_release(draft->memory, names, draft->count, sizeof *names);
    return status;
}

static rp_status check_draft(const rp_draft *draft, uint64_t *data_bytes, rp_error *err) {
    rp_gguf_value alignment;
    *data_bytes = 0;
    if (rp_keys_find(draft->keys, "general.alignment", &alignment))
        return rp_fail(err, RP_ERR_ARGUMENT, "general.alignment is set, want none: files are aligned to %d",
                       RP_DRAFT_ALIGNMENT);
    for (size_t i = 0; i < draft->count; i++) {
        const rp_draft_tensor *t = &draft->tensors[i];
        RP_TRY(rp_rows_check(t, err));
        if (!rp_add(*data_bytes, rp_round_up(tensor_bytes(t), RP_DRAFT_ALIGNMENT), data_bytes) ||
            *data_bytes > UINT64_C(1) << 48)
            return rp_fail(err, RP_ERR_ARGUMENT, "%s: the tensors up to this one are more than any file holds",
                           t->name);
    }
    return check_names(draft, err);
}

static rp_status write_all(output *o, uint64_t data_bytes, bool header_only, rp_error *err) {
    o->counting = true;
    put_header(o);
    o->total = o->at + data_bytes;
    o->counting = false;
    o->at = 0;
    put_header(o);
    for (size_t i = 0; !header_only && i < o->draft->count && o->status == RP_OK; i++)
        RP_TRY(put_tensor(o, &o->draft->tensors[i], err));
    flush(o);
    return o->status;
}

static rp_status write_draft(const rp_draft *draft, bool header_only, rp_error *err) {
    output o = {.draft = draft, .err = err};
    uint64_t data_bytes;
    RP_TRY(check_draft(draft, &data_bytes, err));
    RP_TRY(rp_buffer_take(&o.piece, draft->memory, PIECE, err));
    rp_status status = write_all(&o, data_bytes, header_only, err);
    rp_buffer_release(&o.piece, draft->memory);
    return status;
}

rp_status rp_draft_write(const rp_draft *draft, rp_error *err) {
    return write_draft(draft, false, err);
}

rp_status rp_draft_write_header(const rp_draft *draft, rp_error *err) {
    return write_draft(draft, true, err);
}
