/* The list of tensors of a draft: see draft.h. */
#include "draft.h"

#include "safetensors.h"

#include <string.h>

enum { FIRST_TENSORS = 64 };

rp_status rp_draft_open(rp_draft *draft, const rp_files *files, rp_memory *memory, rp_error *err) {
    *draft = (rp_draft){.memory = memory, .files = files};
    return rp_keys_open(&draft->keys, memory, err);
}

void rp_draft_close(rp_draft *draft) {
    rp_keys_close(draft->keys);
    rp_safetensors_close(draft->input);
    if (draft->memory) {
        rp_release(draft->memory, draft->tensors, draft->capacity, sizeof *draft->tensors);
        rp_release(draft->memory, draft->computed, draft->computed_count, sizeof *draft->computed);
    }
    *draft = (rp_draft){0};
}

rp_draft_tensor *rp_draft_add(rp_draft *draft, const char *name, rp_error *err) {
    size_t length = strlen(name);
    if (length == 0 || length >= RP_TENSOR_NAME) {
        rp_fail(err, RP_ERR_FORMAT, "%.99s: tensor name of %llu bytes, want 1 to %d", name, (unsigned long long)length,
                RP_TENSOR_NAME - 1);
        return NULL;
    }
    if (draft->count == draft->capacity) {
        size_t capacity = RP_MAX(FIRST_TENSORS, 2 * draft->capacity);
        rp_draft_tensor *bigger =
            rp_grow(draft->memory, draft->tensors, draft->capacity, capacity, sizeof *bigger, "list of tensors", err);
        if (!bigger)
            return NULL;
        draft->tensors = bigger;
        draft->capacity = capacity;
    }
    rp_draft_tensor *tensor = &draft->tensors[draft->count++];
    *tensor = (rp_draft_tensor){0};
    memcpy(tensor->name, name, length);
    return tensor;
}

rp_draft_tensor *rp_draft_find(const rp_draft *draft, const char *name) {
    for (size_t i = 0; i < draft->count; i++)
        if (strcmp(draft->tensors[i].name, name) == 0)
            return &draft->tensors[i];
    return NULL;
}

void rp_draft_remove(rp_draft *draft, const char *prefix) {
    size_t kept = 0;
    for (size_t i = 0; i < draft->count; i++)
        if (strncmp(draft->tensors[i].name, prefix, strlen(prefix)) != 0)
            draft->tensors[kept++] = draft->tensors[i];
    draft->count = kept;
}

float *rp_draft_values(rp_draft *draft, rp_draft_tensor *t, size_t count, rp_error *err) {
    size_t first = draft->computed_count;
    float *more = rp_grow(draft->memory, draft->computed, first, first + count, sizeof *more, "computed values", err);
    if (!more)
        return NULL;
    draft->computed = more;
    draft->computed_count = first + count;
    t->vector = true;
    t->rows = t->source_rows = 1;
    t->columns = t->source_columns = count;
    t->file = RP_COMPUTED;
    t->offset = first * sizeof *more;
    return more + first;
}

bool rp_draft_read(const rp_draft *draft, int file, uint64_t offset, void *bytes, size_t size) {
    if (file != RP_COMPUTED)
        return draft->files->read(draft->files->user, file, offset, bytes, size);
    memcpy(bytes, (const uint8_t *)draft->computed + offset, size);
    return true;
}
