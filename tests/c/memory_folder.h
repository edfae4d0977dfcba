/* A folder of named files in memory for what reads its input through rp_files, and a host whose nth allocation fails. Counts the
 * handles that are open. For tests and fuzzers; memory_files.h is for what writes. */
#ifndef MEMORY_FOLDER_H
#define MEMORY_FOLDER_H

#include "convert/files.h"

#include <stdlib.h>
#include <string.h>

enum { MEMORY_FOLDER_FILES = 16 };

typedef struct memory_folder {
    struct {
        const char *name;
        const void *bytes;
        size_t size;
    } files[MEMORY_FOLDER_FILES];
    size_t count;
    int open;         /* handles that were not closed */
    bool unreadable;  /* every read fails */
    size_t read_ends; /* where the last read ended */
} memory_folder;

static inline int memory_folder_open(void *user, const char *name, uint64_t *size) {
    memory_folder *folder = user;
    for (size_t i = 0; i < folder->count; i++) {
        if (strcmp(folder->files[i].name, name) == 0) {
            *size = folder->files[i].size;
            folder->open++;
            return (int)i;
        }
    }
    return -1;
}

static inline void memory_folder_close(void *user, int file) {
    (void)file;
    ((memory_folder *)user)->open--;
}

static inline bool memory_folder_read(void *user, int file, uint64_t offset, void *bytes, size_t size) {
    memory_folder *folder = user;
    size_t there = folder->files[file].size;
    if (folder->unreadable || offset > there || size > there - offset)
        return false;
    memcpy(bytes, (const char *)folder->files[file].bytes + offset, size);
    folder->read_ends = (size_t)offset + size;
    return true;
}

static inline rp_files memory_folder_files(memory_folder *folder) {
    return (rp_files){
        .user = folder, .open = memory_folder_open, .close = memory_folder_close, .read = memory_folder_read};
}

static inline void memory_folder_put(memory_folder *folder, const char *name, const void *bytes, size_t size) {
    if (folder->count == MEMORY_FOLDER_FILES)
        abort();
    folder->files[folder->count].name = name;
    folder->files[folder->count].bytes = bytes;
    folder->files[folder->count++].size = size;
}

static inline void memory_folder_text(memory_folder *folder, const char *name, const char *text) {
    memory_folder_put(folder, name, text, strlen(text));
}

/* The nth allocation fails; 0: none does. */
typedef struct failing_host {
    uint64_t asked, fail_at;
} failing_host;

static inline void *failing_alloc(void *user, size_t bytes) {
    failing_host *host = user;
    return ++host->asked == host->fail_at ? NULL : malloc(bytes);
}

static inline void failing_release(void *user, void *memory, size_t bytes) {
    (void)user;
    (void)bytes;
    free(memory);
}

static inline void failing_memory(rp_memory *memory, failing_host *host) {
    rp_memory_init(memory, &(rp_host){.user = host, .alloc = failing_alloc, .release = failing_release});
}

#endif
