/* What the files of the page's WebAssembly build share. That build has no terminal program: JavaScript calls these exports, which
 * are thin: they turn numbers into the types of reprise.h and keep results where JavaScript can read them. */
#ifndef RP_WASM_H
#define RP_WASM_H

#include "session.h"

/* Natively, for tests, these are plain functions. */
#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(#name)))
#else
#define EXPORT(name)
#endif

enum {
    PAGE_TOP = 64,                /* most ids that logits_top gives */
    PAGE_FEED_BYTES = 1 << 20,    /* what JavaScript takes for pieces of the file, as the plan counts it */
    PAGE_TEXT_BYTES = 64 << 10,   /* and for texts */
    PAGE_TEXT_PER_POSITION = 512, /* tokenizing a text that fills the context, and its ids */
    PAGE_SLACK_BYTES = 128 << 10, /* JSON, options, stop texts, the heap's own */
    PAGE_STACK_BYTES = 32 << 10,  /* of a thread */
};

/* One model and the results of the last call about it. */
typedef struct page {
    rp_model *model;
    rp_error err;
    const void *bytes; /* what the last call that returns bytes returned */
    size_t size;
    char *json; /* grows */
    size_t json_size, json_room;
    int32_t *ids; /* of the last text; grows */
    size_t id_room;
    const int32_t *shown_ids; /* of these or of top */
    int32_t top[PAGE_TOP];
    float logprobs[PAGE_TOP];
    char key[17];
    uint64_t header_gaps;       /* page_heap_gaps when the header was understood */
    uint32_t threads;           /* wasm_threads.c; 0: one */
    rp_program_options program; /* of sessions that are opened, and of plans: wasm_program.c */
    char *layers;               /* that it points to */
    uint64_t adapter_bytes;     /* of adapters' files fed so far */
    uint32_t adapter_rank;      /* the largest of them */
    char *stacks;
} page;

/* Remembers a status; true for RP_OK. */
bool page_took(page *p, rp_status status);
/* wasm_heap.c: bytes below the last block that no block holds. */
uint64_t page_heap_gaps(void);
/* A result with a size, or NULL. */
const void *page_gave(page *p, const void *bytes, size_t size);

#endif
