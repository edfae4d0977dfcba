/* runs: native wasm */
/* Vocabularies in binary forms (tokenizer.model, tokenizer.bin, GGUF), and folders: what the small JSON files beside a
 * vocabulary say, and which of them counts. */
#include "test.h"

#include "vocabulary_reader.h"

#include "gguf_builder.h"

#define MARK "\xe2\x96\x81"

/* ---- SentencePiece ------------------------------------------------------------------------------------- */

static struct {
    char bytes[4096];
    size_t size;
} proto;

static void proto_raw(const void *bytes, size_t size) {
    if (size > sizeof proto.bytes - proto.size)
        abort();
    memcpy(proto.bytes + proto.size, bytes, size);
    proto.size += size;
}

static void proto_varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        proto_raw(&(uint8_t){(uint8_t)(value | 0x80)}, 1);
    proto_raw(&(uint8_t){(uint8_t)value}, 1);
}

static void proto_number(unsigned field, int64_t value) {
    proto_varint(field << 3);
    proto_varint((uint64_t)value);
}

/* Opens a message of up to 127 bytes; proto_end closes it. */
static size_t proto_begin(unsigned field) {
    proto_varint(field << 3 | 2);
    proto_raw("", 1);
    return proto.size;
}

static void proto_end(size_t begin) {
    proto.bytes[begin - 1] = (char)(proto.size - begin);
}

static void piece(const char *text, int type, float score) {
    size_t message = proto_begin(1), string;
    string = proto_begin(1);
    proto_raw(text, strlen(text));
    proto_end(string);
    proto_varint(2 << 3 | 5);
    proto_raw(&score, 4); /* hosts of tests are little-endian */
    if (type != 1)
        proto_number(3, type);
    proto_end(message);
}

static void trainer(int model_type) {
    size_t message = proto_begin(2);
    proto_number(3, model_type);
    proto_number(40, 0);
    proto_number(41, 1);
    proto_number(42, 2);
    proto_number(43, -1);
    proto_end(message);
}

static void normalizer(unsigned field, int value) {
    size_t message = proto_begin(3);
    proto_number(field, value);
    proto_end(message);
}

static void pieces(void) {
    proto.size = 0;
    piece("<unk>", 2, 0);
    piece("<s>", 3, 0);
    piece("</s>", 3, 0);
    piece("<0x41>", 6, 0);
    piece("ab", 1, -0.5f);
    piece(MARK "ab", 1, -1.5f);
    piece(MARK, 1, -2);
    piece("a", 1, -3);
    piece("b", 1, -4);
    piece(MARK MARK, 4, 0);
    piece("old", 5, 0);
}

static void good_pieces(void) {
    pieces();
    trainer(2);
    normalizer(3, 0);
}

TEST(sentencepiece) {
    good_pieces();
    reader_start();
    REQUIRE(reader_convert("tokenizer.model", proto.bytes, proto.size, 12) == RP_OK);
    CHECK_TEXT(reader_key("ggml.model"), "llama");
    CHECK_TEXT(reader_key("ggml.pre"), "default");
    CHECK_TEXT(reader_key("ggml.tokens"), "<unk>|<s>|</s>|<0x41>|ab|" MARK "ab|" MARK "|a|b|  |old|[PAD11]");
    CHECK_TEXT(reader_key("ggml.scores"), "0|0|0|0|-0.5|-1.5|-2|-3|-4|0|0|-10000");
    CHECK_TEXT(reader_key("ggml.token_type"), "2|3|3|6|1|1|1|1|1|4|5|5");
    CHECK_TEXT(reader_key("ggml.bos_token_id"), "1");
    CHECK_TEXT(reader_key("ggml.eos_token_id"), "2");
    CHECK_TEXT(reader_key("ggml.unknown_token_id"), "0");
    CHECK_TEXT(reader_key("ggml.padding_token_id"), "-");
    CHECK_TEXT(reader_key("ggml.add_bos_token"), "true");
    CHECK_TEXT(reader_key("ggml.add_eos_token"), "false");
    CHECK_TEXT(reader_key("ggml.add_space_prefix"), "false");
    REQUIRE(reader_open() == RP_OK);
    CHECK_TEXT(reader_text_ids(" abAa  b", 0), "5|3|7|9|8");
    reader_end();
    proto.size = 0;
    piece("<unk>", 2, 0);
    trainer(2);
    reader_start();
    REQUIRE(reader_convert("tokenizer.model", proto.bytes, proto.size, 1) == RP_OK);
    CHECK_TEXT(reader_key("ggml.add_space_prefix"), "true"); /* the format's default */
    CHECK_TEXT(reader_key("ggml.bos_token_id"), "-");        /* 1 is none of its tokens */
    CHECK_TEXT(reader_key("ggml.add_bos_token"), "false");
    reader_end();
}

static void refuse_pieces(uint32_t vocab, rp_status status, const char *message) {
    reader_start();
    CHECK_INT(reader_convert("tokenizer.model", proto.bytes, proto.size, vocab), status);
    reader_check_message(message);
    reader_end();
}

TEST(bad_sentencepiece) {
    good_pieces();
    refuse_pieces(10, RP_ERR_FORMAT, "tokenizer.model: has 11 pieces, and the model's vocab_size is 10");
    pieces();
    refuse_pieces(11, RP_ERR_UNSUPPORTED, "model_type is 1 (unigram), want 2 (BPE)");
    pieces();
    trainer(4);
    refuse_pieces(11, RP_ERR_UNSUPPORTED, "model_type is 4, want 2 (BPE)");
    good_pieces();
    normalizer(5, 0);
    refuse_pieces(11, RP_ERR_UNSUPPORTED, "escape_whitespaces is false");
    good_pieces();
    size_t message = proto_begin(2);
    proto_number(24, 1);
    proto_end(message);
    refuse_pieces(11, RP_ERR_UNSUPPORTED, "treat_whitespace_as_suffix is true");
    good_pieces();
    piece("x", 7, 0);
    refuse_pieces(12, RP_ERR_FORMAT, "piece 11 has type 7, want 1 to 6");
    good_pieces();
    piece("x", 1, __builtin_nanf(""));
    refuse_pieces(12, RP_ERR_FORMAT, "piece 11 has a score that is no finite number");
    good_pieces();
    piece("ab", 1, 0);
    refuse_pieces(12, RP_ERR_FORMAT, "tokens 4 and 11 are both \"ab\"");
    good_pieces();
    proto_raw("\x0b", 1); /* a group */
    refuse_pieces(11, RP_ERR_FORMAT, "its content is no protobuf message");
    memcpy(proto.bytes, "\x0a\x02\x0a\x05", 4);
    proto.size = 4;
    refuse_pieces(11, RP_ERR_FORMAT, "its piece is no protobuf message");
    memcpy(proto.bytes, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12);
    proto.size = 12;
    refuse_pieces(11, RP_ERR_FORMAT, "its content is no protobuf message");
}

TEST(sentencepiece_changed) {
    for (int i = 0; i < 5000; i++) {
        good_pieces();
        for (uint64_t changes = 1 + test_random() % 2; changes; changes--)
            proto.bytes[test_random() % proto.size] = (char)test_random();
        reader_start();
        reader_convert("tokenizer.model", proto.bytes, i % 2 ? proto.size : (size_t)(test_random() % proto.size), 12);
        reader_end();
    }
}

/* ---- llama2.c ------------------------------------------------------------------------------------------ */

static void record(const char *text, float score) {
    uint32_t size = (uint32_t)strlen(text);
    proto_raw(&score, 4);
    proto_raw(&size, 4);
    proto_raw(text, size);
}

static void llama2c(void) {
    char text[8];
    proto.size = 0;
    proto_raw(&(uint32_t){10}, 4); /* begins as a SentencePiece model does */
    record("<unk>", 0);
    record("\n<s>\n", 0);
    record("\n</s>\n", 0);
    for (int i = 0; i < 256; i++) {
        snprintf(text, sizeof text, "<0x%02X>", (unsigned)i);
        record(text, 0);
    }
    record(" a", -1);
    record(" ", -2);
    record("a", -3);
}

TEST(llama2c_vocabulary) {
    llama2c();
    reader_start();
    REQUIRE(reader_convert("tokenizer.bin", proto.bytes, proto.size, 263) == RP_OK);
    const char *tokens = reader_key("ggml.tokens");
    CHECK(strstr(tokens, "<unk>|<s>|</s>|<0x00>|") == tokens);
    CHECK(strstr(tokens, "|<0xFF>|" MARK "a|" MARK "|a|[PAD262]") != NULL);
    CHECK_TEXT(strstr(reader_key("ggml.scores"), "|-1"), "|-1|-2|-3|-10000");
    const char *types = reader_key("ggml.token_type");
    CHECK(strstr(types, "2|3|3|6|6|6|") == types);
    CHECK_TEXT(types + strlen(types) - 8, "|1|1|1|5");
    CHECK_TEXT(reader_key("ggml.add_space_prefix"), "true");
    REQUIRE(reader_open() == RP_OK);
    CHECK_TEXT(reader_text_ids("a\n a", RP_TOKENIZE_BOS), "1|259|13|259");
    reader_end();
    for (size_t size = 4; size < proto.size; size++) {
        reader_start();
        rp_status status = reader_convert("tokenizer.bin", proto.bytes, size, 263);
        CHECK(status == RP_ERR_FORMAT || reader_open() == RP_OK); /* cut between two tokens */
        reader_end();
    }
    refuse_pieces(261, RP_ERR_FORMAT, "has 262 tokens, and the model's vocab_size is 261");
    proto.bytes[4 + 13 + 13 + 14 + 8 + 2] = 'y'; /* <0x00> */
    refuse_pieces(262, RP_ERR_FORMAT, "token 3 is \"<0y00>\"");
}

/* ---- GGUF ---------------------------------------------------------------------------------------------- */

TEST(from_gguf) {
    static gguf_build file;
    gguf_build_small(&file);
    for (uint32_t vocab = 5; vocab <= 8; vocab++) {
        reader_start();
        CHECK_INT(reader_convert("x.gguf", file.bytes, file.header_bytes, vocab), vocab == 5 ? RP_ERR_FORMAT : RP_OK);
        if (vocab == 5)
            reader_check_message("x.gguf: has 6 tokens, and the model's vocab_size is 5");
        if (vocab == 6) {
            CHECK_TEXT(reader_key("ggml.tokens"), "<unk>|<s>|</s>|a|b|ab");
            CHECK_INT((int64_t)rp_keys_count(reader.keys), 6); /* no other keys of the file */
        }
        if (vocab == 8) {
            CHECK_TEXT(reader_key("ggml.tokens"), "<unk>|<s>|</s>|a|b|ab|[PAD6]|[PAD7]");
            CHECK_TEXT(reader_key("ggml.token_type"), "2|3|3|1|1|1|5|5");
            CHECK_TEXT(reader_key("ggml.scores"), "0|0|0|0|0|0|-10000|-10000");
            CHECK_TEXT(reader_key("ggml.eos_token_id"), "2");
            CHECK_INT(reader_open(), RP_OK);
        }
        reader_end();
    }
    reader_start();
    CHECK_INT(reader_convert("x.gguf", file.bytes, 100, 6), RP_ERR_FORMAT);
    reader_end();
}

/* Keys of a vocabulary that was there before go. */
TEST(replaces) {
    good_pieces();
    reader_start();
    REQUIRE(reader_convert("tokenizer.model", proto.bytes, proto.size, 11) == RP_OK);
    REQUIRE(rp_keys_set_string(reader.keys, "tokenizer.chat_template", "old", 3, &reader.err) == RP_OK);
    REQUIRE(rp_keys_set_string(reader.keys, "general.name", "kept", 4, &reader.err) == RP_OK);
    REQUIRE(rp_vocabulary_from_file(reader.keys, &reader.memory, "tokenizer.model", proto.bytes, proto.size, 12,
                                    &reader.err) == RP_OK);
    CHECK_TEXT(reader_key("chat_template"), "-");
    rp_gguf_value name;
    CHECK(rp_keys_find(reader.keys, "general.name", &name));
    reader_end();
}

/* ---- Folders ------------------------------------------------------------------------------------------- */

#define TOKENIZER(more)                                                                                                \
    "{\"added_tokens\":[{\"id\":3,\"content\":\"<s>\",\"special\":true},{\"id\":4,\"content\":\"</"                    \
    "s>\",\"special\":true},"                                                                                          \
    "{\"id\":5,\"content\":\"<|im_end|>\",\"special\":true},{\"id\":6,\"content\":\"<|eom_id|>\",\"special\":true},"   \
    "{\"id\":7,\"content\":\"<|endoftext|>\",\"special\":true}]," more                                                 \
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"model\":{\"type\":\"BPE\",\"vocab\":{"    \
    "\"a\":0,"                                                                                                         \
    "\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}"
#define TEMPLATE(items) "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" items "]},"
#define PUTS(token) "{\"SpecialToken\":{\"id\":\"" token "\",\"type_id\":0}}"
#define TEXT_ITEM "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"

/* Files and the ids of bos, eos, unknown, padding, eot, eom, then add_bos_token and add_eos_token; or a message. */
typedef struct folder_case {
    const char *tokenizer, *tokenizer_config, *special_tokens, *generation, *config, *want;
} folder_case;

static const char *special_keys(void) {
    static const char *const names[] = {"bos_token_id", "eos_token_id", "unknown_token_id", "padding_token_id",
                                        "eot_token_id", "eom_token_id", "add_bos_token",    "add_eos_token"};
    static char text[256];
    text[0] = 0;
    for (size_t i = 0; i < RP_COUNT(names); i++) {
        char key[40];
        snprintf(key, sizeof key, "ggml.%s", names[i]);
        size_t size = strlen(text);
        snprintf(text + size, sizeof text - size, "%s%s", i ? " " : "", reader_key(key));
    }
    return text;
}

static void put_optional(const char *name, const char *text) {
    if (text)
        memory_folder_text(&reader.folder, name, text);
}

TEST(special_tokens) {
    static const folder_case cases[] = {
        /* Nothing said: by their names. */
        {TOKENIZER(""), NULL, NULL, NULL, NULL, "3 4 - - - - false -"},
        {TOKENIZER(""), "{}", NULL, NULL, NULL, "- - - - - - - -"},
        /* tokenizer_config.json before special_tokens_map.json before config.json before generation_config.json. */
        {TOKENIZER(""), "{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"<|im_end|>\"}}", NULL, NULL, NULL,
         "3 5 - - - - false -"},
        {TOKENIZER(""), "{\"eos_token\":\"<|im_end|>\"}", "{\"eos_token\":\"</s>\",\"unk_token\":\"ab\"}", NULL, NULL,
         "- 5 2 - - - - -"},
        {TOKENIZER(""), "{\"bos_token\":null}", NULL, NULL,
         "{\"bos_token_id\":3,\"eos_token_id\":4,\"pad_token_id\":0}", "3 4 - 0 - - false -"},
        {TOKENIZER(""), "{}", NULL, "{\"eos_token_id\":5,\"pad_token_id\":1}",
         "{\"eos_token_id\":4,\"pad_token_id\":-1}", "- 4 - 1 - - - -"},
        {TOKENIZER(""), "{\"eos_token\":\"nowhere\"}", NULL, NULL, "{\"eos_token_id\":99,\"bos_token_id\":\"3\"}",
         "- - - - - - - -"},
        /* Several ends: the first is EOS. */
        {TOKENIZER(""), "{}", NULL, "{\"eos_token_id\":[4,5,6]}", NULL, "- 4 - - 5 6 - -"},
        {TOKENIZER(""), "{\"eos_token\":\"<|im_end|>\"}", NULL, "{\"eos_token_id\":[5,7,4]}", NULL, "- 5 - - - - - -"},
        {TOKENIZER(""), "{\"eos_token\":\"</s>\"}", NULL, NULL, "{\"eos_token_id\":[7,5,99,-1]}", "- 4 - - 5 - - -"},
        /* What is put around a text. */
        {TOKENIZER(""), "{\"bos_token\":\"<s>\",\"add_bos_token\":true,\"add_eos_token\":false}", NULL, NULL, NULL,
         "3 - - - - - true false"},
        {TOKENIZER(TEMPLATE(PUTS("<s>") "," TEXT_ITEM)), "{\"bos_token\":\"<s>\",\"add_bos_token\":null}", NULL, NULL,
         NULL, "3 - - - - - true false"},
        {TOKENIZER(TEMPLATE(PUTS("<s>") "," TEXT_ITEM "," PUTS("</s>"))), "{\"add_bos_token\":false}", NULL, NULL, NULL,
         "3 4 - - - - false true"},
        {TOKENIZER(TEMPLATE(PUTS("<|im_end|>") "," TEXT_ITEM)), "{\"bos_token\":\"<s>\"}", NULL, NULL, NULL,
         "3 - - - - - false false"},
        {TOKENIZER(TEMPLATE(TEXT_ITEM)), "{\"bos_token\":\"<s>\"}", NULL, NULL, NULL, "3 - - - - - false false"},
        {TOKENIZER("\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},{\"type\":"
                   "\"TemplateProcessing\",\"single\":[" PUTS("<s>") "," TEXT_ITEM "]}]},"),
         NULL, NULL, NULL, NULL, "3 4 - - - - true false"},
        {TOKENIZER(""), "{\"add_bos_token\":true}", NULL, NULL, NULL, "add_bos_token is true, and no file names a BOS"},
        {TOKENIZER(""), "{\"add_bos_token\":\"yes\"}", NULL, NULL, NULL, "\"add_bos_token\" is a string, want true or"},
        {TOKENIZER(""), "{", NULL, NULL, NULL, "tokenizer_config.json: line 1"},
        {TOKENIZER(""), NULL, "[", NULL, NULL, "special_tokens_map.json: line 1"},
        {TOKENIZER(""), NULL, NULL, NULL, "x", "config.json: line 1"},
    };
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        const folder_case *c = &cases[i];
        reader_start();
        put_optional("tokenizer.json", c->tokenizer);
        put_optional("tokenizer_config.json", c->tokenizer_config);
        put_optional("special_tokens_map.json", c->special_tokens);
        put_optional("generation_config.json", c->generation);
        put_optional("config.json", c->config);
        if (reader_convert_folder(8) != RP_OK)
            reader_check_message(c->want);
        else
            CHECK_TEXT(special_keys(), c->want);
        reader_end();
    }
}

TEST(added_tokens) {
    static const char config[] =
        "{\"added_tokens_decoder\":{\"0\":{\"content\":\"<unk>\",\"special\":true},\"11\":{"
        "\"content\":\"<u>" MARK "\"},\"12\":{\"content\":\"<|x|>\"},\"99\":{\"content\":\"y\"}},"
        "\"add_prefix_space\":true,\"eos_token\":\"<|x|>\"}";
    good_pieces();
    reader_start();
    memory_folder_put(&reader.folder, "tokenizer.model", proto.bytes, proto.size);
    memory_folder_text(&reader.folder, "added_tokens.json", "{\"<a>\":13,\"<u>\":11}");
    memory_folder_text(&reader.folder, "tokenizer_config.json", config);
    REQUIRE(reader_convert_folder(14) == RP_OK);
    CHECK_TEXT(reader_key("ggml.tokens"), "<unk>|<s>|</s>|<0x41>|ab|" MARK "ab|" MARK "|a|b|  |old|<u> |<|x|>|<a>");
    CHECK_TEXT(reader_key("ggml.token_type"), "3|3|3|6|1|1|1|1|1|4|5|4|3|4");
    CHECK_TEXT(reader_key("ggml.scores"), "-1000|0|0|0|-0.5|-1.5|-2|-3|-4|0|0|-1000|-1000|-1000");
    CHECK_TEXT(special_keys(), "1 12 0 - - - true false");
    CHECK_TEXT(reader_key("ggml.add_space_prefix"), "true"); /* over the model's own false */
    reader_end();
    static const char *const bad[][2] = {
        {"added_tokens.json", "{\"<a>\":\"13\"}"},
        {"added_tokens.json", "{\"<a>\":-1}"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\":{\"x\":{\"content\":\"a\"}}}"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\":{\"1\":{}}}"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\":{\"1234567890\":{\"content\":\"a\"}}}"},
    };
    for (size_t i = 0; i < RP_COUNT(bad); i++) {
        reader_start();
        memory_folder_put(&reader.folder, "tokenizer.model", proto.bytes, proto.size);
        memory_folder_text(&reader.folder, bad[i][0], bad[i][1]);
        CHECK_INT(reader_convert_folder(14), RP_ERR_FORMAT);
        reader_check_message(bad[i][0]);
        reader_end();
    }
}

TEST(chat_templates) {
    static const struct {
        const char *jinja, *config, *json, *want;
    } cases[] = {
        {NULL, "{\"chat_template\":\"plain\"}", NULL, "plain"},
        {"jinja", "{\"chat_template\":\"plain\"}", "{\"chat_template\":\"json\"}", "jinja"},
        {"", "{\"chat_template\":\"plain\"}", NULL, ""},
        {NULL, "{\"chat_template\":[{\"name\":\"tool\",\"template\":\"t\"},{\"name\":\"default\",\"template\":\"d\"}]}",
         NULL, "d"},
        {NULL, "{\"chat_template\":[{\"name\":\"tool\",\"template\":\"t\"}]}", NULL, "-"},
        {NULL, "{\"chat_template\":7}", "{\"chat_template\":\"json\"}", "json"},
        {NULL, NULL, NULL, "-"},
    };
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        reader_start();
        put_optional("tokenizer.json", TOKENIZER(""));
        put_optional("chat_template.jinja", cases[i].jinja);
        put_optional("tokenizer_config.json", cases[i].config);
        put_optional("chat_template.json", cases[i].json);
        CHECK_INT(reader_convert_folder(8), RP_OK);
        CHECK_TEXT(reader_key("chat_template"), cases[i].want);
        reader_end();
    }
}

TEST(which_vocabulary) {
    reader_start();
    CHECK_INT(reader_convert_folder(8), RP_ERR_IO);
    reader_check_message("no vocabulary, want tokenizer.model or tokenizer.json");
    reader_end();
    reader_start(); /* Llama 3's own tokenizer.model is a list in base64 */
    put_optional("tokenizer.model", "IQ== 0\nIg== 1\n");
    CHECK_INT(reader_convert_folder(8), RP_ERR_UNSUPPORTED);
    reader_check_message("tokenizer.model: is no SentencePiece model");
    reader_end();
    reader_start();
    put_optional("tokenizer.model", "IQ== 0\nIg== 1\n");
    put_optional("tokenizer.json", TOKENIZER(""));
    CHECK_INT(reader_convert_folder(8), RP_OK);
    CHECK_TEXT(reader_key("ggml.model"), "gpt2");
    reader_end();
    good_pieces();
    reader_start();
    memory_folder_put(&reader.folder, "tokenizer.model", proto.bytes, proto.size);
    put_optional("tokenizer.json", TOKENIZER(""));
    CHECK_INT(reader_convert_folder(12), RP_OK);
    CHECK_TEXT(reader_key("ggml.model"), "llama");
    reader.folder.unreadable = true;
    CHECK_INT(rp_vocabulary_from_folder(reader.keys, &(rp_files){0}, &reader.memory, 0, &reader.err),
              RP_ERR_UNSUPPORTED);
    reader_end();
    reader_start();
    put_optional("tokenizer.json", TOKENIZER(""));
    reader.folder.unreadable = true;
    CHECK_INT(reader_convert_folder(8), RP_ERR_IO);
    reader_check_message("tokenizer.json: cannot be read");
    reader_end();
}

TEST(memory_exhausted) {
    size_t failures = 0;
    good_pieces();
    for (uint64_t nth = 1; failures < 500; nth++, failures++) {
        reader.host.fail_at = nth;
        reader_start();
        memory_folder_put(&reader.folder, "tokenizer.model", proto.bytes, proto.size);
        put_optional("tokenizer_config.json", "{\"added_tokens_decoder\":{\"11\":{\"content\":\"x\"}}}");
        put_optional("generation_config.json", "{\"eos_token_id\":[2,4]}");
        put_optional("chat_template.jinja", "x");
        rp_status status = reader_convert_folder(14);
        reader_end();
        if (status == RP_OK)
            break;
        CHECK_INT(status, RP_ERR_MEMORY);
    }
    reader.host.fail_at = 0;
    CHECK(failures > 20 && failures < 500);
}

TEST_MAIN(sentencepiece, bad_sentencepiece, sentencepiece_changed, llama2c_vocabulary, from_gguf, replaces,
          special_tokens, added_tokens, chat_templates, which_vocabulary, memory_exhausted)
