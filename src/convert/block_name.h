/* What a tensor's name says of blocks: "blk.P.NAME", or "blk.P.rR.NAME" for what block P has on its R-th visit alone. */
#ifndef RP_BLOCK_NAME_H
#define RP_BLOCK_NAME_H

#include "../model.h"

enum { RP_EVERY_VISIT = -1 };

typedef struct rp_block_name {
    uint32_t block;
    int32_t time;     /* the visit, from 0, or RP_EVERY_VISIT */
    const char *name; /* "attn_norm.weight", within the name that was read */
    bool ffn;         /* of the FFN's half of the block, else of the attention's */
    bool kv;          /* makes keys and values: a visit that writes none has no use for it */
    bool norm;        /* may differ from visit to visit without being stored for each */
    bool visits_only; /* step biases and low-rank terms: no block has them, only a visit */
} rp_block_name;

/* False for a tensor that is of no block. */
bool rp_block_name_read(const char *tensor, rp_block_name *out);

#endif
