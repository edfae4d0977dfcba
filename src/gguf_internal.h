/* What gguf.c (reading) and gguf_directory.c (checking and looking up) share. */
#ifndef RP_GGUF_INTERNAL_H
#define RP_GGUF_INTERNAL_H

#include "gguf.h"

typedef struct rp_gguf_entry {
    size_t key, data; /* offsets while reading */
    rp_span name;     /* set at the end */
    size_t key_size;
    rp_gguf_value value;
} rp_gguf_entry;

typedef enum rp_gguf_phase { PHASE_START, PHASE_KEYS, PHASE_TENSORS, PHASE_PADDING, PHASE_DONE } rp_gguf_phase;

struct rp_gguf {
    rp_memory *memory;
    uint8_t *bytes;
    size_t size, capacity;
    size_t at; /* everything before it was understood */
    rp_gguf_phase phase;
    uint64_t key_total, tensor_total;
    rp_gguf_entry *entries;
    size_t key_count, key_capacity;
    rp_gguf_tensor *tensors; /* name.data holds an offset while reading */
    const rp_gguf_tensor **by_name;
    size_t tensor_count, tensor_capacity;
    struct { /* a string array that is only partly there */
        bool active;
        uint64_t left;
        size_t at;
    } strings;
    uint64_t alignment, data_start, data_bytes;
};

/* When all keys are there: offsets become pointers, keys are sorted, data_start is known. */
rp_status rp_gguf_settle_keys(rp_gguf *gguf, rp_error *err);
/* When the header is whole: tensors are checked, sized and sorted. */
rp_status rp_gguf_settle_tensors(rp_gguf *gguf, rp_error *err);

#endif
