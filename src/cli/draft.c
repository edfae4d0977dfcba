/* --draft: a second session of the same model at a smaller depth, or with fewer layers, or what stood earlier in the
 * text. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static const char *after(const char *text, const char *start) {
    size_t length = strlen(start);
    return strncmp(text, start, length) == 0 ? text + length : NULL;
}

static rp_status draft_program(const char *text, rp_program_options *program, rp_error *err) {
    char *end;
    const char *depth = after(text, "depth="), *layers = after(text, "layers=");
    *program = (rp_program_options){.layers = layers};
    if (layers && *layers)
        return RP_OK;
    unsigned long loops = depth ? strtoul(depth, &end, 10) : 0;
    if (!depth || end == depth || *end || loops == 0 || loops > UINT32_MAX)
        return rp_fail(err, RP_ERR_ARGUMENT, "--draft %.60s: want lookup, depth=N or layers=SPEC", text);
    program->loops = (uint32_t)loops;
    return RP_OK;
}

rp_status open_speculator(const engine *e, const options *o, rp_speculator **speculator, rp_session **drafter,
                          rp_error *err) {
    rp_program_options program;
    if (e->steered)
        return rp_fail(err, RP_ERR_ARGUMENT, "--draft and --expert: want one of them");
    if (strcmp(o->draft, "lookup") != 0) {
        RP_TRY(draft_program(o->draft, &program, err));
        RP_TRY(open_twin(e, o, &program, drafter, err));
    }
    return rp_speculator_open(speculator, e->session,
                              &(rp_speculator_options){.drafter = *drafter, .guesses = o->draft_tokens}, err);
}
