/* Computing a sequence in steps, one visit of one chunk of positions each, so that a caller can stop, show progress, or wait
 * for weights between any two. Everything that feeds a session is a loop over these steps. */
#include "session.h"

#include <string.h>

void rp_session_cancel(rp_session *s) {
    s->planned = s->pending = s->wave = s->at = s->closing = 0;
    s->visit = s->visit_done = 0;
    s->pools = false;
}

/* Plans `count` ids that were checked after the first `length` of those held. */
static void plan(rp_session *s, size_t length, const int32_t *ids, size_t count) {
    rp_session_cancel(s);
    s->has_logits = s->has_logits && length == s->length && count == 0;
    s->length = length;
    memmove(s->ids + length, ids, count * sizeof *ids);
    s->planned = s->pending = count;
}

/* ---- One step ------------------------------------------------------------------------------------------ */

/* Books `count` positions of a visit. Returns the rows of the wave that this completed, or 0. */
static size_t visited(rp_session *s, size_t count) {
    s->visit_done = s->visit;
    s->at += count;
    if (s->at < s->wave)
        return 0;
    s->at = 0;
    if (++s->visit < s->program.visits)
        return 0;
    size_t rows = s->wave;
    s->length += rows;
    s->pending -= rows;
    s->wave = 0;
    s->visit = 0;
    return rows;
}

/* One chunk of one visit. Returns as visited(). */
static size_t step_visit(rp_session *s) {
    if (!s->wave)
        s->wave = RP_MIN(s->pending, rp_session_wave(&s->options));
    size_t count = RP_MIN(s->wave - s->at, s->options.chunk);
    if (!s->has_rates)
        rp_forward_prepare(s);
    rp_forward_visit(s, NULL, s->visit, s->at, count);
    return visited(s, count);
}

/* The logits of the last position, or the wave's part of the mean. */
static void step_close(rp_session *s) {
    const rp_config *c = &s->model->config;
    if (!s->pools) {
        rp_forward_head(s, NULL, s->closing - 1, 1);
        s->has_logits = true;
        s->has_sum = s->is_steered = false;
    } else {
        rp_forward_pool(s, s->closing);
        for (uint32_t i = 0; s->pending == 0 && i < c->dim; i++)
            s->pooled[i] /= (float)s->length;
    }
    s->closing = 0;
}

/* True when the weights that the next step reads are there. */
static bool weights_are_there(const rp_session *s) {
    const rp_model *m = s->model;
    size_t there = m->weights.loading;
    if (s->closing)
        return there >= m->norm_ready && (s->pools || there >= m->head_ready);
    const rp_visit *visit = &s->program.visit[s->visit];
    if (s->visit == 0 && (there < m->embedding_ready || there < m->factors_ready))
        return false;
    bool asks = visit->ends_loop && s->program.exit_threshold < 1.0f;
    if ((visit->norm_after || asks) && there < m->norm_ready)
        return false;
    if ((visit->injects || asks) && there < m->loop_ready)
        return false;
    return there >= m->blocks[visit->ffn].ffn_ready && there >= m->blocks[visit->attn].attn_ready;
}

rp_step rp_session_step(rp_session *s) {
    if (!s->pending && !s->closing)
        return RP_STEP_DONE;
    if (!weights_are_there(s))
        return RP_STEP_WAIT;
    if (s->closing) {
        step_close(s);
    } else {
        size_t rows = step_visit(s);
        s->closing = s->pools || !s->pending ? rows : 0;
    }
    return s->pending || s->closing ? RP_STEP_MORE : RP_STEP_DONE;
}

/* ---- One step of several sessions ---------------------------------------------------------------------- */

/* True when b can go through the weights with a, in a's scratch: both before the same visit of one position, or before its logits. */
static bool alike(const rp_session *a, const rp_session *b) {
    if (a->model != b->model || a->pools || b->pools || a->kv.type != b->kv.type || a->kv.positions < b->kv.positions ||
        !rp_session_computes_as(a, b))
        return false;
    if (a->closing || b->closing)
        return a->closing == 1 && b->closing == 1;
    return a->pending == 1 && b->pending == 1 && a->visit == b->visit;
}

static void close_together(rp_session *const *group, size_t count) {
    for (size_t i = 0; i < count; i += RP_LOGIT_ROWS)
        rp_forward_head(group[i], group + i, 0, RP_MIN(count - i, RP_LOGIT_ROWS));
    for (size_t i = 0; i < count; i++) {
        group[i]->has_logits = true;
        group[i]->has_sum = group[i]->is_steered = false;
        group[i]->closing = 0;
    }
}

static void visit_together(rp_session *const *group, size_t count) {
    for (size_t i = 0; i < count; i++) {
        group[i]->wave = 1;
        if (!group[i]->has_rates)
            rp_forward_prepare(group[i]);
    }
    rp_forward_visit(group[0], group, group[0]->visit, 0, count);
    for (size_t i = 0; i < count; i++)
        group[i]->closing = visited(group[i], 1);
}

uint32_t rp_sessions_step(rp_session *const *sessions, size_t count) {
    rp_session *group[RP_TOGETHER] = {sessions[0]};
    size_t size = 1, most = RP_MIN((size_t)RP_TOGETHER, sessions[0]->options.chunk);
    uint32_t stepped = 1;
    bool alone = !alike(sessions[0], sessions[0]);
    for (size_t i = 1; !alone && i < RP_MIN(count, 32) && size < most; i++)
        if (sessions[i] != sessions[0] && alike(sessions[0], sessions[i])) {
            group[size++] = sessions[i];
            stepped |= 1u << i;
        }
    if (size == 1)
        return rp_session_step(sessions[0]) == RP_STEP_WAIT ? 0 : 1;
    if (!weights_are_there(sessions[0]))
        return 0;
    if (sessions[0]->closing)
        close_together(group, size);
    else
        visit_together(group, size);
    return stepped;
}

void rp_session_progress(const rp_session *s, uint32_t *visit, size_t *done, size_t *pending) {
    *visit = s->visit_done;
    *done = s->planned - s->pending + (s->visit * s->wave + s->at) / s->program.visits;
    *pending = s->planned;
}

/* ---- What is to be computed ---------------------------------------------------------------------------- */

rp_status rp_session_begin(rp_session *s, const int32_t *ids, size_t count, size_t *reused, rp_error *err) {
    size_t same = 0;
    while (same < RP_MIN(count, s->length) && s->ids[same] == ids[same])
        same++;
    if (same == count && count && !(s->has_logits && !s->is_steered && s->length == count))
        same--; /* the last one again, for its logits */
    RP_TRY(rp_session_check(s, ids + same, same, count - same, err));
    plan(s, same, ids + same, count - same);
    *reused = same;
    return RP_OK;
}

void rp_session_want_embedding(rp_session *s) {
    size_t count = s->length + s->pending;
    rp_session_cancel(s);
    s->length = 0;
    s->has_logits = false;
    s->planned = s->pending = count;
    s->pools = true;
    memset(s->pooled, 0, s->model->config.dim * sizeof *s->pooled);
}

const float *rp_session_embedding(const rp_session *s) {
    return s->pools && s->length && !s->pending && !s->closing ? s->pooled : NULL;
}

/* ---- All steps at once --------------------------------------------------------------------------------- */

static rp_status want_weights(const rp_session *s, rp_error *err) {
    if (s->model->state != RP_LOAD_READY)
        return rp_fail(err, RP_ERR_ARGUMENT, "weights are not all there");
    return RP_OK;
}

static void compute(rp_session *s) {
    while (rp_session_step(s) == RP_STEP_MORE)
        ;
}

rp_status rp_session_feed(rp_session *s, const int32_t *ids, size_t count, rp_error *err) {
    RP_TRY(want_weights(s, err));
    RP_TRY(rp_session_check(s, ids, s->length, count, err));
    plan(s, s->length, ids, count);
    compute(s);
    return RP_OK;
}

rp_status rp_session_prompt(rp_session *s, const int32_t *ids, size_t count, size_t *reused, rp_error *err) {
    RP_TRY(want_weights(s, err));
    RP_TRY(rp_session_begin(s, ids, count, reused, err));
    compute(s);
    return RP_OK;
}

rp_status rp_session_feed_each(rp_session *s, const int32_t *ids, size_t count, void *user,
                               bool (*each)(void *user, size_t index, const float *logits), rp_error *err) {
    RP_TRY(want_weights(s, err));
    RP_TRY(rp_session_check(s, ids, s->length, count, err));
    plan(s, s->length, ids, count);
    s->has_logits = false;
    for (size_t at = 0; s->pending;) {
        size_t wave = step_visit(s);
        for (size_t first = 0; first < wave; first += RP_LOGIT_ROWS) {
            size_t rows = RP_MIN(wave - first, RP_LOGIT_ROWS);
            rp_forward_head(s, NULL, first, rows);
            for (size_t i = 0; i < rows; i++)
                if (!each(user, at + first + i, s->logits + i * s->vocab_stride)) {
                    rp_session_cancel(s);
                    return RP_OK;
                }
        }
        at += wave;
    }
    return RP_OK;
}
