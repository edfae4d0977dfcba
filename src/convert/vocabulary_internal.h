/* What the readers of vocabularies share: a table of tokens by id that they fill, and what its files say about special tokens.
 * Included by vocabulary*.c only. */
#ifndef RP_VOCABULARY_INTERNAL_H
#define RP_VOCABULARY_INTERNAL_H

#include "json.h"
#include "vocabulary.h"

/* GGUF's token types, which are SentencePiece's. */
enum {
    RP_TOKEN_NORMAL = 1,
    RP_TOKEN_UNKNOWN,
    RP_TOKEN_CONTROL,
    RP_TOKEN_USER, /* user-defined: always one token */
    RP_TOKEN_UNUSED,
    RP_TOKEN_BYTE,
};

enum { RP_VOCABULARY_MAX = 1 << 24 }; /* up to here a float score can count them */

typedef enum rp_special {
    RP_SPECIAL_BOS,
    RP_SPECIAL_EOS,
    RP_SPECIAL_UNKNOWN,
    RP_SPECIAL_PADDING,
    RP_SPECIALS
} rp_special;

typedef enum rp_choice { RP_UNSAID, RP_NO, RP_YES } rp_choice;

typedef struct rp_text_block rp_text_block;

typedef struct rp_vocabulary {
    rp_memory *memory;
    rp_keys *keys;
    const char *what; /* the file that is read, for errors */
    uint32_t count;   /* the model's vocab_size, and the length of these: */
    rp_span *texts;   /* as a GGUF spells them; data NULL: there is no token of this id */
    int32_t *types;
    float *scores;
    uint32_t *slots; /* by text, once rp_vocabulary_fill made it: id + 1, or 0 */
    size_t slot_count;
    rp_text_block *blocks;        /* texts that are spelled differently from the file */
    int64_t special[RP_SPECIALS]; /* -1: none */
    rp_choice add_bos, add_eos, add_space;
} rp_vocabulary;

/* The JSON files beside a vocabulary; NULL: there is none. */
typedef struct rp_vocabulary_folder {
    const rp_files *files;
    rp_memory *memory;
    rp_json_document *tokenizer_config, *special_tokens, *generation, *config, *added, *tokenizer;
} rp_vocabulary_folder;

/* ---- vocabulary_table.c -------------------------------------------------------------------------------- */

/* Close it in any case. */
rp_status rp_vocabulary_open(rp_vocabulary *v, rp_keys *keys, rp_memory *memory, const char *what, uint32_t count,
                             rp_error *err);
void rp_vocabulary_close(rp_vocabulary *v);
/* Bytes that live as long as the table; NULL when memory is out. */
char *rp_vocabulary_room(rp_vocabulary *v, size_t size, rp_error *err);
/* Sets a token; the text must outlive the table. An id beyond the model's vocabulary is an error. */
rp_status rp_vocabulary_put(rp_vocabulary *v, int64_t id, rp_span text, int32_t type, float score, rp_error *err);
/* The same for a token that was added to a vocabulary: control when it is special or looks so, else user-defined, with spaces for
 * U+2581. One beyond the model's vocabulary is left out: the model cannot say it. */
rp_status rp_vocabulary_add(rp_vocabulary *v, int64_t id, rp_span text, bool special, rp_error *err);
/* Unused tokens for the ids that have none, and the look-up by text. Two ids with one text are an error. */
rp_status rp_vocabulary_fill(rp_vocabulary *v, rp_error *err);
int64_t rp_vocabulary_find(const rp_vocabulary *v, rp_span text); /* -1: none */
/* tokenizer.ggml.model, pre, tokens, scores (if wanted) and token_type. */
rp_status rp_vocabulary_write(const rp_vocabulary *v, const char *model, const char *pre, bool scores, rp_error *err);
/* The special tokens' ids and whether they are put around a text. `pieces`: a SentencePiece vocabulary. */
rp_status rp_vocabulary_write_special(const rp_vocabulary *v, bool pieces, rp_error *err);

/* ---- vocabulary_spm.c ---------------------------------------------------------------------------------- */

/* Fills the table from a ModelProto; special ids and add_space as it says. */
rp_status rp_vocabulary_read_pieces(rp_vocabulary *v, const char *bytes, size_t size, rp_error *err);
/* llama2.c's tokenizer.bin. */
rp_status rp_vocabulary_read_llama2c(rp_vocabulary *v, const char *bytes, size_t size, rp_error *err);

/* ---- vocabulary_json.c --------------------------------------------------------------------------------- */

/* Makes everything of a tokenizer.json but what rp_vocabulary_write_special writes. *pieces: it is of SentencePiece's kind. */
rp_status rp_vocabulary_from_json(rp_vocabulary *v, const rp_json *root, const rp_vocabulary_folder *folder,
                                  bool *pieces, rp_error *err);
/* What a tokenizer.json's template puts around a text, where nothing else said it. Special ids must be known. */
void rp_vocabulary_read_template(rp_vocabulary *v, const rp_json *root);
/* Whether a tokenizer.json puts nothing around a text. */
bool rp_vocabulary_puts_nothing(const rp_json *root);

/* ---- vocabulary_pre.c ---------------------------------------------------------------------------------- */

/* The engine's name for a tokenizer.json's pre-tokenizer of byte-level BPE. RP_ERR_UNSUPPORTED names a pattern that it lacks. */
rp_status rp_vocabulary_pre(const char *what, const rp_json *root, const char **name, rp_error *err);
/* Normalizer and pre-tokenizer of SentencePiece's kind: spaces become U+2581, and *space says whether one is put first. */
rp_status rp_vocabulary_spaces(const char *what, const rp_json *root, bool *space, rp_error *err);

/* ---- vocabulary_folder.c ------------------------------------------------------------------------------- */

/* Close it in any case. */
rp_status rp_vocabulary_folder_open(rp_vocabulary_folder *folder, const rp_files *files, rp_memory *memory,
                                    rp_error *err);
void rp_vocabulary_folder_close(rp_vocabulary_folder *folder);
/* added_tokens.json and tokenizer_config.json's added_tokens_decoder. */
rp_status rp_vocabulary_read_added(rp_vocabulary *v, const rp_vocabulary_folder *folder, rp_error *err);
/* Ids of special tokens, and whether they are put around a text; sets tokenizer.ggml.eot_token_id and eom_token_id. */
rp_status rp_vocabulary_read_special(rp_vocabulary *v, const rp_vocabulary_folder *folder, rp_error *err);
rp_status rp_vocabulary_write_template(const rp_vocabulary *v, const rp_vocabulary_folder *folder, rp_error *err);

static inline rp_span rp_json_name_of(const rp_json *member) {
    return (rp_span){member->name, member->name_size};
}
static inline rp_span rp_json_text_of(const rp_json *string) {
    return (rp_span){string->string, string->size};
}

#endif
