/* The sampler: checks its options, takes all its memory at opening, and runs the chain of sampler_filters.c
 * and sampler_history.c on a copy of the logits, in llama.cpp's default order (common/sampling.cpp). Where
 * the two differ: the generator is ours, mirostat does not switch the penalties off, and greedy is the best
 * logit after bias, penalties and DRY, whatever the filters say. If no logit is above -inf, id 0 is picked.
 * Must not keep anything global; a sampler belongs to one thread at a time. */
#include "sampler.h"

#include "math.h"
#include "model.h"

#include <string.h>

struct rp_sampler {
    rp_memory *memory;
    uint32_t vocab;
    rp_sampler_options options; /* defaults filled in; bias is our copy */
    rp_logit_bias *bias;
    rp_candidate *candidates; /* (vocab) */
    rp_penalties penalties;   /* counts NULL: off */
    rp_dry dry;               /* matches NULL: off */
    uint64_t random[4];
    double mu; /* mirostat's bound on surprise, bits */
};

static bool is_finite(double value) {
    return value - value == 0.0;
}

typedef struct range {
    const char *name;
    double value, least, most; /* most: inclusive */
    const char *want;
} range;

static rp_status check_options(const rp_sampler_options *o, uint32_t vocab, rp_error *err) {
    const double huge = (double)FLT_MAX;
    const range ranges[] = {
        {"temperature", (double)o->temperature, 0, huge, "0 or more"},
        {"top_p", (double)o->top_p, 0, 1, "0 to 1"},
        {"min_p", (double)o->min_p, 0, 1, "0 to 1"},
        {"typical_p", (double)o->typical_p, 0, 1, "0 to 1"},
        {"repeat_penalty", (double)o->repeat_penalty, 0, huge, "0 or more"},
        {"presence_penalty", (double)o->presence_penalty, -huge, huge, "a finite number"},
        {"frequency_penalty", (double)o->frequency_penalty, -huge, huge, "a finite number"},
        {"penalty_last", (double)o->penalty_last, 0, RP_SAMPLER_HISTORY_MAX, "0 to 1048576"},
        {"dry_multiplier", (double)o->dry_multiplier, 0, huge, "0 or more"},
        {"dry_base", (double)o->dry_base, o->dry_base == 0 ? 0 : 1, huge, "0 (the default) or 1 or more"},
        {"dry_last", (double)o->dry_last, 0, RP_SAMPLER_HISTORY_MAX, "0 to 1048576"},
        {"mirostat_tau", (double)o->mirostat_tau, 0, huge, "0 or more"},
        {"mirostat_eta", (double)o->mirostat_eta, 0, huge, "0 or more"},
    };
    for (size_t i = 0; i < RP_COUNT(ranges); i++) {
        const range *r = &ranges[i];
        if (!(r->value >= r->least && r->value <= r->most))
            return rp_fail(err, RP_ERR_ARGUMENT, "%s: want %s, is %.9g", r->name, r->want, r->value);
    }
    if (o->bias_count > 0 && !o->bias)
        return rp_fail(err, RP_ERR_ARGUMENT, "bias: want an array of %llu, is NULL", (unsigned long long)o->bias_count);
    for (size_t i = 0; i < o->bias_count; i++) {
        rp_logit_bias bias = o->bias[i];
        if (bias.id < 0 || (uint32_t)bias.id >= vocab)
            return rp_fail(err, RP_ERR_ARGUMENT, "bias: want an id of 0 to %u, is %d", vocab - 1, bias.id);
        if (!is_finite((double)bias.bias) && !(bias.bias < 0))
            return rp_fail(err, RP_ERR_ARGUMENT, "bias of id %d: want a finite number or -inf, is %g", bias.id,
                           (double)bias.bias);
    }
    return RP_OK;
}

static void fill_defaults(rp_sampler_options *o) {
    if (o->repeat_penalty == 0)
        o->repeat_penalty = 1;
    if (o->penalty_last == 0)
        o->penalty_last = 64;
    if (o->dry_base == 0)
        o->dry_base = 1.75f;
    if (o->dry_allowed == 0)
        o->dry_allowed = 2;
    if (o->dry_last == 0)
        o->dry_last = 1024;
    if (o->mirostat_eta == 0)
        o->mirostat_eta = 0.1f;
}

static rp_status take_ring(rp_memory *memory, rp_ring *ring, uint32_t capacity, rp_error *err) {
    ring->ids = rp_alloc(memory, capacity, sizeof *ring->ids, "sampler history", err);
    ring->capacity = capacity;
    return ring->ids ? RP_OK : RP_ERR_MEMORY;
}

static rp_status take_penalties(rp_sampler *s, rp_error *err) {
    const rp_sampler_options *o = &s->options;
    if (o->repeat_penalty == 1 && o->presence_penalty == 0 && o->frequency_penalty == 0)
        return RP_OK;
    s->penalties.repeat = o->repeat_penalty;
    s->penalties.presence = o->presence_penalty;
    s->penalties.frequency = o->frequency_penalty;
    RP_TRY(take_ring(s->memory, &s->penalties.recent, o->penalty_last, err));
    s->penalties.counts = rp_alloc(s->memory, s->vocab, sizeof(uint32_t), "sampler counts", err);
    return s->penalties.counts ? RP_OK : RP_ERR_MEMORY;
}

static rp_status take_dry(rp_sampler *s, const rp_token_source *tokens, rp_error *err) {
    const rp_sampler_options *o = &s->options;
    if (o->dry_multiplier == 0)
        return RP_OK;
    s->dry.multiplier = (double)o->dry_multiplier;
    s->dry.base = (double)o->dry_base;
    s->dry.allowed = o->dry_allowed;
    RP_TRY(take_ring(s->memory, &s->dry.recent, o->dry_last, err));
    s->dry.breaks = rp_alloc(s->memory, s->vocab, sizeof(uint8_t), "sampler sequence breakers", err);
    s->dry.longest = rp_alloc(s->memory, s->vocab, sizeof(uint32_t), "sampler repetitions", err);
    s->dry.matches = rp_alloc(s->memory, o->dry_last, sizeof(uint32_t), "sampler matches", err);
    if (!s->dry.breaks || !s->dry.longest || !s->dry.matches)
        return RP_ERR_MEMORY;
    rp_dry_find_breakers(&s->dry, tokens);
    return RP_OK;
}

static rp_status take_memory(rp_sampler *s, const rp_token_source *tokens, rp_error *err) {
    s->candidates = rp_alloc(s->memory, s->vocab, sizeof *s->candidates, "sampler candidates", err);
    if (!s->candidates)
        return RP_ERR_MEMORY;
    if (s->options.bias_count > 0) {
        s->bias = rp_alloc(s->memory, s->options.bias_count, sizeof *s->bias, "sampler bias", err);
        if (!s->bias)
            return RP_ERR_MEMORY;
        memcpy(s->bias, s->options.bias, s->options.bias_count * sizeof *s->bias);
    }
    s->options.bias = s->bias;
    RP_TRY(take_penalties(s, err));
    return take_dry(s, tokens, err);
}

rp_status rp_sampler_open_core(rp_sampler **sampler, rp_memory *memory, const rp_token_source *tokens,
                               const rp_sampler_options *options, rp_error *err) {
    *sampler = NULL;
    if (tokens->vocab == 0 || tokens->vocab > INT32_MAX)
        return rp_fail(err, RP_ERR_ARGUMENT, "vocabulary: want 1 to 2147483647 tokens, has %u", tokens->vocab);
    RP_TRY(check_options(options, tokens->vocab, err));
    rp_sampler *s = rp_alloc(memory, 1, sizeof *s, "sampler", err);
    if (!s)
        return RP_ERR_MEMORY;
    s->memory = memory;
    s->vocab = tokens->vocab;
    s->options = *options;
    fill_defaults(&s->options);
    rp_status status = take_memory(s, tokens, err);
    if (status != RP_OK) {
        rp_sampler_close(s);
        return status;
    }
    rp_sampler_reset(s);
    *sampler = s;
    return RP_OK;
}

static const char *model_bytes(const void *model, int32_t id, size_t *size) {
    return rp_token_bytes(model, id, size);
}

rp_status rp_sampler_open(rp_sampler **sampler, const rp_model *model, const rp_sampler_options *options,
                          rp_error *err) {
    rp_model_info info;
    rp_model_get_info(model, &info);
    rp_token_source tokens = {.vocab = info.vocab, .user = model, .bytes = model_bytes};
    return rp_sampler_open_core(sampler, rp_model_memory_of(model), &tokens, options, err);
}

void rp_sampler_close(rp_sampler *s) {
    if (!s)
        return;
    rp_memory *memory = s->memory;
    rp_release(memory, s->candidates, s->vocab, sizeof *s->candidates);
    rp_release(memory, s->bias, s->options.bias_count, sizeof *s->bias);
    rp_release(memory, s->penalties.recent.ids, s->penalties.recent.capacity, sizeof(int32_t));
    rp_release(memory, s->penalties.counts, s->vocab, sizeof(uint32_t));
    rp_release(memory, s->dry.recent.ids, s->dry.recent.capacity, sizeof(int32_t));
    rp_release(memory, s->dry.breaks, s->vocab, sizeof(uint8_t));
    rp_release(memory, s->dry.longest, s->vocab, sizeof(uint32_t));
    rp_release(memory, s->dry.matches, s->dry.recent.capacity, sizeof(uint32_t));
    rp_release(memory, s, 1, sizeof *s);
}

void rp_sampler_reset(rp_sampler *s) {
    rp_random_seed(s->random, s->options.seed);
    s->mu = 2.0 * (double)s->options.mirostat_tau;
    s->penalties.recent.length = s->penalties.recent.next = 0;
    s->dry.recent.length = s->dry.recent.next = 0;
    if (s->penalties.counts)
        memset(s->penalties.counts, 0, s->vocab * sizeof(uint32_t));
}

double rp_sampler_mirostat_mu(const rp_sampler *s) {
    return s->mu;
}

void rp_sampler_accept(rp_sampler *s, int32_t id) {
    if (id < 0 || (uint32_t)id >= s->vocab)
        return;
    if (s->penalties.counts)
        rp_penalties_accept(&s->penalties, id);
    if (s->dry.matches)
        rp_dry_accept(&s->dry, id);
}

/* Copies the logits and applies what works on single ids. NaN, given or made (inf - inf), becomes -inf. */
static void prepare(rp_sampler *s, const float *logits) {
    rp_candidate *c = s->candidates;
    for (uint32_t id = 0; id < s->vocab; id++)
        c[id] = (rp_candidate){.id = (int32_t)id, .logit = logits[id]};
    for (size_t i = 0; i < s->options.bias_count; i++)
        c[s->bias[i].id].logit += s->bias[i].bias;
    if (s->penalties.counts)
        rp_penalties_apply(&s->penalties, c, s->vocab);
    if (s->dry.matches)
        rp_dry_apply(&s->dry, c);
    for (uint32_t id = 0; id < s->vocab; id++)
        if (c[id].logit != c[id].logit)
            c[id].logit = -RP_INFINITY;
}

static size_t filter(const rp_sampler_options *o, rp_candidate *candidates, size_t count) {
    if (o->top_k > 0 && o->top_k < count)
        count = rp_keep_top_k(candidates, count, o->top_k);
    if (o->typical_p > 0 && o->typical_p < 1)
        count = rp_keep_typical(candidates, count, (double)o->typical_p);
    if (o->top_p > 0 && o->top_p < 1)
        count = rp_keep_top_p(candidates, count, (double)o->top_p);
    if (o->min_p > 0)
        count = rp_keep_min_p(candidates, count, (double)o->min_p);
    return count;
}

static size_t choose(rp_sampler *s) {
    const rp_sampler_options *o = &s->options;
    size_t best = rp_candidates_best(s->candidates, s->vocab), count = s->vocab;
    if (o->temperature == 0 || s->candidates[best].logit == -RP_INFINITY)
        return best;
    if (o->mirostat_tau == 0) {
        count = filter(o, s->candidates, count);
        return rp_candidates_draw(s->candidates, count, o->temperature, rp_random_uniform(s->random), NULL);
    }
    double surprise;
    count = rp_keep_surprise(s->candidates, count, o->temperature, s->mu);
    size_t drawn = rp_candidates_draw(s->candidates, count, o->temperature, rp_random_uniform(s->random), &surprise);
    s->mu -= (double)o->mirostat_eta * (surprise - (double)o->mirostat_tau);
    return drawn;
}

int32_t rp_sampler_pick(rp_sampler *s, const float *logits) {
    prepare(s, logits);
    int32_t id = s->candidates[choose(s)].id;
    rp_sampler_accept(s, id);
    return id;
}

void rp_random_seed(uint64_t state[4], uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        state[i] = z ^ z >> 31;
    }
}

static uint64_t rotate(uint64_t x, int by) {
    return x << by | x >> (64 - by);
}

uint64_t rp_random_next(uint64_t state[4]) {
    uint64_t result = rotate(state[1] * 5, 7) * 9, t = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = rotate(state[3], 45);
    return result;
}

double rp_random_uniform(uint64_t state[4]) {
    return (double)(rp_random_next(state) >> 11) * 0x1p-53;
}
