/* The rows of a draft's tensor, piece by piece: read from the input, put in order, widened with zeros. */
#ifndef RP_ROWS_H
#define RP_ROWS_H

#include "draft.h"

typedef struct rp_buffer {
    uint8_t *bytes;
    size_t size;
} rp_buffer;

typedef struct rp_rows {
    const rp_draft *draft;
    rp_draft_tensor tensor; /* as its source is read: a vector whose elements move is a matrix of one column */
    bool copied;            /* rows keep their type and values: bytes are moved, not floats */
    size_t source_bytes;    /* of a row of the source */
    size_t row_bytes;       /* of a row of the output */
    size_t capacity;        /* rows of a piece */
    rp_buffer source;       /* the piece's rows, in the output's order */
    rp_buffer moved, group; /* what rows pass through */
} rp_rows;

/* RP_ERR_ARGUMENT when the draft contradicts itself about a tensor, RP_ERR_UNSUPPORTED when its type cannot be made. */
rp_status rp_rows_check(const rp_draft_tensor *tensor, rp_error *err);
/* Takes buffers of about a megabyte, or of one row; rp_rows_close gives them back. On failure nothing is held. `tensor`
 * must have passed rp_rows_check. `copy`: rows may be copied where that is exact. */
rp_status rp_rows_open(rp_rows *rows, const rp_draft *draft, const rp_draft_tensor *tensor, bool copy, rp_error *err);
void rp_rows_close(rp_rows *rows);
/* Reads `count` (at most capacity) rows into rows->source. RP_ERR_IO names the tensor. */
rp_status rp_rows_load(const rp_rows *rows, uint64_t row, size_t count, rp_error *err);
/* The rows that were loaded, as floats: count * rows->tensor.columns of them. */
void rp_rows_floats(const rp_rows *rows, uint64_t row, size_t count, float *out);
/* The same as the output stores them, for copied ones: count * rows->row_bytes bytes. */
void rp_rows_bytes(const rp_rows *rows, size_t count, uint8_t *out);

/* Memory for bytes that are written before they are read. */
rp_status rp_buffer_take(rp_buffer *buffer, rp_memory *memory, uint64_t bytes, rp_error *err);
void rp_buffer_release(rp_buffer *buffer, rp_memory *memory);

#endif
