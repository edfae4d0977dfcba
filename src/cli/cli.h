/* What the terminal program's commands share: arguments, output, loading a model. No command keeps anything after it
 * returns. */
#ifndef RP_CLI_H
#define RP_CLI_H

#include "../base.h"
#include "host.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, MAX_TEXTS = 16, MAX_POSITIONALS = 4096 };

/* ---- Arguments (args.c) -------------------------------------------------------------------------------- */

typedef enum kind { KIND_FLAG, KIND_TEXT, KIND_COUNT, KIND_NUMBER, KIND_SEED, KIND_CHOICE, KIND_LIST, KIND_FILE } kind;

/* What an option that may be given several times said. */
typedef struct texts {
    const char *text[MAX_TEXTS];
    uint32_t count;
} texts;

/* Everything a command line can say, with defaults filled in by the command. */
typedef struct options {
    const char *prompt, *file, *split, *ids, *isa, *kv;
    const char *layers, *kv_reuse, *expert, *antiexpert, *draft, *save, *restore;
    const char *output, *type, *head_type, *tokenizer;
    texts stops, loras;
    uint32_t loops, draft_tokens;
    float exit_threshold, alpha;
    uint32_t tokens, context, threads, top, window, prompt_tokens, repeat;
    uint32_t top_k, penalty_last, dry_allowed, dry_last;
    float temperature, top_p, min_p, typical, repeat_penalty, presence_penalty, frequency_penalty;
    float dry_multiplier, dry_base, mirostat_tau, mirostat_eta;
    uint64_t seed;
    bool json, special, each, figures, compare, unroll, dedup, help;
} options;

/* One option: its names, what it takes, where it goes (offset in `options`), legal range, one line of help. */
typedef struct option {
    const char *name, *alias;
    kind kind;
    size_t place;
    double low, high;    /* KIND_LIST: high is how often it may be given */
    const char *choices; /* "f32/f16/q8_0" */
    const char *help;
} option;

typedef struct command {
    const char *name, *positionals; /* "MODEL [TEXT]" */
    uint32_t least, most;           /* positionals */
    const char *help;
    const option *const *groups; /* lists of options, NULL at the end; each list ends with an empty option */
    int (*run)(const options *o, char **positionals, uint32_t count);
    options defaults;
} command;

extern const command commands[];
extern const size_t command_count;

/* Reads what stands after the command's name. False, with a line on stderr, when it makes no sense. Positionals are
 * moved to the front of args. */
bool args_read(const command *c, int count, char **args, options *o, uint32_t *positional_count);
/* The word, which may go on behind a slash, is this text, in capitals or not. */
bool is_word(const char *word, const char *text, size_t length);
void args_help(const command *c);
void args_help_all(void);

/* ---- Output (output.c) --------------------------------------------------------------------------------- */

/* printf to standard output (1) or error (2). False when nobody reads. */
bool print(int stream, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Bytes as a JSON string with quotes; what is no UTF-8 becomes U+FFFD. */
void print_json_string(const char *bytes, size_t size);
/* A number, or null where JSON has none. */
void print_json_number(double value);
/* "reprise: RP_ERR_FORMAT: message" on stderr; returns EXIT_FAILED. */
int report(const rp_error *err);

/* ---- Models and files (load.c) ------------------------------------------------------------------------- */

/* Reads a whole file; the caller frees with file_free. */
rp_status file_read(const char *path, char **bytes, size_t *size, rp_error *err);
/* Opens a model and feeds it the file, as far as the part that is wanted needs. */
typedef enum part { PART_ALL, PART_HEADER, PART_VOCABULARY } part;
rp_status load_model(const char *path, const options *o, part wanted, rp_model **model, double *load_ms, rp_error *err);
/* Ends its threads, then closes it. NULL is fine. */
void unload_model(rp_model *model);
/* Ids of the prompt in o->prompt, o->file or o->ids; the caller frees. `flags` as in rp_tokenize. */
rp_status prompt_ids(const rp_model *model, const options *o, unsigned flags, bool may_be_empty, int32_t **ids,
                     size_t *count, rp_error *err);
rp_status text_ids(const rp_model *model, const char *text, size_t size, unsigned flags, int32_t **ids, size_t *count,
                   rp_error *err);
/* Puts the file's name before the message. */
rp_status name_file(const char *path, rp_error *err);
rp_kv_type kv_type(const options *o);
const char *kv_name(rp_kv_type type);
const char *isa_name(rp_isa isa);

/* ---- What computes (engine.c) -------------------------------------------------------------------------- */

/* A model that steers another: a file of its own, an adapter over the other's weights, or the other itself. */
typedef struct helper {
    rp_model *model; /* NULL: no file of its own */
    rp_adapter *adapter;
    rp_session *session; /* NULL: the base's logits are its own */
    float *rows;         /* (STEERED_ROWS, vocab) */
} helper;

/* A model with its adapters, a session, and what steers it: all that the options ask for. */
typedef struct engine {
    rp_model *model;
    rp_adapter_use adapters[RP_ADAPTERS_MOST];
    uint32_t adapter_count, vocab;
    rp_session *session;
    helper expert, antiexpert;
    bool steered;
    float alpha;
    float *logits; /* (STEERED_ROWS, vocab), when steered, for engine_feed_each */
    double load_ms;
} engine;

/* FILE=SCALE, or FILE alone: *path is to be freed. A name that ends like a scale is written with its scale: a=1=1. */
rp_status split_scale(const char *text, char **path, float *scale, rp_error *err);
/* Loads everything. A context of 0 is the default. close_engine is due even when this fails; an engine of zeros is
 * fine. */
rp_status load_engine(engine *e, const char *path, const options *o, rp_error *err);
rp_status open_engine(engine *e, const options *o, uint32_t context, rp_error *err);
void close_engine(engine *e);
/* Another session of its model and adapters. */
rp_status open_twin(const engine *e, const options *o, const rp_program_options *program, rp_session **session,
                    rp_error *err);
/* As the functions of a session, for all of them at once. */
rp_status engine_feed(engine *e, const int32_t *ids, size_t count, rp_error *err);
rp_status engine_feed_each(engine *e, const int32_t *ids, size_t count, void *user,
                           bool (*each)(void *user, size_t index, const float *logits), rp_error *err);
rp_status engine_prompt(engine *e, const int32_t *ids, size_t count, size_t *reused, rp_error *err);
rp_status engine_rewind(engine *e, size_t length, rp_error *err);
const float *engine_logits(const engine *e);
/* Of all its models; as host_peak_bytes. */
uint64_t engine_peak_bytes(const engine *e);
rp_program_options program_of(const options *o);

/* ---- Saved sessions (saved.c) -------------------------------------------------------------------------- */

rp_status save_session(rp_session *session, const char *path, rp_error *err);
rp_status restore_session(rp_session *session, const char *path, rp_error *err);

/* ---- Guessing ahead (draft.c) -------------------------------------------------------------------------- */

/* What --draft asks for. *drafter is a session, or NULL where it asks for none. */
rp_status open_speculator(const engine *e, const options *o, rp_speculator **speculator, rp_session **drafter,
                          rp_error *err);

/* ---- Measuring (perplexity.c, bench.c) ----------------------------------------------------------------- */

/* How well a text was foreseen. */
typedef struct scored {
    uint64_t tokens, bytes;
    double nll; /* nats */
} scored;
/* As --window and --split say. The session needs a context of scoring_window at least. */
rp_status score_file(engine *e, const options *o, const char *path, scored *result, rp_error *err);
uint32_t scoring_window(const engine *e, const options *o);
/* Its members as JSON, without braces. */
void print_scored(const scored *s);

enum { MAX_REPEATS = 64 };
typedef struct figures {
    double values[MAX_REPEATS]; /* in order, once sorted */
    uint32_t count;
} figures;
void sort_figures(figures *f);
double median(const figures *f);
/* Feeds o->prompt_tokens ids (as many must be in `ids`), then o->tokens single ones, and adds tokens a second to
 * both. */
rp_status measure_speed(rp_session *session, const options *o, const int32_t *ids, figures *prefill, figures *decode,
                        rp_error *err);
/* Ids for it: what they say does not matter for speed. The caller frees. */
rp_status made_up_ids(const options *o, uint32_t vocab, int32_t **ids, rp_error *err);

/* ---- Parts of inspect (picture.c, compare.c) ------------------------------------------------------------- */

rp_status draw_program(const rp_model *model, const rp_program_options *program, rp_error *err);
int run_compare(const options *o, char **args); /* MODEL MODEL FILE */

/* ---- Commands ------------------------------------------------------------------------------------------ */

int run_generate(const options *o, char **args, uint32_t count);   /* generate.c */
int run_tokenize(const options *o, char **args, uint32_t count);   /* show.c */
int run_detokenize(const options *o, char **args, uint32_t count); /* show.c */
int run_logits(const options *o, char **args, uint32_t count);     /* show.c */
int run_inspect(const options *o, char **args, uint32_t count);    /* inspect.c */
int run_perplexity(const options *o, char **args, uint32_t count); /* perplexity.c */
int run_bench(const options *o, char **args, uint32_t count);      /* bench.c */
int run_convert(const options *o, char **args, uint32_t count);    /* convert.c */

#endif
