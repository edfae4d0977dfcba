/* Pre-tokenizers of byte-level BPE: where a text is cut into words that no merge crosses. Each is a list of scanners,
 * written by hand after the regular expressions that stand beside them; llama.cpp's names for them end in a table.
 * A scanner sees one piece of the scanner before it and nothing around it: "end" below is that piece's end. */
#include "tokenizer_internal.h"
#include "unicode.h"

enum { LETTER = RP_UNICODE_LETTER, NUMBER = RP_UNICODE_NUMBER, SPACE = RP_UNICODE_SPACE };
enum { WORDLESS = RP_UNICODE_PUNCTUATION | RP_UNICODE_OTHER }; /* [^\s\p{L}\p{N}] */

/* One code point; class 0 and size 0 at the end. */
typedef struct glyph {
    uint32_t point;
    unsigned class;
    size_t size;
} glyph;

static glyph peek(const char *text, size_t size, size_t at) {
    glyph out = {UINT32_MAX, 0, 0};
    if (at < size) {
        out.point = rp_utf8_decode(text + at, size - at, &out.size);
        out.class = rp_unicode_class(out.point);
    }
    return out;
}

/* The end of the run of `classes` that starts at `at`. */
static size_t run(const char *text, size_t size, size_t at, unsigned classes) {
    for (glyph g = peek(text, size, at); g.class & classes; g = peek(text, size, at))
        at += g.size;
    return at;
}

/* 's|'t|'re|'ve|'m|'ll|'d at the start; 0 when there is none. */
static size_t contraction(const char *text, size_t size, bool any_case) {
    glyph quote = peek(text, size, 0);
    if (quote.point != '\'')
        return 0;
    glyph first = peek(text, size, quote.size), second = peek(text, size, quote.size + first.size);
    uint32_t fold = any_case ? 32 : 0, a = first.point | fold, b = second.point | fold;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return quote.size + first.size;
    bool two = (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l');
    return two ? quote.size + first.size + second.size : 0;
}

static bool is_break(glyph g) {
    return g.point == '\r' || g.point == '\n';
}

/* \s+(?!\S)|\s+ : white space, but for its last character when something follows; 0 when there is none. */
static size_t spaces(const char *text, size_t size) {
    size_t end = 0, last = 0;
    for (glyph g = peek(text, size, 0); g.class & SPACE; g = peek(text, size, end)) {
        last = end;
        end += g.size;
    }
    return end < size && last > 0 ? last : end;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t scan_gpt2(const char *text, size_t size) {
    size_t end = contraction(text, size, false);
    if (end > 0)
        return end;
    glyph first = peek(text, size, 0);
    size_t lead = first.point == ' ' ? first.size : 0;
    unsigned class = peek(text, size, lead).class;
    if (class & (LETTER | NUMBER))
        return run(text, size, lead, class);
    if (class & WORDLESS)
        return run(text, size, lead, WORDLESS);
    return spaces(text, size);
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t scan_modern(const char *text, size_t size, int digits) {
    size_t end = contraction(text, size, true);
    if (end > 0)
        return end;
    glyph first = peek(text, size, 0);
    if (!is_break(first) && first.class != NUMBER &&
        (first.class == LETTER || peek(text, size, first.size).class == LETTER))
        return run(text, size, first.size, LETTER);
    if (first.class == NUMBER) {
        for (int i = 0; i < digits && peek(text, size, end).class == NUMBER; i++)
            end += peek(text, size, end).size;
        return end;
    }
    size_t lead = first.point == ' ' ? first.size : 0;
    if (peek(text, size, lead).class & WORDLESS) {
        end = run(text, size, lead, WORDLESS);
        for (glyph g = peek(text, size, end); is_break(g); g = peek(text, size, end))
            end += g.size;
        return end;
    }
    size_t behind_break = 0;
    for (glyph g = peek(text, size, 0); g.class & SPACE; g = peek(text, size, end)) {
        end += g.size;
        if (is_break(g))
            behind_break = end;
    }
    return behind_break ? behind_break : spaces(text, size);
}

static size_t scan_llama3(const char *text, size_t size) {
    return scan_modern(text, size, 3);
}

static size_t scan_qwen2(const char *text, size_t size) {
    return scan_modern(text, size, 1);
}

/* What a single-class expression leaves: the class' run, or the run of everything else. */
static size_t scan_number(const char *text, size_t size) { /* \p{N} */
    glyph first = peek(text, size, 0);
    return first.class == NUMBER ? first.size : run(text, size, 0, ~(unsigned)NUMBER);
}

static size_t scan_numbers(const char *text, size_t size) { /* \p{N}+ */
    bool number = peek(text, size, 0).class == NUMBER;
    return run(text, size, 0, number ? NUMBER : ~(unsigned)NUMBER);
}

static bool is_mark(glyph g, const char *marks) {
    if (g.class == RP_UNICODE_PUNCTUATION)
        return true;
    for (; g.class && *marks; marks++) {
        if (g.point == (uint8_t)*marks)
            return true;
    }
    return false;
}

static size_t scan_marks(const char *text, size_t size, const char *marks) {
    glyph g = peek(text, size, 0);
    bool mark = is_mark(g, marks);
    size_t end = 0;
    for (; g.class && is_mark(g, marks) == mark; g = peek(text, size, end))
        end += g.size;
    return end;
}

static size_t scan_default_marks(const char *text, size_t size) { /* [\p{P}\$\+<=>\^~\|]+ */
    return scan_marks(text, size, "$+<=>^~|");
}

static size_t scan_falcon_marks(const char *text, size_t size) { /* [\p{P}\$\+<=>\^~\|`]+ */
    return scan_marks(text, size, "$+<=>^~|`");
}

/* Bytes of [0-9][0-9][0-9] at `at`; 0 when there are none. */
static size_t three_digits(const char *text, size_t size, size_t at) {
    size_t end = at;
    for (int i = 0; i < 3; i++) {
        glyph g = peek(text, size, end);
        if (g.point < '0' || g.point > '9')
            return 0;
        end += g.size;
    }
    return end - at;
}

static size_t scan_triples(const char *text, size_t size) { /* [0-9][0-9][0-9] */
    size_t end = three_digits(text, size, 0);
    if (end > 0)
        return end;
    do
        end += peek(text, size, end).size;
    while (end < size && !three_digits(text, size, end));
    return end;
}

static const rp_pre_tokenizer pre_gpt2 = {{scan_gpt2}};
static const rp_pre_tokenizer pre_starcoder = {{scan_number, scan_gpt2}};
static const rp_pre_tokenizer pre_llama3 = {{scan_llama3}};
static const rp_pre_tokenizer pre_qwen2 = {{scan_qwen2}};
static const rp_pre_tokenizer pre_falcon = {{scan_falcon_marks, scan_gpt2, scan_triples}};
static const rp_pre_tokenizer pre_default = {{scan_default_marks, scan_gpt2, scan_numbers, scan_triples}};

/* As llama.cpp groups them (src/llama-vocab.cpp). A file that names none gets "default" there and here. */
static const rp_pre_name names[] = {
    {.name = "default", .pre = &pre_default},
    {.name = "falcon", .pre = &pre_falcon},
    {.name = "gpt-2", .pre = &pre_gpt2},
    {.name = "a.x-4.0", .pre = &pre_gpt2},
    {.name = "exaone4", .pre = &pre_gpt2},
    {.name = "gigachat", .pre = &pre_gpt2},
    {.name = "granite-docling", .pre = &pre_gpt2},
    {.name = "jais", .pre = &pre_gpt2},
    {.name = "jina-de", .pre = &pre_gpt2},
    {.name = "jina-es", .pre = &pre_gpt2},
    {.name = "jina-v1-en", .pre = &pre_gpt2},
    {.name = "jina-v2-code", .pre = &pre_gpt2},
    {.name = "jina-v2-de", .pre = &pre_gpt2},
    {.name = "jina-v2-es", .pre = &pre_gpt2},
    {.name = "mellum", .pre = &pre_gpt2},
    {.name = "modern-bert", .pre = &pre_gpt2},
    {.name = "mpt", .pre = &pre_gpt2},
    {.name = "olmo", .pre = &pre_gpt2},
    {.name = "phi-2", .pre = &pre_gpt2},
    {.name = "roberta-bpe", .pre = &pre_gpt2},
    {.name = "trillion", .pre = &pre_gpt2},
    {.name = "starcoder", .pre = &pre_starcoder},
    {.name = "codeshell", .pre = &pre_starcoder},
    {.name = "command-r", .pre = &pre_starcoder},
    {.name = "exaone", .pre = &pre_starcoder},
    {.name = "mellum2", .pre = &pre_starcoder},
    {.name = "minerva-7b", .pre = &pre_starcoder},
    {.name = "refact", .pre = &pre_starcoder},
    {.name = "smollm", .pre = &pre_starcoder},
    {.name = "llama-bpe", .pre = &pre_llama3, .ignore_merges = true, .add_bos = true},
    {.name = "llama3", .pre = &pre_llama3, .ignore_merges = true, .add_bos = true},
    {.name = "llama-v3", .pre = &pre_llama3, .ignore_merges = true, .add_bos = true},
    {.name = "falcon3", .pre = &pre_llama3, .ignore_merges = true, .add_bos = true},
    {.name = "falcon-h1", .pre = &pre_llama3, .ignore_merges = true, .add_bos = true},
    {.name = "jina-v5-nano", .pre = &pre_llama3, .ignore_merges = true, .add_bos = true},
    {.name = "lfm2", .pre = &pre_llama3, .ignore_merges = true, .add_bos = true},
    {.name = "midm-2.0", .pre = &pre_llama3, .ignore_merges = true, .add_bos = true},
    {.name = "pixtral", .pre = &pre_llama3, .ignore_merges = true, .add_bos = true},
    {.name = "chatglm-bpe", .pre = &pre_llama3},
    {.name = "dbrx", .pre = &pre_llama3},
    {.name = "glm4", .pre = &pre_llama3},
    {.name = "smaug-bpe", .pre = &pre_llama3},
    {.name = "qwen2", .pre = &pre_qwen2},
    {.name = "deepseek-r1-qwen", .pre = &pre_qwen2},
    {.name = "f2llmv2", .pre = &pre_qwen2},
    {.name = "grok-2", .pre = &pre_qwen2},
    {.name = "hunyuan", .pre = &pre_qwen2},
    {.name = "kormo", .pre = &pre_qwen2},
    {.name = "megrez", .pre = &pre_qwen2},
    {.name = "solar-open", .pre = &pre_qwen2},
    {.name = "stablelm2", .pre = &pre_qwen2},
};

const rp_pre_name *rp_pre_find(rp_span name) {
    for (size_t i = 0; i < RP_COUNT(names); i++) {
        if (rp_span_is(name, names[i].name))
            return &names[i];
    }
    return NULL;
}
