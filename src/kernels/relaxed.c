/* The table of kernels on WASM relaxed SIMD: simd128's, with dots of bytes where weights have no sign. */
#include "simd128.h"

#define RELAXED(name) void rp_matmul_##name##_relaxed(const rp_matmul *job);
RELAXED(q4_0)
RELAXED(q4_1)
RELAXED(q5_0)
RELAXED(q5_1)
RELAXED(q2_k)
RELAXED(q3_k)
RELAXED(q4_k)
RELAXED(q5_k)
RELAXED(q6_k)

const rp_kernels rp_kernels_relaxed = RP_SIMD128_TABLE("relaxed", RP_ISA_RELAXED, relaxed);
