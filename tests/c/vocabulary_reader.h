/* What converted vocabularies are looked at with: keys as text, and the tokenizer that reads them. Include it behind test.h, from one
 * file of a program only. */
#ifndef VOCABULARY_READER_H
#define VOCABULARY_READER_H

#include "convert/vocabulary.h"
#include "tokenizer.h"

#include "memory_folder.h"

enum { READER_TEXT = 8192 };

static struct {
    rp_memory memory;
    failing_host host;
    rp_error err;
    rp_keys *keys;
    memory_folder folder;
    char shown[READER_TEXT];
    size_t shown_size;
    uint8_t *file; /* the keys as a GGUF */
    size_t file_size, file_room;
    rp_gguf *gguf;
    rp_tokenizer *tokenizer;
} reader;

static inline void reader_start(void) {
    uint64_t fail_at = reader.host.fail_at;
    memset(&reader, 0, sizeof reader);
    reader.host.fail_at = fail_at;
    failing_memory(&reader.memory, &reader.host);
}

static inline void reader_end(void) {
    rp_tokenizer_close(reader.tokenizer);
    rp_gguf_close(reader.gguf);
    rp_keys_close(reader.keys);
    free(reader.file);
    reader.tokenizer = NULL;
    reader.gguf = NULL;
    reader.keys = NULL;
    reader.file = NULL;
    CHECK_INT(reader.folder.open, 0);
    CHECK_INT((int64_t)reader.memory.bytes_now, 0);
}

/* The bytes are copied into a block of their very size: reading beyond it is what the sanitizer sees. */
static inline rp_status reader_convert(const char *name, const void *bytes, size_t size, uint32_t vocab) {
    rp_status status = rp_keys_open(&reader.keys, &reader.memory, &reader.err);
    if (status != RP_OK) {
        reader.keys = NULL;
        return status;
    }
    char *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    status = rp_vocabulary_from_file(reader.keys, &reader.memory, name, copy, size, vocab, &reader.err);
    free(copy);
    CHECK(status == RP_OK || reader.err.status == status);
    return status;
}

static inline rp_status reader_convert_folder(uint32_t vocab) {
    rp_files files = memory_folder_files(&reader.folder);
    rp_status status = rp_keys_open(&reader.keys, &reader.memory, &reader.err);
    if (status != RP_OK) {
        reader.keys = NULL;
        return status;
    }
    status = rp_vocabulary_from_folder(reader.keys, &files, &reader.memory, vocab, &reader.err);
    CHECK(status == RP_OK || reader.err.status == status);
    return status;
}

static inline void reader_show(const void *bytes, size_t size) {
    if (size >= sizeof reader.shown - reader.shown_size)
        return;
    memcpy(reader.shown + reader.shown_size, bytes, size);
    reader.shown_size += size;
    reader.shown[reader.shown_size] = 0;
}

static inline void reader_show_value(const rp_gguf_value *value, uint64_t index, size_t *cursor) {
    char number[40];
    if (value->type == RP_GGUF_STRING) {
        rp_span text =
            value->is_array ? rp_gguf_next_string(value, cursor) : (rp_span){(char *)value->data, value->size};
        reader_show(text.data, text.size);
        return;
    }
    if (value->type == RP_GGUF_F32)
        snprintf(number, sizeof number, "%g", (double)rp_gguf_f32_at(value, index));
    else if (value->type == RP_GGUF_BOOL)
        snprintf(number, sizeof number, "%s", value->data[index] ? "true" : "false");
    else
        snprintf(number, sizeof number, "%" PRId64, rp_gguf_int_at(value, index));
    reader_show(number, strlen(number));
}

/* A value of the vocabulary's as text, entries with bars between them; "-": there is none. */
static inline const char *reader_key(const char *name) {
    char key[128];
    rp_gguf_value value;
    size_t cursor = 0;
    snprintf(key, sizeof key, "tokenizer.%s", name);
    reader.shown_size = 0;
    reader.shown[0] = 0;
    if (!reader.keys || !rp_keys_find(reader.keys, key, &value))
        return "-";
    for (uint64_t i = 0; i < value.count; i++) {
        if (i)
            reader_show("|", 1);
        reader_show_value(&value, i, &cursor);
    }
    return reader.shown;
}

static inline void reader_append(const void *bytes, size_t size) {
    if (size > reader.file_room - reader.file_size) {
        reader.file_room = 2 * (reader.file_size + size);
        reader.file = realloc(reader.file, reader.file_room);
        if (!reader.file)
            abort();
    }
    memcpy(reader.file + reader.file_size, bytes, size);
    reader.file_size += size;
}

static inline void reader_append_number(uint64_t value, size_t size) {
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    reader_append(bytes, size);
}

/* The keys as a GGUF without tensors. */
static inline void reader_write(void) {
    reader.file_size = 0;
    reader_append("GGUF", 4);
    reader_append_number(3, 4);
    reader_append_number(0, 8);
    reader_append_number(rp_keys_count(reader.keys), 8);
    for (size_t i = 0; i < rp_keys_count(reader.keys); i++) {
        rp_gguf_value value;
        rp_span name = rp_keys_at(reader.keys, i, &value);
        reader_append_number(name.size, 8);
        reader_append(name.data, name.size);
        reader_append_number(value.is_array ? RP_GGUF_ARRAY : value.type, 4);
        if (value.is_array)
            reader_append_number(value.type, 4);
        if (value.is_array || value.type == RP_GGUF_STRING)
            reader_append_number(value.is_array ? value.count : value.size, 8);
        reader_append(value.data, value.size);
    }
}

/* Opens the tokenizer that the keys describe. */
static inline rp_status reader_open(void) {
    size_t used = 0;
    bool done = false;
    reader_write();
    RP_TRY(rp_gguf_open(&reader.gguf, &reader.memory, &reader.err));
    RP_TRY(rp_gguf_feed(reader.gguf, reader.file, reader.file_size, &used, &done, &reader.err));
    CHECK(done);
    return rp_tokenizer_open(&reader.tokenizer, reader.gguf, &reader.memory, &reader.err);
}

/* Ids of a text, with bars between them. */
static inline const char *reader_ids(const char *text, size_t size, unsigned flags) {
    static int32_t ids[READER_TEXT / 4];
    size_t count = 0;
    char number[16];
    reader.shown_size = 0;
    reader.shown[0] = 0;
    if (!reader.tokenizer ||
        rp_tokenizer_encode(reader.tokenizer, text, size, flags, ids, RP_COUNT(ids), &count, &reader.err) != RP_OK)
        return "?";
    for (size_t i = 0; i < count && i < RP_COUNT(ids); i++) {
        snprintf(number, sizeof number, i ? "|%d" : "%d", (int)ids[i]);
        reader_show(number, strlen(number));
    }
    return reader.shown;
}

static inline const char *reader_text_ids(const char *text, unsigned flags) {
    return reader_ids(text, strlen(text), flags);
}

static inline void reader_check_message(const char *want) {
    if (!strstr(reader.err.message, want))
        CHECK_TEXT(reader.err.message, want);
}

#endif
