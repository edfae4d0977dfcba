/* The terminal program: its commands and their options. Each command lives in its own file. */
#include "cli.h"

#include <string.h>

#define AT(member) offsetof(options, member)

static const option no_options[] = {{0}};
static const option help_options[] = {
    {"--isa", NULL, KIND_CHOICE, AT(isa), 0, 0, "scalar/simd128/relaxed",
     "kernels to use; if not given the best one, in WebAssembly simd128"},
    {"--help", "-h", KIND_FLAG, AT(help), 0, 0, NULL, "this text"},
    {0},
};
static const option prompt_options[] = {
    {"--prompt", "-p", KIND_TEXT, AT(prompt), 0, 0, NULL, "the prompt (-p for short)"},
    {"--file", NULL, KIND_FILE, AT(file), 0, 0, NULL, "read the prompt from a file; - is standard input"},
    {"--ids", NULL, KIND_TEXT, AT(ids), 0, 0, NULL, "the prompt as token ids: 1,15,27; nothing is put before them"},
    {"--special", NULL, KIND_FLAG, AT(special), 0, 0, NULL, "read text such as <|im_end|> as control tokens"},
    {0},
};
static const option session_options[] = {
    {"--context", NULL, KIND_COUNT, AT(context), 1, 1 << 24, NULL,
     "positions to hold; if not given what the model was trained for, at most 2048"},
    {"--kv", NULL, KIND_CHOICE, AT(kv), 0, 0, "f32/f16/q8_0/q8_q4", "type of the KV cache (f16)"},
    {"--threads", NULL, KIND_COUNT, AT(threads), 1, 16, NULL,
     "that compute (1); the text is the same. In WebAssembly: 1"},
    {0},
};
static const option program_options[] = {
    {"--depth", "--loops", KIND_COUNT, AT(loops), 1, 512, NULL,
     "how often the looped blocks run (--loops is the same)"},
    {"--layers", NULL, KIND_TEXT, AT(layers), 0, 0, NULL, "which visits run: 0-9,10-13x2,14-29 runs 10 to 13 twice"},
    {"--kv-reuse", NULL, KIND_CHOICE, AT(kv_reuse), 0, 0, "last-loop",
     "one KV slot a block: less memory, but the bits then depend on how a prompt is split"},
    {"--exit-threshold", NULL, KIND_NUMBER, AT(exit_threshold), 0, 1, NULL,
     "of the exit rule, where the file has one; 1: the last loop, 0: as in the file"},
    {0},
};
static const option adapter_options[] = {
    {"--lora", NULL, KIND_LIST, AT(loras), 0, RP_ADAPTERS_MOST, NULL,
     "an adapter, FILE or FILE=SCALE; may be given up to 8 times"},
    {0},
};
static const option steering_options[] = {
    {"--expert", NULL, KIND_FILE, AT(expert), 0, 0, NULL,
     "steer by what this model says beyond the anti-expert: a model, an adapter, or base"},
    {"--antiexpert", NULL, KIND_FILE, AT(antiexpert), 0, 0, NULL,
     "what the expert was tuned from: a model, an adapter, or base"},
    {"--alpha", NULL, KIND_NUMBER, AT(alpha), -100, 100, NULL, "logits = base + X (expert - antiexpert) (1)"},
    {0},
};
static const option speculation_options[] = {
    {"--draft", NULL, KIND_TEXT, AT(draft), 0, 0, NULL,
     "guess ahead, for the same text: lookup, depth=N or layers=SPEC"},
    {"--draft-tokens", NULL, KIND_COUNT, AT(draft_tokens), 1, RP_GUESSES_MOST, NULL, "guesses a pass (3)"},
    {0},
};
static const option saving_options[] = {
    {"--save-session", NULL, KIND_FILE, AT(save), 0, 0, NULL, "write the session to a file at the end"},
    {"--restore-session", NULL, KIND_FILE, AT(restore), 0, 0, NULL,
     "begin with a saved one; the prompt goes on from there"},
    {0},
};
static const option sampling_options[] = {
    {"--temperature", NULL, KIND_NUMBER, AT(temperature), 0, 100, NULL, "0 always takes the likeliest token (0.8)"},
    {"--top-k", NULL, KIND_COUNT, AT(top_k), 0, 1 << 24, NULL, "keep the K likeliest; 0: all (40)"},
    {"--top-p", NULL, KIND_NUMBER, AT(top_p), 0, 1, NULL, "keep the likeliest up to this mass (0.95)"},
    {"--min-p", NULL, KIND_NUMBER, AT(min_p), 0, 1, NULL, "keep what has this share of the likeliest's (0.05)"},
    {"--typical", NULL, KIND_NUMBER, AT(typical), 0, 1, NULL, "locally typical sampling; 1: off (1)"},
    {"--repeat-penalty", NULL, KIND_NUMBER, AT(repeat_penalty), 0, 100, NULL, "for recent tokens; 1: off (1)"},
    {"--presence-penalty", NULL, KIND_NUMBER, AT(presence_penalty), -100, 100, NULL, "once a token that occurred (0)"},
    {"--frequency-penalty", NULL, KIND_NUMBER, AT(frequency_penalty), -100, 100, NULL, "once an occurrence (0)"},
    {"--penalty-last", NULL, KIND_COUNT, AT(penalty_last), 1, 1 << 20, NULL, "tokens the penalties look at (64)"},
    {"--dry-multiplier", NULL, KIND_NUMBER, AT(dry_multiplier), 0, 100, NULL, "DRY penalty; 0: off (0)"},
    {"--dry-base", NULL, KIND_NUMBER, AT(dry_base), 1, 100, NULL, "its growth with a repetition's length (1.75)"},
    {"--dry-allowed", NULL, KIND_COUNT, AT(dry_allowed), 1, 1 << 20, NULL, "longest free repetition (2)"},
    {"--dry-last", NULL, KIND_COUNT, AT(dry_last), 1, 1 << 20, NULL, "how far back it looks (1024)"},
    {"--mirostat-tau", NULL, KIND_NUMBER, AT(mirostat_tau), 0, 100, NULL, "Mirostat 2's target surprise; 0: off (0)"},
    {"--mirostat-eta", NULL, KIND_NUMBER, AT(mirostat_eta), 0, 100, NULL, "its learning rate (0.1)"},
    {"--seed", NULL, KIND_SEED, AT(seed), 0, 0, NULL, "same seed, same text, on every machine (0)"},
    {0},
};
static const option generate_options[] = {
    {"--tokens", "-n", KIND_COUNT, AT(tokens), 0, 1 << 24, NULL, "most tokens to generate (-n for short; 256)"},
    {"--stop", NULL, KIND_LIST, AT(stops), 0, MAX_TEXTS, NULL, "end before this text; may be given up to 16 times"},
    {"--figures", NULL, KIND_FLAG, AT(figures), 0, 0, NULL, "a last line with speed and memory"},
    {"--json", NULL, KIND_FLAG, AT(json), 0, 0, NULL, "one object: text, ids, finish_reason, timings"},
    {0},
};
static const option tokenize_options[] = {
    {"--file", NULL, KIND_FILE, AT(file), 0, 0, NULL, "read the text from a file; - is standard input"},
    {"--special", NULL, KIND_FLAG, AT(special), 0, 0, NULL, "read text such as <|im_end|> as control tokens"},
    {0},
};
static const option logits_options[] = {
    {"--top", NULL, KIND_COUNT, AT(top), 0, 1 << 24, NULL, "how many of the likeliest tokens to show (10)"},
    {"--each", NULL, KIND_FLAG, AT(each), 0, 0, NULL, "a line for every position, not only the last"},
    {0},
};
static const option perplexity_options[] = {
    {"--window", NULL, KIND_COUNT, AT(window), 2, 1 << 24, NULL,
     "positions of a window, BOS included; windows do not overlap (512, at most the context trained for)"},
    {"--split", NULL, KIND_TEXT, AT(split), 0, 0, NULL,
     "score the pieces between this text alone, each with its end token"},
    {0},
};
static const option compare_options[] = {
    {"--compare", NULL, KIND_FLAG, AT(compare), 0, 0, NULL,
     "two models side by side on the text of a file: MODEL MODEL FILE"},
    {0},
};
static const option json_options[] = {
    {"--json", NULL, KIND_FLAG, AT(json), 0, 0, NULL, "one object"},
    {0},
};
static const option convert_options[] = {
    {"--output", "-o", KIND_FILE, AT(output), 0, 0, NULL, "the GGUF file to write (-o for short)"},
    {"--type", NULL, KIND_CHOICE, AT(type), 0, 0, "f32/f16/bf16/q8_0/q5_0/q4_0/q4_1/q4_K/q6_K",
     "of matrices; if not given they stay as they are. Matrices whose rows do not fit get the next larger one"},
    {"--head-type", NULL, KIND_CHOICE, AT(head_type), 0, 0, "f32/f16/bf16/q8_0/q5_0/q4_0/q4_1/q4_K/q6_K",
     "with --type: of the matrix that gives the logits (q6_K or q8_0 when --type has fewer bits); an embedding beside "
     "it gets --type"},
    {"--tokenizer", NULL, KIND_FILE, AT(tokenizer), 0, 0, NULL,
     "take the vocabulary from a tokenizer.json, tokenizer.model, tokenizer.bin or GGUF file"},
    {"--dedup", NULL, KIND_FLAG, AT(dedup), 0, 0, NULL, "store blocks with equal bytes once, with a map"},
    {"--unroll", NULL, KIND_FLAG, AT(unroll), 0, 0, NULL,
     "copy blocks out so that none is visited twice; the depth is then no choice any more"},
    {"--layers", NULL, KIND_TEXT, AT(layers), 0, 0, NULL,
     "a self-merge without copying: visits like 0-9,10-13x2,14-29"},
    {"--json", NULL, KIND_FLAG, AT(json), 0, 0, NULL, "one object"},
    {0},
};
static const option bench_options[] = {
    {"--prompt", NULL, KIND_COUNT, AT(prompt_tokens), 1, 1 << 20, NULL, "tokens to prefill (256)"},
    {"--generate", NULL, KIND_COUNT, AT(tokens), 1, 1 << 20, NULL, "tokens to decode (64)"},
    {"--repeat", NULL, KIND_COUNT, AT(repeat), 1, 64, NULL, "times to measure; medians are printed (5)"},
    {0},
};

#define GROUPS(...)                                                                                                    \
    (const option *const[]) {                                                                                          \
        __VA_ARGS__, help_options, NULL                                                                                \
    }

const command commands[] = {
    {"generate",
     "MODEL",
     1,
     1,
     "Streams text that follows a prompt.",
     GROUPS(prompt_options, generate_options, sampling_options, session_options, program_options, adapter_options,
            steering_options, speculation_options, saving_options),
     run_generate,
     {.tokens = 256,
      .temperature = 0.8f,
      .top_k = 40,
      .top_p = 0.95f,
      .min_p = 0.05f,
      .typical = 1,
      .repeat_penalty = 1,
      .alpha = 1}},
    {"tokenize",
     "MODEL [TEXT]",
     1,
     2,
     "Prints a text's token ids as a JSON array, without BOS.",
     GROUPS(tokenize_options),
     run_tokenize,
     {0}},
    {"detokenize",
     "MODEL ID...",
     1,
     MAX_POSITIONALS,
     "Writes the bytes that token ids stand for.",
     GROUPS(no_options),
     run_detokenize,
     {0}},
    {"logits",
     "MODEL",
     1,
     1,
     "Prints the likeliest next tokens and a hash of all logits, as JSON.",
     GROUPS(prompt_options, logits_options, session_options, program_options, adapter_options, steering_options),
     run_logits,
     {.top = 10, .alpha = 1}},
    {"perplexity",
     "MODEL FILE",
     2,
     2,
     "Scores a text: tokens, bytes, nll, nats_per_byte, perplexity, as JSON.",
     GROUPS(perplexity_options, session_options, program_options, adapter_options, steering_options),
     run_perplexity,
     {.alpha = 1}},
    {"inspect",
     "MODEL [MODEL FILE]",
     1,
     3,
     "Says what a file holds, shares and needs; --compare puts two side by side on a text.",
     GROUPS(json_options, session_options, program_options, compare_options, bench_options, perplexity_options),
     run_inspect,
     {.prompt_tokens = 256, .tokens = 64, .repeat = 5, .alpha = 1}},
    {"convert",
     "IN -o OUT.gguf",
     1,
     1,
     "Writes a GGUF file from a Hugging Face folder, a llama2.c checkpoint or a GGUF file.",
     GROUPS(convert_options),
     run_convert,
     {0}},
    {"bench",
     "MODEL",
     1,
     1,
     "Measures loading, prefill and decode.",
     GROUPS(bench_options, json_options, session_options, program_options, adapter_options),
     run_bench,
     {.prompt_tokens = 256, .tokens = 64, .repeat = 5, .alpha = 1}},
};
const size_t command_count = RP_COUNT(commands);

static int wrong_command(const char *name) {
    print(2, "reprise: %s%s; want one of:", name ? "no command " : "a command is missing", name ? name : "");
    for (size_t i = 0; i < command_count; i++)
        print(2, " %s", commands[i].name);
    print(2, " (reprise --help)\n");
    return EXIT_USAGE;
}

/* `reprise --isa X COMMAND …` is `reprise COMMAND --isa X …`; false when there is no command. */
static bool move_command_first(int count, char **args) {
    int at = 0;
    while (at < count && strncmp(args[at], "--isa", 5) == 0)
        at += args[at][5] == '=' ? 1 : 2;
    if (at >= count)
        return false;
    char *command = args[at];
    memmove(args + 1, args, (size_t)at * sizeof *args);
    args[0] = command;
    return true;
}

int cli_main(int count, char **args) {
    if (!move_command_first(count, args))
        return wrong_command(NULL);
    if (strcmp(args[0], "--help") == 0 || strcmp(args[0], "-h") == 0) {
        args_help_all();
        return EXIT_OK;
    }
    if (strcmp(args[0], "--version") == 0) {
        print(1, "reprise %s\n", RP_VERSION);
        return EXIT_OK;
    }
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(args[0], commands[i].name) != 0)
            continue;
        options o;
        uint32_t positionals;
        if (!args_read(&commands[i], count - 1, args + 1, &o, &positionals))
            return EXIT_USAGE;
        if (o.help) {
            args_help(&commands[i]);
            return EXIT_OK;
        }
        return commands[i].run(&o, args + 1, positionals);
    }
    return wrong_command(args[0]);
}
