/* The GGUF reader: see gguf.h. Bytes are kept until the header is whole; every complete item is looked at once, so that
 * the work is linear in the header's size however small the pieces are. Until then positions are offsets, since the
 * buffer moves as it grows. No count or length of the file is trusted before the bytes it speaks of are there. */
#include "gguf_internal.h"

#include <string.h>

enum {
    PIECE = 1 << 16,    /* bytes taken in before the next look */
    MAX_KEYS = 1 << 14, /* files have about 40 */
    MAX_TENSORS = 1 << 16,
    MAX_NAME = 64, /* ggml's GGML_MAX_NAME, with its zero */
};
#define MAX_HEADER (UINT64_C(1) << 28)

/* A position in the bytes at hand; `short_of` is set when they end too early. */
typedef struct cursor {
    const rp_gguf *g;
    size_t at;
    bool short_of;
} cursor;

static const uint8_t *take(cursor *c, uint64_t size) {
    if (c->short_of || size > c->g->size - c->at) {
        c->short_of = true;
        return NULL;
    }
    const uint8_t *p = c->g->bytes + c->at;
    c->at += (size_t)size;
    return p;
}

static uint32_t take_u32(cursor *c) {
    const uint8_t *p = take(c, 4);
    return p ? rp_load_u32(p) : 0;
}

static uint64_t take_u64(cursor *c) {
    const uint8_t *p = take(c, 8);
    return p ? rp_load_u64(p) : 0;
}

/* Bytes of a scalar of a type; 0 for strings, arrays and unknown ones. */
static size_t scalar_bytes(uint32_t type) {
    static const uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof bytes ? bytes[type] : 0;
}

rp_status rp_gguf_open(rp_gguf **out, rp_memory *memory, rp_error *err) {
    rp_gguf *g = rp_alloc(memory, 1, sizeof *g, "GGUF reader", err);
    if (!g)
        return err->status;
    g->memory = memory;
    *out = g;
    return RP_OK;
}

void rp_gguf_close(rp_gguf *g) {
    if (!g)
        return;
    rp_memory *memory = g->memory;
    rp_release(memory, g->bytes, g->capacity, 1);
    rp_release(memory, g->entries, g->key_capacity, sizeof *g->entries);
    rp_release(memory, g->tensors, g->tensor_capacity, sizeof *g->tensors);
    rp_release(memory, g->by_name, g->tensor_count, sizeof *g->by_name);
    rp_release(memory, g, 1, sizeof *g);
}

/* ---- Items of the header: each returns RP_OK with c->short_of set when more bytes are needed ------------ */

static rp_status read_start(rp_gguf *g, cursor *c, rp_error *err) {
    const uint8_t *magic = take(c, 4);
    if (magic && memcmp(magic, "GGUF", 4) != 0)
        return rp_fail(err, RP_ERR_FORMAT, "file starts with %02x %02x %02x %02x, want GGUF", magic[0], magic[1],
                       magic[2], magic[3]);
    uint32_t version = take_u32(c);
    if (!c->short_of && version != 2 && version != 3)
        return rp_fail(err, version == 1 || version > 0xffff ? RP_ERR_UNSUPPORTED : RP_ERR_FORMAT,
                       "GGUF version is %u%s, want 2 or 3", version, version > 0xffff ? " (big-endian?)" : "");
    uint64_t tensors = take_u64(c), keys = take_u64(c);
    if (c->short_of)
        return RP_OK;
    if (tensors > MAX_TENSORS)
        return rp_fail(err, RP_ERR_FORMAT, "%llu tensors, want at most %d", (unsigned long long)tensors, MAX_TENSORS);
    if (keys > MAX_KEYS)
        return rp_fail(err, RP_ERR_FORMAT, "%llu metadata keys, want at most %d", (unsigned long long)keys, MAX_KEYS);
    g->tensor_total = tensors;
    g->key_total = keys;
    g->phase = PHASE_KEYS;
    return RP_OK;
}

/* A length that cannot be in any header is an error now, not a wait for bytes that never come. */
static rp_status check_length(uint64_t length, const char *what, size_t at, rp_error *err) {
    if (length <= MAX_HEADER)
        return RP_OK;
    return rp_fail(err, RP_ERR_FORMAT, "%s at byte %llu has length %llu, want at most %llu", what,
                   (unsigned long long)at, (unsigned long long)length, (unsigned long long)MAX_HEADER);
}

static rp_status read_strings(rp_gguf *g, cursor *c, uint64_t count, rp_error *err) {
    if (!g->strings.active) {
        g->strings.active = true;
        g->strings.left = count;
    } else {
        c->at = g->strings.at;
    }
    while (g->strings.left) {
        g->strings.at = c->at;
        uint64_t length = take_u64(c);
        RP_TRY(check_length(length, "string", g->strings.at, err));
        if (!take(c, length) && c->short_of)
            return RP_OK;
        g->strings.left--;
    }
    g->strings.active = false;
    return RP_OK;
}

static rp_status read_value(rp_gguf *g, cursor *c, rp_gguf_entry *e, rp_error *err) {
    rp_gguf_value *v = &e->value;
    uint32_t type = take_u32(c);
    v->count = 1;
    v->is_array = type == RP_GGUF_ARRAY;
    if (v->is_array) {
        type = take_u32(c);
        v->count = take_u64(c);
        RP_TRY(check_length(v->count, "array", c->at, err));
    }
    if (c->short_of)
        return RP_OK;
    v->type = (rp_gguf_type)type;
    e->data = c->at;
    if (type == RP_GGUF_STRING && v->is_array) {
        RP_TRY(read_strings(g, c, v->count, err));
    } else if (type == RP_GGUF_STRING) {
        uint64_t length = take_u64(c);
        RP_TRY(check_length(length, "string", c->at, err));
        e->data = c->at;
        take(c, length);
    } else if (scalar_bytes(type)) {
        RP_TRY(check_length(v->count * scalar_bytes(type), "array", c->at, err));
        take(c, v->count * scalar_bytes(type));
    } else {
        return rp_fail(err, type == RP_GGUF_ARRAY ? RP_ERR_UNSUPPORTED : RP_ERR_FORMAT,
                       "metadata value at byte %llu has type %u, want 0 to 12 and no array of arrays",
                       (unsigned long long)c->at, type);
    }
    v->size = c->at - e->data;
    return RP_OK;
}

static rp_status read_key(rp_gguf *g, cursor *c, rp_error *err) {
    if (g->key_count == g->key_total) {
        g->phase = PHASE_TENSORS;
        return RP_OK;
    }
    rp_gguf_entry e = {0};
    uint64_t length = take_u64(c);
    if (!c->short_of && (length == 0 || length > 0xffff))
        return rp_fail(err, RP_ERR_FORMAT, "metadata key %llu has length %llu, want 1 to 65535",
                       (unsigned long long)g->key_count, (unsigned long long)length);
    e.key = c->at;
    e.key_size = (size_t)length;
    take(c, length);
    if (c->short_of)
        return RP_OK;
    RP_TRY(read_value(g, c, &e, err));
    if (c->short_of)
        return RP_OK;
    if (g->key_count == g->key_capacity) {
        size_t capacity = RP_MAX(64, 2 * g->key_capacity);
        rp_gguf_entry *bigger = rp_grow(g->memory, g->entries, g->key_capacity, capacity, sizeof e, "GGUF keys", err);
        if (!bigger)
            return err->status;
        g->entries = bigger;
        g->key_capacity = capacity;
    }
    g->entries[g->key_count++] = e;
    return RP_OK;
}

static rp_status read_tensor(rp_gguf *g, cursor *c, rp_error *err) {
    if (g->tensor_count == g->tensor_total) {
        g->phase = PHASE_PADDING;
        return RP_OK;
    }
    rp_gguf_tensor t = {.shape = {1, 1, 1, 1}};
    uint64_t length = take_u64(c);
    if (!c->short_of && (length == 0 || length >= MAX_NAME))
        return rp_fail(err, RP_ERR_FORMAT, "name of tensor %llu has length %llu, want 1 to %d",
                       (unsigned long long)g->tensor_count, (unsigned long long)length, MAX_NAME - 1);
    size_t name = c->at;
    const uint8_t *letters = take(c, length);
    t.name = (rp_span){(const char *)(uintptr_t)name, (size_t)length};
    t.dims = take_u32(c);
    if (!c->short_of && (t.dims < 1 || t.dims > 4))
        return rp_fail(err, RP_ERR_FORMAT, "%.*s: has %u dimensions, want 1 to 4", (int)length, letters, t.dims);
    for (uint32_t i = 0; i < t.dims && !c->short_of; i++)
        t.shape[i] = take_u64(c);
    t.type = take_u32(c);
    t.offset = take_u64(c);
    if (c->short_of)
        return RP_OK;
    if (g->tensor_count == g->tensor_capacity) {
        size_t capacity = RP_MAX(64, 2 * g->tensor_capacity);
        rp_gguf_tensor *bigger =
            rp_grow(g->memory, g->tensors, g->tensor_capacity, capacity, sizeof t, "GGUF tensors", err);
        if (!bigger)
            return err->status;
        g->tensors = bigger;
        g->tensor_capacity = capacity;
    }
    g->tensors[g->tensor_count++] = t;
    return RP_OK;
}

/* ---- The whole header ---------------------------------------------------------------------------------- */

rp_status rp_gguf_feed(rp_gguf *g, const uint8_t *bytes, size_t size, size_t *used, bool *done, rp_error *err) {
    *used = 0;
    *done = false;
    while (*used < size) {
        size_t piece = RP_MIN(size - *used, PIECE);
        if (g->size + piece > MAX_HEADER)
            return rp_fail(err, RP_ERR_FORMAT, "header is longer than %llu bytes", (unsigned long long)MAX_HEADER);
        if (g->phase < PHASE_PADDING && g->capacity - g->size < piece) {
            size_t capacity = RP_MAX(PIECE, 2 * g->capacity);
            uint8_t *bigger = rp_grow(g->memory, g->bytes, g->capacity, capacity, 1, "GGUF header", err);
            if (!bigger)
                return err->status;
            g->bytes = bigger;
            g->capacity = capacity;
        }
        if (g->phase < PHASE_PADDING) {
            memcpy(g->bytes + g->size, bytes + *used, piece);
            g->size += piece;
            *used += piece;
        }
        for (bool more = true; more && g->phase < PHASE_PADDING;) {
            cursor c = {.g = g, .at = g->at};
            rp_gguf_phase now = g->phase;
            RP_TRY(now == PHASE_START  ? read_start(g, &c, err)
                   : now == PHASE_KEYS ? read_key(g, &c, err)
                                       : read_tensor(g, &c, err));
            more = !c.short_of;
            if (more)
                g->at = c.at;
            if (g->phase == PHASE_PADDING)
                RP_TRY(rp_gguf_settle_keys(g, err));
        }
        if (g->phase == PHASE_PADDING) { /* skip to the data, whose first bytes may be in the buffer already */
            if (g->size >= g->data_start) {
                *used -= (size_t)(g->size - g->data_start);
            } else {
                size_t skip = (size_t)RP_MIN(g->data_start - g->size, size - *used);
                g->size += skip;
                *used += skip;
            }
            if (g->size >= g->data_start) {
                g->phase = PHASE_DONE;
                *done = true;
                return rp_gguf_settle_tensors(g, err);
            }
        }
    }
    return RP_OK;
}
