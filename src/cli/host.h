/* What the terminal program asks of the machine it runs on. host_native.c answers with the C library,
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
/* Bytes of an open file; false when it has no size: a folder, a pipe. */
bool host_size(int handle, uint64_t *bytes);
/* Reads exactly `size` bytes from `offset` on, wherever host_read is; false when they are not there. */
bool host_read_at(int handle, uint64_t offset, void *bytes, size_t size);
/* Both paths lead to one file. */
bool host_same_file(const char *a, const char *b);

/* A file that is being written, under a name of its own beside `path`, so that what was there before stays until all
 * is there. NULL when it cannot be made, or when `path` is something else than a file. It ends with host_commit or
 * host_discard. */
typedef struct host_output host_output;
host_output *host_create(const char *path);
/* Writes all; false when it cannot be done (a full disk). */
bool host_append(host_output *output, const void *bytes, size_t size);
/* Puts it in the place of `path`; false when that cannot be done, and then nothing of it stays. */
bool host_commit(host_output *output);
void host_discard(host_output *output); /* NULL is fine */

/* Writes all to standard output (1) or error (2); false when nobody takes it any more. */
bool host_write(int stream, const char *bytes, size_t size);
/* Standard output (1) or error (2) is a terminal; one whose user has not set NO_COLOR. */
bool host_is_terminal(int stream);
bool host_shows_colour(int stream);
double host_now_ms(void);
/* The most memory used so far: natively what the engine counted, in WebAssembly the length of the memory. */
uint64_t host_peak_bytes(uint64_t counted);
/* Starts a thread that serves a pool (../pool.h), and returns when it does; false when there is none to be had. */
bool host_thread(rp_pool *pool);

/* The program; args[0] is its first argument. Returns the exit code. */
int cli_main(int count, char **args);

#endif
