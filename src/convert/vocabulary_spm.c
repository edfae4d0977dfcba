/* SentencePiece vocabularies in two binary forms: tokenizer.model, a protobuf ModelProto (google/sentencepiece,
 * src/sentencepiece_model.proto), and the tokenizer.bin that llama2.c makes of one (karpathy/llama2.c, tokenizer.py).
 * Normalization and the squeezing of spaces are left out, as llama.cpp leaves them out. */
#include "vocabulary_internal.h"

#include <string.h>

/* ---- Protobuf ------------------------------------------------------------------------------------------ */

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

typedef struct field {
    uint64_t number;
    unsigned wire;
    uint64_t value; /* of all but WIRE_BYTES */
    rp_span bytes;
} field;

static bool take_varint(rp_span *rest, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; rest->size && shift < 64; shift += 7) {
        uint8_t byte = (uint8_t)*rest->data++;
        rest->size--;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* Takes the next field from a message that is not empty. */
static bool take_field(rp_span *rest, field *f) {
    uint64_t tag = 0, size = 0;
    *f = (field){0};
    if (!take_varint(rest, &tag))
        return false;
    f->number = tag >> 3;
    f->wire = tag & 7;
    if (f->wire == WIRE_VARINT)
        return take_varint(rest, &f->value);
    if (f->wire == WIRE_BYTES) {
        if (!take_varint(rest, &size) || size > rest->size)
            return false;
        f->bytes = (rp_span){rest->data, (size_t)size};
    } else if (f->wire == WIRE_32 || f->wire == WIRE_64) {
        size = f->wire == WIRE_32 ? 4 : 8;
        if (size > rest->size)
            return false;
        const uint8_t *at = (const uint8_t *)rest->data;
        f->value = f->wire == WIRE_32 ? rp_load_u32(at) : rp_load_u64(at);
    } else {
        return false;
    }
    rest->data += size;
    rest->size -= (size_t)size;
    return f->number > 0;
}

static rp_status broken(const rp_vocabulary *v, const char *message, rp_error *err) {
    return rp_fail(err, RP_ERR_FORMAT, "%s: its %s is no protobuf message: is it a SentencePiece model?", v->what,
                   message);
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- tokenizer.model ----------------------------------------------------------------------------------- */

static rp_status read_piece(rp_vocabulary *v, uint32_t id, rp_span message, rp_error *err) {
    rp_span text = {"", 0};
    uint64_t type = RP_TOKEN_NORMAL;
    float score = 0;
    field f;
    while (message.size) {
        if (!take_field(&message, &f))
            return broken(v, "piece", err);
        if (f.number == 1 && f.wire == WIRE_BYTES)
            text = f.bytes;
        else if (f.number == 2 && f.wire == WIRE_32)
            score = float_of((uint32_t)f.value);
        else if (f.number == 3 && f.wire == WIRE_VARINT)
            type = f.value;
    }
    if (type < RP_TOKEN_NORMAL || type > RP_TOKEN_BYTE)
        return rp_fail(err, RP_ERR_FORMAT, "%s: piece %u has type %llu, want 1 to 6", v->what, id,
                       (unsigned long long)type);
    if (score - score != 0)
        return rp_fail(err, RP_ERR_FORMAT, "%s: piece %u has a score that is no finite number", v->what, id);
    if (type != RP_TOKEN_USER)
        return rp_vocabulary_put(v, id, text, (int32_t)type, score, err);
    RP_TRY(rp_vocabulary_add(v, id, text, false, err));
    if (id < v->count)
        v->scores[id] = score;
    return RP_OK;
}

/* TrainerSpec: what the vocabulary is, and its special ids. */
static rp_status read_trainer(rp_vocabulary *v, rp_span message, uint64_t *model_type, rp_error *err) {
    enum { MODEL_TYPE = 3, SPACE_AS_SUFFIX = 24, UNKNOWN_ID = 40, BOS_ID, EOS_ID, PADDING_ID };
    field f;
    while (message.size) {
        if (!take_field(&message, &f))
            return broken(v, "trainer_spec", err);
        if (f.wire != WIRE_VARINT)
            continue;
        int64_t id = (int32_t)(uint32_t)f.value;
        switch (f.number) {
        case MODEL_TYPE: *model_type = f.value; break;
        case UNKNOWN_ID: v->special[RP_SPECIAL_UNKNOWN] = id; break;
        case BOS_ID: v->special[RP_SPECIAL_BOS] = id; break;
        case EOS_ID: v->special[RP_SPECIAL_EOS] = id; break;
        case PADDING_ID: v->special[RP_SPECIAL_PADDING] = id; break;
        case SPACE_AS_SUFFIX:
            if (f.value)
                return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: treat_whitespace_as_suffix is true, want false", v->what);
            break;
        default: break;
        }
    }
    return RP_OK;
}

static rp_status read_normalizer(rp_vocabulary *v, rp_span message, rp_error *err) {
    enum { ADD_DUMMY_PREFIX = 3, ESCAPE_WHITESPACES = 5 };
    field f;
    while (message.size) {
        if (!take_field(&message, &f))
            return broken(v, "normalizer_spec", err);
        if (f.number == ADD_DUMMY_PREFIX && f.wire == WIRE_VARINT)
            v->add_space = f.value ? RP_YES : RP_NO;
        if (f.number == ESCAPE_WHITESPACES && f.wire == WIRE_VARINT && !f.value)
            return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: escape_whitespaces is false, want true", v->what);
    }
    return RP_OK;
}

rp_status rp_vocabulary_read_pieces(rp_vocabulary *v, const char *bytes, size_t size, rp_error *err) {
    enum { UNIGRAM = 1, BPE = 2 };
    rp_span rest = {bytes, size};
    uint64_t model_type = UNIGRAM; /* the format's defaults, for what a file leaves out */
    uint32_t id = 0;
    field f;
    v->special[RP_SPECIAL_UNKNOWN] = 0;
    v->special[RP_SPECIAL_BOS] = 1;
    v->special[RP_SPECIAL_EOS] = 2;
    v->add_space = RP_YES;
    while (rest.size) {
        if (!take_field(&rest, &f))
            return broken(v, "content", err);
        if (f.wire != WIRE_BYTES)
            continue;
        if (f.number == 1)
            RP_TRY(id < v->count ? read_piece(v, id, f.bytes, err) : RP_OK);
        if (f.number == 2)
            RP_TRY(read_trainer(v, f.bytes, &model_type, err));
        if (f.number == 3)
            RP_TRY(read_normalizer(v, f.bytes, err));
        id += f.number == 1;
    }
    if (id == 0)
        return rp_fail(err, RP_ERR_FORMAT, "%s: has no pieces: is it a SentencePiece model?", v->what);
    if (id > v->count)
        return rp_fail(err, RP_ERR_FORMAT, "%s: has %u pieces, and the model's vocab_size is %u", v->what, id,
                       v->count);
    if (model_type != BPE)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: model_type is %llu%s, want 2 (BPE)", v->what,
                       (unsigned long long)model_type, model_type == UNIGRAM ? " (unigram)" : "");
    return RP_OK;
}

/* ---- tokenizer.bin ------------------------------------------------------------------------------------- */

/* The file spells special tokens so that no text holds them, and spaces as they are. */
static rp_status read_token(rp_vocabulary *v, uint32_t id, rp_span text, float score, rp_error *err) {
    static const char *const special[] = {"<unk>", "<s>", "</s>"};
    enum { FIRST_BYTE = 3, BYTES = 256 };
    if (id < RP_COUNT(special)) {
        int32_t type = id == 0 ? RP_TOKEN_UNKNOWN : RP_TOKEN_CONTROL;
        return rp_vocabulary_put(v, id, (rp_span){special[id], strlen(special[id])}, type, score, err);
    }
    if (id < FIRST_BYTE + BYTES) {
        char byte[8];
        rp_format(byte, sizeof byte, "<0x%02x>", id - FIRST_BYTE);
        for (char *c = byte + 3; *c; c++)
            *c = (char)(*c >= 'a' && *c <= 'f' ? *c - 32 : *c);
        if (!rp_span_is(text, byte))
            return rp_fail(err, RP_ERR_FORMAT, "%s: token %u is \"%.*s\", want %s", v->what, id,
                           (int)RP_MIN(text.size, 64), text.data, byte);
        return rp_vocabulary_put(v, id, text, RP_TOKEN_BYTE, score, err);
    }
    size_t spaces = 0;
    for (size_t i = 0; i < text.size; i++)
        spaces += text.data[i] == ' ';
    char *out = rp_vocabulary_room(v, text.size + 2 * spaces, err);
    if (!out)
        return err->status;
    rp_span spelled = {out, text.size + 2 * spaces};
    for (size_t i = 0; i < text.size; i++) {
        bool space = text.data[i] == ' ';
        memcpy(out, space ? "\xe2\x96\x81" : text.data + i, space ? 3 : 1);
        out += space ? 3 : 1;
    }
    return rp_vocabulary_put(v, id, spelled, RP_TOKEN_NORMAL, score, err);
}

rp_status rp_vocabulary_read_llama2c(rp_vocabulary *v, const char *bytes, size_t size, rp_error *err) {
    enum { HEAD = 4, RECORD = 8 }; /* the longest token's length; a score and a length */
    const uint8_t *file = (const uint8_t *)bytes;
    uint32_t id = 0;
    for (size_t at = HEAD; at < size || id == 0; id++) {
        uint32_t length = size >= RECORD && at <= size - RECORD ? rp_load_u32(file + at + 4) : UINT32_MAX;
        if (length > INT32_MAX || length > size - RECORD - at)
            return rp_fail(err, RP_ERR_FORMAT, "%s: ends in token %u, want a score, a length and its bytes", v->what,
                           id);
        float score = float_of(rp_load_u32(file + at));
        if (score - score != 0)
            return rp_fail(err, RP_ERR_FORMAT, "%s: token %u has a score that is no finite number", v->what, id);
        if (id < v->count)
            RP_TRY(read_token(v, id, (rp_span){bytes + at + RECORD, length}, score, err));
        at += RECORD + length;
    }
    if (id > v->count)
        return rp_fail(err, RP_ERR_FORMAT, "%s: has %u tokens, and the model's vocab_size is %u", v->what, id,
                       v->count);
    v->special[RP_SPECIAL_UNKNOWN] = 0;
    v->special[RP_SPECIAL_BOS] = 1;
    v->special[RP_SPECIAL_EOS] = 2;
    v->add_space = RP_YES;
    return RP_OK;
}
