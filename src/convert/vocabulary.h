/* Vocabularies of other formats as GGUF's tokenizer.* keys, as llama.cpp's convert_hf_to_gguf.py writes them. */
#ifndef RP_VOCABULARY_H
#define RP_VOCABULARY_H

#include "files.h"
#include "keys.h"

/* Sets tokenizer.ggml.* (and tokenizer.chat_template) from what the input folder has: tokenizer.model (a SentencePiece
 * protobuf) or tokenizer.json (byte-level BPE, or BPE with byte fallback), with tokenizer_config.json,
 * special_tokens_map.json, config.json, generation_config.json, added_tokens.json and chat_template.jinja beside it.
 * `vocab` is the model's vocab_size, 1 to 2^24: shorter vocabularies are filled with unused tokens ("[PAD123]"), longer ones
 * are an error, but for added tokens beyond it, which are left out. Existing tokenizer keys are replaced; after an error
 * some are missing. What the engine would cut or merge differently is RP_ERR_UNSUPPORTED. Memory while it reads: the file,
 * and for a tokenizer.json some seven times its size. */
rp_status rp_vocabulary_from_folder(rp_keys *keys, const rp_files *files, rp_memory *memory, uint32_t vocab,
                                    rp_error *err);
/* The same from one file's bytes: a GGUF (its tokenizer keys are copied), a tokenizer.json, a tokenizer.model or
 * llama2.c's tokenizer.bin, told apart by their beginnings. `name` names it in errors. */
rp_status rp_vocabulary_from_file(rp_keys *keys, rp_memory *memory, const char *name, const char *bytes, size_t size,
                                  uint32_t vocab, rp_error *err);

#endif
