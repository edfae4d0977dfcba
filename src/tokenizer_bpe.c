/* Byte-level BPE: the pre-tokenizer's words are spelled in GPT-2's letters for bytes, then neighbours are merged, the
 * lowest rank first. Merges are pairs of ids. A text that merges name and the vocabulary lacks gets an id of its own
 * behind the vocabulary, so that merges can go through it. Bytes that are no UTF-8 become U+FFFD. */
#include "tokenizer_internal.h"
#include "unicode.h"

#include <string.h>

static size_t pair_slot(const rp_slots *slots, int32_t left, int32_t right) {
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= UINT64_C(0x9e3779b97f4a7c15);
    key ^= key >> 29;
    key *= UINT64_C(0xbf58476d1ce4e5b9);
    return (size_t)(key >> 32) & (slots->count - 1);
}

/* The slot of a pair: it holds the merge's rank + 1, or 0. NULL: there is none within reach. */
static uint32_t *find_pair(const rp_tokenizer *tokenizer, int32_t left, int32_t right) {
    const rp_slots *slots = &tokenizer->by_pair;
    size_t at = pair_slot(slots, left, right);
    for (int i = 0; i < RP_PROBES_MOST; i++, at = (at + 1) & (slots->count - 1)) {
        if (!slots->slots[at])
            return &slots->slots[at];
        const rp_merge *merge = &tokenizer->merges[slots->slots[at] - 1];
        if (merge->left == left && merge->right == right)
            return &slots->slots[at];
    }
    return NULL;
}

/* The same for an extra text and its number + 1. */
static uint32_t *find_extra(const rp_tokenizer *tokenizer, rp_span text) {
    const rp_slots *slots = &tokenizer->by_extra;
    size_t at = (size_t)rp_hash_bytes(RP_HASH_START, text.data, text.size) & (slots->count - 1);
    for (int i = 0; i < RP_PROBES_MOST; i++, at = (at + 1) & (slots->count - 1)) {
        if (!slots->slots[at])
            return &slots->slots[at];
        rp_span other = tokenizer->extras[slots->slots[at] - 1];
        if (other.size == text.size && memcmp(other.data, text.data, text.size) == 0)
            return &slots->slots[at];
    }
    return NULL;
}

/* The id of a text in the vocabulary or among the extras. */
static int32_t find_text(const rp_tokenizer *tokenizer, rp_span text) {
    int32_t id = rp_token_find(tokenizer, text.data, text.size);
    if (id != RP_NO_ID || !tokenizer->extra_room)
        return id;
    const uint32_t *slot = find_extra(tokenizer, text);
    return slot && *slot ? (int32_t)(tokenizer->vocab + *slot - 1) : RP_NO_ID;
}

/* The two texts of a merge: before and behind the first space. False: it merges nothing. */
static bool split_merge(rp_span merge, rp_span *left, rp_span *right) {
    const char *space = merge.size ? memchr(merge.data, ' ', merge.size) : NULL;
    if (!space || space == merge.data || space + 1 == merge.data + merge.size)
        return false;
    *left = (rp_span){merge.data, (size_t)(space - merge.data)};
    *right = (rp_span){space + 1, merge.size - left->size - 1};
    return true;
}

static rp_status load_extras(rp_tokenizer *tokenizer, const rp_gguf_value *strings, rp_error *err) {
    size_t missing = 0;
    for (int pass = 0; pass < 2; pass++) {
        size_t cursor = 0;
        for (uint64_t i = 0; i < strings->count; i++) {
            rp_span sides[2];
            if (!split_merge(rp_gguf_next_string(strings, &cursor), &sides[0], &sides[1]))
                continue;
            for (int side = 0; side < 2; side++) {
                if (rp_token_find(tokenizer, sides[side].data, sides[side].size) != RP_NO_ID)
                    continue;
                missing += pass == 0;
                if (!pass)
                    continue;
                uint32_t *slot = find_extra(tokenizer, sides[side]);
                if (!slot)
                    return rp_slots_refuse("tokenizer.ggml.merges", err);
                if (!*slot) {
                    tokenizer->extras[tokenizer->extra_count++] = sides[side];
                    *slot = (uint32_t)tokenizer->extra_count;
                }
            }
        }
        if (!missing)
            return RP_OK;
        if (pass)
            continue;
        tokenizer->extras = rp_tokenizer_alloc(tokenizer, missing, sizeof(rp_span), "texts of merges", err);
        if (!tokenizer->extras)
            return err->status;
        tokenizer->extra_room = missing;
        RP_TRY(rp_slots_open(tokenizer, &tokenizer->by_extra, missing, "texts of merges", err));
    }
    return RP_OK;
}

static rp_status load_merges(rp_tokenizer *tokenizer, const rp_gguf_value *strings, rp_error *err) {
    tokenizer->merges =
        rp_tokenizer_alloc(tokenizer, (size_t)strings->count, sizeof(rp_merge), "tokenizer.ggml.merges", err);
    if (!tokenizer->merges)
        return err->status;
    tokenizer->merge_count = (size_t)strings->count;
    return rp_slots_open(tokenizer, &tokenizer->by_pair, tokenizer->merge_count, "tokenizer.ggml.merges", err);
}

static rp_status index_merges(rp_tokenizer *tokenizer, const rp_gguf_value *strings, rp_error *err) {
    size_t cursor = 0, room = 0;
    char *joined = NULL;
    for (size_t i = 0; i < tokenizer->merge_count; i++) {
        rp_span text = rp_gguf_next_string(strings, &cursor), left, right;
        rp_merge *merge = &tokenizer->merges[i];
        *merge = (rp_merge){RP_NO_ID, RP_NO_ID, RP_NO_ID};
        if (!split_merge(text, &left, &right))
            continue;
        int32_t left_id = find_text(tokenizer, left), right_id = find_text(tokenizer, right);
        uint32_t *slot = find_pair(tokenizer, left_id, right_id);
        if (!slot) {
            rp_release(tokenizer->memory, joined, room, 1);
            return rp_slots_refuse("tokenizer.ggml.merges", err);
        }
        if (*slot) /* the first of equal merges counts */
            continue;
        if (text.size > room) {
            char *bigger = rp_alloc(tokenizer->memory, 2 * text.size, 1, "text of a merge", err);
            rp_release(tokenizer->memory, joined, room, 1);
            joined = bigger;
            if (!joined)
                return err->status;
            room = 2 * text.size;
        }
        memcpy(joined, left.data, left.size);
        memcpy(joined + left.size, right.data, right.size);
        *merge = (rp_merge){left_id, right_id, find_text(tokenizer, (rp_span){joined, left.size + right.size})};
        *slot = (uint32_t)i + 1;
    }
    rp_release(tokenizer->memory, joined, room, 1);
    return RP_OK;
}

rp_status rp_bpe_load(rp_tokenizer *tokenizer, const rp_gguf *gguf, rp_error *err) {
    rp_gguf_value strings;
    RP_TRY(rp_gguf_strings(gguf, "tokenizer.ggml.merges", &strings, err));
    /* Two texts a merge get ids behind the vocabulary at most. */
    if (strings.count > (INT32_MAX - tokenizer->vocab) / 2)
        return rp_fail(err, RP_ERR_FORMAT, "tokenizer.ggml.merges: %llu are more than ids can count",
                       (unsigned long long)strings.count);
    RP_TRY(load_extras(tokenizer, &strings, err));
    RP_TRY(load_merges(tokenizer, &strings, err));
    RP_TRY(index_merges(tokenizer, &strings, err));
    for (int byte = 0; byte < 256; byte++) {
        char letter[4];
        size_t size = rp_utf8_encode(rp_byte_to_point((uint8_t)byte), letter);
        tokenizer->byte_ids[byte] = find_text(tokenizer, (rp_span){letter, size});
    }
    return RP_OK;
}

static bool pair_by_rank(const rp_encoder *encoder, const rp_symbol *left, const rp_symbol *right, rp_pair *pair) {
    if (left->id == RP_NO_ID || right->id == RP_NO_ID)
        return false;
    const uint32_t *slot = find_pair(encoder->tokenizer, left->id, right->id);
    if (!slot || !*slot)
        return false;
    pair->rank = *slot - 1;
    pair->id = encoder->tokenizer->merges[*slot - 1].result;
    return true;
}

/* Ids of a symbol: its own, or those of tokens that are one byte of its spelling. */
static void emit_symbol(rp_encoder *encoder, const rp_symbol *symbol) {
    if (symbol->id != RP_NO_ID && (uint32_t)symbol->id < encoder->tokenizer->vocab) {
        rp_encoder_emit(encoder, symbol->id);
        return;
    }
    for (uint32_t i = 0; i < symbol->size; i++) {
        int32_t id = rp_token_find(encoder->tokenizer, encoder->text + symbol->start + i, 1);
        if (id != RP_NO_ID)
            rp_encoder_emit(encoder, id);
    }
}

/* Adds the letters of a code point's bytes to the word. */
static void spell(rp_encoder *encoder, uint32_t point) {
    char bytes[4];
    size_t size = rp_utf8_encode(point, bytes);
    for (size_t i = 0; i < size; i++) {
        size_t letter = rp_utf8_encode(rp_byte_to_point((uint8_t)bytes[i]), encoder->text + encoder->text_size);
        encoder->text_size += letter;
        rp_encoder_push(encoder, letter, encoder->tokenizer->byte_ids[(uint8_t)bytes[i]]);
    }
}

static rp_status encode_word(rp_encoder *encoder, const char *word, size_t size, rp_error *err) {
    size_t bytes = 0; /* more than `size` when there are bad bytes: U+FFFD has three */
    for (size_t at = 0, used; at < size; at += used) {
        char utf8[4];
        bytes += rp_utf8_encode(rp_utf8_decode(word + at, size - at, &used), utf8);
    }
    RP_TRY(rp_encoder_text(encoder, 2 * bytes, err)); /* a byte's letter has at most two */
    RP_TRY(rp_encoder_symbols(encoder, bytes, err));
    for (size_t at = 0, used; at < size; at += used)
        spell(encoder, rp_utf8_decode(word + at, size - at, &used));
    if (encoder->tokenizer->ignore_merges) {
        int32_t id = rp_token_find(encoder->tokenizer, encoder->text, encoder->text_size);
        if (id != RP_NO_ID) {
            rp_encoder_emit(encoder, id);
            return RP_OK;
        }
    }
    RP_TRY(rp_encoder_merge(encoder, pair_by_rank, err));
    for (int32_t i = 0; i >= 0; i = encoder->symbols[i].next)
        emit_symbol(encoder, &encoder->symbols[i]);
    return RP_OK;
}

static rp_status encode_pieces(rp_encoder *encoder, const char *text, size_t size, size_t scan, rp_error *err) {
    const rp_pre_tokenizer *pre = encoder->tokenizer->pre;
    if (scan == RP_COUNT(pre->scans) || !pre->scans[scan])
        return encode_word(encoder, text, size, err);
    for (size_t at = 0, length; at < size; at += length) {
        length = pre->scans[scan](text + at, size - at);
        RP_TRY(encode_pieces(encoder, text + at, length, scan + 1, err));
    }
    return RP_OK;
}

rp_status rp_bpe_encode(rp_encoder *encoder, const char *text, size_t size, rp_error *err) {
    return encode_pieces(encoder, text, size, 0, err);
}
