/* Metadata of a GGUF file that is being made: a list of keys with typed values, in the order in which they will be
 * written. */
#ifndef RP_KEYS_H
#define RP_KEYS_H

#include "../gguf.h"

typedef struct rp_keys rp_keys;

rp_status rp_keys_open(rp_keys **keys, rp_memory *memory, rp_error *err);
void rp_keys_close(rp_keys *keys); /* NULL is fine */

/* Each sets a key: one that is there is replaced in its place. Bytes are copied; on error nothing has changed. Keys
 * have 1 to 65535 bytes. */
/* Arrays of strings: as GGUF stores them. Bytes that do not make up the value: RP_ERR_ARGUMENT. */
rp_status rp_keys_set(rp_keys *keys, const char *key, const rp_gguf_value *value, rp_error *err);
rp_status rp_keys_set_u32(rp_keys *keys, const char *key, uint32_t value, rp_error *err);
rp_status rp_keys_set_f32(rp_keys *keys, const char *key, float value, rp_error *err);
rp_status rp_keys_set_bool(rp_keys *keys, const char *key, bool value, rp_error *err);
rp_status rp_keys_set_string(rp_keys *keys, const char *key, const char *text, size_t size, rp_error *err);
rp_status rp_keys_set_u32s(rp_keys *keys, const char *key, const uint32_t *values, size_t count, rp_error *err);
rp_status rp_keys_set_i32s(rp_keys *keys, const char *key, const int32_t *values, size_t count, rp_error *err);
rp_status rp_keys_set_f32s(rp_keys *keys, const char *key, const float *values, size_t count, rp_error *err);
rp_status rp_keys_set_strings(rp_keys *keys, const char *key, const rp_span *values, size_t count, rp_error *err);
void rp_keys_remove(rp_keys *keys, const char *key);
/* Another name for a key, in its place. */
rp_status rp_keys_rename(rp_keys *keys, size_t index, const char *key, rp_error *err);
/* Removes every key that begins with `prefix`. */
void rp_keys_remove_all(rp_keys *keys, const char *prefix);

/* As rp_gguf_find; *value points into the list and is valid until this key is set or removed. */
bool rp_keys_find(const rp_keys *keys, const char *key, rp_gguf_value *value);
size_t rp_keys_count(const rp_keys *keys);
rp_span rp_keys_at(const rp_keys *keys, size_t index, rp_gguf_value *value);

/* Sets all keys of a GGUF file, in the file's order. On error some are set. */
rp_status rp_keys_copy(rp_keys *keys, const rp_gguf *gguf, rp_error *err);

#endif
