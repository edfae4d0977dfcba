/* The table of kernels on WASM simd128; they are in simd128_*.c. */
#include "simd128.h"

const rp_kernels rp_kernels_simd128 = RP_SIMD128_TABLE("simd128", RP_ISA_SIMD128, simd128);
