/* The terminal program's host inside WebAssembly: see host.h. js/bin/reprise.js gives the imports and calls the
 * exports. */
#include "host.h"

#include <stdlib.h>

#define IMPORT(name) __attribute__((import_module("host"), import_name(#name)))

IMPORT(open) int import_open(const char *path);
IMPORT(read) int import_read(int handle, void *bytes, size_t size);
IMPORT(close) void import_close(int handle);
IMPORT(size) double import_size(int handle);
IMPORT(read_at) int import_read_at(int handle, double offset, void *bytes, size_t size);
IMPORT(same_file) int import_same_file(const char *a, const char *b);
IMPORT(create) int import_create(const char *path);
IMPORT(append) int import_append(int handle, const void *bytes, size_t size);
IMPORT(commit) int import_commit(int handle);
IMPORT(discard) void import_discard(int handle);
IMPORT(is_terminal) int import_is_terminal(int stream);
IMPORT(shows_colour) int import_shows_colour(int stream);
IMPORT(write) int import_write(int stream, const char *bytes, size_t size);
IMPORT(now) double import_now(void);

int host_open(const char *path) {
    return import_open(path);
}

int64_t host_read(int handle, void *bytes, size_t size) {
    return import_read(handle, bytes, size);
}

void host_close(int handle) {
    import_close(handle);
}

bool host_size(int handle, uint64_t *bytes) {
    double size = import_size(handle); /* doubles hold whole numbers up to 2^53 */
    if (size < 0)
        return false;
    *bytes = (uint64_t)size;
    return true;
}

bool host_read_at(int handle, uint64_t offset, void *bytes, size_t size) {
    return import_read_at(handle, (double)offset, bytes, size) != 0;
}

bool host_same_file(const char *a, const char *b) {
    return import_same_file(a, b) != 0;
}

struct host_output {
    int handle;
};

host_output *host_create(const char *path) {
    host_output *output = malloc(sizeof *output);
    int handle = output ? import_create(path) : -1;
    if (handle < 0) {
        free(output);
        return NULL;
    }
    output->handle = handle;
    return output;
}

bool host_append(host_output *output, const void *bytes, size_t size) {
    return import_append(output->handle, bytes, size) != 0;
}

bool host_commit(host_output *output) {
    bool good = import_commit(output->handle) != 0;
    free(output);
    return good;
}

void host_discard(host_output *output) {
    if (output)
        import_discard(output->handle);
    free(output);
}

bool host_is_terminal(int stream) {
    return import_is_terminal(stream) != 0;
}

bool host_shows_colour(int stream) {
    return import_shows_colour(stream) != 0;
}

bool host_write(int stream, const char *bytes, size_t size) {
    return import_write(stream, bytes, size) != 0;
}

double host_now_ms(void) {
    return import_now();
}

uint64_t host_peak_bytes(uint64_t counted) {
    (void)counted;
    return (uint64_t)__builtin_wasm_memory_size(0) << 16;
}

bool host_thread(struct rp_pool *pool) {
    (void)pool;
    return false;
}

/* Room for the arguments, which the caller writes: an array of `count` pointers, then strings. */
__attribute__((export_name("cli_alloc"))) void *cli_alloc(size_t bytes) {
    return malloc(bytes);
}

__attribute__((export_name("cli_run"))) int cli_run(int count, char **args) {
    return cli_main(count, args);
}
