/* Whole files of the input, for the small ones that are read at once: see files.h. */
#include "files.h"

static const char *shown(const char *name) {
    return *name ? name : "the input";
}

/* From an open file. */
static rp_status read_whole(const rp_files *files, rp_memory *memory, const char *name, int file, size_t size,
                            char **bytes, rp_error *err) {
    char *block = rp_alloc_raw(memory, size + 1, 1, shown(name), err);
    if (!block)
        return err->status;
    if (size && !files->read(files->user, file, 0, block, size)) {
        rp_release(memory, block, size + 1, 1);
        return rp_fail(err, RP_ERR_IO, "%s: cannot be read", shown(name));
    }
    block[size] = 0;
    *bytes = block;
    return RP_OK;
}

rp_status rp_files_read_all(const rp_files *files, rp_memory *memory, const char *name, uint64_t most, char **bytes,
                            size_t *size, rp_error *err) {
    uint64_t length = 0;
    *bytes = NULL;
    *size = 0;
    int file = files->open(files->user, name, &length);
    if (file < 0)
        return rp_fail(err, RP_ERR_IO, "%s: there is no such file", shown(name));
    bool fits = length <= most && length < SIZE_MAX / 2;
    rp_status status = fits ? read_whole(files, memory, name, file, (size_t)length, bytes, err)
                            : rp_fail(err, RP_ERR_IO, "%s: has %llu bytes, want at most %llu", shown(name),
                                      (unsigned long long)length, (unsigned long long)most);
    files->close(files->user, file);
    *size = status == RP_OK ? (size_t)length : 0;
    return status;
}

bool rp_files_has(const rp_files *files, const char *name) {
    uint64_t size = 0;
    int file = files->open(files->user, name, &size);
    if (file >= 0)
        files->close(files->user, file);
    return file >= 0;
}
