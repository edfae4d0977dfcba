/* Special tokens: which there are, which of them end a turn, and finding them in a text. GGUF files say little about
 * this, so llama.cpp knows tokens by their names (src/llama-vocab.cpp); the names here are its. A text is split by
 * the longest special tokens first, then by shorter ones in what is left. */
#include "tokenizer_internal.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of their different lengths together: so many are hashed at most for each byte of a text. */
enum { LENGTHS_MOST = 1 << 16 };

/* Tokens that a key or else a name tells: they count as control tokens. */
static const struct {
    const char *key, *old_key;
    bool ends;
    const char *names[9];
} roles[] = {
    {"tokenizer.ggml.fim_pre_token_id",
     "tokenizer.ggml.prefix_token_id",
     false,
     {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>",
      "<|prefix|>"}},
    {"tokenizer.ggml.fim_suf_token_id",
     "tokenizer.ggml.suffix_token_id",
     false,
     {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>",
      "<|suffix|>"}},
    {"tokenizer.ggml.fim_mid_token_id",
     "tokenizer.ggml.middle_token_id",
     false,
     {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>",
      "<|middle|>"}},
    {"tokenizer.ggml.fim_pad_token_id", NULL, true, {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
    {"tokenizer.ggml.fim_rep_token_id",
     NULL,
     true,
     {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {"tokenizer.ggml.fim_sep_token_id", NULL, true, {"<|file_sep|>"}},
};

static const char *const end_names[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
};

/* gpt-oss: shown to the reader, whatever the file says. */
static const char *const shown_names[] = {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"};

static int32_t find_name(const rp_tokenizer *tokenizer, const char *name) {
    return rp_token_find(tokenizer, name, strlen(name));
}

static bool ends(const rp_tokenizer *tokenizer, int32_t id) {
    for (size_t i = 0; i < tokenizer->end_count; i++) {
        if (tokenizer->ends[i] == id)
            return true;
    }
    return false;
}

static void add_end(rp_tokenizer *tokenizer, int32_t id) {
    if (id != RP_NO_ID && !ends(tokenizer, id))
        tokenizer->ends[tokenizer->end_count++] = id;
}

static bool name_ends(const rp_tokenizer *tokenizer, const char *name) {
    int32_t id = find_name(tokenizer, name);
    return id != RP_NO_ID && ends(tokenizer, id);
}

/* No end of a turn after all: shown to the reader as `attributes` say. */
static void drop_end(rp_tokenizer *tokenizer, const char *name, uint8_t attributes) {
    int32_t id = find_name(tokenizer, name);
    for (size_t i = 0; i < tokenizer->end_count; i++) {
        if (tokenizer->ends[i] == id) {
            tokenizer->ends[i] = tokenizer->ends[--tokenizer->end_count];
            tokenizer->attributes[id] = attributes;
            return;
        }
    }
}

/* An id that the file names. One beyond the vocabulary is as good as none: files mark "none" so. */
static rp_status read_id(const rp_tokenizer *tokenizer, const rp_gguf *gguf, const char *key, int32_t *id,
                         rp_error *err) {
    uint32_t value = UINT32_MAX;
    if (*id >= 0 && (uint32_t)*id >= tokenizer->vocab)
        *id = RP_NO_ID; /* a default that this vocabulary does not reach */
    if (!key)
        return RP_OK;
    RP_TRY(rp_gguf_u32(gguf, key, &value, err));
    if (value < tokenizer->vocab)
        *id = (int32_t)value;
    return RP_OK;
}

static rp_status load_roles(rp_tokenizer *tokenizer, const rp_gguf *gguf, rp_error *err) {
    for (size_t role = 0; role < RP_COUNT(roles); role++) {
        int32_t id = RP_NO_ID;
        RP_TRY(read_id(tokenizer, gguf, roles[role].key, &id, err));
        RP_TRY(read_id(tokenizer, gguf, roles[role].old_key, &id, err));
        for (const char *const *name = roles[role].names; id == RP_NO_ID && *name; name++) {
            id = find_name(tokenizer, *name);
            if (id != RP_NO_ID)
                tokenizer->attributes[id] |= TOKEN_CONTROL;
        }
        if (roles[role].ends)
            add_end(tokenizer, id);
    }
    return RP_OK;
}

static rp_status load_ends(rp_tokenizer *tokenizer, const rp_gguf *gguf, rp_error *err) {
    int32_t eot = RP_NO_ID, eom = RP_NO_ID;
    RP_TRY(read_id(tokenizer, gguf, "tokenizer.ggml.eot_token_id", &eot, err));
    RP_TRY(read_id(tokenizer, gguf, "tokenizer.ggml.eom_token_id", &eom, err));
    for (size_t i = 0; i < RP_COUNT(end_names); i++) {
        int32_t id = find_name(tokenizer, end_names[i]);
        if (id != RP_NO_ID)
            tokenizer->attributes[id] |= TOKEN_CONTROL;
        add_end(tokenizer, id);
    }
    for (size_t i = 0; i < RP_COUNT(shown_names); i++) {
        int32_t id = find_name(tokenizer, shown_names[i]);
        if (id != RP_NO_ID)
            tokenizer->attributes[id] = TOKEN_USER;
    }
    add_end(tokenizer, tokenizer->eos);
    add_end(tokenizer, eot);
    add_end(tokenizer, eom);
    /* gpt-oss and solar-open: "<|end|>" ends a message, not the turn. */
    bool calls = name_ends(tokenizer, "<|call|>") || name_ends(tokenizer, "<|calls|>");
    if (calls && (name_ends(tokenizer, "<|return|>") || name_ends(tokenizer, "<|flush|>")))
        drop_end(tokenizer, "<|end|>", TOKEN_USER);
    if (name_ends(tokenizer, "<|tool_response>")) /* gemma 4 */
        drop_end(tokenizer, "</s>", TOKEN_NORMAL);
    return RP_OK;
}

/* Does `text` hold `part`, letters in either case when folded? */
static bool holds(rp_span text, const char *part, bool fold) {
    size_t size = strlen(part);
    for (size_t at = 0; at + size <= text.size; at++) {
        size_t i = 0;
        for (; i < size; i++) {
            char c = text.data[at + i];
            if ((fold && c >= 'A' && c <= 'Z' ? c | 32 : c) != part[i])
                break;
        }
        if (i == size)
            return true;
    }
    return false;
}

static void set_strip(rp_tokenizer *tokenizer, const char *name, uint8_t strip, bool on) {
    int32_t id = find_name(tokenizer, name);
    if (id != RP_NO_ID)
        tokenizer->attributes[id] =
            (uint8_t)(on ? tokenizer->attributes[id] | strip : tokenizer->attributes[id] & ~(unsigned)strip);
}

/* White space beside special tokens goes in a few models, which only their names tell. */
static rp_status load_strips(rp_tokenizer *tokenizer, const rp_gguf *gguf, rp_error *err) {
    rp_span name = {"", 0}, pre = {"", 0}, architecture = {"", 0};
    RP_TRY(rp_gguf_string(gguf, "general.name", &name, err));
    RP_TRY(rp_gguf_string(gguf, "tokenizer.ggml.pre", &pre, err));
    RP_TRY(rp_gguf_string(gguf, "general.architecture", &architecture, err));
    if (holds(pre, "jina-v2-de", false) || holds(pre, "jina-v2-es", false) || holds(pre, "jina-v2-code", false) ||
        holds(architecture, "nomic-bert-moe", false) || holds(architecture, "jina-bert-v3", false)) {
        set_strip(tokenizer, "<mask>", TOKEN_STRIP_LEFT, true);
    } else if (holds(name, "phi-3", true) || holds(name, "phi3", true)) {
        for (uint32_t id = 0; id < tokenizer->vocab; id++) {
            if (tokenizer->attributes[id] & TOKEN_SPECIAL)
                tokenizer->attributes[id] |= TOKEN_STRIP_RIGHT;
        }
        set_strip(tokenizer, "</s>", TOKEN_STRIP_RIGHT, true);
        set_strip(tokenizer, "<unk>", TOKEN_STRIP_RIGHT, false);
        set_strip(tokenizer, "<s>", TOKEN_STRIP_RIGHT, false);
        set_strip(tokenizer, "<|endoftext|>", TOKEN_STRIP_RIGHT, false);
    } else if (holds(name, "modern-bert", true)) {
        set_strip(tokenizer, "[MASK]", TOKEN_STRIP_LEFT, true);
    }
    return RP_OK;
}

/* BOS, EOS and unknown (the caller set the family's defaults), the other roles, the ends. */
rp_status rp_special_load(rp_tokenizer *tokenizer, const rp_gguf *gguf, rp_error *err) {
    RP_TRY(read_id(tokenizer, gguf, "tokenizer.ggml.bos_token_id", &tokenizer->bos, err));
    RP_TRY(read_id(tokenizer, gguf, "tokenizer.ggml.eos_token_id", &tokenizer->eos, err));
    RP_TRY(read_id(tokenizer, gguf, "tokenizer.ggml.unknown_token_id", &tokenizer->unknown, err));
    RP_TRY(load_roles(tokenizer, gguf, err));
    RP_TRY(load_ends(tokenizer, gguf, err));
    return load_strips(tokenizer, gguf, err);
}

static int longer_first(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

static void add_to_set(uint8_t set[32], char byte) {
    set[(uint8_t)byte >> 3] |= (uint8_t)(1 << ((uint8_t)byte & 7));
}

static bool in_set(const uint8_t set[32], char byte) {
    return set[(uint8_t)byte >> 3] >> ((uint8_t)byte & 7) & 1;
}

static rp_special_length *find_length(rp_tokenizer *tokenizer, size_t length) {
    size_t low = 0, high = tokenizer->special_count;
    while (low + 1 < high) {
        size_t middle = low + (high - low) / 2;
        if (tokenizer->specials[middle].length >= length)
            low = middle;
        else
            high = middle;
    }
    return &tokenizer->specials[low];
}

static rp_status make_lengths(rp_tokenizer *tokenizer, uint32_t *lengths, size_t count, rp_error *err) {
    qsort(lengths, count, sizeof(uint32_t), longer_first);
    size_t different = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && lengths[i] == lengths[i - 1])
            continue;
        sum += lengths[i];
        lengths[different++] = lengths[i];
    }
    if (sum > LENGTHS_MOST)
        return rp_fail(err, RP_ERR_UNSUPPORTED,
                       "special tokens: different lengths of %llu bytes together, want at most %d",
                       (unsigned long long)sum, LENGTHS_MOST);
    tokenizer->specials = rp_tokenizer_alloc(tokenizer, different, sizeof(rp_special_length), "special tokens", err);
    if (!tokenizer->specials)
        return err->status;
    tokenizer->special_count = different;
    for (size_t i = 0; i < different; i++)
        tokenizer->specials[i].length = lengths[i];
    return RP_OK;
}

/* Sorts the special tokens by length. Attributes must be final. */
rp_status rp_special_index(rp_tokenizer *tokenizer, rp_error *err) {
    size_t room = 0, count = 0;
    for (uint32_t id = 0; id < tokenizer->vocab; id++)
        room += (tokenizer->attributes[id] & TOKEN_SPECIAL) != 0;
    uint32_t *lengths = rp_alloc(tokenizer->memory, room, sizeof(uint32_t), "special tokens", err);
    if (!lengths)
        return err->status;
    for (uint32_t id = 0; id < tokenizer->vocab; id++) {
        size_t size = rp_token_text(tokenizer, (int32_t)id).size;
        if (size && tokenizer->attributes[id] & TOKEN_SPECIAL)
            lengths[count++] = (uint32_t)size;
    }
    rp_status status = make_lengths(tokenizer, lengths, count, err);
    rp_release(tokenizer->memory, lengths, room, sizeof(uint32_t));
    for (uint32_t id = 0; status == RP_OK && id < tokenizer->vocab; id++) {
        rp_span text = rp_token_text(tokenizer, (int32_t)id);
        if (!text.size || !(tokenizer->attributes[id] & TOKEN_SPECIAL))
            continue;
        rp_special_length *special = find_length(tokenizer, text.size);
        special->user |= !(tokenizer->attributes[id] & (TOKEN_CONTROL | TOKEN_UNKNOWN));
        add_to_set(special->first, text.data[0]);
        add_to_set(special->last, text.data[text.size - 1]);
    }
    return status;
}

static bool is_space(char c) { /* the C locale's */
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Cuts token `id`, found at `at`, out of a text segment; *index becomes the segment to go on from. */
static rp_status cut(rp_encoder *encoder, const char *text, int32_t *index, uint32_t at, int32_t id, rp_error *err) {
    if (encoder->segment_room - encoder->segment_count < 2) {
        size_t room = RP_MAX(16, 2 * encoder->segment_room);
        void *bigger = rp_grow(encoder->memory, encoder->segments, encoder->segment_room, room, sizeof(rp_segment),
                               "text segments", err);
        if (!bigger)
            return err->status;
        encoder->segments = bigger;
        encoder->segment_room = room;
    }
    unsigned attributes = encoder->tokenizer->attributes[id];
    rp_segment *segment = &encoder->segments[*index];
    rp_segment left = {segment->start, at - segment->start, RP_NO_ID, -1};
    rp_segment token = {at, (uint32_t)rp_token_text(encoder->tokenizer, id).size, id, segment->next};
    rp_segment right = {at + token.size, segment->start + segment->size - at - token.size, RP_NO_ID, segment->next};
    while (attributes & TOKEN_STRIP_LEFT && left.size && is_space(text[left.start + left.size - 1]))
        left.size--;
    while (attributes & TOKEN_STRIP_RIGHT && right.size && is_space(text[right.start])) {
        right.start++;
        right.size--;
    }
    if (left.size) {
        left.next = (int32_t)encoder->segment_count++;
        *segment = left;
        *index = left.next;
    }
    if (right.size) {
        token.next = (int32_t)encoder->segment_count++;
        encoder->segments[token.next] = right;
    }
    encoder->segments[*index] = token;
    *index = right.size ? token.next : *index;
    return RP_OK;
}

/* True when a guard stands right before the text or inside it. */
static bool guarded(const rp_encoder *encoder, uint32_t at, uint32_t length) {
    for (uint32_t i = at; encoder->guards && i < at + length; i++)
        if (encoder->guards[i / 8] >> i % 8 & 1)
            return true;
    return false;
}

/* The first special token of a length in a segment; RP_NO_ID: none. */
static int32_t find_special(const rp_encoder *encoder, const rp_special_length *special, const char *text,
                            const rp_segment *segment, uint32_t unwanted, uint32_t *at) {
    const rp_tokenizer *tokenizer = encoder->tokenizer;
    uint32_t length = special->length, end = segment->start + segment->size;
    for (uint32_t i = segment->start; length <= segment->size && i <= end - length; i++) {
        if (!in_set(special->first, text[i]) || !in_set(special->last, text[i + length - 1]))
            continue;
        int32_t id = rp_token_find(tokenizer, text + i, length);
        if (id == RP_NO_ID || !(tokenizer->attributes[id] & TOKEN_SPECIAL) || tokenizer->attributes[id] & unwanted)
            continue;
        if (guarded(encoder, i, length))
            continue;
        *at = i;
        return id;
    }
    return RP_NO_ID;
}

/* Splits a text into encoder->segments; user-defined tokens always, control and unknown ones if `control`. */
rp_status rp_special_split(rp_encoder *encoder, const char *text, size_t size, bool control, rp_error *err) {
    const rp_tokenizer *tokenizer = encoder->tokenizer;
    uint32_t unwanted = control ? 0 : TOKEN_CONTROL | TOKEN_UNKNOWN;
    encoder->segments = rp_alloc(encoder->memory, 16, sizeof(rp_segment), "text segments", err);
    if (!encoder->segments)
        return err->status;
    encoder->segment_room = 16;
    encoder->segment_count = 1;
    encoder->segments[0] = (rp_segment){0, (uint32_t)size, RP_NO_ID, -1};
    for (size_t i = 0; i < tokenizer->special_count; i++) {
        const rp_special_length *special = &tokenizer->specials[i];
        if (!control && !special->user)
            continue;
        for (int32_t index = 0; index >= 0; index = encoder->segments[index].next) {
            while (encoder->segments[index].id == RP_NO_ID) {
                uint32_t at = 0;
                int32_t id = find_special(encoder, special, text, &encoder->segments[index], unwanted, &at);
                if (id == RP_NO_ID)
                    break;
                RP_TRY(cut(encoder, text, &index, at, id, err));
            }
        }
    }
    return RP_OK;
}
