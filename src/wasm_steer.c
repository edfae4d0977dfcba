/* The page's exports for what steers a model without touching its weights: adapters, and other sessions' logits. */
#include "adapter.h"
#include "wasm.h"

EXPORT(adapter_open) rp_adapter *adapter_open(page *p) {
    rp_adapter *adapter = NULL;
    page_took(p, rp_adapter_open(&adapter, p->model, &p->err));
    return adapter;
}

EXPORT(adapter_close) void adapter_close(rp_adapter *adapter) {
    rp_adapter_close(adapter);
}

EXPORT(adapter_feed) int adapter_feed(page *p, rp_adapter *adapter, const void *bytes, size_t size) {
    if (page_took(p, rp_adapter_feed(adapter, bytes, size, &p->err)))
        p->adapter_bytes += size;
    return (int)p->err.status;
}

/* Plans count it from now on. */
EXPORT(adapter_finish) int adapter_finish(page *p, rp_adapter *adapter) {
    if (page_took(p, rp_adapter_finish(adapter, &p->err)))
        p->adapter_rank = RP_MAX(p->adapter_rank, rp_adapter_rank(adapter));
    p->header_gaps = page_heap_gaps();
    return (int)p->err.status;
}

EXPORT(session_adapters)
int session_adapters(page *p, rp_session *s, const rp_adapter *const *adapters, const float *scales, size_t count) {
    rp_adapter_use uses[RP_ADAPTERS_MOST];
    for (size_t i = 0; i < RP_MIN(count, RP_ADAPTERS_MOST); i++)
        uses[i] = (rp_adapter_use){adapters[i], scales[i]};
    page_took(p, rp_session_use_adapters(s, uses, count, &p->err));
    return (int)p->err.status;
}

EXPORT(page_same_vocabulary) int page_same_vocabulary(page *p, const page *other) {
    page_took(p, rp_model_check_vocabulary(p->model, other->model, &p->err));
    return (int)p->err.status;
}

EXPORT(session_steer)
int session_steer(page *p, rp_session *s, rp_session *expert, rp_session *antiexpert, float alpha) {
    page_took(p, rp_session_steer(s, expert, antiexpert, alpha, &p->err));
    return (int)p->err.status;
}
