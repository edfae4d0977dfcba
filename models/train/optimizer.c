/* See optimizer.h. */
#include "optimizer.h"
#include "data.h"

#include <math.h>

static const float MUON_MOMENTUM = 0.95F, ADAM_FIRST = 0.9F, ADAM_SECOND = 0.95F;

muon_room muon_begin(const matrix *matrices, int count) {
    size_t widest = 0, largest = 0;
    for (int i = 0; i < count; i++) {
        size_t rows = (size_t)matrices[i].rows, columns = (size_t)matrices[i].columns;
        size_t least = rows < columns ? rows : columns;
        widest = least > widest ? least : widest;
        largest = rows * columns > largest ? rows * columns : largest;
    }
    size_t square = widest * widest;
    return (muon_room){.x = zeros(largest * sizeof(float)),
                       .gram = zeros(square * sizeof(float)),
                       .mixed = zeros(square * sizeof(float)),
                       .a = zeros(largest * sizeof(bf16)),
                       .b = zeros(largest * sizeof(bf16))};
}

/* Five Newton-Schulz steps of x (m x n, m <= n) towards the nearest orthogonal matrix. */
static void orthogonalize(const muon_room *r, int m, int n) {
    static const float A = 3.4445F, B = -4.7750F, C = 2.0315F;
    size_t square = (size_t)m * m;
    for (int i = 0; i < 5; i++) {
        to_a(r->x, m, n, r->a);
        transposed_b(r->a, m, n, r->b);
        multiply_whole(m, m, n, r->a, r->b, r->gram, false);
        to_a(r->gram, m, m, r->a);
        transposed_b(r->a, m, m, r->b); /* symmetric */
        multiply_whole(m, m, m, r->a, r->b, r->mixed, false);
        for (size_t j = 0; j < square; j += 16)
            store(r->mixed + j, B * load(r->gram + j) + C * load(r->mixed + j));
        to_a(r->x, m, n, r->a);
        paired_b(r->a, m, n, r->b);
        to_a(r->mixed, m, m, r->a);
        for (size_t j = 0; j < (size_t)m * n; j += 16)
            store(r->x + j, A * load(r->x + j));
        multiply_whole(m, n, m, r->a, r->b, r->x, true);
    }
}

void muon_step(const muon_room *room, const matrix *m, float *weights, float *gradients, float *momentum, float rate,
               float decay) {
    size_t count = (size_t)m->rows * m->columns;
    bool tall = m->rows > m->columns;
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        momentum[i] += (1 - MUON_MOMENTUM) * (gradients[i] - momentum[i]);
        gradients[i] += MUON_MOMENTUM * (momentum[i] - gradients[i]);
        squares += (double)gradients[i] * gradients[i];
    }
    float scale = (float)(1 / (sqrt(squares) + 1e-7));
    for (int i = 0; i < m->rows; i++)
        for (int j = 0; j < m->columns; j++)
            room->x[tall ? (size_t)j * m->rows + i : (size_t)i * m->columns + j] =
                gradients[(size_t)i * m->columns + j] * scale;
    orthogonalize(room, tall ? m->columns : m->rows, tall ? m->rows : m->columns);
    float step = rate * sqrtf(fmaxf(1.0F, (float)m->rows / (float)m->columns)), kept = 1 - rate * decay;
    for (int i = 0; i < m->rows; i++)
        for (int j = 0; j < m->columns; j++) {
            float *w = weights + (size_t)i * m->columns + j;
            *w = *w * kept - step * room->x[tall ? (size_t)j * m->rows + i : (size_t)i * m->columns + j];
        }
}

void adam_step(size_t count, float *weights, const float *gradients, float *first, float *second, uint64_t step,
               float rate) {
    float of_first = 1 - powf(ADAM_FIRST, (float)(step + 1)), of_second = 1 - powf(ADAM_SECOND, (float)(step + 1));
    for (size_t i = 0; i < count; i++) {
        first[i] += (1 - ADAM_FIRST) * (gradients[i] - first[i]);
        second[i] += (1 - ADAM_SECOND) * (gradients[i] * gradients[i] - second[i]);
        weights[i] -= rate * (first[i] / of_first) / (sqrtf(second[i] / of_second) + 1e-8F);
    }
}

void clip_gradients(float *gradients, size_t count) {
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += (double)gradients[i] * gradients[i];
    float kept = (float)fmin(1.0, 1.0 / (sqrt(squares) + 1e-6));
    for (size_t i = 0; i < count; i++)
        gradients[i] *= kept;
}
