/* A list of keys: see keys.h. Each entry owns its key and its value, so that replacing one moves no other. Values are
 * kept as a GGUF file stores them. A file has some 40 keys: look-ups walk the list. */
#include "keys.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_KEY = 0xffff, FIRST_KEYS = 64 }; /* the longest that gguf.c reads */

typedef struct entry {
    char *key; /* key_size bytes and a zero */
    size_t key_size;
    uint8_t *data;       /* owned; value.size bytes */
    rp_gguf_value value; /* points to data */
} entry;

struct rp_keys {
    rp_memory *memory;
    entry *entries;
    size_t count, capacity;
};

rp_status rp_keys_open(rp_keys **out, rp_memory *memory, rp_error *err) {
    rp_keys *keys = rp_alloc(memory, 1, sizeof *keys, "list of keys", err);
    if (!keys)
        return err->status;
    keys->memory = memory;
    *out = keys;
    return RP_OK;
}

static void release_entry(rp_keys *keys, entry *e) {
    rp_release(keys->memory, e->key, e->key_size + 1, 1);
    rp_release(keys->memory, e->data, e->value.size, 1);
}

void rp_keys_close(rp_keys *keys) {
    if (!keys)
        return;
    for (size_t i = 0; i < keys->count; i++)
        release_entry(keys, &keys->entries[i]);
    rp_memory *memory = keys->memory;
    rp_release(memory, keys->entries, keys->capacity, sizeof *keys->entries);
    rp_release(memory, keys, 1, sizeof *keys);
}

/* ---- Setting ------------------------------------------------------------------------------------------- */

static entry *find_entry(const rp_keys *keys, rp_span key) {
    for (size_t i = 0; i < keys->count; i++)
        if (keys->entries[i].key_size == key.size && memcmp(keys->entries[i].key, key.data, key.size) == 0)
            return &keys->entries[i];
    return NULL;
}

static entry *new_entry(rp_keys *keys, rp_span key, rp_error *err) {
    if (key.size == 0 || key.size > LONGEST_KEY) {
        rp_fail(err, RP_ERR_ARGUMENT, "metadata key has length %llu, want 1 to %d", (unsigned long long)key.size,
                LONGEST_KEY);
        return NULL;
    }
    if (keys->count == keys->capacity) {
        size_t capacity = RP_MAX(FIRST_KEYS, 2 * keys->capacity);
        entry *bigger =
            rp_grow(keys->memory, keys->entries, keys->capacity, capacity, sizeof *bigger, "list of keys", err);
        if (!bigger)
            return NULL;
        keys->entries = bigger;
        keys->capacity = capacity;
    }
    char *name = rp_alloc(keys->memory, key.size + 1, 1, "metadata key", err);
    if (!name)
        return NULL;
    memcpy(name, key.data, key.size);
    entry *e = &keys->entries[keys->count++];
    *e = (entry){.key = name, .key_size = key.size};
    return e;
}

static uint8_t *value_bytes(rp_keys *keys, uint64_t size, rp_error *err) {
    if (size <= SIZE_MAX / 2)
        return rp_alloc_raw(keys->memory, (size_t)size, 1, "metadata value", err);
    rp_fail(err, RP_ERR_MEMORY, "metadata value: %llu bytes are more than this machine can address",
            (unsigned long long)size);
    return NULL;
}

/* Gives `data`, of value.size bytes, to the key; releases it on failure. */
static rp_status place(rp_keys *keys, rp_span key, rp_gguf_value value, uint8_t *data, rp_error *err) {
    entry *e = find_entry(keys, key);
    if (e)
        rp_release(keys->memory, e->data, e->value.size, 1);
    else
        e = new_entry(keys, key, err);
    if (!e) {
        rp_release(keys->memory, data, value.size, 1);
        return err->status;
    }
    value.data = data;
    e->data = data;
    e->value = value;
    return RP_OK;
}

static rp_status set_span(rp_keys *keys, rp_span key, const rp_gguf_value *value, rp_error *err) {
    uint8_t *data = value_bytes(keys, value->size, err);
    if (!data)
        return err->status;
    if (value->size)
        memcpy(data, value->data, value->size);
    return place(keys, key, *value, data, err);
}

static rp_span span_of(const char *text) {
    return (rp_span){text, strlen(text)};
}

/* True when the bytes are just the values that they are said to be. */
static bool is_whole(const rp_gguf_value *v) {
    static const uint8_t widths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    uint64_t bytes;
    if (!v->is_array && v->count != 1)
        return false;
    if (v->type != RP_GGUF_STRING)
        return (size_t)v->type < sizeof widths && widths[v->type] && rp_mul(v->count, widths[v->type], &bytes) &&
               bytes == v->size;
    size_t at = 0;
    for (uint64_t i = 0; v->is_array && i < v->count; i++) {
        if (v->size - at < 8 || rp_load_u64(v->data + at) > v->size - at - 8)
            return false;
        at += 8 + (size_t)rp_load_u64(v->data + at);
    }
    return !v->is_array || at == v->size;
}

rp_status rp_keys_set(rp_keys *keys, const char *key, const rp_gguf_value *value, rp_error *err) {
    if (!is_whole(value))
        return rp_fail(err, RP_ERR_ARGUMENT, "%s: %llu bytes are not %llu values of type %d", key,
                       (unsigned long long)value->size, (unsigned long long)value->count, (int)value->type);
    return set_span(keys, span_of(key), value, err);
}

static void store_u32(uint8_t *p, uint32_t value) {
    rp_store_u16(p, (uint16_t)value);
    rp_store_u16(p + 2, (uint16_t)(value >> 16));
}

/* Values of 32 bits, as they lie in memory. */
static rp_status set_words(rp_keys *keys, const char *key, rp_gguf_type type, bool is_array, const void *words,
                           size_t count, rp_error *err) {
    uint64_t size;
    if (!rp_mul(count, 4, &size))
        size = UINT64_MAX; /* which value_bytes refuses */
    uint8_t *data = value_bytes(keys, size, err);
    if (!data)
        return err->status;
    for (size_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, (const uint8_t *)words + 4 * i, 4);
        store_u32(data + 4 * i, word);
    }
    rp_gguf_value value = {.type = type, .is_array = is_array, .count = count, .size = (size_t)size};
    return place(keys, span_of(key), value, data, err);
}

rp_status rp_keys_set_u32(rp_keys *keys, const char *key, uint32_t value, rp_error *err) {
    return set_words(keys, key, RP_GGUF_U32, false, &value, 1, err);
}

rp_status rp_keys_set_f32(rp_keys *keys, const char *key, float value, rp_error *err) {
    return set_words(keys, key, RP_GGUF_F32, false, &value, 1, err);
}

rp_status rp_keys_set_bool(rp_keys *keys, const char *key, bool value, rp_error *err) {
    uint8_t byte = value;
    return set_span(keys, span_of(key), &(rp_gguf_value){.type = RP_GGUF_BOOL, .count = 1, .data = &byte, .size = 1},
                    err);
}

rp_status rp_keys_set_string(rp_keys *keys, const char *key, const char *text, size_t size, rp_error *err) {
    rp_gguf_value value = {.type = RP_GGUF_STRING, .count = 1, .data = (const uint8_t *)text, .size = size};
    return set_span(keys, span_of(key), &value, err);
}

rp_status rp_keys_set_u32s(rp_keys *keys, const char *key, const uint32_t *values, size_t count, rp_error *err) {
    return set_words(keys, key, RP_GGUF_U32, true, values, count, err);
}

rp_status rp_keys_set_i32s(rp_keys *keys, const char *key, const int32_t *values, size_t count, rp_error *err) {
    return set_words(keys, key, RP_GGUF_I32, true, values, count, err);
}

rp_status rp_keys_set_f32s(rp_keys *keys, const char *key, const float *values, size_t count, rp_error *err) {
    return set_words(keys, key, RP_GGUF_F32, true, values, count, err);
}

rp_status rp_keys_set_strings(rp_keys *keys, const char *key, const rp_span *values, size_t count, rp_error *err) {
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++)
        if (!rp_add(size, 8, &size) || !rp_add(size, values[i].size, &size))
            size = UINT64_MAX; /* and every further sum fails as well */
    uint8_t *data = value_bytes(keys, size, err), *to = data;
    if (!data)
        return err->status;
    for (size_t i = 0; i < count; i++) {
        store_u32(to, (uint32_t)values[i].size);
        store_u32(to + 4, (uint32_t)((uint64_t)values[i].size >> 32));
        if (values[i].size)
            memcpy(to + 8, values[i].data, values[i].size);
        to += 8 + values[i].size;
    }
    rp_gguf_value value = {.type = RP_GGUF_STRING, .is_array = true, .count = count, .size = (size_t)size};
    return place(keys, span_of(key), value, data, err);
}

/* ---- Removing and looking up --------------------------------------------------------------------------- */

static void remove_entry(rp_keys *keys, entry *e) {
    release_entry(keys, e);
    size_t behind = keys->count - 1 - (size_t)(e - keys->entries);
    memmove(e, e + 1, behind * sizeof *e);
    keys->count--;
}

void rp_keys_remove(rp_keys *keys, const char *key) {
    entry *e = find_entry(keys, span_of(key));
    if (e)
        remove_entry(keys, e);
}

rp_status rp_keys_rename(rp_keys *keys, size_t index, const char *key, rp_error *err) {
    entry *e = &keys->entries[index];
    size_t size = strlen(key);
    char *name = rp_alloc(keys->memory, size + 1, 1, "metadata key", err);
    if (!name)
        return err->status;
    memcpy(name, key, size);
    rp_release(keys->memory, e->key, e->key_size + 1, 1);
    e->key = name;
    e->key_size = size;
    return RP_OK;
}

void rp_keys_remove_all(rp_keys *keys, const char *prefix) {
    rp_span start = span_of(prefix);
    for (size_t i = keys->count; i-- > 0;)
        if (keys->entries[i].key_size >= start.size && memcmp(keys->entries[i].key, start.data, start.size) == 0)
            remove_entry(keys, &keys->entries[i]);
}

bool rp_keys_find(const rp_keys *keys, const char *key, rp_gguf_value *value) {
    const entry *e = find_entry(keys, span_of(key));
    if (e)
        *value = e->value;
    return e;
}

size_t rp_keys_count(const rp_keys *keys) {
    return keys->count;
}

rp_span rp_keys_at(const rp_keys *keys, size_t index, rp_gguf_value *value) {
    const entry *e = &keys->entries[index];
    *value = e->value;
    return (rp_span){e->key, e->key_size};
}

/* ---- Copying ------------------------------------------------------------------------------------------- */

/* Keys point into the header: the order of their addresses is the order of the file. */
static int compare_places(const void *a, const void *b) {
    const char *x = ((const rp_span *)a)->data, *y = ((const rp_span *)b)->data;
    return (x > y) - (x < y);
}

static rp_status copy_key(rp_keys *keys, const rp_gguf *gguf, rp_span key, char *text, rp_error *err) {
    rp_gguf_value value;
    memcpy(text, key.data, key.size);
    text[key.size] = 0;
    if (!rp_gguf_find(gguf, text, &value))
        return rp_fail(err, RP_ERR_FORMAT, "metadata key %s holds a zero byte", text);
    return set_span(keys, key, &value, err);
}

static rp_status copy_keys(rp_keys *keys, const rp_gguf *gguf, rp_span *list, size_t count, char *text, rp_error *err) {
    for (size_t i = 0; i < count; i++)
        list[i] = rp_gguf_key_at(gguf, i);
    if (count)
        qsort(list, count, sizeof *list, compare_places);
    for (size_t i = 0; i < count; i++)
        RP_TRY(copy_key(keys, gguf, list[i], text, err));
    return RP_OK;
}

rp_status rp_keys_copy(rp_keys *keys, const rp_gguf *gguf, rp_error *err) {
    size_t count = rp_gguf_key_count(gguf);
    rp_span *list = rp_alloc(keys->memory, count, sizeof *list, "list of keys", err);
    char *text = rp_alloc(keys->memory, LONGEST_KEY + 1, 1, "metadata key", err);
    rp_status status = list && text ? copy_keys(keys, gguf, list, count, text, err) : err->status;
    rp_release(keys->memory, list, count, sizeof *list);
    rp_release(keys->memory, text, LONGEST_KEY + 1, 1);
    return status;
}
