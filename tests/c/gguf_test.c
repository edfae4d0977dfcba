/* Loading under fire: every truncation, bit flips all over a header, memory that runs out at each allocation.
 * What is checked each time: a named error in one printable line or a model that runs, and every byte given
 * back. Reads out of bounds are the sanitizers' part: this runs under ASan and UBSan too. */
#include "test.h"

#include "exercise.h"
#include "gguf_builder.h"

enum { EVERY_CUT = 4096, LATER_CUTS = 200, LIMIT = 64 << 20 };

static gguf_build small;

static bool one_line(const rp_error *err) {
    const char *end = memchr(err->message, 0, sizeof err->message);
    size_t length = end ? (size_t)(end - err->message) : sizeof err->message;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)err->message[i] < 0x20 || err->message[i] == 0x7f)
            return false;
    return length > 0 && end;
}

/* Loads and checks what holds for every file; `what` and `at` say which one it was. */
static exercise_result load(const uint8_t *bytes, size_t size, size_t piece, exercise_host host, const char *what,
                            size_t at) {
    host.limit = host.limit ? host.limit : LIMIT;
    exercise_result result = exercise(bytes, size, piece, &host);
    bool named = result.status == RP_OK || (result.status > RP_CONTEXT_FULL && result.status <= RP_ERR_MEMORY);
    bool good = named && (result.status == RP_OK || (result.error.status == result.status && one_line(&result.error)));
    if (!good || host.blocks || host.held || host.wrong_size) {
        CHECK(!"a named error in one line and all memory given back");
        test_print("  %s %zu: %s: %s; %" PRIu64 " blocks and %" PRIu64 " bytes kept%s\n", what, at,
                   rp_status_name(result.status), result.error.message, host.blocks, host.held,
                   host.wrong_size ? ", a size differs" : "");
    }
    return result;
}

TEST(loads_whatever_the_pieces) {
    gguf_build_small(&small);
    REQUIRE(small.header_bytes < 2048 && small.size > EVERY_CUT);
    exercise_result whole = load(small.bytes, small.size, small.size, (exercise_host){0}, "whole", 0);
    REQUIRE(whole.status == RP_OK);
    for (size_t piece = 1; piece <= 4096; piece = piece * 3 + 1) {
        exercise_result parts = load(small.bytes, small.size, piece, (exercise_host){0}, "pieces of", piece);
        CHECK_INT(parts.status, RP_OK);
        CHECK(parts.hash == whole.hash);
    }
}

TEST(truncated) {
    gguf_build_small(&small);
    for (size_t size = 0; size < EVERY_CUT; size++)
        CHECK_INT(load(small.bytes, size, size ? size : 1, (exercise_host){0}, "cut at", size).status, RP_ERR_FORMAT);
    size_t later = small.size - EVERY_CUT;
    for (size_t i = 0; i < LATER_CUTS; i++) {
        size_t size = EVERY_CUT + i * later / LATER_CUTS;
        CHECK_INT(load(small.bytes, size, 1000, (exercise_host){0}, "cut at", size).status, RP_ERR_FORMAT);
    }
    CHECK_INT(load(small.bytes, small.size - 1, 1000, (exercise_host){0}, "cut at", small.size - 1).status,
              RP_ERR_FORMAT);
}

/* Some changes give another good model (a name, a constant, a score); most must be refused. */
TEST(changed_header_bytes) {
    gguf_build_small(&small);
    size_t loaded = 0, refused = 0;
    for (size_t at = 0; at < small.header_bytes; at++) {
        uint8_t kept = small.bytes[at];
        for (int change = 0; change < 10; change++) {
            small.bytes[at] = change < 8 ? kept ^ (uint8_t)(1 << change) : change == 8 ? 0x00 : 0xff;
            if (load(small.bytes, small.size, small.size, (exercise_host){0}, "change at", at).status == RP_OK)
                loaded++;
            else
                refused++;
        }
        small.bytes[at] = kept;
    }
    test_print("  %zu changed headers loaded, %zu refused\n", loaded, refused);
    CHECK(refused > loaded);
}

/* A changed tensor must run: any bytes are weights. */
TEST(changed_weight_bytes) {
    gguf_build_small(&small);
    for (int i = 0; i < 500; i++) {
        size_t at = small.header_bytes + (size_t)(test_random() % (small.size - small.header_bytes));
        uint8_t kept = small.bytes[at];
        small.bytes[at] = i % 2 ? 0xff : 0x7f;
        CHECK_INT(load(small.bytes, small.size, small.size, (exercise_host){0}, "weight at", at).status, RP_OK);
        small.bytes[at] = kept;
    }
    memset(small.bytes + small.header_bytes, 0xff, small.size - small.header_bytes);
    CHECK_INT(load(small.bytes, small.size, small.size, (exercise_host){0}, "all weights NaN", 0).status, RP_OK);
}

static size_t fail_each(bool after) {
    size_t failures = 0;
    for (uint64_t nth = 1;; nth++) {
        exercise_host host = {.fail_at = nth, .fail_after = after};
        exercise_result result = load(small.bytes, small.size, 500, host, "allocation", (size_t)nth);
        if (result.status == RP_OK)
            return failures;
        CHECK_INT(result.status, RP_ERR_MEMORY);
        if (nth > 10000 || result.status != RP_ERR_MEMORY)
            return 0;
        failures++;
    }
}

TEST(memory_exhausted) {
    gguf_build_small(&small);
    size_t once = fail_each(false), after = fail_each(true);
    test_print("  %zu allocations failed one by one\n", once);
    CHECK(once >= 3);
    CHECK_INT(once, after);
}

/* A limit, instead of a count, on what the host gives. */
TEST(memory_limited) {
    gguf_build_small(&small);
    for (uint64_t limit = 1; limit < LIMIT; limit *= 2) {
        rp_status status =
            load(small.bytes, small.size, 500, (exercise_host){.limit = limit}, "limit", (size_t)limit).status;
        CHECK(status == RP_OK || status == RP_ERR_MEMORY);
    }
}

/* Random damage, several places at once; TEST_SEED=n takes other damage. */
TEST(random_damage) {
    for (int i = 0; i < 2000; i++) {
        gguf_build_small(&small);
        for (uint64_t changes = 1 + test_random() % 8; changes > 0; changes--)
            small.bytes[test_random() % small.header_bytes] = (uint8_t)test_random();
        load(small.bytes, small.size, 1 + (size_t)(test_random() % 3000), (exercise_host){0}, "damage", (size_t)i);
    }
}

TEST_MAIN(loads_whatever_the_pieces, truncated, changed_header_bytes, changed_weight_bytes, memory_exhausted,
          memory_limited, random_damage)
