/* Checkpoints of llama2.c (karpathy/llama2.c, run.c and export.py's "legacy" version 0): a header of seven int32 and
 * float32 weights, which say nothing of a vocabulary. */
#ifndef RP_LLAMA2C_H
#define RP_LLAMA2C_H

#include "draft.h"

enum { RP_LLAMA2C_HEAD = 28 }; /* bytes */

/* True when the first `size` bytes of a file of `file_size` bytes could be the header of such a checkpoint; a truncated
 * one counts. */
bool rp_looks_like_llama2c(const uint8_t *head, size_t size, uint64_t file_size);
/* Fills an open draft of architecture llama: its keys but for tokenizer.*, its tensors as F32. `file` stays the
 * caller's, open until the draft is written. RP_ERR_FORMAT when a field of the header cannot be or when the weights it
 * describes are not as many as the file's size says. On error the draft is partly filled: close it. */
rp_status rp_draft_from_llama2c(rp_draft *draft, int file, uint64_t size, rp_error *err);

#endif
