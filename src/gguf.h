/* GGUF v2 and v3 (ggml-org/ggml, docs/gguf.md): turns bytes that arrive in pieces into a directory of
 * metadata and tensors. Knows nothing of models. All strings and arrays point into the header's bytes, which
 * are kept; they are not zero-terminated. */
#ifndef RP_GGUF_H
#define RP_GGUF_H

#include "base.h"

typedef enum rp_gguf_type {
    RP_GGUF_U8,
    RP_GGUF_I8,
    RP_GGUF_U16,
    RP_GGUF_I16,
    RP_GGUF_U32,
    RP_GGUF_I32,
    RP_GGUF_F32,
    RP_GGUF_BOOL,
    RP_GGUF_STRING,
    RP_GGUF_ARRAY,
    RP_GGUF_U64,
    RP_GGUF_I64,
    RP_GGUF_F64,
} rp_gguf_type;

typedef struct rp_span {
    const char *data;
    size_t size;
} rp_span;

/* One metadata value. Scalars: type and data. Arrays: element type and count, data at the first element. */
typedef struct rp_gguf_value {
    rp_gguf_type type;
    bool is_array;
    uint64_t count; /* 1 for a scalar */
    const uint8_t *data;
    size_t size; /* bytes of data */
} rp_gguf_value;

typedef struct rp_gguf_tensor {
    rp_span name;
    uint32_t type;     /* ggml type number, see quant.h */
    uint32_t dims;     /* 1 to 4 */
    uint64_t shape[4]; /* shape[0] is the contiguous one: columns; unused ones are 1 */
    uint64_t offset;   /* from the start of the data section */
    uint64_t bytes;
} rp_gguf_tensor;

typedef struct rp_gguf rp_gguf;

rp_status rp_gguf_open(rp_gguf **gguf, rp_memory *memory, rp_error *err);
void rp_gguf_close(rp_gguf *gguf);
/* Takes header bytes; *used < size means that the header (its padding included) ended there and *done is true. */
rp_status rp_gguf_feed(rp_gguf *gguf, const uint8_t *bytes, size_t size, size_t *used, bool *done, rp_error *err);

uint64_t rp_gguf_header_bytes(const rp_gguf *gguf); /* where the data section starts in the file */
uint64_t rp_gguf_data_bytes(const rp_gguf *gguf);   /* size of the data section, up to the last tensor's end */
size_t rp_gguf_tensor_count(const rp_gguf *gguf);
const rp_gguf_tensor *rp_gguf_tensor_at(const rp_gguf *gguf, size_t index); /* in order of offset */
const rp_gguf_tensor *rp_gguf_tensor_find(const rp_gguf *gguf, const char *name);

/* Metadata by key; false when the key is absent. */
bool rp_gguf_find(const rp_gguf *gguf, const char *key, rp_gguf_value *value);
size_t rp_gguf_key_count(const rp_gguf *gguf);
rp_span rp_gguf_key_at(const rp_gguf *gguf, size_t index);

/* Typed reads. Absent key: *out is left as it was, RP_OK. Wrong type or range: RP_ERR_FORMAT naming the key.
 * Any integer type is accepted for an integer that fits. */
rp_status rp_gguf_u32(const rp_gguf *gguf, const char *key, uint32_t *out, rp_error *err);
rp_status rp_gguf_f32(const rp_gguf *gguf, const char *key, float *out, rp_error *err);
rp_status rp_gguf_bool(const rp_gguf *gguf, const char *key, bool *out, rp_error *err);
rp_status rp_gguf_string(const rp_gguf *gguf, const char *key, rp_span *out, rp_error *err);

/* Element of an integer array, sign kept; of a float array; the caller checks type and index. */
int64_t rp_gguf_int_at(const rp_gguf_value *array, uint64_t index);
float rp_gguf_f32_at(const rp_gguf_value *array, uint64_t index);
/* Walks a string array: start with *cursor = 0; returns the next string. The array was checked when it was read. */
rp_span rp_gguf_next_string(const rp_gguf_value *array, size_t *cursor);

static inline bool rp_span_is(rp_span span, const char *text) {
    return span.size == __builtin_strlen(text) && __builtin_memcmp(span.data, text, span.size) == 0;
}

#endif
