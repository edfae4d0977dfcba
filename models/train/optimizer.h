/* The optimizers: Muon (Keller Jordan, 2024) for matrices, Adam (Kingma and Ba, 2014) for the rest. */
#ifndef OPTIMIZER_H
#define OPTIMIZER_H

#include "tiles.h"

/* A matrix among the parameters. */
typedef struct {
    size_t at;
    int rows, columns;
} matrix;

/* Scratch for matrices up to a size. */
typedef struct {
    float *x, *gram, *mixed;
    bf16 *a, *b;
} muon_room;

muon_room muon_begin(const matrix *matrices, int count);

/* One step: momentum (0.95, Nesterov's) takes in the gradients, which are spent; weights first lose rate * decay of themselves, then
 * take rate times an orthogonal step. All point to the matrix' first value. */
void muon_step(const muon_room *room, const matrix *m, float *weights, float *gradients, float *momentum, float rate,
               float decay);

/* One step, the `step`-th from 0, of `count` values. */
void adam_step(size_t count, float *weights, const float *gradients, float *first, float *second, uint64_t step,
               float rate);

/* Gradients shortened to a length of 1. */
void clip_gradients(float *gradients, size_t count);

#endif
