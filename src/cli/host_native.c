/* The terminal program's host on a machine with a C library: see host.h. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */

#include "../pool.h"
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
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

bool host_write(int stream, const char *bytes, size_t size) {
    while (size) {
        ssize_t n = write(stream, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
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
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error of host_write, not the end of us */
    return cli_main(count - 1, args + 1);
}
