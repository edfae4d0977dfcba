/* Inside the reader of Hugging Face folders: what its parts share. */
#ifndef RP_HF_INTERNAL_H
#define RP_HF_INTERNAL_H

#include "../model.h"
#include "draft.h"
#include "json.h"
#include "safetensors.h"

/* How a tensor's rows are to be treated, and how many there are. */
typedef enum rp_hf_kind {
    RP_HF_DIM,        /* a vector of dim */
    RP_HF_Q_HEAD,     /* a vector of head_dim, for queries */
    RP_HF_K_HEAD,     /* likewise for keys */
    RP_HF_Q,          /* (heads * head_dim, dim), or a vector of as many */
    RP_HF_K,          /* (kv_heads * head_dim, dim), likewise; as Q its pairs are moved if the family needs it */
    RP_HF_V,          /* the same, never moved */
    RP_HF_O,          /* (dim, heads * head_dim) */
    RP_HF_UP,         /* (ffn, dim) */
    RP_HF_DOWN,       /* (dim, ffn) */
    RP_HF_FUSED_QKV,  /* Q, K and V of one matrix, one below the other */
    RP_HF_FUSED_FFN,  /* gate and up, likewise */
    RP_HF_FUSED_BIAS, /* biases of Q and K */
} rp_hf_kind;

typedef enum rp_hf_need { RP_HF_REQUIRED, RP_HF_OPTIONAL } rp_hf_need;

typedef struct rp_hf_tensor {
    const char *theirs, *ours; /* after the block's prefix */
    rp_hf_kind kind;
    rp_hf_need need;
} rp_hf_tensor;

/* What of a config is called otherwise in some family; NULL: the usual name. */
typedef struct rp_hf_names {
    const char *dim, *heads, *blocks, *context, *eps, *rope_base, *embedding, *norm, *head, *tied;
} rp_hf_names;

typedef struct rp_hf rp_hf;

typedef struct rp_hf_family {
    const char *model_type, *class_name; /* class_name: only if config.json's architectures say it; NULL: any */
    const char *arch;                    /* of the GGUF file */
    const rp_hf_tensor *tensors;         /* of a block, ended by an empty one */
    rp_hf_names names;
    bool pairs_move; /* from rotate halves to adjacent pairs */
    float add;       /* to the values of norms */
    /* The program and what else is special; NULL: nothing. */
    rp_status (*describe)(rp_hf *hf, rp_error *err);
    /* Prefix of a block's names; NULL: "model.layers.N.". */
    void (*prefix)(const rp_hf *hf, uint32_t block, char *out, size_t room);
} rp_hf_family;

struct rp_hf {
    rp_draft *draft;
    const rp_hf_family *family;
    const char *arch; /* of the GGUF file: the family's, or a plainer one */
    const rp_json *config;
    rp_safetensors *tensors;
    bool *used; /* (tensors) */
    uint32_t blocks, dim, ffn, heads, kv_heads, head_dim, vocab, context, rank;
    bool tied;
    uint32_t prelude, core; /* blocks before the loops, and in them */
    bool one_ffn;           /* of block 0 serves all */
    uint32_t own_kv;        /* blocks from this on read keys and values of earlier ones */
    /* True when a block has no tensor of that kind; NULL: all have all. */
    bool (*lacks)(const rp_hf *hf, uint32_t block, rp_hf_kind kind);
};

extern const rp_hf_family rp_hf_families[];
extern const size_t rp_hf_family_count;

/* hf_tensors.c: the tensor of that name, which now counts as used; NULL if there is none. */
const rp_safetensor *rp_hf_take(rp_hf *hf, const char *name);
/* hf_tensors.c: rows first..first+rows-1 of a tensor under a name of ours; columns 0: a vector of `rows` values. */
rp_status rp_hf_add(rp_hf *hf, const rp_safetensor *from, const char *ours, uint64_t rows, uint64_t columns,
                    uint64_t first, rp_error *err);
/* hf_tensors.c: a tensor of one shape. */
rp_status rp_hf_add_whole(rp_hf *hf, const char *theirs, const char *ours, uint64_t rows, uint64_t columns,
                          bool required, rp_error *err);
/* hf_tensors.c: everything outside of blocks, and the blocks. */
rp_status rp_hf_add_all(rp_hf *hf, rp_error *err);

/* hf.c: sets "ARCH.name". */
rp_status rp_hf_set_u32(rp_hf *hf, const char *name, uint32_t value, rp_error *err);
rp_status rp_hf_set_f32(rp_hf *hf, const char *name, float value, rp_error *err);
rp_status rp_hf_set_bool(rp_hf *hf, const char *name, bool value, rp_error *err);
rp_status rp_hf_set_text(rp_hf *hf, const char *name, const char *text, rp_error *err);
rp_status rp_hf_set_bools(rp_hf *hf, const char *name, const bool *values, size_t count, rp_error *err); /* per block */
rp_status rp_hf_set_list(rp_hf *hf, const char *name, const uint32_t *values, size_t count, rp_error *err);
/* hf.c: RP_ERR_UNSUPPORTED when the config sets this to something but null, false, 0, an empty list or `allowed`. */
/* For families whose head is the embedding where config.json does not say otherwise. */
rp_status rp_hf_tied_by_default(rp_hf *hf, rp_error *err);
rp_status rp_hf_refuse(const rp_hf *hf, const char *name, const char *allowed, rp_error *err);

#endif
