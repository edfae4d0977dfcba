/* Trains a LoRA adapter (Hu 2021) of a story model: adapt --base RUN --data FILE --out DIR [--tokens N] [--rank N] [the base's shape]
 *
 * Every matrix W of every block becomes W + alpha / rank B A, at each visit the same; A (rank x columns) and B (rows x rank) learn, W does
 * not. Their gradients come from W's: B^T dW and dW A^T, times alpha / rank. Adam, 20 steps of warm-up, then linear to zero. Writes
 * DIR/adapter, which export.py makes llama.cpp's adapter file of. */
#include "run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { WARMUP_STEPS = 20 };

typedef struct {
    run run;
    size_t count; /* values of all A and B */
    float *base, *terms, *gradients, *first, *second;
} adaptation;

/* A of matrix m begins at the m-th of these, B behind it. */
static size_t terms_of(const run *r, const matrix *m) {
    return (size_t)r->o.rank * ((size_t)m->rows + m->columns);
}

static void initialize(adaptation *a) {
    run *r = &a->run;
    uint64_t state = draws_begin(r->o.seed, UINT64_MAX / 3);
    size_t at = 0;
    for (int i = 0; i < r->matrix_count; i++) {
        const matrix *m = &r->matrices[i];
        for (size_t j = 0; j < (size_t)r->o.rank * m->columns; j++)
            a->terms[at + j] = (float)((2 * uniform(&state) - 1) * sqrt(3.0 / m->columns));
        at += terms_of(r, m);
    }
}

/* The network's weights with the terms as they are. */
static void apply(adaptation *a) {
    run *r = &a->run;
    float *weights = network_weights(r->net), factor = r->o.alpha / (float)r->o.rank;
    const float *terms = a->terms;
    for (int i = 0; i < r->matrix_count; i++) {
        const matrix *m = &r->matrices[i];
        const float *low = terms, *high = terms + (size_t)r->o.rank * m->columns;
        for (int row = 0; row < m->rows; row++) {
            float *w = weights + m->at + (size_t)row * m->columns;
            memcpy(w, a->base + m->at + (size_t)row * m->columns, (size_t)m->columns * sizeof(float));
            for (int k = 0; k < r->o.rank; k++) {
                float b = factor * high[(size_t)row * r->o.rank + k];
                for (int c = 0; c < m->columns; c++)
                    w[c] += b * low[(size_t)k * m->columns + c];
            }
        }
        terms += terms_of(r, m);
    }
    network_pack(r->net);
}

static void term_gradients(adaptation *a) {
    run *r = &a->run;
    const float *of_weights = network_gradients(r->net), *terms = a->terms;
    float factor = r->o.alpha / (float)r->o.rank, *gradients = a->gradients;
    memset(gradients, 0, a->count * sizeof(float));
    for (int i = 0; i < r->matrix_count; i++) {
        const matrix *m = &r->matrices[i];
        size_t high = (size_t)r->o.rank * m->columns;
        for (int row = 0; row < m->rows; row++) {
            const float *d = of_weights + m->at + (size_t)row * m->columns;
            for (int k = 0; k < r->o.rank; k++) {
                const float *low = terms + (size_t)k * m->columns;
                float *to = gradients + (size_t)k * m->columns, b = terms[high + (size_t)row * r->o.rank + k],
                      along = 0;
                for (int c = 0; c < m->columns; c++) {
                    to[c] += factor * b * d[c];
                    along += d[c] * low[c];
                }
                gradients[high + (size_t)row * r->o.rank + k] = factor * along;
            }
        }
        terms += terms_of(r, m);
        gradients += terms_of(r, m);
    }
}

static void train(adaptation *a) {
    run *r = &a->run;
    while ((double)r->p.tokens < r->o.tokens) {
        double began = now(), done = (double)r->p.tokens / r->o.tokens, loss = run_gradients(r);
        double share = fmin(1.0, (double)(r->p.step + 1) / WARMUP_STEPS) * (1 - done);
        term_gradients(a);
        clip_gradients(a->gradients, a->count);
        adam_step(a->count, a->terms, a->gradients, a->first, a->second, r->p.step, r->o.rate * (float)share);
        apply(a);
        run_count(r, loss, now() - began, (double)r->p.tokens >= r->o.tokens);
    }
}

int main(int argc, char **argv) {
    static adaptation a;
    run *r = &a.run;
    run_begin(r, OF_ADAPT, argc, argv);
    if (!r->o.base)
        die("--base DIR, a run of train, is needed");
    run_check_shape(r, r->o.base);
    for (int i = 0; i < r->matrix_count; i++)
        a.count += terms_of(r, &r->matrices[i]);
    float **of_terms[] = {&a.terms, &a.gradients, &a.first, &a.second};
    for (int i = 0; i < 4; i++)
        *of_terms[i] = zeros(a.count * sizeof(float));
    a.base = zeros(r->parameters * sizeof(float));
    float *momenta = zeros(2 * r->parameters * sizeof(float));
    const array of_base[] = {{a.base, r->parameters}, {momenta, 2 * r->parameters}}, kept[] = {{a.terms, a.count}};
    if (!checkpoint_read(r, r->o.base, of_base, 2))
        die("%s: no checkpoint there", r->o.base);
    free(momenta);
    memcpy(network_weights(r->net), a.base, r->parameters * sizeof(float));
    r->p = (progress){0};
    initialize(&a);
    apply(&a);
    printf("%zu values in the adapter, %zu tokens in %zu stories\n", a.count, r->stories.id_count,
           r->stories.story_count);
    train(&a);
    checkpoint_write(r, "adapter", kept, 1);
    log_write(r);
    return 0;
}
