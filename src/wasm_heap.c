/* The page's malloc and free: first fit, spans in the order of their addresses, neighbours joined. A page takes few and large
 * blocks and knows before what it will need (page_plan), so that the heap must be tight and small rather than quick. Memory is asked
 * for by the page of 64 KiB, never more than a block needs. */
#include "wasm.h"

#ifndef __wasm__
uint64_t page_heap_gaps(void) {
    return 0;
}
#else

typedef struct span {
    size_t size; /* with this header, a multiple of 16 */
    struct span *next;
    size_t open, taken; /* of the list's head: it was made; bytes in all blocks */
} span;

enum { WASM_PAGE = 65536, MOST_PAGES = 65535 }; /* one less than there are addresses for: the heap's end is one, too */

__attribute__((import_module("env"), import_name("emscripten_notify_memory_growth"))) void told_growth(size_t memory);

extern char __heap_base; /* where static data and the stack end; memory beyond is zero at first */

/* Head of the list of free spans: the heap's first 16 bytes, not a variable. */
static span *free_list(void) {
    return (span *)(((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15);
}

static size_t memory_end(void) {
    return __builtin_wasm_memory_size(0) * WASM_PAGE;
}

uint64_t page_heap_gaps(void) {
    span *last = free_list();
    size_t taken = last->taken, start = (size_t)(last + 1);
    while (last->next)
        last = last->next;
    bool at_end = (char *)last + last->size == (char *)memory_end();
    return memory_end() - (at_end ? last->size : 0) - start - taken;
}

/* Puts a span into the list and joins it with its neighbours. */
static void give(span *freed) {
    span *before = free_list();
    while (before->next && before->next < freed)
        before = before->next;
    freed->next = before->next;
    before->next = freed;
    if ((char *)freed + freed->size == (char *)freed->next) {
        freed->size += freed->next->size;
        freed->next = freed->next->next;
    }
    if (before->size && (char *)before + before->size == (char *)freed) {
        before->size += freed->size;
        before->next = freed->next;
    }
}

/* Makes the last free span `size` bytes long, if memory can grow. */
static bool grow(size_t size) {
    span *last = free_list();
    while (last->next)
        last = last->next;
    size_t end = memory_end();
    bool at_end = last->size && (char *)last + last->size == (char *)end;
    size_t missing = size - (at_end ? last->size : 0), pages = (missing + WASM_PAGE - 1) / WASM_PAGE;
    if (missing > UINT32_MAX - WASM_PAGE || pages > MOST_PAGES - RP_MIN(end / WASM_PAGE, MOST_PAGES))
        return false;
    if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX)
        return false;
    told_growth(0);
    span *fresh = (span *)end;
    fresh->size = pages * WASM_PAGE;
    give(fresh);
    return true;
}

static void *take(size_t size) {
    for (span *before = free_list(), *at; (at = before->next); before = at) {
        if (at->size < size)
            continue;
        if (at->size - size >= 2 * sizeof(span)) {
            span *rest = (span *)((char *)at + size);
            *rest = (span){.size = at->size - size, .next = at->next};
            at->size = size;
            at->next = rest;
        }
        before->next = at->next;
        free_list()->taken += at->size;
        return at + 1;
    }
    return NULL;
}

/* What lies between the list's head and the end of the first memory is free. */
static void open_heap(void) {
    span *head = free_list(), *first = head + 1;
    if (head->open)
        return;
    head->open = 1;
    first->size = memory_end() - (size_t)first;
    give(first);
}

void *malloc(size_t bytes) {
    if (bytes > UINT32_MAX - 2 * WASM_PAGE)
        return NULL;
    size_t size = (bytes + sizeof(span) + 15) & ~(size_t)15;
    open_heap();
    void *block = take(size);
    return block || !grow(size) ? block : take(size);
}

void free(void *block) {
    if (!block)
        return;
    span *freed = (span *)block - 1;
    free_list()->taken -= freed->size;
    give(freed);
}
#endif
