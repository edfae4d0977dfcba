/* JSON as a tree: see json.h. Values lie in pages that never move, so that they can point at each other while the text is still
 * being read; strings and names lie unescaped in one block. Nesting is kept in an array, not on the C stack. */
#include "json.h"

#include "../unicode.h"
#include "json_number.h"

#include <string.h>

enum { DEPTH_MAX = 64, PAGE_VALUES = 1024 };

typedef struct page {
    struct page *next;
    size_t used;
    rp_json values[PAGE_VALUES];
} page;

struct rp_json_document {
    rp_memory *memory;
    page *pages; /* the newest first */
    char *strings;
    size_t strings_room, strings_used;
    const rp_json *root;
};

/* A container that is still open. */
typedef struct level {
    rp_json *container, *last;
} level;

typedef struct reader {
    rp_json_document *document;
    const char *what, *text, *at, *end;
    level levels[DEPTH_MAX];
    size_t depth;
    rp_error *err;
} reader;

static rp_status fail(const reader *r, const char *wanted) {
    unsigned line = 1;
    for (const char *c = r->text; c < r->at; c++)
        line += *c == '\n';
    if (r->at == r->end)
        return rp_fail(r->err, RP_ERR_FORMAT, "%s: line %u: the text ends, want %s", r->what, line, wanted);
    uint8_t found = (uint8_t)*r->at;
    if (found < 0x20 || found >= 0x7f)
        return rp_fail(r->err, RP_ERR_FORMAT, "%s: line %u: byte 0x%02x, want %s", r->what, line, found, wanted);
    return rp_fail(r->err, RP_ERR_FORMAT, "%s: line %u: '%c', want %s", r->what, line, found, wanted);
}

static void skip_space(reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

static bool next_is(const reader *r, char c) {
    return r->at < r->end && *r->at == c;
}

/* ---- Strings ------------------------------------------------------------------------------------------- */

/* Bytes of the code point at `p`, beyond ASCII; 0 when it is no UTF-8: cut off, longer than need be, a surrogate, too big. */
static size_t utf8_size(const uint8_t *p, size_t room) {
    uint8_t lead = p[0];
    size_t size = lead >= 0xc2 && lead < 0xe0   ? 2
                  : lead >= 0xe0 && lead < 0xf0 ? 3
                  : lead >= 0xf0 && lead < 0xf5 ? 4
                                                : 0;
    if (size == 0 || size > room)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (lead == 0xe0 && p[1] < 0xa0) || (lead == 0xf0 && p[1] < 0x90);
    bool surrogate = lead == 0xed && p[1] >= 0xa0, beyond = lead == 0xf4 && p[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : size;
}

/* Four hexadecimal digits; -1 when there are none. */
static int32_t read_hex(reader *r) {
    int32_t value = 0;
    if (r->end - r->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = r->at[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    r->at += 4;
    return value;
}

/* Behind "\u". Surrogates come in pairs. */
static rp_status read_point(reader *r, uint32_t *point) {
    int32_t high = read_hex(r);
    if (high < 0)
        return fail(r, "four hexadecimal digits behind \\u");
    *point = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff)
        return RP_OK;
    int32_t low = -1;
    if (high < 0xdc00 && r->end - r->at >= 2 && r->at[0] == '\\' && r->at[1] == 'u') {
        r->at += 2;
        low = read_hex(r);
    }
    if (low < 0xdc00 || low > 0xdfff)
        return fail(r, "\\uD800 to \\uDBFF and then \\uDC00 to \\uDFFF: half a surrogate pair is no character");
    *point = 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    return RP_OK;
}

static rp_status read_escape(reader *r, char **out) {
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    r->at++;
    if (next_is(r, 'u')) {
        uint32_t point = 0;
        r->at++;
        RP_TRY(read_point(r, &point));
        *out += rp_utf8_encode(point, *out);
        return RP_OK;
    }
    const char *letter = r->at < r->end && *r->at ? strchr(letters, *r->at) : NULL;
    if (!letter)
        return fail(r, "one of \" \\ / b f n r t u behind a backslash");
    *(*out)++ = values[letter - letters];
    r->at++;
    return RP_OK;
}

/* At a quotation mark. No string is longer unescaped, with its zero, than it is in the text: the block has room. */
static rp_status read_string(reader *r, const char **string, size_t *size) {
    char *start = r->document->strings + r->document->strings_used, *out = start;
    r->at++;
    while (!next_is(r, '"')) {
        uint8_t c = r->at < r->end ? (uint8_t)*r->at : 0;
        if (c < 0x20)
            return fail(r, r->at == r->end ? "a string's closing \""
                                           : "an escape: control characters may not stand in strings");
        if (c == '\\') {
            RP_TRY(read_escape(r, &out));
            continue;
        }
        size_t length = c < 0x80 ? 1 : utf8_size((const uint8_t *)r->at, (size_t)(r->end - r->at));
        if (length == 0)
            return fail(r, "UTF-8");
        for (; length; length--)
            *out++ = *r->at++;
    }
    r->at++;
    *string = start;
    *size = (size_t)(out - start);
    *out = 0;
    r->document->strings_used += *size + 1;
    return RP_OK;
}

/* ---- Values -------------------------------------------------------------------------------------------- */

static rp_json *add_value(reader *r) {
    rp_json_document *document = r->document;
    page *newest = document->pages;
    if (!newest || newest->used == PAGE_VALUES) {
        page *bigger = rp_alloc(document->memory, 1, sizeof *bigger, r->what, r->err);
        if (!bigger)
            return NULL;
        bigger->next = newest;
        document->pages = newest = bigger;
    }
    return &newest->values[newest->used++];
}

/* The next value of the innermost open container, with its name when that is an object. */
static rp_status add_child(reader *r, rp_json *child) {
    level *inner = &r->levels[r->depth - 1];
    if (inner->container->kind == RP_JSON_OBJECT) {
        if (!next_is(r, '"'))
            return fail(r, "a member's name in \"\"");
        RP_TRY(read_string(r, &child->name, &child->name_size));
        skip_space(r);
        if (!next_is(r, ':'))
            return fail(r, "a colon behind a member's name");
        r->at++;
        skip_space(r);
    }
    if (inner->last)
        inner->last->next = child;
    else
        inner->container->child = child;
    inner->last = child;
    inner->container->size++;
    return RP_OK;
}

static bool take_word(reader *r, const char *word) {
    size_t size = strlen(word);
    if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0)
        return false;
    r->at += size;
    return true;
}

/* A value that is no container. */
static rp_status read_scalar(reader *r, rp_json *value) {
    if (next_is(r, '"')) {
        value->kind = RP_JSON_STRING;
        return read_string(r, &value->string, &value->size);
    }
    if (take_word(r, "null"))
        value->kind = RP_JSON_NULL;
    else if (take_word(r, "false"))
        value->kind = RP_JSON_FALSE;
    else if (take_word(r, "true"))
        value->kind = RP_JSON_TRUE;
    else {
        rp_json_number number;
        size_t size = rp_json_read_number(r->at, (size_t)(r->end - r->at), &number);
        if (!size)
            return fail(r, "a value");
        if (number.value - number.value != 0)
            return fail(r, "a number that a double can hold");
        r->at += size;
        value->kind = RP_JSON_NUMBER;
        value->number = number.value;
        value->whole = number.whole;
        value->integer = number.integer;
    }
    return RP_OK;
}

/* Behind a value: commas and closing brackets, up to where the next value begins or the text's last container ends. */
static rp_status close_containers(reader *r) {
    while (r->depth) {
        bool object = r->levels[r->depth - 1].container->kind == RP_JSON_OBJECT;
        skip_space(r);
        if (next_is(r, ',')) {
            r->at++;
            return RP_OK;
        }
        if (!next_is(r, object ? '}' : ']'))
            return fail(r, object ? "a comma or }" : "a comma or ]");
        r->at++;
        r->depth--;
    }
    return RP_OK;
}

static rp_status read_tree(reader *r) {
    do {
        rp_json *value = add_value(r);
        if (!value)
            return r->err->status;
        skip_space(r);
        if (r->depth)
            RP_TRY(add_child(r, value));
        else
            r->document->root = value;
        bool object = next_is(r, '{');
        if (!object && !next_is(r, '[')) {
            RP_TRY(read_scalar(r, value));
        } else {
            if (r->depth == DEPTH_MAX)
                return fail(r, "values nested in at most 64 objects and arrays");
            r->at++;
            value->kind = object ? RP_JSON_OBJECT : RP_JSON_ARRAY;
            r->levels[r->depth++] = (level){value, NULL};
            skip_space(r);
            if (!next_is(r, object ? '}' : ']'))
                continue;
            r->at++;
            r->depth--;
        }
        RP_TRY(close_containers(r));
    } while (r->depth);
    skip_space(r);
    return r->at == r->end ? RP_OK : fail(r, "nothing behind the value");
}

rp_status rp_json_read(rp_json_document **out, rp_memory *memory, const char *what, const char *text, size_t size,
                       rp_error *err) {
    *out = NULL;
    rp_json_document *document = rp_alloc(memory, 1, sizeof *document, what, err);
    if (!document)
        return err->status;
    document->memory = memory;
    document->strings = rp_alloc_raw(memory, size, 1, what, err);
    document->strings_room = size;
    reader r = {.document = document, .what = what, .text = text, .at = text, .end = text + size, .err = err};
    rp_status status = document->strings ? read_tree(&r) : err->status;
    if (status != RP_OK) {
        rp_json_close(document);
        return status;
    }
    *out = document;
    return RP_OK;
}

void rp_json_close(rp_json_document *document) {
    if (!document)
        return;
    rp_memory *memory = document->memory;
    for (page *next, *old = document->pages; old; old = next) {
        next = old->next;
        rp_release(memory, old, 1, sizeof *old);
    }
    rp_release(memory, document->strings, document->strings_room, 1);
    rp_release(memory, document, 1, sizeof *document);
}

const rp_json *rp_json_root(const rp_json_document *document) {
    return document->root;
}

/* ---- Typed reads --------------------------------------------------------------------------------------- */

const rp_json *rp_json_find(const rp_json *object, const char *name) {
    const rp_json *found = NULL;
    size_t size = strlen(name);
    if (!object || object->kind != RP_JSON_OBJECT)
        return NULL;
    for (const rp_json *member = object->child; member; member = member->next)
        if (member->name_size == size && memcmp(member->name, name, size) == 0)
            found = member;
    return found;
}

bool rp_json_is(const rp_json *value, const char *text) {
    return value && value->kind == RP_JSON_STRING && value->size == strlen(text) &&
           memcmp(value->string, text, value->size) == 0;
}

/* The member, unless it is absent or null. */
static const rp_json *find_value(const rp_json *object, const char *name) {
    const rp_json *value = rp_json_find(object, name);
    return value && value->kind != RP_JSON_NULL ? value : NULL;
}

static rp_status unwanted(const rp_json *value, const char *wanted, rp_error *err) {
    static const char *const kinds[] = {"null", "false", "true", "a number", "a string", "an array", "an object"};
    if (value->kind == RP_JSON_NUMBER)
        return rp_fail(err, RP_ERR_FORMAT, "\"%s\" is %g, want %s", value->name, value->number, wanted);
    return rp_fail(err, RP_ERR_FORMAT, "\"%s\" is %s, want %s", value->name, kinds[value->kind], wanted);
}

rp_status rp_json_u32(const rp_json *object, const char *name, uint32_t *out, rp_error *err) {
    const rp_json *value = find_value(object, name);
    if (!value)
        return RP_OK;
    if (!value->whole || value->integer < 0 || value->integer > UINT32_MAX)
        return unwanted(value, "an integer from 0 to 4294967295", err);
    *out = (uint32_t)value->integer;
    return RP_OK;
}

rp_status rp_json_f32(const rp_json *object, const char *name, float *out, rp_error *err) {
    const rp_json *value = find_value(object, name);
    if (!value)
        return RP_OK;
    if (value->kind != RP_JSON_NUMBER || !(value->number > -1e38 && value->number < 1e38))
        return unwanted(value, "a number that a float can hold", err);
    *out = (float)value->number;
    return RP_OK;
}

rp_status rp_json_bool(const rp_json *object, const char *name, bool *out, rp_error *err) {
    const rp_json *value = find_value(object, name);
    if (!value)
        return RP_OK;
    if (value->kind != RP_JSON_FALSE && value->kind != RP_JSON_TRUE)
        return unwanted(value, "true or false", err);
    *out = value->kind == RP_JSON_TRUE;
    return RP_OK;
}

rp_status rp_json_string(const rp_json *object, const char *name, const char **out, rp_error *err) {
    const rp_json *value = find_value(object, name);
    if (!value)
        return RP_OK;
    if (value->kind != RP_JSON_STRING)
        return unwanted(value, "a string", err);
    if (memchr(value->string, 0, value->size))
        return rp_fail(err, RP_ERR_FORMAT, "\"%s\" holds a zero byte, want text", value->name);
    *out = value->string;
    return RP_OK;
}
