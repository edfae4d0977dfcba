/* A model in memory: what its header says (config), which weights run when (the program of visits), where each tensor lies
 * (blocks), and the one buffer that holds all weights. Immutable once loaded. Knows no session. */
#ifndef RP_MODEL_H
#define RP_MODEL_H

#include "gguf.h"
#include "kernels/kernels.h"
#include "pool.h"
#include "quant.h"
#include "tokenizer.h"

enum {
    RP_MAX_VISITS = 512,
    RP_LOGIT_ROWS = 4, /* positions whose logits are computed at once where all are asked for */
    RP_DEFAULT_CHUNK = 64,
    RP_WAVE = 512, /* positions that go through a visit before the next visit's turn comes */
    RP_DEFAULT_CONTEXT = 2048,
    RP_SAMPLER_BYTES = 21,       /* of a sampler with everything on, for each entry of the vocabulary (sampler.c) */
    RP_SAMPLER_FIXED = 10 << 10, /* besides: itself and histories of the default lengths */
    RP_TEXT_FIXED = 4 << 10,     /* of a text: itself and its stops; besides three times the longest token */
    RP_KEY_SIZE = 128,           /* longest metadata key or tensor name that we make */
};

typedef enum rp_activation { RP_SILU, RP_GELU } rp_activation;

/* Where RoPE (Su 2021) finds a pair: x[2i], x[2i+1] (llama) or x[i], x[i + n/2] (Hugging Face, "neox"). */
typedef enum rp_rope_layout { RP_ROPE_ADJACENT, RP_ROPE_HALVES } rp_rope_layout;

typedef struct rp_config {
    char arch[RP_KEY_SIZE / 2]; /* as in the file: the prefix of its keys */
    uint32_t blocks, dim, ffn, heads, kv_heads, head_dim, vocab, context;
    float norm_eps;
    uint32_t rope_dims; /* leading dimensions of a head that are rotated */
    float rope_base, rope_scale;
    float rope_base_local;     /* of sliding-window blocks */
    uint32_t window;           /* positions that a sliding-window block sees; 0: none slides */
    uint32_t window_period;    /* every window_period-th block sees everything */
    uint32_t rope_skip_period; /* every rope_skip_period-th block has no RoPE; 0: all have */
    rp_rope_layout rope_layout;
    rp_activation activation;
    float embedding_scale, attention_scale;
    bool qk_norm, post_norms; /* as qwen3; as gemma3 */
    uint32_t loops;           /* num_loops of the file */
    bool norm_between_loops;
    uint32_t loop_first, loop_last, loop_min, loop_max; /* range of a run-time depth */
} rp_config;

/* One step of the program. */
typedef struct rp_visit {
    uint16_t attn, ffn; /* blocks */
    int16_t slot;       /* KV slot, -1: this visit has no attention */
    bool writes;        /* the first visit that names a slot writes it */
    bool norm_after;    /* the output norm runs after it: between loops */
} rp_visit;

/* A weight matrix in the memory layout of quant.h: out (rows) = matrix times in (columns). */
typedef struct rp_matrix {
    const uint8_t *data;
    rp_type type;
    uint32_t rows, columns;
} rp_matrix;

/* Vectors are floats; NULL where the architecture has none. Shapes: q (heads * head_dim, dim), k and v (kv_heads * head_dim,
 * dim), o (dim, heads * head_dim), gate and up (ffn, dim), down (dim, ffn). */
typedef struct rp_block {
    const float *attn_norm, *ffn_norm;           /* (dim) */
    const float *attn_post_norm, *ffn_post_norm; /* (dim) */
    const float *q_norm, *k_norm;                /* (head_dim) */
    const float *q_bias, *k_bias, *v_bias, *o_bias;
    rp_matrix q, k, v, o, gate, up, down;
    uint32_t attn_ready, ffn_ready; /* how many places must be loaded for all of that half to be there */
} rp_block;

/* One tensor's way from the file into the weights buffer. */
typedef struct rp_place {
    const rp_gguf_tensor *tensor;
    rp_type type;
    bool is_vector; /* kept as floats */
    uint64_t rows, columns;
    uint64_t offset;   /* in the weights buffer */
    uint64_t bytes;    /* there */
    rp_matrix *matrix; /* who points at it once the buffer is there */
    const float **vector;
    uint32_t *ready; /* of the part of the model that needs it; see rp_block */
} rp_place;

struct rp_model {
    rp_memory memory;
    const rp_kernels *kernels;
    rp_pool *pool; /* the caller's; NULL: one thread */
    bool vocabulary_only;
    rp_load_state state;
    rp_gguf *gguf;
    rp_tokenizer *tokenizer;
    rp_config config;
    rp_visit program[RP_MAX_VISITS];
    uint32_t visits, slots;
    rp_block *blocks;          /* (config.blocks) */
    rp_matrix embedding, head; /* (vocab, dim); the head is the embedding when tied */
    const float *output_norm;  /* (dim) */
    const float *rope_factors; /* (rope_dims / 2), Llama 3's scaling; NULL: all 1 */
    uint32_t embedding_ready, head_ready, norm_ready,
        factors_ready; /* as in rp_block; 0: there is nothing to wait for */
    bool tied;
    rp_place *places; /* (place_count), in file order */
    size_t place_count, place_capacity;
    uint64_t parameters_stored, parameters_effective;
    uint64_t repeated_bytes; /* of the file's tensors, for visits of a block after its first */
    uint64_t weight_bytes, staging_bytes;
    uint8_t *weights, *staging;
    size_t loading;         /* place whose bytes come next */
    uint64_t position;      /* bytes of the data section seen */
    size_t staged;          /* bytes in staging */
    uint64_t rows_done;     /* of the place being loaded */
    uint64_t header_memory; /* bytes held when the header was understood */
    uint64_t fingerprint;   /* hash of header and weights */
};

/* model_config.c: the header's numbers, checked. */
rp_status rp_config_read(rp_config *config, const rp_gguf *gguf, uint32_t tokenizer_vocab, rp_error *err);
/* program.c: the program of visits, checked; reads layer_map, kv_map and num_loops. */
rp_status rp_program_read(rp_model *model, rp_error *err);
/* model_bind.c: finds every tensor, checks its shape, plans its place. */
rp_status rp_model_bind(rp_model *model, rp_error *err);
/* model_bind.c: points blocks at the weights buffer. */
void rp_model_attach(rp_model *model);

rp_memory *rp_model_memory_of(const rp_model *model);

/* True when a block slides (sees only config.window positions), when it rotates. */
static inline bool rp_block_slides(const rp_config *c, uint32_t block) {
    return c->window && (block + 1) % c->window_period != 0;
}
static inline bool rp_block_rotates(const rp_config *c, uint32_t block) {
    return !c->rope_skip_period || (block + 1) % c->rope_skip_period != 0;
}

/* session.c: bytes of a session's scratch and of its KV cache; false on overflow. */
bool rp_session_bytes(const rp_model *model, const rp_session_options *options, uint64_t *scratch, uint64_t *kv);
/* Positions of a wave. Options must have their defaults. */
static inline uint32_t rp_session_wave(const rp_session_options *options) {
    return RP_MIN(RP_MAX((uint32_t)RP_WAVE, options->chunk), options->context);
}
/* Fills defaults and checks; used by plans and sessions alike. */
rp_status rp_session_defaults(const rp_model *model, rp_session_options *options, rp_error *err);

#endif
