/* See run.h. */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOG_STEPS = 50, LONGEST_PATH = 4096, LONGEST_TEXT = 2048 };

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

void run_begin(run *r, taken program, int argc, char **argv) {
    options_read(&r->o, program, argc, argv);
    if (access(r->o.out, W_OK | X_OK))
        die("--out %s: %s", r->o.out, strerror(errno));
    if (!tiles_begin())
        die("the system does not give this process the processor's tiles");
    r->net = network_create(&r->o.s, ROWS, r->o.length);
    if (!r->net)
        die("out of memory for a network of this shape");
    r->parameters = network_parameters(r->net);
    size_t bytes = (size_t)r->o.batch * r->o.length * sizeof(uint16_t);
    r->ids = zeros(bytes);
    r->targets = zeros(bytes);
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

/* Files. */

static void path_of(const char *folder, const char *name, char path[LONGEST_PATH]) {
    if (snprintf(path, LONGEST_PATH, "%s/%s", folder, name) >= LONGEST_PATH)
        die("%s: the path is too long", folder);
}

/* Opens DIR/name.part; publish makes it DIR/name when all went well. */
static FILE *begin(const char *folder, const char *name) {
    char path[LONGEST_PATH], part[64];
    snprintf(part, sizeof part, "%s.part", name);
    path_of(folder, part, path);
    FILE *f = fopen(path, "wb");
    if (!f)
        die("%s: %s", path, strerror(errno));
    return f;
}

static void publish(FILE *f, bool ok, const char *folder, const char *name) {
    char path[LONGEST_PATH], from[LONGEST_PATH], part[64];
    snprintf(part, sizeof part, "%s.part", name);
    path_of(folder, part, from);
    path_of(folder, name, path);
    ok = ok && !fflush(f) && !fsync(fileno(f));
    if (fclose(f) || !ok || rename(from, path))
        die("%s: %s", path, strerror(errno));
}

void checkpoint_write(const run *r, const char *name, const array *arrays, int count) {
    FILE *f = begin(r->o.out, name);
    bool ok = fwrite(&r->p, sizeof r->p, 1, f) == 1;
    for (int i = 0; ok && i < count; i++)
        ok = fwrite(arrays[i].values, sizeof(float), arrays[i].count, f) == arrays[i].count;
    publish(f, ok, r->o.out, name);
}

bool checkpoint_read(run *r, const char *folder, const array *arrays, int count) {
    char path[LONGEST_PATH];
    path_of(folder, "checkpoint", path);
    FILE *f = fopen(path, "rb");
    if (!f && errno == ENOENT)
        return false;
    bool ok = f && fread(&r->p, sizeof r->p, 1, f) == 1;
    for (int i = 0; ok && i < count; i++)
        ok = fread(arrays[i].values, sizeof(float), arrays[i].count, f) == arrays[i].count;
    if (!ok || fgetc(f) != EOF)
        die("%s: %s", path, f ? "not a checkpoint of this shape" : strerror(errno));
    fclose(f);
    return true;
}

/* The shape as JSON: export.py and report.js read it. */
static int shape_text(const run *r, char text[LONGEST_TEXT]) {
    const shape *s = &r->o.s;
    int at = snprintf(text, LONGEST_TEXT,
                      "\"shape\": {\"vocab\": %d, \"dim\": %d, \"heads\": %d, \"kv_heads\": %d, \"ffn\": %d, "
                      "\"loop_first\": %d, \"loop_last\": %d, \"loop_min\": %d, \"loop_max\": %d, \"layer_map\": [",
                      s->vocab, s->dim, s->heads, s->kv_heads, s->ffn, s->loop_first, s->loop_last, s->loop_min,
                      s->loop_max);
    for (int i = 0; i < s->visits; i++)
        at += snprintf(text + at, LONGEST_TEXT - (size_t)at, "%s%d", i ? ", " : "", s->map[i]);
    return at + snprintf(text + at, LONGEST_TEXT - (size_t)at, "]}}\n");
}

/* Reads DIR/run.json; an empty text where there is none. */
static void claim_read(const char *folder, char text[LONGEST_TEXT]) {
    char path[LONGEST_PATH];
    path_of(folder, "run.json", path);
    FILE *f = fopen(path, "rb");
    if (!f && errno != ENOENT)
        die("%s: %s", path, strerror(errno));
    text[f ? fread(text, 1, LONGEST_TEXT - 1, f) : 0] = 0;
    if (f)
        fclose(f);
}

void run_claim(const run *r) {
    char text[LONGEST_TEXT], there[LONGEST_TEXT], shape[LONGEST_TEXT];
    shape_text(r, shape);
    if (snprintf(text, sizeof text,
                 "{\"seed\": %u, \"tokens\": %.0f, \"length\": %d, \"batch\": %d, \"decay\": %g, \"dropout\": %g, "
                 "\"ids\": %zu, %s",
                 r->o.seed, r->o.tokens, r->o.length, r->o.batch, r->o.decay, r->o.s.dropout, r->stories.id_count,
                 shape) >= (int)sizeof text)
        die("--layer-map is too long");
    claim_read(r->o.out, there);
    if (*there && strcmp(there, text) != 0)
        die("%s holds a run of other options or data:\n%snot\n%s", r->o.out, there, text);
    if (*there)
        return;
    FILE *f = begin(r->o.out, "run.json");
    publish(f, fputs(text, f) >= 0, r->o.out, "run.json");
}

void run_check_shape(const run *r, const char *folder) {
    char there[LONGEST_TEXT], shape[LONGEST_TEXT];
    shape_text(r, shape);
    claim_read(folder, there);
    if (!strstr(there, shape))
        die("%s: %s", folder, *there ? "a run of another shape" : "no run of train");
}

void log_write(const run *r) {
    char shape[LONGEST_TEXT];
    shape_text(r, shape);
    FILE *f = begin(r->o.out, "log.json");
    int written = fprintf(
        f, "{\"tokens\": %llu, \"seconds\": %.0f, \"loss\": %.4f, \"seed\": %u, \"rank\": %d, \"alpha\": %g, %s",
        (unsigned long long)r->p.tokens, r->p.seconds, r->p.loss, r->o.seed, r->o.rank, r->o.alpha, shape);
    publish(f, written > 0, r->o.out, "log.json");
}
