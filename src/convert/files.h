/* What the converter asks of the machine it runs on: reading its input piece by piece, and taking its output from the first byte to
 * the last. Natively and under Node the terminal program answers, in a page the worker. */
#ifndef RP_FILES_H
#define RP_FILES_H

#include "../base.h"

/* Names are relative to the input folder, with '/' between parts ("model-00001-of-00002.safetensors"); an input that is a
 * single file has the name "". */
typedef struct rp_files {
    void *user;
    /* A file of the input: a handle from 0 on and its size, or -1 when there is none of that name. */
    int (*open)(void *user, const char *name, uint64_t *size);
    void (*close)(void *user, int file);
    /* Reads exactly `size` bytes from `offset`; false when that cannot be done. */
    bool (*read)(void *user, int file, uint64_t offset, void *bytes, size_t size);
    /* Appends to the output; false when it cannot be written (a full disk). */
    bool (*write)(void *user, const void *bytes, size_t size);
    /* Tells how far it is, now and then; false: stop. May be NULL. */
    bool (*progress)(void *user, const char *what, uint64_t done, uint64_t total);
} rp_files;

/* files.c: reads a whole file of at most `most` bytes. The caller releases *bytes with rp_release(memory, *bytes, *size + 1, 1): it
 * is followed by a zero. RP_ERR_IO names the file. */
rp_status rp_files_read_all(const rp_files *files, rp_memory *memory, const char *name, uint64_t most, char **bytes,
                            size_t *size, rp_error *err);
/* True when the input has a file of that name. */
bool rp_files_has(const rp_files *files, const char *name);

#endif
