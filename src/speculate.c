/* Speculation: guesses at the ids to come, and one pass of the session that says how many of them were right. What is
 * picked never depends on the guesses: logits are those of the same positions, and the caller picks from them in the
 * same order. The sequence is
 *
 *   ids[0 .. base - 1]   what the session held before the last pass
 *   ids[base]            came out before that pass, which fed it; then the guesses
 *   picked[0 .. count-1] what followed: accepted guesses, then one that was no guess and has not been fed
 *
 * `out` of the picked have come out. */
#include "session.h"

#include <string.h>

enum { GUESSES = 3, MATCH_LEAST = 2, MATCH_MOST = 8 }; /* one id alone says little of the next */

struct rp_speculator {
    rp_session *session;
    rp_speculator_options options; /* defaults filled in */
    rp_speculator_figures figures;
    int32_t *ids; /* (context + 1 + RP_GUESSES_MOST) */
    size_t base, drafted, count, out;
    int32_t picked[RP_GUESSES_MOST + 1];
    /* Of the call at work. */
    void *user;
    int32_t (*pick)(void *user, const float *logits);
};

static size_t room_for_ids(const rp_session *s) {
    return rp_session_context(s) + 1 + RP_GUESSES_MOST;
}

static rp_status check_program(const rp_session *s, rp_error *err) {
    if (s->options.program.reuse_kv)
        return rp_fail(err, RP_ERR_ARGUMENT, "speculation needs a KV slot for each visit, not reused ones");
    return RP_OK;
}

static rp_status check_options(const rp_session *s, const rp_speculator_options *o, rp_error *err) {
    if (o->guesses > RP_GUESSES_MOST)
        return rp_fail(err, RP_ERR_ARGUMENT, "%u guesses, want at most %d", o->guesses, RP_GUESSES_MOST);
    RP_TRY(check_program(s, err));
    if (!o->drafter)
        return RP_OK;
    if (o->drafter == s)
        return rp_fail(err, RP_ERR_ARGUMENT, "the drafter is the session itself");
    if (rp_session_context(o->drafter) < rp_session_context(s))
        return rp_fail(err, RP_ERR_ARGUMENT, "the drafter's context is %llu, want %llu at least",
                       (unsigned long long)rp_session_context(o->drafter), (unsigned long long)rp_session_context(s));
    return o->drafter->model == s->model ? RP_OK : rp_model_check_vocabulary(s->model, o->drafter->model, err);
}

rp_status rp_speculator_open(rp_speculator **out, rp_session *session, const rp_speculator_options *options,
                             rp_error *err) {
    rp_memory *memory = rp_model_memory_of(session->model);
    *out = NULL;
    RP_TRY(check_options(session, options, err));
    rp_speculator *sp = rp_alloc(memory, 1, sizeof *sp, "speculator", err);
    if (!sp)
        return err->status;
    sp->session = session;
    sp->options = *options;
    sp->options.guesses = options->guesses ? options->guesses : GUESSES;
    sp->options.match_most = options->match_most ? RP_MAX(options->match_most, MATCH_LEAST) : MATCH_MOST;
    sp->ids = rp_alloc(memory, room_for_ids(session), sizeof *sp->ids, "ids of a speculator", err);
    if (!sp->ids) {
        rp_speculator_close(sp);
        return err->status;
    }
    *out = sp;
    return RP_OK;
}

void rp_speculator_close(rp_speculator *sp) {
    if (!sp)
        return;
    rp_memory *memory = rp_model_memory_of(sp->session->model);
    rp_release(memory, sp->ids, room_for_ids(sp->session), sizeof *sp->ids);
    rp_release(memory, sp, 1, sizeof *sp);
}

/* ---- Guessing: after the first `length` ids, at most `most`; returns how many ------------------------------- */

static int32_t likeliest(const float *logits, uint32_t vocab) {
    float best = -__builtin_inff();
    int32_t id = 0;
    for (uint32_t i = 0; i < vocab; i++)
        if (logits[i] > best) {
            best = logits[i];
            id = (int32_t)i;
        }
    return id;
}

static rp_status guess_by_session(rp_speculator *sp, size_t length, size_t most, rp_error *err) {
    rp_session *d = sp->options.drafter;
    size_t same = 0;
    while (same < RP_MIN(rp_session_length(d), length - 1) && rp_session_ids(d)[same] == sp->ids[same])
        same++;
    RP_TRY(rp_session_rewind(d, same, err));
    RP_TRY(rp_session_feed(d, sp->ids + same, length - same, err));
    for (int32_t *next = sp->ids + length; sp->drafted < most; next++) {
        *next = likeliest(rp_session_logits(d), d->model->config.vocab);
        sp->drafted++;
        if (rp_token_ends(d->model, *next))
            break;
        if (sp->drafted < most)
            RP_TRY(rp_session_feed(d, next, 1, err));
    }
    return RP_OK;
}

/* What followed the last place where the last ids stood before; of several the one where most of them did. */
static void guess_by_lookup(rp_speculator *sp, size_t length, size_t most) {
    size_t longest = 0, from = 0;
    for (size_t end = length - 1; end > 0 && longest < sp->options.match_most; end--) {
        size_t match = 0;
        while (match < RP_MIN(end, sp->options.match_most) && sp->ids[end - 1 - match] == sp->ids[length - 1 - match])
            match++;
        if (match >= MATCH_LEAST && match > longest) {
            longest = match;
            from = end;
        }
    }
    for (; longest && sp->drafted < most; sp->drafted++)
        sp->ids[length + sp->drafted] = sp->ids[from + sp->drafted]; /* may go on with guesses: what repeats, repeats */
}

/* ---- Passes -------------------------------------------------------------------------------------------- */

static bool see_logits(void *user, size_t index, const float *logits) {
    rp_speculator *sp = user;
    int32_t id = sp->pick(sp->user, logits);
    sp->picked[sp->count++] = id;
    bool right = index < sp->drafted && id == sp->ids[sp->base + 1 + index];
    sp->figures.accepted += right;
    return right && !rp_token_ends(sp->session->model, id);
}

static rp_status pass(rp_speculator *sp, size_t most, rp_error *err) {
    size_t length = rp_session_length(sp->session), left = rp_session_context(sp->session) - length;
    sp->ids[length] = sp->picked[sp->count - 1];
    sp->drafted = 0;
    most = left && most ? RP_MIN(RP_MIN(most, left) - 1, sp->options.guesses) : 0;
    if (most && sp->options.drafter)
        RP_TRY(guess_by_session(sp, length + 1, most, err));
    else if (most)
        guess_by_lookup(sp, length + 1, most);
    RP_TRY(rp_session_check(sp->session, sp->ids + length, length, 1 + sp->drafted, err));
    sp->base = length;
    sp->count = sp->out = 0;
    RP_TRY(rp_session_feed_each(sp->session, sp->ids + length, 1 + sp->drafted, sp, see_logits, err));
    sp->figures.drafted += sp->drafted;
    sp->figures.passes++;
    return rp_session_rewind(sp->session, length + sp->count, err);
}

/* From the logits that the session has. */
static rp_status start(rp_speculator *sp, rp_error *err) {
    const float *logits = rp_session_logits(sp->session);
    if (!logits)
        return rp_fail(err, RP_ERR_ARGUMENT, "speculation starts after a prompt, and there are no logits");
    if (sp->session->is_steered)
        return rp_fail(err, RP_ERR_ARGUMENT, "the session is steered, which the next logits would not be");
    size_t length = rp_session_length(sp->session);
    memcpy(sp->ids, rp_session_ids(sp->session), length * sizeof *sp->ids);
    sp->base = length - 1;
    sp->picked[sp->count++] = sp->pick(sp->user, logits);
    return RP_OK;
}

rp_status rp_speculator_next(rp_speculator *sp, size_t most, void *user,
                             int32_t (*pick)(void *user, const float *logits), int32_t *id, rp_error *err) {
    sp->user = user;
    sp->pick = pick;
    RP_TRY(check_program(sp->session, err));
    if (sp->count == 0)
        RP_TRY(start(sp, err));
    else if (sp->out == sp->count)
        RP_TRY(pass(sp, most, err));
    *id = sp->picked[sp->out++];
    return RP_OK;
}

rp_status rp_speculator_settle(rp_speculator *sp, rp_error *err) {
    size_t length = sp->base + sp->out;
    if (sp->count == 0)
        return RP_OK;
    sp->count = sp->out = 0;
    RP_TRY(rp_session_rewind(sp->session, length, err));
    sp->session->has_logits = false;
    return RP_OK;
}

void rp_speculator_get_figures(const rp_speculator *sp, rp_speculator_figures *figures) {
    *figures = sp->figures;
}
