/* A file that is being made: its keys, its tensors in the order in which they will be written, and where each one's
 * values come from. Readers (gguf_input, hf, llama2c) fill it, reshape.c changes it, write.c writes it row by row. */
#ifndef RP_DRAFT_H
#define RP_DRAFT_H

#include "../quant.h"
#include "files.h"
#include "keys.h"

enum {
    RP_TENSOR_NAME = 64, /* with its zero: llama.cpp's limit */
    RP_DRAFT_ALIGNMENT = 32,
};

typedef struct rp_draft_tensor {
    char name[RP_TENSOR_NAME];
    bool vector;            /* one dimension */
    uint64_t rows, columns; /* as it will be written; rows is 1 for a vector */
    rp_type type;           /* as it will be written */
    /* Where it comes from: rows first_row .. first_row + source_rows - 1 of a matrix with source_columns. Rows and
     * columns beyond are written as zeros. A vector's source is one row. */
    int file;
    uint64_t offset; /* of the matrix' first byte in the file */
    rp_type source_type;
    uint64_t source_rows, source_columns, first_row;
    /* Rows (a vector's values) are this many heads in the "rotate halves" layout, to be written as adjacent pairs;
     * zeros beyond the source count as rows. 0: rows stay. */
    uint32_t pair_heads;
    float add; /* to each value of the source: gemma stores norms less 1 */
} rp_draft_tensor;

typedef struct rp_draft {
    rp_memory *memory;
    const rp_files *files;
    rp_keys *keys;
    char arch[64];
    rp_draft_tensor *tensors;
    size_t count, capacity;
    struct rp_safetensors *input; /* keeps files open that tensors come from; NULL: there are none */
    float *computed;              /* (computed_count) values that no file holds: tensors whose file is RP_COMPUTED */
    size_t computed_count;
} rp_draft;

enum { RP_COMPUTED = -1 };

rp_status rp_draft_open(rp_draft *draft, const rp_files *files, rp_memory *memory, rp_error *err);
void rp_draft_close(rp_draft *draft);
/* A new, zeroed tensor at the end, valid until the next one is added. NULL with `err` filled: RP_ERR_MEMORY, or
 * RP_ERR_FORMAT for a name of 0 or of 64 and more bytes. */
rp_draft_tensor *rp_draft_add(rp_draft *draft, const char *name, rp_error *err);
rp_draft_tensor *rp_draft_find(const rp_draft *draft, const char *name);
/* Takes out the tensors whose names begin like that. */
void rp_draft_remove(rp_draft *draft, const char *prefix);

/* Makes a tensor a vector of `count` floats, which the caller writes; valid until the next call. NULL with `err` filled when memory
 * is out. */
float *rp_draft_values(rp_draft *draft, rp_draft_tensor *tensor, size_t count, rp_error *err);
/* Bytes of a tensor's source: what rp_files.read does, of computed values too. */
bool rp_draft_read(const rp_draft *draft, int file, uint64_t offset, void *bytes, size_t size);

/* rows.c: reads `count` rows of a tensor as floats, from `row` on, with everything that the draft says done to them
 * but for the change of type: count * columns values. */
rp_status rp_draft_rows(const rp_draft *draft, const rp_draft_tensor *tensor, uint64_t row, uint64_t count, float *out,
                        rp_error *err);
/* write.c: header, then tensors in the draft's order, GGUF v3 with an alignment of 32. Tensors that keep their type
 * and values are copied, in any type, though their rows may move or be widened; the others must be of a type that
 * rp_can_quantize knows. Values beyond 65504, infinities and NaN in F16 or a quantized type: RP_ERR_FORMAT naming the
 * tensor. RP_ERR_IO when reading or writing fails, or progress (which is told "writing" and the output's bytes) says
 * to stop. RP_ERR_ARGUMENT when the draft contradicts itself, before anything is written. Memory is a few megabytes,
 * or a few rows. */
rp_status rp_draft_write(const rp_draft *draft, rp_error *err);
/* write.c: the header alone, to whom the draft's files write. */
rp_status rp_draft_write_header(const rp_draft *draft, rp_error *err);

#endif
