/* Rows of a tensor from the input to the output's order: see rows.h. Nothing here knows the output. */
#include "rows.h"

#include "quantize.h"

#include <string.h>

enum { PIECE = 1 << 20 }; /* bytes, more where a single row is longer */

rp_status rp_buffer_take(rp_buffer *buffer, rp_memory *memory, uint64_t bytes, rp_error *err) {
    *buffer = (rp_buffer){0};
    if (bytes > SIZE_MAX / 2) {
        rp_fail(err, RP_ERR_MEMORY, "rows: %llu bytes are more than this machine can address",
                (unsigned long long)bytes);
        return RP_ERR_MEMORY;
    }
    buffer->bytes = rp_alloc_raw(memory, (size_t)bytes, 1, "rows", err);
    buffer->size = (size_t)bytes;
    return buffer->bytes ? RP_OK : RP_ERR_MEMORY;
}

void rp_buffer_release(rp_buffer *buffer, rp_memory *memory) {
    rp_release(memory, buffer->bytes, buffer->size, 1);
    *buffer = (rp_buffer){0};
}

/* ---- Checks -------------------------------------------------------------------------------------------- */

static rp_status check_shape(const rp_draft_tensor *t, rp_error *err) {
    const rp_traits *to = &rp_type_traits[t->type], *from = &rp_type_traits[t->source_type];
    uint64_t values;
    if (t->rows == 0 || t->columns == 0 || t->rows > INT32_MAX || t->columns > INT32_MAX ||
        (t->vector && t->rows != 1) || !rp_mul(t->rows, t->columns, &values) || values > UINT64_C(1) << 40)
        return rp_fail(
            err, RP_ERR_ARGUMENT,
            "%s: %llu rows of %llu columns, want 1 to 2147483647, 2^40 values in all and one row in a vector", t->name,
            (unsigned long long)t->rows, (unsigned long long)t->columns);
    if (t->source_rows > t->rows || t->source_columns > t->columns)
        return rp_fail(err, RP_ERR_ARGUMENT, "%s: is to hold %llu x %llu values, its source has %llu x %llu", t->name,
                       (unsigned long long)t->rows, (unsigned long long)t->columns, (unsigned long long)t->source_rows,
                       (unsigned long long)t->source_columns);
    if (t->columns % to->columns)
        return rp_fail(err, RP_ERR_ARGUMENT, "%s: %llu columns, want a multiple of %u for %s", t->name,
                       (unsigned long long)t->columns, to->columns, to->name);
    if (t->source_columns % from->columns)
        return rp_fail(err, RP_ERR_ARGUMENT, "%s: its source has %llu columns, want a multiple of %u for %s", t->name,
                       (unsigned long long)t->source_columns, from->columns, from->name);
    uint64_t places = t->vector ? t->columns : t->rows;
    if (t->pair_heads && (places % t->pair_heads || places / t->pair_heads % 2))
        return rp_fail(err, RP_ERR_ARGUMENT, "%s: %llu %s, want an even number for each of %u heads", t->name,
                       (unsigned long long)places, t->vector ? "values" : "rows", t->pair_heads);
    return RP_OK;
}

static bool keeps_values(const rp_draft_tensor *t) {
    return t->type == t->source_type && !(t->add < 0 || t->add > 0);
}

rp_status rp_rows_check(const rp_draft_tensor *t, rp_error *err) {
    RP_TRY(check_shape(t, err));
    if (!keeps_values(t) && !rp_can_quantize(t->type))
        return rp_fail(err, RP_ERR_UNSUPPORTED,
                       "%s: cannot be turned from %s into %s, which is not among the types "
                       "that can be made",
                       t->name, rp_type_traits[t->source_type].name, rp_type_traits[t->type].name);
    if (t->vector && t->pair_heads && !(rp_type_is_float(t->type) && rp_type_is_float(t->source_type)))
        return rp_fail(err, RP_ERR_UNSUPPORTED,
                       "%s: values of a vector in %s cannot be put in another order, want F32, F16 or BF16", t->name,
                       rp_type_traits[rp_type_is_float(t->type) ? t->source_type : t->type].name);
    uint64_t end;
    if (!rp_add(t->first_row, t->source_rows, &end) ||
        !rp_mul(end, rp_row_file_bytes(t->source_type, t->source_columns), &end) || !rp_add(end, t->offset, &end))
        return rp_fail(err, RP_ERR_ARGUMENT, "%s: row %llu at byte %llu is beyond any file", t->name,
                       (unsigned long long)t->first_row, (unsigned long long)t->offset);
    return RP_OK;
}

/* ---- Opening ------------------------------------------------------------------------------------------- */

static rp_draft_tensor as_read(const rp_draft_tensor *t) {
    rp_draft_tensor view = *t;
    view.offset += t->first_row * rp_row_file_bytes(t->source_type, t->source_columns);
    view.first_row = 0;
    if (t->vector && t->pair_heads) {
        view.rows = t->columns;
        view.source_rows = t->source_rows ? t->source_columns : 0;
        view.columns = view.source_columns = 1;
    }
    return view;
}

static rp_status take_buffers(rp_rows *rows, rp_error *err) {
    const rp_draft_tensor *t = &rows->tensor;
    rp_memory *memory = rows->draft->memory;
    bool grouped = !rows->copied && !rp_type_is_float(t->source_type);
    uint64_t source, moved = rows->capacity / 2 + 1;
    if (!rp_mul(rows->capacity, rows->source_bytes, &source) || !rp_mul(moved, rows->source_bytes, &moved))
        source = UINT64_MAX;
    RP_TRY(rp_buffer_take(&rows->source, memory, source, err));
    if (t->pair_heads)
        RP_TRY(rp_buffer_take(&rows->moved, memory, moved, err));
    if (grouped)
        RP_TRY(rp_buffer_take(&rows->group, memory, rp_group_bytes(t->source_type, t->source_columns), err));
    return RP_OK;
}

rp_status rp_rows_open(rp_rows *rows, const rp_draft *draft, const rp_draft_tensor *tensor, bool copy, rp_error *err) {
    *rows = (rp_rows){.draft = draft, .tensor = as_read(tensor), .copied = copy && keeps_values(tensor)};
    const rp_draft_tensor *t = &rows->tensor;
    uint64_t source = rp_row_file_bytes(t->source_type, t->source_columns),
             row = rp_row_file_bytes(t->type, t->columns);
    uint64_t widest = RP_MAX(row, 4 * t->columns), fit = PIECE / RP_MAX(widest, source);
    if (RP_MAX(widest, source) > SIZE_MAX / 2)
        return rp_fail(err, RP_ERR_MEMORY, "%s: a row of %llu bytes is more than this machine can address", t->name,
                       (unsigned long long)RP_MAX(widest, source));
    rows->source_bytes = (size_t)source;
    rows->row_bytes = (size_t)row;
    fit = fit > RP_ROWS ? fit / RP_ROWS * RP_ROWS : RP_MAX(fit, 1); /* rows are unpacked eight at a time */
    rows->capacity = (size_t)RP_MIN(fit, t->rows);
    rp_status status = take_buffers(rows, err);
    if (status != RP_OK)
        rp_rows_close(rows);
    return status;
}

void rp_rows_close(rp_rows *rows) {
    rp_memory *memory = rows->draft->memory;
    rp_buffer_release(&rows->source, memory);
    rp_buffer_release(&rows->moved, memory);
    rp_buffer_release(&rows->group, memory);
}

/* ---- Reading ------------------------------------------------------------------------------------------- */

/* The row of the source that stands at `row` of the output. Of a head's n rows "rotate halves" pairs i with i + n / 2;
 * the output wants them beside each other. */
static uint64_t source_row(const rp_draft_tensor *t, uint64_t row) {
    if (!t->pair_heads)
        return row;
    uint64_t head = t->rows / t->pair_heads, within = row % head;
    return row - within + within / 2 + (within % 2 ? head / 2 : 0);
}

/* Rows of the source that follow each other; what it does not have is zeros, in any type. */
static rp_status read_run(const rp_rows *rows, uint64_t first, size_t count, uint8_t *to, rp_error *err) {
    const rp_draft_tensor *t = &rows->tensor;
    uint64_t there = first < t->source_rows ? RP_MIN(count, t->source_rows - first) : 0;
    size_t bytes = (size_t)there * rows->source_bytes;
    uint64_t offset = t->offset + first * rows->source_bytes;
    if (bytes && !rp_draft_read(rows->draft, t->file, offset, to, bytes))
        return rp_fail(err, RP_ERR_IO, "%s: cannot read %llu bytes at byte %llu of the input", t->name,
                       (unsigned long long)bytes, (unsigned long long)offset);
    memset(to + bytes, 0, count * rows->source_bytes - bytes);
    return RP_OK;
}

/* Rows of one head: every other row of the output comes from a run of the source. */
static rp_status load_pairs(const rp_rows *rows, uint64_t row, size_t count, uint8_t *to, rp_error *err) {
    size_t bytes = rows->source_bytes;
    for (size_t start = 0; start < RP_MIN(count, 2); start++) {
        size_t run = (count - start + 1) / 2;
        RP_TRY(read_run(rows, source_row(&rows->tensor, row + start), run, rows->moved.bytes, err));
        for (size_t i = 0; i < run; i++)
            memcpy(to + (start + 2 * i) * bytes, rows->moved.bytes + i * bytes, bytes);
    }
    return RP_OK;
}

rp_status rp_rows_load(const rp_rows *rows, uint64_t row, size_t count, rp_error *err) {
    const rp_draft_tensor *t = &rows->tensor;
    if (!t->pair_heads)
        return read_run(rows, row, count, rows->source.bytes, err);
    uint64_t head = t->rows / t->pair_heads;
    for (size_t done = 0, part; done < count; done += part) {
        part = (size_t)RP_MIN(count - done, head - (row + done) % head);
        RP_TRY(load_pairs(rows, row + done, part, rows->source.bytes + done * rows->source_bytes, err));
    }
    return RP_OK;
}

/* ---- Unpacking ----------------------------------------------------------------------------------------- */

/* A row's values have been unpacked: what the draft says to do with them. */
static void finish_row(const rp_draft_tensor *t, uint64_t row, float *values) {
    size_t there = source_row(t, row) < t->source_rows ? (size_t)t->source_columns : 0;
    for (size_t i = 0; i < there && (t->add < 0 || t->add > 0); i++)
        values[i] += t->add;
    for (size_t i = there; i < t->columns; i++)
        values[i] = 0;
}

void rp_rows_floats(const rp_rows *rows, uint64_t row, size_t count, float *out) {
    const rp_draft_tensor *t = &rows->tensor;
    size_t columns = (size_t)t->columns, from = (size_t)t->source_columns;
    const uint8_t *source = rows->source.bytes;
    for (size_t i = 0; i < count; i++) {
        float *values = out + i * columns;
        if (rp_type_is_float(t->source_type)) {
            rp_file_row_to_f32(t->source_type, from, source + i * rows->source_bytes, values);
        } else {
            if (i % RP_ROWS == 0)
                rp_pack_group(t->source_type, from, source + i * rows->source_bytes, RP_MIN(count - i, RP_ROWS),
                              rows->group.bytes);
            rp_unpack_row(t->source_type, from, rows->group.bytes, i % RP_ROWS, values);
        }
        finish_row(t, row + i, values);
    }
}

void rp_rows_bytes(const rp_rows *rows, size_t count, uint8_t *out) {
    for (size_t i = 0; i < count; i++, out += rows->row_bytes) {
        memcpy(out, rows->source.bytes + i * rows->source_bytes, rows->source_bytes);
        memset(out + rows->source_bytes, 0, rows->row_bytes - rows->source_bytes);
    }
}

/* A part of what rp_draft_rows was asked for, in rows as they are read. */
static rp_status floats_of(const rp_rows *rows, uint64_t row, uint64_t count, float *out, rp_error *err) {
    while (count) {
        size_t part = (size_t)RP_MIN(count, rows->capacity);
        RP_TRY(rp_rows_load(rows, row, part, err));
        rp_rows_floats(rows, row, part, out);
        out += part * (size_t)rows->tensor.columns;
        row += part;
        count -= part;
    }
    return RP_OK;
}

rp_status rp_draft_rows(const rp_draft *draft, const rp_draft_tensor *tensor, uint64_t row, uint64_t count, float *out,
                        rp_error *err) {
    rp_rows rows;
    RP_TRY(rp_rows_check(tensor, err));
    if (count > tensor->rows || row > tensor->rows - count)
        return rp_fail(err, RP_ERR_ARGUMENT, "%s: %llu rows from row %llu on were asked for, it has %llu", tensor->name,
                       (unsigned long long)count, (unsigned long long)row, (unsigned long long)tensor->rows);
    RP_TRY(rp_rows_open(&rows, draft, tensor, false, err));
    uint64_t each = rows.tensor.rows / tensor->rows; /* more than one for a vector that is read as a matrix */
    rp_status status = floats_of(&rows, row * each, count * each, out, err);
    rp_rows_close(&rows);
    return status;
}
