/* The way through the converter: read, change, check, write. See convert.h. */
#include "convert.h"

#include "gguf_input.h"
#include "hf.h"
#include "llama2c.h"
#include "quantize.h"
#include "reshape.h"
#include "vocabulary.h"

#include <string.h>

/* ---- The header as a model ----------------------------------------------------------------------------- */

typedef struct reader {
    rp_model *model;
    rp_error *err;
    rp_status status;
} reader;

static bool feed(void *user, const void *bytes, size_t size) {
    reader *r = user;
    size_t used;
    if (rp_model_load_state(r->model) != RP_LOAD_HEADER)
        return true;
    r->status = rp_model_feed(r->model, bytes, size, &used, r->err);
    return r->status == RP_OK;
}

rp_status rp_draft_model(const rp_draft *d, rp_model **model, rp_error *err) {
    reader r = {.err = err};
    RP_TRY(rp_model_open(&r.model, &(rp_model_options){.host = d->memory->host}, err));
    const rp_files files = {.user = &r, .write = feed};
    rp_draft header = *d;
    rp_error wrote;
    header.files = &files;
    rp_status status = rp_draft_write_header(&header, &wrote);
    if (r.status != RP_OK)
        status = r.status;
    else if (status != RP_OK)
        *err = wrote;
    else if (rp_model_load_state(r.model) != RP_LOAD_WEIGHTS)
        status = rp_fail(err, RP_ERR_FORMAT, "the file has no tensors");
    if (status != RP_OK) {
        rp_model_close(r.model);
        return status;
    }
    *model = r.model;
    return RP_OK;
}

/* ---- Reading ------------------------------------------------------------------------------------------- */

static rp_status read_file(rp_draft *d, int file, uint64_t size, const rp_convert_options *o, rp_error *err) {
    uint8_t head[RP_LLAMA2C_HEAD] = {0};
    size_t there = (size_t)RP_MIN(size, sizeof head);
    if (!d->files->read(d->files->user, file, 0, head, there))
        return rp_fail(err, RP_ERR_IO, "the input cannot be read");
    if (there >= 4 && memcmp(head, "GGUF", 4) == 0)
        return rp_draft_from_gguf(d, file, size, err);
    if (there >= 4 && (memcmp(head, "PK\3\4", 4) == 0 || head[0] == 0x80))
        return rp_fail(err, RP_ERR_UNSUPPORTED, "the input is a pickle file, which can run programs: want safetensors");
    if (!rp_looks_like_llama2c(head, there, size))
        return rp_fail(err, RP_ERR_FORMAT,
                       "the input is no GGUF file, no llama2.c checkpoint and no folder with config.json");
    rp_format(d->arch, sizeof d->arch, "llama");
    RP_TRY(rp_draft_from_llama2c(d, file, size, err));
    return o->tokenizer ? RP_OK
                        : rp_fail(err, RP_ERR_ARGUMENT,
                                  "a llama2.c checkpoint has no vocabulary: want a tokenizer (--tokenizer FILE)");
}

static rp_status read_vocab_size(const rp_draft *d, uint32_t *vocab, rp_error *err) {
    const rp_draft_tensor *table = rp_draft_find(d, "token_embd.weight");
    if (!table || table->rows < 1 || table->rows > 1 << 24)
        return rp_fail(err, RP_ERR_FORMAT, "token_embd.weight: this tensor is missing");
    *vocab = (uint32_t)table->rows;
    return RP_OK;
}

static rp_status read_input(rp_draft *d, const rp_convert_options *o, int *file, rp_error *err) {
    uint64_t size;
    *file = d->files->open(d->files->user, "", &size);
    if (*file >= 0) {
        RP_TRY(read_file(d, *file, size, o, err));
    } else {
        int config = d->files->open(d->files->user, "config.json", &size);
        if (config < 0)
            return rp_fail(err, RP_ERR_IO, "no file and no folder with config.json");
        d->files->close(d->files->user, config);
        RP_TRY(rp_draft_from_folder(d, !o->tokenizer, err));
    }
    if (!o->tokenizer)
        return RP_OK;
    uint32_t vocab = 0;
    RP_TRY(read_vocab_size(d, &vocab, err));
    return rp_vocabulary_from_file(d->keys, d->memory, o->tokenizer_name, o->tokenizer, o->tokenizer_size, vocab, err);
}

/* ---- Changing ------------------------------------------------------------------------------------------ */

typedef enum change { CHANGE_LAYERS, CHANGE_UNROLL, CHANGE_DEDUP } change;

static rp_status change_program(rp_draft *d, const rp_convert_options *o, change what, rp_converted *result,
                                rp_error *err) {
    rp_model *model;
    RP_TRY(rp_draft_model(d, &model, err));
    rp_status status = what == CHANGE_LAYERS   ? rp_draft_select(d, model, o->layers, err)
                       : what == CHANGE_UNROLL ? rp_draft_unroll(d, model, &result->keeps, err)
                                               : rp_draft_dedup(d, model, &result->found, err);
    if (model->config.loop_max > model->config.loop_min && (what != CHANGE_DEDUP || result->found))
        result->fixed_depth = RP_MAX(model->core.loops, 1);
    rp_model_close(model);
    return status;
}

static rp_status change_all(rp_draft *d, const rp_convert_options *o, rp_converted *result, rp_error *err) {
    if (o->layers)
        RP_TRY(change_program(d, o, CHANGE_LAYERS, result, err));
    if (o->unroll)
        RP_TRY(change_program(d, o, CHANGE_UNROLL, result, err));
    if (o->dedup)
        RP_TRY(change_program(d, o, CHANGE_DEDUP, result, err));
    if (o->unroll && result->found)
        result->keeps = "layer_map";
    if (!o->keep_types)
        RP_TRY(rp_draft_set_types(d, o->type, o->head, err));
    return rp_draft_order(d, err);
}

static rp_status describe(const rp_draft *d, rp_converted *result, rp_error *err) {
    rp_model *model;
    rp_model_info info;
    RP_TRY(rp_draft_model(d, &model, err));
    rp_model_get_info(model, &info);
    rp_format(result->arch, sizeof result->arch, "%s", info.architecture);
    result->blocks = info.blocks;
    result->visits = info.visits;
    result->parameters = info.parameters_stored;
    result->bytes = rp_round_up(info.file_bytes, RP_DRAFT_ALIGNMENT);
    rp_model_close(model);
    return RP_OK;
}

bool rp_convert_type(const char *name, rp_type *type) {
    for (int i = 0; i < RP_TYPES; i++) {
        const char *ours = rp_type_traits[i].name;
        size_t k = 0;
        while (ours[k] && ours[k] + (ours[k] >= 'A' && ours[k] <= 'Z' && name[k] != ours[k] ? 32 : 0) == name[k])
            k++;
        if (!ours[k] && !name[k] && rp_can_quantize((rp_type)i)) {
            *type = (rp_type)i;
            return true;
        }
    }
    return false;
}

rp_status rp_convert(const rp_files *files, rp_memory *memory, const rp_convert_options *o, rp_converted *result,
                     rp_error *err) {
    rp_draft draft;
    int file = -1;
    *result = (rp_converted){0};
    RP_TRY(rp_draft_open(&draft, files, memory, err));
    rp_status status = read_input(&draft, o, &file, err);
    if (status == RP_OK)
        status = change_all(&draft, o, result, err);
    if (status == RP_OK)
        status = describe(&draft, result, err);
    if (status == RP_OK)
        status = rp_draft_write(&draft, err);
    if (file >= 0)
        files->close(files->user, file);
    rp_draft_close(&draft);
    return status;
}
