/* Names of blocks' tensors, taken apart. See block_name.h. */
#include "block_name.h"

#include <string.h>

static bool begins(const char *name, const char *start) {
    return strncmp(name, start, strlen(start)) == 0;
}

/* A number and the dot behind it at *at, which moves behind both. */
static bool read_number(const char **at, uint32_t *value) {
    const char *start = *at;
    for (*value = 0; **at >= '0' && **at <= '9' && *value < RP_MAX_BLOCKS; ++*at)
        *value = *value * 10 + (uint32_t)(**at - '0');
    bool is_number = *at > start && **at == '.';
    *at += is_number;
    return is_number;
}

bool rp_block_name_read(const char *tensor, rp_block_name *out) {
    const char *at = tensor + 4;
    uint32_t time;
    *out = (rp_block_name){.time = RP_EVERY_VISIT};
    if (!begins(tensor, "blk.") || !read_number(&at, &out->block))
        return false;
    const char *visit = at + 1;
    if (*at == 'r' && read_number(&visit, &time)) {
        out->time = (int32_t)time;
        at = visit;
    }
    out->name = at;
    out->ffn = begins(at, "ffn_") || begins(at, "post_ffw_norm.");
    out->kv = begins(at, "attn_k.") || begins(at, "attn_k_norm.") || begins(at, "attn_v.");
    out->norm = strstr(at, "_norm.") != NULL;
    out->visits_only = begins(at, "step.") || strstr(at, ".lora_") != NULL;
    return true;
}
