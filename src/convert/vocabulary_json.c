/* Hugging Face's tokenizer.json: byte-level BPE becomes a vocabulary with merges ("gpt2"), BPE with byte fallback, which was a
 * SentencePiece vocabulary before, becomes one with scores again ("llama"). */
#include "vocabulary_internal.h"

#include "../unicode.h"

#include <string.h>

static int shown(rp_span text) {
    return (int)RP_MIN(text.size, 64);
}

static bool is_true(const rp_json *object, const char *name) {
    const rp_json *value = rp_json_find(object, name);
    return value && value->kind == RP_JSON_TRUE;
}

static bool says_something(const rp_json *value) {
    return value && value->kind == RP_JSON_STRING && value->size > 0;
}

/* ---- Tokens -------------------------------------------------------------------------------------------- */

static bool is_byte_token(rp_span text) {
    static const char digits[] = "0123456789ABCDEFabcdef";
    return text.size == 6 && memcmp(text.data, "<0x", 3) == 0 && text.data[5] == '>' && text.data[3] && text.data[4] &&
           strchr(digits, text.data[3]) && strchr(digits, text.data[4]);
}

static rp_status read_tokens(rp_vocabulary *v, const rp_json *model, bool pieces, rp_error *err) {
    const rp_json *vocab = rp_json_find(model, "vocab");
    if (!vocab || vocab->kind != RP_JSON_OBJECT || !vocab->child)
        return rp_fail(err, RP_ERR_FORMAT, "%s: want an object \"vocab\" of tokens in \"model\"", v->what);
    for (const rp_json *token = vocab->child; token; token = token->next) {
        rp_span text = rp_json_name_of(token);
        if (!token->whole)
            return rp_fail(err, RP_ERR_FORMAT, "%s: token \"%.*s\" has no id that is a number", v->what, shown(text),
                           text.data);
        bool inside = token->integer >= 0 && token->integer < v->count;
        if (inside && v->texts[token->integer].data)
            return rp_fail(err, RP_ERR_FORMAT, "%s: tokens \"%.*s\" and \"%.*s\" have the id %lld", v->what,
                           shown(v->texts[token->integer]), v->texts[token->integer].data, shown(text), text.data,
                           (long long)token->integer);
        int32_t type = pieces && is_byte_token(text) ? RP_TOKEN_BYTE : RP_TOKEN_NORMAL;
        RP_TRY(rp_vocabulary_put(v, token->integer, text, type, 0, err));
    }
    return RP_OK;
}

static rp_status read_added(rp_vocabulary *v, const rp_json *root, rp_error *err) {
    const rp_json *added = rp_json_find(root, "added_tokens");
    if (!added || added->kind != RP_JSON_ARRAY)
        return RP_OK;
    for (const rp_json *token = added->child; token; token = token->next) {
        const rp_json *id = rp_json_find(token, "id"), *content = rp_json_find(token, "content");
        if (!id || !id->whole || !content || content->kind != RP_JSON_STRING)
            return rp_fail(err, RP_ERR_FORMAT, "%s: an entry of \"added_tokens\" wants an \"id\" and a \"content\"",
                           v->what);
        RP_TRY(rp_vocabulary_add(v, id->integer, rp_json_text_of(content), is_true(token, "special"), err));
    }
    return RP_OK;
}

/* ---- Merges -------------------------------------------------------------------------------------------- */

/* "a b" or ["a", "b"]. */
static rp_status read_merge(const rp_vocabulary *v, const rp_json *merge, rp_span sides[2], rp_error *err) {
    sides[0] = sides[1] = (rp_span){"", 0};
    if (merge->kind == RP_JSON_STRING) {
        const char *space = memchr(merge->string, ' ', merge->size);
        size_t left = space ? (size_t)(space - merge->string) : 0, right = space ? merge->size - left - 1 : 0;
        if (space && !memchr(space + 1, ' ', right)) {
            sides[0] = (rp_span){merge->string, left};
            sides[1] = (rp_span){space + 1, right};
        }
    } else if (merge->kind == RP_JSON_ARRAY && merge->size == 2 && merge->child->kind == RP_JSON_STRING &&
               merge->child->next->kind == RP_JSON_STRING) {
        sides[0] = rp_json_text_of(merge->child);
        sides[1] = rp_json_text_of(merge->child->next);
    }
    if (!sides[0].size || !sides[1].size)
        return rp_fail(err, RP_ERR_FORMAT, "%s: an entry of \"merges\" is%s%.*s, want \"a b\" or [\"a\", \"b\"]",
                       v->what, merge->kind == RP_JSON_STRING ? " " : " something else",
                       merge->kind == RP_JSON_STRING ? shown(rp_json_text_of(merge)) : 0,
                       merge->kind == RP_JSON_STRING ? merge->string : "");
    return RP_OK;
}

static rp_status find_merges(const rp_vocabulary *v, const rp_json *model, const rp_json **merges, rp_error *err) {
    *merges = rp_json_find(model, "merges");
    if (!*merges || (*merges)->kind != RP_JSON_ARRAY)
        return rp_fail(err, RP_ERR_FORMAT, "%s: want an array \"merges\" in \"model\"", v->what);
    return RP_OK;
}

/* Merges as GGUF has them, in strings with a space between the two. */
static rp_status write_merges(rp_vocabulary *v, const rp_json *merges, rp_span *texts, rp_error *err) {
    size_t count = 0;
    for (const rp_json *merge = merges->child; merge; merge = merge->next) {
        rp_span sides[2];
        RP_TRY(read_merge(v, merge, sides, err));
        texts[count] = rp_json_text_of(merge);
        if (merge->kind == RP_JSON_ARRAY) {
            if (memchr(sides[0].data, ' ', sides[0].size) || memchr(sides[1].data, ' ', sides[1].size))
                return rp_fail(err, RP_ERR_FORMAT,
                               "%s: a merge of \"%.*s\" and \"%.*s\", want no spaces in byte-level BPE", v->what,
                               shown(sides[0]), sides[0].data, shown(sides[1]), sides[1].data);
            char *text = rp_vocabulary_room(v, sides[0].size + 1 + sides[1].size, err);
            if (!text)
                return err->status;
            memcpy(text, sides[0].data, sides[0].size);
            text[sides[0].size] = ' ';
            memcpy(text + sides[0].size + 1, sides[1].data, sides[1].size);
            texts[count] = (rp_span){text, sides[0].size + 1 + sides[1].size};
        }
        count++;
    }
    return rp_keys_set_strings(v->keys, "tokenizer.ggml.merges", texts, count, err);
}

static rp_status from_bytes(rp_vocabulary *v, const rp_json *root, rp_error *err) {
    const rp_json *merges = NULL;
    const char *pre = NULL;
    RP_TRY(rp_vocabulary_pre(v->what, root, &pre, err));
    RP_TRY(find_merges(v, rp_json_find(root, "model"), &merges, err));
    RP_TRY(rp_vocabulary_write(v, "gpt2", pre, false, err));
    rp_span *texts = rp_alloc(v->memory, merges->size, sizeof *texts, "merges", err);
    rp_status status = texts ? write_merges(v, merges, texts, err) : err->status;
    rp_release(v->memory, texts, merges->size, sizeof *texts);
    return status;
}

/* ---- Scores -------------------------------------------------------------------------------------------- */

/* The id of a token that takes part in merges; -1: none. */
static int64_t find_normal(const rp_vocabulary *v, rp_span text) {
    int64_t id = rp_vocabulary_find(v, text);
    return id >= 0 && v->types[id] == RP_TOKEN_NORMAL ? id : -1;
}

typedef struct scoring {
    char *joined;
    size_t room;
    uint8_t *merged; /* (vocab): a merge makes the token */
    uint64_t pairs;  /* merges of two tokens into a third */
    int32_t ranked;  /* tokens with a score */
} scoring;

static rp_status score_merge(rp_vocabulary *v, scoring *s, const rp_span sides[2], rp_error *err) {
    size_t size = sides[0].size + sides[1].size;
    if (!s->joined || size > s->room) {
        char *bigger = rp_alloc_raw(v->memory, 2 * size, 1, "text of a merge", err);
        if (!bigger)
            return err->status;
        rp_release(v->memory, s->joined, s->room, 1);
        s->joined = bigger;
        s->room = 2 * size;
    }
    memcpy(s->joined, sides[0].data, sides[0].size);
    memcpy(s->joined + sides[0].size, sides[1].data, sides[1].size);
    int64_t id = find_normal(v, (rp_span){s->joined, size});
    if (id < 0)
        return RP_OK;
    s->pairs += find_normal(v, sides[0]) >= 0 && find_normal(v, sides[1]) >= 0;
    if (!s->merged[id]) {
        s->merged[id] = 1;
        v->scores[id] = (float)-s->ranked++;
    }
    return RP_OK;
}

/* Scores merge any two neighbours that are a token together, a list merges only what it lists. Lists that were made from a
 * SentencePiece vocabulary have all pairs; where some are missing, scores would give other ids. */
static rp_status check_pairs(const rp_vocabulary *v, uint64_t pairs, rp_error *err) {
    enum { LONGEST = 256 }; /* the work grows with the square; real pieces have some 50 bytes at most */
    uint64_t possible = 0;
    for (uint32_t id = 0; id < v->count; id++) {
        rp_span text = v->texts[id];
        if (v->types[id] != RP_TOKEN_NORMAL || text.size > LONGEST)
            continue;
        for (size_t at = rp_utf8_length(text.size ? *text.data : 0); at < text.size;
             at += rp_utf8_length(text.data[at]))
            possible += find_normal(v, (rp_span){text.data, at}) >= 0 &&
                        find_normal(v, (rp_span){text.data + at, text.size - at}) >= 0;
    }
    if (possible > pairs)
        return rp_fail(err, RP_ERR_UNSUPPORTED,
                       "%s: BPE with byte fallback and %llu of the %llu merges that its tokens allow, want all, as a "
                       "SentencePiece vocabulary has",
                       v->what, (unsigned long long)pairs, (unsigned long long)possible);
    return RP_OK;
}

static rp_status score(rp_vocabulary *v, scoring *s, const rp_json *merges, rp_error *err) {
    for (const rp_json *merge = merges->child; merge; merge = merge->next) {
        rp_span sides[2];
        RP_TRY(read_merge(v, merge, sides, err));
        RP_TRY(score_merge(v, s, sides, err));
    }
    /* Single characters, which are never merged, and tokens that no merge makes. */
    for (uint32_t id = 0; id < v->count; id++)
        if (v->types[id] == RP_TOKEN_NORMAL && !s->merged[id])
            v->scores[id] = (float)-s->ranked;
    return check_pairs(v, s->pairs, err);
}

static rp_status from_pieces(rp_vocabulary *v, const rp_json *root, rp_error *err) {
    const rp_json *merges = NULL;
    bool space = false;
    scoring s = {0};
    RP_TRY(rp_vocabulary_spaces(v->what, root, &space, err));
    v->add_space = space ? RP_YES : RP_NO;
    RP_TRY(find_merges(v, rp_json_find(root, "model"), &merges, err));
    s.merged = rp_alloc(v->memory, v->count, 1, "tokens of merges", err);
    rp_status status = s.merged ? score(v, &s, merges, err) : err->status;
    rp_release(v->memory, s.joined, s.room, 1);
    rp_release(v->memory, s.merged, v->count, 1);
    return status == RP_OK ? rp_vocabulary_write(v, "llama", "default", true, err) : status;
}

/* ---- The file ------------------------------------------------------------------------------------------ */

static rp_status check_model(const rp_vocabulary *v, const rp_json *model, rp_error *err) {
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const rp_json *type = rp_json_find(model, "type");
    if (!model || model->kind != RP_JSON_OBJECT)
        return rp_fail(err, RP_ERR_FORMAT, "%s: want an object \"model\": is it a tokenizer.json?", v->what);
    if (type && !rp_json_is(type, "BPE"))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: its model is %.40s, want BPE", v->what,
                       type->kind == RP_JSON_STRING ? type->string : "of no type");
    for (size_t i = 0; i < RP_COUNT(affixes); i++)
        if (says_something(rp_json_find(model, affixes[i])))
            return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: its model has a %s, want none", v->what, affixes[i]);
    if (is_true(model, "byte_fallback") && is_true(model, "ignore_merges"))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: its model has byte_fallback and ignore_merges, want one of them",
                       v->what);
    return RP_OK;
}

rp_status rp_vocabulary_from_json(rp_vocabulary *v, const rp_json *root, const rp_vocabulary_folder *folder,
                                  bool *pieces, rp_error *err) {
    const rp_json *model = rp_json_find(root, "model"), *unknown = rp_json_find(model, "unk_token");
    RP_TRY(check_model(v, model, err));
    *pieces = is_true(model, "byte_fallback");
    RP_TRY(read_tokens(v, model, *pieces, err));
    RP_TRY(read_added(v, root, err));
    if (folder)
        RP_TRY(rp_vocabulary_read_added(v, folder, err));
    RP_TRY(rp_vocabulary_fill(v, err));
    if (says_something(unknown))
        v->special[RP_SPECIAL_UNKNOWN] = rp_vocabulary_find(v, rp_json_text_of(unknown));
    return *pieces ? from_pieces(v, root, err) : from_bytes(v, root, err);
}

static const rp_json *find_template(const rp_json *root) {
    const rp_json *processor = rp_json_find(root, "post_processor");
    const rp_json *steps = rp_json_find(processor, "processors");
    if (rp_json_is(rp_json_find(processor, "type"), "TemplateProcessing"))
        return rp_json_find(processor, "single");
    for (const rp_json *step = steps && steps->kind == RP_JSON_ARRAY ? steps->child : NULL; step; step = step->next)
        if (rp_json_is(rp_json_find(step, "type"), "TemplateProcessing"))
            return rp_json_find(step, "single");
    return NULL;
}

/* The token that a template's item puts; -1: it puts none. */
static int64_t template_token(const rp_vocabulary *v, const rp_json *item) {
    const rp_json *id = rp_json_find(rp_json_find(item, "SpecialToken"), "id");
    return id && id->kind == RP_JSON_STRING ? rp_vocabulary_find(v, rp_json_text_of(id)) : -1;
}

bool rp_vocabulary_puts_nothing(const rp_json *root) {
    const rp_json *processor = rp_json_find(root, "post_processor");
    return !processor || processor->kind == RP_JSON_NULL || rp_json_is(rp_json_find(processor, "type"), "ByteLevel");
}

void rp_vocabulary_read_template(rp_vocabulary *v, const rp_json *root) {
    const rp_json *items = find_template(root), *last = NULL;
    if (!items || items->kind != RP_JSON_ARRAY || !items->child)
        return;
    for (const rp_json *item = items->child; item; item = item->next)
        last = item;
    int64_t first = template_token(v, items->child), end = items->size > 1 ? template_token(v, last) : -1;
    if (v->special[RP_SPECIAL_BOS] < 0)
        v->special[RP_SPECIAL_BOS] = first;
    if (v->special[RP_SPECIAL_EOS] < 0)
        v->special[RP_SPECIAL_EOS] = end;
    if (v->add_bos == RP_UNSAID)
        v->add_bos = first >= 0 && first == v->special[RP_SPECIAL_BOS] ? RP_YES : RP_NO;
    if (v->add_eos == RP_UNSAID)
        v->add_eos = end >= 0 && end == v->special[RP_SPECIAL_EOS] ? RP_YES : RP_NO;
}
