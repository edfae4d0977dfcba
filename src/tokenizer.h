/* Text to ids and ids to bytes, from a GGUF's tokenizer.ggml.* metadata. Two families: SentencePiece BPE with
 * scores and byte fallback ("llama"), byte-level BPE with merges and a pre-tokenizer ("gpt2"). Knows nothing of models.
 * Vocabulary strings stay in the GGUF header's bytes; only tables of numbers are allocated. */
#ifndef RP_TOKENIZER_H
#define RP_TOKENIZER_H

#include "gguf.h"

typedef struct rp_tokenizer rp_tokenizer;

/* `gguf` and `memory` must outlive the tokenizer. A file without tokenizer.ggml.model is RP_ERR_FORMAT. */
rp_status rp_tokenizer_open(rp_tokenizer **tokenizer, const rp_gguf *gguf, rp_memory *memory, rp_error *err);
void rp_tokenizer_close(rp_tokenizer *tokenizer);
uint64_t rp_tokenizer_bytes(const rp_tokenizer *tokenizer); /* held, besides the header */
uint32_t rp_tokenizer_vocab(const rp_tokenizer *tokenizer);
size_t rp_tokenizer_longest(const rp_tokenizer *tokenizer); /* bytes of the longest token */

/* The rp_tokenize, rp_token_* functions of reprise.h, on a tokenizer. Scratch comes from `memory` and goes back. */
rp_status rp_tokenizer_encode(rp_tokenizer *tokenizer, const char *text, size_t size, unsigned flags, int32_t *ids,
                              size_t capacity, size_t *count, rp_error *err);
const char *rp_tokenizer_bytes_of(const rp_tokenizer *tokenizer, int32_t id, size_t *size);
const char *rp_tokenizer_piece_of(const rp_tokenizer *tokenizer, int32_t id, size_t *size);
bool rp_tokenizer_ends(const rp_tokenizer *tokenizer, int32_t id);
bool rp_tokenizer_is_control(const rp_tokenizer *tokenizer, int32_t id);
int32_t rp_tokenizer_bos(const rp_tokenizer *tokenizer);
int32_t rp_tokenizer_eos(const rp_tokenizer *tokenizer);

#endif
