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

uint64_t rp_logits_hash(const float *logits, size_t count) {
    uint64_t hash = RP_HASH_START;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = logits[i] == logits[i] ? rp_f32_bits(logits[i]) : 0x7fc00000u;
        const uint8_t bytes[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16), (uint8_t)(bits >> 24)};
        hash = rp_hash_bytes(hash, bytes, sizeof bytes);
    }
    return hash;
}
