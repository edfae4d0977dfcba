/* Inside reshape.c and dedup.c: the keys of a program, and a draft made from another. */
#ifndef RP_RESHAPE_KEYS_H
#define RP_RESHAPE_KEYS_H

#include "block_name.h"
#include "reshape.h"

/* Takes out every key that says which visits there are, so that a new program can be said. */
void rp_draft_clear_program(rp_draft *draft);
/* Block count and maps: `attn` and `ffn` say the block of each visit; what is the identity is not said. */
rp_status rp_draft_set_maps(rp_draft *draft, uint32_t blocks, const uint32_t *attn, const uint32_t *ffn,
                            uint32_t visits, rp_error *err);
/* KV slots, and what happens before and after visits, of a program without loops. *keeps as in rp_draft_unroll, NULL where nothing is
 * to be said. */
rp_status rp_draft_set_visits(rp_draft *draft, const rp_model *model, const rp_program *program, const char **keeps,
                              rp_error *err);
/* Which blocks slide and which rotate, when it is not what the architecture says without being told: block i of the draft is the
 * model's block from[i]. */
rp_status rp_draft_set_patterns(rp_draft *draft, const rp_model *model, const uint32_t *from, uint32_t blocks,
                                const char **keeps, rp_error *err);
/* Another general.architecture, and all keys under its name. */
rp_status rp_draft_rename(rp_draft *draft, const char *arch, rp_error *err);

/* The name of an architecture whose blocks are shared: "reprise-llama" for "llama", and those that have a name of their own. */
rp_status rp_draft_set_reprise_name(rp_draft *draft, const rp_model *model, rp_error *err);

/* A tensor under another name, in the place of one that has this name already; `from` is of another draft. */
rp_status rp_draft_copy(rp_draft *to, const rp_draft_tensor *from, const char *name, rp_error *err);
/* Everything outside of blocks. */
rp_status rp_draft_copy_ends(rp_draft *to, const rp_draft *from, rp_error *err);
/* Gives the draft the tensors of another one, which gets the old ones; gives back what such another one holds. */
void rp_draft_take(rp_draft *draft, rp_draft *made);
void rp_draft_drop(rp_draft *made);

#endif
