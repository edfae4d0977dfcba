/* Changes to a draft between reading and writing: types, sharing, order. Each leaves a draft that says the same program, or the one asked
 * for. */
#ifndef RP_RESHAPE_H
#define RP_RESHAPE_H

#include "../model.h"
#include "draft.h"

/* The types that tensors are written in: `type` for matrices, `head` for the matrix that gives the logits (RP_TYPES: Q6_K, or Q8_0
 * where its rows do not fit, when `type` has fewer bits, as llama.cpp's quantizer does); F32 for vectors and what is small. A
 * matrix whose rows do not fit the type gets the next larger one that they fit. The rank of a factorised embedding is
 * rounded up to 32 with zeros, which changes no result. */
rp_status rp_draft_set_types(rp_draft *draft, rp_type type, rp_type head, rp_error *err);

/* Writes halves of blocks (attention, FFN) whose weights are equal byte by byte once, with a map. Norms, step biases and
 * low-rank terms may differ: they become those of a visit. `model`: rp_draft_model of this draft. *found: blocks or halves that
 * were dropped. */
rp_status rp_draft_dedup(rp_draft *draft, const rp_model *model, uint32_t *found, rp_error *err);

/* Copies blocks out so that none is visited twice. *keeps: NULL when the file now is of a plain architecture, else what it needs
 * that plain loaders do not know (a key's name, static). */
rp_status rp_draft_unroll(rp_draft *draft, const rp_model *model, const char **keeps, rp_error *err);

/* The program that `layers` (as in rp_program_options) asks for becomes the file's own. Blocks that it does not visit are left
 * out. */
rp_status rp_draft_select(rp_draft *draft, const rp_model *model, const char *layers, rp_error *err);

/* Tensors in the order in which they are computed with. */
rp_status rp_draft_order(rp_draft *draft, rp_error *err);

/* The draft as a model of which only the header is there: whether this engine would take the file, and its program. The caller
 * closes *model. */
rp_status rp_draft_model(const rp_draft *draft, rp_model **model, rp_error *err);

#endif
