/* libFuzzer target for what the converter reads from strangers. The first byte says what the rest is: JSON, a safetensors file, an
 * index with its shard, a vocabulary's file, or a tokenizer.json with a tokenizer_config.json behind a zero byte. Checked: a named
 * error in one line or a result that can be read to its end, handles closed, all memory given back. */
#include "convert/json.h"
#include "convert/safetensors.h"
#include "convert/vocabulary.h"

#include "../c/memory_folder.h"

enum { VOCAB = 300, KINDS = 5 };

static void check_status(rp_status status, const rp_error *err) {
    if (status == RP_OK)
        return;
    if (err->status != status || !err->message[0] || !memchr(err->message, 0, sizeof err->message))
        abort();
}

static size_t count_values(const rp_json *value) {
    size_t count = 1, children = 0;
    for (const rp_json *child = value->child; child; child = child->next, children++)
        count += count_values(child);
    if (value->kind >= RP_JSON_ARRAY && children != value->size)
        abort();
    if (value->kind == RP_JSON_STRING && value->string[value->size])
        abort();
    return count;
}

static void use_json(rp_memory *memory, const char *text, size_t size) {
    rp_json_document *document = NULL;
    rp_error err;
    rp_status status = rp_json_read(&document, memory, "fuzz.json", text, size, &err);
    check_status(status, &err);
    if (status == RP_OK && count_values(rp_json_root(document)) > size)
        abort();
    rp_json_close(document);
}

static void use_safetensors(rp_memory *memory, memory_folder *folder) {
    rp_safetensors *tensors = NULL;
    rp_error err;
    rp_files files = memory_folder_files(folder);
    rp_status status = rp_safetensors_open(&tensors, &files, memory, &err);
    check_status(status, &err);
    for (size_t i = 0; status == RP_OK && i < rp_safetensors_count(tensors); i++) {
        const rp_safetensor *t = rp_safetensors_at(tensors, i);
        uint64_t size = folder->files[t->file].size;
        if (rp_safetensors_find(tensors, t->name) != t || t->offset > size || t->bytes > size - t->offset)
            abort();
    }
    rp_safetensors_close(tensors);
}

/* Strings of all keys are read, which the sanitizer watches. */
static void use_keys(const rp_keys *keys) {
    for (size_t i = 0; i < rp_keys_count(keys); i++) {
        rp_gguf_value value;
        size_t cursor = 0;
        rp_keys_at(keys, i, &value);
        for (uint64_t j = 0; value.is_array && value.type == RP_GGUF_STRING && j < value.count; j++) {
            rp_span text = rp_gguf_next_string(&value, &cursor);
            if (rp_hash_bytes(RP_HASH_START, text.data, text.size) == 0)
                abort();
        }
    }
}

static void use_vocabulary(rp_memory *memory, memory_folder *folder, const char *bytes, size_t size) {
    rp_keys *keys = NULL;
    rp_error err;
    rp_files files = memory_folder_files(folder);
    if (rp_keys_open(&keys, memory, &err) != RP_OK)
        abort();
    rp_status status = folder->count ? rp_vocabulary_from_folder(keys, &files, memory, VOCAB, &err)
                                     : rp_vocabulary_from_file(keys, memory, "fuzz", bytes, size, VOCAB, &err);
    check_status(status, &err);
    if (status == RP_OK)
        use_keys(keys);
    rp_keys_close(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    rp_memory memory;
    memory_folder folder = {0};
    const char *bytes = (const char *)data + 1;
    const char *zero = --size ? memchr(bytes, 0, size) : NULL;
    size_t first = zero ? (size_t)(zero - bytes) : size, second = zero ? size - first - 1 : 0;
    rp_memory_init(&memory, &(rp_host){0});
    switch (data[0] % KINDS) {
    case 0: use_json(&memory, bytes, size); break;
    case 1:
        memory_folder_put(&folder, "model.safetensors", bytes, size);
        use_safetensors(&memory, &folder);
        break;
    case 2:
        memory_folder_put(&folder, "model.safetensors.index.json", bytes, first);
        memory_folder_put(&folder, "a.safetensors", bytes + size - second, second);
        use_safetensors(&memory, &folder);
        break;
    case 3: use_vocabulary(&memory, &folder, bytes, size); break;
    default:
        memory_folder_put(&folder, "tokenizer.json", bytes, first);
        memory_folder_put(&folder, "tokenizer_config.json", zero ? zero + 1 : "{}", zero ? second : 2);
        use_vocabulary(&memory, &folder, NULL, 0);
        break;
    }
    if (folder.open || memory.bytes_now)
        abort();
    return 0;
}
