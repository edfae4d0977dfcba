/* See run.h. */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOG_STEPS = 50 };

/* Options. */

static void read_map(shape *s, const char *text) {
    s->visits = 0;
    for (char *end; *text; text = *end ? end + 1 : end) {
        long b = strtol(text, &end, 10);
        if (end == text || (*end && *end != ',') || b < 0 || b >= MAX_BLOCKS || s->visits == MAX_VISITS)
            die("block numbers like 0,0,1,1 were expected", "--layer-map");
        s->map[s->visits++] = (int)b;
    }
    s->blocks = 0;
    for (int i = 0; i < s->visits; i++)
        s->blocks = s->map[i] >= s->blocks ? s->map[i] + 1 : s->blocks;
}

static bool read_whole(options *o, const char *name, const char *value) {
    shape *s = &o->s;
    int seed = (int)o->seed;
    struct {
        const char *name;
        int *to, least, most;
    } known[] = {{"--vocab", &s->vocab, 32, 65536},
                 {"--dim", &s->dim, 32, 8192},
                 {"--heads", &s->heads, 1, 256},
                 {"--kv-heads", &s->kv_heads, 1, 256},
                 {"--ffn", &s->ffn, 32, 32768},
                 {"--loop-first", &s->loop_first, 0, MAX_BLOCKS - 1},
                 {"--loop-last", &s->loop_last, 0, MAX_BLOCKS - 1},
                 {"--loop-min", &s->loop_min, 1, 16},
                 {"--loop-max", &s->loop_max, 1, 16},
                 {"--length", &o->length, 32, 4096},
                 {"--batch", &o->batch, 1, 4096},
                 {"--stop", &o->stop, 0, 1 << 30},
                 {"--rank", &o->rank, 1, 1024},
                 {"--seed", &seed, 0, 1 << 30}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, name)) {
            *known[i].to = whole(name, value, known[i].least, known[i].most);
            o->seed = (uint32_t)seed;
            return true;
        }
    return false;
}

static void read_options(options *o, int argc, char **argv) {
    struct {
        const char *name, **to;
    } texts[] = {{"--data", &o->data}, {"--out", &o->out}, {"--gradients", &o->gradients}, {"--base", &o->base}};
    struct {
        const char *name;
        float *to, most;
    } numbers[] = {{"--dropout", &o->s.dropout, 0.9F},
                   {"--decay", &o->decay, 10.0F},
                   {"--alpha", &o->alpha, 1e4F},
                   {"--rate", &o->rate, 1.0F}};
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        bool known = read_whole(o, name, value);
        for (size_t n = 0; !known && n < sizeof texts / sizeof *texts; n++)
            if (!strcmp(texts[n].name, name))
                *texts[n].to = value, known = true;
        for (size_t n = 0; !known && n < sizeof numbers / sizeof *numbers; n++)
            if (!strcmp(numbers[n].name, name))
                *numbers[n].to = (float)number(name, value, 0, numbers[n].most), known = true;
        if (!known && !strcmp(name, "--layer-map"))
            read_map(&o->s, value), known = true;
        if (!known && !strcmp(name, "--tokens"))
            o->tokens = number(name, value, 1, 1e12), known = true;
        if (!known)
            die("unknown option", name);
    }
}

static void check_options(const options *o) {
    const shape *s = &o->s;
    int core = s->loop_last - s->loop_first + 1;
    if (!o->data || !o->out)
        die("--data FILE and --out DIR are needed", "options");
    if (s->vocab % 32 || s->dim % 32 || s->ffn % 32 || o->length % 32)
        die("vocab, dim, ffn and length must be multiples of 32", "options");
    if (s->heads % s->kv_heads || s->heads * HEAD != s->dim || o->batch % ROWS)
        die("heads of 32 make up dim, KV heads divide them, and batch is a multiple of 4", "options");
    if (s->loop_max > 1 && (core < 1 || s->loop_last >= s->blocks || s->loop_min > s->loop_max ||
                            s->blocks + core * (s->loop_max - 1) > MAX_VISITS))
        die("the loop's blocks or bounds are out of order", "options");
}

static void list_matrices(run *r) {
    const shape *s = &r->o.s;
    for (int i = 0; i < s->blocks; i++) {
        const block *b = &network_blocks(r->net)[i];
        size_t dim = (size_t)s->dim, q = (size_t)s->heads * HEAD, kv = (size_t)s->kv_heads * HEAD, ffn = (size_t)s->ffn;
        const matrix of[MATRICES] = {{b->qkv.at, (int)q, s->dim},
                                     {b->qkv.at + q * dim, (int)kv, s->dim},
                                     {b->qkv.at + (q + kv) * dim, (int)kv, s->dim},
                                     {b->o.at, s->dim, (int)q},
                                     {b->gate_up.at, s->ffn, s->dim},
                                     {b->gate_up.at + ffn * dim, s->ffn, s->dim},
                                     {b->down.at, s->dim, s->ffn}};
        memcpy(r->matrices + r->matrix_count, of, sizeof of);
        r->matrix_count += MATRICES;
    }
}

void run_begin(run *r, int argc, char **argv) {
    read_map(&r->o.s, "0,0,1,1,2,2,3,3");
    read_options(&r->o, argc, argv);
    check_options(&r->o);
    r->net = network_create(&r->o.s, ROWS, r->o.length);
    if (!r->net)
        die("out of memory", "network");
    r->parameters = network_parameters(r->net);
    size_t bytes = (size_t)r->o.batch * r->o.length * sizeof(uint16_t);
    r->ids = need(bytes);
    r->targets = need(bytes);
    list_matrices(r);
    stories_open(&r->stories, r->o.data, r->o.s.vocab, r->o.seed);
}

double run_gradients(run *r) {
    const options *o = &r->o;
    size_t tokens = (size_t)o->batch * o->length;
    memset(network_gradients(r->net), 0, r->parameters * sizeof(float));
    uint64_t state = draws_begin(o->seed, (1ULL << 40) + r->p.step);
    int loops = o->s.loop_min + (int)(draw(&state) % (uint64_t)(o->s.loop_max - o->s.loop_min + 1));
    for (int row = 0; row < o->batch; row++)
        stories_row(&r->stories, o->length, r->ids + (size_t)row * o->length, r->targets + (size_t)row * o->length);
    double loss = 0;
    for (size_t at = 0; at < tokens; at += (size_t)ROWS * o->length)
        loss += network_pass(r->net, r->ids + at, r->targets + at, 1.0F / (float)tokens, loops, (uint32_t)draw(&state));
    r->p.tokens += tokens;
    r->p.epoch = r->stories.epoch;
    r->p.at = r->stories.at;
    return loss / (double)tokens;
}

void run_count(run *r, double loss, double seconds, bool finished) {
    r->p.loss = r->p.step ? 0.98 * r->p.loss + 0.02 * loss : loss;
    r->p.step++;
    r->p.seconds += seconds;
    if (r->p.step % LOG_STEPS && !finished)
        return;
    printf("step %llu tokens %llu loss %.4f %.0f tokens/s\n", (unsigned long long)r->p.step,
           (unsigned long long)r->p.tokens, r->p.loss, (double)r->p.tokens / r->p.seconds);
    fflush(stdout);
}

void path_of(const run *r, const char *name, char path[4096]) {
    if (snprintf(path, 4096, "%s/%s", r->o.out, name) >= 4096)
        die("path too long", r->o.out);
}

void checkpoint_write(const run *r, const char *name, const array *arrays, int count) {
    char path[4096], part[4096], of_part[64];
    snprintf(of_part, sizeof of_part, "%s.part", name);
    path_of(r, name, path);
    path_of(r, of_part, part);
    FILE *f = fopen(part, "wb");
    bool ok = f && fwrite(&r->p, sizeof r->p, 1, f) == 1;
    for (int i = 0; ok && i < count; i++)
        ok = fwrite(arrays[i].values, sizeof(float), arrays[i].count, f) == arrays[i].count;
    if (!ok || fclose(f) || rename(part, path))
        die(strerror(errno), path);
}

bool checkpoint_read(run *r, const char *path, const array *arrays, int count) {
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    bool ok = fread(&r->p, sizeof r->p, 1, f) == 1;
    for (int i = 0; ok && i < count; i++)
        ok = fread(arrays[i].values, sizeof(float), arrays[i].count, f) == arrays[i].count;
    if (!ok || fgetc(f) != EOF)
        die("a checkpoint of another shape", path);
    fclose(f);
    stories_seek(&r->stories, r->p.epoch, r->p.at);
    return true;
}
