/* The tables of this build by instruction set. The page's build has one table only and its own choice (src/wasm.c), so that what
 * the others need is left out. */
#include "kernels.h"

const rp_kernels *rp_kernels_for(rp_isa isa) {
    switch (isa) {
    case RP_ISA_SCALAR: return &rp_kernels_reference;
#ifdef RP_HAVE_SIMD128
    case RP_ISA_BEST:
    case RP_ISA_SIMD128: return &rp_kernels_simd128;
#else
    case RP_ISA_BEST: return &rp_kernels_reference;
#endif
    default: return NULL;
    }
}
