/* Proxy-tuning (Liu 2024, arXiv 2401.08565): a model is steered by what a small tuned model says beyond its untuned
 * twin. Its own weights stay as they are. */
#include "session.h"

#include <string.h>

void rp_logits_steer(float *base, const float *expert, const float *antiexpert, size_t count, float alpha) {
    if (alpha == 0.0f)
        return; /* adding 0 * (inf - inf) would not leave the bits alone */
    for (size_t i = 0; i < count; i++)
        base[i] += alpha * (expert[i] - antiexpert[i]);
}

rp_status rp_session_steer(rp_session *s, rp_session *expert, rp_session *antiexpert, float alpha, rp_error *err) {
    const rp_session *all[] = {s, expert ? expert : s, antiexpert ? antiexpert : s};
    uint32_t vocab = s->model->config.vocab;
    for (size_t i = 0; i < RP_COUNT(all); i++)
        if (!all[i]->has_logits || all[i]->model->config.vocab != vocab)
            return rp_fail(err, RP_ERR_ARGUMENT, "a session that steers or is steered has no logits of %u tokens",
                           vocab);
    rp_logits_steer(s->logits, all[1]->logits, all[2]->logits, vocab, alpha);
    s->is_steered = true;
    s->has_sum = false;
    return RP_OK;
}

static bool same_token(const rp_model *a, const rp_model *b, int32_t id) {
    size_t size, other_size;
    const char *bytes = rp_token_bytes(a, id, &size), *other = rp_token_bytes(b, id, &other_size);
    return size == other_size && (size == 0 || memcmp(bytes, other, size) == 0) &&
           rp_token_is_control(a, id) == rp_token_is_control(b, id);
}

rp_status rp_model_check_vocabulary(const rp_model *base, const rp_model *other, rp_error *err) {
    rp_model_info info, other_info;
    rp_model_get_info(base, &info);
    rp_model_get_info(other, &other_info);
    if (info.vocab != other_info.vocab)
        return rp_fail(err, RP_ERR_ARGUMENT, "a vocabulary of %u tokens, the base model has %u", other_info.vocab,
                       info.vocab);
    for (int32_t id = 0; (uint32_t)id < info.vocab; id++) {
        if (same_token(base, other, id))
            continue;
        size_t size, other_size;
        const char *piece = rp_token_piece(base, id, &size), *other_piece = rp_token_piece(other, id, &other_size);
        return rp_fail(err, RP_ERR_ARGUMENT, "token %d is \"%.*s\"%s, in the base model \"%.*s\"%s", id,
                       (int)RP_MIN(other_size, 40), other_piece, rp_token_is_control(other, id) ? " (control)" : "",
                       (int)RP_MIN(size, 40), piece, rp_token_is_control(base, id) ? " (control)" : "");
    }
    return RP_OK;
}
