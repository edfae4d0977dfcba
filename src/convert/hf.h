/* A Hugging Face folder (config.json and safetensors) as a draft. */
#ifndef RP_HF_H
#define RP_HF_H

#include "draft.h"

/* Keys, tensors and vocabulary of the input folder. A family that is not known, a config that says what this engine does not do, a
 * tensor that is missing, left over or of another shape than the config says: an error that names it. Its files stay open
 * until the draft is closed. With `vocabulary` false the folder need not have one. */
rp_status rp_draft_from_folder(rp_draft *draft, bool vocabulary, rp_error *err);

#endif
