/* runs: native wasm */
/* tokenizer.json files small enough to follow by hand: what becomes of them, what is refused, cut files, memory that runs
 * out. Other forms and folders are in convert_folder_test.c, real vocabularies in convert_tokenizers_test.c. */
#include "test.h"

#include "vocabulary_reader.h"

/* ---- Byte-level BPE ------------------------------------------------------------------------------------ */

#define GPT2_SPLIT "'s|'t|'re|'ve|'m|'ll|'d| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+|\\\\s+(?!\\\\S)|\\\\s+"
#define MODERN_SPLIT(digits)                                                                                           \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|" digits                                     \
    "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define BYTE_LEVEL(regex)                                                                                              \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":" regex "}"
#define SEQUENCE(steps) "{\"type\":\"Sequence\",\"pretokenizers\":[" steps "]}"
#define SPLIT(pattern)                                                                                                 \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" pattern "\"},\"behavior\":\"Isolated\",\"invert\":false}"
#define DIGITS(each) "{\"type\":\"Digits\",\"individual_digits\":" each "}"

static const char bytes_json[] =
    "{\"version\":\"1.0\",\"added_tokens\":["
    "{\"id\":8,\"content\":\"<|end|>\",\"special\":true},"
    "{\"id\":9,\"content\":\"<u>\\u2581\",\"special\":false},"
    "{\"id\":11,\"content\":\"<|looks|>\",\"special\":false},"
    "{\"id\":99,\"content\":\"beyond\",\"special\":true}],"
    "\"normalizer\":null,\"pre_tokenizer\":" SEQUENCE(DIGITS("true") "," BYTE_LEVEL(
        "true")) ","
                 "\"model\":{\"type\":\"BPE\",\"byte_fallback\":false,\"unk_token\":\"<|end|>\",\"vocab\":{\"\\u0120\":"
                 "3,\"a\":0,\"b\":1,"
                 "\"c\":2,\"ab\":4,\"\\u0120ab\":5,\"1\":6,\"\\u010a\":7},\"merges\":[\"a b\",[\"\\u0120\",\"ab\"]]}}";

TEST(byte_level) {
    reader_start();
    REQUIRE(reader_convert("tokenizer.json", bytes_json, strlen(bytes_json), 13) == RP_OK);
    CHECK_TEXT(reader_key("ggml.model"), "gpt2");
    CHECK_TEXT(reader_key("ggml.pre"), "smollm");
    CHECK_TEXT(reader_key("ggml.tokens"), "a|b|c|\xc4\xa0|ab|\xc4\xa0"
                                          "ab|1|\xc4\x8a|<|end|>|<u> |[PAD10]|<|looks|>|[PAD12]");
    CHECK_TEXT(reader_key("ggml.token_type"), "1|1|1|1|1|1|1|1|3|4|5|3|5");
    CHECK_TEXT(reader_key("ggml.merges"), "a b|\xc4\xa0 ab");
    CHECK_TEXT(reader_key("ggml.scores"), "-");
    CHECK_TEXT(reader_key("ggml.unknown_token_id"), "8");
    CHECK_TEXT(reader_key("ggml.bos_token_id"), "-");
    CHECK_TEXT(reader_key("ggml.add_bos_token"), "-");
    CHECK_TEXT(reader_key("ggml.add_space_prefix"), "-");
    REQUIRE(reader_open() == RP_OK);
    CHECK_TEXT(reader_text_ids("ab ab c11\n<u> <|end|>", RP_TOKENIZE_SPECIAL), "4|5|3|2|6|6|7|9|8");
    reader_end();
}

/* A tokenizer.json around a pre-tokenizer, and members of "model". */
static const char *with_pre(const char *pre, const char *more) {
    static char text[2048];
    snprintf(text, sizeof text,
             "{\"pre_tokenizer\":%s,\"model\":{%s\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a "
             "b\"]}}",
             pre, more);
    return text;
}

TEST(pre_tokenizers) {
    static const struct {
        const char *pre, *more, *want;
    } cases[] = {
        {BYTE_LEVEL("true"), "", "gpt-2"},
        {"{\"type\":\"ByteLevel\",\"add_prefix_space\":false}", "", "gpt-2"},
        {SEQUENCE(SPLIT(GPT2_SPLIT) "," BYTE_LEVEL("false")), "", "gpt-2"},
        {SEQUENCE(DIGITS("true") "," BYTE_LEVEL("true")), "", "smollm"},
        {SEQUENCE(SPLIT(MODERN_SPLIT("\\\\p{N}")) "," BYTE_LEVEL("false")), "", "qwen2"},
        {SEQUENCE(SPLIT(MODERN_SPLIT("\\\\p{N}{1,3}")) "," BYTE_LEVEL("false")), "\"ignore_merges\":true,",
         "llama-bpe"},
        {SEQUENCE(SPLIT(MODERN_SPLIT("\\\\p{N}{1,3}")) "," BYTE_LEVEL("false")), "\"ignore_merges\":false,",
         "smaug-bpe"},
        {SEQUENCE("{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}"
                  "," BYTE_LEVEL("true") "," DIGITS("false") "," SPLIT("[0-9][0-9][0-9]")),
         "", "falcon"},
    };
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        reader_start();
        const char *text = with_pre(cases[i].pre, cases[i].more);
        if (reader_convert("tokenizer.json", text, strlen(text), 3) != RP_OK)
            CHECK_TEXT(reader.err.message, cases[i].want);
        CHECK_TEXT(reader_key("ggml.pre"), cases[i].want);
        CHECK_INT(reader_open(), RP_OK); /* the engine knows the name */
        reader_end();
    }
}

TEST(unknown_pre_tokenizers) {
    static const struct {
        const char *pre, *more, *message;
    } cases[] = {
        {"null", "", "has no pre-tokenizer"},
        {BYTE_LEVEL("false"), "", "in this order: b"},
        {DIGITS("true"), "", "in this order: D"},
        {SEQUENCE(""), "", "in this order: "},
        {SEQUENCE(BYTE_LEVEL("true") "," DIGITS("true")), "", "in this order: BD"},
        {SEQUENCE(DIGITS("false") "," BYTE_LEVEL("true")), "", "in this order: dB"},
        {"{\"type\":\"ByteLevel\",\"add_prefix_space\":true}", "", "add_prefix_space is true"},
        {"{\"type\":\"ByteLevel\"}", "", "add_prefix_space is true"},
        {"{\"type\":\"Whitespace\"}", "", "pre-tokenizer Whitespace is not known"},
        {"{\"type\":\"Metaspace\"}", "", "pre-tokenizer Metaspace is not known"},
        {"[]", "", "pre-tokenizer of no type is not known"},
        {SEQUENCE(SPLIT("\\\\w+") "," BYTE_LEVEL("false")), "", "with the pattern \\w+ is not known"},
        {SEQUENCE("{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"Isolated\"}"), "",
         "with the pattern  "},
        {SEQUENCE("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" GPT2_SPLIT "\"},\"behavior\":\"MergedWithNext\"}"),
         "", "with the pattern 's|'t|"},
        {SEQUENCE("{\"type\":\"Split\"}"), "", "Split: want a \"pattern\""},
        {BYTE_LEVEL("true"), "\"ignore_merges\":true,", "in this order with ignore_merges: B!"},
        {SEQUENCE(DIGITS("true") "," DIGITS("true") "," DIGITS("true") "," DIGITS("true") "," DIGITS("true") "," DIGITS(
             "true") "," DIGITS("true") "," DIGITS("true") "," DIGITS("true")),
         "", "more than 8"},
    };
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        reader_start();
        const char *text = with_pre(cases[i].pre, cases[i].more);
        CHECK(reader_convert("tokenizer.json", text, strlen(text), 3) != RP_OK);
        reader_check_message(cases[i].message);
        reader_end();
    }
}

/* ---- SentencePiece's kind ------------------------------------------------------------------------------ */

#define SPACES "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\\u2581\"}"
#define LLAMA_NORMALIZER                                                                                               \
    "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\\u2581\"}," SPACES "]}"
#define PIECES_VOCAB                                                                                                   \
    "{\"<unk>\":0,\"<s>\":1,\"</"                                                                                      \
    "s>\":2,\"<0x41>\":3,\"bc\":4,\"abc\":5,\"ab\":6,\"\\u2581\":7,\"a\":8,\"b\":9,\"c\":10}"
#define PIECES_ADDED                                                                                                   \
    "[{\"id\":0,\"content\":\"<unk>\",\"special\":true},{\"id\":1,\"content\":\"<s>\",\"special\":true},"              \
    "{\"id\":2,\"content\":\"</s>\",\"special\":true}]"
#define ALL_MERGES "[\"a b\",\"b c\",\"ab c\",\"a bc\"]"

static const char *pieces_json(const char *normalizer, const char *pre, const char *merges) {
    static char text[2048];
    snprintf(
        text, sizeof text,
        "{\"added_tokens\":" PIECES_ADDED ",\"normalizer\":%s,\"pre_tokenizer\":%s,\"post_processor\":{\"type\":"
        "\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":"
        "\"A\"}}]},\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"byte_fallback\":true,\"vocab\":" PIECES_VOCAB
        ",\"merges\":%s}}",
        normalizer, pre, merges);
    return text;
}

/* The ids contradict the merges' order, which is what counts. */
TEST(scores_follow_merges) {
    const char *text = pieces_json(LLAMA_NORMALIZER, "null", ALL_MERGES);
    reader_start();
    REQUIRE(reader_convert("tokenizer.json", text, strlen(text), 12) == RP_OK);
    CHECK_TEXT(reader_key("ggml.model"), "llama");
    CHECK_TEXT(reader_key("ggml.pre"), "default");
    CHECK_TEXT(reader_key("ggml.tokens"), "<unk>|<s>|</s>|<0x41>|bc|abc|ab|\xe2\x96\x81|a|b|c|[PAD11]");
    CHECK_TEXT(reader_key("ggml.scores"), "-1000|-1000|-1000|0|-1|-2|0|-3|-3|-3|-3|-10000");
    CHECK_TEXT(reader_key("ggml.token_type"), "3|3|3|6|1|1|1|1|1|1|1|5");
    CHECK_TEXT(reader_key("ggml.merges"), "-");
    CHECK_TEXT(reader_key("ggml.bos_token_id"), "1");
    CHECK_TEXT(reader_key("ggml.eos_token_id"), "2");
    CHECK_TEXT(reader_key("ggml.unknown_token_id"), "0");
    CHECK_TEXT(reader_key("ggml.add_bos_token"), "true");
    CHECK_TEXT(reader_key("ggml.add_eos_token"), "false");
    CHECK_TEXT(reader_key("ggml.add_space_prefix"), "true");
    REQUIRE(reader_open() == RP_OK);
    CHECK_TEXT(reader_text_ids("bab A</s>", RP_TOKENIZE_SPECIAL | RP_TOKENIZE_BOS), "1|7|9|6|7|3|2");
    CHECK_TEXT(reader_text_ids("abc", 0), "7|5");
    reader_end();
}

TEST(spaces) {
    static const struct {
        const char *normalizer, *pre, *want; /* whether a space is put first, or a message */
    } cases[] = {
        {LLAMA_NORMALIZER, "null", "true"},
        {SPACES, "null", "false"},
        {SPACES, "{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"MergedWithPrevious\"}", "false"},
        {"null", "{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\",\"add_prefix_space\":true}", "true"},
        {"null", "{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\",\"add_prefix_space\":false}", "false"},
        {"null", "{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\",\"prepend_scheme\":\"first\",\"split\":false}",
         "true"},
        {"null", "{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\",\"prepend_scheme\":\"never\"}", "false"},
        {"null", "null", "pre-tokenizer none, want U+2581"},
        {"{\"type\":\"NFKC\"}", "null", "normalizer NFKC, want"},
        {"{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"_\"}", "null", "normalizer Replace, want"},
        {SPACES, "{\"type\":\"Whitespace\"}", "pre-tokenizer Whitespace, want"},
        {"null", "{\"type\":\"Metaspace\",\"replacement\":\"_\"}", "another replacement than U+2581"},
    };
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        bool good = strcmp(cases[i].want, "true") == 0 || strcmp(cases[i].want, "false") == 0;
        const char *text = pieces_json(cases[i].normalizer, cases[i].pre, ALL_MERGES);
        reader_start();
        CHECK_INT(reader_convert("tokenizer.json", text, strlen(text), 11), good ? RP_OK : RP_ERR_UNSUPPORTED);
        if (good)
            CHECK_TEXT(reader_key("ggml.add_space_prefix"), cases[i].want);
        else
            reader_check_message(cases[i].want);
        reader_end();
    }
}

/* ---- tokenizer.json that is refused -------------------------------------------------------------------- */

#define BPE_JSON(vocab, merges, more)                                                                                  \
    "{\"pre_tokenizer\":" BYTE_LEVEL("true") more ",\"model\":{\"type\":\"BPE\",\"vocab\":" vocab                      \
                                                  ",\"merges\":" merges "}}"

TEST(bad_json) {
    static const struct {
        const char *text;
        rp_status status;
        const char *message;
    } cases[] = {
        {"{", RP_ERR_FORMAT, "x.json: line 1"},
        {"{}", RP_ERR_FORMAT, "x.json: want an object \"model\""},
        {"{\"model\":[]}", RP_ERR_FORMAT, "want an object \"model\""},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]]}}", RP_ERR_UNSUPPORTED,
         "its model is Unigram, want BPE"},
        {"{\"model\":{\"type\":7}}", RP_ERR_UNSUPPORTED, "its model is of no type"},
        {"{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\"}}", RP_ERR_UNSUPPORTED,
         "has a end_of_word_suffix"},
        {"{\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"ignore_merges\":true}}", RP_ERR_UNSUPPORTED,
         "byte_fallback and ignore_merges"},
        {BPE_JSON("[]", "[]", ""), RP_ERR_FORMAT, "want an object \"vocab\""},
        {BPE_JSON("{}", "[]", ""), RP_ERR_FORMAT, "want an object \"vocab\""},
        {BPE_JSON("{\"a\":\"0\"}", "[]", ""), RP_ERR_FORMAT, "token \"a\" has no id that is a number"},
        {BPE_JSON("{\"a\":-1}", "[]", ""), RP_ERR_FORMAT, "token \"a\" has the id -1"},
        {BPE_JSON("{\"a\":3}", "[]", ""), RP_ERR_FORMAT, "token \"a\" has the id 3, and the model's vocab_size is 3"},
        {BPE_JSON("{\"a\":0,\"b\":0}", "[]", ""), RP_ERR_FORMAT, "tokens \"a\" and \"b\" have the id 0"},
        {BPE_JSON("{\"a\":0,\"a\":1}", "[]", ""), RP_ERR_FORMAT, "tokens 0 and 1 are both \"a\""},
        {BPE_JSON("{\"[PAD2]\":0,\"a\":1}", "[]", ""), RP_ERR_FORMAT, "tokens 0 and 2 are both \"[PAD2]\""},
        {BPE_JSON("{\"a\":0}", "{}", ""), RP_ERR_FORMAT, "want an array \"merges\""},
        {BPE_JSON("{\"a\":0}", "[\"ab\"]", ""), RP_ERR_FORMAT, "an entry of \"merges\" is ab, want"},
        {BPE_JSON("{\"a\":0}", "[\"a b c\"]", ""), RP_ERR_FORMAT, "an entry of \"merges\" is a b c, want"},
        {BPE_JSON("{\"a\":0}", "[\" b\"]", ""), RP_ERR_FORMAT, "an entry of \"merges\" is  b, want"},
        {BPE_JSON("{\"a\":0}", "[[\"a\"]]", ""), RP_ERR_FORMAT, "an entry of \"merges\" is something else"},
        {BPE_JSON("{\"a\":0}", "[[\"a\",\"\"]]", ""), RP_ERR_FORMAT, "an entry of \"merges\" is something else"},
        {BPE_JSON("{\"a\":0}", "[[\"a\",1]]", ""), RP_ERR_FORMAT, "an entry of \"merges\" is something else"},
        {BPE_JSON("{\"a\":0}", "[7]", ""), RP_ERR_FORMAT, "an entry of \"merges\" is something else"},
        {BPE_JSON("{\"a\":0}", "[[\"a b\",\"c\"]]", ""), RP_ERR_FORMAT, "want no spaces"},
        {BPE_JSON("{\"a\":0}", "[]", ",\"added_tokens\":[{\"id\":1}]"), RP_ERR_FORMAT, "an entry of \"added_tokens\""},
        {BPE_JSON("{\"a\":0}", "[]", ",\"added_tokens\":[{\"id\":-1,\"content\":\"x\"}]"), RP_ERR_FORMAT, "the id -1"},
        {BPE_JSON("{\"a\":0}", "[]", ",\"normalizer\":{\"type\":\"Lowercase\"}"), RP_ERR_UNSUPPORTED,
         "normalizer Lowercase, want none or NFC"},
        {BPE_JSON("{\"a\":0}", "[]", ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"}]}"),
         RP_ERR_UNSUPPORTED, "normalizer NFD"},
    };
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        reader_start();
        CHECK_INT(reader_convert("x.json", cases[i].text, strlen(cases[i].text), 3), cases[i].status);
        reader_check_message(cases[i].message);
        reader_end();
    }
    static const char nfc[] = BPE_JSON("{\"a\":0}", "[]", ",\"normalizer\":{\"type\":\"NFC\"}");
    reader_start();
    CHECK_INT(reader_convert("x.json", nfc, strlen(nfc), 3), RP_OK);
    reader_end();
    /* Merges that the tokens allow and the list lacks: scores could not say that. */
    const char *few = pieces_json(LLAMA_NORMALIZER, "null", "[\"a b\",\"b c\",\"ab c\"]");
    reader_start();
    CHECK_INT(reader_convert("x.json", few, strlen(few), 12), RP_ERR_UNSUPPORTED);
    reader_check_message("3 of the 4 merges");
    reader_end();
}

TEST(bad_sizes) {
    static const char *const texts[] = {"", "x", "\x89PNG\r\n", "GGU", "\x01\x02\x03"};
    for (size_t i = 0; i < RP_COUNT(texts); i++) {
        reader_start();
        CHECK_INT(reader_convert("x.bin", texts[i], strlen(texts[i]), 3), RP_ERR_FORMAT);
        reader_check_message("x.bin: want a vocabulary");
        reader_end();
    }
    static const uint32_t sizes[] = {0, (1 << 24) + 1, UINT32_MAX};
    for (size_t i = 0; i < RP_COUNT(sizes); i++) {
        reader_start();
        CHECK_INT(reader_convert("tokenizer.json", bytes_json, strlen(bytes_json), sizes[i]), RP_ERR_UNSUPPORTED);
        reader_end();
    }
}

TEST(json_cut_and_changed) {
    char text[sizeof bytes_json];
    for (size_t size = 0; size + 1 < sizeof bytes_json; size++) {
        reader_start();
        CHECK_INT(reader_convert("tokenizer.json", bytes_json, size, 13), RP_ERR_FORMAT);
        reader_end();
    }
    for (int i = 0; i < 3000; i++) {
        memcpy(text, bytes_json, sizeof text);
        for (uint64_t changes = 1 + test_random() % 3; changes; changes--)
            text[test_random() % (sizeof text - 1)] = "{}[]\",:0a1\\"[test_random() % 11];
        reader_start();
        reader_convert("tokenizer.json", text, sizeof text - 1, 13);
        reader_end();
    }
}

static void exhaust(const char *text, uint32_t vocab) {
    size_t failures = 0;
    for (uint64_t nth = 1; failures < 500; nth++, failures++) {
        reader.host.fail_at = nth;
        reader_start();
        rp_status status = reader_convert("tokenizer.json", text, strlen(text), vocab);
        reader_end();
        if (status == RP_OK)
            break;
        CHECK_INT(status, RP_ERR_MEMORY);
    }
    reader.host.fail_at = 0;
    CHECK(failures > 10 && failures < 500);
}

TEST(memory_exhausted) {
    exhaust(bytes_json, 13);
    exhaust(pieces_json(LLAMA_NORMALIZER, "null", ALL_MERGES), 12);
}

TEST_MAIN(byte_level, pre_tokenizers, unknown_pre_tokenizers, scores_follow_merges, spaces, bad_json, bad_sizes,
          json_cut_and_changed, memory_exhausted)
