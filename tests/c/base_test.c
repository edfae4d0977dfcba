/* runs: native wasm */
/* The small printf against the C library's, errors that say how many bytes were missing, and the likeliest logits against a
 * sort. */
#include "test.h"

#include "base.h"

#define SAME(...)                                                                                                      \
    do {                                                                                                               \
        char is[64], want[64];                                                                                         \
        size_t length = rp_format(is, sizeof is, __VA_ARGS__);                                                         \
        snprintf(want, sizeof want, __VA_ARGS__);                                                                      \
        CHECK_TEXT(is, want);                                                                                          \
        CHECK_INT(length, strlen(is));                                                                                 \
    } while (0)

TEST(format) {
    SAME("plain %% text");
    SAME("%s-%.*s-%.2s-%c", "abc", 2, "wxyz", "123", 'q');
    SAME("%d %d %u %x %02x", 0, INT32_MIN, UINT32_MAX, 0xabcu, 5u);
    SAME("%llu %lld %llx %016llx", (unsigned long long)UINT64_MAX, (long long)INT64_MIN, 255ull, 0x123ull);
    char cut[6];
    CHECK_INT(rp_format(cut, sizeof cut, "%s", "much too long"), 5);
    CHECK_TEXT(cut, "much ");
    CHECK_INT(rp_format(cut, 1, "%d", 7), 0);
}

TEST(format_numbers) {
    static const double values[] = {0,    1,      -1,    0.5,    1.75,   10,       100,     12345,     999999,   1e6,
                                    1e-4, 1.5e-5, 1e300, 1e-300, 0.0001, 123456.7, -2.5e-7, 3.0000001, 9.9999995};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        SAME("%g", values[i]);
    SAME("%.9g %.9g %.3g", 0.1, 123456789.0, 2.0 / 3);
    SAME("%g %g %g", __builtin_inf(), -__builtin_inf(), 1e5);
    for (int i = 0; i < 2000; i++) {
        double value = (double)test_random_float() * (double)(1u << (test_random() % 30));
        char text[64];
        rp_format(text, sizeof text, "%.7g", value);
        double error = strtod(text, NULL) - value, bound = (value < 0 ? -value : value) * 5.01e-7;
        CHECK(error <= bound && -error <= bound); /* half a digit; C rounds halves to even */
    }
}

static void *no_memory(void *user, size_t bytes) {
    (void)user;
    (void)bytes;
    return NULL;
}

TEST(errors_say_how_many_bytes) {
    rp_memory memory;
    rp_error err;
    rp_memory_init(&memory, &(rp_host){.alloc = no_memory});
    CHECK(rp_alloc(&memory, 1000, 24, "things", &err) == NULL);
    CHECK_INT(err.status, RP_ERR_MEMORY);
    CHECK_INT(err.bytes_needed, 24000);
    CHECK_INT(rp_fail(&err, RP_ERR_ARGUMENT, "other"), RP_ERR_ARGUMENT);
    CHECK_INT(err.bytes_needed, 0);
}

static const float *sorted_by;

static int by_rank(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    float left = sorted_by[x] == sorted_by[x] ? sorted_by[x] : -__builtin_inff();
    float right = sorted_by[y] == sorted_by[y] ? sorted_by[y] : -__builtin_inff();
    return left != right ? (left < right ? 1 : -1) : (x > y) - (x < y);
}

TEST(top_is_a_sort) {
    enum { MOST = 300 };
    static float logits[MOST], logprobs[MOST];
    static int32_t order[MOST], top[MOST];
    for (int trial = 0; trial < 3000; trial++) {
        size_t count = 1 + test_random() % MOST, k = test_random() % (count + 3);
        uint64_t values = trial % 3 ? 7 : 1000, strange = trial % 5;
        for (size_t i = 0; i < count; i++) {
            uint64_t dice = test_random() % 16;
            logits[i] = (float)(test_random() % values) / 8;
            if (strange && dice == 0)
                logits[i] = __builtin_nanf("");
            else if (strange > 1 && dice == 1)
                logits[i] = -__builtin_inff();
            else if (strange > 3 && dice == 2)
                logits[i] = __builtin_inff();
            order[i] = (int32_t)i;
        }
        sorted_by = logits;
        qsort(order, count, sizeof *order, by_rank);
        CHECK_INT(rp_logits_top(logits, count, k, top, logprobs), k < count ? k : count);
        double sum = rp_logits_logsumexp(logits, count);
        for (size_t i = 0; i < k && i < count; i++) {
            CHECK_INT(top[i], order[i]);
            double want = (double)logits[order[i]] - sum;
            CHECK(logprobs[i] == logprobs[i] && logprobs[i] <= 0.0001f);
            if (want - want == 0)
                CHECK(logprobs[i] == (float)want);
        }
    }
}

TEST_MAIN(format, format_numbers, errors_say_how_many_bytes, top_is_a_sort)
