/* A run: options, network, data and checkpoint. What train and adapt share. */
#ifndef RUN_H
#define RUN_H

#include "data.h"
#include "network.h"
#include "optimizer.h"

enum { ROWS = 4 /* sequences of a pass */, MATRICES = 7 /* of a block */ };

typedef struct {
    const char *data, *out, *gradients; /* gradients: write those of the first step into that file and stop */
    double tokens;
    int length, batch, stop; /* stop: after this step, for now; 0: not */
    uint32_t seed;
    float decay; /* of the block matrices */
    shape s;
    const char *base; /* adapt: the checkpoint of the model */
    int rank;
    float alpha, rate;
} options;

/* What a checkpoint holds beside weights and momenta. */
typedef struct {
    uint64_t step, tokens, epoch, at;
    double seconds, loss; /* loss: a running mean, nats a token */
} progress;

typedef struct {
    options o;
    progress p;
    network *net;
    size_t parameters;
    stories stories;
    uint16_t *ids, *targets;                /* of a batch */
    matrix matrices[MATRICES * MAX_BLOCKS]; /* of each block: Q, K, V, output, gate, up, down */
    int matrix_count;
} run;

/* Reads options into what is there as defaults, makes the network and opens the data. Ends with a message when something is wrong. */
void run_begin(run *r, int argc, char **argv);

/* The gradients of the next batch; returns its loss in nats a token. Counts the step's tokens, not the step. */
double run_gradients(run *r);

/* After a step: the running mean of the loss, and now and then a line of the log. */
void run_count(run *r, double loss, double seconds, bool finished);

/* The file `name` in the run's folder: progress and some arrays, whole or not at all. Reading answers whether it is there. */
typedef struct {
    float *values;
    size_t count;
} array;
void checkpoint_write(const run *r, const char *name, const array *arrays, int count);
bool checkpoint_read(run *r, const char *path, const array *arrays, int count);

void path_of(const run *r, const char *name, char path[4096]);

#endif
