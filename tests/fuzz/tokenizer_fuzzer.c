/* libFuzzer target for the tokenizer. First byte: the family, whether the input brings its vocabulary, and the flags.
 * A vocabulary it brings is lines up to a zero byte: tokens, each with its type as first character, or merges, which
 * hold a space. The rest is the text. Checked: ids in range, the same ids for a second run, all memory given back. */
#include "tokenizer.h"

#include "../c/gguf_builder.h"

enum { TOKENS_MAX = 200, BPE = 1, OWN_VOCABULARY = 2, TEXT_MAX = 4096 };

typedef struct line {
    const char *text;
    size_t size;
} line;

static const char spm_lines[] =
    "2<unk>\n3<s>\n3</s>\n6<0x61>\n6<0xC3>\n6<0xA9>\n1▁\n1a\n1b\n1c\n1ab\n1bc\n1▁a\n1▁ab\n1abc\n4  \n4\n3<|im_end|>\n"
    "1▁▁\n1▁▁▁▁\n1é\n4<u>\n4<u><u>";
static const char bpe_lines[] =
    "3<|end|>\n4<u>\n1a\n1b\n1c\n1Ġ\n1Ã\n1©\n1Ċ\n11\n1ab\n1bc\n1abc\n1Ġa\n1Ġab\n1Ã©\n1ĊĊ\n4    \na b\nb c\na bc\n"
    "Ġ ab\nĠ a\nÃ ©\nĊ Ċ\nx y\nxy a";
static const char *const pres[] = {"default", "gpt-2", "smollm", "llama-bpe", "qwen2", "falcon"};

static void put_text(gguf_build *file, line text) {
    gguf_build_u64_raw(file, text.size);
    gguf_build_raw(file, text.text, text.size);
}

static size_t split(const char *text, size_t size, line lines[TOKENS_MAX]) {
    size_t count = 0;
    for (size_t at = 0; at < size && count < TOKENS_MAX; count++) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t length = end ? (size_t)(end - text) - at : size - at;
        lines[count] = (line){text + at, length};
        at += length + 1;
    }
    return count;
}

static bool is_merge(line text) {
    return text.size > 2 && text.text[0] != '4' && memchr(text.text, ' ', text.size);
}

static void put_vocabulary(gguf_build *file, bool bpe, const char *pre, const char *text, size_t size) {
    line lines[TOKENS_MAX];
    size_t count = split(text, size, lines), merges = 0;
    for (size_t i = 0; i < count; i++)
        merges += is_merge(lines[i]);
    gguf_build_start(file);
    gguf_build_string(file, "tokenizer.ggml.model", bpe ? "gpt2" : "llama");
    gguf_build_string(file, "tokenizer.ggml.pre", pre);
    gguf_build_array(file, "tokenizer.ggml.merges", 8, merges);
    for (size_t i = 0; i < count; i++)
        if (is_merge(lines[i]))
            put_text(file, lines[i]);
    gguf_build_array(file, "tokenizer.ggml.tokens", 8, count - merges);
    for (size_t i = 0; i < count; i++)
        if (!is_merge(lines[i]))
            put_text(file, lines[i].size ? (line){lines[i].text + 1, lines[i].size - 1} : lines[i]);
    gguf_build_array(file, "tokenizer.ggml.token_type", 5, count - merges);
    for (size_t i = 0; i < count; i++)
        if (!is_merge(lines[i]))
            gguf_build_u32_raw(file, lines[i].size ? (uint32_t)(lines[i].text[0] - '0') : 1);
    gguf_build_array(file, "tokenizer.ggml.scores", 6, count - merges);
    for (size_t i = 0; i < count - merges; i++)
        gguf_build_u32_raw(file, UINT32_C(0x3f800000) + (uint32_t)(i * 2654435761u >> 10));
    file->bytes[16] = (uint8_t)file->keys;
    while (file->size % GGUF_BUILD_ALIGNMENT)
        gguf_build_raw(file, "", 1);
}

static void use(rp_tokenizer *tokenizer, const char *text, size_t size, unsigned flags) {
    static int32_t ids[2][6 * TEXT_MAX + 1];
    size_t counts[2], bytes = 0;
    rp_error err;
    for (int i = 0; i < 2; i++) {
        if (rp_tokenizer_encode(tokenizer, text, size, flags, ids[i], RP_COUNT(ids[i]), &counts[i], &err) != RP_OK)
            abort();
    }
    if (counts[0] != counts[1] || counts[0] > RP_COUNT(ids[0]) || memcmp(ids[0], ids[1], counts[0] * sizeof(int32_t)))
        abort();
    for (size_t i = 0; i < counts[0]; i++) {
        const char *piece = rp_tokenizer_bytes_of(tokenizer, ids[0][i], &bytes);
        if (!piece || bytes > TEXT_MAX || rp_hash_bytes(RP_HASH_START, piece, bytes) == 0) /* reads every byte */
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static gguf_build file;
    if (size < 2 || size > TEXT_MAX)
        return 0;
    unsigned choice = data[0];
    bool bpe = choice & BPE, done = false;
    const char *text = (const char *)data + 2, *vocabulary = bpe ? bpe_lines : spm_lines;
    size_t vocabulary_size = strlen(vocabulary), used;
    size -= 2;
    if (choice & OWN_VOCABULARY) {
        const char *end = memchr(text, 0, size);
        vocabulary = text;
        vocabulary_size = end ? (size_t)(end - text) : size;
        text = end ? end + 1 : text + size;
        size -= vocabulary_size + (end != NULL);
    }
    put_vocabulary(&file, bpe, pres[data[1] % RP_COUNT(pres)], vocabulary, vocabulary_size);
    rp_memory memory;
    rp_error err;
    rp_gguf *gguf = NULL;
    rp_tokenizer *tokenizer = NULL;
    rp_memory_init(&memory, &(rp_host){0});
    if (rp_gguf_open(&gguf, &memory, &err) != RP_OK)
        abort();
    if (rp_gguf_feed(gguf, file.bytes, file.size, &used, &done, &err) == RP_OK &&
        rp_tokenizer_open(&tokenizer, gguf, &memory, &err) == RP_OK)
        use(tokenizer, text, size, choice >> 2 & 15);
    rp_tokenizer_close(tokenizer);
    rp_gguf_close(gguf);
    if (memory.bytes_now)
        abort();
    return 0;
}
