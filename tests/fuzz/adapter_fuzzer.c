/* libFuzzer target for LoRA adapters of one small model: the first byte says in which pieces the rest arrives. One that loads is
 * computed with. Whatever happens, the model stays as it was and all other memory comes back. */
#include "../c/program_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static rp_status feed(rp_adapter *adapter, const uint8_t *data, size_t size, size_t piece, rp_error *err) {
    for (size_t at = 0; at < size; at += piece) {
        rp_status status = rp_adapter_feed(adapter, data + at, RP_MIN(piece, size - at), err);
        if (status != RP_OK)
            return status;
    }
    return rp_adapter_finish(adapter, err);
}

static void compute(fixture *f, const rp_adapter *adapter) {
    rp_session *session = NULL;
    const rp_adapter_use uses[] = {{adapter, 1}, {adapter, -2}};
    rp_status status = rp_session_open(&session, f->model, &(rp_session_options){.context = 8, .chunk = 3}, &f->err);
    for (size_t count = 0; status == RP_OK && count <= 2; count++)
        if ((status = rp_session_use_adapters(session, uses, count, &f->err)) == RP_OK)
            status = rp_session_feed(session, ids, 2, &f->err);
    if (status != RP_OK && status != RP_ERR_MEMORY)
        abort();
    rp_session_close(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fixture f;
    rp_adapter *adapter = NULL;
    if (size == 0)
        return 0;
    if (!f.model && !open_shape(&f, &(shape){.map = "001", .blocks = 2}))
        abort();
    uint64_t held = f.host.held, blocks = f.host.blocks;
    f.host.limit = held + (64 << 20);
    if (rp_adapter_open(&adapter, f.model, &f.err) != RP_OK)
        abort();
    if (feed(adapter, data + 1, size - 1, data[0] ? data[0] : size, &f.err) == RP_OK)
        compute(&f, adapter);
    rp_adapter_close(adapter);
    if (f.host.blocks != blocks || f.host.held != held || f.host.wrong_size)
        abort();
    return 0;
}
