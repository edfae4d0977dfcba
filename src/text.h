/* Inside the text stream: opening one on memory and a vocabulary instead of a model, for tests. The rest is in
 * reprise.h. Nothing here knows a tokenizer. */
#ifndef RP_TEXT_H
#define RP_TEXT_H

#include "base.h"
#include "token_source.h"

/* All stop texts together, in bytes. */
#define RP_TEXT_STOPS_MAX (1u << 20)

/* `memory` and what `tokens` points to must outlive the text; the stops are copied. */
rp_status rp_text_open_core(rp_text **text, rp_memory *memory, const rp_token_source *tokens, const char *const *stops,
                            size_t stop_count, rp_error *err);

#endif
