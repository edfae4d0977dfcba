/* A test tool: reads a GGUF's vocabulary and questions from stdin, each ended by a zero byte, and prints a JSON array a
 * line. A question starts with a letter: 0 to 3 tokenize what follows with these flags, d takes ids in decimal and
 * prints their bytes, e prints the ids that end a turn. It spares the tests thousands of process starts.
 *
 *     tokenize_batch MODEL < questions */
#include "tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const rp_error *err) {
    fprintf(stderr, "tokenize_batch: %s: %s\n", rp_status_name(err->status), err->message);
    return 1;
}

static rp_status read_header(rp_gguf *gguf, const char *path, rp_error *err) {
    static uint8_t bytes[65536];
    bool done = false;
    size_t size, used;
    FILE *file = fopen(path, "rb");
    if (!file)
        return rp_fail(err, RP_ERR_IO, "%s cannot be opened", path);
    rp_status status = RP_OK;
    while (status == RP_OK && !done && (size = fread(bytes, 1, sizeof bytes, file)) > 0)
        status = rp_gguf_feed(gguf, bytes, size, &used, &done, err);
    fclose(file);
    /* A file of a vocabulary alone may lack the header's last padding. */
    if (status == RP_OK && !done)
        status = rp_gguf_feed(gguf, (const uint8_t[32]){0}, 32, &used, &done, err);
    return status != RP_OK || done ? status : rp_fail(err, RP_ERR_FORMAT, "%s ends in its header", path);
}

static char *read_all(FILE *file, size_t *size) {
    size_t room = 1 << 16, got;
    char *text = malloc(room + 1);
    for (*size = 0; text && (got = fread(text + *size, 1, room - *size, file)) > 0;) {
        *size += got;
        if (*size == room)
            text = realloc(text, (room *= 2) + 1);
    }
    if (text)
        text[*size] = 0;
    return text;
}

static rp_status print_ids(rp_tokenizer *tokenizer, const char *text, size_t size, unsigned flags, rp_error *err) {
    size_t count = 0, again = 0;
    RP_TRY(rp_tokenizer_encode(tokenizer, text, size, flags, NULL, 0, &count, err));
    int32_t *ids = malloc((count + 1) * sizeof *ids);
    rp_status status = rp_tokenizer_encode(tokenizer, text, size, flags, ids, count, &again, err);
    for (size_t i = 0; i < again; i++)
        printf("%s%d", i ? "," : "[", (int)ids[i]);
    printf("%s]\n", again ? "" : "[");
    free(ids);
    return status;
}

static void print_bytes(rp_tokenizer *tokenizer, char *text) {
    bool any = false;
    for (char *at = text, *end; *at; at = end) {
        size_t size = 0;
        const char *bytes = rp_tokenizer_bytes_of(tokenizer, (int32_t)strtol(at, &end, 10), &size);
        for (size_t i = 0; i < size; i++, any = true)
            printf("%s%d", any ? "," : "[", (uint8_t)bytes[i]);
        if (end == at)
            break;
    }
    printf("%s]\n", any ? "" : "[");
}

static void print_ends(rp_tokenizer *tokenizer) {
    bool any = false;
    for (uint32_t id = 0; id < rp_tokenizer_vocab(tokenizer); id++) {
        if (rp_tokenizer_ends(tokenizer, (int32_t)id))
            printf("%s%u", any ? "," : "[", id);
        any |= rp_tokenizer_ends(tokenizer, (int32_t)id);
    }
    printf("%s]\n", any ? "" : "[");
}

static rp_status answer(rp_tokenizer *tokenizer, char *text, size_t size, rp_error *err) {
    if (*text == 'd')
        print_bytes(tokenizer, text + 1);
    else if (*text == 'e')
        print_ends(tokenizer);
    else if (*text >= '0' && *text <= '3')
        return print_ids(tokenizer, text + 1, size - 1, (unsigned)(*text - '0'), err);
    else
        return rp_fail(err, RP_ERR_ARGUMENT, "question %.20s: want one that starts with 0 to 3, d or e", text);
    return RP_OK;
}

static rp_status answer_all(rp_tokenizer *tokenizer, char *texts, size_t size, rp_error *err) {
    for (char *at = texts, *end; at < texts + size; at = end + 1) {
        end = memchr(at, 0, (size_t)(texts + size - at) + 1);
        RP_TRY(answer(tokenizer, at, (size_t)(end - at), err));
    }
    return RP_OK;
}

int main(int argc, char **argv) {
    rp_error err;
    rp_memory memory;
    rp_gguf *gguf = NULL;
    rp_tokenizer *tokenizer = NULL;
    size_t size = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: tokenize_batch MODEL < questions\n");
        return 2;
    }
    rp_memory_init(&memory, &(rp_host){0});
    rp_status status = rp_gguf_open(&gguf, &memory, &err);
    if (status == RP_OK)
        status = read_header(gguf, argv[1], &err);
    if (status == RP_OK)
        status = rp_tokenizer_open(&tokenizer, gguf, &memory, &err);
    char *texts = status == RP_OK ? read_all(stdin, &size) : NULL;
    if (texts)
        status = answer_all(tokenizer, texts, size, &err);
    free(texts);
    rp_tokenizer_close(tokenizer);
    rp_gguf_close(gguf);
    if (status == RP_OK && memory.bytes_now)
        status = rp_fail(&err, RP_ERR_MEMORY, "%llu bytes were not given back", (unsigned long long)memory.bytes_now);
    return status == RP_OK ? 0 : fail(&err);
}
