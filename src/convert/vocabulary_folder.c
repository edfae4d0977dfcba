/* What the small files beside a vocabulary say: added and special tokens, what is put around a text, the chat template.
 * The order of precedence is llama.cpp's SpecialVocab's (gguf-py/gguf/vocab.py), but for a chat_template.jinja, which counts
 * more than tokenizer_config.json. Files that are missing say nothing. */
#include "vocabulary_internal.h"

#include <string.h>

enum { SMALL_FILE_MAX = 64 << 20 };

static const char *const token_names[RP_SPECIALS] = {"bos_token", "eos_token", "unk_token", "pad_token"};
static const char *const id_names[RP_SPECIALS] = {"bos_token_id", "eos_token_id", "unk_token_id", "pad_token_id"};

static rp_status open_json(const rp_vocabulary_folder *folder, const char *name, rp_json_document **document,
                           rp_error *err) {
    char *text = NULL;
    size_t size = 0;
    if (!rp_files_has(folder->files, name))
        return RP_OK;
    RP_TRY(rp_files_read_all(folder->files, folder->memory, name, SMALL_FILE_MAX, &text, &size, err));
    rp_status status = rp_json_read(document, folder->memory, name, text, size, err);
    rp_release(folder->memory, text, size + 1, 1);
    return status;
}

rp_status rp_vocabulary_folder_open(rp_vocabulary_folder *folder, const rp_files *files, rp_memory *memory,
                                    rp_error *err) {
    *folder = (rp_vocabulary_folder){.files = files, .memory = memory};
    RP_TRY(open_json(folder, "tokenizer_config.json", &folder->tokenizer_config, err));
    RP_TRY(open_json(folder, "special_tokens_map.json", &folder->special_tokens, err));
    RP_TRY(open_json(folder, "generation_config.json", &folder->generation, err));
    RP_TRY(open_json(folder, "config.json", &folder->config, err));
    return open_json(folder, "added_tokens.json", &folder->added, err);
}

void rp_vocabulary_folder_close(rp_vocabulary_folder *folder) {
    rp_json_close(folder->tokenizer_config);
    rp_json_close(folder->special_tokens);
    rp_json_close(folder->generation);
    rp_json_close(folder->config);
    rp_json_close(folder->added);
    rp_json_close(folder->tokenizer);
}

static const rp_json *root_of(const rp_json_document *document) {
    return document ? rp_json_root(document) : NULL;
}

/* ---- Added tokens -------------------------------------------------------------------------------------- */

/* A decimal number as a whole text; -1: it is none. */
static int64_t read_id(rp_span text) {
    int64_t id = 0;
    if (text.size == 0 || text.size > 9)
        return -1;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        id = id * 10 + (text.data[i] - '0');
    }
    return id;
}

/* An object's members; none when it is no object. */
static const rp_json *members(const rp_json *object) {
    return object && object->kind == RP_JSON_OBJECT ? object->child : NULL;
}

/* tokenizer.json's own list of added tokens counts more: it was read before. */
static bool is_added(const rp_vocabulary *v, int64_t id) {
    return id >= 0 && id < v->count && v->texts[id].data &&
           (v->types[id] == RP_TOKEN_CONTROL || v->types[id] == RP_TOKEN_USER);
}

rp_status rp_vocabulary_read_added(rp_vocabulary *v, const rp_vocabulary_folder *folder, rp_error *err) {
    bool listed = folder->tokenizer != NULL;
    for (const rp_json *token = members(root_of(folder->added)); token; token = token->next) {
        if (!token->whole || token->integer < 0)
            return rp_fail(err, RP_ERR_FORMAT, "added_tokens.json: \"%.64s\" has no id that is a number", token->name);
        if (!listed || !is_added(v, token->integer))
            RP_TRY(rp_vocabulary_add(v, token->integer, rp_json_name_of(token), false, err));
    }
    const rp_json *decoder = rp_json_find(root_of(folder->tokenizer_config), "added_tokens_decoder");
    for (const rp_json *token = members(decoder); token; token = token->next) {
        int64_t id = read_id(rp_json_name_of(token));
        const rp_json *content = rp_json_find(token, "content");
        bool special = false;
        if (id < 0 || !content || content->kind != RP_JSON_STRING)
            return rp_fail(err, RP_ERR_FORMAT,
                           "tokenizer_config.json: \"added_tokens_decoder\": \"%.64s\", want an id with a \"content\"",
                           token->name);
        RP_TRY(rp_json_bool(token, "special", &special, err));
        if (!listed || !is_added(v, id))
            RP_TRY(rp_vocabulary_add(v, id, rp_json_text_of(content), special, err));
    }
    return RP_OK;
}

/* ---- Special tokens ------------------------------------------------------------------------------------ */

/* "<s>" or {"content": "<s>", ...}; NULL: no such member. */
static const rp_json *token_text(const rp_json *root, const char *name) {
    const rp_json *value = rp_json_find(root, name);
    if (value && value->kind == RP_JSON_OBJECT)
        value = rp_json_find(value, "content");
    return value && value->kind == RP_JSON_STRING ? value : NULL;
}

/* An id, or the first of several; -1: none that is in the vocabulary. */
static int64_t token_id(const rp_vocabulary *v, const rp_json *root, const char *name) {
    const rp_json *value = rp_json_find(root, name);
    if (value && value->kind == RP_JSON_ARRAY)
        value = value->child;
    return value && value->whole && value->integer >= 0 && value->integer < v->count ? value->integer : -1;
}

static void find_special(rp_vocabulary *v, const rp_vocabulary_folder *folder, rp_special special) {
    const rp_json *text = token_text(root_of(folder->tokenizer_config), token_names[special]);
    if (!text)
        text = token_text(root_of(folder->special_tokens), token_names[special]);
    int64_t id = text ? rp_vocabulary_find(v, rp_json_text_of(text)) : -1;
    if (id < 0)
        id = token_id(v, root_of(folder->config), id_names[special]);
    if (id < 0)
        id = token_id(v, root_of(folder->generation), id_names[special]);
    if (id >= 0)
        v->special[special] = id;
}

/* Tokens that end a turn besides EOS. Engines know some by their names: those that end any text are no end of a turn. */
static rp_status set_other_ends(const rp_vocabulary *v, const rp_json *root, rp_error *err) {
    static const char *const ends_of_text[] = {"<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>"};
    const rp_json *ids = rp_json_find(root, "eos_token_id");
    rp_gguf_value there;
    for (const rp_json *id = ids && ids->kind == RP_JSON_ARRAY ? ids->child : NULL; id; id = id->next) {
        if (!id->whole || id->integer < 0 || id->integer >= v->count || id->integer == v->special[RP_SPECIAL_EOS])
            continue;
        rp_span text = v->texts[id->integer];
        bool general = false;
        for (size_t i = 0; i < RP_COUNT(ends_of_text); i++)
            general |= rp_span_is(text, ends_of_text[i]);
        const char *key =
            rp_span_is(text, "<|eom_id|>") ? "tokenizer.ggml.eom_token_id" : "tokenizer.ggml.eot_token_id";
        if (!general && !rp_keys_find(v->keys, key, &there))
            RP_TRY(rp_keys_set_u32(v->keys, key, (uint32_t)id->integer, err));
    }
    return RP_OK;
}

static rp_status read_choice(const rp_json *root, const char *name, rp_choice *choice, rp_error *err) {
    const rp_json *value = rp_json_find(root, name);
    bool yes = false;
    if (!value || value->kind == RP_JSON_NULL)
        return RP_OK;
    RP_TRY(rp_json_bool(root, name, &yes, err));
    *choice = yes ? RP_YES : RP_NO;
    return RP_OK;
}

rp_status rp_vocabulary_read_special(rp_vocabulary *v, const rp_vocabulary_folder *folder, rp_error *err) {
    const rp_json *config = root_of(folder->tokenizer_config);
    for (rp_special special = 0; special < RP_SPECIALS; special++)
        find_special(v, folder, special);
    RP_TRY(set_other_ends(v, root_of(folder->generation), err));
    RP_TRY(set_other_ends(v, root_of(folder->config), err));
    RP_TRY(read_choice(config, "add_bos_token", &v->add_bos, err));
    RP_TRY(read_choice(config, "add_eos_token", &v->add_eos, err));
    return read_choice(config, "add_prefix_space", &v->add_space, err);
}

/* ---- Chat template ------------------------------------------------------------------------------------- */

/* A text, or of several with names the one that is called "default"; NULL: none. */
static const rp_json *find_template(const rp_json *root) {
    const rp_json *value = rp_json_find(root, "chat_template");
    if (value && value->kind == RP_JSON_ARRAY) {
        const rp_json *named = value->child;
        while (named && !rp_json_is(rp_json_find(named, "name"), "default"))
            named = named->next;
        value = rp_json_find(named, "template");
    }
    return value && value->kind == RP_JSON_STRING ? value : NULL;
}

rp_status rp_vocabulary_write_template(const rp_vocabulary *v, const rp_vocabulary_folder *folder, rp_error *err) {
    static const char key[] = "tokenizer.chat_template", file[] = "chat_template.jinja";
    if (rp_files_has(folder->files, file)) {
        char *text = NULL;
        size_t size = 0;
        RP_TRY(rp_files_read_all(folder->files, v->memory, file, SMALL_FILE_MAX, &text, &size, err));
        rp_status status = rp_keys_set_string(v->keys, key, text, size, err);
        rp_release(v->memory, text, size + 1, 1);
        return status;
    }
    const rp_json *text = find_template(root_of(folder->tokenizer_config));
    if (text)
        return rp_keys_set_string(v->keys, key, text->string, text->size, err);
    rp_json_document *document = NULL;
    RP_TRY(open_json(folder, "chat_template.json", &document, err));
    text = find_template(root_of(document));
    rp_status status = text ? rp_keys_set_string(v->keys, key, text->string, text->size, err) : RP_OK;
    rp_json_close(document);
    return status;
}
