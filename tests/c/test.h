/* The C tests' whole framework, one header for native programs and for WebAssembly without libc output.
 *
 *     // runs: native wasm          <- as a block comment alone on the first line, to run as WebAssembly too
 *     #include "test.h"
 *     TEST(adds) {
 *         CHECK(1 + 1 == 2);        // says file and line when false, and goes on
 *         CHECK_INT(count, 7);      // the same, printing both
 *         REQUIRE(pointer);         // leaves the case when false
 *         if (no_such_cpu)
 *             SKIP("no such CPU");  // leaves the case; it counts as skipped
 *     }
 *     TEST_MAIN(adds, subtracts)    // every case: one that is forgotten does not compile
 *
 * Random input comes from test_random(), whose seed is printed; TEST_SEED=n repeats a run. The last line of
 * output is "N passed, N failed, N skipped", which tests/run.js reads. Include it from one file of a program
 * only. */
#ifndef TEST_H
#define TEST_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct test_case {
    const char *name;
    void (*run)(void);
} test_case;

static struct {
    const char *name; /* of the running case */
    int complaints;   /* of the running case */
    bool skipped;
    uint64_t random;
} test_now;

enum { TEST_COMPLAINTS_SHOWN = 20 };

#ifdef __wasm__
__attribute__((import_module("host"), import_name("write"))) void test_host_write(int fd, const void *bytes,
                                                                                  size_t size);
#endif

__attribute__((format(printf, 1, 2), unused)) static void test_print(const char *format, ...) {
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
#ifdef __wasm__
    test_host_write(1, line, strlen(line));
#else
    fputs(line, stdout);
    fflush(stdout);
#endif
}

/* splitmix64 */
__attribute__((unused)) static uint64_t test_random(void) {
    uint64_t z = test_now.random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Uniform in [-1, 1), 24 bits. */
__attribute__((unused)) static float test_random_float(void) {
    return (float)(int32_t)(test_random() >> 40) / 8388608.0f - 1.0f;
}

/* True while the case's complaints are still worth printing. */
__attribute__((unused)) static bool test_complain(const char *file, int line) {
    if (++test_now.complaints > TEST_COMPLAINTS_SHOWN)
        return false;
    test_print("%s:%d: %s: ", file, line, test_now.name);
    return true;
}

__attribute__((unused)) static void test_check(bool ok, const char *what, const char *file, int line) {
    if (!ok && test_complain(file, line))
        test_print("%s\n", what);
}

__attribute__((unused)) static void test_check_int(int64_t is, int64_t want, const char *what, const char *file,
                                                   int line) {
    if (is != want && test_complain(file, line))
        test_print("%s is %" PRId64 ", want %" PRId64 "\n", what, is, want);
}

__attribute__((unused)) static void test_check_text(const char *is, const char *want, const char *what,
                                                    const char *file, int line) {
    if ((!is || strcmp(is, want) != 0) && test_complain(file, line))
        test_print("%s is \"%s\", want \"%s\"\n", what, is ? is : "(null)", want);
}

__attribute__((unused)) static int test_run_all(const test_case *cases, size_t count, uint64_t seed) {
    int passed = 0, failed = 0, skipped = 0;
    test_print("seed %" PRIu64 "\n", seed);
    for (size_t i = 0; i < count; i++) {
        test_now.name = cases[i].name;
        test_now.complaints = 0;
        test_now.skipped = false;
        test_now.random = seed;
        cases[i].run();
        if (test_now.complaints > TEST_COMPLAINTS_SHOWN)
            test_print("%s: %d complaints in all\n", test_now.name, test_now.complaints);
        failed += test_now.complaints > 0;
        skipped += test_now.complaints == 0 && test_now.skipped;
        passed += test_now.complaints == 0 && !test_now.skipped;
    }
    test_print("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed > 0 || passed + skipped == 0;
}

#define TEST(name) static void test_##name(void)

#define CHECK(condition) test_check(condition, #condition, __FILE__, __LINE__)
#define CHECK_INT(is, want) test_check_int((int64_t)(is), (int64_t)(want), #is, __FILE__, __LINE__)
#define CHECK_TEXT(is, want) test_check_text(is, want, #is, __FILE__, __LINE__)
#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        bool require_ok = (condition);                                                                                 \
        test_check(require_ok, #condition, __FILE__, __LINE__);                                                        \
        if (!require_ok)                                                                                               \
            return;                                                                                                    \
    } while (0)
#define SKIP(reason)                                                                                                   \
    do {                                                                                                               \
        test_now.skipped = true;                                                                                       \
        test_print("SKIP %s: %s\n", test_now.name, reason);                                                            \
        return;                                                                                                        \
    } while (0)

/* TEST_MAIN(a, b, c) visits its names by scanning again and again (the usual EVAL trick): up to 85 cases. */
#define TEST_EVAL(...) TEST_EVAL_1(TEST_EVAL_1(TEST_EVAL_1(TEST_EVAL_1(__VA_ARGS__))))
#define TEST_EVAL_1(...) TEST_EVAL_2(TEST_EVAL_2(TEST_EVAL_2(TEST_EVAL_2(__VA_ARGS__))))
#define TEST_EVAL_2(...) TEST_EVAL_3(TEST_EVAL_3(TEST_EVAL_3(TEST_EVAL_3(__VA_ARGS__))))
#define TEST_EVAL_3(...) __VA_ARGS__
#define TEST_NOTHING()
#define TEST_AGAIN() TEST_ROWS
#define TEST_ROWS(name, ...) {#name, test_##name}, __VA_OPT__(TEST_AGAIN TEST_NOTHING()()(__VA_ARGS__))
#ifdef __wasm__
#define TEST_MAIN(...)                                                                                                 \
    __attribute__((export_name("test_main"))) int test_main(uint32_t seed) {                                           \
        static const test_case cases[] = {TEST_EVAL(TEST_ROWS(__VA_ARGS__))};                                          \
        return test_run_all(cases, sizeof cases / sizeof cases[0], seed);                                              \
    }
#else
#define TEST_MAIN(...)                                                                                                 \
    int main(void) {                                                                                                   \
        static const test_case cases[] = {TEST_EVAL(TEST_ROWS(__VA_ARGS__))};                                          \
        const char *seed = getenv("TEST_SEED");                                                                        \
        return test_run_all(cases, sizeof cases / sizeof cases[0], seed ? strtoul(seed, NULL, 10) : 1);                \
    }
#endif

#endif
