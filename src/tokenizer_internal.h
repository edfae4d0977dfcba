/* What the tokenizer's files share: the tables of an open vocabulary and the scratch of one encoding. Included by
 * tokenizer*.c only.
 *
 * Memory held: for a vocabulary entry 9 bytes, its decoded bytes and 6 to 12 bytes of hash slots; for a merge 12 bytes
 * and as many of slots. Scratch for a text: for each character of its longest stretch that cannot be split 20 bytes, and
 * 16 for each pair that waits (at most two a character, in an array that doubles), besides the stretch's spelling. */
#ifndef RP_TOKENIZER_INTERNAL_H
#define RP_TOKENIZER_INTERNAL_H

#include "tokenizer.h"

/* What llama.cpp calls a token's attributes. */
enum {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 4,
    TOKEN_USER = 8, /* user-defined: read in any text, flags or not */
    TOKEN_BYTE = 16,
    TOKEN_UNUSED = 32,
    TOKEN_STRIP_LEFT = 64, /* white space beside it goes when it is read in a text */
    TOKEN_STRIP_RIGHT = 128,
    TOKEN_SPECIAL = TOKEN_UNKNOWN | TOKEN_CONTROL | TOKEN_USER,
};

/* Slots that are looked at for one text or pair. Chance needs some hundreds at most; a file whose author aims at one place is refused. */
enum { RP_PROBES_MOST = 1024 };

/* Open addressing over texts or pairs; a slot holds an index + 1, or 0. */
typedef struct rp_slots {
    uint32_t *slots;
    size_t count; /* a power of two, or 0 */
} rp_slots;

/* Special tokens of one length. A text can only hold one where its first and last byte are in these sets. */
typedef struct rp_special_length {
    uint32_t length;
    bool user; /* one of them is user-defined */
    uint8_t first[32], last[32];
} rp_special_length;

/* Merge `index` turns left and right into result, or into a text that is no token (RP_NO_ID). */
typedef struct rp_merge {
    int32_t left, right, result;
} rp_merge;

enum { RP_NO_ID = -1, RP_ENDS_MAX = 48 };

typedef struct rp_pre_tokenizer rp_pre_tokenizer;

struct rp_tokenizer {
    rp_memory *memory;
    uint64_t bytes;
    uint32_t vocab;
    bool bpe; /* byte-level BPE, else SentencePiece */
    bool add_bos, add_space_prefix, ignore_merges;
    int32_t bos, eos, unknown; /* RP_NO_ID: none */
    int32_t ends[RP_ENDS_MAX];
    size_t end_count;

    const char *texts;   /* the strings of tokenizer.ggml.tokens, in the GGUF header */
    uint32_t *offsets;   /* (vocab): where each begins in texts */
    uint8_t *attributes; /* (vocab) */
    rp_slots by_text;
    size_t longest;       /* bytes of the longest token */
    rp_gguf_value scores; /* SentencePiece; count 0: all are 0 */
    char *pool;           /* decoded bytes of all tokens */
    size_t pool_size;
    uint32_t *pool_starts; /* (vocab + 1) */

    rp_special_length *specials; /* longest first */
    size_t special_count;

    const rp_pre_tokenizer *pre;
    const char *merge_texts; /* the strings of tokenizer.ggml.merges */
    rp_merge *merges;        /* (merge_count), by rank */
    size_t merge_count;
    rp_slots by_pair;
    rp_span *extras; /* texts that merges name and the vocabulary lacks: ids from `vocab` on; rare */
    size_t extra_count, extra_room;
    rp_slots by_extra;
    int32_t byte_ids[256]; /* of byte-level BPE's letters for bytes, extras included */
};

/* A stretch of the text that becomes one id: a linked list that shrinks from characters to tokens. */
typedef struct rp_symbol {
    uint32_t start, size; /* in the encoder's text; size 0: merged into the one before */
    int32_t previous, next, id;
} rp_symbol;

/* A merge that could be done: the symbol `left` and the one behind it, `size` bytes together. */
typedef struct rp_pair {
    uint32_t rank; /* lowest first, then leftmost */
    int32_t left;
    uint32_t size;
    int32_t id; /* what they become */
} rp_pair;

/* A text or, with an id, a special token found in it. */
typedef struct rp_segment {
    uint32_t start, size;
    int32_t id;   /* RP_NO_ID: text */
    int32_t next; /* -1: last */
} rp_segment;

/* One encoding. Output beyond capacity is counted, not written. */
typedef struct rp_encoder {
    const rp_tokenizer *tokenizer;
    rp_memory *memory;
    int32_t *ids;
    size_t capacity, count;

    char *plain;     /* the text without its guards; NULL: it is not guarded */
    uint8_t *guards; /* a bit for each byte of plain: a guard stood before it */
    size_t plain_room;
    char *text;
    size_t text_size, text_room;
    rp_symbol *symbols;
    size_t symbol_count, symbol_room;
    rp_pair *heap;
    size_t heap_count, heap_room;
    rp_segment *segments; /* list from 0 on */
    size_t segment_count, segment_room;
} rp_encoder;

static inline rp_span rp_token_text(const rp_tokenizer *tokenizer, int32_t id) {
    const char *text = tokenizer->texts + tokenizer->offsets[id];
    return (rp_span){text, (size_t)rp_load_u64((const uint8_t *)text - 8)};
}

/* tokenizer_vocab.c: the tables that both families have. */
rp_status rp_vocab_load(rp_tokenizer *tokenizer, const rp_gguf *gguf, rp_error *err);
rp_status rp_vocab_decode(rp_tokenizer *tokenizer, rp_error *err);
/* Memory that is counted in tokenizer->bytes. */
void *rp_tokenizer_alloc(rp_tokenizer *tokenizer, size_t count, size_t size, const char *what, rp_error *err);
rp_status rp_slots_open(rp_tokenizer *tokenizer, rp_slots *slots, size_t items, const char *what, rp_error *err);
rp_status rp_slots_refuse(const char *what, rp_error *err);
int32_t rp_token_find(const rp_tokenizer *tokenizer, const char *text, size_t size); /* RP_NO_ID: none */
rp_status rp_gguf_strings(const rp_gguf *gguf, const char *key, rp_gguf_value *value, rp_error *err);

/* tokenizer_special.c: which tokens are special or end a turn, and finding them in a text. */
rp_status rp_special_load(rp_tokenizer *tokenizer, const rp_gguf *gguf, rp_error *err);
rp_status rp_special_index(rp_tokenizer *tokenizer, rp_error *err);
rp_status rp_special_split(rp_encoder *encoder, const char *text, size_t size, bool control, rp_error *err);

/* tokenizer_merge.c: the queue that both families merge by. */
typedef bool rp_pair_rule(const rp_encoder *encoder, const rp_symbol *left, const rp_symbol *right, rp_pair *pair);
/* Room for a text of `size` bytes and for `count` symbols; each forgets what was there before. */
rp_status rp_encoder_text(rp_encoder *encoder, size_t size, rp_error *err);
rp_status rp_encoder_symbols(rp_encoder *encoder, size_t count, rp_error *err);
void rp_encoder_push(rp_encoder *encoder, size_t size, int32_t id); /* a symbol behind those there are */
rp_status rp_encoder_merge(rp_encoder *encoder, rp_pair_rule *rule, rp_error *err);
static inline void rp_encoder_emit(rp_encoder *encoder, int32_t id) {
    if (encoder->count < encoder->capacity)
        encoder->ids[encoder->count] = id;
    encoder->count++;
}

/* tokenizer_spm.c and tokenizer_bpe.c: one stretch of text without special tokens. */
rp_status rp_spm_encode(rp_encoder *encoder, const char *text, size_t size, bool starts, rp_error *err);
rp_status rp_bpe_load(rp_tokenizer *tokenizer, const rp_gguf *gguf, rp_error *err);
rp_status rp_bpe_encode(rp_encoder *encoder, const char *text, size_t size, rp_error *err);

/* tokenizer_pre.c: names of pre-tokenizers, and where words end. */
typedef size_t rp_pre_scan(const char *text, size_t size); /* bytes of the first piece, at least one */
struct rp_pre_tokenizer {
    rp_pre_scan *scans[4]; /* each splits the pieces of the one before; NULL behind the last */
};
typedef struct rp_pre_name {
    const char *name;
    const rp_pre_tokenizer *pre;
    bool ignore_merges, add_bos;
} rp_pre_name;
const rp_pre_name *rp_pre_find(rp_span name); /* NULL: unknown */

#endif
