/* runs: native wasm */
/* src/text.c. Small cases as a reader would put them, then random token sequences against what the text must be:
 * all bytes joined, read as UTF-8 by a second decoder written here, cut at the stop that ends first; and after every
 * push, what is held back is compared with the definition by trying every length. */
#include "../../src/text.h"
#include "test.h"

/* A vocabulary: token i is words[i], which may hold a zero byte only at its end. */
static const char *word_bytes(const void *user, int32_t id, size_t *size) {
    const char *word = ((const char *const *)user)[id];
    *size = word ? strlen(word) : 0;
    return word;
}

static rp_memory memory;

static rp_text *open_text(const char *const *words, uint32_t vocab, const char *const *stops, size_t stop_count) {
    rp_text *text = NULL;
    rp_error err;
    rp_token_source tokens = {.vocab = vocab, .user = words, .bytes = word_bytes};
    rp_memory_init(&memory, &(rp_host){0});
    if (rp_text_open_core(&text, &memory, &tokens, stops, stop_count, &err) != RP_OK) {
        test_print("%s\n", err.message);
        CHECK(!"the text opens");
    }
    return text;
}

static void close_text(rp_text *text) {
    rp_text_close(text);
    CHECK_INT(memory.bytes_now, 0);
}

/* All pieces with a '|' after each push, then "!" for a stop or what finish gives. */
static const char *pieces(const char *const *words, uint32_t vocab, const char *const *stops, size_t stop_count) {
    static char out[512];
    size_t length = 0, size = 0;
    const char *piece = NULL;
    rp_text *text = open_text(words, vocab, stops, stop_count);
    bool going = true;
    for (uint32_t id = 0; id < vocab && going; id++) {
        going = rp_text_push(text, (int32_t)id, &piece, &size);
        memcpy(out + length, piece, size);
        length += size;
        out[length++] = '|';
    }
    if (!going) {
        CHECK(!rp_text_push(text, 0, &piece, &size) && size == 0);
        out[length++] = '!';
    }
    rp_text_finish(text, &piece, &size);
    memcpy(out + length, piece, size);
    out[length + size] = 0;
    close_text(text);
    return out;
}

#define WORDS(...) (const char *const[]){__VA_ARGS__}, RP_COUNT(((const char *const[]){__VA_ARGS__}))

TEST(plain_text_is_shown_at_once) {
    CHECK_TEXT(pieces(WORDS("Once", " upon", "", " a time", NULL, "."), NULL, 0), "Once| upon|| a time||.|");
}

TEST(characters_are_never_split) {
    CHECK_TEXT(pieces(WORDS("a\xf0", "\x9f", "\x98", "\x80z"), NULL, 0), "a|||\xf0\x9f\x98\x80z|");
    CHECK_TEXT(pieces(WORDS("\xc3", "\xa9\xe2\x82", "\xac"), NULL, 0), "|\xc3\xa9|\xe2\x82\xac|");
}

TEST(what_is_no_utf8_is_replaced) {
    CHECK_TEXT(pieces(WORDS("a\x80", "b"), NULL, 0), "a\xef\xbf\xbd|b|");
    CHECK_TEXT(pieces(WORDS("\xf0\x9f", "x"), NULL, 0), "|\xef\xbf\xbdx|");
    CHECK_TEXT(pieces(WORDS("\xf0\x9f\x98"), NULL, 0), "|\xef\xbf\xbd");
    CHECK_TEXT(pieces(WORDS("\xf0\x9f", "\xf0\x9f\x98\x80"), NULL, 0), "|\xef\xbf\xbd\xf0\x9f\x98\x80|");
    CHECK_TEXT(pieces(WORDS("\xc0\xaf"), NULL, 0), "\xef\xbf\xbd\xef\xbf\xbd|");                 /* overlong */
    CHECK_TEXT(pieces(WORDS("\xed\xa0\x80"), NULL, 0), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|"); /* surrogate */
    CHECK_TEXT(pieces(WORDS("\xf4\x90"), NULL, 0), "\xef\xbf\xbd\xef\xbf\xbd|");                 /* above U+10FFFF */
    CHECK_TEXT(pieces(WORDS("\xe2\x82", "\xe2\x82", "\xac"), NULL, 0), "|\xef\xbf\xbd|\xe2\x82\xac|");
}

TEST(stops_end_the_text) {
    CHECK_TEXT(pieces(WORDS("Hi", " EN", "D now"), WORDS("END")), "Hi| ||!");
    CHECK_TEXT(pieces(WORDS("one END two"), WORDS("END")), "one |!");
    CHECK_TEXT(pieces(WORDS("END"), WORDS("END")), "|!");
    CHECK_TEXT(pieces(WORDS("a EN", "x"), WORDS("END")), "a |ENx|");
    CHECK_TEXT(pieces(WORDS("a EN"), WORDS("END")), "a |EN");
    CHECK_TEXT(pieces(WORDS("E", "N", "E", "N", "D"), WORDS("END")), "||EN|||!");
    CHECK_TEXT(pieces(WORDS("aa", "ab", "x"), WORDS("aab")), "|a|!");
}

TEST(stops_overlap) {
    CHECK_TEXT(pieces(WORDS("xabc", "d"), WORDS("abcd", "bc")), "xa|!"); /* the first to end */
    CHECK_TEXT(pieces(WORDS("xab", "cd"), WORDS("bcd", "abcd", "cd")),
               "x||!"); /* of those that end there, the longest */
    CHECK_TEXT(pieces(WORDS("abab", "c"), WORDS("ababd", "babc")), "|a|!");
    CHECK_TEXT(pieces(WORDS("aaa", "aaa", "b"), WORDS("aaaab")), "|aa||!");
    CHECK_TEXT(pieces(WORDS("</", "s", ">"), WORDS("</s>", "</s", "<")), "|!");
    CHECK_TEXT(pieces(WORDS("ab"), WORDS("a", "a", "a")), "|!");
}

TEST(stops_meet_characters) {
    /* The stop begins inside a character that is held back for its own sake. */
    CHECK_TEXT(pieces(WORDS("a\xf0\x9f", "\x98\x80", "b"), WORDS("\xf0\x9f\x98\x80"
                                                                 "b")),
               "a|||!");
    CHECK_TEXT(pieces(WORDS("a\xf0\x9f", "\x98\x80", "c"), WORDS("\xf0\x9f\x98\x80"
                                                                 "b")),
               "a||\xf0\x9f\x98\x80"
               "c|");
    /* The first byte alone is not the stop's: another character comes of it. */
    CHECK_TEXT(pieces(WORDS("\xc3", "\xa8"), WORDS("\xc3\xa9")), "|\xc3\xa8|");
    CHECK_TEXT(pieces(WORDS("\x80", "."), WORDS("\xef\xbf\xbd.")), "||!");
    CHECK_TEXT(pieces(WORDS("x\xe2\x82"), WORDS("\xef\xbf\xbd")), "x|"); /* completed by finish */
}

TEST(finish_begins_a_new_text) {
    const char *piece;
    size_t size;
    const char *const words[] = {"EN", "D", "\xc3", "a"};
    rp_text *text = open_text(words, 4, WORDS("END"));
    for (int turn = 0; turn < 3; turn++) {
        CHECK(rp_text_push(text, 0, &piece, &size) && size == 0);
        CHECK(!rp_text_push(text, 1, &piece, &size) && size == 0);
        rp_text_finish(text, &piece, &size);
        CHECK_INT(size, 0);
        CHECK(rp_text_push(text, 2, &piece, &size) && size == 0);
        rp_text_finish(text, &piece, &size);
        CHECK_INT(size, 3);
        CHECK(rp_text_push(text, 1, &piece, &size) && size == 1);
        CHECK(rp_text_push(text, 3, &piece, &size) && size == 1);
        CHECK(rp_text_push(text, -1, &piece, &size) && size == 0);
        CHECK(rp_text_push(text, 4, &piece, &size) && size == 0);
        rp_text_finish(text, &piece, &size);
        CHECK_INT(size, 0);
    }
    close_text(text);
}

/* ---- Random sequences ---- */

typedef struct bytes {
    uint8_t at[4096];
    size_t count;
} bytes;

static void append(bytes *to, const void *from, size_t count) {
    memcpy(to->at + to->count, from, count);
    to->count += count;
}

/* Length of the longest beginning of a character at p, and whether it is whole: by trying all code points' forms. */
static size_t character(const uint8_t *p, size_t left, bool *whole) {
    static const struct {
        uint8_t low[4], high[4], count;
    } forms[] = {
        {{0}, {0x7f}, 1},
        {{0xc2, 0x80}, {0xdf, 0xbf}, 2},
        {{0xe0, 0xa0, 0x80}, {0xe0, 0xbf, 0xbf}, 3},
        {{0xe1, 0x80, 0x80}, {0xec, 0xbf, 0xbf}, 3},
        {{0xed, 0x80, 0x80}, {0xed, 0x9f, 0xbf}, 3},
        {{0xee, 0x80, 0x80}, {0xef, 0xbf, 0xbf}, 3},
        {{0xf0, 0x90, 0x80, 0x80}, {0xf0, 0xbf, 0xbf, 0xbf}, 4},
        {{0xf1, 0x80, 0x80, 0x80}, {0xf3, 0xbf, 0xbf, 0xbf}, 4},
        {{0xf4, 0x80, 0x80, 0x80}, {0xf4, 0x8f, 0xbf, 0xbf}, 4},
    };
    for (size_t f = 0; f < RP_COUNT(forms); f++) {
        size_t n = 0;
        while (n < forms[f].count && n < left && p[n] >= forms[f].low[n] && p[n] <= forms[f].high[n])
            n++;
        *whole = n == forms[f].count;
        if (n > 0)
            return n;
    }
    *whole = false;
    return 0;
}

/* Reads `in` as far as it is decided, or to its end. */
static void decode(const bytes *in, bool ended, bytes *out) {
    out->count = 0;
    for (size_t i = 0; i < in->count;) {
        bool whole;
        size_t n = character(in->at + i, in->count - i, &whole);
        if (!whole && n > 0 && i + n == in->count && !ended)
            return;
        append(out, whole ? (const void *)(in->at + i) : "\xef\xbf\xbd", whole ? n : 3);
        i += n ? n : 1;
    }
}

/* Cuts the text where the first stop begins; false when there is none. */
static bool cut(bytes *text, const char *const *stops, size_t stop_count) {
    for (size_t end = 1; end <= text->count; end++) {
        size_t longest = 0;
        for (size_t s = 0; s < stop_count; s++) {
            size_t n = strlen(stops[s]);
            if (n <= end && n > longest && memcmp(text->at + end - n, stops[s], n) == 0)
                longest = n;
        }
        if (longest > 0) {
            text->count = end - longest;
            return true;
        }
    }
    return false;
}

static size_t must_hold(const bytes *text, const char *const *stops, size_t stop_count) {
    size_t held = 0;
    for (size_t s = 0; s < stop_count; s++)
        for (size_t n = 1; n < strlen(stops[s]) && n <= text->count; n++)
            if (n > held && memcmp(text->at + text->count - n, stops[s], n) == 0)
                held = n;
    return held;
}

static void check_equal(const bytes *is, const bytes *want, const char *what) {
    bool same = is->count == want->count && memcmp(is->at, want->at, is->count) == 0;
    if (!same)
        test_print("%s: \"%.*s\", want \"%.*s\"\n", what, (int)is->count, (const char *)is->at, (int)want->count,
                   (const char *)want->at);
    CHECK(same);
}

/* Few letters, so that stops nearly match all the time, and characters in pieces. */
static void random_word(char *word, size_t most) {
    static const char *const parts[] = {
        "a", "b", "a", "b", "\xc3\xa9", "\xc3", "\xa9", "\xf0\x9f", "\x98\x80", "\xe2\x82\xac", "\xff", "\xef\xbf\xbd"};
    size_t count = test_random() % most;
    *word = 0;
    for (size_t i = 0; i < count; i++)
        strcat(word, parts[test_random() % (test_random() % 2 ? 4 : RP_COUNT(parts))]);
}

static void random_stop(char *stop) {
    static const char *const parts[] = {"a", "b", "a", "b", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xef\xbf\xbd"};
    size_t count = 1 + test_random() % 6;
    *stop = 0;
    for (size_t i = 0; i < count; i++)
        strcat(stop, parts[test_random() % (test_random() % 2 ? 4 : RP_COUNT(parts))]);
}

static void one_random_text(int *stopped) {
    enum { VOCAB = 12, STOPS = 4 };
    char words[VOCAB][64], stop_texts[STOPS][64];
    const char *word_at[VOCAB], *stop_at[STOPS], *piece;
    size_t stop_count = test_random() % (STOPS + 1), pushes = test_random() % 40, size;
    static bytes raw, shown, want;
    for (int i = 0; i < VOCAB; i++)
        random_word(words[i], 5), word_at[i] = words[i];
    for (int i = 0; i < STOPS; i++)
        random_stop(stop_texts[i]), stop_at[i] = stop_texts[i];
    rp_text *text = open_text(word_at, VOCAB, stop_at, stop_count);
    raw.count = shown.count = 0;
    bool going = true;
    for (size_t i = 0; i < pushes && going; i++) {
        int32_t id = (int32_t)(test_random() % VOCAB);
        append(&raw, words[id], strlen(words[id]));
        going = rp_text_push(text, id, &piece, &size);
        append(&shown, piece, size);
        decode(&raw, false, &want);
        CHECK(going == !cut(&want, stop_at, stop_count));
        if (going)
            want.count -= must_hold(&want, stop_at, stop_count);
        check_equal(&shown, &want, "shown");
    }
    rp_text_finish(text, &piece, &size);
    append(&shown, piece, size);
    decode(&raw, true, &want);
    cut(&want, stop_at, stop_count);
    check_equal(&shown, &want, "in all");
    *stopped += !going;
    close_text(text);
}

TEST(random_texts_are_what_they_must_be) {
    int stopped = 0;
    for (int round = 0; round < 10000; round++)
        one_random_text(&stopped);
    test_print("%d of 10000 met a stop\n", stopped);
    CHECK(stopped > 1000 && stopped < 9000);
}

/* ---- Options and memory ---- */

static void check_refused(const char *const *stops, size_t stop_count, const char *want) {
    rp_error err = {0};
    rp_text *text = (rp_text *)&err;
    rp_token_source tokens = {.vocab = 1, .user = (const char *const[]){"a"}, .bytes = word_bytes};
    rp_memory_init(&memory, &(rp_host){0});
    CHECK_INT(rp_text_open_core(&text, &memory, &tokens, stops, stop_count, &err), RP_ERR_ARGUMENT);
    CHECK(text == NULL && memory.bytes_now == 0);
    CHECK_TEXT(err.message, want);
}

TEST(bad_stops_are_named) {
    check_refused(NULL, 2, "stops: want an array of 2, is NULL");
    check_refused(WORDS("a", ""), "stop 2: want at least one character, is empty");
    check_refused(WORDS("a", NULL), "stop 2: want at least one character, is empty");
    check_refused(WORDS("\xa9"), "stop 1: want UTF-8, has other bytes");
    check_refused(WORDS("a\xc3"), "stop 1: want UTF-8, has other bytes");
    char *large = malloc(RP_TEXT_STOPS_MAX);
    REQUIRE(large);
    memset(large, 'a', RP_TEXT_STOPS_MAX);
    large[RP_TEXT_STOPS_MAX - 1] = 0;
    check_refused(WORDS(large, "bb"), "stops: want at most 1048576 bytes in all, has more");
    free(large);
}

static int allocations_left;

static void *stingy(void *user, size_t size) {
    (void)user;
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void give_back(void *user, void *block, size_t size) {
    (void)user, (void)size;
    free(block);
}

TEST(memory_runs_out_at_every_allocation) {
    rp_token_source tokens = {.vocab = 2, .user = (const char *const[]){"a", "bcd"}, .bytes = word_bytes};
    int refused = 0;
    for (;; refused++) {
        rp_error err;
        rp_text *text;
        allocations_left = refused;
        rp_memory_init(&memory, &(rp_host){.alloc = stingy, .release = give_back});
        rp_status status = rp_text_open_core(&text, &memory, &tokens, WORDS("abcb", "x"), &err);
        if (status == RP_OK) {
            const char *piece;
            size_t size;
            allocations_left = 0; /* nothing is taken after opening */
            for (int i = 0; i < 100; i++)
                CHECK(rp_text_push(text, i % 3 == 0, &piece, &size));
            close_text(text);
            break;
        }
        CHECK_INT(status, RP_ERR_MEMORY);
        CHECK(text == NULL);
        CHECK_INT(memory.bytes_now, 0);
    }
    CHECK_INT(refused, 5);
}

TEST_MAIN(plain_text_is_shown_at_once, characters_are_never_split, what_is_no_utf8_is_replaced, stops_end_the_text,
          stops_overlap, stops_meet_characters, finish_begins_a_new_text, random_texts_are_what_they_must_be,
          bad_stops_are_named, memory_runs_out_at_every_allocation)
