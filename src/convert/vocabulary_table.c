/* The table of tokens that every reader of vocabularies fills: see vocabulary_internal.h. */
#include "vocabulary_internal.h"

#include <string.h>

struct rp_text_block {
    rp_text_block *next;
    size_t used, room;
    char bytes[];
};

enum { BLOCK = 16384 };

static const char space_mark[] = {'\xe2', '\x96', '\x81'}; /* U+2581 */

rp_status rp_vocabulary_open(rp_vocabulary *v, rp_keys *keys, rp_memory *memory, const char *what, uint32_t count,
                             rp_error *err) {
    *v = (rp_vocabulary){.memory = memory, .keys = keys, .what = what};
    for (size_t i = 0; i < RP_SPECIALS; i++)
        v->special[i] = -1;
    if (count == 0 || count > RP_VOCABULARY_MAX)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "a vocabulary of %u tokens, want 1 to %d", count, RP_VOCABULARY_MAX);
    v->count = count;
    v->texts = rp_alloc(memory, count, sizeof *v->texts, "tokens", err);
    v->types = rp_alloc(memory, count, sizeof *v->types, "types of tokens", err);
    v->scores = rp_alloc(memory, count, sizeof *v->scores, "scores of tokens", err);
    return v->texts && v->types && v->scores ? RP_OK : err->status;
}

void rp_vocabulary_close(rp_vocabulary *v) {
    rp_release(v->memory, v->texts, v->count, sizeof *v->texts);
    rp_release(v->memory, v->types, v->count, sizeof *v->types);
    rp_release(v->memory, v->scores, v->count, sizeof *v->scores);
    rp_release(v->memory, v->slots, v->slot_count, sizeof *v->slots);
    for (rp_text_block *next, *block = v->blocks; block; block = next) {
        next = block->next;
        rp_release(v->memory, block, sizeof *block + block->room, 1);
    }
}

char *rp_vocabulary_room(rp_vocabulary *v, size_t size, rp_error *err) {
    rp_text_block *block = v->blocks;
    if (!block || block->room - block->used < size) {
        size_t room = RP_MAX(size, BLOCK);
        block = rp_alloc(v->memory, sizeof *block + room, 1, "texts of tokens", err);
        if (!block)
            return NULL;
        *block = (rp_text_block){.next = v->blocks, .room = room};
        v->blocks = block;
    }
    char *bytes = block->bytes + block->used;
    block->used += size;
    return bytes;
}

rp_status rp_vocabulary_put(rp_vocabulary *v, int64_t id, rp_span text, int32_t type, float score, rp_error *err) {
    if (id < 0 || id >= v->count)
        return rp_fail(err, RP_ERR_FORMAT, "%s: token \"%.*s\" has the id %lld, and the model's vocab_size is %u",
                       v->what, (int)RP_MIN(text.size, 64), text.data, (long long)id, v->count);
    v->texts[id] = text;
    v->types[id] = type;
    v->scores[id] = score;
    return RP_OK;
}

static bool begins(rp_span text, const char *with) {
    return text.size >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

static bool ends(rp_span text, const char *with) {
    size_t size = strlen(with);
    return text.size >= size && memcmp(text.data + text.size - size, with, size) == 0;
}

/* Some models add control tokens and forget to call them special: llama.cpp's converter knows them by their spelling. */
static bool looks_special(rp_span text) {
    static const char *const names[] = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
    for (size_t i = 0; i < RP_COUNT(names); i++)
        if (rp_span_is(text, names[i]))
            return true;
    return (begins(text, "<|") && ends(text, "|>")) || (begins(text, "<｜") && ends(text, "｜>")) ||
           (begins(text, "<unused") && ends(text, ">"));
}

/* A user-defined token is looked for in the text itself, which has spaces. */
static rp_status spell_spaces(rp_vocabulary *v, rp_span *text, rp_error *err) {
    char *out = rp_vocabulary_room(v, text->size, err);
    if (!out)
        return err->status;
    rp_span spelled = {out, 0};
    for (size_t at = 0; at < text->size;) {
        bool mark = text->size - at >= sizeof space_mark && memcmp(text->data + at, space_mark, sizeof space_mark) == 0;
        out[spelled.size++] = mark ? ' ' : text->data[at];
        at += mark ? sizeof space_mark : 1;
    }
    *text = spelled;
    return RP_OK;
}

rp_status rp_vocabulary_add(rp_vocabulary *v, int64_t id, rp_span text, bool special, rp_error *err) {
    enum { ADDED_SCORE = -1000 }; /* as llama.cpp's converter */
    if (id >= v->count)
        return RP_OK;
    if (special || looks_special(text))
        return rp_vocabulary_put(v, id, text, RP_TOKEN_CONTROL, ADDED_SCORE, err);
    RP_TRY(spell_spaces(v, &text, err));
    return rp_vocabulary_put(v, id, text, RP_TOKEN_USER, ADDED_SCORE, err);
}

static uint32_t *find_slot(const rp_vocabulary *v, rp_span text) {
    uint64_t hash = rp_hash_bytes(RP_HASH_START, text.data, text.size);
    size_t at = (size_t)(hash ^ hash >> 32) & (v->slot_count - 1);
    for (; v->slots[at]; at = (at + 1) & (v->slot_count - 1)) {
        rp_span other = v->texts[v->slots[at] - 1];
        if (other.size == text.size && memcmp(other.data, text.data, text.size) == 0)
            break;
    }
    return &v->slots[at];
}

rp_status rp_vocabulary_fill(rp_vocabulary *v, rp_error *err) {
    enum { UNUSED_SCORE = -10000, TEXT_MAX = 24 };
    size_t slots = 4;
    while (slots / 2 < v->count)
        slots *= 2;
    v->slots = rp_alloc(v->memory, slots, sizeof *v->slots, "look-up of tokens", err);
    if (!v->slots)
        return err->status;
    v->slot_count = slots;
    for (uint32_t id = 0; id < v->count; id++) {
        if (!v->texts[id].data) {
            char *text = rp_vocabulary_room(v, TEXT_MAX, err);
            if (!text)
                return err->status;
            size_t size = rp_format(text, TEXT_MAX, "[PAD%u]", id);
            RP_TRY(rp_vocabulary_put(v, id, (rp_span){text, size}, RP_TOKEN_UNUSED, UNUSED_SCORE, err));
        }
        if (v->texts[id].size == 0)
            continue;
        uint32_t *slot = find_slot(v, v->texts[id]);
        if (*slot)
            return rp_fail(err, RP_ERR_FORMAT, "%s: tokens %u and %u are both \"%.*s\"", v->what, *slot - 1, id,
                           (int)RP_MIN(v->texts[id].size, 64), v->texts[id].data);
        *slot = id + 1;
    }
    return RP_OK;
}

int64_t rp_vocabulary_find(const rp_vocabulary *v, rp_span text) {
    return text.size ? (int64_t)*find_slot(v, text) - 1 : -1;
}

/* ---- As keys ------------------------------------------------------------------------------------------- */

static rp_status set_text(rp_keys *keys, const char *key, const char *text, rp_error *err) {
    return rp_keys_set_string(keys, key, text, strlen(text), err);
}

rp_status rp_vocabulary_write(const rp_vocabulary *v, const char *model, const char *pre, bool scores, rp_error *err) {
    RP_TRY(set_text(v->keys, "tokenizer.ggml.model", model, err));
    RP_TRY(set_text(v->keys, "tokenizer.ggml.pre", pre, err));
    RP_TRY(rp_keys_set_strings(v->keys, "tokenizer.ggml.tokens", v->texts, v->count, err));
    if (scores)
        RP_TRY(rp_keys_set_f32s(v->keys, "tokenizer.ggml.scores", v->scores, v->count, err));
    return rp_keys_set_i32s(v->keys, "tokenizer.ggml.token_type", v->types, v->count, err);
}

static rp_status set_choice(rp_keys *keys, const char *key, rp_choice choice, rp_error *err) {
    return choice == RP_UNSAID ? RP_OK : rp_keys_set_bool(keys, key, choice == RP_YES, err);
}

rp_status rp_vocabulary_write_special(const rp_vocabulary *v, bool pieces, rp_error *err) {
    static const char *const keys[RP_SPECIALS] = {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
                                                  "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.padding_token_id"};
    bool there[RP_SPECIALS];
    for (size_t i = 0; i < RP_SPECIALS; i++) {
        there[i] = v->special[i] >= 0 && v->special[i] < v->count;
        if (there[i])
            RP_TRY(rp_keys_set_u32(v->keys, keys[i], (uint32_t)v->special[i], err));
    }
    bool bos = there[RP_SPECIAL_BOS];
    if (v->add_bos == RP_YES && !bos)
        return rp_fail(err, RP_ERR_FORMAT, "%s: add_bos_token is true, and no file names a BOS token", v->what);
    rp_choice add_bos = v->add_bos != RP_UNSAID || !pieces ? v->add_bos : bos ? RP_YES : RP_NO;
    rp_choice add_eos = v->add_eos != RP_UNSAID || !pieces ? v->add_eos : RP_NO;
    RP_TRY(set_choice(v->keys, "tokenizer.ggml.add_bos_token", add_bos, err));
    RP_TRY(set_choice(v->keys, "tokenizer.ggml.add_eos_token", add_eos, err));
    return pieces ? set_choice(v->keys, "tokenizer.ggml.add_space_prefix", v->add_space, err) : RP_OK;
}
