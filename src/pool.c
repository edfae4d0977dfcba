/* One job at a time. Its ranges are dealt out: each thread has a word with a share of them, neighbours, and takes from its front, so
 * that what it reads is one stream; whoever has none left takes from the back of another's. A thread owns a range once it has
 * taken it from a word, and only then looks at the job: a job is not over while a range of it is owned, so nobody reads one that
 * changes, and whoever comes late finds another number or nothing left. Nothing is waited for but ranges that are owned. */
#include "pool.h"

#if !defined(__wasm__) || defined(__wasm_atomics__)

#include <stdatomic.h>
#ifndef __wasm__
#include <pthread.h>
#include <sched.h>
#endif

/* Some 20 to 50 microseconds: longer than what lies between two jobs of a token, too short to keep a core from others. */
#ifdef __wasm__
enum { SPINS = 10000 }; /* there is no pause instruction */
#else
enum { SPINS = 1000 };
#endif

/* A share: the job's number, then the first range that nobody has taken and the one after the last. A number comes again after
 * 2^32 other jobs. */
enum { RANGE_BITS = 16 };
#define MOST_RANGES (((size_t)1 << RANGE_BITS) - 1)

typedef struct share {
    _Atomic uint64_t open;
    char apart[56]; /* each is written by one thread, mostly */
} share;

/* pool.h says how it begins. */
struct rp_pool {
    atomic_uint closed;
    atomic_uint asleep[RP_MAX_THREADS]; /* [0]: nobody */
#ifndef __wasm__
    pthread_mutex_t mutex[RP_MAX_THREADS];
    pthread_cond_t woken[RP_MAX_THREADS];
#endif
    rp_memory *memory;
    size_t threads;
    uint64_t number; /* of the last job; its lower half is in use */
    /* The job: written when no range is owned, read by owners. */
    rp_pool_work *work;
    void *user;
    size_t items, grain;
    atomic_size_t used, came, left; /* threads that jobs use; that began to serve; that ended */
    char apart[64];                 /* what follows is written by all */
    atomic_size_t undone;           /* ranges */
    share shares[RP_MAX_THREADS];
};

/* ---- Waiting ------------------------------------------------------------------------------------------- */

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Until it is woken, or not at all if that came first. */
static void sleep_soundly(rp_pool *p, size_t thread) {
#ifdef __wasm__
    __builtin_wasm_memory_atomic_wait32((int *)&p->asleep[thread], 1, -1);
#else
    pthread_mutex_lock(&p->mutex[thread]);
    while (atomic_load(&p->asleep[thread]))
        pthread_cond_wait(&p->woken[thread], &p->mutex[thread]);
    pthread_mutex_unlock(&p->mutex[thread]);
#endif
}

static void wake(rp_pool *p, size_t thread) {
    if (!atomic_load(&p->asleep[thread]) || !atomic_exchange(&p->asleep[thread], 0))
        return;
#ifdef __wasm__
    __builtin_wasm_memory_atomic_notify((int *)&p->asleep[thread], 1);
#else
    pthread_mutex_lock(&p->mutex[thread]);
    pthread_cond_signal(&p->woken[thread]);
    pthread_mutex_unlock(&p->mutex[thread]);
#endif
}

/* What is waited for lasts long: lets others have the core. */
static void give_way(atomic_size_t *undone, size_t seen) {
#ifdef __wasm__
    __builtin_wasm_memory_atomic_wait32((int *)undone, (int)seen, 50000); /* nanoseconds; nobody notifies */
#else
    (void)undone;
    (void)seen;
    sched_yield();
#endif
}

/* ---- Working ------------------------------------------------------------------------------------------- */

static void do_range(const rp_pool *p, size_t index, size_t thread) {
    size_t first = index * p->grain;
    p->work(p->user, first, RP_MIN(first + p->grain, p->items), thread);
}

static size_t first_of(uint64_t share) {
    return share >> RANGE_BITS & MOST_RANGES;
}

static size_t last_of(uint64_t share) {
    return share & MOST_RANGES;
}

static bool may_take(const rp_pool *p, uint64_t share, size_t thread) {
    return first_of(share) < last_of(share) && thread < atomic_load(&p->used);
}

/* Takes ranges of one share until there are none; how many. */
static size_t take_share(rp_pool *p, size_t index, size_t thread) {
    size_t done = 0;
    _Atomic uint64_t *open = &p->shares[index].open;
    uint64_t share = atomic_load(open);
    while (may_take(p, share, thread)) {
        bool own = index == thread;
        if (!atomic_compare_exchange_weak(open, &share, own ? share + ((uint64_t)1 << RANGE_BITS) : share - 1))
            continue;
        do_range(p, own ? first_of(share) : last_of(share) - 1, thread);
        done++;
        share = atomic_load(open);
    }
    return done;
}

/* Its own ranges, then others'; false when there were none. */
static bool take_ranges(rp_pool *p, size_t thread) {
    size_t done = 0, used = atomic_load(&p->used);
    for (size_t i = 0; i < used; i++)
        done += take_share(p, (thread + i) % used, thread);
    if (done)
        atomic_fetch_sub(&p->undone, done);
    return done > 0;
}

static bool sees_ranges(const rp_pool *p, size_t thread) {
    for (size_t i = 0; i < p->threads; i++)
        if (may_take(p, atomic_load(&p->shares[i].open), thread))
            return true;
    return false;
}

void rp_pool_run(rp_pool *p, size_t items, size_t grain, rp_pool_work *work, void *user) {
    size_t ranges = (items + grain - 1) / grain, used = rp_pool_used(p);
    if (used < 2 || ranges < 2 || ranges > MOST_RANGES) {
        if (items)
            work(user, 0, items, 0);
        return;
    }
    p->work = work;
    p->user = user;
    p->items = items;
    p->grain = grain;
    atomic_store(&p->undone, ranges);
    p->number++;
    for (uint64_t i = 0; i < used; i++)
        atomic_store(&p->shares[i].open,
                     p->number << 2 * RANGE_BITS | ranges * i / used << RANGE_BITS | ranges * (i + 1) / used);
    for (size_t i = 1; i < RP_MIN(used, ranges); i++)
        wake(p, i);
    take_ranges(p, 0);
    for (size_t spins = 0, undone; (undone = atomic_load(&p->undone)); spins++)
        if (spins < SPINS)
            relax();
        else
            give_way(&p->undone, undone);
}

void rp_pool_serve(rp_pool *p) {
    size_t thread = atomic_fetch_add(&p->came, 1) + 1;
    for (size_t spins = 0; thread < p->threads && !atomic_load(&p->closed); spins++) {
        if (take_ranges(p, thread)) {
            spins = 0;
        } else if (spins < SPINS) {
            relax();
        } else {
            /* Whoever opens a job or closes the pool says so first and wakes sleepers then. */
            atomic_store(&p->asleep[thread], 1);
            if (atomic_load(&p->closed) || sees_ranges(p, thread))
                atomic_store(&p->asleep[thread], 0);
            else
                sleep_soundly(p, thread);
            spins = 0;
        }
    }
    atomic_fetch_add(&p->left, 1);
}

size_t rp_pool_serving(const rp_pool *p) {
    return atomic_load(&p->came);
}

size_t rp_pool_used(const rp_pool *p) {
    return p ? atomic_load(&p->used) : 1;
}

void rp_pool_use(rp_pool *p, size_t threads) {
    atomic_store(&p->used, RP_MAX(RP_MIN(threads, p->threads), 1));
}

/* ---- Opening and closing ------------------------------------------------------------------------------- */

rp_status rp_pool_open(rp_pool **out, size_t threads, rp_memory *memory, rp_error *err) {
    *out = NULL;
    if (threads < 1 || threads > RP_MAX_THREADS)
        return rp_fail(err, RP_ERR_ARGUMENT, "%llu threads, want 1 to %d", (unsigned long long)threads, RP_MAX_THREADS);
    rp_pool *p = rp_alloc(memory, 1, sizeof *p, "threads", err);
    if (!p)
        return err->status;
    p->memory = memory;
    p->threads = threads;
    atomic_init(&p->used, 1);
    atomic_init(&p->came, 0);
    atomic_init(&p->left, 0);
    atomic_init(&p->undone, 0);
    atomic_init(&p->closed, 0);
    for (size_t i = 0; i < RP_MAX_THREADS; i++) {
        atomic_init(&p->asleep[i], 0);
        atomic_init(&p->shares[i].open, 0);
#ifndef __wasm__
        pthread_mutex_init(&p->mutex[i], NULL); /* with these attributes neither fails */
        pthread_cond_init(&p->woken[i], NULL);
#endif
    }
    *out = p;
    return RP_OK;
}

void rp_pool_close(rp_pool *p) {
    if (!p)
        return;
    atomic_store(&p->closed, 1);
    for (size_t i = 1; i < RP_MAX_THREADS; i++)
        wake(p, i);
    while (atomic_load(&p->left) < atomic_load(&p->came))
        give_way(&p->left, atomic_load(&p->left));
#ifndef __wasm__
    for (size_t i = 0; i < RP_MAX_THREADS; i++) {
        pthread_mutex_destroy(&p->mutex[i]);
        pthread_cond_destroy(&p->woken[i]);
    }
#endif
    rp_release(p->memory, p, 1, sizeof *p);
}

#else /* no threads: src/pool.h */

void rp_pool_run(rp_pool *p, size_t items, size_t grain, rp_pool_work *work, void *user) {
    (void)p;
    (void)grain;
    if (items)
        work(user, 0, items, 0);
}

size_t rp_pool_used(const rp_pool *p) {
    (void)p;
    return 1;
}

rp_status rp_pool_open(rp_pool **out, size_t threads, rp_memory *memory, rp_error *err) {
    (void)threads;
    (void)memory;
    *out = NULL;
    return rp_fail(err, RP_ERR_UNSUPPORTED, "this build has one thread");
}

void rp_pool_close(rp_pool *p) {
    (void)p;
}

size_t rp_pool_serving(const rp_pool *p) {
    (void)p;
    return 0;
}

void rp_pool_use(rp_pool *p, size_t threads) {
    (void)p;
    (void)threads;
}
#endif
