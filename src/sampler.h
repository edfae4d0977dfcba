/* Inside the sampler: the steps of the chain on arrays of candidates, the history for the penalties, the
 * generator of random numbers. For sampler*.c and their tests only; the public face is in reprise.h. Every
 * step's result depends on logits and ids alone, never on how something was sorted: ties go to the lower id,
 * sums run over the array's order, and that order is by id until a step says otherwise. No step allocates. */
#ifndef RP_SAMPLER_H
#define RP_SAMPLER_H

#include "base.h"
#include "token_source.h"

/* The longest history the penalties and DRY look at. */
#define RP_SAMPLER_HISTORY_MAX (1u << 20)

typedef struct rp_candidate {
    int32_t id;
    float logit; /* never NaN */
    float score; /* what the step at work ranks by, or the weight in the draw */
} rp_candidate;

/* rp_sampler_open on memory and a vocabulary instead of a model. Both must outlive the sampler. */
rp_status rp_sampler_open_core(rp_sampler **sampler, rp_memory *memory, const rp_token_source *tokens,
                               const rp_sampler_options *options, rp_error *err);
double rp_sampler_mirostat_mu(const rp_sampler *sampler);

/* ---- sampler_filters.c ---- */

/* The largest logit; -inf of none. */
float rp_candidates_max(const rp_candidate *candidates, size_t count);
/* Index of the largest logit, the lowest id of several. count > 0. */
size_t rp_candidates_best(const rp_candidate *candidates, size_t count);

/* Each moves what it keeps to the front and returns how many that is, at least one. count > 0. */

/* The k best, best first. k > 0. */
size_t rp_keep_top_k(rp_candidate *candidates, size_t count, size_t k);
/* Locally typical (Meister 2022): nearest to the expected surprise first, until their mass is above p. */
size_t rp_keep_typical(rp_candidate *candidates, size_t count, double p);
/* Best first, until their mass reaches p. */
size_t rp_keep_top_p(rp_candidate *candidates, size_t count, double p);
/* Those of at least p times the best one's probability, order kept. 0 < p <= 1. */
size_t rp_keep_min_p(rp_candidate *candidates, size_t count, double p);
/* Those of a surprise of at most mu bits at a temperature, order kept (Mirostat 2, Basu 2021). */
size_t rp_keep_surprise(rp_candidate *candidates, size_t count, float temperature, double mu);

/* Index drawn with probability proportional to exp(logit / temperature); u in [0, 1) decides. *surprise in
 * bits, among these candidates; may be NULL. temperature > 0. */
size_t rp_candidates_draw(rp_candidate *candidates, size_t count, float temperature, double u, double *surprise);

/* ---- sampler_history.c ---- */

/* The last `capacity` ids. at(0) is the newest. */
typedef struct rp_ring {
    int32_t *ids;
    uint32_t capacity, length, next;
} rp_ring;

typedef struct rp_penalties {
    float repeat, presence, frequency;
    rp_ring recent;
    uint32_t *counts; /* (vocab), of recent */
} rp_penalties;

typedef struct rp_dry {
    double multiplier, base;
    uint32_t allowed;
    rp_ring recent;
    uint8_t *breaks;   /* (vocab): holds a sequence breaker */
    uint32_t *matches; /* (capacity): length of the match that begins so far back */
    uint32_t *longest; /* (vocab): repetition that the token would go on; zero between calls */
} rp_dry;

void rp_penalties_accept(rp_penalties *penalties, int32_t id);
/* candidates[i].id == i. */
void rp_penalties_apply(const rp_penalties *penalties, rp_candidate *candidates, size_t count);

/* Marks the tokens whose text has one of llama.cpp's default breakers: newline, colon, quotation mark,
 * asterisk. */
void rp_dry_find_breakers(rp_dry *dry, const rp_token_source *tokens);
void rp_dry_accept(rp_dry *dry, int32_t id);
void rp_dry_apply(rp_dry *dry, rp_candidate *candidates);

/* ---- The generator: xoshiro256** (Blackman and Vigna, 2018), seeded by splitmix64 ---- */

void rp_random_seed(uint64_t state[4], uint64_t seed);
uint64_t rp_random_next(uint64_t state[4]);
/* Uniform in [0, 1), 53 bits. */
double rp_random_uniform(uint64_t state[4]);

#endif
