/* Where the sampler and the text stream get the bytes of a token from: a model's tokenizer, or a test's
 * table. It is borrowed and must outlive whoever holds it; it owns nothing. */
#ifndef RP_TOKEN_SOURCE_H
#define RP_TOKEN_SOURCE_H

#include "reprise.h"

typedef struct rp_token_source {
    uint32_t vocab;
    const void *user;
    /* As rp_token_bytes; asked only for ids below vocab. */
    const char *(*bytes)(const void *user, int32_t id, size_t *size);
} rp_token_source;

#endif
