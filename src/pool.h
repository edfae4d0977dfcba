/* Threads that share one forward pass. The pool starts none: its host does (pthreads in the terminal program, Web Workers in a page),
 * and each of them calls rp_pool_serve, which returns when the pool is closed. The thread that calls rp_pool_run works, too, and
 * is number 0. Which thread takes which range is chance; what is computed never depends on it. A WebAssembly build without atomics
 * has no threads: there rp_pool_run is a plain call and rp_pool_open fails. */
#ifndef RP_POOL_H
#define RP_POOL_H

#include "base.h"

enum { RP_MAX_THREADS = 16 };

/* Part of a job: items first..last-1, by thread `thread`, below the pool's number of threads. */
typedef void rp_pool_work(void *user, size_t first, size_t last, size_t thread);

/* `threads` (1 to RP_MAX_THREADS) counts the caller of rp_pool_run. The caller owns *pool: rp_pool_close. `memory` must outlive it. */
rp_status rp_pool_open(rp_pool **pool, size_t threads, rp_memory *memory, rp_error *err);
/* Lets every serving thread return and waits until all have; then frees. NULL is fine. Threads that might still begin to serve
 * must have been seen in rp_pool_serving before. */
void rp_pool_close(rp_pool *pool);
/* In WebAssembly a page lets serving threads return without a call, when nobody is left to make one: a pool begins with words of
 * 32 bits, the first of which is 1 when it is closed; word 1 + n is 1 while thread n sleeps, and what it waits on. */

/* What a thread does until the pool is closed: takes ranges of jobs; without one spins briefly, then sleeps. Threads are
 * numbered as they come, from 1; one more than the pool was opened for returns at once. */
void rp_pool_serve(rp_pool *pool);
/* How many threads have begun to serve. */
size_t rp_pool_serving(const rp_pool *pool);

/* How many jobs use now; 1 for NULL. */
size_t rp_pool_used(const rp_pool *pool);

/* How many threads jobs use from now on, 1 (as after opening) to what it was opened with. Threads above that stay asleep. */
void rp_pool_use(rp_pool *pool, size_t threads);

/* Does items 0..items-1, in ranges of at most `grain` items that threads take as they come, and returns when all are done. `pool`
 * may be NULL: then, as with one thread, it is a plain call. Never waits for a thread that has not begun to serve. */
void rp_pool_run(rp_pool *pool, size_t items, size_t grain, rp_pool_work *work, void *user);

#endif
