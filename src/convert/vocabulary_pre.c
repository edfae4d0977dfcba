/* What stands before the merges in a tokenizer.json: normalizers and pre-tokenizers, told by what they are and not by what
 * they make of a sample text. The engine has a few pre-tokenizers under names of llama.cpp's (src/tokenizer_pre.c);
 * everything else is refused rather than cut into other words than the model was trained on. */
#include "vocabulary_internal.h"

#include <string.h>

enum { SHOWN_MAX = 140, STEPS_MAX = 8 };

static const char space_mark[] = "\xe2\x96\x81"; /* U+2581 */

/* Patterns of Split, a letter each. */
static const struct {
    char letter;
    const char *pattern;
} patterns[] = {
    {'g', "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},
    {'g', "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},
    {'3', "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
          "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
          "\\s+(?!\\S)|\\s+"},
    {'3', "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
          " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
    {'q',
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
     "\\s+(?!\\S)|\\s+"},
    {'q', "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
          " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
    {'t', "[0-9][0-9][0-9]"},
};

/* Steps in their order: B ByteLevel that cuts as GPT-2 does, b ByteLevel that does not cut, D each digit, d runs of digits,
 * P runs of punctuation, or a pattern's letter. ! behind them: whole words of the vocabulary go before any merge. */
static const struct {
    const char *steps, *name;
} known[] = {
    {"B", "gpt-2"},  {"gb", "gpt-2"},      {"DB", "smollm"},    {"Dgb", "smollm"},
    {"qb", "qwen2"}, {"3b!", "llama-bpe"}, {"3b", "smaug-bpe"}, {"PBdt", "falcon"},
};

static const char *type_of(const rp_json *step) {
    const rp_json *type = rp_json_find(step, "type");
    return type && type->kind == RP_JSON_STRING ? type->string : "of no type";
}

static bool is_type(const rp_json *step, const char *type) {
    return rp_json_is(rp_json_find(step, "type"), type);
}

static bool is_true(const rp_json *object, const char *name, bool otherwise) {
    rp_error ignored;
    rp_json_bool(object, name, &otherwise, &ignored);
    return otherwise;
}

static bool is_absent(const rp_json *value) {
    return !value || value->kind == RP_JSON_NULL;
}

/* The first step of a Sequence, whose member `list` holds them, or the one step that the value is. */
static const rp_json *first_step(const rp_json *value, const char *list, bool *sequence) {
    *sequence = is_type(value, "Sequence");
    const rp_json *steps = *sequence ? rp_json_find(value, list) : NULL;
    return *sequence ? (steps && steps->kind == RP_JSON_ARRAY ? steps->child : NULL) : value;
}

static const rp_json *next_step(const rp_json *step, bool sequence) {
    return sequence ? step->next : NULL;
}

/* ---- Byte-level BPE ------------------------------------------------------------------------------------ */

static rp_status split_letter(const char *what, const rp_json *step, char *letter, rp_error *err) {
    const rp_json *pattern = rp_json_find(step, "pattern"), *regex = rp_json_find(pattern, "Regex");
    const rp_json *behavior = rp_json_find(step, "behavior");
    if (!regex)
        regex = rp_json_find(pattern, "String");
    if (!regex || regex->kind != RP_JSON_STRING)
        return rp_fail(err, RP_ERR_FORMAT, "%s: pre-tokenizer Split: want a \"pattern\"", what);
    bool invert = is_true(step, "invert", false);
    for (size_t i = 0; i < RP_COUNT(patterns); i++) {
        /* But for 't', all of a text matches: "what does not match goes" is the same as cutting around matches. */
        bool cuts =
            invert ? rp_json_is(behavior, "Removed") && patterns[i].letter != 't' : rp_json_is(behavior, "Isolated");
        if (cuts && rp_json_is(regex, patterns[i].pattern) && rp_json_find(pattern, "Regex") == regex) {
            *letter = patterns[i].letter;
            return RP_OK;
        }
    }
    return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: pre-tokenizer with the pattern %.*s is not known here", what,
                   (int)RP_MIN(regex->size, SHOWN_MAX), regex->string);
}

static rp_status step_letter(const char *what, const rp_json *step, char *letter, rp_error *err) {
    if (is_type(step, "Split"))
        return split_letter(what, step, letter, err);
    if (is_type(step, "ByteLevel") && is_true(step, "add_prefix_space", true))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: pre-tokenizer ByteLevel: add_prefix_space is true, want false",
                       what);
    if (is_type(step, "ByteLevel"))
        *letter = is_true(step, "use_regex", true) ? 'B' : 'b';
    else if (is_type(step, "Digits"))
        *letter = is_true(step, "individual_digits", false) ? 'D' : 'd';
    else if (is_type(step, "Punctuation") && rp_json_is(rp_json_find(step, "behavior"), "Contiguous"))
        *letter = 'P';
    else
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: pre-tokenizer %.40s is not known here", what, type_of(step));
    return RP_OK;
}

/* llama.cpp and this engine read NFC's texts as they are. */
static rp_status check_normalizer(const char *what, const rp_json *root, rp_error *err) {
    const rp_json *normalizer = rp_json_find(root, "normalizer");
    bool sequence = false;
    if (is_absent(normalizer))
        return RP_OK;
    for (const rp_json *step = first_step(normalizer, "normalizers", &sequence); step; step = next_step(step, sequence))
        if (!is_type(step, "NFC"))
            return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: normalizer %.40s, want none or NFC for byte-level BPE", what,
                           type_of(step));
    return RP_OK;
}

rp_status rp_vocabulary_pre(const char *what, const rp_json *root, const char **name, rp_error *err) {
    const rp_json *pre = rp_json_find(root, "pre_tokenizer");
    char steps[STEPS_MAX + 2] = "";
    size_t count = 0;
    bool sequence = false;
    RP_TRY(check_normalizer(what, root, err));
    if (is_absent(pre))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: has no pre-tokenizer, want one that ends in ByteLevel", what);
    for (const rp_json *step = first_step(pre, "pretokenizers", &sequence); step; step = next_step(step, sequence)) {
        if (count == STEPS_MAX)
            return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: has more than %d pre-tokenizers", what, STEPS_MAX);
        RP_TRY(step_letter(what, step, &steps[count++], err));
    }
    bool words = is_true(rp_json_find(root, "model"), "ignore_merges", false);
    if (words)
        steps[count] = '!';
    for (size_t i = 0; i < RP_COUNT(known); i++) {
        if (strcmp(steps, known[i].steps) == 0) {
            *name = known[i].name;
            return RP_OK;
        }
    }
    return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: its pre-tokenizers are not known here in this order%s: %s", what,
                   words ? " with ignore_merges" : "", steps);
}

/* ---- SentencePiece's kind ------------------------------------------------------------------------------ */

static bool replaces_spaces(const rp_json *step) {
    return is_type(step, "Replace") && rp_json_is(rp_json_find(rp_json_find(step, "pattern"), "String"), " ") &&
           rp_json_is(rp_json_find(step, "content"), space_mark);
}

static rp_status read_metaspace(const char *what, const rp_json *pre, bool *space, rp_error *err) {
    const rp_json *scheme = rp_json_find(pre, "prepend_scheme"), *mark = rp_json_find(pre, "replacement");
    if (mark && !rp_json_is(mark, space_mark))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: Metaspace with another replacement than U+2581", what);
    *space = is_absent(scheme) ? is_true(pre, "add_prefix_space", true) : !rp_json_is(scheme, "never");
    return RP_OK;
}

rp_status rp_vocabulary_spaces(const char *what, const rp_json *root, bool *space, rp_error *err) {
    const rp_json *normalizer = rp_json_find(root, "normalizer"), *pre = rp_json_find(root, "pre_tokenizer");
    bool sequence = false, replaced = false;
    *space = false;
    if (!is_absent(normalizer)) {
        const rp_json *step = first_step(normalizer, "normalizers", &sequence);
        for (; step; step = next_step(step, sequence)) {
            bool prepends = is_type(step, "Prepend") && rp_json_is(rp_json_find(step, "prepend"), space_mark);
            if (!prepends && !replaces_spaces(step))
                return rp_fail(err, RP_ERR_UNSUPPORTED,
                               "%s: normalizer %.40s, want Prepend or Replace of U+2581 for BPE with byte fallback",
                               what, type_of(step));
            *space |= prepends;
            replaced |= !prepends;
        }
    }
    if (!is_absent(pre) && is_type(pre, "Metaspace"))
        return read_metaspace(what, pre, space, err);
    /* Gemma splits at spaces that are not there any more. */
    bool idle = is_absent(pre) ||
                (is_type(pre, "Split") && rp_json_is(rp_json_find(rp_json_find(pre, "pattern"), "String"), " "));
    if (!replaced || !idle)
        return rp_fail(
            err, RP_ERR_UNSUPPORTED,
            "%s: BPE with byte fallback and pre-tokenizer %.40s, want U+2581 for spaces (Replace or Metaspace)", what,
            is_absent(pre) ? "none" : type_of(pre));
    return RP_OK;
}
