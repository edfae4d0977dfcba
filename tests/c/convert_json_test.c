/* runs: native wasm */
/* JSON: what is read, what is refused and in which words, numbers against the C library's, memory that runs out. */
#include "test.h"

#include "convert/json.h"

#include "memory_folder.h"

#include <math.h>

static struct {
    rp_memory memory;
    failing_host host;
    rp_json_document *document;
    rp_error err;
    char dump[4096];
    size_t size;
} now;

static void close_now(void) {
    rp_json_close(now.document);
    now.document = NULL;
    CHECK_INT((int64_t)now.memory.bytes_now, 0);
}

/* The text is copied into a block of its very size: reading beyond it is what the sanitizer sees. */
static rp_status read_bytes(const char *text, size_t size) {
    now.host = (failing_host){.fail_at = now.host.fail_at};
    failing_memory(&now.memory, &now.host);
    char *copy = malloc(size ? size : 1);
    memcpy(copy, text, size);
    rp_status status = rp_json_read(&now.document, &now.memory, "x.json", copy, size, &now.err);
    free(copy);
    if (status != RP_OK) {
        CHECK(now.document == NULL);
        CHECK_INT((int64_t)now.memory.bytes_now, 0);
        CHECK_INT(now.err.status, status);
    }
    return status;
}

static rp_status read_text(const char *text) {
    return read_bytes(text, strlen(text));
}

static void put(const char *bytes, size_t size) {
    if (size < sizeof now.dump - now.size) {
        memcpy(now.dump + now.size, bytes, size);
        now.size += size;
    }
    now.dump[now.size] = 0;
}

/* Strings raw between ', a zero byte as ^; whole numbers as they are, others with #. */
static void dump(const rp_json *value) {
    static const char *const words[] = {"null", "false", "true"};
    char number[64];
    if (value->name) {
        put(value->name, value->name_size);
        put(":", 1);
    }
    if (value->kind <= RP_JSON_TRUE) {
        put(words[value->kind], strlen(words[value->kind]));
    } else if (value->kind == RP_JSON_NUMBER) {
        if (value->whole)
            snprintf(number, sizeof number, "%" PRId64, value->integer);
        else
            snprintf(number, sizeof number, "#%.17g", value->number);
        put(number, strlen(number));
    } else if (value->kind == RP_JSON_STRING) {
        put("'", 1);
        for (size_t i = 0; i < value->size; i++)
            put(value->string[i] ? value->string + i : "^", 1);
        put("'", 1);
        CHECK_INT(value->string[value->size], 0);
    } else {
        size_t count = 0;
        put(value->kind == RP_JSON_ARRAY ? "[" : "{", 1);
        for (const rp_json *child = value->child; child; child = child->next, count++) {
            if (count)
                put(",", 1);
            CHECK((child->name != NULL) == (value->kind == RP_JSON_OBJECT));
            dump(child);
        }
        put(value->kind == RP_JSON_ARRAY ? "]" : "}", 1);
        CHECK_INT((int64_t)count, (int64_t)value->size);
    }
}

static const char *dumped(void) {
    now.size = 0;
    now.dump[0] = 0;
    if (now.document)
        dump(rp_json_root(now.document));
    return now.dump;
}

TEST(good) {
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"null", "null"},
        {" \r\n\ttrue ", "true"},
        {"false", "false"},
        {"[]", "[]"},
        {"{ }", "{}"},
        {"[[],{},[[]]]", "[[],{},[[]]]"},
        {"[1,2 , 3]", "[1,2,3]"},
        {"{\"a\":1,\"b\":{\"c\":[true,null]},\"\":\"x\"}", "{a:1,b:{c:[true,null]},:'x'}"},
        {"{\"a\" : 1 , \"a\" : 2}", "{a:1,a:2}"},
        {"\"\"", "''"},
        {"\"a\\\"b\\\\c\\/d\\b\\f\\n\\r\\t\"", "'a\"b\\c/d\b\f\n\r\t'"},
        {"\"\\u0041\\u00e9\\u20AC\\uD83d\\uDE00\\uFFFF\"", "'A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbf'"},
        {"\"a\\u0000b\"", "'a^b'"},
        {"\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\x7f\"",
         "'\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\x7f'"},
        {"0", "0"},
        {"-0", "0"},
        {"[-1,10,1.0,1.5,1e3,1E+2,2e-1,-2.50e1,1e19]", "[-1,10,1,#1.5,1000,100,#0.20000000000000001,-25,#1e+19]"},
        {"[9223372036854775807,-9223372036854775808,9223372036854775808,-9223372036854775809]",
         "[9223372036854775807,-9223372036854775808,#9.2233720368547758e+18,#-9.2233720368547758e+18]"},
        {"[9007199254740993,9007199254740992.0,9007199254740994.0]",
         "[9007199254740993,9007199254740992,#9007199254740994]"},
        {"1000000000000000019884624838656", "#1e+30"},
        {"[1e-400,0e999999999999,0.0e-5]", "[0,0,0]"},
    };
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        CHECK_INT(read_text(cases[i].text), RP_OK);
        CHECK_TEXT(dumped(), cases[i].want);
        close_now();
    }
}

typedef struct bad_case {
    const char *text, *message;
} bad_case;

static void check_bad(const bad_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        CHECK_INT(read_text(cases[i].text), RP_ERR_FORMAT);
        if (!strstr(now.err.message, cases[i].message))
            CHECK_TEXT(now.err.message, cases[i].message);
        close_now();
    }
}

TEST(bad_values) {
    static const bad_case cases[] = {
        {"", "x.json: line 1: the text ends, want a value"},
        {" \n ", "line 2: the text ends, want a value"},
        {"nul", "line 1: 'n', want a value"},
        {"nulll", "line 1: 'l', want nothing behind"},
        {"True", "'T', want a value"},
        {"[1,]", "']', want a value"},
        {"[1,\n\n2", "line 3: the text ends, want a comma or ]"},
        {"[1 2]", "'2', want a comma or ]"},
        {"[1}", "'}', want a comma or ]"},
        {"{\"a\":1]", "']', want a comma or }"},
        {"{\"a\":1,}", "'}', want a member's name"},
        {"{,}", "',', want a member's name"},
        {"{a:1}", "'a', want a member's name"},
        {"{\"a\"}", "'}', want a colon"},
        {"{\"a\":}", "'}', want a value"},
        {"]", "']', want a value"},
        {"1 2", "'2', want nothing behind"},
        {"{}{}", "'{', want nothing behind"},
        {"// x\n1", "'/', want a value"},
        {"\xef\xbb\xbf{}", "byte 0xef, want a value"},
        {"01", "'1', want nothing behind"},
        {"+1", "'+', want a value"},
        {"-", "'-', want a value"},
        {"-a", "'-', want a value"},
        {".5", "'.', want a value"},
        {"1.", "'1', want a value"},
        {"1.e5", "'1', want a value"},
        {"1e", "'1', want a value"},
        {"1e+", "'1', want a value"},
        {"0x10", "'x', want nothing behind"},
        {"NaN", "'N', want a value"},
        {"Infinity", "'I', want a value"},
        {"1e309", "a number that a double can hold"},
        {"-1e99999999999999999999999", "a number that a double can hold"},
    };
    check_bad(cases, RP_COUNT(cases));
}

TEST(bad_strings) {
    static const bad_case cases[] = {
        {"\"", "the text ends, want a string's closing"},
        {"\"abc", "the text ends, want a string's closing"},
        {"\"a\nb\"", "byte 0x0a, want an escape"},
        {"\"a\tb\"", "byte 0x09, want an escape"},
        {"'a'", "''', want a value"},
        {"\"\\x41\"", "'x', want one of"},
        {"\"\\", "the text ends, want one of"},
        {"\"\\u12\"", "want four hexadecimal"},
        {"\"\\u12g4\"", "want four hexadecimal"},
        {"\"\\ud800\"", "half a surrogate pair"},
        {"\"\\ud800x\"", "half a surrogate pair"},
        {"\"\\ud800\\n\"", "half a surrogate pair"},
        {"\"\\ud800\\ud800\"", "half a surrogate pair"},
        {"\"\\udc00\"", "half a surrogate pair"},
        {"\"\\udc00\\ud800\"", "half a surrogate pair"},
        {"\"\\ud800\\u0041\"", "half a surrogate pair"},
        {"\"\x80\"", "byte 0x80, want UTF-8"},
        {"\"\xc0\xaf\"", "byte 0xc0, want UTF-8"},
        {"\"\xc3\"", "byte 0xc3, want UTF-8"},
        {"\"\xc3", "byte 0xc3, want UTF-8"},
        {"\"\xe0\x9f\xbf\"", "byte 0xe0, want UTF-8"},
        {"\"\xe2\x82\"", "byte 0xe2, want UTF-8"},
        {"\"\xed\xa0\x80\"", "byte 0xed, want UTF-8"},
        {"\"\xf0\x8f\xbf\xbf\"", "byte 0xf0, want UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "byte 0xf4, want UTF-8"},
        {"\"\xf5\x80\x80\x80\"", "byte 0xf5, want UTF-8"},
        {"\"\xf8\x88\x80\x80\x80\"", "byte 0xf8, want UTF-8"},
        {"{\"\xff\":1}", "byte 0xff, want UTF-8"},
    };
    check_bad(cases, RP_COUNT(cases));
    CHECK_INT(read_bytes("[\"a\0b\"]", 7), RP_ERR_FORMAT);
    CHECK_INT(read_bytes("\"\\\0\"", 4), RP_ERR_FORMAT);
    CHECK_INT(read_bytes("1\0", 2), RP_ERR_FORMAT);
}

TEST(depth) {
    enum { MOST = 64 };
    char text[4 * MOST + 8];
    for (size_t depth = MOST - 1; depth <= MOST + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        CHECK_INT(read_bytes(text, 2 * depth), depth <= MOST ? RP_OK : RP_ERR_FORMAT);
        close_now();
    }
    CHECK(strstr(now.err.message, "at most 64") != NULL);
    /* Many containers, one in another only twice. */
    enum { COUNT = 20000 };
    static char wide[3 * COUNT + 2];
    wide[0] = '[';
    for (size_t i = 0; i < COUNT; i++)
        memcpy(wide + 1 + 3 * i, i + 1 < COUNT ? "{}," : "{}]", 3);
    CHECK_INT(read_bytes(wide, 3 * COUNT + 1), RP_OK);
    REQUIRE(now.document != NULL);
    CHECK_INT((int64_t)rp_json_root(now.document)->size, COUNT);
    close_now();
}

TEST(truncated) {
    static const char text[] =
        "{\"a\": [1, -2.5e3, \"\\ud83d\\ude00\xc3\xa9\\n\"], \"b\": {\"c\": null, \"d\": [true, false]}}";
    for (size_t size = 0; size + 1 < sizeof text; size++) {
        CHECK_INT(read_bytes(text, size), RP_ERR_FORMAT);
        CHECK(strstr(now.err.message, "x.json: line 1: ") == now.err.message);
    }
    CHECK_INT(read_text(text), RP_OK);
    close_now();
}

/* Every double is found again from 17 digits, but for a neighbour now and then; what fits 15 digits exactly. */
static void check_number(const char *text, double want, bool exact) {
    CHECK_INT(read_text(text), RP_OK);
    if (!now.document)
        return;
    double is = rp_json_root(now.document)->number;
    bool near = is == want || is == nextafter(want, INFINITY) || is == nextafter(want, -INFINITY);
    if (!near || (exact && is != want)) {
        CHECK(!"the number is read right");
        test_print("  %s is %.17g, want %.17g\n", text, is, want);
    }
    close_now();
}

TEST(numbers) {
    static const char *const known[] = {"9007199254740993",
                                        "9007199254740995",
                                        "0.1",
                                        "1e-06",
                                        "1e-5",
                                        "5e-7",
                                        "10000.0",
                                        "0.02",
                                        "0.006",
                                        "500000.0",
                                        "1.5e22",
                                        "123456789012345e-22",
                                        "1e22",
                                        "0.30000000000000004",
                                        "4.35",
                                        "-0.000001"};
    static const char *const hard[] = {"1e23",
                                       "8.5e22",
                                       "9007199254740993.0",
                                       "2.2250738585072014e-308",
                                       "4.9e-324",
                                       "2.4703282292062328e-324",
                                       "1.7976931348623157e308",
                                       "6929495644600919.5e0",
                                       "123456789012345678901234567890",
                                       "0.1000000000000000055511151231257827",
                                       "1e-323",
                                       "3.7455744005952583e15",
                                       "2.2250738585072011e-308",
                                       "9.5367431640625e-7",
                                       "0.000000000000000000000000000000000000000000000000000000000000000000012345"};
    char text[64];
    size_t different = 0;
    for (size_t i = 0; i < RP_COUNT(known); i++)
        check_number(known[i], strtod(known[i], NULL), true);
    for (size_t i = 0; i < RP_COUNT(hard); i++)
        check_number(hard[i], strtod(hard[i], NULL), false);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = test_random();
        double value;
        memcpy(&value, &bits, sizeof value);
        if (value - value != 0)
            continue;
        snprintf(text, sizeof text, "%.17g", value);
        check_number(text, value, false);
        CHECK_INT(read_text(text), RP_OK);
        different += now.document && rp_json_root(now.document)->number != value;
        close_now();
        snprintf(text, sizeof text, "%.*g", 1 + (int)(test_random() % 15), (double)test_random_float() * 1000);
        check_number(text, strtod(text, NULL), true);
    }
    test_print("  %zu of 20000 doubles came back as a neighbour\n", different);
    CHECK(different < 40);
}

TEST(finding) {
    CHECK_INT(
        read_text("{\"a\":1,\"b\":\"text\",\"c\":true,\"d\":null,\"e\":-3,\"f\":1.5,\"a\":7,\"g\":[],\"z\\u0000\":1,"
                  "\"big\":4294967296,\"huge\":1e39,\"zero\":\"a\\u0000b\"}"),
        RP_OK);
    REQUIRE(now.document != NULL);
    const rp_json *root = rp_json_root(now.document);
    uint32_t number = 99;
    float real = 99;
    bool flag = false;
    const char *text = "kept";
    CHECK(rp_json_find(root, "nothing") == NULL);
    CHECK(rp_json_find(NULL, "a") == NULL);
    CHECK(rp_json_find(rp_json_find(root, "g"), "a") == NULL);
    CHECK(rp_json_find(root, "z") == NULL);
    CHECK_INT(rp_json_u32(root, "a", &number, &now.err), RP_OK);
    CHECK_INT(number, 7); /* the last one counts */
    CHECK_INT(rp_json_u32(root, "nothing", &number, &now.err), RP_OK);
    CHECK_INT(rp_json_u32(root, "d", &number, &now.err), RP_OK);
    CHECK_INT(number, 7);
    CHECK_INT(rp_json_u32(root, "e", &number, &now.err), RP_ERR_FORMAT);
    CHECK_TEXT(now.err.message, "\"e\" is -3, want an integer from 0 to 4294967295");
    CHECK_INT(rp_json_u32(root, "f", &number, &now.err), RP_ERR_FORMAT);
    CHECK_INT(rp_json_u32(root, "big", &number, &now.err), RP_ERR_FORMAT);
    CHECK_INT(rp_json_u32(root, "b", &number, &now.err), RP_ERR_FORMAT);
    CHECK_TEXT(now.err.message, "\"b\" is a string, want an integer from 0 to 4294967295");
    CHECK_INT(rp_json_f32(root, "f", &real, &now.err), RP_OK);
    CHECK(real == 1.5f);
    CHECK_INT(rp_json_f32(root, "huge", &real, &now.err), RP_ERR_FORMAT);
    CHECK_INT(rp_json_bool(root, "c", &flag, &now.err), RP_OK);
    CHECK(flag);
    CHECK_INT(rp_json_bool(root, "a", &flag, &now.err), RP_ERR_FORMAT);
    CHECK_INT(rp_json_string(root, "d", &text, &now.err), RP_OK);
    CHECK_TEXT(text, "kept");
    CHECK_INT(rp_json_string(root, "b", &text, &now.err), RP_OK);
    CHECK_TEXT(text, "text");
    CHECK_INT(rp_json_string(root, "zero", &text, &now.err), RP_ERR_FORMAT);
    CHECK_INT(rp_json_string(root, "g", &text, &now.err), RP_ERR_FORMAT);
    CHECK(rp_json_is(rp_json_find(root, "b"), "text"));
    CHECK(!rp_json_is(rp_json_find(root, "b"), "tex"));
    CHECK(!rp_json_is(rp_json_find(root, "a"), "7"));
    CHECK(!rp_json_is(NULL, ""));
    close_now();
}

TEST(memory_exhausted) {
    static char text[30000];
    size_t size = 1;
    text[0] = '[';
    for (int i = 0; i < 3000; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s\"%d\"", i ? "," : "", i);
    text[size++] = ']';
    size_t failures = 0;
    for (uint64_t nth = 1;; nth++) {
        now.host.fail_at = nth;
        rp_status status = read_bytes(text, size);
        if (status == RP_OK)
            break;
        CHECK_INT(status, RP_ERR_MEMORY);
        failures++;
        if (failures > 100)
            break;
    }
    now.host.fail_at = 0;
    CHECK_INT((int64_t)failures, 5); /* the document, the strings, three pages */
    close_now();
}

TEST_MAIN(good, bad_values, bad_strings, depth, truncated, numbers, finding, memory_exhausted)
