/* Whatever a model comes in, as a GGUF file: the one way through the converter, for the terminal program and for pages. */
#ifndef RP_CONVERT_H
#define RP_CONVERT_H

#include "../quant.h"
#include "files.h"

typedef struct rp_convert_options {
    bool keep_types;    /* as the input has them; else: */
    rp_type type, head; /* see rp_draft_set_types */
    const char *layers; /* a self-merge, as in rp_program_options; NULL: none */
    bool unroll, dedup;
    const char *tokenizer; /* bytes of a file that the vocabulary is taken from; NULL: from the input */
    size_t tokenizer_size;
    const char *tokenizer_name; /* in errors */
} rp_convert_options;

typedef struct rp_converted {
    char arch[64];
    uint32_t blocks, visits;
    uint32_t found;    /* halves of blocks that dedup dropped */
    const char *keeps; /* static: what an unrolled file needs that plain loaders do not know; NULL: nothing */
    uint32_t
        fixed_depth; /* what stays where the input left a choice that the changed program has not; 0: none was lost */
    uint64_t parameters;
    uint64_t bytes; /* of the output */
} rp_converted;

/* The type of that name ("q4_0"), of those that can be written; false when there is none. */
bool rp_convert_type(const char *name, rp_type *type);

/* Reads the input behind `files` (a folder with config.json, or one file: GGUF, or a llama2.c checkpoint, which needs a
 * tokenizer), checks that this engine can run what will be written, then writes it. Nothing is written before everything but the
 * weights' values is checked. */
rp_status rp_convert(const rp_files *files, rp_memory *memory, const rp_convert_options *options, rp_converted *result,
                     rp_error *err);

#endif
