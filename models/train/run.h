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
    int length, batch, stop; /* stop: the step after which a run is left to be taken up again; 0: none */
    uint32_t seed;
    float decay; /* of the block matrices */
    shape s;
    const char *base; /* adapt: the run of the model */
    int rank;
    float alpha, rate;
} options;

/* The options that a program takes beside those of both. */
typedef enum { OF_TRAIN = 1, OF_ADAPT = 2, OF_BOTH = 3 } taken;

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

/* Options, checked, from the command line. */
void options_read(options *o, taken program, int argc, char **argv);

/* Reads a program's options, makes the network and opens the data. Ends with a message when something is wrong. */
void run_begin(run *r, taken program, int argc, char **argv);

/* DIR/run.json says what a run is of: shape, seed and data. One that is there must say the same; one that is not is written. */
void run_claim(const run *r);
/* Ends when the run in a folder is not of this shape. */
void run_check_shape(const run *r, const char *folder);

/* The gradients of the next batch; returns its loss in nats a token. Counts the step's tokens, not the step. */
double run_gradients(run *r);

/* After a step: the running mean of the loss, and now and then a line of the log. */
void run_count(run *r, double loss, double seconds, bool finished);

/* The file `name` in a folder: progress and some arrays, whole or not at all. Reading answers whether it is there. */
typedef struct {
    float *values;
    size_t count;
} array;
void checkpoint_write(const run *r, const char *name, const array *arrays, int count);
bool checkpoint_read(run *r, const char *folder, const array *arrays, int count);

/* Writes DIR/log.json, which says that the run is done and what it took. */
void log_write(const run *r);

#endif
