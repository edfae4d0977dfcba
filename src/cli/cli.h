/* What the terminal program's commands share: arguments, output, loading a model. No command keeps anything after it returns. */
#ifndef RP_CLI_H
#define RP_CLI_H

#include "../base.h"
#include "host.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, MAX_STOPS = 16, MAX_POSITIONALS = 4096 };

/* ---- Arguments (args.c) -------------------------------------------------------------------------------- */

typedef enum kind { KIND_FLAG, KIND_TEXT, KIND_COUNT, KIND_NUMBER, KIND_SEED, KIND_CHOICE, KIND_LIST } kind;

/* Everything a command line can say, with defaults filled in by the command. */
typedef struct options {
    const char *prompt, *file, *split, *ids, *isa, *kv;
    const char *stops[MAX_STOPS];
    uint32_t stop_count;
    uint32_t tokens, context, threads, top, window, prompt_tokens, repeat;
    uint32_t top_k, penalty_last, dry_allowed, dry_last;
    float temperature, top_p, min_p, typical, repeat_penalty, presence_penalty, frequency_penalty;
    float dry_multiplier, dry_base, mirostat_tau, mirostat_eta;
    uint64_t seed;
    bool json, special, each, figures, help;
} options;

/* One option: its names, what it takes, where it goes (offset in `options`), legal range, one line of help. */
typedef struct option {
    const char *name, *alias;
    kind kind;
    size_t place;
    double low, high;
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

/* Reads what stands after the command's name. False, with a line on stderr, when it makes no sense. Positionals are moved
 * to the front of args. */
bool args_read(const command *c, int count, char **args, options *o, uint32_t *positional_count);
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
rp_status prompt_ids(const rp_model *model, const options *o, unsigned flags, int32_t **ids, size_t *count,
                     rp_error *err);
rp_status text_ids(const rp_model *model, const char *text, size_t size, unsigned flags, int32_t **ids, size_t *count,
                   rp_error *err);
rp_status open_session(const rp_model *model, const options *o, uint32_t context, rp_session **session, rp_error *err);
rp_kv_type kv_type(const options *o);
const char *isa_name(rp_isa isa);

/* ---- Commands ------------------------------------------------------------------------------------------ */

int run_generate(const options *o, char **args, uint32_t count);   /* generate.c */
int run_tokenize(const options *o, char **args, uint32_t count);   /* show.c */
int run_detokenize(const options *o, char **args, uint32_t count); /* show.c */
int run_logits(const options *o, char **args, uint32_t count);     /* show.c */
int run_inspect(const options *o, char **args, uint32_t count);    /* inspect.c */
int run_perplexity(const options *o, char **args, uint32_t count); /* perplexity.c */
int run_bench(const options *o, char **args, uint32_t count);      /* bench.c */

#endif
