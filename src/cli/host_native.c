/* The terminal program's host on a machine with a C library: see host.h. */
#define _GNU_SOURCE /* O_TMPFILE, and POSIX */
#define _FILE_OFFSET_BITS 64

#include "../pool.h"
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int host_open(const char *path) {
    return strcmp(path, "-") == 0 ? 0 : open(path, O_RDONLY);
}

int64_t host_read(int handle, void *bytes, size_t size) {
    ssize_t n;
    do
        n = read(handle, bytes, size);
    while (n < 0 && errno == EINTR);
    return n;
}

void host_close(int handle) {
    if (handle > 2)
        close(handle);
}

bool host_size(int handle, uint64_t *bytes) {
    struct stat info;
    if (fstat(handle, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    *bytes = (uint64_t)info.st_size;
    return true;
}

bool host_read_at(int handle, uint64_t offset, void *bytes, size_t size) {
    char *to = bytes;
    while (size) {
        ssize_t n = pread(handle, to, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        to += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return true;
}

bool host_same_file(const char *a, const char *b) {
    struct stat one, other;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static bool write_all(int handle, const char *bytes, size_t size) {
    while (size) {
        ssize_t n = write(handle, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

/* Where the system can, a file without a name: whatever ends the program, nothing of it stays. It gets the temporary name at the end. */
struct host_output {
    int handle;
    bool named;
    char *path, *temporary; /* one block, from temporary on */
};

static host_output *name_output(const char *path) {
    size_t length = strlen(path), room = length + 32;
    host_output *output = calloc(1, sizeof *output);
    char *names = malloc(room + length + 1);
    if (!output || !names) {
        free(output);
        free(names);
        return NULL;
    }
    snprintf(names, room, "%s.%ld.part", path, (long)getpid());
    memcpy(names + room, path, length + 1);
    *output = (host_output){-1, false, names + room, names};
    return output;
}

/* In the folder of the path. */
static int open_nameless(const char *path) {
#ifdef O_TMPFILE
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 1;
    char *folder = strndup(slash ? path : ".", length);
    int handle = folder ? open(folder, O_TMPFILE | O_WRONLY, 0666) : -1;
    free(folder);
    return handle;
#else
    (void)path;
    return -1;
#endif
}

static bool give_name(const host_output *output) {
#ifdef O_TMPFILE
    char source[64];
    snprintf(source, sizeof source, "/proc/self/fd/%d", output->handle);
    return output->named || linkat(AT_FDCWD, source, AT_FDCWD, output->temporary, AT_SYMLINK_FOLLOW) == 0;
#else
    return output->named;
#endif
}

static void free_output(host_output *output) {
    free(output->temporary);
    free(output);
}

host_output *host_create(const char *path) {
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return NULL; /* a device would be replaced by a file */
    host_output *output = name_output(path);
    if (!output)
        return NULL;
    output->handle = open_nameless(path);
    output->named = output->handle < 0;
    if (output->named)
        output->handle = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (output->handle < 0) {
        free_output(output);
        return NULL;
    }
    return output;
}

bool host_append(host_output *output, const void *bytes, size_t size) {
    return write_all(output->handle, bytes, size);
}

bool host_commit(host_output *output) {
    bool good = fsync(output->handle) == 0 && give_name(output);
    good = close(output->handle) == 0 && good;
    good = good && rename(output->temporary, output->path) == 0;
    if (!good)
        unlink(output->temporary);
    free_output(output);
    return good;
}

void host_discard(host_output *output) {
    if (!output)
        return;
    close(output->handle);
    if (output->named)
        unlink(output->temporary);
    free_output(output);
}

bool host_write(int stream, const char *bytes, size_t size) {
    return write_all(stream, bytes, size);
}

bool host_is_terminal(int stream) {
    return isatty(stream);
}

bool host_shows_colour(int stream) {
    const char *no_colour = getenv("NO_COLOR"); /* no-color.org: any text but the empty one */
    return isatty(stream) && !(no_colour && *no_colour);
}

double host_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

uint64_t host_peak_bytes(uint64_t counted) {
    return counted;
}

static void *serve(void *pool) {
    rp_pool_serve(pool);
    return NULL;
}

bool host_thread(rp_pool *pool) {
    pthread_t thread;
    size_t serving = rp_pool_serving(pool);
    if (pthread_create(&thread, NULL, serve, pool) != 0)
        return false;
    pthread_detach(thread); /* closing the pool waits for it */
    while (rp_pool_serving(pool) == serving)
        sched_yield();
    return true;
}

int main(int count, char **args) {
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away, and a file that may not grow, are errors, not the end of us */
    signal(SIGXFSZ, SIG_IGN);
    return cli_main(count - 1, args + 1);
}
