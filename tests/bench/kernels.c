/* Speed of the matrix products: GMAC/s (10^9 multiply-adds a second) of 576 rows by 1536 columns for every weight type, at
 * 1 token (decode) and at 32 (prefill), for every table in the build. Best of some runs of a few milliseconds, so about
 * two seconds in all. Absolute figures drift from run to run: compare within one.
 *
 *     make build/bench/native/kernels && build/bench/native/kernels [SECONDS A FIGURE]
 *     make bench-kernels */
#define _POSIX_C_SOURCE 199309L
#include "kernels/kernels.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __wasm__
__attribute__((import_module("host"), import_name("write"))) void host_write(int fd, const void *bytes, size_t size);
__attribute__((import_module("host"), import_name("now_s"))) double host_now_s(void);
#else
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

/* Seconds of the fastest call within `limit` seconds; one call before that warms up. */
static double best_s(const rp_kernels *k, rp_type type, const rp_matmul *job, double limit) {
    double best = 1e9, start = host_now_s(), before = start;
    k->matmul[type](job);
    for (before = host_now_s(); before - start < limit || best == 1e9;) {
        k->matmul[type](job);
        double after = host_now_s();
        best = after > before ? RP_MIN(best, after - before) : best;
        before = after;
    }
    return best;
}

static int bench(double limit) {
    static float x[COLUMNS], scale[TOKENS * COLUMNS / 32], values[TOKENS * COLUMNS], out[TOKENS * ROWS];
    static int8_t q[TOKENS * COLUMNS];
    static int16_t pairs[TOKENS * COLUMNS], sums[TOKENS * COLUMNS / 16];
    rp_act act = {q, pairs, scale, sums, values, COLUMNS};
    for (size_t token = 0; token < TOKENS; token++) {
        for (size_t c = 0; c < COLUMNS; c++)
            x[c] = (float)(random_bits() >> 8) / 8388608.0f - 1.0f;
        rp_kernels_reference.quantize(x, COLUMNS, &act, token);
    }
    print("%-8s %-8s %10s %10s   GMAC/s, %d x %d\n", "table", "weights", "1 token", "32 tokens", ROWS, COLUMNS);
    for (rp_isa isa = RP_ISA_SCALAR; isa <= RP_ISA_RELAXED; isa++)
        for (int i = 0; i < RP_TYPES; i++) {
            const rp_kernels *k = rp_kernels_for(isa);
            if (!k)
                break;
            uint8_t *weights = make_weights((rp_type)i);
            size_t group_bytes = (size_t)rp_group_bytes((rp_type)i, COLUMNS);
            rp_matmul job = {weights, group_bytes, COLUMNS, 0, ROWS / RP_ROWS, &act, 1, out, ROWS};
            double one = best_s(k, (rp_type)i, &job, limit);
            job.tokens = TOKENS;
            double many = best_s(k, (rp_type)i, &job, limit);
            print("%-8s %-8s %10.2f %10.2f\n", k->name, rp_type_traits[i].name, ROWS * COLUMNS / one * 1e-9,
                  TOKENS * (double)(ROWS * COLUMNS) / many * 1e-9);
            free(weights);
        }
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
