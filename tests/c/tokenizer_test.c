/* runs: native wasm */
/* The tokenizer on vocabularies small enough to follow by hand: what both families do with a text, what tokens give
 * back, and what becomes of metadata that is wrong and of memory that runs out. Ids of real vocabularies are compared
 * with llama.cpp in tests/js/tokenizer.test.js. */
#include "test.h"

#include "tokenizer.h"

#include "gguf_builder.h"

enum { STRING = 8, I32 = 5, F32 = 6 };

static gguf_build file;
static struct {
    rp_memory memory;
    rp_gguf *gguf;
    rp_tokenizer *tokenizer;
    rp_error err;
    uint64_t asked, fail_at;
} now;

static void *counting_alloc(void *user, size_t bytes) {
    (void)user;
    return ++now.asked == now.fail_at ? NULL : malloc(bytes);
}

static void counting_release(void *user, void *memory, size_t bytes) {
    (void)user;
    (void)bytes;
    free(memory);
}

static void put_strings(const char *key, size_t count, const char *const *texts) {
    gguf_build_array(&file, key, STRING, count);
    for (size_t i = 0; i < count; i++)
        gguf_build_text(&file, texts[i]);
}

static void put_numbers(const char *key, uint32_t type, size_t count, const uint32_t *values) {
    gguf_build_array(&file, key, type, count);
    for (size_t i = 0; i < count; i++)
        gguf_build_u32_raw(&file, values[i]);
}

static void put_bool(const char *key, bool value) {
    gguf_build_key(&file, key, 7);
    gguf_build_raw(&file, value ? "\1" : "\0", 1);
}

static void put_floats(const char *key, size_t count, const float *values) {
    gguf_build_array(&file, key, F32, count);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], 4);
        gguf_build_u32_raw(&file, bits);
    }
}

/* Opens what was put into the file. */
static rp_status open_file(void) {
    size_t used;
    bool done = false;
    file.bytes[16] = (uint8_t)file.keys;
    while (file.size % GGUF_BUILD_ALIGNMENT)
        gguf_build_raw(&file, "", 1);
    now.asked = 0;
    rp_memory_init(&now.memory, &(rp_host){.alloc = counting_alloc, .release = counting_release});
    now.tokenizer = NULL;
    rp_status status = rp_gguf_open(&now.gguf, &now.memory, &now.err);
    if (status == RP_OK)
        status = rp_gguf_feed(now.gguf, file.bytes, file.size, &used, &done, &now.err);
    return status == RP_OK ? rp_tokenizer_open(&now.tokenizer, now.gguf, &now.memory, &now.err) : status;
}

static void close_file(void) {
    rp_tokenizer_close(now.tokenizer);
    rp_gguf_close(now.gguf);
    now.tokenizer = NULL;
    now.gguf = NULL;
    CHECK_INT(now.memory.bytes_now, 0);
}

/* Opens, expects failure, closes. */
static void check_refused(rp_status want, const char *named) {
    CHECK_INT(open_file(), want);
    if (now.err.status != want || !strstr(now.err.message, named))
        CHECK_TEXT(now.err.message, named);
    close_file();
}

static const char *const spm_tokens[] = {"<unk>", "<s>", "</s>", "<0x61>", "<0xC3>",     "▁",  "b", "c",
                                         "bc",    "▁b",  "cb",   "bcb",    "<|im_end|>", "  ", "é", "<0x7g>"};
static const uint32_t spm_types[] = {2, 3, 3, 6, 6, 1, 1, 1, 1, 1, 1, 1, 1, 4, 1, 6};
static const float spm_scores[] = {0, 0, 0, 0, 0, -9, -9, -9, -2, -3, -1, -4, 0, 0, -9, 0};

static void put_spm(void) {
    gguf_build_start(&file);
    gguf_build_string(&file, "tokenizer.ggml.model", "llama");
    put_strings("tokenizer.ggml.tokens", 16, spm_tokens);
    put_numbers("tokenizer.ggml.token_type", I32, 16, spm_types);
    put_floats("tokenizer.ggml.scores", 16, spm_scores);
}

static const char *const bpe_tokens[] = {"a",       "b",   "c", "Ġ", "ab", "bc", "abc", "Ġa",
                                         "<|end|>", "<u>", "Ã", "©", "ï",  "¿",  "½",   "é"};
static const uint32_t bpe_types[] = {1, 1, 1, 1, 1, 1, 1, 1, 3, 4, 1, 1, 1, 1, 1, 1};
static const char *const bpe_merges[] = {"b c", "a b", "a bc", "Ġ a"};

static void put_bpe(const char *pre, size_t merges, const char *const *texts) {
    gguf_build_start(&file);
    gguf_build_string(&file, "tokenizer.ggml.model", "gpt2");
    if (pre)
        gguf_build_string(&file, "tokenizer.ggml.pre", pre);
    put_strings("tokenizer.ggml.tokens", 16, bpe_tokens);
    put_numbers("tokenizer.ggml.token_type", I32, 16, bpe_types);
    put_strings("tokenizer.ggml.merges", merges, texts);
}

/* Tokenizes and writes the ids in decimal, for comparing. */
static const char *ids_of(const char *text, size_t size, unsigned flags) {
    static char out[512];
    int32_t ids[64];
    size_t count = 0, at = 0;
    out[0] = 0;
    if (rp_tokenizer_encode(now.tokenizer, text, size, flags, ids, 64, &count, &now.err) != RP_OK)
        return now.err.message;
    for (size_t i = 0; i < count && i < 64; i++)
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%d", i ? " " : "", (int)ids[i]);
    return out;
}

static const char *ids(const char *text, unsigned flags) {
    return ids_of(text, strlen(text), flags);
}

static const char *bytes(int32_t id) {
    static char out[64];
    size_t size = 0;
    const char *text = rp_tokenizer_bytes_of(now.tokenizer, id, &size);
    if (!text || size >= sizeof out)
        return NULL;
    memcpy(out, text, size);
    out[size] = 0;
    return out;
}

TEST(sentencepiece) {
    put_spm();
    REQUIRE(open_file() == RP_OK);
    CHECK_TEXT(ids("bcb", 0), "9 10"); /* "cb" first, then "▁b" */
    CHECK_TEXT(ids("a", 0), "5 3");    /* byte fallback */
    CHECK_TEXT(ids("z", 0), "5 0");    /* no token for the byte: unknown */
    CHECK_TEXT(ids("é\xc3\xff", 0), "5 14 4 0");
    CHECK_TEXT(ids(" b", 0), "5 9");      /* the space that is put first is not the text's */
    CHECK_TEXT(ids("b  b", 0), "9 13 9"); /* user-defined, flag or not; a space is put behind it */
    CHECK_TEXT(ids("", 0), "");
    CHECK_TEXT(ids("", RP_TOKENIZE_BOS), "1");
    CHECK_TEXT(ids("b", RP_TOKENIZE_BOS), "1 9");
    CHECK_TEXT(ids("<s>b", RP_TOKENIZE_BOS | RP_TOKENIZE_SPECIAL), "1 9"); /* not doubled */
    CHECK_TEXT(ids("<s><s>b", RP_TOKENIZE_BOS | RP_TOKENIZE_SPECIAL), "1 1 9");
    CHECK_TEXT(ids("b<s>", RP_TOKENIZE_BOS | RP_TOKENIZE_SPECIAL), "1 9 1");
    CHECK_TEXT(ids("b</s>c<unk>", RP_TOKENIZE_SPECIAL), "9 2 5 7 0");
    CHECK_TEXT(ids("bcb", RP_TOKENIZE_CONTINUES), "11"); /* no space is put first */
    CHECK_TEXT(ids("b</s>b", RP_TOKENIZE_CONTINUES | RP_TOKENIZE_SPECIAL), "6 2 9");
    close_file();
}

TEST(sentencepiece_without_space) {
    put_spm();
    put_bool("tokenizer.ggml.add_space_prefix", false);
    put_bool("tokenizer.ggml.add_bos_token", false);
    REQUIRE(open_file() == RP_OK);
    CHECK_TEXT(ids("bcb", RP_TOKENIZE_BOS), "11"); /* "cb", then "bcb" */
    CHECK_TEXT(ids("b  b", 0), "6 13 6");
    close_file();
}

TEST(sentencepiece_bytes) {
    put_spm();
    REQUIRE(open_file() == RP_OK);
    size_t size = 9;
    CHECK_TEXT(bytes(9), " b");
    CHECK_TEXT(bytes(3), "a");
    CHECK_TEXT(bytes(4), "\xc3");
    CHECK_TEXT(bytes(15), "\x07"); /* as far as it is hexadecimal */
    CHECK_TEXT(bytes(13), "  ");
    CHECK_TEXT(bytes(0), "");  /* unknown */
    CHECK_TEXT(bytes(1), "");  /* control */
    CHECK_TEXT(bytes(12), ""); /* control by its name */
    CHECK(!rp_tokenizer_bytes_of(now.tokenizer, -1, &size) && size == 0);
    CHECK(!rp_tokenizer_bytes_of(now.tokenizer, 16, &size));
    CHECK(!rp_tokenizer_piece_of(now.tokenizer, INT32_MAX, &size));
    const char *piece = rp_tokenizer_piece_of(now.tokenizer, 9, &size);
    CHECK(size == 4 && memcmp(piece, "▁b", 4) == 0);
    CHECK(rp_tokenizer_ends(now.tokenizer, 2) && rp_tokenizer_ends(now.tokenizer, 12));
    CHECK(!rp_tokenizer_ends(now.tokenizer, 1) && !rp_tokenizer_ends(now.tokenizer, -1));
    CHECK_INT(rp_tokenizer_bos(now.tokenizer), 1);
    CHECK_INT(rp_tokenizer_eos(now.tokenizer), 2);
    CHECK_INT(rp_tokenizer_vocab(now.tokenizer), 16);
    close_file();
}

TEST(byte_level) {
    put_bpe("gpt-2", 4, bpe_merges);
    REQUIRE(open_file() == RP_OK);
    CHECK_TEXT(ids("abc", 0), "6"); /* "bc" has the lower rank, then "a bc" */
    CHECK_TEXT(ids("ab ab ac", 0), "4 3 4 7 2");
    CHECK_TEXT(ids("a<u>a<|end|>", 0), "0 9 0"); /* what has no token is left out, as llama.cpp does */
    CHECK_TEXT(ids("a<|end|>a", RP_TOKENIZE_SPECIAL), "0 8 0");
    CHECK_TEXT(ids("é", 0), "10 11");
    CHECK_TEXT(ids("\xff", 0), "12 13 14");                                        /* U+FFFD */
    CHECK_TEXT(ids("\xf4\x90\x80\x80", 0), "12 13 14 12 13 14 12 13 14 12 13 14"); /* beyond U+10FFFF */
    CHECK_TEXT(ids("", RP_TOKENIZE_BOS | RP_TOKENIZE_SPECIAL), "");
    CHECK_TEXT(ids_of("a\0b", 3, 0), "0 1");
    CHECK_TEXT(bytes(7), " a");
    CHECK_TEXT(bytes(10), "\xc3");
    CHECK_TEXT(bytes(15), "\xe9");
    CHECK_TEXT(bytes(9), "<u>");
    CHECK_TEXT(bytes(8), "");
    CHECK_INT(rp_tokenizer_bos(now.tokenizer), -1);
    CHECK_INT(rp_tokenizer_eos(now.tokenizer), -1);
    CHECK(rp_tokenizer_ends(now.tokenizer, 8));
    close_file();
}

TEST(capacity_is_no_limit) {
    put_bpe("gpt-2", 0, NULL);
    REQUIRE(open_file() == RP_OK);
    int32_t out[4] = {7, 7, 7, 7};
    size_t count = 0;
    CHECK_INT(rp_tokenizer_encode(now.tokenizer, "abcabc", 6, 0, out, 3, &count, &now.err), RP_OK);
    CHECK_INT(count, 6);
    CHECK(out[2] == 2 && out[3] == 7);
    CHECK_INT(rp_tokenizer_encode(now.tokenizer, "abc", 3, 0, NULL, 0, &count, &now.err), RP_OK);
    CHECK_INT(count, 3);
    CHECK_INT(rp_tokenizer_encode(now.tokenizer, "abc", SIZE_MAX / 2, 0, NULL, 0, &count, &now.err), RP_ERR_ARGUMENT);
    close_file();
}

TEST(ignored_merges) {
    put_bpe("llama-bpe", 0, NULL);
    REQUIRE(open_file() == RP_OK);
    CHECK_TEXT(ids("abc", 0), "6"); /* a word that is a token, though no merge leads there */
    CHECK_TEXT(ids("abcb", 0), "0 1 2 1");
    close_file();
}

TEST(merges_through_texts_that_are_no_tokens) {
    static const char *const merges[] = {"c a", "ca b", "Ġ ca", "b b", "nospace", "", "x ", " x", "c a"};
    put_bpe("gpt-2", 9, merges);
    REQUIRE(open_file() == RP_OK);
    CHECK_TEXT(ids("cab", 0), "2 0 1"); /* "cab" is no token: its letters */
    CHECK_TEXT(ids("ca", 0), "2 0");    /* nor is "ca", which merges know */
    CHECK_TEXT(ids("bb", 0), "1 1");
    close_file();
}

TEST(the_first_of_equal_merges_counts) {
    put_bpe("gpt-2", 3, (const char *const[]){"a b", "b c", "a b"});
    REQUIRE(open_file() == RP_OK);
    CHECK_TEXT(ids("abc", 0), "4 2");
    close_file();
}

TEST(control_and_user_defined_tokens_of_one_length) {
    static const uint32_t types[] = {3, 4, 1};
    gguf_build_start(&file);
    gguf_build_string(&file, "tokenizer.ggml.model", "gpt2");
    put_strings("tokenizer.ggml.tokens", 3, (const char *const[]){"<c>", "<u>", "a"});
    put_numbers("tokenizer.ggml.token_type", I32, 3, types);
    put_strings("tokenizer.ggml.merges", 0, NULL);
    REQUIRE(open_file() == RP_OK);
    CHECK_TEXT(ids("<c>a<u>", 0), "2 1");
    CHECK_TEXT(ids("<c>a<u>", RP_TOKENIZE_SPECIAL), "0 2 1");
    close_file();
}

#define GUARD "\xef\xb7\x90"

static bool same_ids(const char *text, unsigned flags, const char *other, unsigned other_flags) {
    char kept[512];
    snprintf(kept, sizeof kept, "%s", ids(text, flags));
    return strcmp(kept, ids(other, other_flags)) == 0;
}

/* Behind a guard a token's spelling is text; guards leave no trace. */
TEST(guards) {
    enum { SPECIAL = RP_TOKENIZE_SPECIAL, GUARDED = RP_TOKENIZE_GUARDED, BOTH = SPECIAL | GUARDED };
    put_spm();
    REQUIRE(open_file() == RP_OK);
    CHECK(!same_ids("<s>b", SPECIAL, "<s>b", 0));
    CHECK(same_ids("<s>b", BOTH, "<s>b", SPECIAL));
    CHECK(same_ids(GUARD "<s>b", BOTH, "<s>b", 0));
    CHECK(same_ids("<" GUARD "s>b", BOTH, "<s>b", 0));
    CHECK(same_ids("<s" GUARD ">" GUARD GUARD "b" GUARD, BOTH, "<s>b", 0));
    CHECK(same_ids("<s>" GUARD "b", BOTH, "<s>b", SPECIAL));
    CHECK(same_ids("b" GUARD "c", GUARDED, "bc", 0)); /* merged across */
    CHECK(same_ids(GUARD "<s>", BOTH | RP_TOKENIZE_BOS, "<s>", RP_TOKENIZE_BOS));
    CHECK(same_ids(GUARD, GUARDED | RP_TOKENIZE_BOS, "", RP_TOKENIZE_BOS));
    CHECK(!same_ids("b" GUARD, SPECIAL, "b", SPECIAL)); /* without the flag it is text */
    CHECK(strstr(ids(GUARD "<s></s>", BOTH), " 2"));    /* only what it stands before */
    CHECK(rp_tokenizer_is_control(now.tokenizer, 1) && !rp_tokenizer_is_control(now.tokenizer, 6));
    CHECK(!rp_tokenizer_is_control(now.tokenizer, -1) && !rp_tokenizer_is_control(now.tokenizer, 16));
    close_file();
    put_bpe("gpt-2", 4, bpe_merges);
    REQUIRE(open_file() == RP_OK);
    CHECK_TEXT(ids("abc<|end|>", BOTH), "6 8");
    CHECK(same_ids("abc" GUARD "<|end|>a", BOTH, "abc<|end|>a", 0));
    CHECK_TEXT(ids("a" GUARD "bc", GUARDED), "6");
    CHECK_TEXT(ids("a<u>", GUARDED), "0 9");            /* user-defined tokens are read in any text */
    CHECK(!strstr(ids("a" GUARD "<u>", GUARDED), "9")); /* but not behind a guard */
    CHECK_TEXT(ids("a" GUARD " a<u>" GUARD, GUARDED), "0 7 9");
    close_file();
}

/* Words as each pre-tokenizer cuts them, seen through a vocabulary that joins whatever a word holds. */
TEST(words) {
    static const char *const tokens[] = {"a",  "1",  "'",  "s",  "S",  "Ġ",   "aa",  "11",
                                         "'s", "'S", "ĠĠ", "Ġa", "Ġ1", "111", "'Sa", "Ċ"};
    static const char *const merges[] = {"a a", "1 1", "' s", "' S", "Ġ Ġ", "Ġ a", "Ġ 1", "11 1", "'S a"};
    static const struct {
        const char *pre, *text, *ids;
    } cases[] = {
        {"gpt-2", "aa111's 1", "6 13 8 12"},  {"gpt-2", "   a", "10 11"},       {"gpt-2", "'Sa", "2 4 0"},
        {"smollm", "aa111 1", "6 1 1 1 5 1"}, {"smollm", "a  1", "0 10 1"},     {"llama-bpe", "'Saa1111", "9 6 13 1"},
        {"llama-bpe", "  1", "5 5 1"},        {"qwen2", "'Sa111", "9 0 1 1 1"}, {"qwen2", "  \n  a", "10 15 5 11"},
        {"default", "111111", "13 13"},       {"default", "11 1", "7 5 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gguf_build_start(&file);
        gguf_build_string(&file, "tokenizer.ggml.model", "gpt2");
        gguf_build_string(&file, "tokenizer.ggml.pre", cases[i].pre);
        put_strings("tokenizer.ggml.tokens", 16, tokens);
        put_strings("tokenizer.ggml.merges", 9, merges);
        REQUIRE(open_file() == RP_OK);
        CHECK_TEXT(ids(cases[i].text, 0), cases[i].ids);
        close_file();
    }
}

TEST(stripped_white_space) {
    put_spm();
    gguf_build_string(&file, "general.name", "My PHI-3 mini");
    REQUIRE(open_file() == RP_OK);
    CHECK_TEXT(ids("b</s> \n b", RP_TOKENIZE_SPECIAL), "9 2 9");
    CHECK_TEXT(ids("b</s> \n\t", RP_TOKENIZE_SPECIAL), "9 2");
    CHECK_TEXT(ids("<s> b", RP_TOKENIZE_SPECIAL), "1 5 9");
    close_file();
}

TEST(pre_tokenizer_names) {
    static const char *const known[] = {
        "gpt-2",     "mpt",       "olmo",   "jais",    "phi-2",     "smollm", "starcoder",        "refact",
        "command-r", "llama-bpe", "llama3", "falcon3", "smaug-bpe", "qwen2",  "deepseek-r1-qwen", "default"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        put_bpe(known[i], 4, bpe_merges);
        CHECK_INT(open_file(), RP_OK);
        close_file();
    }
    put_bpe(NULL, 4, bpe_merges);
    CHECK_INT(open_file(), RP_OK);
    close_file();
    put_bpe("gpt-7", 4, bpe_merges);
    check_refused(RP_ERR_UNSUPPORTED, "gpt-7");
}

TEST(wrong_metadata) {
    gguf_build_start(&file);
    gguf_build_string(&file, "general.name", "x");
    check_refused(RP_ERR_FORMAT, "tokenizer.ggml.model");
    gguf_build_start(&file);
    gguf_build_string(&file, "tokenizer.ggml.model", "bert");
    check_refused(RP_ERR_UNSUPPORTED, "bert");
    gguf_build_start(&file);
    gguf_build_string(&file, "tokenizer.ggml.model", "llama");
    check_refused(RP_ERR_FORMAT, "tokenizer.ggml.tokens");
    gguf_build_start(&file);
    gguf_build_string(&file, "tokenizer.ggml.model", "llama");
    put_strings("tokenizer.ggml.tokens", 0, NULL);
    check_refused(RP_ERR_FORMAT, "tokenizer.ggml.tokens");
    gguf_build_start(&file);
    gguf_build_string(&file, "tokenizer.ggml.model", "gpt2");
    put_strings("tokenizer.ggml.tokens", 16, bpe_tokens);
    check_refused(RP_ERR_FORMAT, "tokenizer.ggml.merges");
    gguf_build_start(&file);
    gguf_build_string(&file, "tokenizer.ggml.model", "llama");
    put_strings("tokenizer.ggml.tokens", 3, (const char *const[]){"a", "b", "a"});
    check_refused(RP_ERR_FORMAT, "0 and 2");
    put_spm();
    put_bool("tokenizer.ggml.add_bos_token", true);
    CHECK_INT(open_file(), RP_OK);
    close_file();
    put_bpe("gpt-2", 4, bpe_merges);
    put_bool("tokenizer.ggml.add_bos_token", true);
    check_refused(RP_ERR_FORMAT, "add_bos_token");
    put_bpe("gpt-2", 4, bpe_merges);
    gguf_build_string(&file, "tokenizer.ggml.bos_token_id", "1");
    check_refused(RP_ERR_FORMAT, "bos_token_id");
}

TEST(wrong_arrays) {
    static const char *const keys[] = {"tokenizer.ggml.token_type", "tokenizer.ggml.scores"};
    for (int i = 0; i < 2; i++) {
        gguf_build_start(&file);
        gguf_build_string(&file, "tokenizer.ggml.model", "llama");
        put_strings("tokenizer.ggml.tokens", 16, spm_tokens);
        put_numbers(keys[i], I32, 15, spm_types);
        check_refused(RP_ERR_FORMAT, keys[i]);
        gguf_build_start(&file);
        gguf_build_string(&file, "tokenizer.ggml.model", "llama");
        put_strings("tokenizer.ggml.tokens", 16, spm_tokens);
        put_strings(keys[i], 16, spm_tokens);
        check_refused(RP_ERR_FORMAT, keys[i]);
    }
}

/* `count` texts of letters that fall into one slot of a table of as many places. */
static void put_colliding(const char *key, uint32_t count, size_t places, const char *behind) {
    gguf_build_array(&file, key, STRING, count);
    for (uint32_t n = 0, found = 0; found < count; n++) {
        char text[16];
        size_t size = 0;
        for (uint32_t rest = n; size < 6; rest /= 26)
            text[size++] = (char)('A' + rest % 26);
        uint64_t hash = rp_hash_bytes(RP_HASH_START, text, size);
        if ((*behind ? hash : hash ^ hash >> 32) & (places - 1))
            continue;
        snprintf(text + size, sizeof text - size, "%s", behind);
        gguf_build_text(&file, text);
        found++;
    }
}

TEST(aimed_at_one_place) {
    gguf_build_start(&file);
    gguf_build_string(&file, "tokenizer.ggml.model", "llama");
    put_colliding("tokenizer.ggml.tokens", 1100, 2048, "");
    check_refused(RP_ERR_UNSUPPORTED, "tokenizer.ggml.tokens: too many collide");
    put_bpe(NULL, 0, NULL);
    file.keys--;
    file.size -= strlen("tokenizer.ggml.merges") + 8 + 4 + 4 + 8;
    put_colliding("tokenizer.ggml.merges", 1100, 4096, " b");
    check_refused(RP_ERR_UNSUPPORTED, "tokenizer.ggml.merges: too many collide");
}

TEST(special_tokens_of_too_many_lengths) {
    enum { MANY = 370 };
    static uint32_t types[MANY];
    for (int many = MANY - 10; many <= MANY; many += 10) { /* 64,980 and 68,635 bytes */
        gguf_build_start(&file);
        gguf_build_string(&file, "tokenizer.ggml.model", "llama");
        gguf_build_array(&file, "tokenizer.ggml.tokens", STRING, (uint64_t)many);
        for (int i = 0; i < many; i++) {
            char text[MANY + 1];
            memset(text, 'a', sizeof text);
            text[i + 1] = 0;
            gguf_build_text(&file, text);
            types[i] = 4;
        }
        put_numbers("tokenizer.ggml.token_type", I32, (size_t)many, types);
        if (many == MANY) {
            check_refused(RP_ERR_UNSUPPORTED, "special tokens");
        } else {
            CHECK_INT(open_file(), RP_OK);
            close_file();
        }
    }
}

TEST(odd_but_accepted) {
    static const uint32_t types[] = {2, 3, 77, UINT32_MAX};
    gguf_build_start(&file);
    gguf_build_string(&file, "tokenizer.ggml.model", "llama");
    put_strings("tokenizer.ggml.tokens", 4, (const char *const[]){"", "<s>", "▁b", ""});
    put_numbers("tokenizer.ggml.token_type", I32, 4, types);
    gguf_build_u32(&file, "tokenizer.ggml.eos_token_id", UINT32_MAX); /* none: the default stays */
    gguf_build_u32(&file, "tokenizer.ggml.unknown_token_id", 99);
    REQUIRE(open_file() == RP_OK);
    CHECK_INT(rp_tokenizer_eos(now.tokenizer), 2);
    CHECK_TEXT(ids("b<s>", RP_TOKENIZE_SPECIAL), "2 1"); /* no scores: all are 0 */
    CHECK_TEXT(ids("<", 0), "0 0 0 0");                  /* unknown stays 0, for each byte of ▁ too */
    CHECK_TEXT(bytes(2), "");
    CHECK_TEXT(bytes(3), "");
    close_file();
    gguf_build_start(&file);
    gguf_build_string(&file, "tokenizer.ggml.model", "llama");
    put_strings("tokenizer.ggml.tokens", 1, (const char *const[]){"a"});
    REQUIRE(open_file() == RP_OK);
    CHECK_INT(rp_tokenizer_bos(now.tokenizer), -1);
    CHECK_TEXT(ids("aa", RP_TOKENIZE_BOS), "0 0 0 0 0"); /* three bytes of ▁, two letters */
    close_file();
}

TEST(scores_that_are_no_numbers) {
    static const float scores[16] = {[9] = -3};
    gguf_build_start(&file);
    gguf_build_string(&file, "tokenizer.ggml.model", "llama");
    put_strings("tokenizer.ggml.tokens", 16, spm_tokens);
    put_floats("tokenizer.ggml.scores", 16, scores);
    for (int i = 0; i < 16; i++)
        if (i != 9)
            memcpy(file.bytes + file.size - 4 * (16 - i), "\xff\xff\xff\x7f", 4); /* NaN */
    REQUIRE(open_file() == RP_OK);
    CHECK_TEXT(ids("bcb", 0), "9 10"); /* NaN is last */
    close_file();
}

TEST(end_names) {
    static const char *const tokens[] = {"a",
                                         "<|im_end|>",
                                         "<|eot_id|>",
                                         "<|end|>",
                                         "<|return|>",
                                         "<|call|>",
                                         "<end_of_turn>",
                                         "<|endoftext|>",
                                         "<|start|>",
                                         "<|fim_pad|>",
                                         "</s>",
                                         "<eos>",
                                         "x",
                                         "y",
                                         "z",
                                         "<|eom_id|>"};
    gguf_build_start(&file);
    gguf_build_string(&file, "tokenizer.ggml.model", "gpt2");
    gguf_build_string(&file, "tokenizer.ggml.pre", "gpt-2");
    put_strings("tokenizer.ggml.tokens", 16, tokens);
    put_strings("tokenizer.ggml.merges", 0, NULL);
    gguf_build_u32(&file, "tokenizer.ggml.eos_token_id", 12);
    gguf_build_u32(&file, "tokenizer.ggml.eot_token_id", 13);
    gguf_build_u32(&file, "tokenizer.ggml.eom_token_id", 14);
    REQUIRE(open_file() == RP_OK);
    for (int32_t id = 0; id < 16; id++) /* "<|end|>" is none beside "<|return|>" and "<|call|>" */
        CHECK_INT(rp_tokenizer_ends(now.tokenizer, id), id != 0 && id != 3 && id != 8);
    CHECK_TEXT(bytes(3), "<|end|>");
    CHECK_TEXT(bytes(8), "<|start|>");
    CHECK_TEXT(bytes(7), "");
    close_file();
}

/* Every allocation in turn, for opening and for encoding: a named error and all memory back. */
static void starve(void (*put)(void), const char *text, unsigned flags) {
    bool ran = false;
    for (uint64_t fail_at = 1; !ran; fail_at++) {
        REQUIRE(fail_at < 200);
        put();
        now.fail_at = fail_at;
        rp_status status = open_file();
        size_t count = 0;
        if (status == RP_OK)
            status = rp_tokenizer_encode(now.tokenizer, text, strlen(text), flags, NULL, 0, &count, &now.err);
        ran = status == RP_OK;
        CHECK(ran ? now.asked < fail_at : status == RP_ERR_MEMORY && now.err.status == RP_ERR_MEMORY);
        now.fail_at = 0;
        close_file();
    }
}

static void put_bpe_with_extras(void) {
    static const char *const merges[] = {"a b", "c a", "ca b"};
    put_bpe("smollm", 3, merges);
}

TEST(memory_runs_out) {
    static const char text[] =
        "bc bcb</s> cb  é<s>bbbbbbbbbbbbbbbbbbbbbbbbbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbc"
        "<s>b<s>b<s>b<s>b<s>b<s>b<s>b<s>b<s>b<s>b";
    starve(put_spm, text, RP_TOKENIZE_BOS | RP_TOKENIZE_SPECIAL);
    starve(put_bpe_with_extras, text, RP_TOKENIZE_BOS | RP_TOKENIZE_SPECIAL | RP_TOKENIZE_GUARDED);
}

/* Random bytes through both families: nothing is read out of bounds, a second run gives the same. */
TEST(random_bytes) {
    for (int family = 0; family < 2; family++) {
        if (family)
            put_bpe("default", 4, bpe_merges);
        else
            put_spm();
        REQUIRE(open_file() == RP_OK);
        for (int i = 0; i < 3000; i++) {
            char *text = malloc(1 + i % 40); /* on the heap, so that a sanitizer sees each step aside */
            size_t size = (size_t)(i % 40), counts[2] = {0};
            for (size_t j = 0; j < size; j++)
                text[j] = (char)(test_random() % 3 ? "abc <u>|\xc3\xa9\xe2\x96\x81\n'1\xef\xb7\x90"[test_random() % 20]
                                                   : test_random() & 255);
            for (int k = 0; k < 2; k++)
                CHECK_INT(rp_tokenizer_encode(now.tokenizer, text, size, i & 7, NULL, 0, &counts[k], &now.err), RP_OK);
            CHECK_INT(counts[0], counts[1]);
            free(text);
        }
        close_file();
    }
}

TEST_MAIN(sentencepiece, sentencepiece_without_space, sentencepiece_bytes, byte_level, capacity_is_no_limit,
          ignored_merges, merges_through_texts_that_are_no_tokens, the_first_of_equal_merges_counts,
          control_and_user_defined_tokens_of_one_length, guards, words, stripped_white_space, pre_tokenizer_names,
          wrong_metadata, wrong_arrays, aimed_at_one_place, special_tokens_of_too_many_lengths, odd_but_accepted,
          scores_that_are_no_numbers, end_names, memory_runs_out, random_bytes)
