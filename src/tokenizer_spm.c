/* SentencePiece BPE with scores: neighbours whose text is a token are merged, the highest score first; a character
 * that is no token becomes its bytes' tokens. A space is U+2581 in the vocabulary. Bytes that are no UTF-8 are kept,
 * cut into characters by what each lead byte promises, as llama.cpp cuts them. */
#include "tokenizer_internal.h"
#include "unicode.h"

#include <string.h>

/* Scores in the order of whole numbers, the highest one first. NaN comes last. */
static uint32_t rank_of_score(float score) {
    uint32_t bits;
    if (score != score)
        return UINT32_MAX;
    score += 0.0f; /* -0 and 0 are equal */
    memcpy(&bits, &score, sizeof bits);
    return bits & UINT32_C(0x80000000) ? bits : ~(bits | UINT32_C(0x80000000));
}

static bool pair_by_score(const rp_encoder *encoder, const rp_symbol *left, const rp_symbol *right, rp_pair *pair) {
    const rp_tokenizer *tokenizer = encoder->tokenizer;
    (void)right;
    pair->id = rp_token_find(tokenizer, encoder->text + left->start, pair->size);
    if (pair->id == RP_NO_ID)
        return false;
    const rp_gguf_value *scores = &tokenizer->scores;
    float score = 0;
    if (scores->count)
        score = scores->type == RP_GGUF_F32 ? rp_gguf_f32_at(scores, (uint64_t)pair->id)
                                            : (float)rp_gguf_int_at(scores, (uint64_t)pair->id);
    pair->rank = rank_of_score(score);
    return true;
}

/* The token of a byte: <0x0A>, else the byte itself, else the unknown token. */
static void emit_byte(rp_encoder *encoder, char byte) {
    static const char hex[] = "0123456789ABCDEF";
    uint8_t value = (uint8_t)byte;
    char name[6] = {'<', '0', 'x', hex[value >> 4], hex[value & 15], '>'};
    int32_t id = rp_token_find(encoder->tokenizer, name, sizeof name);
    if (id == RP_NO_ID)
        id = rp_token_find(encoder->tokenizer, &byte, 1);
    if (id == RP_NO_ID)
        id = encoder->tokenizer->unknown;
    if (id != RP_NO_ID)
        rp_encoder_emit(encoder, id);
}

/* The text as the vocabulary spells it, with a space put first if the model wants one. */
static rp_status write_text(rp_encoder *encoder, const char *text, size_t size, bool space, rp_error *err) {
    static const char mark[] = {'\xe2', '\x96', '\x81'};
    size_t spaces = space;
    for (size_t i = 0; i < size; i++)
        spaces += text[i] == ' ';
    RP_TRY(rp_encoder_text(encoder, size + 3 * spaces, err));
    char *out = encoder->text;
    if (space) {
        memcpy(out, mark, sizeof mark);
        out += sizeof mark;
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] == ' ') {
            memcpy(out, mark, sizeof mark);
            out += sizeof mark;
        } else {
            *out++ = text[i];
        }
    }
    encoder->text_size = (size_t)(out - encoder->text);
    return RP_OK;
}

rp_status rp_spm_encode(rp_encoder *encoder, const char *text, size_t size, bool starts, rp_error *err) {
    RP_TRY(write_text(encoder, text, size, starts && encoder->tokenizer->add_space_prefix, err));
    size_t characters = 0;
    for (size_t at = 0; at < encoder->text_size; at += rp_utf8_length(encoder->text[at]))
        characters++;
    RP_TRY(rp_encoder_symbols(encoder, characters, err));
    for (size_t at = 0, length; at < encoder->text_size; at += length) {
        length = RP_MIN(rp_utf8_length(encoder->text[at]), encoder->text_size - at);
        rp_encoder_push(encoder, length, rp_token_find(encoder->tokenizer, encoder->text + at, length));
    }
    RP_TRY(rp_encoder_merge(encoder, pair_by_score, err));
    for (int32_t i = encoder->symbol_count ? 0 : -1; i >= 0; i = encoder->symbols[i].next) {
        const rp_symbol *symbol = &encoder->symbols[i];
        if (symbol->id != RP_NO_ID) {
            rp_encoder_emit(encoder, symbol->id);
            continue;
        }
        for (uint32_t j = 0; j < symbol->size; j++)
            emit_byte(encoder, encoder->text[symbol->start + j]);
    }
    return RP_OK;
}
