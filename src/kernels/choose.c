/* The tables of this build by instruction set. The page's build has one table only and its own choice (src/wasm.c), so that what
 * the others need is left out. */
#include "kernels.h"

const rp_kernels *rp_kernels_for(rp_isa isa) {
    const rp_kernels *tables[] = {
#ifdef RP_HAVE_RELAXED
        &rp_kernels_relaxed,
#endif
#ifdef RP_HAVE_SIMD128
        &rp_kernels_simd128,
#endif
        &rp_kernels_reference};
    for (size_t i = 0; i < RP_COUNT(tables); i++)
        if (isa == RP_ISA_BEST || isa == tables[i]->isa)
            return tables[i];
    return NULL;
}
