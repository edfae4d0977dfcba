/* Which reader a vocabulary goes through: see vocabulary.h. */
#include "vocabulary_internal.h"

#include <string.h>

enum { TOKENIZER_MAX = 512 << 20 };

/* The first byte of a SentencePiece model: field 1, the first piece. */
enum { FIRST_PIECE = 0x0a };

static bool is_pieces(const char *bytes, size_t size) {
    return size > 0 && bytes[0] == FIRST_PIECE;
}

static bool is_json(const char *bytes, size_t size) {
    size_t at = 0;
    while (at < size && (bytes[at] == ' ' || bytes[at] == '\n' || bytes[at] == '\r' || bytes[at] == '\t'))
        at++;
    return at < size && bytes[at] == '{';
}

/* It begins with the length of its longest token, in four bytes; a SentencePiece model has no zeros there. */
static bool is_llama2c(const char *bytes, size_t size) {
    return size >= 4 && rp_load_u32((const uint8_t *)bytes) <= UINT16_MAX;
}

/* ---- GGUF ---------------------------------------------------------------------------------------------- */

static rp_status find_array(const rp_gguf *gguf, const char *key, uint64_t count, bool floats, rp_gguf_value *value,
                            bool *there, rp_error *err) {
    *there = rp_gguf_find(gguf, key, value);
    bool fits = *there && value->is_array && value->count >= count &&
                (floats ? value->type == RP_GGUF_F32 : value->type == RP_GGUF_I32 || value->type == RP_GGUF_U32);
    if (*there && !fits)
        return rp_fail(err, RP_ERR_FORMAT, "%s: want an array of %llu %s, one a token", key, (unsigned long long)count,
                       floats ? "float32" : "int32");
    return RP_OK;
}

/* Tokens, types and scores once more, with unused tokens behind them. */
static rp_status pad_gguf(rp_vocabulary *v, const rp_gguf *gguf, const rp_gguf_value *tokens, rp_error *err) {
    rp_gguf_value types = {0}, scores = {0};
    bool typed = false, scored = false;
    size_t cursor = 0;
    RP_TRY(find_array(gguf, "tokenizer.ggml.token_type", tokens->count, false, &types, &typed, err));
    RP_TRY(find_array(gguf, "tokenizer.ggml.scores", tokens->count, true, &scores, &scored, err));
    for (uint32_t id = 0; id < tokens->count; id++) {
        rp_span text = rp_gguf_next_string(tokens, &cursor);
        int32_t type = typed ? (int32_t)rp_gguf_int_at(&types, id) : RP_TOKEN_NORMAL;
        RP_TRY(rp_vocabulary_put(v, id, text, type, scored ? rp_gguf_f32_at(&scores, id) : 0, err));
    }
    RP_TRY(rp_vocabulary_fill(v, err));
    RP_TRY(rp_keys_set_strings(v->keys, "tokenizer.ggml.tokens", v->texts, v->count, err));
    RP_TRY(rp_keys_set_i32s(v->keys, "tokenizer.ggml.token_type", v->types, v->count, err));
    return scored ? rp_keys_set_f32s(v->keys, "tokenizer.ggml.scores", v->scores, v->count, err) : RP_OK;
}

static rp_status copy_gguf(rp_vocabulary *v, const rp_gguf *gguf, rp_error *err) {
    static const char prefix[] = "tokenizer.";
    rp_gguf_value value;
    for (size_t i = 0; i < rp_gguf_key_count(gguf); i++) {
        rp_span name = rp_gguf_key_at(gguf, i);
        char key[128];
        if (name.size < strlen(prefix) || name.size >= sizeof key || memcmp(name.data, prefix, strlen(prefix)) != 0 ||
            memchr(name.data, 0, name.size))
            continue;
        memcpy(key, name.data, name.size);
        key[name.size] = 0;
        if (rp_gguf_find(gguf, key, &value))
            RP_TRY(rp_keys_set(v->keys, key, &value, err));
    }
    if (!rp_gguf_find(gguf, "tokenizer.ggml.tokens", &value) || !value.is_array || value.type != RP_GGUF_STRING)
        return rp_fail(err, RP_ERR_FORMAT, "%s: has no vocabulary, want the key tokenizer.ggml.tokens", v->what);
    if (value.count > v->count)
        return rp_fail(err, RP_ERR_FORMAT, "%s: has %llu tokens, and the model's vocab_size is %u", v->what,
                       (unsigned long long)value.count, v->count);
    return value.count < v->count ? pad_gguf(v, gguf, &value, err) : RP_OK;
}

static rp_status read_gguf(rp_vocabulary *v, const char *bytes, size_t size, rp_error *err) {
    static const uint8_t padding[32] = {0}; /* a file of a vocabulary alone may lack the header's last bytes */
    rp_gguf *gguf = NULL;
    size_t used = 0;
    bool done = false;
    RP_TRY(rp_gguf_open(&gguf, v->memory, err));
    rp_status status = rp_gguf_feed(gguf, (const uint8_t *)bytes, size, &used, &done, err);
    if (status == RP_OK && !done)
        status = rp_gguf_feed(gguf, padding, sizeof padding, &used, &done, err);
    if (status == RP_OK && !done)
        status = rp_fail(err, RP_ERR_FORMAT, "%s: ends in its header", v->what);
    if (status == RP_OK)
        status = copy_gguf(v, gguf, err);
    rp_gguf_close(gguf);
    return status;
}

/* ---- Files --------------------------------------------------------------------------------------------- */

/* Where no file says which tokens begin and end a text, their names do. */
static void guess_special(rp_vocabulary *v) {
    static const struct {
        rp_special special;
        const char *name;
    } names[] = {
        {RP_SPECIAL_BOS, "<s>"},           {RP_SPECIAL_BOS, "<|begin_of_text|>"}, {RP_SPECIAL_BOS, "<bos>"},
        {RP_SPECIAL_EOS, "</s>"},          {RP_SPECIAL_EOS, "<|end_of_text|>"},   {RP_SPECIAL_EOS, "<eos>"},
        {RP_SPECIAL_EOS, "<|endoftext|>"}, {RP_SPECIAL_EOS, "<|im_end|>"},
    };
    for (size_t i = 0; i < RP_COUNT(names); i++)
        if (v->special[names[i].special] < 0)
            v->special[names[i].special] = rp_vocabulary_find(v, (rp_span){names[i].name, strlen(names[i].name)});
}

/* A tokenizer.json; `folder` is NULL when it stands alone. */
static rp_status use_json(rp_vocabulary *v, const rp_json *root, const rp_vocabulary_folder *folder, rp_error *err) {
    bool pieces = false;
    RP_TRY(rp_vocabulary_from_json(v, root, folder, &pieces, err));
    if (folder)
        RP_TRY(rp_vocabulary_read_special(v, folder, err));
    rp_vocabulary_read_template(v, root);
    if (!folder || !folder->tokenizer_config)
        guess_special(v);
    /* Else the pre-tokenizer's name would decide, and Llama 3's puts a BOS. */
    if (!pieces && v->add_bos == RP_UNSAID && v->special[RP_SPECIAL_BOS] >= 0 && rp_vocabulary_puts_nothing(root))
        v->add_bos = RP_NO;
    return rp_vocabulary_write_special(v, pieces, err);
}

static rp_status use_pieces(rp_vocabulary *v, const char *bytes, size_t size, const rp_vocabulary_folder *folder,
                            rp_error *err) {
    RP_TRY(rp_vocabulary_read_pieces(v, bytes, size, err));
    if (folder)
        RP_TRY(rp_vocabulary_read_added(v, folder, err));
    RP_TRY(rp_vocabulary_fill(v, err));
    RP_TRY(rp_vocabulary_write(v, "llama", "default", true, err));
    if (folder)
        RP_TRY(rp_vocabulary_read_special(v, folder, err));
    return rp_vocabulary_write_special(v, true, err);
}

static rp_status use_json_text(rp_vocabulary *v, const char *bytes, size_t size, rp_error *err) {
    rp_json_document *document = NULL;
    RP_TRY(rp_json_read(&document, v->memory, v->what, bytes, size, err));
    rp_status status = use_json(v, rp_json_root(document), NULL, err);
    rp_json_close(document);
    return status;
}

static rp_status use_llama2c(rp_vocabulary *v, const char *bytes, size_t size, rp_error *err) {
    RP_TRY(rp_vocabulary_read_llama2c(v, bytes, size, err));
    RP_TRY(rp_vocabulary_fill(v, err));
    RP_TRY(rp_vocabulary_write(v, "llama", "default", true, err));
    return rp_vocabulary_write_special(v, true, err);
}

rp_status rp_vocabulary_from_file(rp_keys *keys, rp_memory *memory, const char *name, const char *bytes, size_t size,
                                  uint32_t vocab, rp_error *err) {
    rp_vocabulary v;
    rp_status status = rp_vocabulary_open(&v, keys, memory, name, vocab, err);
    rp_keys_remove_all(keys, "tokenizer.");
    if (status == RP_OK) {
        if (size >= 4 && memcmp(bytes, "GGUF", 4) == 0)
            status = read_gguf(&v, bytes, size, err);
        else if (is_json(bytes, size))
            status = use_json_text(&v, bytes, size, err);
        else if (is_llama2c(bytes, size))
            status = use_llama2c(&v, bytes, size, err);
        else if (is_pieces(bytes, size))
            status = use_pieces(&v, bytes, size, NULL, err);
        else
            status = rp_fail(err, RP_ERR_FORMAT,
                             "%s: want a vocabulary: GGUF, tokenizer.json, tokenizer.model or llama2.c's tokenizer.bin",
                             name);
    }
    rp_vocabulary_close(&v);
    return status;
}

/* ---- Folders ------------------------------------------------------------------------------------------- */

/* *bytes, when it is not NULL, is the file's, which the table's texts point into. Not every tokenizer.model is
 * SentencePiece's. */
static rp_status read_folder(rp_vocabulary *v, rp_vocabulary_folder *folder, char **bytes, size_t *size,
                             rp_error *err) {
    static const char json[] = "tokenizer.json", pieces[] = "tokenizer.model";
    bool has_json = rp_files_has(folder->files, json);
    if (rp_files_has(folder->files, pieces)) {
        RP_TRY(rp_files_read_all(folder->files, folder->memory, pieces, TOKENIZER_MAX, bytes, size, err));
        v->what = pieces;
        if (is_pieces(*bytes, *size))
            return use_pieces(v, *bytes, *size, folder, err);
        if (!has_json)
            return rp_fail(err, RP_ERR_UNSUPPORTED, "%s: is no SentencePiece model, want one or a tokenizer.json",
                           pieces);
        rp_release(folder->memory, *bytes, *size + 1, 1);
        *bytes = NULL;
    }
    if (!has_json)
        return rp_fail(err, RP_ERR_IO, "the input has no vocabulary, want tokenizer.model or tokenizer.json");
    RP_TRY(rp_files_read_all(folder->files, folder->memory, json, TOKENIZER_MAX, bytes, size, err));
    v->what = json;
    rp_status status = rp_json_read(&folder->tokenizer, folder->memory, json, *bytes, *size, err);
    rp_release(folder->memory, *bytes, *size + 1, 1);
    *bytes = NULL;
    RP_TRY(status);
    return use_json(v, rp_json_root(folder->tokenizer), folder, err);
}

rp_status rp_vocabulary_from_folder(rp_keys *keys, const rp_files *files, rp_memory *memory, uint32_t vocab,
                                    rp_error *err) {
    rp_vocabulary v;
    rp_vocabulary_folder folder = {0};
    char *bytes = NULL;
    size_t size = 0;
    rp_status status = rp_vocabulary_open(&v, keys, memory, "the vocabulary", vocab, err);
    rp_keys_remove_all(keys, "tokenizer.");
    if (status == RP_OK)
        status = rp_vocabulary_folder_open(&folder, files, memory, err);
    if (status == RP_OK)
        status = read_folder(&v, &folder, &bytes, &size, err);
    if (status == RP_OK)
        status = rp_vocabulary_write_template(&v, &folder, err);
    rp_vocabulary_close(&v);
    rp_vocabulary_folder_close(&folder);
    rp_release(memory, bytes, size + 1, 1);
    return status;
}
