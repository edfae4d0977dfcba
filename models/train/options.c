/* The options of train and adapt. See run.h. */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
    const char *name;
    taken by;
    int *to, least, most;
} whole_option;

typedef struct {
    const char *name;
    float *to, most;
    taken by;
} number_option;

typedef struct {
    const char *name;
    taken by;
    const char **to;
} text_option;

static int whole(const char *name, const char *text, int least, int most) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || end == text || value < least || value > most)
        die("%s %s: a whole number from %d to %d was expected", name, text, least, most);
    return (int)value;
}

static double number(const char *name, const char *text, double most) {
    char *end;
    double value = strtod(text, &end);
    if (*end || end == text || !(value >= 0 && value <= most))
        die("%s %s: a number from 0 to %g was expected", name, text, most);
    return value;
}

static void read_map(shape *s, const char *text) {
    bool used[MAX_BLOCKS] = {false};
    const char *at = text;
    s->visits = s->blocks = 0;
    do {
        char *end;
        long b = strtol(at, &end, 10);
        if (end == at || (*end && *end != ',') || b < 0 || b >= MAX_BLOCKS || s->visits == MAX_VISITS)
            die("--layer-map %s: blocks of up to %d visits like 0,0,1,1 were expected", text, MAX_VISITS);
        s->map[s->visits++] = (int)b;
        s->blocks = b >= s->blocks ? (int)b + 1 : s->blocks;
        used[b] = true;
        at = *end ? end + 1 : NULL;
    } while (at);
    for (int b = 0; b < s->blocks; b++)
        if (!used[b])
            die("--layer-map %s: block %d is never visited", text, b);
}

static bool read_whole(options *o, taken program, const char *name, const char *value) {
    shape *s = &o->s;
    int seed = (int)o->seed;
    const whole_option known[] = {{"--vocab", OF_BOTH, &s->vocab, 32, 65536},
                                  {"--dim", OF_BOTH, &s->dim, 32, 8192},
                                  {"--heads", OF_BOTH, &s->heads, 1, 256},
                                  {"--kv-heads", OF_BOTH, &s->kv_heads, 1, 256},
                                  {"--ffn", OF_BOTH, &s->ffn, 32, 32768},
                                  {"--loop-first", OF_BOTH, &s->loop_first, 0, MAX_BLOCKS - 1},
                                  {"--loop-last", OF_BOTH, &s->loop_last, 0, MAX_BLOCKS - 1},
                                  {"--loop-min", OF_BOTH, &s->loop_min, 1, 16},
                                  {"--loop-max", OF_BOTH, &s->loop_max, 1, 16},
                                  {"--length", OF_BOTH, &o->length, 32, 4096},
                                  {"--batch", OF_BOTH, &o->batch, 1, 4096},
                                  {"--stop", OF_TRAIN, &o->stop, 0, 1 << 30},
                                  {"--rank", OF_ADAPT, &o->rank, 1, 1024},
                                  {"--seed", OF_BOTH, &seed, 0, 1 << 30}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if ((known[i].by & program) && !strcmp(known[i].name, name)) {
            *known[i].to = whole(name, value, known[i].least, known[i].most);
            o->seed = (uint32_t)seed;
            return true;
        }
    return false;
}

static bool read_other(options *o, taken program, const char *name, const char *value) {
    const text_option texts[] = {{"--data", OF_BOTH, &o->data},
                                 {"--out", OF_BOTH, &o->out},
                                 {"--gradients", OF_TRAIN, &o->gradients},
                                 {"--base", OF_ADAPT, &o->base}};
    const number_option numbers[] = {{"--dropout", &o->s.dropout, 0.9F, OF_BOTH},
                                     {"--decay", &o->decay, 10.0F, OF_TRAIN},
                                     {"--alpha", &o->alpha, 1e4F, OF_ADAPT},
                                     {"--rate", &o->rate, 1.0F, OF_ADAPT}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if ((texts[i].by & program) && !strcmp(texts[i].name, name)) {
            *texts[i].to = value;
            return true;
        }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if ((numbers[i].by & program) && !strcmp(numbers[i].name, name)) {
            *numbers[i].to = (float)number(name, value, numbers[i].most);
            return true;
        }
    if (!strcmp(name, "--layer-map"))
        read_map(&o->s, value);
    else if (!strcmp(name, "--tokens"))
        o->tokens = number(name, value, 1e12);
    else
        return false;
    return true;
}

/* The map of a run with a loop is the program at one of its depths. */
static bool is_at_a_depth(const shape *s) {
    int core = s->loop_last - s->loop_first + 1, around = s->blocks - core;
    int loops = core > 0 && s->visits > around ? (s->visits - around) / core : 0;
    if (loops < s->loop_min || loops > s->loop_max || around + core * loops != s->visits)
        return false;
    for (int i = 0; i < s->visits; i++) {
        int in_core = i - s->loop_first;
        int want = in_core < 0 || in_core < core ? i
                   : in_core < core * loops      ? s->loop_first + in_core % core
                                                 : i - core * (loops - 1);
        if (s->map[i] != want)
            return false;
    }
    return true;
}

static void check(const options *o) {
    const shape *s = &o->s;
    const int of_32[] = {s->vocab, s->dim, s->ffn, o->length};
    static const char *const NAMES[] = {"--vocab", "--dim", "--ffn", "--length"};
    if (!o->data || !o->out)
        die("--data FILE and --out DIR are needed");
    for (int i = 0; i < 4; i++)
        if (of_32[i] % 32)
            die("%s %d: a multiple of 32 was expected", NAMES[i], of_32[i]);
    if (s->heads * HEAD != s->dim || s->heads % s->kv_heads)
        die("--heads %d --kv-heads %d: heads are %d wide and make up dim, %d; KV heads divide them", s->heads,
            s->kv_heads, HEAD, s->dim);
    if (o->batch % ROWS)
        die("--batch %d: a multiple of %d was expected", o->batch, ROWS);
    if (s->loop_min > s->loop_max || s->loop_last >= s->blocks)
        die("--loop-min to --loop-max or --loop-last are out of order");
    if (s->loop_max > 1 &&
        (!is_at_a_depth(s) || s->blocks + (s->loop_last - s->loop_first + 1) * (s->loop_max - 1) > MAX_VISITS))
        die("--layer-map is not blocks %d to %d looped %d to %d times, at most %d visits", s->loop_first, s->loop_last,
            s->loop_min, s->loop_max, MAX_VISITS);
}

void options_read(options *o, taken program, int argc, char **argv) {
    *o = (options){
        .tokens = 20e6, .length = 320, .batch = 12, .seed = 1, .decay = 0.1F, .rank = 8, .alpha = 16, .rate = 2e-3F};
    o->s = (shape){.vocab = 2048,
                   .dim = 256,
                   .heads = 8,
                   .kv_heads = 2,
                   .ffn = 768,
                   .loop_min = 1,
                   .loop_max = 1,
                   .dropout = 0.1F};
    read_map(&o->s, "0,0,1,1,2,2,3,3");
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            die("%s: a value was expected", argv[i]);
        if (!read_whole(o, program, argv[i], argv[i + 1]) && !read_other(o, program, argv[i], argv[i + 1]))
            die("%s: no option of this program", argv[i]);
    }
    check(o);
}
