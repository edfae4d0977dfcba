/* Headers of safetensors files: see safetensors.h. The JSON documents of the headers stay open and own the tensors' names. */
#include "safetensors.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"

/* 100 MB is the format's own limit on headers. */
enum { HEADER_MAX = 100000000, INDEX_MAX = 256 << 20, SHARDS_MAX = 1024 };

typedef struct shard {
    const char *name;
    int file; /* -1: not open */
    uint64_t size, data;
    rp_json_document *header;
} shard;

struct rp_safetensors {
    const rp_files *files;
    rp_memory *memory;
    rp_json_document *index; /* NULL: one file */
    shard *shards;
    size_t shard_count, shard_room;
    rp_safetensor *tensors;
    const rp_safetensor **by_name;
    size_t count, room;
};

static int shown(const char *name) { /* of a name in a message */
    return (int)RP_MIN(strlen(name), 90);
}

/* ---- Which files --------------------------------------------------------------------------------------- */

static rp_status no_weights(const rp_files *files, rp_error *err) {
    static const char *const pickles[] = {
        "pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin",
        "model.pt",          "consolidated.00.pth",          "consolidated.pth"};
    for (size_t i = 0; i < RP_COUNT(pickles); i++)
        if (rp_files_has(files, pickles[i]))
            return rp_fail(err, RP_ERR_UNSUPPORTED,
                           "%s: pickled weights can run code when they are read and are refused, want " SINGLE
                           " or " INDEX " with its shards",
                           pickles[i]);
    return rp_fail(err, RP_ERR_IO, "the input has neither " SINGLE " nor " INDEX);
}

/* The place of a shard in the list, put there if it is new; most entries name the shard of the entry before. */
static rp_status find_shard(rp_safetensors *s, const char *name, size_t last, size_t *found, rp_error *err) {
    if (last < s->shard_count && strcmp(s->shards[last].name, name) == 0) {
        *found = last;
        return RP_OK;
    }
    for (*found = 0; *found < s->shard_count; ++*found)
        if (strcmp(s->shards[*found].name, name) == 0)
            return RP_OK;
    if (s->shard_count == SHARDS_MAX)
        return rp_fail(err, RP_ERR_UNSUPPORTED, INDEX ": names more than %d files", SHARDS_MAX);
    if (s->shard_count == s->shard_room) {
        size_t room = RP_MAX(8, 2 * s->shard_room);
        shard *bigger = rp_grow(s->memory, s->shards, s->shard_room, room, sizeof *bigger, INDEX, err);
        if (!bigger)
            return err->status;
        s->shards = bigger;
        s->shard_room = room;
    }
    s->shards[s->shard_count++] = (shard){.name = name, .file = -1};
    return RP_OK;
}

/* A file beside the index: its name is somebody else's and leads nowhere else. */
static bool is_plain_name(const rp_json *value) {
    return value->kind == RP_JSON_STRING && value->size > 0 && value->string[0] != '.' &&
           !memchr(value->string, '/', value->size) && !memchr(value->string, '\\', value->size) &&
           !memchr(value->string, ':', value->size) && !memchr(value->string, 0, value->size);
}

static rp_status read_index(rp_safetensors *s, rp_error *err) {
    char *text = NULL;
    size_t size = 0, last = 0;
    RP_TRY(rp_files_read_all(s->files, s->memory, INDEX, INDEX_MAX, &text, &size, err));
    rp_status status = rp_json_read(&s->index, s->memory, INDEX, text, size, err);
    rp_release(s->memory, text, size + 1, 1);
    if (status != RP_OK)
        return status;
    const rp_json *map = rp_json_find(rp_json_root(s->index), "weight_map");
    if (!map || map->kind != RP_JSON_OBJECT || !map->child)
        return rp_fail(err, RP_ERR_FORMAT, INDEX ": want an object \"weight_map\" of tensors and their files");
    for (const rp_json *entry = map->child; entry; entry = entry->next) {
        if (!is_plain_name(entry))
            return rp_fail(err, RP_ERR_FORMAT, INDEX ": %.*s: want the name of a file beside the index",
                           shown(entry->name), entry->name);
        RP_TRY(find_shard(s, entry->string, last, &last, err));
    }
    return RP_OK;
}

static rp_status list_shards(rp_safetensors *s, rp_error *err) {
    size_t only = 0;
    if (rp_files_has(s->files, SINGLE))
        return find_shard(s, SINGLE, 0, &only, err);
    if (rp_files_has(s->files, INDEX))
        return read_index(s, err);
    return no_weights(s->files, err);
}

/* ---- Headers ------------------------------------------------------------------------------------------- */

static rp_status read_header(rp_safetensors *s, shard *shard, rp_error *err) {
    uint8_t head[8];
    shard->file = s->files->open(s->files->user, shard->name, &shard->size);
    if (shard->file < 0)
        return rp_fail(err, RP_ERR_IO, "%.*s: " INDEX " names it, and there is no such file", shown(shard->name),
                       shard->name);
    if (shard->size < sizeof head)
        return rp_fail(err, RP_ERR_FORMAT, "%.*s: has %llu bytes, want at least 8 of a safetensors header",
                       shown(shard->name), shard->name, (unsigned long long)shard->size);
    if (!s->files->read(s->files->user, shard->file, 0, head, sizeof head))
        return rp_fail(err, RP_ERR_IO, "%.*s: cannot be read", shown(shard->name), shard->name);
    uint64_t size = rp_load_u64(head);
    if (size > HEADER_MAX || size > shard->size - sizeof head)
        return rp_fail(err, RP_ERR_FORMAT, "%.*s: a header of %llu bytes, want at most %llu: is it a safetensors file?",
                       shown(shard->name), shard->name, (unsigned long long)size,
                       (unsigned long long)RP_MIN(HEADER_MAX, shard->size - sizeof head));
    shard->data = sizeof head + size;
    char *text = rp_alloc_raw(s->memory, (size_t)size, 1, shard->name, err);
    if (!text)
        return err->status;
    rp_status status = s->files->read(s->files->user, shard->file, sizeof head, text, (size_t)size)
                           ? rp_json_read(&shard->header, s->memory, shard->name, text, (size_t)size, err)
                           : rp_fail(err, RP_ERR_IO, "%.*s: cannot be read", shown(shard->name), shard->name);
    rp_release(s->memory, text, (size_t)size, 1);
    if (status == RP_OK && rp_json_root(shard->header)->kind != RP_JSON_OBJECT)
        return rp_fail(err, RP_ERR_FORMAT, "%.*s: want an object of tensors as its header", shown(shard->name),
                       shard->name);
    return status;
}

static rp_status read_type(const rp_json *entry, rp_type *type, rp_error *err) {
    const rp_json *dtype = rp_json_find(entry, "dtype");
    if (!dtype || dtype->kind != RP_JSON_STRING)
        return rp_fail(err, RP_ERR_FORMAT, "%.*s: want a \"dtype\" such as \"F16\"", shown(entry->name), entry->name);
    if (rp_json_is(dtype, "F32"))
        *type = RP_F32;
    else if (rp_json_is(dtype, "F16"))
        *type = RP_F16;
    else if (rp_json_is(dtype, "BF16"))
        *type = RP_BF16;
    else
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%.*s: has dtype %.20s, want F32, F16 or BF16", shown(entry->name),
                       entry->name, dtype->string);
    return RP_OK;
}

/* Shape and bytes. A scalar is a vector of one. */
static rp_status read_shape(const rp_json *entry, rp_safetensor *tensor, rp_error *err) {
    const rp_json *shape = rp_json_find(entry, "shape");
    uint64_t bytes = tensor->type == RP_F32 ? 4 : 2;
    if (!shape || shape->kind != RP_JSON_ARRAY)
        return rp_fail(err, RP_ERR_FORMAT, "%.*s: want a \"shape\"", shown(entry->name), entry->name);
    if (shape->size > RP_COUNT(tensor->shape))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%.*s: has %llu dimensions, want at most 8", shown(entry->name),
                       entry->name, (unsigned long long)shape->size);
    tensor->dims = 1;
    tensor->shape[0] = 1;
    uint32_t dims = 0;
    for (const rp_json *length = shape->child; length; length = length->next) {
        if (!length->whole || length->integer < 1 || !rp_mul(bytes, (uint64_t)length->integer, &bytes))
            return rp_fail(err, RP_ERR_FORMAT,
                           "%.*s: dimension %u is %g, want a number from 1 on and fewer than 2^64 bytes in all",
                           shown(entry->name), entry->name, dims, length->number);
        tensor->shape[dims++] = (uint64_t)length->integer;
        tensor->dims = dims;
    }
    tensor->bytes = bytes;
    return RP_OK;
}

static rp_status read_place(const shard *shard, const rp_json *entry, rp_safetensor *tensor, rp_error *err) {
    const rp_json *offsets = rp_json_find(entry, "data_offsets");
    const rp_json *begin = offsets && offsets->kind == RP_JSON_ARRAY && offsets->size == 2 ? offsets->child : NULL;
    if (!begin || !begin->whole || !begin->next->whole || begin->integer < 0 || begin->next->integer < begin->integer)
        return rp_fail(err, RP_ERR_FORMAT, "%.*s: want \"data_offsets\" of a begin and an end", shown(entry->name),
                       entry->name);
    uint64_t first = (uint64_t)begin->integer, end = (uint64_t)begin->next->integer;
    if (end > shard->size - shard->data)
        return rp_fail(err, RP_ERR_FORMAT, "%.*s: ends at byte %llu of the data, and %.*s has %llu", shown(entry->name),
                       entry->name, (unsigned long long)end, shown(shard->name), shard->name,
                       (unsigned long long)(shard->size - shard->data));
    if (end - first != tensor->bytes)
        return rp_fail(err, RP_ERR_FORMAT, "%.*s: has %llu bytes, want %llu for its shape and dtype",
                       shown(entry->name), entry->name, (unsigned long long)(end - first),
                       (unsigned long long)tensor->bytes);
    tensor->offset = shard->data + first;
    return RP_OK;
}

static rp_status add_tensor(rp_safetensors *s, const shard *shard, const rp_json *entry, rp_error *err) {
    if (s->count == s->room) {
        size_t room = RP_MAX(256, 2 * s->room);
        rp_safetensor *bigger = rp_grow(s->memory, s->tensors, s->room, room, sizeof *bigger, "tensors", err);
        if (!bigger)
            return err->status;
        s->tensors = bigger;
        s->room = room;
    }
    rp_safetensor *tensor = &s->tensors[s->count];
    *tensor = (rp_safetensor){.name = entry->name, .file = shard->file};
    if (entry->name_size == 0 || memchr(entry->name, 0, entry->name_size))
        return rp_fail(err, RP_ERR_FORMAT, "%.*s: a tensor's name is empty or holds a zero byte", shown(shard->name),
                       shard->name);
    RP_TRY(read_type(entry, &tensor->type, err));
    RP_TRY(read_shape(entry, tensor, err));
    RP_TRY(read_place(shard, entry, tensor, err));
    s->count++;
    return RP_OK;
}

static int compare_offsets(const void *a, const void *b) {
    uint64_t x = ((const rp_safetensor *)a)->offset, y = ((const rp_safetensor *)b)->offset;
    return (x > y) - (x < y);
}

static rp_status read_shard(rp_safetensors *s, shard *shard, rp_error *err) {
    size_t first = s->count;
    RP_TRY(read_header(s, shard, err));
    for (const rp_json *entry = rp_json_root(shard->header)->child; entry; entry = entry->next)
        if (strcmp(entry->name, "__metadata__") != 0)
            RP_TRY(add_tensor(s, shard, entry, err));
    if (s->count > first)
        qsort(s->tensors + first, s->count - first, sizeof *s->tensors, compare_offsets);
    for (size_t i = first + 1; i < s->count; i++) {
        const rp_safetensor *before = &s->tensors[i - 1], *tensor = &s->tensors[i];
        if (tensor->offset < before->offset + before->bytes)
            return rp_fail(err, RP_ERR_FORMAT, "%.*s: lies on %.*s, want tensors that do not overlap",
                           shown(tensor->name), tensor->name, shown(before->name), before->name);
    }
    return RP_OK;
}

/* ---- All of them --------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const rp_safetensor *const *)a)->name, (*(const rp_safetensor *const *)b)->name);
}

static rp_status sort_names(rp_safetensors *s, rp_error *err) {
    if (s->count == 0)
        return rp_fail(err, RP_ERR_FORMAT, "%.*s: holds no tensors", shown(s->shards[0].name), s->shards[0].name);
    s->by_name = rp_alloc(s->memory, s->count, sizeof *s->by_name, "names of tensors", err);
    if (!s->by_name)
        return err->status;
    for (size_t i = 0; i < s->count; i++)
        s->by_name[i] = &s->tensors[i];
    qsort(s->by_name, s->count, sizeof *s->by_name, compare_names);
    for (size_t i = 1; i < s->count; i++)
        if (compare_names(&s->by_name[i - 1], &s->by_name[i]) == 0)
            return rp_fail(err, RP_ERR_FORMAT, "%.*s: two tensors have this name", shown(s->by_name[i]->name),
                           s->by_name[i]->name);
    return RP_OK;
}

static const char *name_of(const rp_safetensors *s, int file) {
    for (size_t i = 0; i < s->shard_count; i++)
        if (s->shards[i].file == file)
            return s->shards[i].name;
    return "";
}

/* Each tensor is in the shard that the index names for it, and the index names each. */
static rp_status check_index(const rp_safetensors *s, rp_error *err) {
    const rp_json *map = rp_json_find(rp_json_root(s->index), "weight_map");
    for (const rp_json *entry = map->child; entry; entry = entry->next) {
        const rp_safetensor *tensor = rp_safetensors_find(s, entry->name);
        if (!tensor || strcmp(name_of(s, tensor->file), entry->string) != 0 || entry->name_size != strlen(entry->name))
            return rp_fail(err, RP_ERR_FORMAT, "%.*s: " INDEX " names it in %.*s, and it is not there",
                           shown(entry->name), entry->name, shown(entry->string), entry->string);
    }
    if (map->size != s->count)
        return rp_fail(err, RP_ERR_FORMAT, INDEX ": names %llu tensors, want the %llu that its files hold",
                       (unsigned long long)map->size, (unsigned long long)s->count);
    return RP_OK;
}

static rp_status open_all(rp_safetensors *s, rp_error *err) {
    RP_TRY(list_shards(s, err));
    for (size_t i = 0; i < s->shard_count; i++)
        RP_TRY(read_shard(s, &s->shards[i], err));
    RP_TRY(sort_names(s, err));
    return s->index ? check_index(s, err) : RP_OK;
}

rp_status rp_safetensors_open(rp_safetensors **out, const rp_files *files, rp_memory *memory, rp_error *err) {
    *out = NULL;
    rp_safetensors *s = rp_alloc(memory, 1, sizeof *s, "safetensors", err);
    if (!s)
        return err->status;
    s->files = files;
    s->memory = memory;
    rp_status status = open_all(s, err);
    if (status != RP_OK) {
        rp_safetensors_close(s);
        return status;
    }
    *out = s;
    return RP_OK;
}

void rp_safetensors_close(rp_safetensors *s) {
    if (!s)
        return;
    rp_memory *memory = s->memory;
    for (size_t i = 0; i < s->shard_count; i++) {
        if (s->shards[i].file >= 0)
            s->files->close(s->files->user, s->shards[i].file);
        rp_json_close(s->shards[i].header);
    }
    rp_json_close(s->index);
    rp_release(memory, s->shards, s->shard_room, sizeof *s->shards);
    rp_release(memory, s->by_name, s->count, sizeof *s->by_name);
    rp_release(memory, s->tensors, s->room, sizeof *s->tensors);
    rp_release(memory, s, 1, sizeof *s);
}

size_t rp_safetensors_count(const rp_safetensors *s) {
    return s->count;
}

const rp_safetensor *rp_safetensors_at(const rp_safetensors *s, size_t index) {
    return &s->tensors[index];
}

const rp_safetensor *rp_safetensors_find(const rp_safetensors *s, const char *name) {
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(s->by_name[middle]->name, name);
        if (order == 0)
            return s->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
