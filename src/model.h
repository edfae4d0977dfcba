/* A model in memory: what its header says (config), which weights run when (the program of visits), where each tensor lies
 * (blocks), and the one buffer that holds all weights. Immutable once loaded. Knows no session. */
#ifndef RP_MODEL_H
#define RP_MODEL_H

#include "gguf.h"
#include "kernels/kernels.h"
#include "pool.h"
#include "quant.h"
#include "tokenizer.h"
#include "weights.h"

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
    RP_MAX_BLOCKS = 1 << 14,     /* blocks and what belongs to single visits of them */
    RP_RANK_MOST = 4096,         /* of a low-rank term */
};

typedef enum rp_activation { RP_SILU, RP_GELU } rp_activation;

/* Where RoPE (Su 2021) finds a pair: x[2i], x[2i+1] (llama) or x[i], x[i + n/2] (Hugging Face, "neox"). */
typedef enum rp_rope_layout { RP_ROPE_ADJACENT, RP_ROPE_HALVES } rp_rope_layout;

/* How the input comes back at the start of a loop: the state as it first entered the looped blocks. */
typedef enum rp_injection { RP_INJECT_NONE, RP_INJECT_ADD, RP_INJECT_CONCAT } rp_injection;

/* After which loops the output norm runs: all but the last; the last one. */
typedef enum rp_loop_norm { RP_LOOP_NORM_NONE, RP_LOOP_NORM_BETWEEN, RP_LOOP_NORM_END } rp_loop_norm;

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
    bool norms_on_sum;        /* post_norms are of x and what a sub-layer adds, not of that alone */
    uint32_t embedding_rank;  /* 0: the embedding is as wide as the model */
    uint32_t loops;           /* num_loops of the file */
    rp_loop_norm loop_norm;
    uint32_t loop_min, loop_max; /* range of a run-time depth */
    rp_injection injection;
    bool zero_start; /* the loops' state starts as zeros, and the first one, too, has the input brought in */
    bool exits;      /* has the gate that says after which loop the logits are taken */
    float exit_threshold;
} rp_config;

/* One step of the program. */
typedef struct rp_visit {
    uint16_t attn, ffn; /* whose weights: blocks, or variants of them */
    int16_t slot;       /* KV slot, -1: this visit has no attention */
    bool writes;        /* it writes the slot: the first visit that names one does */
    bool keeps;         /* before it: what x is now is the loops' input */
    bool clears;        /* after that: x starts as zeros */
    bool injects;       /* the input comes in again */
    bool ends_loop;     /* after it the exit rule is asked */
    bool norm_after;    /* after that the output norm runs: between loops */
} rp_visit;

/* Which weights run when. No padding: it is hashed as bytes. */
typedef struct rp_program {
    uint32_t visits, slots;
    float exit_threshold;
    rp_visit visit[RP_MAX_VISITS];
} rp_program;

/* The part of the file's program that a run-time depth repeats: visits start .. start + blocks * loops - 1. */
typedef struct rp_core {
    uint32_t start, blocks, loops;
    uint32_t first;  /* block */
    bool in_a_row;   /* each block `loops` times, not the stack */
    bool may_change; /* the file says what it is */
} rp_core;

/* W x becomes W x + scale * b (a x): LoRA (Hu 2021). Shapes: a (rank, columns of W), b (rows of W, rank). No rank: none. */
typedef struct rp_low_rank {
    rp_matrix a, b;
    float scale;
} rp_low_rank;

/* The matrices that may have one. */
typedef enum rp_target {
    RP_TARGET_Q,
    RP_TARGET_K,
    RP_TARGET_V,
    RP_TARGET_O,
    RP_TARGET_GATE,
    RP_TARGET_UP,
    RP_TARGET_DOWN,
    RP_TARGETS,
} rp_target;

/* A block, or what a block is on its R-th visit: a variant, which has its own vectors and low-rank terms where the file says so and
 * everything else of its block. Vectors are floats; NULL where the architecture has none. Shapes: q (heads * head_dim, dim), k and v (kv_heads * head_dim,
 * dim), o (dim, heads * head_dim), gate and up (ffn, dim), down (dim, ffn). */
typedef struct rp_block {
    const float *attn_norm, *ffn_norm;           /* (dim) */
    const float *attn_post_norm, *ffn_post_norm; /* (dim) */
    const float *q_norm, *k_norm;                /* (head_dim) */
    const float *step_bias;                      /* (dim), added to x before the visit */
    const float *q_bias, *k_bias, *v_bias, *o_bias;
    rp_matrix q, k, v, o, gate, up, down;
    rp_low_rank *low_rank;          /* (RP_TARGETS), or NULL */
    uint16_t base, time;            /* the block; of a variant the visit it is for, counted from 0; else no visit's */
    bool slides, rotates;           /* sees only config.window positions; has RoPE */
    uint32_t attn_ready, ffn_ready; /* how many places must be loaded for all of that half to be there */
} rp_block;

struct rp_model {
    rp_memory memory;
    const rp_kernels *kernels;
    rp_pool *pool; /* the caller's; NULL: one thread */
    bool vocabulary_only;
    rp_load_state state;
    rp_gguf *gguf;
    rp_tokenizer *tokenizer;
    rp_config config;
    rp_program program; /* as the file says it */
    rp_core core;
    rp_block *blocks; /* (config.blocks, then variants) */
    uint32_t variants, block_room;
    rp_matrix embedding, head;           /* (vocab, dim or rank); the head is the embedding when tied */
    rp_matrix embedding_proj, head_proj; /* (dim, rank), (rank, dim): of a factorised embedding */
    rp_matrix injection;                 /* (dim, 2 dim): state and input side by side */
    rp_matrix exit_gate;                 /* (1, dim) */
    const float *exit_bias;              /* (1), or NULL */
    uint32_t low_rank_most;              /* the largest rank of a variant's terms */
    const float *output_norm;            /* (dim) */
    const float *rope_factors;           /* (rope_dims / 2), Llama 3's scaling; NULL: all 1 */
    uint32_t embedding_ready, head_ready, norm_ready, factors_ready,
        loop_ready; /* as in rp_block; 0: nothing to wait for */
    bool tied;
    rp_weights weights;
    uint64_t parameters_stored, parameters_effective;
    uint64_t repeated_bytes; /* of the file's tensors, for visits of a block after its first */
    uint64_t header_memory;  /* bytes held when the header was understood */
};

/* model_config.c: the header's numbers, checked. */
rp_status rp_config_read(rp_config *config, const rp_gguf *gguf, uint32_t tokenizer_vocab, rp_error *err);
/* program.c: the program of visits, checked, and model->core; reads layer_map, kv_map, num_loops and loop.*. */
rp_status rp_program_read(rp_model *model, rp_error *err);
/* program_make.c: the program that options ask for. */
rp_status rp_program_make(const rp_model *model, const rp_program_options *options, rp_program *program, rp_error *err);
/* program_make.c: what a visit's place in its loop says: injection, norm and exit rule of a core with so many loops. */
void rp_program_mark(const rp_model *model, rp_program *program, uint32_t loops);
/* program_make.c: gives each visit the variant of its block that is for it. */
void rp_program_resolve(const rp_model *model, rp_program *program);
/* model_bind.c: finds every tensor, checks its shape, plans its place. */
rp_status rp_model_bind(rp_model *model, rp_error *err);
/* sharing.c: how often a program runs a tensor; once when it is of no block. */
uint32_t rp_place_visits(const rp_model *model, const rp_program *program, const rp_place *place, bool *of_block);
/* model_bind.c: a block's matrix by what it is for; "attn_q" and so on. */
const rp_matrix *rp_block_matrix(const rp_block *block, rp_target target);
extern const char *const rp_target_names[RP_TARGETS];
/* model_bind.c: adds MATRIX.lora_a and MATRIX.lora_b when the file has them; *most becomes at least their rank. */
rp_status rp_low_rank_add(rp_weights *weights, const rp_gguf *gguf, const char *matrix, const rp_matrix *of,
                          rp_low_rank *term, uint32_t *ready, uint32_t *most, rp_error *err);
/* model_bind.c: what is known once the weights' buffer is there. */
void rp_model_attach(rp_model *model);

rp_memory *rp_model_memory_of(const rp_model *model);

/* session.c: bytes of a session's scratch, with adapters of that rank, and of its KV cache, and its slots. */
rp_status rp_session_bytes(const rp_model *model, const rp_session_options *options, uint32_t adapter_rank,
                           uint64_t *scratch, uint64_t *kv, uint32_t *slots, rp_error *err);
/* Positions of a wave. Options must have their defaults. */
static inline uint32_t rp_session_wave(const rp_session_options *options) {
    return RP_MIN(RP_MAX((uint32_t)RP_WAVE, options->chunk), options->context);
}
/* Fills defaults and checks; used by plans and sessions alike. */
rp_status rp_session_defaults(const rp_model *model, rp_session_options *options, rp_error *err);

#endif
