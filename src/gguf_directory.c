/* The directory of a whole GGUF header: checks that need all of it, and look-ups. */
#include "gguf_internal.h"
#include "quant.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_ALIGNMENT = 32 };

static int compare_spans(rp_span a, rp_span b) {
    int order = memcmp(a.data, b.data, RP_MIN(a.size, b.size));
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_keys(const void *a, const void *b) {
    return compare_spans(((const rp_gguf_entry *)a)->name, ((const rp_gguf_entry *)b)->name);
}

static int compare_offsets(const void *a, const void *b) {
    uint64_t x = ((const rp_gguf_tensor *)a)->offset, y = ((const rp_gguf_tensor *)b)->offset;
    return (x > y) - (x < y);
}

static int compare_names(const void *a, const void *b) {
    return compare_spans((*(const rp_gguf_tensor *const *)a)->name, (*(const rp_gguf_tensor *const *)b)->name);
}

/* Offsets become pointers, and keys are sorted for rp_gguf_find. */
static rp_status settle_keys(rp_gguf *g, rp_error *err) {
    const char *base = (const char *)g->bytes;
    for (size_t i = 0; i < g->key_count; i++) {
        rp_gguf_entry *e = &g->entries[i];
        e->name = (rp_span){base + e->key, e->key_size};
        e->value.data = g->bytes + e->data;
    }
    if (g->key_count)
        qsort(g->entries, g->key_count, sizeof *g->entries, compare_keys);
    for (size_t i = 1; i < g->key_count; i++)
        if (compare_keys(&g->entries[i - 1], &g->entries[i]) == 0)
            return rp_fail(err, RP_ERR_FORMAT, "metadata key %.*s stands twice",
                           (int)RP_MIN(g->entries[i].name.size, 99), g->entries[i].name.data);
    return RP_OK;
}

rp_status rp_gguf_settle_keys(rp_gguf *g, rp_error *err) {
    RP_TRY(settle_keys(g, err));
    uint32_t alignment = DEFAULT_ALIGNMENT;
    RP_TRY(rp_gguf_u32(g, "general.alignment", &alignment, err));
    if (alignment == 0 || alignment > 1 << 20 || (alignment & (alignment - 1)))
        return rp_fail(err, RP_ERR_FORMAT, "general.alignment is %u, want a power of two up to 1048576", alignment);
    g->alignment = alignment;
    g->data_start = g->tensor_total ? rp_round_up(g->at, alignment) : g->at; /* padding pads to tensors */
    return RP_OK;
}

/* A tensor's bytes, from its type and shape. */
static rp_status size_tensor(rp_gguf_tensor *t, rp_error *err) {
    int length = (int)t->name.size;
    const char *name = t->name.data;
    rp_type type;
    if (!rp_type_from_ggml(t->type, &type))
        return rp_fail(err, RP_ERR_UNSUPPORTED,
                       "%.*s: tensor type %u is not supported, want F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, "
                       "Q2_K to Q6_K, IQ4_NL or IQ4_XS",
                       length, name, t->type);
    uint64_t values = 1;
    for (uint32_t i = 0; i < 4; i++)
        if (t->shape[i] == 0 || t->shape[i] > INT32_MAX || !rp_mul(values, t->shape[i], &values) ||
            values > UINT64_C(1) << 40)
            return rp_fail(err, RP_ERR_FORMAT,
                           "%.*s: dimension %u is %llu, want 1 to 2147483647 and 2^40 values in all", length, name, i,
                           (unsigned long long)t->shape[i]);
    if (t->shape[0] % rp_type_traits[type].columns)
        return rp_fail(err, RP_ERR_FORMAT, "%.*s: %llu columns, want a multiple of %u for %s", length, name,
                       (unsigned long long)t->shape[0], rp_type_traits[type].columns, rp_type_traits[type].name);
    t->bytes = rp_row_file_bytes(type, t->shape[0]) * (values / t->shape[0]);
    return RP_OK;
}

/* Tensors in order of offset: aligned, not one on another, and all of them addressable. */
static rp_status check_places(rp_gguf *g, rp_error *err) {
    for (size_t i = 0; i < g->tensor_count; i++) {
        const rp_gguf_tensor *t = &g->tensors[i];
        if (t->offset % g->alignment)
            return rp_fail(err, RP_ERR_FORMAT, "%.*s: offset %llu is no multiple of the alignment %llu",
                           (int)t->name.size, t->name.data, (unsigned long long)t->offset,
                           (unsigned long long)g->alignment);
        if (t->offset < g->data_bytes)
            return rp_fail(err, RP_ERR_FORMAT, "%.*s: starts at %llu, inside the tensor before it, which ends at %llu",
                           (int)t->name.size, t->name.data, (unsigned long long)t->offset,
                           (unsigned long long)g->data_bytes);
        if (!rp_add(t->offset, t->bytes, &g->data_bytes) || g->data_bytes > UINT64_C(1) << 48)
            return rp_fail(err, RP_ERR_FORMAT, "%.*s: offset %llu is beyond any file", (int)t->name.size, t->name.data,
                           (unsigned long long)t->offset);
    }
    return RP_OK;
}

rp_status rp_gguf_settle_tensors(rp_gguf *g, rp_error *err) {
    g->by_name = rp_alloc(g->memory, g->tensor_count, sizeof *g->by_name, "GGUF tensor names", err);
    if (!g->by_name)
        return err->status;
    for (size_t i = 0; i < g->tensor_count; i++)
        g->tensors[i].name.data = (const char *)g->bytes + (uintptr_t)g->tensors[i].name.data;
    for (size_t i = 0; i < g->tensor_count; i++)
        RP_TRY(size_tensor(&g->tensors[i], err));
    if (g->tensor_count)
        qsort(g->tensors, g->tensor_count, sizeof *g->tensors, compare_offsets);
    for (size_t i = 0; i < g->tensor_count; i++)
        g->by_name[i] = &g->tensors[i];
    if (g->tensor_count)
        qsort(g->by_name, g->tensor_count, sizeof *g->by_name, compare_names);
    for (size_t i = 1; i < g->tensor_count; i++)
        if (compare_names(&g->by_name[i - 1], &g->by_name[i]) == 0)
            return rp_fail(err, RP_ERR_FORMAT, "%.*s: two tensors have this name", (int)g->by_name[i]->name.size,
                           g->by_name[i]->name.data);
    return check_places(g, err);
}

/* ---- Look-ups ------------------------------------------------------------------------------------------ */

uint64_t rp_gguf_header_bytes(const rp_gguf *g) {
    return g->data_start;
}

uint64_t rp_gguf_data_bytes(const rp_gguf *g) {
    return g->data_bytes;
}

size_t rp_gguf_tensor_count(const rp_gguf *g) {
    return g->tensor_count;
}

const rp_gguf_tensor *rp_gguf_tensor_at(const rp_gguf *g, size_t index) {
    return &g->tensors[index];
}

const rp_gguf_tensor *rp_gguf_tensor_find(const rp_gguf *g, const char *name) {
    size_t low = 0, high = g->tensor_count;
    rp_span wanted = {name, strlen(name)};
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_spans(g->by_name[middle]->name, wanted);
        if (order == 0)
            return g->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool rp_gguf_find(const rp_gguf *g, const char *key, rp_gguf_value *value) {
    size_t low = 0, high = g->key_count;
    rp_span wanted = {key, strlen(key)};
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_spans(g->entries[middle].name, wanted);
        if (order == 0) {
            *value = g->entries[middle].value;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

size_t rp_gguf_key_count(const rp_gguf *g) {
    return g->key_count;
}

rp_span rp_gguf_key_at(const rp_gguf *g, size_t index) {
    return g->entries[index].name;
}

/* ---- Typed reads --------------------------------------------------------------------------------------- */

static bool is_integer(rp_gguf_type type) {
    return type <= RP_GGUF_I32 || type == RP_GGUF_U64 || type == RP_GGUF_I64;
}

int64_t rp_gguf_int_at(const rp_gguf_value *v, uint64_t index) {
    const uint8_t *p = v->data;
    switch (v->type) {
    case RP_GGUF_U8: return p[index];
    case RP_GGUF_I8: return (int8_t)p[index];
    case RP_GGUF_U16: return rp_load_u16(p + 2 * index);
    case RP_GGUF_I16: return (int16_t)rp_load_u16(p + 2 * index);
    case RP_GGUF_U32: return rp_load_u32(p + 4 * index);
    case RP_GGUF_I32: return (int32_t)rp_load_u32(p + 4 * index);
    case RP_GGUF_U64:
    case RP_GGUF_I64: return (int64_t)rp_load_u64(p + 8 * index);
    default: return 0;
    }
}

float rp_gguf_f32_at(const rp_gguf_value *v, uint64_t index) {
    uint32_t bits = rp_load_u32(v->data + 4 * index);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

rp_status rp_gguf_u32(const rp_gguf *g, const char *key, uint32_t *out, rp_error *err) {
    rp_gguf_value v;
    if (!rp_gguf_find(g, key, &v))
        return RP_OK;
    if (v.is_array || !is_integer(v.type))
        return rp_fail(err, RP_ERR_FORMAT, "%s: value of type %d%s, want one integer", key, (int)v.type,
                       v.is_array ? " array" : "");
    int64_t value = rp_gguf_int_at(&v, 0);
    if (value < 0 || value > UINT32_MAX)
        return rp_fail(err, RP_ERR_FORMAT, "%s is %lld, want 0 to 4294967295", key, (long long)value);
    *out = (uint32_t)value;
    return RP_OK;
}

rp_status rp_gguf_f32(const rp_gguf *g, const char *key, float *out, rp_error *err) {
    rp_gguf_value v;
    if (!rp_gguf_find(g, key, &v))
        return RP_OK;
    if (v.is_array || v.type != RP_GGUF_F32)
        return rp_fail(err, RP_ERR_FORMAT, "%s: value of type %d%s, want one float32", key, (int)v.type,
                       v.is_array ? " array" : "");
    float value = rp_gguf_f32_at(&v, 0);
    if (!(value > -1e30f && value < 1e30f))
        return rp_fail(err, RP_ERR_FORMAT, "%s is not a finite number", key);
    *out = value;
    return RP_OK;
}

rp_status rp_gguf_bool(const rp_gguf *g, const char *key, bool *out, rp_error *err) {
    rp_gguf_value v;
    if (!rp_gguf_find(g, key, &v))
        return RP_OK;
    if (v.is_array || v.type != RP_GGUF_BOOL)
        return rp_fail(err, RP_ERR_FORMAT, "%s: value of type %d%s, want one bool", key, (int)v.type,
                       v.is_array ? " array" : "");
    *out = v.data[0] != 0;
    return RP_OK;
}

rp_status rp_gguf_string(const rp_gguf *g, const char *key, rp_span *out, rp_error *err) {
    rp_gguf_value v;
    if (!rp_gguf_find(g, key, &v))
        return RP_OK;
    if (v.is_array || v.type != RP_GGUF_STRING)
        return rp_fail(err, RP_ERR_FORMAT, "%s: value of type %d%s, want one string", key, (int)v.type,
                       v.is_array ? " array" : "");
    *out = (rp_span){(const char *)v.data, v.size};
    return RP_OK;
}

rp_span rp_gguf_next_string(const rp_gguf_value *array, size_t *cursor) {
    size_t size = (size_t)rp_load_u64(array->data + *cursor);
    rp_span span = {(const char *)array->data + *cursor + 8, size};
    *cursor += 8 + size;
    return span;
}
