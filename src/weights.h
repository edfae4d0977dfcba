/* The way of tensors from a file that arrives in pieces into one buffer, laid out as quant.h says. A model has one, an adapter too. Knows
 * no model. */
#ifndef RP_WEIGHTS_H
#define RP_WEIGHTS_H

#include "gguf.h"
#include "quant.h"

/* A weight matrix in the memory layout of quant.h: out (rows) = matrix times in (columns). */
typedef struct rp_matrix {
    const uint8_t *data;
    rp_type type;
    uint32_t rows, columns;
} rp_matrix;

/* A tensor that somebody wants: its name, shape (rows 0: a vector of `columns` floats), who points at it once it is there, and the
 * count of places that must be loaded for the part that it belongs to. */
typedef struct rp_want {
    const char *name;
    uint64_t rows, columns;
    bool required;
    rp_matrix *matrix;
    const float **vector;
} rp_want;

/* One tensor's way. */
typedef struct rp_place {
    const rp_gguf_tensor *tensor;
    rp_type type;
    bool is_vector; /* kept as floats */
    uint64_t rows, columns;
    uint64_t offset; /* in the buffer */
    uint64_t bytes;  /* there */
    rp_matrix *matrix;
    const float **vector;
    uint32_t *ready;
} rp_place;

typedef struct rp_weights {
    rp_place *places; /* (count), in file order once arranged */
    size_t count, capacity;
    uint64_t bytes, staging_bytes;
    uint8_t *data, *staging;
    size_t loading;       /* place whose bytes come next: how many are loaded */
    uint64_t position;    /* bytes of the data section seen */
    size_t staged;        /* bytes in staging */
    uint64_t rows_done;   /* of the place being loaded */
    uint64_t fingerprint; /* hash of the weights, their names, types and shapes, and of what its owner put in before */
} rp_weights;

/* Room for a place for each tensor of the file. The owner closes, whatever failed. */
rp_status rp_weights_open(rp_weights *weights, rp_memory *memory, const rp_gguf *gguf, rp_error *err);
void rp_weights_close(rp_weights *weights, rp_memory *memory);
/* Adds a tensor's place under `name`. One that is absent is an error if required, and nothing otherwise. `ready` is set by
 * rp_weights_arrange. */
rp_status rp_weights_add(rp_weights *weights, const rp_gguf *gguf, const char *name, const rp_want *want,
                         uint32_t *ready, rp_error *err);
/* Sorts places into file order, in which their bytes come, and gives each its offset in the buffer. Every tensor of the file must have
 * been added: one that is passed over would change the text. `who` is named when there is one. */
rp_status rp_weights_arrange(rp_weights *weights, const rp_gguf *gguf, const char *who, rp_error *err);
/* Takes the buffer and points everybody at it. */
rp_status rp_weights_take(rp_weights *weights, rp_memory *memory, rp_error *err);
/* Takes bytes of the data section until they or the tensors end; what is between and after tensors is skipped. True when all are
 * loaded. */
bool rp_weights_feed(rp_weights *weights, rp_memory *memory, const uint8_t *bytes, size_t size);

#endif
