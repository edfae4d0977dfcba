/* The tensors of a Hugging Face folder: model.safetensors, or the shards that model.safetensors.index.json names
 * (huggingface/safetensors, "Format"). Only their headers are read. */
#ifndef RP_SAFETENSORS_H
#define RP_SAFETENSORS_H

#include "../quant.h"
#include "files.h"

typedef struct rp_safetensor {
    const char *name;
    rp_type type;      /* F32, F16 or BF16 */
    uint32_t dims;     /* 1 to 8; a scalar is a vector of one */
    uint64_t shape[8]; /* as in the file: shape[dims - 1] is the contiguous one */
    int file;          /* a handle of rp_files that stays open until rp_safetensors_close */
    uint64_t offset;   /* of its first byte in that file */
    uint64_t bytes;
} rp_safetensor;

typedef struct rp_safetensors rp_safetensors;

/* Checks each header: its length, offsets inside the file and not overlapping, bytes that agree with shape and type, no name
 * twice. A shard that the index names and that is missing, an index that disagrees with its shards, a folder that only has
 * pickled weights (pytorch_model.bin and the like), integer or FP8 tensors: an error that says so. */
rp_status rp_safetensors_open(rp_safetensors **tensors, const rp_files *files, rp_memory *memory, rp_error *err);
void rp_safetensors_close(rp_safetensors *tensors);
size_t rp_safetensors_count(const rp_safetensors *tensors);
const rp_safetensor *rp_safetensors_at(const rp_safetensors *tensors, size_t index); /* by file and offset */
const rp_safetensor *rp_safetensors_find(const rp_safetensors *tensors, const char *name);

#endif
