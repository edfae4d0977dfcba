/* The truncating steps of the sampling chain and the draw, each a function of an array of candidates: see
 * sampler.h. Probabilities are never stored: a step that needs them weighs exp(logit - best) afresh, floats
 * summed in a double in the array's order. Infinite logits are allowed: several of +inf share everything,
 * -inf has no mass unless all are. Must not know of histories, options or models. */
#include "math.h"
#include "sampler.h"

#define LN2 0.69314718055994531

float rp_candidates_max(const rp_candidate *candidates, size_t count) {
    float max = -RP_INFINITY;
    for (size_t i = 0; i < count; i++)
        max = RP_MAX(max, candidates[i].logit);
    return max;
}

size_t rp_candidates_best(const rp_candidate *candidates, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (candidates[i].logit > candidates[best].logit ||
            (candidates[i].logit == candidates[best].logit && candidates[i].id < candidates[best].id))
            best = i;
    return best;
}

/* exp(logit - max), where max is the largest logit; two infinities of one sign do not make a NaN. */
static float weight(float logit, float max) {
    return logit == max ? 1.0f : rp_expf(logit - max);
}

static double total_weight(const rp_candidate *candidates, size_t count, float max) {
    double total = 0;
    for (size_t i = 0; i < count; i++)
        total += (double)weight(candidates[i].logit, max);
    return total;
}

/* ---- Order by score: a binary heap, because all of it is rarely wanted ---- */

static bool ranks_before(const rp_candidate *a, const rp_candidate *b) {
    return a->score > b->score || (a->score == b->score && a->id < b->id);
}

/* Restores the heap below `at`. The root ranks first, or last when `last_on_top`. */
static void sift(rp_candidate *heap, size_t count, size_t at, bool last_on_top) {
    rp_candidate moving = heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && ranks_before(&heap[child + 1], &heap[child]) != last_on_top)
            child++;
        if (ranks_before(&heap[child], &moving) == last_on_top)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

static void build_heap(rp_candidate *heap, size_t count, bool last_on_top) {
    for (size_t i = count / 2; i-- > 0;)
        sift(heap, count, i, last_on_top);
}

static void swap(rp_candidate *a, rp_candidate *b) {
    rp_candidate kept = *a;
    *a = *b;
    *b = kept;
}

size_t rp_keep_top_k(rp_candidate *candidates, size_t count, size_t k) {
    k = RP_MIN(k, count);
    for (size_t i = 0; i < count; i++)
        candidates[i].score = candidates[i].logit;
    /* The k best so far with the worst of them on top: most of the rest fails one comparison. */
    build_heap(candidates, k, true);
    for (size_t i = k; i < count; i++) {
        if (ranks_before(&candidates[i], &candidates[0])) {
            swap(&candidates[i], &candidates[0]);
            sift(candidates, k, 0, true);
        }
    }
    for (size_t size = k; size-- > 1;) {
        swap(&candidates[0], &candidates[size]);
        sift(candidates, size, 0, true);
    }
    return k;
}

/* Brings the candidates that rank first to the front, in order, until the sum of their weights reaches
 * `mass`, or passes it when `beyond`. When rounding keeps it from that, all are kept. */
static size_t keep_mass(rp_candidate *candidates, size_t count, float max, double mass, bool beyond) {
    double sum = 0;
    size_t left = count;
    build_heap(candidates, left, false);
    while (left > 0) {
        left--;
        swap(&candidates[0], &candidates[left]); /* taken ones gather at the end, last one first */
        sift(candidates, left, 0, false);
        sum += (double)weight(candidates[left].logit, max);
        if (beyond ? sum > mass : sum >= mass)
            break;
    }
    for (size_t i = 0, j = count - 1; i < j; i++, j--)
        swap(&candidates[i], &candidates[j]);
    return count - left;
}

size_t rp_keep_top_p(rp_candidate *candidates, size_t count, double p) {
    float max = rp_candidates_max(candidates, count);
    for (size_t i = 0; i < count; i++)
        candidates[i].score = candidates[i].logit;
    return keep_mass(candidates, count, max, p * total_weight(candidates, count, max), false);
}

size_t rp_keep_typical(rp_candidate *candidates, size_t count, double p) {
    float max = rp_candidates_max(candidates, count);
    double total = total_weight(candidates, count, max), log_total = rp_log(total), entropy = 0;
    /* Surprise is log_total - (logit - max); what has no mass adds nothing (0 log 0 = 0). */
    for (size_t i = 0; i < count; i++) {
        double w = (double)weight(candidates[i].logit, max);
        if (w > 0 && candidates[i].logit != max)
            entropy += w / total * (log_total - ((double)candidates[i].logit - (double)max));
        else if (w > 0)
            entropy += w / total * log_total;
    }
    for (size_t i = 0; i < count; i++) {
        float logit = candidates[i].logit;
        double below = logit == max ? 0.0 : (double)logit - (double)max;
        double off = log_total - below - entropy;
        off = off < 0 ? -off : off;
        candidates[i].score = off < (double)FLT_MAX ? -(float)off : -FLT_MAX;
    }
    return keep_mass(candidates, count, max, p * total, true);
}

size_t rp_keep_min_p(rp_candidate *candidates, size_t count, double p) {
    float max = rp_candidates_max(candidates, count);
    double least = rp_log(p);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        float logit = candidates[i].logit;
        if (logit == max || (double)logit - (double)max >= least)
            candidates[kept++] = candidates[i];
    }
    return kept;
}

/* Temperature is applied to the distance from the best: 0 stays 0, and nothing overflows upwards. */
static float scaled(float logit, float max, float temperature) {
    return logit == max ? 0.0f : (logit - max) / temperature;
}

/* Sets every score to its weight and returns their sum. */
static double weigh(rp_candidate *candidates, size_t count, float temperature) {
    float max = rp_candidates_max(candidates, count);
    double total = 0;
    for (size_t i = 0; i < count; i++) {
        candidates[i].score = rp_expf(scaled(candidates[i].logit, max, temperature));
        total += (double)candidates[i].score;
    }
    return total;
}

size_t rp_keep_surprise(rp_candidate *candidates, size_t count, float temperature, double mu) {
    double total = weigh(candidates, count, temperature);
    float max = rp_candidates_max(candidates, count);
    size_t best = rp_candidates_best(candidates, count), kept = 0;
    rp_candidate best_one = candidates[best];
    /* -log2(w / total) <= mu, without a logarithm for each. */
    double least = rp_log(total) - mu * LN2;
    for (size_t i = 0; i < count; i++)
        if ((double)scaled(candidates[i].logit, max, temperature) >= least)
            candidates[kept++] = candidates[i];
    if (kept == 0)
        candidates[kept++] = best_one;
    return kept;
}

size_t rp_candidates_draw(rp_candidate *candidates, size_t count, float temperature, double u, double *surprise) {
    double total = weigh(candidates, count, temperature), target = u * total, sum = 0;
    /* u * total rounds to less than total, and the sums are the same ones: the end is never passed. What has no
     * weight leaves the sum as it was and is never drawn. */
    size_t drawn = 0;
    for (size_t i = 0; i < count; i++) {
        drawn = i;
        sum += (double)candidates[i].score;
        if (sum > target)
            break;
    }
    if (surprise)
        *surprise = (rp_log(total) - rp_log((double)candidates[drawn].score)) / LN2;
    return drawn;
}
