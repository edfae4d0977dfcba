/* A pool with threads of its own and memory that is counted, for tests that compute with several threads. */
#ifndef CREW_H
#define CREW_H

#include "exercise.h"
#include "pool.h"
#include "test.h"

#include <pthread.h>
#include <threads.h>

typedef struct crew {
    exercise_host host;
    rp_memory memory;
    rp_pool *pool;
    pthread_t threads[RP_MAX_THREADS];
    size_t started;
    rp_error err;
} crew;

static void crew_sleep(long microseconds) {
    thrd_sleep(&(struct timespec){.tv_nsec = microseconds * 1000}, NULL);
}

/* The pool alone: its threads are started one by one. */
static bool crew_open(crew *c, size_t threads) {
    *c = (crew){.host = {.limit = UINT64_MAX}};
    rp_memory_init(&c->memory, &(rp_host){&c->host, exercise_alloc, exercise_release});
    return rp_pool_open(&c->pool, threads, &c->memory, &c->err) == RP_OK;
}

static void *crew_serve(void *pool) {
    rp_pool_serve(pool);
    return NULL;
}

static bool crew_start_one(crew *c) {
    return pthread_create(&c->threads[c->started++], NULL, crew_serve, c->pool) == 0;
}

static bool crew_start(crew *c, size_t count) {
    while (count && crew_start_one(c))
        count--;
    return !count;
}

static void crew_await(crew *c) {
    while (rp_pool_serving(c->pool) < c->started)
        crew_sleep(10);
}

static void crew_close(crew *c) {
    crew_await(c);
    rp_pool_close(c->pool);
    for (size_t i = 0; i < c->started; i++)
        pthread_join(c->threads[i], NULL);
    CHECK_INT(c->host.held, 0);
    CHECK(!c->host.wrong_size);
}

#endif
