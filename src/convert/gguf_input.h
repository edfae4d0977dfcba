/* A GGUF file as the converter's input: to store its weights in other types, or with other sharing. */
#ifndef RP_GGUF_INPUT_H
#define RP_GGUF_INPUT_H

#include "draft.h"

/* Fills an open draft from a GGUF file of `size` bytes: all keys but general.alignment in the file's order,
 * draft->arch, every tensor in the order of its data, to be copied as it is. `file` stays the caller's, open until the
 * draft is written. Only the header is read. RP_ERR_FORMAT for a broken or truncated file, RP_ERR_UNSUPPORTED for
 * tensor types and shapes that the engine does not know; both name the tensor. On error the draft is partly filled:
 * close it. */
rp_status rp_draft_from_gguf(rp_draft *draft, int file, uint64_t size, rp_error *err);

#endif
