/* What the sampler remembers of the text: repetition, presence and frequency penalties and DRY, on rings of
 * the last ids. Semantics are those of llama.cpp's penalties and dry samplers (src/llama-sampling.cpp,
 * ggml-org/llama.cpp). All memory is handed in by sampler.c; must not allocate, and must not look at anything
 * but ids. */
#include "math.h"
#include "sampler.h"

#include <string.h>

/* The id that was pushed `back` ids before the newest. back < length. */
static int32_t ring_at(const rp_ring *ring, uint32_t back) {
    uint32_t index = ring->next + ring->capacity - 1 - back;
    return ring->ids[index >= ring->capacity ? index - ring->capacity : index];
}

static void ring_push(rp_ring *ring, int32_t id) {
    ring->ids[ring->next] = id;
    ring->next = ring->next + 1 == ring->capacity ? 0 : ring->next + 1;
    ring->length = RP_MIN(ring->length + 1, ring->capacity);
}

void rp_penalties_accept(rp_penalties *penalties, int32_t id) {
    rp_ring *recent = &penalties->recent;
    if (recent->length == recent->capacity)
        penalties->counts[ring_at(recent, recent->length - 1)]--;
    ring_push(recent, id);
    penalties->counts[id]++;
}

void rp_penalties_apply(const rp_penalties *penalties, rp_candidate *candidates, size_t count) {
    for (size_t id = 0; id < count; id++) {
        uint32_t seen = penalties->counts[id];
        if (seen == 0)
            continue;
        float logit = candidates[id].logit;
        /* Keskar 2019 (CTRL) divides only, which would raise a negative logit. */
        logit = logit <= 0 ? logit * penalties->repeat : logit / penalties->repeat;
        candidates[id].logit = logit - ((float)seen * penalties->frequency + penalties->presence);
    }
}

void rp_dry_find_breakers(rp_dry *dry, const rp_token_source *tokens) {
    for (uint32_t id = 0; id < tokens->vocab; id++) {
        size_t size = 0;
        const char *bytes = tokens->bytes(tokens->user, (int32_t)id, &size);
        dry->breaks[id] = 0;
        for (size_t i = 0; bytes && i < size; i++)
            if (bytes[i] == '\n' || bytes[i] == ':' || bytes[i] == '"' || bytes[i] == '*')
                dry->breaks[id] = 1;
    }
}

void rp_dry_accept(rp_dry *dry, int32_t id) {
    ring_push(&dry->recent, id);
}

/* matches[back] = how many ids, going back, are equal from `back` on and from the newest on: the Z function
 * of the text reversed, in linear time (Gusfield 1997, 1.3). */
static void find_matches(const rp_ring *ring, uint32_t *matches) {
    uint32_t left = 0, right = 0; /* the match reaching furthest is [left, right) */
    for (uint32_t back = 1; back < ring->length; back++) {
        uint32_t n = back < right ? RP_MIN(matches[back - left], right - back) : 0;
        if (back + n >= right) {
            while (back + n < ring->length && ring_at(ring, n) == ring_at(ring, back + n))
                n++;
            left = back;
            right = back + n;
        }
        matches[back] = n;
    }
}

/* multiplier * base^length beyond what is allowed, as large as a float can be. */
static float dry_penalty(const rp_dry *dry, uint32_t length) {
    double penalty = dry->multiplier * rp_pow(dry->base, (double)(length - dry->allowed));
    return penalty < (double)FLT_MAX ? (float)penalty : FLT_MAX;
}

void rp_dry_apply(rp_dry *dry, rp_candidate *candidates) {
    const rp_ring *recent = &dry->recent;
    if (recent->length <= dry->allowed)
        return;
    /* No repetition reaches back over a breaker. */
    uint32_t limit = 0;
    while (limit < recent->length && !dry->breaks[ring_at(recent, limit)])
        limit++;
    if (limit < dry->allowed)
        return;
    find_matches(recent, dry->matches);
    /* Where the text's end occurred before, the id that followed it would go on with the repetition. */
    for (uint32_t back = 1; back < recent->length; back++) {
        uint32_t length = RP_MIN(dry->matches[back], limit);
        int32_t next = ring_at(recent, back - 1);
        if (length >= dry->allowed && !dry->breaks[next])
            dry->longest[next] = RP_MAX(dry->longest[next], length);
    }
    for (uint32_t back = 1; back < recent->length; back++) {
        int32_t next = ring_at(recent, back - 1);
        if (dry->longest[next] > 0)
            candidates[next].logit -= dry_penalty(dry, dry->longest[next]);
        dry->longest[next] = 0;
    }
}
