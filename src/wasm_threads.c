/* The page's threads: a pool whose threads are workers that the page starts, each an instance of this module on the same memory with
 * a stack of its own. They compute and no more: memory is taken and given back by the engine's worker alone. In no build but those for
 * pages that are cross-origin isolated. */
#include "wasm.h"

#include <stdlib.h>

#if !defined(__wasm__) || defined(__wasm_atomics__)

/* Takes pool and stacks before a session is opened; 0 when memory ends. */
EXPORT(page_threads_open) int page_threads_open(page *p, uint32_t threads) {
    rp_pool *pool = NULL;
    p->stacks = malloc((threads - 1) * (size_t)PAGE_STACK_BYTES);
    if (!p->stacks || !page_took(p, rp_pool_open(&pool, threads, rp_model_memory_of(p->model), &p->err)))
        return 0;
    p->threads = threads;
    rp_model_use_pool(p->model, pool);
    return 1;
}

/* Where the stack of thread 1 and so on begins: it grows downwards. */
EXPORT(page_stack) char *page_stack(const page *p, uint32_t thread) {
    return p->stacks + thread * (size_t)PAGE_STACK_BYTES;
}

/* The pool's words: see pool.h. */
EXPORT(page_pool) const void *page_pool(const page *p) {
    return p->model->pool;
}

/* What a thread does for as long as it lives. */
EXPORT(page_serve) void page_serve(const page *p) {
    rp_pool_serve(p->model->pool);
}

/* How many there are, with the engine's own. */
EXPORT(page_threads) size_t page_threads(const page *p) {
    return 1 + rp_pool_serving(p->model->pool);
}

EXPORT(page_threads_use) void page_threads_use(const page *p, uint32_t threads) {
    rp_pool_use(p->model->pool, threads);
}
#endif
