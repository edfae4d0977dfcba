/* libFuzzer target for the converter's whole way: a GGUF file, a llama2.c checkpoint, or config.json and a safetensors file behind a zero byte. The
 * first byte says which, and what becomes of it. Checked: a named error, or a file of the size that is told; handles closed, all memory
 * given back. */
#include "convert/convert.h"

#include "../c/memory_folder.h"

enum { UNROLL = 1, DEDUP = 2, LAYERS = 4, QUANTIZE = 8, FOLDER = 16, VOCABULARY = 32 };

static const char tokenizer[] =
    "{\"added_tokens\":[{\"id\":5,\"content\":\"<|end|>\",\"special\":true}],"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}]},"
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3,\"\\u0120ab\":4},"
    "\"merges\":[\"a b\",[\"\\u0120\",\"ab\"]]}}";

typedef struct job {
    memory_folder folder; /* first: rp_files' user */
    uint64_t written;
} job;

static bool count_bytes(void *user, const void *bytes, size_t size) {
    ((job *)user)->written += size;
    return size == 0 || rp_hash_bytes(RP_HASH_START, bytes, size) != 0; /* reads every byte */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    unsigned choice = data[0];
    const char *bytes = (const char *)data + 1, *zero = memchr(bytes, 0, --size);
    job j = {0};
    if (choice & FOLDER && zero) {
        memory_folder_put(&j.folder, "config.json", bytes, (size_t)(zero - bytes));
        memory_folder_put(&j.folder, "model.safetensors", zero + 1, size - (size_t)(zero - bytes) - 1);
        memory_folder_put(&j.folder, "tokenizer.json", tokenizer, strlen(tokenizer));
    } else {
        memory_folder_put(&j.folder, "", bytes, size);
    }
    rp_files files = memory_folder_files(&j.folder);
    files.user = &j;
    files.write = count_bytes;
    const rp_convert_options options = {.keep_types = !(choice & QUANTIZE),
                                        .type = RP_Q8_0,
                                        .head = RP_TYPES,
                                        .layers = choice & LAYERS ? "0x2" : NULL,
                                        .unroll = choice & UNROLL,
                                        .dedup = choice & DEDUP,
                                        .tokenizer = choice & VOCABULARY ? tokenizer : NULL,
                                        .tokenizer_size = strlen(tokenizer),
                                        .tokenizer_name = "fuzz"};
    rp_memory memory;
    rp_converted result;
    rp_error err;
    rp_memory_init(&memory, &(rp_host){0});
    rp_status status = rp_convert(&files, &memory, &options, &result, &err);
    bool named = status == RP_OK || (err.status == status && err.message[0]);
    if (!named || (status == RP_OK && j.written != result.bytes) || j.folder.open || memory.bytes_now)
        abort();
    return 0;
}
