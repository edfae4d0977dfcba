/* JSON (RFC 8259) as a tree of values in one array: config.json, tokenizer.json, the headers of safetensors. Strict: no
 * comments, no trailing commas, valid UTF-8 only, a depth of at most 64. Knows no files. */
#ifndef RP_JSON_H
#define RP_JSON_H

#include "../base.h"

typedef enum rp_json_kind {
    RP_JSON_NULL,
    RP_JSON_FALSE,
    RP_JSON_TRUE,
    RP_JSON_NUMBER,
    RP_JSON_STRING,
    RP_JSON_ARRAY,
    RP_JSON_OBJECT
} rp_json_kind;

/* A member of an object has its name. Walk children from `child` through `next`; NULL ends. */
typedef struct rp_json {
    rp_json_kind kind;
    const char *name;   /* unescaped, zero-terminated; NULL outside objects */
    size_t name_size;   /* in bytes: a name may hold zeros, too */
    const char *string; /* unescaped, zero-terminated; may hold zeros */
    size_t size;        /* of the string in bytes, or the number of children */
    double number;
    bool whole; /* the number is an integer ("2", "2.0", "2e3"), and `integer` holds it exactly */
    int64_t integer;
    const struct rp_json *child, *next;
} rp_json;

typedef struct rp_json_document rp_json_document;

/* Reads a whole text, which may be released afterwards. `what` names it in errors ("config.json: line 3: ..."). The
 * caller owns *document: rp_json_close. Memory: 72 bytes a value (in pages of 1024) and the text's size; time is linear
 * in the text. */
rp_status rp_json_read(rp_json_document **document, rp_memory *memory, const char *what, const char *text, size_t size,
                       rp_error *err);
void rp_json_close(rp_json_document *document); /* NULL is fine */
const rp_json *rp_json_root(const rp_json_document *document);

/* The member of that name, or NULL; NULL too when `object` is NULL or no object. Of several with one name the last counts. */
const rp_json *rp_json_find(const rp_json *object, const char *name);
bool rp_json_is(const rp_json *value, const char *text); /* a string that says exactly this */

/* Typed reads of a member. Absent or null: *out is left as it was, RP_OK. Wrong kind: RP_ERR_FORMAT that names the member, what it
 * is and what was wanted. */
rp_status rp_json_u32(const rp_json *object, const char *name, uint32_t *out, rp_error *err);
rp_status rp_json_f32(const rp_json *object, const char *name, float *out, rp_error *err);
rp_status rp_json_bool(const rp_json *object, const char *name, bool *out, rp_error *err);
rp_status rp_json_string(const rp_json *object, const char *name, const char **out, rp_error *err);

#endif
