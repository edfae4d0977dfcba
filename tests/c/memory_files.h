/* What the converter asks of its machine, in memory: inputs are byte arrays, the output grows. Reads and writes can
 * be told to fail, and allocations too (exercise.h's host). For tests. */
#ifndef MEMORY_FILES_H
#define MEMORY_FILES_H

#include "convert/files.h"
#include "exercise.h"
#include "test.h"

enum { MEMORY_FILES = 4 };

typedef struct memory_files {
    rp_files files; /* hand this out */
    struct {
        const void *bytes;
        uint64_t size;
    } inputs[MEMORY_FILES]; /* by handle */
    uint8_t *output;
    size_t written, capacity;
    size_t room;               /* bytes of output until the disk is full */
    uint64_t reads, fail_read; /* the read (from 1) that fails; 0: none */
    uint64_t told, total;      /* by progress, last */
    uint64_t stop;             /* bytes of progress after which to stop; 0: none */
    bool wrong;                /* progress went back, or a read was out of bounds */
    rp_memory memory;
    exercise_host host;
} memory_files;

static bool memory_files_read(void *user, int file, uint64_t offset, void *bytes, size_t size) {
    memory_files *m = user;
    if (file < 0 || file >= MEMORY_FILES || ++m->reads == m->fail_read)
        return false;
    uint64_t there = m->inputs[file].size;
    if (offset > there || size > there - offset)
        return false;
    memcpy(bytes, (const uint8_t *)m->inputs[file].bytes + offset, size);
    return true;
}

static bool memory_files_write(void *user, const void *bytes, size_t size) {
    memory_files *m = user;
    if (size > m->room - m->written)
        return false;
    if (size > m->capacity - m->written) {
        m->capacity = 2 * (m->written + size);
        m->output = realloc(m->output, m->capacity);
        if (!m->output)
            abort();
    }
    memcpy(m->output + m->written, bytes, size);
    m->written += size;
    return true;
}

static bool memory_files_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    memory_files *m = user;
    m->wrong |= strcmp(what, "writing") != 0 || done < m->told || done > total || (m->total && total != m->total);
    m->told = done;
    m->total = total;
    return !m->stop || done < m->stop;
}

static void memory_files_open(memory_files *m) {
    *m = (memory_files){
        .files = {.read = memory_files_read, .write = memory_files_write, .progress = memory_files_progress},
        .room = SIZE_MAX,
        .host = {.limit = UINT64_C(1) << 30}};
    m->files.user = m;
    rp_memory_init(&m->memory, &(rp_host){&m->host, exercise_alloc, exercise_release});
}

/* Checks that all memory was given back. */
static void memory_files_close(memory_files *m) {
    CHECK_INT(m->memory.bytes_now, 0);
    CHECK_INT(m->host.blocks, 0);
    CHECK(!m->host.wrong_size);
    CHECK(!m->wrong);
    free(m->output);
    m->output = NULL;
}

#endif
