/* LoRA adapters in memory. Immutable once loaded; sessions say which they use. */
#ifndef RP_ADAPTER_H
#define RP_ADAPTER_H

#include "model.h"

/* The term of an adapter for a matrix of a physical block; its rank is 0 where the adapter has none. */
const rp_low_rank *rp_adapter_term(const rp_adapter *adapter, uint32_t block, rp_target target);
uint32_t rp_adapter_rank(const rp_adapter *adapter); /* the largest of its terms */
uint64_t rp_adapter_fingerprint(const rp_adapter *adapter);
const rp_model *rp_adapter_model(const rp_adapter *adapter);
bool rp_adapter_is_ready(const rp_adapter *adapter);

#endif
