/* runs: native wasm */
/* src/sampler.c, src/sampler_history.c and src/logits.c (the filters have sampler_filters_test.c). Penalties and DRY
 * are seen through the greedy pick, the draw is judged by frequencies, the whole chain by a hash that native and
 * WebAssembly must share; logits that no model should make must still give an id in range. */
#include "../../src/math.h"
#include "../../src/sampler.h"
#include "test.h"

enum { VOCAB = 300 };

static rp_memory memory;

static const char *spelled(const void *user, int32_t id, size_t *size) {
    const char *const *words = user;
    const char *word = words ? words[id] : "x";
    *size = strlen(word);
    return word;
}

static rp_sampler *open_sampler(uint32_t vocab, const char *const *words, rp_sampler_options options) {
    rp_error err;
    rp_sampler *sampler = NULL;
    rp_token_source tokens = {.vocab = vocab, .user = words, .bytes = spelled};
    rp_memory_init(&memory, &(rp_host){0});
    if (rp_sampler_open_core(&sampler, &memory, &tokens, &options, &err) != RP_OK) {
        test_print("%s\n", err.message);
        CHECK(!"the sampler opens");
    }
    return sampler;
}

static void close_sampler(rp_sampler *sampler) {
    rp_sampler_close(sampler);
    CHECK_INT(memory.bytes_now, 0);
}

/* ---- Penalties and DRY, seen through the greedy pick ---- */

/* Raises the other logits until the pick changes: returns the logit of `id` after all penalties, to 1/1024. */
static float effective(rp_sampler *sampler, const float *logits, uint32_t vocab, const int32_t *history, size_t length,
                       int32_t id) {
    float low = -64, high = 64;
    while (high - low > 0x1p-11f) {
        float row[16], middle = (low + high) / 2;
        rp_sampler_reset(sampler);
        for (size_t i = 0; i < length; i++)
            rp_sampler_accept(sampler, history[i]);
        for (uint32_t i = 0; i < vocab; i++)
            row[i] = -RP_INFINITY;
        row[id] = logits[id];
        row[vocab - 1] = middle; /* never in the history */
        if (rp_sampler_pick(sampler, row) == id)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void check_near(float is, float want) {
    if (!(is - want < 0x1p-10f && want - is < 0x1p-10f))
        test_print("is %f, want %f\n", (double)is, (double)want);
    CHECK(is - want < 0x1p-10f && want - is < 0x1p-10f);
}

TEST(penalties_by_hand) {
    const float logits[4] = {3, -3, 2, 0};
    const int32_t history[] = {0, 1, 1};
    rp_sampler *s = open_sampler(4, NULL, (rp_sampler_options){.repeat_penalty = 1.5f});
    check_near(effective(s, logits, 4, history, 3, 0), 2);
    check_near(effective(s, logits, 4, history, 3, 1), -4.5f);
    check_near(effective(s, logits, 4, history, 3, 2), 2);
    close_sampler(s);
    s = open_sampler(4, NULL, (rp_sampler_options){.presence_penalty = 0.5f, .frequency_penalty = 0.25f});
    check_near(effective(s, logits, 4, history, 3, 0), 2.25f);
    check_near(effective(s, logits, 4, history, 3, 1), -4);
    check_near(effective(s, logits, 4, history, 3, 2), 2);
    close_sampler(s);
    /* Only the last two are looked at. */
    s = open_sampler(4, NULL, (rp_sampler_options){.frequency_penalty = 1, .penalty_last = 2});
    const int32_t longer[] = {2, 2, 2, 0, 2};
    check_near(effective(s, logits, 4, longer, 5, 0), 2);
    check_near(effective(s, logits, 4, longer, 5, 2), 1);
    check_near(effective(s, logits, 4, longer, 3, 2), 0);
    check_near(effective(s, logits, 4, longer, 5, 1), -3);
    close_sampler(s);
}

TEST(history_rings_forget) {
    for (uint32_t last = 1; last < 9; last++) {
        rp_sampler *s = open_sampler(4, NULL, (rp_sampler_options){.frequency_penalty = 1, .penalty_last = last});
        int32_t history[40];
        const float logits[4] = {1, 1, 1, 0};
        for (size_t i = 0; i < 40; i++) {
            float counts[3] = {0};
            history[i] = (int32_t)(test_random() % 3);
            for (size_t j = i + 1 > last ? i + 1 - last : 0; j <= i; j++)
                counts[history[j]]++;
            int32_t id = (int32_t)(test_random() % 3);
            check_near(effective(s, logits, 4, history, i + 1, id), 1 - counts[id]);
        }
        close_sampler(s);
    }
}

static const char *const alphabet[] = {"a", "b", "c", "y", ":", "say:", "\n\n", "end"};

TEST(dry_by_hand) {
    rp_sampler *s = open_sampler(8, alphabet, (rp_sampler_options){.dry_multiplier = 1, .dry_base = 2});
    const float logits[8] = {0};
    /* llama.cpp's own example: a b c c b c y a b c; c would make it four long, b two, y three. Allowed: 2. */
    const int32_t text[] = {0, 1, 2, 2, 1, 2, 3, 0, 1, 2};
    check_near(effective(s, logits, 8, text, 10, 2), -2);
    check_near(effective(s, logits, 8, text, 10, 3), -1);
    check_near(effective(s, logits, 8, text, 10, 1), 0);
    check_near(effective(s, logits, 8, text, 10, 0), 0);
    /* A breaker two back leaves a match of one: nothing. Three back: two, so both weigh the same. */
    const int32_t broken[] = {0, 5, 1, 2, 3, 0, 5, 1, 2};
    check_near(effective(s, logits, 8, broken, 9, 3), -1);
    const int32_t nearer[] = {0, 1, 4, 2, 3, 0, 1, 4, 2};
    check_near(effective(s, logits, 8, nearer, 9, 3), 0);
    /* A breaker itself is never held against anyone. */
    const int32_t before[] = {0, 1, 2, 6, 0, 1, 2};
    check_near(effective(s, logits, 8, before, 7, 6), 0);
    const int32_t plain[] = {0, 1, 2, 3, 0, 1, 2};
    check_near(effective(s, logits, 8, plain, 7, 3), -2);
    close_sampler(s);
    s = open_sampler(8, alphabet, (rp_sampler_options){.dry_multiplier = 1, .dry_base = 2, .dry_last = 5});
    check_near(effective(s, logits, 8, plain, 7, 3), 0); /* c y a b c: the match is one long */
    close_sampler(s);
}

TEST(dry_follows_its_definition) {
    rp_sampler *s = open_sampler(
        8, alphabet, (rp_sampler_options){.dry_multiplier = 0.5f, .dry_base = 1.5f, .dry_allowed = 1, .dry_last = 20});
    const float logits[8] = {0};
    for (int round = 0; round < 300; round++) {
        int32_t text[40];
        int length = (int)(test_random() % 40), first, id = (int)(test_random() % 7), longest = 0;
        for (int i = 0; i < length; i++)
            text[i] = (int32_t)(test_random() % (round % 2 ? 3 : 5));
        first = length > 20 ? length - 20 : 0;
        for (int end = first; end + 1 < length; end++) {
            int n = 0;
            while (end - n >= first && text[end - n] == text[length - 1 - n] && text[end - n] != 4)
                n++;
            if (text[end + 1] == id && id != 4 && id < 5 && n > longest)
                longest = n;
        }
        double want = longest >= 1 && length - first > 1 ? -0.5 * rp_pow(1.5, longest - 1) : 0;
        if (want > -60)
            check_near(effective(s, logits, 8, text, (size_t)length, id), (float)want);
    }
    close_sampler(s);
}

/* ---- Draws ---- */

TEST(generator_is_the_published_one) {
    /* xoshiro256** from state 1, 2, 3, 4, as its reference program prints; splitmix64 of 1234567. */
    uint64_t state[4] = {1, 2, 3, 4};
    const uint64_t want[] = {11520, 0, 1509978240, UINT64_C(1215971899390074240)};
    for (int i = 0; i < 4; i++)
        CHECK(rp_random_next(state) == want[i]);
    rp_random_seed(state, 1234567);
    CHECK(state[0] == UINT64_C(6457827717110365317) && state[1] == UINT64_C(3203168211198807973));
    CHECK(state[2] == UINT64_C(9817491932198370423));
}

/* Draws often and compares with the probabilities given, four standard deviations wide. */
static void check_frequencies(rp_sampler_options options, const float *logits, const double *want, size_t vocab) {
    enum { DRAWS = 200000 };
    int seen[8] = {0};
    rp_sampler *s = open_sampler((uint32_t)vocab, NULL, options);
    for (int i = 0; i < DRAWS; i++)
        seen[rp_sampler_pick(s, logits)]++;
    for (size_t i = 0; i < vocab; i++) {
        double off = seen[i] / (double)DRAWS - want[i];
        CHECK(want[i] > 0 || seen[i] == 0);
        CHECK(off * off <= 16 * want[i] * (1 - want[i]) / DRAWS);
    }
    close_sampler(s);
}

TEST(frequencies_are_the_probabilities) {
    const float logits[4] = {0.6931472f, 0.0f, 1.3862944f, 0.0f}; /* 1/4 1/8 1/2 1/8 */
    check_frequencies((rp_sampler_options){.temperature = 1}, logits, (double[]){0.25, 0.125, 0.5, 0.125}, 4);
    check_frequencies((rp_sampler_options){.temperature = 0.5f}, logits,
                      (double[]){4 / 22.0, 1 / 22.0, 16 / 22.0, 1 / 22.0}, 4);
    check_frequencies((rp_sampler_options){.temperature = 1, .top_k = 3}, logits,
                      (double[]){2 / 7.0, 1 / 7.0, 4 / 7.0, 0}, 4);
    check_frequencies((rp_sampler_options){.temperature = 1, .top_p = 0.7f}, logits, (double[]){1 / 3.0, 0, 2 / 3.0, 0},
                      4);
    /* Filters see the probabilities before temperature. */
    check_frequencies((rp_sampler_options){.temperature = 2, .min_p = 0.4f}, logits,
                      (double[]){0.41421356, 0, 0.58578644, 0}, 4);
    check_frequencies((rp_sampler_options){.temperature = 1, .typical_p = 0.2f}, logits, (double[]){1, 0, 0, 0}, 4);
    const rp_logit_bias bias[] = {{2, -RP_INFINITY}, {1, 0.6931472f}};
    check_frequencies((rp_sampler_options){.temperature = 1, .bias = bias, .bias_count = 2}, logits,
                      (double[]){0.4, 0.4, 0, 0.2}, 4);
    /* An order is felt: top-k 2 first leaves 2/3 and 1/3, of which top-p 0.6 keeps one. */
    check_frequencies((rp_sampler_options){.temperature = 1, .top_k = 2, .top_p = 0.6f}, logits, (double[]){0, 0, 1, 0},
                      4);
}

TEST(mirostat_holds_its_target) {
    float logits[VOCAB];
    for (int i = 0; i < VOCAB; i++)
        logits[i] = -1.1f * (float)rp_log(1.0 + i); /* Zipf */
    for (int tau = 2; tau <= 4; tau++) {
        rp_sampler *s = open_sampler(VOCAB, NULL, (rp_sampler_options){.temperature = 1, .mirostat_tau = (float)tau});
        CHECK(rp_sampler_mirostat_mu(s) == 2.0 * tau);
        double start = rp_sampler_mirostat_mu(s);
        for (int i = 0; i < 20000; i++)
            rp_sampler_pick(s, logits);
        /* mu moves by eta * (tau - surprise) each time: a bounded mu means that the mean surprise is tau. */
        double drift = (rp_sampler_mirostat_mu(s) - start) / 20000 / 0.1;
        CHECK(drift < 0.02 && drift > -0.02);
        rp_sampler_reset(s);
        CHECK(rp_sampler_mirostat_mu(s) == start);
        close_sampler(s);
    }
    /* By hand: p 1/4 1/8 1/2 1/8, mu 2: keeps 1/4 and 1/2 (2/3 and 1/3 now), surprise log2 1.5 or log2 3. */
    const float four[4] = {0.6931472f, 0.0f, 1.3862944f, 0.0f};
    rp_sampler *s =
        open_sampler(4, NULL, (rp_sampler_options){.temperature = 1, .mirostat_tau = 1.0001f, .mirostat_eta = 0.5f});
    int32_t id = rp_sampler_pick(s, four);
    double surprise = id == 2 ? 0.5849625 : 1.5849625, want = 2.0002 - 0.5 * (surprise - 1.0001);
    CHECK(id == 0 || id == 2);
    CHECK(rp_sampler_mirostat_mu(s) - want < 1e-5 && want - rp_sampler_mirostat_mu(s) < 1e-5);
    close_sampler(s);
}

/* ---- The whole ---- */

TEST(seed_decides_and_bits_are_the_same_everywhere) {
    const rp_logit_bias bias[] = {{7, 1.5f}, {9, -RP_INFINITY}};
    const rp_sampler_options all[] = {
        {.temperature = 1, .seed = 1},
        {.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .seed = 2},
        {.temperature = 1.2f, .typical_p = 0.7f, .repeat_penalty = 1.1f, .seed = 3, .bias = bias, .bias_count = 2},
        {.temperature = 0.9f, .mirostat_tau = 3, .presence_penalty = 0.3f, .frequency_penalty = 0.1f, .seed = 4},
        {.temperature = 1, .dry_multiplier = 0.8f, .top_p = 0.9f, .seed = UINT64_MAX},
        {.dry_multiplier = 0.8f, .repeat_penalty = 1.3f},
    };
    uint64_t hash = RP_HASH_START;
    for (size_t o = 0; o < RP_COUNT(all); o++) {
        rp_sampler *s = open_sampler(VOCAB, NULL, all[o]);
        int32_t first[500];
        float logits[VOCAB];
        for (int run = 0; run < 2; run++) {
            test_now.random = 99; /* logits must not follow TEST_SEED */
            for (int i = 0; i < 500; i++) {
                for (int j = 0; j < VOCAB; j++)
                    logits[j] = test_random_float() * 8;
                uint64_t before = rp_logits_hash(logits, VOCAB);
                int32_t id = rp_sampler_pick(s, logits);
                CHECK(rp_logits_hash(logits, VOCAB) == before);
                CHECK(id != 9 || o != 2);
                if (run == 1)
                    CHECK_INT(id, first[i]);
                first[i] = id;
            }
            rp_sampler_reset(s);
        }
        hash = rp_hash_bytes(hash, first, sizeof first);
        close_sampler(s);
    }
    if (hash != UINT64_C(0x78426ac952d9fc7e))
        test_print("ids hash to 0x%016" PRIx64 "\n", hash);
    CHECK(hash == UINT64_C(0x78426ac952d9fc7e));
}

static rp_sampler_options random_options(rp_logit_bias *bias) {
    rp_sampler_options o = {.temperature = 0.7f, .seed = test_random()};
    uint64_t on = test_random();
    if (on & 1)
        o.top_k = 1 + test_random() % 12;
    if (on & 2)
        o.top_p = 0.5f;
    if (on & 4)
        o.min_p = 0.1f;
    if (on & 8)
        o.typical_p = 0.5f;
    if (on & 16)
        o.repeat_penalty = 1.3f, o.penalty_last = 1 + test_random() % 5;
    if (on & 32)
        o.frequency_penalty = on & 64 ? 3e38f : -3e38f;
    if (on & 128)
        o.dry_multiplier = 3e38f, o.dry_base = 3e38f, o.dry_allowed = 1 + test_random() % 3;
    if (on & 256)
        o.mirostat_tau = on & 512 ? 3e38f : 2, o.mirostat_eta = on & 1024 ? 3e38f : 0;
    if (on & 2048)
        o.temperature = on & 4096 ? 0 : on & 8192 ? 0x1p-149f : 3e38f;
    if (on & 16384) {
        *bias = (rp_logit_bias){(int32_t)(test_random() % 10), on & 32768 ? -RP_INFINITY : 3.4e38f};
        o.bias = bias;
        o.bias_count = 1;
    }
    return o;
}

TEST(hostile_logits_give_an_id) {
    const float odd[] = {0x1p-149f,    -0x1p-149f, FLT_MAX, -FLT_MAX,          RP_INFINITY,
                         -RP_INFINITY, 0,          -0.0f,   __builtin_nanf("")};
    for (int round = 0; round < 3000; round++) {
        rp_logit_bias bias;
        rp_sampler_options options = random_options(&bias);
        rp_sampler *s = open_sampler(10, NULL, options);
        float logits[10];
        for (int i = 0; i < 10; i++)
            logits[i] = round % 3 == 0   ? odd[round / 3 % 9]
                        : round % 3 == 1 ? odd[test_random() % 9]
                                         : test_random_float();
        for (int i = 0; i < 12; i++) {
            int32_t id = rp_sampler_pick(s, logits);
            CHECK(id >= 0 && id < 10);
        }
        rp_sampler_accept(s, -1);
        rp_sampler_accept(s, 10);
        rp_sampler_accept(s, INT32_MAX);
        close_sampler(s);
    }
}

TEST(hostile_logits_follow_the_rules) {
    const float nan = __builtin_nanf(""), low = -RP_INFINITY, high = RP_INFINITY;
    check_frequencies((rp_sampler_options){.temperature = 1}, (float[]){nan, 0, low, 0}, (double[]){0, 0.5, 0, 0.5}, 4);
    check_frequencies((rp_sampler_options){.temperature = 1}, (float[]){high, 0, nan, high}, (double[]){0.5, 0, 0, 0.5},
                      4);
    check_frequencies((rp_sampler_options){.temperature = 1}, (float[]){low, nan, low, low}, (double[]){1, 0, 0, 0}, 4);
    check_frequencies((rp_sampler_options){0}, (float[]){low, nan, low, low}, (double[]){1, 0, 0, 0}, 4);
    check_frequencies((rp_sampler_options){0}, (float[]){nan, 2, 3, 3}, (double[]){0, 0, 1, 0}, 4);
    check_frequencies((rp_sampler_options){.temperature = 1}, (float[]){5, 5, 5, 5}, (double[]){0.25, 0.25, 0.25, 0.25},
                      4);
    check_frequencies((rp_sampler_options){.temperature = 1, .top_k = 2}, (float[]){5, 5, 5, 5},
                      (double[]){0.5, 0.5, 0, 0}, 4);
    const rp_logit_bias forbid = {0, low};
    check_frequencies((rp_sampler_options){.temperature = 1, .bias = &forbid, .bias_count = 1},
                      (float[]){high, 0, high, nan}, (double[]){0, 0, 1, 0}, 4);
    check_frequencies((rp_sampler_options){.bias = &forbid, .bias_count = 1}, (float[]){high, 0, 1, nan},
                      (double[]){0, 0, 1, 0}, 4);
    const float one = -3;
    check_frequencies((rp_sampler_options){.temperature = 1, .top_p = 0.5f, .typical_p = 0.5f}, &one, (double[]){1}, 1);
}

static void check_refused(rp_sampler_options options, const char *want) {
    rp_error err = {0};
    rp_sampler *s = (rp_sampler *)&err;
    rp_token_source tokens = {.vocab = 10, .bytes = spelled};
    rp_memory_init(&memory, &(rp_host){0});
    CHECK_INT(rp_sampler_open_core(&s, &memory, &tokens, &options, &err), RP_ERR_ARGUMENT);
    CHECK(s == NULL && memory.bytes_now == 0);
    CHECK_TEXT(err.message, want);
}

TEST(bad_options_are_named) {
    const float nan = __builtin_nanf("");
    check_refused((rp_sampler_options){.temperature = -1}, "temperature: want 0 or more, is -1");
    check_refused((rp_sampler_options){.temperature = RP_INFINITY}, "temperature: want 0 or more, is inf");
    check_refused((rp_sampler_options){.top_p = 1.5f}, "top_p: want 0 to 1, is 1.5");
    check_refused((rp_sampler_options){.min_p = -0.25f}, "min_p: want 0 to 1, is -0.25");
    check_refused((rp_sampler_options){.typical_p = 2}, "typical_p: want 0 to 1, is 2");
    check_refused((rp_sampler_options){.repeat_penalty = -2}, "repeat_penalty: want 0 or more, is -2");
    check_refused((rp_sampler_options){.presence_penalty = RP_INFINITY},
                  "presence_penalty: want a finite number, is inf");
    check_refused((rp_sampler_options){.frequency_penalty = -RP_INFINITY},
                  "frequency_penalty: want a finite number, is -inf");
    check_refused((rp_sampler_options){.penalty_last = 1048577}, "penalty_last: want 0 to 1048576, is 1048577");
    check_refused((rp_sampler_options){.dry_multiplier = -1}, "dry_multiplier: want 0 or more, is -1");
    check_refused((rp_sampler_options){.dry_base = 0.5f}, "dry_base: want 0 (the default) or 1 or more, is 0.5");
    check_refused((rp_sampler_options){.dry_last = 4294967295u}, "dry_last: want 0 to 1048576, is 4.2949673e+09");
    check_refused((rp_sampler_options){.mirostat_tau = -1}, "mirostat_tau: want 0 or more, is -1");
    check_refused((rp_sampler_options){.mirostat_eta = -1}, "mirostat_eta: want 0 or more, is -1");
    check_refused((rp_sampler_options){.bias_count = 1}, "bias: want an array of 1, is NULL");
    check_refused((rp_sampler_options){.bias = &(rp_logit_bias){10, 1}, .bias_count = 1},
                  "bias: want an id of 0 to 9, is 10");
    check_refused((rp_sampler_options){.bias = &(rp_logit_bias){-1, 1}, .bias_count = 1},
                  "bias: want an id of 0 to 9, is -1");
    check_refused((rp_sampler_options){.bias = &(rp_logit_bias){3, RP_INFINITY}, .bias_count = 1},
                  "bias of id 3: want a finite number or -inf, is inf");
    const size_t floats[] = {offsetof(rp_sampler_options, temperature),  offsetof(rp_sampler_options, top_p),
                             offsetof(rp_sampler_options, min_p),        offsetof(rp_sampler_options, dry_base),
                             offsetof(rp_sampler_options, mirostat_tau), offsetof(rp_sampler_options, repeat_penalty)};
    for (size_t i = 0; i < RP_COUNT(floats); i++) {
        rp_sampler_options options = {0};
        rp_error err;
        rp_sampler *s;
        rp_token_source tokens = {.vocab = 10, .bytes = spelled};
        memcpy((char *)&options + floats[i], &nan, sizeof nan);
        CHECK_INT(rp_sampler_open_core(&s, &memory, &tokens, &options, &err), RP_ERR_ARGUMENT);
    }
}

static int allocations_left;

static void *stingy(void *user, size_t bytes) {
    (void)user;
    return allocations_left-- > 0 ? malloc(bytes) : NULL;
}

static void give_back(void *user, void *block, size_t bytes) {
    (void)user, (void)bytes;
    free(block);
}

TEST(memory_runs_out_at_every_allocation) {
    const rp_logit_bias bias = {1, 1};
    const rp_sampler_options options = {
        .temperature = 1, .repeat_penalty = 1.1f, .dry_multiplier = 1, .bias = &bias, .bias_count = 1};
    rp_token_source tokens = {.vocab = 10, .bytes = spelled};
    int refused = 0;
    for (;; refused++) {
        rp_error err;
        rp_sampler *s;
        allocations_left = refused;
        rp_memory_init(&memory, &(rp_host){.alloc = stingy, .release = give_back});
        rp_status status = rp_sampler_open_core(&s, &memory, &tokens, &options, &err);
        if (status == RP_OK) {
            /* Nothing is taken after opening. */
            allocations_left = 0;
            for (int i = 0; i < 100; i++)
                rp_sampler_pick(s, (float[10]){1, 2, 3});
            close_sampler(s);
            break;
        }
        CHECK_INT(status, RP_ERR_MEMORY);
        CHECK(s == NULL);
        CHECK_INT(memory.bytes_now, 0);
    }
    CHECK_INT(refused, 9);
}

TEST(logits_sum_and_hash) {
    const float nan = __builtin_nanf(""), other_nan = rp_f32_from_bits(0xffc12345u);
    CHECK(rp_logits_logsumexp((float[]){0, 0, 0, 0}, 4) == rp_log(4));
    CHECK(rp_logits_logsumexp((float[]){nan, 7, nan}, 3) == 7);
    CHECK(rp_logits_logsumexp((float[]){nan, -RP_INFINITY}, 2) == -(double)RP_INFINITY);
    CHECK(rp_logits_logsumexp((float[]){1, RP_INFINITY}, 2) == (double)RP_INFINITY);
    CHECK(rp_logits_logsumexp(NULL, 0) == -(double)RP_INFINITY);
    float row[VOCAB];
    for (int round = 0; round < 100; round++) {
        double sum = 0;
        for (int i = 0; i < VOCAB; i++)
            sum += rp_exp((double)(row[i] = test_random_float() * 20));
        double off = rp_logits_logsumexp(row, VOCAB) - rp_log(sum);
        CHECK(off < 2e-7 && off > -2e-7);
    }
    CHECK(rp_logits_hash(NULL, 0) == RP_HASH_START);
    CHECK(rp_logits_hash((float[]){1, nan}, 2) == rp_logits_hash((float[]){1, other_nan}, 2));
    CHECK(rp_logits_hash((float[]){0.0f}, 1) != rp_logits_hash((float[]){-0.0f}, 1));
    CHECK(rp_logits_hash((float[]){1, 2}, 2) != rp_logits_hash((float[]){2, 1}, 2));
    CHECK(rp_logits_hash((float[]){1.0f}, 1) == rp_hash_bytes(RP_HASH_START, "\0\0\x80\x3f", 4));
}

TEST_MAIN(penalties_by_hand, history_rings_forget, dry_by_hand, dry_follows_its_definition,
          generator_is_the_published_one, frequencies_are_the_probabilities, mirostat_holds_its_target,
          seed_decides_and_bits_are_the_same_everywhere, hostile_logits_give_an_id, hostile_logits_follow_the_rules,
          bad_options_are_named, memory_runs_out_at_every_allocation, logits_sum_and_hash)
