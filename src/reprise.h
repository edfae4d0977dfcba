/* Reprise: small, weight-shared language models from GGUF files.
 *
 *     rp_error err;
 *     rp_model *model;
 *     rp_session *session;
 *     rp_model_open(&model, &(rp_model_options){0}, &err);
 *     while ((n = read(file, bytes, sizeof bytes)) > 0)        // header, then weights
 *         for (size_t at = 0, used; at < n; at += used)
 *             rp_model_feed(model, bytes + at, n - at, &used, &err);
 *     rp_model_finish(model, &err);
 *     rp_session_open(&session, model, &(rp_session_options){.context = 512}, &err);
 *     rp_session_feed(session, ids, id_count, &err);           // prefill
 *     const float *logits = rp_session_logits(session);        // (vocab), of the last position
 *
 * A model is immutable once its weights are there and may be shared by many sessions; a session is mutable
 * and belongs to one thread at a time. Nothing here is global, nothing exits, and the decode loop
 * (rp_session_feed of one id, rp_sampler_pick, rp_text_push) does not allocate.
 *
 * Every function that can fail returns an rp_status and fills `err` (which may not be NULL) with one line that
 * names what is wrong and what was expected. Options structs that are all zero ask for the defaults.
 * Same file, ids and seed give the same bits on every machine, instruction set and build. */
#ifndef REPRISE_H
#define REPRISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RP_VERSION "0.1.0"

typedef enum rp_status {
    RP_OK = 0,
    RP_CONTEXT_FULL,    /* not an error: the ids do not fit into what is left of the context; nothing was fed */
    RP_ERR_ARGUMENT,    /* a caller's value is out of range */
    RP_ERR_FORMAT,      /* the file breaks the GGUF format or its model's rules */
    RP_ERR_UNSUPPORTED, /* the file is well formed and asks for what this engine does not do */
    RP_ERR_MEMORY,      /* an allocation failed; the message says how many bytes */
    RP_ERR_IO,          /* bytes could not be read or written, by the caller or its `write` */
} rp_status;

typedef struct rp_error {
    rp_status status;
    char message[248];     /* one line, UTF-8, without the status' name */
    uint64_t bytes_needed; /* RP_ERR_MEMORY: what was asked for and could not be had; else 0 */
} rp_error;

/* "RP_ERR_FORMAT" for RP_ERR_FORMAT, and so on. */
const char *rp_status_name(rp_status status);

/* ---- Memory -------------------------------------------------------------------------------------------- */

/* Where memory comes from. alloc returns at least 16-byte aligned memory or NULL; release gets the same size
 * back. All zero: the C library's. The engine counts what it holds; see rp_model_memory. */
typedef struct rp_host {
    void *user;
    void *(*alloc)(void *user, size_t bytes);
    void (*release)(void *user, void *memory, size_t bytes);
} rp_host;

/* ---- Model --------------------------------------------------------------------------------------------- */

typedef struct rp_model rp_model;

typedef enum rp_isa { RP_ISA_BEST = 0, RP_ISA_SCALAR, RP_ISA_SIMD128, RP_ISA_RELAXED } rp_isa;

typedef struct rp_model_options {
    rp_host host;
    bool vocabulary_only; /* only the Tokens section is wanted: the file need hold nothing but a vocabulary */
    rp_isa isa;           /* kernels to use; one that this build lacks is RP_ERR_UNSUPPORTED */
} rp_model_options;

/* RP_LOAD_VOCABULARY is where a model that was opened for its vocabulary alone stays. */
typedef enum rp_load_state { RP_LOAD_HEADER = 0, RP_LOAD_VOCABULARY, RP_LOAD_WEIGHTS, RP_LOAD_READY } rp_load_state;

/* Starts a model that waits for its file's first byte. The caller owns *model: rp_model_close. */
rp_status rp_model_open(rp_model **model, const rp_model_options *options, rp_error *err);
void rp_model_close(rp_model *model); /* NULL is fine; sessions must be closed before */

/* Threads (pool.h) that sessions of this model compute with, one session at a time; NULL: none but the caller's. A
 * session that was opened for fewer threads than the pool uses computes alone. The bits are the same for any number of them. The
 * pool must outlive all computing, and stays the caller's. */
typedef struct rp_pool rp_pool;
void rp_model_use_pool(rp_model *model, rp_pool *pool);

/* Takes the next `size` bytes of a GGUF v2 or v3 file (ggml-org/ggml, docs/gguf.md), in pieces of any size. Stops early, with
 * *used below `size`, at the moment the header is understood, so that a plan can be made: call again with the rest,
 * which allocates the weights first. Everything about the header is checked at that moment. After an error only
 * rp_model_close is allowed. */
rp_status rp_model_feed(rp_model *model, const void *bytes, size_t size, size_t *used, rp_error *err);
rp_load_state rp_model_load_state(const rp_model *model);
/* Says that the file has ended; an error when weights are missing. */
rp_status rp_model_finish(rp_model *model, rp_error *err);

/* Facts of a model, known as soon as its header is. */
typedef struct rp_model_info {
    const char *architecture; /* as the file says it, e.g. "reprise-llama"; owned by the model */
    uint32_t blocks;          /* stored */
    uint32_t visits;          /* run for one token */
    uint32_t kv_slots;        /* KV caches of one layer's size that a token fills */
    uint32_t dim, ffn_dim, heads, kv_heads, head_dim, vocab;
    uint32_t context_trained;
    uint32_t embedding_rank;            /* of a factorised embedding; 0: it is none */
    uint32_t loops, loop_min, loop_max; /* depth: of the file, and what a run may ask for */
    uint64_t parameters_stored;         /* each tensor once */
    uint64_t parameters_effective;      /* each visit's block counted again, a tied head counted again */
    uint64_t file_bytes;                /* header and tensors: where the file must end */
    uint64_t unrolled_bytes;            /* the same if each visit had a block of its own */
    bool tied;                          /* the embedding is also the head */
    rp_isa isa;                         /* kernels in use */
} rp_model_info;
void rp_model_get_info(const rp_model *model, rp_model_info *info);

/* Bytes of weights in the file by tensor type: calls `each` once a type that occurs. */
void rp_model_types(const rp_model *model, void *user,
                    void (*each)(void *user, const char *type, uint64_t bytes, uint32_t tensors));

typedef enum rp_kv_type { RP_KV_F16 = 0, RP_KV_F32, RP_KV_Q8_0, RP_KV_Q8_Q4 } rp_kv_type;

/* What runs, if not the file's own program. All zero: that one. */
typedef struct rp_program_options {
    uint32_t
        loops; /* depth: how often the looped blocks run, from rp_model_info.loop_min to loop_max; 0: as in the file */
    const char *
        layers; /* a self-merge: visits of the file's program, in any order and number, like "0-9,10-13x2,14-29" (visits 10
                         * to 13, then they again); NULL: each once */
    bool
        reuse_kv; /* visits of one block share a KV slot, each overwriting it. Then it matters how ids are split over calls and
                         * steps */
    float exit_threshold; /* of the exit rule, above 0 to 1 (1: the last loop); 0: as in the file */
} rp_program_options;

/* What sessions, sequences and adapters a plan should count. Zeros: one session of the default context. */
typedef struct rp_plan_options {
    uint32_t context; /* positions; 0: the smaller of 2048 and what the model was trained for */
    rp_kv_type kv_type;
    uint32_t chunk;         /* positions a prefill step computes at once; 0: 64 */
    uint32_t sessions;      /* 0: one */
    uint32_t sequences;     /* KV caches to count for each session, which holds one today; 0: one */
    uint64_t adapter_bytes; /* files of adapters to be loaded beside the model */
    uint32_t adapter_rank;  /* the largest rank of their terms */
    uint32_t threads;       /* that share a forward pass; 0: one */
    rp_program_options program;
} rp_plan_options;

/* All in bytes. total is the sum of the five parts before it. */
typedef struct rp_plan {
    uint64_t weights; /* as laid out for `isa`, padding included */
    uint64_t kv;      /* KV caches of all sessions */
    uint64_t
        scratch; /* activations, logits, a sampler (histories of the default lengths) and a text a session, staging */
    uint64_t vocabulary; /* header bytes and tokenizer tables */
    uint64_t adapters;
    uint64_t total;
    uint64_t kv_per_token; /* one sequence, one position */
    uint32_t context;      /* that was planned for */
    uint32_t kv_slots;     /* likewise, of a session */
    rp_isa isa;            /* whose padding was assumed */
} rp_plan;
/* Valid from the moment the header is understood. */
rp_status rp_model_plan(const rp_model *model, const rp_plan_options *options, rp_plan *plan, rp_error *err);

/* Bytes the model and its sessions hold now, and the most they ever held. */
void rp_model_memory(const rp_model *model, uint64_t *bytes_now, uint64_t *bytes_peak);

/* A GGUF metadata string by its key, or NULL; *length in bytes. Not zero-terminated; owned by the model. */
const char *rp_model_string(const rp_model *model, const char *key, size_t *length);

/* One visit of a program. */
typedef struct rp_visit_info {
    uint32_t attn, ffn; /* blocks whose attention and FFN weights it uses */
    int32_t slot;       /* KV slot that it reads; -1: it has no attention */
    bool writes;        /* it writes the slot, too */
    bool varies;        /* something of the block is different on this visit: norms, step bias, low-rank terms */
    bool injects;       /* the loops' input comes in again before it */
    bool may_exit;      /* the exit rule is asked after it */
    bool norm_after;    /* the output norm runs after it: between loops */
} rp_visit_info;
/* Calls `each` for every visit of the program that a session with these options runs. */
rp_status rp_model_program(const rp_model *model, const rp_program_options *options, void *user,
                           void (*each)(void *user, uint32_t visit, const rp_visit_info *info), rp_error *err);

/* What a program shares, in bytes of the file and of the KV cache for one token. */
typedef struct rp_sharing {
    uint32_t visits, attention_visits; /* those that have attention */
    uint32_t kv_slots;
    uint64_t tied_bytes;           /* of the head that the embedding also is; 0: it is not */
    uint64_t block_bytes;          /* of the blocks' tensors */
    uint64_t block_matrix_bytes;   /* of their matrices alone */
    uint64_t visited_bytes;        /* of the blocks' tensors if each visit had its own */
    uint64_t parameters_effective; /* as in rp_model_info, for this program */
    uint64_t kv_bytes;
    uint64_t kv_bytes_all_heads; /* if each query head had a KV head of its own */
    uint64_t kv_bytes_all_slots; /* if each visit with attention had a slot of its own */
    uint64_t kv_bytes_plain;     /* both */
} rp_sharing;
/* Valid from the moment the header is understood. */
rp_status rp_model_get_sharing(const rp_model *model, const rp_program_options *options, rp_kv_type kv_type,
                               rp_sharing *sharing, rp_error *err);

/* ---- Tokens -------------------------------------------------------------------------------------------- */

enum {
    RP_TOKENIZE_SPECIAL = 1, /* text such as "<|im_end|>" is read as that control token */
    RP_TOKENIZE_BOS = 2,     /* put BOS (and whatever else the model puts) first, once, if the model wants one */
    RP_TOKENIZE_GUARDED =
        4, /* U+FDD0 in the text is a guard: no control or other special token is read that begins right
                              * behind one or runs across one, and guards themselves are dropped */
    RP_TOKENIZE_CONTINUES = 8, /* the text stands behind other text: SentencePiece puts no space before it */
};

/* Turns UTF-8 text into ids. Bytes that are no UTF-8 are read as llama.cpp reads them. Writes at most `capacity` ids;
 * *count is how many there are: when above `capacity` nothing is lost, call again with more room. */
rp_status rp_tokenize(const rp_model *model, const char *text, size_t size, unsigned flags, int32_t *ids,
                      size_t capacity, size_t *count, rp_error *err);
/* Bytes of one token as text; control tokens give none. Owned by the model, not zero-terminated. `id` out of range gives NULL. */
const char *rp_token_bytes(const rp_model *model, int32_t id, size_t *size);
/* A token as the vocabulary spells it ("<s>", "<0x0A>", "Ġthe"). */
const char *rp_token_piece(const rp_model *model, int32_t id, size_t *size);
/* End tokens (eos, eot, end of turn) end a turn and are never printed. */
bool rp_token_ends(const rp_model *model, int32_t id);
bool rp_token_is_control(const rp_model *model, int32_t id);
int32_t rp_token_bos(const rp_model *model); /* -1: none */
int32_t rp_token_eos(const rp_model *model); /* -1: none */

/* ---- Session ------------------------------------------------------------------------------------------- */

typedef struct rp_session rp_session;

typedef struct rp_session_options {
    uint32_t context; /* as in rp_plan_options */
    rp_kv_type kv_type;
    uint32_t chunk;
    uint32_t threads;           /* that may share its forward pass, 1 to 16; 0: one */
    rp_program_options program; /* `layers` is read while the session opens, and not kept */
    uint32_t
        kv_slots; /* at least so many get room, so that another program does not move the cache; 0: the program's */
} rp_session_options;

/* A KV cache and scratch for one sequence. The model must outlive it. The caller owns *session. Allowed from
 * RP_LOAD_WEIGHTS on, while weights still arrive. */
rp_status rp_session_open(rp_session **session, const rp_model *model, const rp_session_options *options,
                          rp_error *err);
void rp_session_close(rp_session *session);

/* Appends ids: prefill when many, decode when one. Leaves the logits of the last one. RP_CONTEXT_FULL, with nothing
 * fed, when they do not fit; RP_ERR_ARGUMENT when weights are missing. However ids are split over calls, the bits are the
 * same. This and every function below that changes the session first cancels what rp_session_begin planned. */
rp_status rp_session_feed(rp_session *session, const int32_t *ids, size_t count, rp_error *err);
/* The same, and shows the logits (vocab) after every one of the ids; stops when `each` returns false. */
rp_status rp_session_feed_each(rp_session *session, const int32_t *ids, size_t count, void *user,
                               bool (*each)(void *user, size_t index, const float *logits), rp_error *err);
/* Makes the session hold exactly `ids`: keeps the longest common prefix, feeds the rest. *reused: positions kept. */
rp_status rp_session_prompt(rp_session *session, const int32_t *ids, size_t count, size_t *reused, rp_error *err);

/* The same in steps, for callers that show progress, stop, or start before all weights are there. begin only plans: when
 * all steps are done the session holds exactly `ids`. *reused: positions kept. A step computes one visit of one chunk of
 * positions, or the logits of the last one, and never fails. RP_STEP_WAIT: weights that it needs have not arrived; nothing was
 * computed, feed the model and step again. On error nothing changed. */
typedef enum rp_step { RP_STEP_DONE = 0, RP_STEP_MORE, RP_STEP_WAIT } rp_step;
rp_status rp_session_begin(rp_session *session, const int32_t *ids, size_t count, size_t *reused, rp_error *err);
rp_step rp_session_step(rp_session *session);
/* A step of sessions[0], and with it of up to seven of the other, different sessions (of the first 32, at least one) that have
 * its model and KV type and no longer context, and are at the same point: before the same visit of one position, or before its
 * logits. Only sessions whose chunk leaves room for them take others along. They share one pass over the weights, which is what a
 * token takes longest for; each gets the bits that it gets alone. Bit i of the result says that sessions[i] made its step; 0: sessions[0] waits for weights. */
uint32_t rp_sessions_step(rp_session *const *sessions, size_t count);
/* Forgets what is planned and not yet computed. Of a long prompt, the waves (512 positions) that are complete stay. */
void rp_session_cancel(rp_session *session);
/* The visit computed last; how many positions are computed of the *pending that the last begin planned, visits of a wave
 * counted as parts of its positions. All 0 after a cancel. */
void rp_session_progress(const rp_session *session, uint32_t *visit, size_t *done, size_t *pending);
/* After begin, before its first step: all ids are computed afresh, and instead of logits the steps make the mean over positions
 * of what the output norm gives, until the next begin or feed. */
void rp_session_want_embedding(rp_session *session);
const float *rp_session_embedding(const rp_session *session); /* (dim), or NULL when there is none */

/* Another program for a session. Its ids are planned anew, as by rp_session_begin: when all steps are done, the session is what a
 * fresh one that was opened with these options and fed these ids would be. On error nothing changed. */
rp_status rp_session_reprogram(rp_session *session, const rp_program_options *options, rp_error *err);
/* Low-rank adapters (LoRA, Hu 2021) in llama.cpp's GGUF files, several at once, over one copy of the model's weights. An adapter
 * belongs to its model, which must outlive it, and is immutable once loaded. The caller owns *adapter. */
typedef struct rp_adapter rp_adapter;
rp_status rp_adapter_open(rp_adapter **adapter, const rp_model *model, rp_error *err);
void rp_adapter_close(rp_adapter *adapter); /* NULL is fine; no session may use it any more */
/* Takes the next bytes of its file, in pieces of any size. After an error only rp_adapter_close is allowed. */
rp_status rp_adapter_feed(rp_adapter *adapter, const void *bytes, size_t size, rp_error *err);
rp_status rp_adapter_finish(rp_adapter *adapter, rp_error *err);

enum { RP_ADAPTERS_MOST = 8 };
typedef struct rp_adapter_use {
    const rp_adapter *adapter;
    float scale; /* beside the adapter's own; 0: as if it were not there */
} rp_adapter_use;
/* The adapters that a session computes with from now on, all of them; none to begin with. Its ids are planned anew as by
 * rp_session_reprogram. On error nothing changed. */
rp_status rp_session_use_adapters(rp_session *session, const rp_adapter_use *uses, size_t count, rp_error *err);
/* Forgets all positions from `length` on. The logits are gone until the next feed. */
rp_status rp_session_rewind(rp_session *session, size_t length, rp_error *err);
/* Copies the first `length` positions of another session of the same model, program, adapters and KV type; a session whose
 * rp_session_key differs is RP_ERR_ARGUMENT, a context that is too small RP_CONTEXT_FULL. */
rp_status rp_session_copy(rp_session *session, const rp_session *from, size_t length, rp_error *err);
/* Saving and restoring: region `index` holds what the first `length` positions are to a part of one KV head, to be copied out, or
 * in; NULL beyond the last region or the context. Regions of sessions with equal keys can be exchanged. Any bytes may stand in
 * them: wrong ones give a wrong text and nothing worse. */
size_t rp_session_state_regions(const rp_session *session);
void *rp_session_state_region(rp_session *session, size_t index, size_t length, size_t *bytes);
/* Says that the regions' first `length` positions hold these ids. There are no logits yet. */
rp_status rp_session_adopt(rp_session *session, const int32_t *ids, size_t length, rp_error *err);
/* Names what a cached state depends on besides the ids: weights, program, adapters, KV type. 0 until all weights are there. */
uint64_t rp_session_key(const rp_session *session);

/* The same as one run of bytes, for a file (state.c says how they lie). Sampler and logits are not in it. */
uint64_t rp_session_saved_bytes(rp_session *session);
/* Hands them to `write` in order; RP_ERR_IO when it returns false, RP_ERR_ARGUMENT when weights are missing. */
rp_status rp_session_save(rp_session *session, void *user, bool (*write)(void *user, const void *bytes, size_t size),
                          rp_error *err);
/* Makes the session hold what was saved, without logits. RP_ERR_ARGUMENT when it was another key's, RP_CONTEXT_FULL
 * when it does not fit, RP_ERR_FORMAT when bytes are missing or damaged; nothing changed then. */
rp_status rp_session_restore(rp_session *session, const void *bytes, size_t size, rp_error *err);

size_t rp_session_length(const rp_session *session);  /* positions held */
size_t rp_session_context(const rp_session *session); /* positions that fit */
const int32_t *rp_session_ids(const rp_session *session);
/* Logits after the last position fed (vocab), or NULL when there are none. Valid until the next call. */
float *rp_session_logits(rp_session *session);
/* Log-probability of an id after the last position; -INFINITY when there are no logits. Whoever changes the logits asks
 * rp_logits_logsumexp instead: the sum is remembered. */
double rp_session_logprob(rp_session *session, int32_t id);

/* ---- Speculation --------------------------------------------------------------------------------------- */

/* Several ids from one pass: some are guessed, one pass over the weights gives the logits after each of them, and
 * those guesses stay that the caller picks anyway (Leviathan 2023, arXiv 2211.17192, but without its rejection
 * rule). Ids and their order of picking are those of feeding them one by one, at any temperature. Guesses come from
 * a second session of a cheaper program of the same model, or of another model with the same vocabulary, greedily;
 * or from what followed earlier where the last ids stood before (prompt lookup, Saxena 2023). */
typedef struct rp_speculator rp_speculator;

enum { RP_GUESSES_MOST = 32 };

typedef struct rp_speculator_options {
    rp_session *drafter; /* NULL: prompt lookup. Of no smaller a context; its ids are the speculator's affair */
    uint32_t guesses;    /* a pass, at most RP_GUESSES_MOST; 0: 3, which with the id that is due fill a tile */
    uint32_t match_most; /* prompt lookup: longest match that is looked for, from 2 on; 0: 8 */
} rp_speculator_options;

typedef struct rp_speculator_figures {
    uint64_t drafted, accepted; /* guesses that were made; that were picked */
    uint64_t passes;            /* of the session */
} rp_speculator_figures;

/* Both sessions must outlive it, and be closed after it. The session must not reuse KV slots: there, splitting ids
 * over calls changes the bits. Nor must it be steered. The caller owns *speculator. */
rp_status rp_speculator_open(rp_speculator **speculator, rp_session *session, const rp_speculator_options *options,
                             rp_error *err);
void rp_speculator_close(rp_speculator *speculator);
/* The next id. The session must have been fed its prompt before the first one. Calls `pick` for logits (vocab) after
 * one position after another, up to `most` times or until it picks an end token: a caller that wants no more ids
 * than that says so. What it picked comes out of this and the following calls. RP_CONTEXT_FULL as rp_session_feed:
 * when an id that came out does not fit. */
rp_status rp_speculator_next(rp_speculator *speculator, size_t most, void *user,
                             int32_t (*pick)(void *user, const float *logits), int32_t *id, rp_error *err);
/* Takes back what was picked and has not come out: the session then holds all ids that came out but the last, and
 * has no logits. Before the session is used for anything else. What `pick` remembers of it, such as a sampler's draws and history, is the
 * caller's to take back. */
rp_status rp_speculator_settle(rp_speculator *speculator, rp_error *err);
void rp_speculator_get_figures(const rp_speculator *speculator, rp_speculator_figures *figures);

/* ---- Sampling ------------------------------------------------------------------------------------------ */

typedef struct rp_logit_bias {
    int32_t id;
    float bias; /* added; -INFINITY forbids */
} rp_logit_bias;

/* The chain, in llama.cpp's default order: logit bias, penalties, DRY, top-k, typical, top-p, min-p, temperature,
 * then the draw. Zero means "off", or a default where one is named, so that an all-zero struct is greedy. Mirostat 2 replaces everything
 * between DRY and the draw but temperature. */
typedef struct rp_sampler_options {
    float temperature;       /* 0: greedy */
    uint32_t top_k;          /* keep the k likeliest */
    float top_p;             /* keep the likeliest up to this mass; 0 and 1: off (Holtzman 2020) */
    float min_p;             /* keep those above this share of the likeliest's probability */
    float typical_p;         /* locally typical sampling (Meister 2022); 0 and 1: off */
    float repeat_penalty;    /* divides positive, multiplies negative logits of recent tokens; 0 and 1: off */
    float presence_penalty;  /* subtracted once from tokens that occurred */
    float frequency_penalty; /* subtracted once an occurrence */
    uint32_t penalty_last;   /* how many recent tokens the three penalties look at; 0: 64 */
    float dry_multiplier;    /* DRY repetition penalty (p-e-w); 0: off */
    float dry_base;          /* 0: 1.75 */
    uint32_t dry_allowed;    /* longest repetition without penalty; 0: 2 */
    uint32_t dry_last;       /* how far back it looks; 0: 1024 */
    float mirostat_tau;      /* Mirostat 2 (Basu 2021) target surprise in bits; 0: off */
    float mirostat_eta;      /* 0: 0.1 */
    uint64_t seed;
    const rp_logit_bias *bias; /* copied */
    size_t bias_count;
} rp_sampler_options;

typedef struct rp_sampler rp_sampler;

rp_status rp_sampler_open(rp_sampler **sampler, const rp_model *model, const rp_sampler_options *options,
                          rp_error *err);
void rp_sampler_close(rp_sampler *sampler);
/* Tells the sampler of a token of the prompt or of the text, for the penalties. */
void rp_sampler_accept(rp_sampler *sampler, int32_t id);
/* Draws one id from `logits` (vocab), which it leaves as they were, and accepts it. NaN counts as -INFINITY. */
int32_t rp_sampler_pick(rp_sampler *sampler, const float *logits);
/* Forgets history; the generator starts again from the seed. */
void rp_sampler_reset(rp_sampler *sampler);

/* log(sum(exp(logits))) in a fixed order, for log-probabilities: logprob = logit - this. */
double rp_logits_logsumexp(const float *logits, size_t count);
/* The k likeliest ids with their log-probabilities, likeliest first, equal ones by id; NaN counts as -INFINITY. Both arrays have
 * room for k. Returns how many there are: the smaller of k and count. Does not allocate. */
size_t rp_logits_top(const float *logits, size_t count, size_t k, int32_t *ids, float *logprobs);
/* 64-bit hash (FNV-1a) of the bits of all logits, every NaN counted as the same. */
uint64_t rp_logits_hash(const float *logits, size_t count);

/* Proxy-tuning (Liu 2024, arXiv 2401.08565): base += alpha * (expert - antiexpert), in this order for each of
 * `count` logits. Alpha 0 leaves the bits as they are. The arrays may be the same. */
void rp_logits_steer(float *base, const float *expert, const float *antiexpert, size_t count, float alpha);
/* The same to the session's own logits, by those of two other sessions that were fed the same ids; NULL: its own. What is drawn
 * and told from then on is steered, until the next feed; rp_session_begin computes the last position again. */
rp_status rp_session_steer(rp_session *session, rp_session *expert, rp_session *antiexpert, float alpha, rp_error *err);
/* RP_ERR_ARGUMENT unless both models have equal vocabularies: their sizes, each token's bytes, and which tokens are
 * control tokens; names the first that differs. */
rp_status rp_model_check_vocabulary(const rp_model *base, const rp_model *other, rp_error *err);

/* ---- Text ---------------------------------------------------------------------------------------------- */

/* Turns ids into text that can be shown piece by piece: never half a UTF-8 sequence, never a part of what may
 * yet become a stop text, never the stop text itself. */
typedef struct rp_text rp_text;

rp_status rp_text_open(rp_text **text, const rp_model *model, const char *const *stops, size_t stop_count,
                       rp_error *err);
void rp_text_close(rp_text *text);
/* Adds a token. *piece (*size bytes, owned by `text`, valid until the next call) can be shown now; it may be empty.
 * Returns false when a stop text was completed: what stood before it is in *piece, nothing comes after. */
bool rp_text_push(rp_text *text, int32_t id, const char **piece, size_t *size);
/* What was held back, at the end of a text without a stop. Bytes that never became UTF-8 come as U+FFFD. The next push
 * starts a new text. */
void rp_text_finish(rp_text *text, const char **piece, size_t *size);

#endif
