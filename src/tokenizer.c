/* Opening a tokenizer and the functions of tokenizer.h. A tokenizer is never changed after it was opened; what an
 * encoding needs lives in an rp_encoder of its own and is given back on every path.
 *
 * Where this differs from llama.cpp: BOS is not doubled when the text, read with its special tokens, begins with it;
 * EOS is never put behind a text; byte-level BPE has no BOS and EOS that the file does not name (llama.cpp: 11); an
 * empty token has no text; a byte that no token stands for becomes the unknown token (llama.cpp throws). */
#include "tokenizer_internal.h"

#include <string.h>

static rp_status load_pre_tokenizer(rp_tokenizer *tokenizer, const rp_gguf *gguf, rp_error *err) {
    rp_span name = {"default", 7};
    RP_TRY(rp_gguf_string(gguf, "tokenizer.ggml.pre", &name, err));
    const rp_pre_name *found = rp_pre_find(name.size ? name : (rp_span){"default", 7});
    if (!found)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "tokenizer.ggml.pre: pre-tokenizer \"%.*s\" is not known",
                       (int)RP_MIN(name.size, 64), name.data);
    tokenizer->pre = found->pre;
    tokenizer->ignore_merges = found->ignore_merges;
    tokenizer->add_bos = found->add_bos;
    return RP_OK;
}

static rp_status load_family(rp_tokenizer *tokenizer, const rp_gguf *gguf, rp_error *err) {
    rp_span family = {NULL, 0};
    RP_TRY(rp_gguf_string(gguf, "tokenizer.ggml.model", &family, err));
    if (!family.data)
        return rp_fail(err, RP_ERR_FORMAT, "tokenizer.ggml.model is missing");
    tokenizer->bpe = rp_span_is(family, "gpt2");
    if (!tokenizer->bpe && !rp_span_is(family, "llama"))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "tokenizer.ggml.model: want llama or gpt2, file has \"%.*s\"",
                       (int)RP_MIN(family.size, 64), family.data);
    tokenizer->bos = tokenizer->bpe ? RP_NO_ID : 1;
    tokenizer->eos = tokenizer->bpe ? RP_NO_ID : 2;
    tokenizer->unknown = tokenizer->bpe ? RP_NO_ID : 0;
    tokenizer->add_bos = tokenizer->add_space_prefix = !tokenizer->bpe;
    if (tokenizer->bpe)
        return load_pre_tokenizer(tokenizer, gguf, err);
    return rp_gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", &tokenizer->add_space_prefix, err);
}

static rp_status load(rp_tokenizer *tokenizer, const rp_gguf *gguf, rp_error *err) {
    bool want_bos = false;
    RP_TRY(load_family(tokenizer, gguf, err));
    RP_TRY(rp_vocab_load(tokenizer, gguf, err));
    if (tokenizer->bpe)
        RP_TRY(rp_bpe_load(tokenizer, gguf, err));
    RP_TRY(rp_special_load(tokenizer, gguf, err));
    RP_TRY(rp_gguf_bool(gguf, "tokenizer.ggml.add_bos_token", &want_bos, err));
    if (want_bos && tokenizer->bos == RP_NO_ID)
        return rp_fail(err, RP_ERR_FORMAT, "tokenizer.ggml.add_bos_token is true, and the file names no BOS token");
    RP_TRY(rp_gguf_bool(gguf, "tokenizer.ggml.add_bos_token", &tokenizer->add_bos, err));
    tokenizer->add_bos = tokenizer->add_bos && tokenizer->bos != RP_NO_ID;
    RP_TRY(rp_special_index(tokenizer, err));
    return rp_vocab_decode(tokenizer, err);
}

rp_status rp_tokenizer_open(rp_tokenizer **out, const rp_gguf *gguf, rp_memory *memory, rp_error *err) {
    *out = NULL;
    rp_tokenizer *tokenizer = rp_alloc(memory, 1, sizeof *tokenizer, "tokenizer", err);
    if (!tokenizer)
        return err->status;
    tokenizer->memory = memory;
    tokenizer->bytes = sizeof *tokenizer;
    rp_status status = load(tokenizer, gguf, err);
    if (status != RP_OK) {
        rp_tokenizer_close(tokenizer);
        return status;
    }
    *out = tokenizer;
    return RP_OK;
}

static void close_slots(rp_memory *memory, rp_slots *slots) {
    rp_release(memory, slots->slots, slots->count, sizeof(uint32_t));
}

void rp_tokenizer_close(rp_tokenizer *tokenizer) {
    if (!tokenizer)
        return;
    rp_memory *memory = tokenizer->memory;
    rp_release(memory, tokenizer->offsets, tokenizer->vocab, sizeof(uint32_t));
    rp_release(memory, tokenizer->attributes, tokenizer->vocab, 1);
    rp_release(memory, tokenizer->pool, tokenizer->pool_size, 1);
    rp_release(memory, tokenizer->pool_starts, (size_t)tokenizer->vocab + 1, sizeof(uint32_t));
    rp_release(memory, tokenizer->specials, tokenizer->special_count, sizeof(rp_special_length));
    rp_release(memory, tokenizer->merges, tokenizer->merge_count, sizeof(rp_merge));
    rp_release(memory, tokenizer->extras, tokenizer->extra_room, sizeof(rp_span));
    close_slots(memory, &tokenizer->by_text);
    close_slots(memory, &tokenizer->by_pair);
    close_slots(memory, &tokenizer->by_extra);
    rp_release(memory, tokenizer, 1, sizeof *tokenizer);
}

uint64_t rp_tokenizer_bytes(const rp_tokenizer *tokenizer) {
    return tokenizer->bytes;
}

uint32_t rp_tokenizer_vocab(const rp_tokenizer *tokenizer) {
    return tokenizer->vocab;
}

static bool guard_at(const char *text, size_t size) { /* U+FDD0 */
    return size >= 3 && memcmp(text, "\xef\xb7\x90", 3) == 0;
}

/* Takes the guards out of a text; remembers where they were. */
static rp_status drop_guards(rp_encoder *encoder, const char **text, size_t *size, rp_error *err) {
    encoder->plain_room = *size;
    encoder->plain = rp_alloc(encoder->memory, *size, 1, "text without guards", err);
    encoder->guards = rp_alloc(encoder->memory, *size / 8 + 1, 1, "guards", err);
    if (!encoder->plain || !encoder->guards)
        return RP_ERR_MEMORY;
    size_t plain = 0;
    for (size_t at = 0; at < *size;) {
        if (guard_at(*text + at, *size - at)) {
            encoder->guards[plain / 8] |= (uint8_t)(1 << plain % 8);
            at += 3;
        } else {
            encoder->plain[plain++] = (*text)[at++];
        }
    }
    *text = encoder->plain;
    *size = plain;
    return RP_OK;
}

size_t rp_tokenizer_longest(const rp_tokenizer *tokenizer) {
    return tokenizer->longest;
}

static rp_status encode(rp_encoder *encoder, const char *text, size_t size, unsigned flags, rp_error *err) {
    const rp_tokenizer *tokenizer = encoder->tokenizer;
    bool bos = (flags & RP_TOKENIZE_BOS) && tokenizer->add_bos;
    if (flags & RP_TOKENIZE_GUARDED)
        RP_TRY(drop_guards(encoder, &text, &size, err));
    if (size)
        RP_TRY(rp_special_split(encoder, text, size, flags & RP_TOKENIZE_SPECIAL, err));
    if (bos && !(size && encoder->segments[0].id == tokenizer->bos))
        rp_encoder_emit(encoder, tokenizer->bos);
    for (int32_t i = size ? 0 : -1; i >= 0; i = encoder->segments[i].next) {
        rp_segment segment = encoder->segments[i];
        if (segment.id != RP_NO_ID) {
            rp_encoder_emit(encoder, segment.id);
        } else if (tokenizer->bpe) {
            RP_TRY(rp_bpe_encode(encoder, text + segment.start, segment.size, err));
        } else { /* behind a special token a text starts anew */
            bool starts = i > 0 || !(flags & RP_TOKENIZE_CONTINUES);
            RP_TRY(rp_spm_encode(encoder, text + segment.start, segment.size, starts, err));
        }
    }
    return RP_OK;
}

rp_status rp_tokenizer_encode(rp_tokenizer *tokenizer, const char *text, size_t size, unsigned flags, int32_t *ids,
                              size_t capacity, size_t *count, rp_error *err) {
    *count = 0;
    if (size > INT32_MAX / 6) /* the longest spelling of a byte takes six */
        return rp_fail(err, RP_ERR_ARGUMENT, "text to tokenize: want at most %d bytes, got %llu", INT32_MAX / 6,
                       (unsigned long long)size);
    rp_encoder encoder = {.tokenizer = tokenizer, .memory = tokenizer->memory, .ids = ids, .capacity = capacity};
    rp_status status = encode(&encoder, text, size, flags, err);
    rp_release(encoder.memory, encoder.plain, encoder.plain_room, 1);
    rp_release(encoder.memory, encoder.guards, encoder.plain_room / 8 + 1, 1);
    rp_release(encoder.memory, encoder.text, encoder.text_room, 1);
    rp_release(encoder.memory, encoder.symbols, encoder.symbol_room, sizeof(rp_symbol));
    rp_release(encoder.memory, encoder.heap, encoder.heap_room, sizeof(rp_pair));
    rp_release(encoder.memory, encoder.segments, encoder.segment_room, sizeof(rp_segment));
    if (status == RP_OK)
        *count = encoder.count;
    return status;
}

static bool in_vocab(const rp_tokenizer *tokenizer, int32_t id) {
    return id >= 0 && (uint32_t)id < tokenizer->vocab;
}

/* SentencePiece's leading space stays: it belongs to the token. Who shows a whole text that began with the added
 * space drops it there. */
const char *rp_tokenizer_bytes_of(const rp_tokenizer *tokenizer, int32_t id, size_t *size) {
    *size = 0;
    if (!in_vocab(tokenizer, id))
        return NULL;
    *size = tokenizer->pool_starts[id + 1] - tokenizer->pool_starts[id];
    return tokenizer->pool + tokenizer->pool_starts[id];
}

const char *rp_tokenizer_piece_of(const rp_tokenizer *tokenizer, int32_t id, size_t *size) {
    *size = 0;
    if (!in_vocab(tokenizer, id))
        return NULL;
    rp_span text = rp_token_text(tokenizer, id);
    *size = text.size;
    return text.data;
}

bool rp_tokenizer_ends(const rp_tokenizer *tokenizer, int32_t id) {
    for (size_t i = 0; i < tokenizer->end_count; i++) {
        if (tokenizer->ends[i] == id)
            return true;
    }
    return false;
}

bool rp_tokenizer_is_control(const rp_tokenizer *tokenizer, int32_t id) {
    return in_vocab(tokenizer, id) && tokenizer->attributes[id] & TOKEN_CONTROL;
}

int32_t rp_tokenizer_bos(const rp_tokenizer *tokenizer) {
    return tokenizer->bos;
}

int32_t rp_tokenizer_eos(const rp_tokenizer *tokenizer) {
    return tokenizer->eos;
}
