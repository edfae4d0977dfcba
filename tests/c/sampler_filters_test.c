/* runs: native wasm */
/* src/sampler_filters.c: every filter is compared with a slow one written here from its definition, a full sort and
 * sums in long order, on random rows with ties and infinite logits; and with small rows worked out by hand. */
#include "../../src/math.h"
#include "../../src/sampler.h"
#include "test.h"

enum { VOCAB = 300 };

/* Logits with ties, some infinite ones, and a spread that makes both flat and peaked rows. */
static size_t random_candidates(rp_candidate *c) {
    size_t count = 1 + test_random() % VOCAB;
    float spread = (float)(1u << test_random() % 6);
    bool steps = test_random() % 2, holes = test_random() % 3 == 0;
    for (size_t i = 0; i < count; i++) {
        float logit = test_random_float() * spread;
        if (steps)
            logit = (float)(int)logit;
        if (holes && test_random() % 4 == 0)
            logit = -RP_INFINITY;
        c[i] = (rp_candidate){.id = (int32_t)i, .logit = logit};
    }
    return count;
}

static int by_logit(const void *a, const void *b) {
    const rp_candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int by_score(const void *a, const void *b) {
    const rp_candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* p[i] for candidate i, by definition; all -inf share evenly. */
static void probabilities(const rp_candidate *c, size_t count, double temperature, double *p) {
    double max = -1e300, sum = 0;
    for (size_t i = 0; i < count; i++)
        max = (double)c[i].logit > max ? (double)c[i].logit : max;
    for (size_t i = 0; i < count; i++)
        sum += p[i] = max == -1e300 ? 1.0 : rp_exp(((double)c[i].logit - max) / temperature);
    for (size_t i = 0; i < count; i++)
        p[i] /= sum;
}

static void check_same(const rp_candidate *is, size_t is_count, const rp_candidate *want, size_t want_count) {
    CHECK_INT(is_count, want_count);
    for (size_t i = 0; i < is_count && i < want_count; i++)
        CHECK_INT(is[i].id, want[i].id);
}

TEST(top_k_is_the_front_of_the_order) {
    rp_candidate c[VOCAB], want[VOCAB];
    for (int round = 0; round < 2000; round++) {
        size_t count = random_candidates(c), k = 1 + test_random() % (count + 3);
        memcpy(want, c, sizeof c);
        qsort(want, count, sizeof *want, by_logit);
        size_t kept = rp_keep_top_k(c, count, k);
        check_same(c, kept, want, k < count ? k : count);
    }
}

/* A mass that a rounding could decide either way is no test: says whether p is clear of every partial sum. */
static bool near_a_sum(const double *sums, size_t count, double p) {
    for (size_t i = 0; i < count; i++)
        if (sums[i] - p < 1e-5 && p - sums[i] < 1e-5)
            return true;
    return false;
}

TEST(top_p_is_the_shortest_front_with_the_mass) {
    rp_candidate c[VOCAB], want[VOCAB];
    double p[VOCAB], sums[VOCAB];
    int tried = 0;
    for (int round = 0; round < 3000; round++) {
        size_t count = random_candidates(c), n = 0;
        double mass = (double)(test_random() % 1000 + 1) / 1001, sum = 0;
        memcpy(want, c, sizeof c);
        qsort(want, count, sizeof *want, by_logit);
        probabilities(want, count, 1, p);
        for (size_t i = 0; i < count; i++)
            sums[i] = sum += p[i];
        if (near_a_sum(sums, count, mass))
            continue;
        while (sums[n] < mass)
            n++;
        tried++;
        check_same(c, rp_keep_top_p(c, count, mass), want, n + 1);
    }
    CHECK(tried > 1000);
}

TEST(typical_is_nearest_to_the_entropy) {
    rp_candidate c[VOCAB], want[VOCAB];
    double p[VOCAB], sums[VOCAB];
    int tried = 0;
    for (int round = 0; round < 3000; round++) {
        size_t count = random_candidates(c), n = 0;
        double mass = (double)(test_random() % 1000 + 1) / 1001, sum = 0, entropy = 0;
        probabilities(c, count, 1, p);
        for (size_t i = 0; i < count; i++)
            entropy -= p[i] > 0 ? p[i] * rp_log(p[i]) : 0;
        memcpy(want, c, sizeof c);
        for (size_t i = 0; i < count; i++) {
            double off = p[i] > 0 ? -rp_log(p[i]) - entropy : 1e30;
            want[i].score = -(float)(off < 0 ? -off : off);
        }
        qsort(want, count, sizeof *want, by_score);
        for (size_t i = 0; i < count; i++)
            sums[i] = sum += p[want[i].id];
        if (near_a_sum(sums, count, mass))
            continue;
        while (sums[n] <= mass)
            n++;
        /* Two on opposite sides of the entropy whose distances differ by less than float's rounding may swap. */
        bool close = false;
        for (size_t i = 0; i <= n && i + 1 < count; i++)
            close |= want[i].logit != want[i + 1].logit && want[i].score - want[i + 1].score < 1e-4f;
        if (close)
            continue;
        tried++;
        check_same(c, rp_keep_typical(c, count, mass), want, n + 1);
    }
    test_print("%d rows\n", tried);
    CHECK(tried > 500);
}

TEST(min_p_and_mirostat_keep_by_threshold) {
    rp_candidate c[VOCAB], want[VOCAB];
    double p[VOCAB];
    for (int round = 0; round < 3000; round++) {
        size_t count = random_candidates(c), n = 0, best = rp_candidates_best(c, count);
        bool mirostat = round % 2;
        float temperature = mirostat ? 0.25f * (float)(1 + test_random() % 8) : 1.0f;
        double mu = (double)(test_random() % 1000) / 100 + 0.00123,
               least = (double)(1 + test_random() % 999) / 1000.0007;
        if (c[best].logit == -RP_INFINITY)
            continue;
        probabilities(c, count, (double)temperature, p);
        for (size_t i = 0; i < count; i++)
            if (mirostat ? p[i] > 0 && -rp_log(p[i]) / 0.69314718055994531 <= mu : p[i] >= least * p[best])
                want[n++] = c[i];
        if (n == 0)
            want[n++] = c[best];
        check_same(c, mirostat ? rp_keep_surprise(c, count, temperature, mu) : rp_keep_min_p(c, count, least), want, n);
    }
}

/* p = 0.5, 0.25, 0.125, 0.125 up to a common factor. */
static size_t halves(rp_candidate *c) {
    const float logits[] = {0.6931472f, 0.0f, 1.3862944f, 0.0f};
    for (int i = 0; i < 4; i++)
        c[i] = (rp_candidate){.id = i, .logit = logits[i]};
    return 4;
}

TEST(filters_by_hand) {
    rp_candidate c[4];
    CHECK_INT(rp_keep_top_p(c, halves(c), 0.49), 1);
    CHECK_INT(c[0].id, 2);
    CHECK_INT(rp_keep_top_p(c, halves(c), 0.51), 2);
    CHECK_INT(c[1].id, 0);
    CHECK_INT(rp_keep_top_p(c, halves(c), 0.80), 3);
    CHECK_INT(c[2].id, 1); /* the lower id of the two that tie */
    CHECK_INT(rp_keep_min_p(c, halves(c), 0.3), 2);
    CHECK_INT(c[0].id, 0); /* order kept */
    CHECK_INT(rp_keep_min_p(c, halves(c), 0.2), 4);
    /* Entropy 1.75 bits: distances 0.25 (p 1/4), 0.75 (1/2), 1.25 (1/8, twice). */
    CHECK_INT(rp_keep_typical(c, halves(c), 0.2), 1);
    CHECK_INT(c[0].id, 0);
    CHECK_INT(rp_keep_typical(c, halves(c), 0.7), 2);
    CHECK_INT(c[1].id, 2);
    CHECK_INT(rp_keep_surprise(c, halves(c), 1, 2.5), 2);
    CHECK_INT(rp_keep_surprise(c, halves(c), 1, 0.5), 1);
    CHECK_INT(c[0].id, 2);
}

TEST_MAIN(top_k_is_the_front_of_the_order, top_p_is_the_shortest_front_with_the_mass, typical_is_nearest_to_the_entropy,
          min_p_and_mirostat_keep_by_threshold, filters_by_hand)
