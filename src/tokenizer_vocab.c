/* The tables of a vocabulary that both families have: where each token's text is, its attributes, a hash from text to
 * id, the decoded bytes. What the file says is checked here; afterwards every id in these tables is a good one. */
#include "tokenizer_internal.h"
#include "unicode.h"

#include <string.h>

void *rp_tokenizer_alloc(rp_tokenizer *tokenizer, size_t count, size_t size, const char *what, rp_error *err) {
    void *block = rp_alloc(tokenizer->memory, count, size, what, err);
    if (block)
        tokenizer->bytes += RP_MAX(count, 1) * size;
    return block;
}

/* At least a third of the slots stays free. */
rp_status rp_slots_open(rp_tokenizer *tokenizer, rp_slots *slots, size_t items, const char *what, rp_error *err) {
    size_t count = 4;
    while (count / 3 < items / 2 + 1)
        count *= 2;
    slots->slots = rp_tokenizer_alloc(tokenizer, count, sizeof(uint32_t), what, err);
    if (!slots->slots)
        return err->status;
    slots->count = count;
    return RP_OK;
}

/* The slot of a text: it holds the token's id + 1, or 0. NULL: there is none within reach. */
static uint32_t *find_slot(const rp_tokenizer *tokenizer, const char *text, size_t size) {
    const rp_slots *slots = &tokenizer->by_text;
    uint64_t hash = rp_hash_bytes(RP_HASH_START, text, size);
    size_t at = (size_t)(hash ^ hash >> 32) & (slots->count - 1);
    for (int i = 0; i < RP_PROBES_MOST; i++, at = (at + 1) & (slots->count - 1)) {
        if (!slots->slots[at])
            return &slots->slots[at];
        rp_span other = rp_token_text(tokenizer, (int32_t)(slots->slots[at] - 1));
        if (other.size == size && memcmp(other.data, text, size) == 0)
            return &slots->slots[at];
    }
    return NULL;
}

int32_t rp_token_find(const rp_tokenizer *tokenizer, const char *text, size_t size) {
    if (size > tokenizer->longest)
        return RP_NO_ID;
    const uint32_t *slot = find_slot(tokenizer, text, size);
    return slot ? (int32_t)*slot - 1 : RP_NO_ID;
}

rp_status rp_slots_refuse(const char *what, rp_error *err) {
    return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: too many collide", what);
}

/* An array of strings that must be there. */
rp_status rp_gguf_strings(const rp_gguf *gguf, const char *key, rp_gguf_value *value, rp_error *err) {
    if (!rp_gguf_find(gguf, key, value))
        return rp_fail(err, RP_ERR_FORMAT, "%s is missing", key);
    if (!value->is_array || value->type != RP_GGUF_STRING)
        return rp_fail(err, RP_ERR_FORMAT, "%s: want an array of strings", key);
    return RP_OK;
}

/* An array of numbers for each token; absent: count 0. Like llama.cpp, more than there are tokens is no error. */
static rp_status find_numbers(const rp_tokenizer *tokenizer, const rp_gguf *gguf, const char *key, bool floats,
                              rp_gguf_value *value, rp_error *err) {
    *value = (rp_gguf_value){0};
    if (!rp_gguf_find(gguf, key, value))
        return RP_OK;
    bool fits = value->type == RP_GGUF_I32 || value->type == RP_GGUF_U32 || (floats && value->type == RP_GGUF_F32);
    if (!value->is_array || !fits)
        return rp_fail(err, RP_ERR_FORMAT, "%s: want an array of %s", key, floats ? "float32" : "int32");
    if (value->count < tokenizer->vocab)
        return rp_fail(err, RP_ERR_FORMAT, "%s: want %u entries, one a token, file has %llu", key, tokenizer->vocab,
                       (unsigned long long)value->count);
    return RP_OK;
}

static rp_status load_texts(rp_tokenizer *tokenizer, const rp_gguf *gguf, rp_error *err) {
    rp_gguf_value strings;
    RP_TRY(rp_gguf_strings(gguf, "tokenizer.ggml.tokens", &strings, err));
    if (strings.count == 0)
        return rp_fail(err, RP_ERR_FORMAT, "tokenizer.ggml.tokens: want at least one token, file has none");
    if (strings.count > INT32_MAX / 4 || strings.size > UINT32_MAX)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "tokenizer.ggml.tokens: %llu tokens in %llu bytes are too many",
                       (unsigned long long)strings.count, (unsigned long long)strings.size);
    uint32_t vocab = (uint32_t)strings.count;
    tokenizer->offsets = rp_tokenizer_alloc(tokenizer, vocab, sizeof(uint32_t), "tokenizer.ggml.tokens", err);
    if (!tokenizer->offsets)
        return err->status;
    tokenizer->vocab = vocab;
    tokenizer->texts = (const char *)strings.data;
    RP_TRY(rp_slots_open(tokenizer, &tokenizer->by_text, vocab, "tokenizer.ggml.tokens", err));
    size_t cursor = 0;
    for (uint32_t id = 0; id < vocab; id++) {
        rp_span text = rp_gguf_next_string(&strings, &cursor);
        tokenizer->offsets[id] = (uint32_t)(text.data - tokenizer->texts);
        tokenizer->longest = RP_MAX(tokenizer->longest, text.size);
        if (!text.size) /* has no text that could be found */
            continue;
        uint32_t *slot = find_slot(tokenizer, text.data, text.size);
        if (!slot)
            return rp_slots_refuse("tokenizer.ggml.tokens", err);
        if (*slot)
            return rp_fail(err, RP_ERR_FORMAT, "tokenizer.ggml.tokens: %u and %u are both \"%.*s\"", *slot - 1, id,
                           (int)RP_MIN(text.size, 64), text.data);
        *slot = id + 1;
    }
    return RP_OK;
}

static rp_status load_attributes(rp_tokenizer *tokenizer, const rp_gguf *gguf, rp_error *err) {
    static const uint8_t by_type[] = {0,          TOKEN_NORMAL, TOKEN_UNKNOWN, TOKEN_CONTROL,
                                      TOKEN_USER, TOKEN_UNUSED, TOKEN_BYTE};
    rp_gguf_value types;
    RP_TRY(find_numbers(tokenizer, gguf, "tokenizer.ggml.token_type", false, &types, err));
    RP_TRY(find_numbers(tokenizer, gguf, "tokenizer.ggml.scores", true, &tokenizer->scores, err));
    tokenizer->attributes = rp_tokenizer_alloc(tokenizer, tokenizer->vocab, 1, "token attributes", err);
    if (!tokenizer->attributes)
        return err->status;
    for (uint32_t id = 0; id < tokenizer->vocab; id++) {
        int64_t type = types.count ? rp_gguf_int_at(&types, id) : 1;
        tokenizer->attributes[id] = type >= 0 && type < (int64_t)RP_COUNT(by_type) ? by_type[type] : 0;
    }
    return RP_OK;
}

rp_status rp_vocab_load(rp_tokenizer *tokenizer, const rp_gguf *gguf, rp_error *err) {
    RP_TRY(load_texts(tokenizer, gguf, err));
    return load_attributes(tokenizer, gguf, err);
}

static size_t decode_letters(rp_span text, char *out) {
    size_t size = 0;
    for (size_t at = 0, used; at < text.size; at += used) {
        int byte = rp_point_to_byte(rp_utf8_decode(text.data + at, text.size - at, &used));
        if (byte < 0) { /* no letter for a byte: the character itself */
            memcpy(out + size, text.data + at, used);
            size += used;
        } else {
            out[size++] = (char)byte;
        }
    }
    return size;
}

static size_t decode_spaces(rp_span text, char *out) {
    size_t size = 0;
    for (size_t at = 0; at < text.size;) {
        if (text.size - at >= 3 && memcmp(text.data + at, "\xe2\x96\x81", 3) == 0) {
            out[size++] = ' ';
            at += 3;
        } else {
            out[size++] = text.data[at++];
        }
    }
    return size;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* <0xXX>; what is no hexadecimal number is what strtol makes of it. */
static char decode_byte(rp_span text) {
    int high = text.size > 3 ? hex_digit(text.data[3]) : -1;
    int low = text.size > 4 ? hex_digit(text.data[4]) : -1;
    return (char)(high < 0 ? 0 : low < 0 ? high : high << 4 | low);
}

/* Bytes of a token, never more than its text has or one. Control, unknown and unused tokens have none. */
static size_t decode(const rp_tokenizer *tokenizer, int32_t id, char *out) {
    rp_span text = rp_token_text(tokenizer, id);
    unsigned attributes = tokenizer->attributes[id];
    if (attributes & (TOKEN_UNKNOWN | TOKEN_CONTROL))
        return 0;
    if (attributes & TOKEN_USER) {
        memcpy(out, text.data, text.size);
        return text.size;
    }
    if (attributes & TOKEN_NORMAL)
        return tokenizer->bpe ? decode_letters(text, out) : decode_spaces(text, out);
    if (attributes & TOKEN_BYTE) {
        *out = decode_byte(text);
        return 1;
    }
    return 0;
}

/* Decodes all tokens into one pool. Attributes must be final. */
rp_status rp_vocab_decode(rp_tokenizer *tokenizer, rp_error *err) {
    tokenizer->pool_starts =
        rp_tokenizer_alloc(tokenizer, (size_t)tokenizer->vocab + 1, sizeof(uint32_t), "token bytes", err);
    if (!tokenizer->pool_starts)
        return err->status;
    char *scratch = rp_alloc(tokenizer->memory, tokenizer->longest + 1, 1, "token bytes", err);
    if (!scratch)
        return err->status;
    size_t total = 0; /* below the bytes of the token array, as each string has a length of 8 bytes */
    for (uint32_t id = 0; id < tokenizer->vocab; id++)
        total += decode(tokenizer, (int32_t)id, scratch);
    rp_release(tokenizer->memory, scratch, tokenizer->longest + 1, 1);
    tokenizer->pool = rp_tokenizer_alloc(tokenizer, total, 1, "token bytes", err);
    if (!tokenizer->pool)
        return err->status;
    tokenizer->pool_size = total;
    size_t at = 0;
    for (uint32_t id = 0; id < tokenizer->vocab; id++) {
        tokenizer->pool_starts[id] = (uint32_t)at;
        at += decode(tokenizer, (int32_t)id, tokenizer->pool + at);
    }
    tokenizer->pool_starts[tokenizer->vocab] = (uint32_t)at;
    return RP_OK;
}
