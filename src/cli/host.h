/* The six things the terminal program asks of the machine it runs on. host_native.c answers with the C library,
 * host_wasm.c with functions that js/bin/reprise.js imports into the module. */
#ifndef RP_CLI_HOST_H
#define RP_CLI_HOST_H

#include "../pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A handle for reading, or -1. "-" is standard input. */
int host_open(const char *path);
/* Bytes read, 0 at the end, -1 when the file cannot be read. */
int64_t host_read(int handle, void *bytes, size_t size);
void host_close(int handle);
/* Writes all to standard output (1) or error (2); false when nobody takes it any more. */
bool host_write(int stream, const char *bytes, size_t size);
double host_now_ms(void);
/* The most memory used so far: natively what the engine counted, in WebAssembly the length of the memory. */
uint64_t host_peak_bytes(uint64_t counted);
/* Starts a thread that serves a pool (../pool.h), and returns when it does; false when there is none to be had. */
bool host_thread(rp_pool *pool);

/* The program; args[0] is its first argument. Returns the exit code. */
int cli_main(int count, char **args);

#endif
