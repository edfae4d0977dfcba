/* The terminal program's host inside WebAssembly: see host.h. js/bin/reprise.js gives the imports and calls the exports. */
#include "host.h"

#include <stdlib.h>

#define IMPORT(name) __attribute__((import_module("host"), import_name(#name)))

IMPORT(open) int import_open(const char *path);
IMPORT(read) int import_read(int handle, void *bytes, size_t size);
IMPORT(close) void import_close(int handle);
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
