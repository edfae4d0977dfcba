/* Trains a story model: train --data FILE --out DIR [--tokens N] [--dim N ...]
 *
 * The data are the token ids of stories, as prepare.py writes them. A run writes a checkpoint every minute and goes on from it when started
 * again, with the same data in the same order. Learning rate: 100 steps of warm-up, constant for half the tokens, then linear to zero. Muon
 * for the block matrices, Adam for the rest. One run takes one core. */
#include "run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

enum { WARMUP_STEPS = 100, SAVE_SECONDS = 60 };
static const float MUON_RATE = 0.02F, ADAM_RATE = 3e-3F;

typedef struct {
    run run;
    float *first, *second; /* momenta of the parameters; a matrix uses only the first */
    muon_room room;
} training;

/* Uniform within 1 / sqrt(columns), but what a block adds begins at zero; the embedding normal with 0.02, norms one. */
static void initialize(run *r) {
    uint64_t state = draws_begin(r->o.seed, UINT64_MAX / 2);
    float *w = network_weights(r->net);
    const linear *e = network_embedding(r->net);
    for (size_t i = 0; i < r->parameters; i++)
        w[i] = 1.0F;
    for (size_t i = 0; i < (size_t)e->rows * e->columns; i++) {
        double length = sqrt(-2 * log(1 - uniform(&state)));
        w[e->at + i] = (float)(0.02 * length * cos(6.283185307179586 * uniform(&state)));
    }
    for (int m = 0; m < r->matrix_count; m++) {
        const matrix *of = &r->matrices[m];
        bool adds = m % MATRICES == 3 || m % MATRICES == 6;
        for (size_t i = 0; i < (size_t)of->rows * of->columns; i++)
            w[of->at + i] = adds ? 0.0F : (float)((2 * uniform(&state) - 1) / sqrt((double)of->columns));
    }
}

static void adam(training *t, size_t at, size_t count, float rate) {
    run *r = &t->run;
    adam_step(count, network_weights(r->net) + at, network_gradients(r->net) + at, t->first + at, t->second + at,
              r->p.step, rate);
}

/* Returns the loss in nats a token. */
static double step(training *t) {
    run *r = &t->run;
    double done = (double)r->p.tokens / r->o.tokens, loss = run_gradients(r);
    float *weights = network_weights(r->net), *gradients = network_gradients(r->net);
    clip_gradients(gradients, r->parameters);
    float share = (float)(fmin(1.0, (double)(r->p.step + 1) / WARMUP_STEPS) * fmin(1.0, fmax(0.0, (1 - done) * 2)));
    for (int i = 0; i < r->matrix_count; i++) {
        const matrix *m = &r->matrices[i];
        muon_step(&t->room, m, weights + m->at, gradients + m->at, t->first + m->at, MUON_RATE * share, r->o.decay);
    }
    const linear *e = network_embedding(r->net);
    size_t dim = (size_t)r->o.s.dim;
    adam(t, e->at, (size_t)e->rows * dim + dim, ADAM_RATE * share); /* and the last norm, which follows */
    for (int i = 0; i < r->o.s.blocks; i++)
        adam(t, network_blocks(r->net)[i].attn_norm, 2 * dim, ADAM_RATE * share);
    network_pack(r->net);
    return loss;
}

static void train(training *t, const array *kept, int count) {
    run *r = &t->run;
    double saved = now();
    while ((double)r->p.tokens < r->o.tokens) {
        double began = now(), loss = step(t);
        bool finished = (double)r->p.tokens >= r->o.tokens;
        run_count(r, loss, now() - began, finished);
        if (!isfinite(r->p.loss))
            die("%s: the loss is no number any more", r->o.out);
        bool stops = r->p.step == (uint64_t)r->o.stop;
        if (now() - saved > SAVE_SECONDS || finished || stops) {
            checkpoint_write(r, "checkpoint", kept, count);
            saved = now();
        }
        if (stops && !finished)
            return;
    }
    log_write(r);
}

static void gradients_write(run *r) {
    double loss = run_gradients(r);
    FILE *f = fopen(r->o.gradients, "wb");
    if (!f || fwrite(&loss, sizeof loss, 1, f) != 1 ||
        fwrite(network_gradients(r->net), sizeof(float), r->parameters, f) != r->parameters || fclose(f))
        die("%s: %s", r->o.gradients, strerror(errno));
}

int main(int argc, char **argv) {
    static training t;
    run *r = &t.run;
    run_begin(r, OF_TRAIN, argc, argv);
    t.first = zeros(r->parameters * sizeof(float));
    t.second = zeros(r->parameters * sizeof(float));
    t.room = muon_begin(r->matrices, r->matrix_count);
    const array kept[] = {
        {network_weights(r->net), r->parameters}, {t.first, r->parameters}, {t.second, r->parameters}};
    run_claim(r);
    if (!checkpoint_read(r, r->o.out, kept, 3))
        initialize(r);
    else if (r->p.at > r->stories.story_count)
        die("%s: the checkpoint is damaged", r->o.out);
    stories_seek(&r->stories, r->p.epoch, r->p.at);
    network_pack(r->net);
    printf("%zu parameters, %zu tokens in %zu stories, from step %llu\n", r->parameters, r->stories.id_count,
           r->stories.story_count, (unsigned long long)r->p.step);
    if (r->o.gradients)
        gradients_write(r);
    else
        train(&t, kept, 3);
    return 0;
}
