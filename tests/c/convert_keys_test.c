/* runs: native wasm */
/* The list of keys: what is set is found, in order, in its place; the bytes are those of a GGUF file; memory that
 * runs out leaves the list as it was. */
#include "convert/keys.h"
#include "exercise.h"
#include "gguf_builder.h"
#include "test.h"

static rp_memory memory;
static exercise_host host;
static rp_error err;

static rp_keys *open_keys(void) {
    rp_keys *keys = NULL;
    host = (exercise_host){.limit = UINT64_C(1) << 30};
    rp_memory_init(&memory, &(rp_host){&host, exercise_alloc, exercise_release});
    CHECK_INT(rp_keys_open(&keys, &memory, &err), RP_OK);
    return keys;
}

static void close_keys(rp_keys *keys) {
    rp_keys_close(keys);
    CHECK_INT(memory.bytes_now, 0);
    CHECK_INT(host.held, 0);
    CHECK(!host.wrong_size);
}

/* Sets one key of every kind. */
static rp_status set_all(rp_keys *keys) {
    static const rp_span words[] = {{"a", 1}, {"", 0}, {"b\0c", 3}, {NULL, 0}};
    RP_TRY(rp_keys_set_string(keys, "general.architecture", "llama", 5, &err));
    RP_TRY(rp_keys_set_u32(keys, "number", 0x01020384, &err));
    RP_TRY(rp_keys_set_f32(keys, "real", -1.5f, &err));
    RP_TRY(rp_keys_set_bool(keys, "truth", true, &err));
    RP_TRY(rp_keys_set_u32s(keys, "list.numbers", (uint32_t[]){7, 8, 0xffffffff}, 3, &err));
    RP_TRY(rp_keys_set_i32s(keys, "list.signed", (int32_t[]){-1, 5}, 2, &err));
    RP_TRY(rp_keys_set_f32s(keys, "list.reals", (float[]){0.25f, -8}, 2, &err));
    RP_TRY(rp_keys_set_strings(keys, "list.words", words, RP_COUNT(words), &err));
    return rp_keys_set_u32s(keys, "list.nothing", NULL, 0, &err);
}

static void check_value(const rp_keys *keys, const char *key, rp_gguf_type type, bool is_array, uint64_t count,
                        const void *bytes, size_t size) {
    rp_gguf_value v;
    REQUIRE(rp_keys_find(keys, key, &v));
    CHECK_INT(v.type, type);
    CHECK_INT(v.is_array, is_array);
    CHECK_INT(v.count, count);
    CHECK_INT(v.size, size);
    CHECK(v.size == size && memcmp(v.data, bytes, size) == 0);
}

static void check_all(const rp_keys *keys) {
    static const char *const order[] = {"general.architecture", "number",      "real",       "truth",
                                        "list.numbers",         "list.signed", "list.reals", "list.words",
                                        "list.nothing"};
    CHECK_INT(rp_keys_count(keys), RP_COUNT(order));
    for (size_t i = 0; i < RP_COUNT(order) && i < rp_keys_count(keys); i++) {
        rp_gguf_value v;
        CHECK(rp_span_is(rp_keys_at(keys, i, &v), order[i]));
    }
    check_value(keys, "general.architecture", RP_GGUF_STRING, false, 1, "llama", 5);
    check_value(keys, "number", RP_GGUF_U32, false, 1, "\x84\x03\x02\x01", 4);
    check_value(keys, "real", RP_GGUF_F32, false, 1, "\0\0\xc0\xbf", 4);
    check_value(keys, "truth", RP_GGUF_BOOL, false, 1, "\1", 1);
    check_value(keys, "list.numbers", RP_GGUF_U32, true, 3, "\7\0\0\0\10\0\0\0\xff\xff\xff\xff", 12);
    check_value(keys, "list.signed", RP_GGUF_I32, true, 2, "\xff\xff\xff\xff\5\0\0\0", 8);
    check_value(keys, "list.reals", RP_GGUF_F32, true, 2, "\0\0\x80\x3e\0\0\0\xc1", 8);
    check_value(keys, "list.words", RP_GGUF_STRING, true, 4,
                "\1\0\0\0\0\0\0\0a\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0b\0c\0\0\0\0\0\0\0\0", 36);
    check_value(keys, "list.nothing", RP_GGUF_U32, true, 0, "", 0);
}

TEST(finds_what_was_set) {
    rp_keys *keys = open_keys();
    rp_gguf_value v;
    CHECK_INT(set_all(keys), RP_OK);
    check_all(keys);
    CHECK(!rp_keys_find(keys, "numbe", &v));
    CHECK(!rp_keys_find(keys, "numbers", &v));
    close_keys(keys);
}

TEST(replaces_in_place) {
    rp_keys *keys = open_keys();
    rp_gguf_value v, before;
    REQUIRE(set_all(keys) == RP_OK && rp_keys_find(keys, "list.reals", &before));
    CHECK_INT(rp_keys_set_string(keys, "number", "longer than four bytes", 22, &err), RP_OK);
    CHECK(rp_span_is(rp_keys_at(keys, 1, &v), "number"));
    check_value(keys, "number", RP_GGUF_STRING, false, 1, "longer than four bytes", 22);
    CHECK(rp_keys_find(keys, "list.reals", &v) && v.data == before.data);
    REQUIRE(rp_keys_find(keys, "list.words", &v));
    CHECK_INT(rp_keys_set(keys, "list.words", &v, &err), RP_OK); /* by itself */
    CHECK_INT(rp_keys_set_u32(keys, "number", 0x01020384, &err), RP_OK);
    check_all(keys);
    close_keys(keys);
}

TEST(removes) {
    rp_keys *keys = open_keys();
    rp_gguf_value v;
    REQUIRE(set_all(keys) == RP_OK);
    rp_keys_remove(keys, "number");
    rp_keys_remove(keys, "number");
    rp_keys_remove_all(keys, "list.");
    CHECK_INT(rp_keys_count(keys), 3);
    CHECK(rp_span_is(rp_keys_at(keys, 0, &v), "general.architecture"));
    CHECK(rp_span_is(rp_keys_at(keys, 1, &v), "real"));
    CHECK(rp_span_is(rp_keys_at(keys, 2, &v), "truth"));
    rp_keys_remove_all(keys, "");
    CHECK_INT(rp_keys_count(keys), 0);
    CHECK_INT(set_all(keys), RP_OK);
    check_all(keys);
    close_keys(keys);
}

TEST(many_keys) {
    rp_keys *keys = open_keys();
    char name[16];
    rp_gguf_value v;
    for (uint32_t i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "key.%d", (int)i);
        CHECK_INT(rp_keys_set_u32(keys, name, i, &err), RP_OK);
    }
    for (uint32_t i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "key.%d", (int)i);
        CHECK(rp_keys_find(keys, name, &v) && rp_gguf_int_at(&v, 0) == i);
    }
    close_keys(keys);
}

TEST(refuses_what_no_file_holds) {
    static char longest[65537];
    rp_keys *keys = open_keys();
    memset(longest, 'k', 65536);
    CHECK_INT(rp_keys_set_u32(keys, longest, 1, &err), RP_ERR_ARGUMENT);
    CHECK_INT(rp_keys_set_u32(keys, "", 1, &err), RP_ERR_ARGUMENT);
    CHECK_INT(rp_keys_set_u32(keys, longest + 1, 1, &err), RP_OK);
    const uint8_t bytes[12] = {2, 0, 0, 0, 0, 0, 0, 0, 'a', 'b'};
    const rp_gguf_value wrong[] = {
        {.type = RP_GGUF_U32, .count = 1, .data = bytes, .size = 3},
        {.type = RP_GGUF_U32, .count = 2, .data = bytes, .size = 8},
        {.type = RP_GGUF_U64, .is_array = true, .count = UINT64_C(1) << 61, .data = bytes, .size = 0},
        {.type = RP_GGUF_ARRAY, .is_array = true, .count = 1, .data = bytes, .size = 8},
        {.type = (rp_gguf_type)13, .count = 1, .data = bytes, .size = 1},
        {.type = RP_GGUF_STRING, .is_array = true, .count = 1, .data = bytes, .size = 9},
        {.type = RP_GGUF_STRING, .is_array = true, .count = 1, .data = bytes, .size = 11},
        {.type = RP_GGUF_STRING, .is_array = true, .count = 2, .data = bytes, .size = 10},
    };
    for (size_t i = 0; i < RP_COUNT(wrong); i++) {
        CHECK_INT(rp_keys_set(keys, "wrong", &wrong[i], &err), RP_ERR_ARGUMENT);
        CHECK(strstr(err.message, "wrong"));
    }
    rp_gguf_value right = {.type = RP_GGUF_STRING, .is_array = true, .count = 1, .data = bytes, .size = 10};
    CHECK_INT(rp_keys_set(keys, "right", &right, &err), RP_OK);
    CHECK_INT(rp_keys_count(keys), 2);
    close_keys(keys);
}

static gguf_build build;

static rp_gguf *open_header(void) {
    rp_gguf *gguf = NULL;
    size_t used;
    bool done = false;
    CHECK_INT(rp_gguf_open(&gguf, &memory, &err), RP_OK);
    CHECK_INT(rp_gguf_feed(gguf, build.bytes, build.size, &used, &done, &err), RP_OK);
    CHECK(done);
    return gguf;
}

TEST(copies_in_the_order_of_the_file) {
    rp_keys *keys = open_keys();
    gguf_build_small(&build);
    rp_gguf *gguf = open_header();
    CHECK_INT(rp_keys_set_u32(keys, "general.first", 1, &err), RP_OK);
    CHECK_INT(rp_keys_copy(keys, gguf, &err), RP_OK);
    CHECK_INT(rp_keys_count(keys), 1 + rp_gguf_key_count(gguf));
    const uint8_t *before = NULL;
    for (size_t i = 1; i < rp_keys_count(keys); i++) {
        rp_gguf_value v, original;
        char name[64] = {0};
        rp_span key = rp_keys_at(keys, i, &v);
        memcpy(name, key.data, RP_MIN(key.size, 63));
        REQUIRE(rp_gguf_find(gguf, name, &original));
        check_value(keys, name, original.type, original.is_array, original.count, original.data, original.size);
        CHECK(original.data > before);
        before = original.data;
    }
    rp_gguf_close(gguf);
    close_keys(keys);
}

TEST(memory_runs_out) {
    for (uint64_t fail_at = 1; fail_at < 100; fail_at++) {
        rp_keys *keys = open_keys();
        host.asked = 0;
        host.fail_at = fail_at;
        rp_status status = set_all(keys);
        CHECK(status == RP_OK || status == RP_ERR_MEMORY);
        host.fail_at = 0;
        size_t count = rp_keys_count(keys);
        CHECK(status == RP_OK ? count == 9 : count < 9);
        CHECK_INT(set_all(keys), RP_OK); /* goes on where it stopped */
        check_all(keys);
        close_keys(keys);
        if (status == RP_OK)
            return;
    }
    CHECK(!"no end of allocations");
}

TEST_MAIN(finds_what_was_set, replaces_in_place, removes, many_keys, refuses_what_no_file_holds,
          copies_in_the_order_of_the_file, memory_runs_out)
