/* Figures of a whole row of logits: log of the sum of exponentials, and a hash of the bits. See reprise.h.
 * Must give the same bits everywhere: sums run in the order of the ids, in doubles. */
#include "base.h"
#include "math.h"

double rp_logits_logsumexp(const float *logits, size_t count) {
    float max = -RP_INFINITY;
    for (size_t i = 0; i < count; i++)
        max = RP_MAX(logits[i], max); /* false for NaN, which is passed over */
    if (max == -RP_INFINITY || max == RP_INFINITY)
        return (double)max;
    /* rp_expf is right to 2^-24 of the largest term: far below what float logits mean, and several times
     * faster. */
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        float term = rp_expf(logits[i] - max);
        sum += term == term ? (double)term : 0.0;
    }
    return (double)max + rp_log(sum);
}

static bool ranks_before(float a, int32_t a_id, float b, int32_t b_id) {
    return a > b || (a == b && a_id < b_id);
}

/* Puts an id at `at` of a heap with the one that ranks last on top, and lets it sink to where it belongs. */
static void sink(int32_t *ids, float *values, size_t count, size_t at, int32_t id, float value) {
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && ranks_before(values[child], ids[child], values[child + 1], ids[child + 1]))
            child++;
        if (ranks_before(values[child], ids[child], value, id))
            break;
        ids[at] = ids[child];
        values[at] = values[child];
    }
    ids[at] = id;
    values[at] = value;
}

size_t rp_logits_top(const float *logits, size_t count, size_t k, int32_t *ids, float *logprobs) {
    size_t kept = 0;
    k = RP_MIN(k, count);
    for (size_t i = 0; k && i < count; i++) {
        float value = logits[i] == logits[i] ? logits[i] : -RP_INFINITY;
        if (kept < k) {
            ids[kept] = (int32_t)i;
            logprobs[kept++] = value;
            for (size_t at = kept == k ? k / 2 : 0; at-- > 0;)
                sink(ids, logprobs, k, at, ids[at], logprobs[at]);
        } else if (ranks_before(value, (int32_t)i, logprobs[0], ids[0])) {
            sink(ids, logprobs, k, 0, (int32_t)i, value);
        }
    }
    for (size_t left = k; left-- > 1;) { /* the last of those left goes behind them */
        int32_t id = ids[left];
        float value = logprobs[left];
        ids[left] = ids[0];
        logprobs[left] = logprobs[0];
        sink(ids, logprobs, left, 0, id, value);
    }
    double sum = rp_logits_logsumexp(logits, count);
    for (size_t i = 0; i < k; i++) {
        double value = (double)logprobs[i];
        if (value - value == 0 || value != sum) /* infinities share all there is, or have none */
            logprobs[i] = (float)(value - sum);
        else if (value > 0)
            logprobs[i] = 0;
    }
    return k;
}

uint64_t rp_logits_hash(const float *logits, size_t count) {
    uint64_t hash = RP_HASH_START;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = logits[i] == logits[i] ? rp_f32_bits(logits[i]) : 0x7fc00000u;
        const uint8_t bytes[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16), (uint8_t)(bits >> 24)};
        hash = rp_hash_bytes(hash, bytes, sizeof bytes);
    }
    return hash;
}
