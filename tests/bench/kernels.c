/* Speed of the matrix products: GMAC/s (10^9 multiply-adds a second) of 576 rows by 1536 columns for every weight type, at
 * 1 token (decode) and at 32 (prefill), for every table in the build; what share that is of the bare inner loop (ceilings.h),
 * timed right before; and the GB/s of weights that one token's figure is. Best of some runs of a few milliseconds, so about
 * four seconds in all. Absolute figures drift from run to run: compare within one.
 *
 *     make build/bench/native/kernels && build/bench/native/kernels [SECONDS A FIGURE]
 *     make bench-kernels */
#define _POSIX_C_SOURCE 199309L
#include "kernels/kernels.h"
#include "ceilings.h"
#include "pool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __wasm__
__attribute__((import_module("host"), import_name("write"))) void host_write(int fd, const void *bytes, size_t size);
__attribute__((import_module("host"), import_name("now_s"))) double host_now_s(void);
#else
#include <pthread.h>
#include <time.h>
static void host_write(int fd, const void *bytes, size_t size) {
    fwrite(bytes, 1, size, fd == 1 ? stdout : stderr);
}
static double host_now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
#endif

enum { ROWS = 576, COLUMNS = 1536, TOKENS = 32 };

__attribute__((format(printf, 1, 2))) static void print(const char *format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    host_write(1, line, (size_t)size);
}

static uint32_t random_bits(void) {
    static uint32_t state = 1;
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

/* Random codes; every pair of bytes that might be a scale is a half float of sane size: no denormals, no NaN. */
static uint8_t *make_weights(rp_type type) {
    size_t row_bytes = (size_t)rp_row_file_bytes(type, COLUMNS);
    uint8_t *rows = malloc(RP_ROWS * row_bytes),
            *weights = malloc((size_t)rp_group_bytes(type, COLUMNS) * ROWS / RP_ROWS);
    if (!rows || !weights)
        abort();
    for (size_t g = 0; g < ROWS / RP_ROWS; g++) {
        for (size_t i = 0; i < RP_ROWS * row_bytes; i++)
            rows[i] = (uint8_t)(i % 2 ? 0x20 | (random_bits() & 0x9f) : random_bits());
        rp_pack_group(type, COLUMNS, rows, RP_ROWS, weights + g * (size_t)rp_group_bytes(type, COLUMNS));
    }
    free(rows);
    return weights;
}

/* Seconds of the fastest of the calls of work(user) within `limit` seconds; one call before that warms up. */
static double best_s(void (*work)(void *user), void *user, double limit) {
    double best = 1e9, start = host_now_s(), before = start;
    work(user);
    for (before = host_now_s(); before - start < limit || best == 1e9;) {
        work(user);
        double after = host_now_s();
        best = after > before ? RP_MIN(best, after - before) : best;
        before = after;
    }
    return best;
}

typedef struct product {
    const rp_kernels *kernels;
    rp_type type;
    rp_matmul job;
} product;

static void do_product(void *user) {
    product *p = user;
    p->kernels->matmul[p->type](&p->job);
}

typedef struct bare {
    ceiling_kind kind;
    bool many;
    ceiling_data *data;
    volatile float result; /* so that the work is done */
} bare;

enum { BARE_TIMES = 64 };

static void do_bare(void *user) {
    bare *b = user;
    __asm__ volatile("" ::"r"(b->data) : "memory");
    for (int i = 0; i < BARE_TIMES; i++)
        b->result += ceiling_once(b->kind, b->data, b->many);
}

/* A block of memory that is larger than any cache, read by the threads of a pool. */
typedef struct stream {
    uint8_t *bytes;
    rp_pool *pool; /* NULL: by one */
    volatile float results[RP_MAX_THREADS];
} stream;

enum { STREAM_PART = 1 << 20, STREAM_PARTS = 256 };

static void do_parts(void *user, size_t first, size_t last, size_t thread) {
    stream *s = user;
    s->results[thread] += stream_once(s->bytes + first * STREAM_PART, (last - first) * STREAM_PART);
}

static void do_stream(void *user) {
    stream *s = user;
    __asm__ volatile("" ::"r"(s->bytes) : "memory"); /* it is read anew each time */
    rp_pool_run(s->pool, STREAM_PARTS, STREAM_PARTS / 16, do_parts, s);
}

static double stream_speed(stream *s, double limit) {
    return (double)STREAM_PARTS * STREAM_PART * 1e-9 / best_s(do_stream, s, 10 * limit);
}

#ifdef __wasm__
static void print_speed_of_two(stream *s, double limit) {
    (void)s;
    (void)limit;
}
#else
static void *serve(void *pool) {
    rp_pool_serve(pool);
    return NULL;
}

static void print_speed_of_two(stream *s, double limit) {
    rp_memory memory;
    rp_error error;
    pthread_t thread;
    rp_memory_init(&memory, &(rp_host){0});
    if (rp_pool_open(&s->pool, 2, &memory, &error) || pthread_create(&thread, NULL, serve, s->pool))
        return;
    while (rp_pool_serving(s->pool) < 1)
        ;
    rp_pool_use(s->pool, 2);
    print("memory is read at %.1f GB/s by two threads\n", stream_speed(s, limit));
    rp_pool_close(s->pool);
    pthread_join(thread, NULL);
}
#endif

static void print_row(const rp_kernels *k, rp_type type, ceiling_data *data, const rp_act *act, double limit) {
    static float out[TOKENS * ROWS];
    size_t group_bytes = (size_t)rp_group_bytes(type, COLUMNS);
    uint8_t *weights = make_weights(type);
    rp_act alone = *act; /* the first token's numbers lie differently then, but they are as good */
    alone.tokens = 1;
    product p = {k, type, {weights, group_bytes, COLUMNS, 0, ROWS / RP_ROWS, &alone, out, ROWS}};
    bare b = {ceiling_of(k->isa, type), false, data, 0};
    double macs = (double)ROWS * COLUMNS, bare_macs = (double)BARE_TIMES * RP_ROWS * COLUMNS;
    double bare_one = bare_macs / best_s(do_bare, &b, limit), one = macs / best_s(do_product, &p, limit);
    b.many = true;
    p.job.act = act;
    double bare_many = RP_TOKENS * bare_macs / best_s(do_bare, &b, limit);
    double many = TOKENS * macs / best_s(do_product, &p, limit);
    double bytes_a_mac = (double)group_bytes / (RP_ROWS * COLUMNS);
    if (k->isa == RP_ISA_SCALAR) /* its bare loop would be another one */
        print("%-8s %-8s %8.2f %17.2f\n", k->name, rp_type_traits[type].name, one * 1e-9, many * 1e-9);
    else
        print("%-8s %-8s %8.2f %6.0f %% %8.2f %6.0f %% %8.2f\n", k->name, rp_type_traits[type].name, one * 1e-9,
              100 * one / bare_one, many * 1e-9, 100 * many / bare_many, one * bytes_a_mac * 1e-9);
    free(weights);
}

static int bench(double limit) {
    static float x[COLUMNS], scale[TOKENS * COLUMNS / 32], values[TOKENS * COLUMNS];
    static int8_t q[TOKENS * COLUMNS];
    static int16_t pairs[TOKENS * COLUMNS], sums[TOKENS * COLUMNS / 16];
    static ceiling_data data;
    rp_act act = {q, pairs, scale, sums, values, COLUMNS, TOKENS};
    for (size_t token = 0; token < TOKENS; token++) {
        for (size_t c = 0; c < COLUMNS; c++)
            x[c] = (float)(random_bits() >> 8) / 8388608.0f - 1.0f;
        rp_kernels_reference.quantize(x, COLUMNS, &act, token);
    }
    for (size_t i = 0; i < sizeof data.weights; i++)
        data.weights[i] = (uint8_t)random_bits();
    memcpy(data.q, q, sizeof data.q);
    memcpy(data.pairs, pairs, sizeof data.pairs);
    memcpy(data.values, values, sizeof data.values);
    print("%d x %d weights  1 token: GMAC/s and share of the bare loop's, 32 tokens: the same, 1 token: GB/s\n", ROWS,
          COLUMNS);
    for (rp_isa isa = RP_ISA_SCALAR; isa <= RP_ISA_RELAXED; isa++)
        for (int i = 0; rp_kernels_for(isa) && i < RP_TYPES; i++)
            print_row(rp_kernels_for(isa), (rp_type)i, &data, &act, limit);
    stream s = {.bytes = calloc(STREAM_PARTS, STREAM_PART)};
    if (!s.bytes)
        return 1;
    for (size_t i = 0; i < (size_t)STREAM_PARTS * STREAM_PART; i += 64) /* nothing that a compiler knows */
        s.bytes[i] = (uint8_t)random_bits();
    print("memory is read at %.1f GB/s\n", stream_speed(&s, limit));
    print_speed_of_two(&s, limit);
    free(s.bytes);
    return 0;
}

#ifdef __wasm__
__attribute__((export_name("bench_main"))) int bench_main(double limit) {
    return bench(limit);
}
#else
int main(int count, char **arguments) {
    return bench(count > 1 ? strtod(arguments[1], NULL) : 0.015);
}
#endif
