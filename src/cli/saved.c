/* A session in a file: written beside and put in place when it is whole, read back in one piece. */
#include "cli.h"

#include <stdlib.h>

static bool append(void *user, const void *bytes, size_t size) {
    return host_append(user, bytes, size);
}

rp_status save_session(rp_session *session, const char *path, rp_error *err) {
    host_output *output = host_create(path);
    if (!output)
        return rp_fail(err, RP_ERR_IO, "%s: cannot be written", path);
    rp_status status = rp_session_save(session, output, append, err);
    if (status != RP_OK) {
        host_discard(output);
        return name_file(path, err);
    }
    return host_commit(output) ? RP_OK : rp_fail(err, RP_ERR_IO, "%s: cannot be written", path);
}

rp_status restore_session(rp_session *session, const char *path, rp_error *err) {
    uint64_t size;
    rp_status status = RP_ERR_IO;
    int handle = host_open(path);
    if (handle < 0)
        return rp_fail(err, RP_ERR_IO, "%s: cannot be opened", path);
    char *bytes = NULL;
    if (!host_size(handle, &size))
        rp_fail(err, RP_ERR_IO, "cannot be read");
    else if (size > SIZE_MAX || !(bytes = malloc((size_t)size + 1)))
        status = rp_fail(err, RP_ERR_MEMORY, "%llu bytes could not be had", (unsigned long long)size);
    else if (!host_read_at(handle, 0, bytes, (size_t)size))
        rp_fail(err, RP_ERR_IO, "cannot be read");
    else
        status = rp_session_restore(session, bytes, (size_t)size, err);
    free(bytes);
    host_close(handle);
    return status == RP_OK ? RP_OK : name_file(path, err);
}
