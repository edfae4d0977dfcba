/* From a GGUF file's header to a draft: see gguf_input.h. */
#include "gguf_input.h"

#include <string.h>

enum { PIECE = 1 << 16 };

static rp_status feed_header(const rp_draft *draft, rp_gguf *gguf, int file, uint64_t size, uint8_t *piece,
                             rp_error *err) {
    const rp_files *files = draft->files;
    bool done = false;
    for (uint64_t at = 0; at < size && !done;) {
        size_t used, bytes = (size_t)RP_MIN(size - at, PIECE);
        if (!files->read(files->user, file, at, piece, bytes))
            return rp_fail(err, RP_ERR_IO, "cannot read %llu bytes at byte %llu of the input",
                           (unsigned long long)bytes, (unsigned long long)at);
        RP_TRY(rp_gguf_feed(gguf, piece, bytes, &used, &done, err));
        at += bytes;
    }
    if (!done)
        return rp_fail(err, RP_ERR_FORMAT, "file ends at byte %llu, inside its header", (unsigned long long)size);
    uint64_t end = rp_gguf_header_bytes(gguf) + rp_gguf_data_bytes(gguf);
    if (end > size)
        return rp_fail(err, RP_ERR_FORMAT, "file ends at byte %llu, its tensors at %llu", (unsigned long long)size,
                       (unsigned long long)end);
    return RP_OK;
}

static rp_status read_header(const rp_draft *draft, rp_gguf *gguf, int file, uint64_t size, rp_error *err) {
    uint8_t *piece = rp_alloc_raw(draft->memory, PIECE, 1, "GGUF header", err);
    if (!piece)
        return err->status;
    rp_status status = feed_header(draft, gguf, file, size, piece, err);
    rp_release(draft->memory, piece, PIECE, 1);
    return status;
}

static rp_status copy_architecture(rp_draft *draft, const rp_gguf *gguf, rp_error *err) {
    rp_span arch = {0};
    RP_TRY(rp_gguf_string(gguf, "general.architecture", &arch, err));
    if (arch.size == 0 || arch.size >= sizeof draft->arch || memchr(arch.data, 0, arch.size))
        return rp_fail(err, RP_ERR_FORMAT, "general.architecture is missing or has %llu bytes, want 1 to %d",
                       (unsigned long long)arch.size, (int)sizeof draft->arch - 1);
    memset(draft->arch, 0, sizeof draft->arch);
    memcpy(draft->arch, arch.data, arch.size);
    return RP_OK;
}

static rp_status add_tensor(rp_draft *draft, const rp_gguf *gguf, const rp_gguf_tensor *from, int file, rp_error *err) {
    char name[RP_TENSOR_NAME] = {0};
    memcpy(name, from->name.data, from->name.size); /* the reader knows no longer ones */
    if (memchr(name, 0, from->name.size))
        return rp_fail(err, RP_ERR_FORMAT, "%s: tensor name holds a zero byte", name);
    if (from->shape[2] != 1 || from->shape[3] != 1)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: tensor of %llu x %llu x %llu x %llu, want at most two dimensions",
                       name, (unsigned long long)from->shape[0], (unsigned long long)from->shape[1],
                       (unsigned long long)from->shape[2], (unsigned long long)from->shape[3]);
    rp_draft_tensor *to = rp_draft_add(draft, name, err);
    if (!to)
        return err->status;
    rp_type_from_ggml(from->type, &to->type); /* the reader has refused the others */
    to->vector = from->dims == 1;
    to->rows = to->source_rows = from->shape[1];
    to->columns = to->source_columns = from->shape[0];
    to->source_type = to->type;
    to->file = file;
    to->offset = rp_gguf_header_bytes(gguf) + from->offset;
    return RP_OK;
}

static rp_status fill(rp_draft *draft, const rp_gguf *gguf, int file, rp_error *err) {
    RP_TRY(copy_architecture(draft, gguf, err));
    RP_TRY(rp_keys_copy(draft->keys, gguf, err));
    rp_keys_remove(draft->keys, "general.alignment"); /* the output has its own */
    for (size_t i = 0; i < rp_gguf_tensor_count(gguf); i++)
        RP_TRY(add_tensor(draft, gguf, rp_gguf_tensor_at(gguf, i), file, err));
    return RP_OK;
}

rp_status rp_draft_from_gguf(rp_draft *draft, int file, uint64_t size, rp_error *err) {
    rp_gguf *gguf;
    RP_TRY(rp_gguf_open(&gguf, draft->memory, err));
    rp_status status = read_header(draft, gguf, file, size, err);
    if (status == RP_OK)
        status = fill(draft, gguf, file, err);
    rp_gguf_close(gguf);
    return status;
}
