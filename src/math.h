/* exp, log, sine, cosine and powers as fixed sequences of IEEE 754 additions, subtractions,
 * multiplications, divisions and integer operations, so that they give the same bits on every machine and in
 * every build. The C library's must not be used by the engine: glibc's and Emscripten's differ in the last
 * bits. Valid only without contraction (-ffp-contract=off), with round-to-nearest and without excess
 * precision. No function here sets errno, traps, or converts a float that is out of an integer's range. A NaN
 * result has any sign and payload: make it canonical before hashing. */
#ifndef RP_MATH_H
#define RP_MATH_H

#include <float.h>
#include <stdint.h>

#if FLT_EVAL_METHOD != 0
#error "needs arithmetic in the type of the operands (x87 has excess precision)"
#endif

#define RP_INFINITY __builtin_inff()

static inline uint32_t rp_f32_bits(float value) {
    union {
        float value;
        uint32_t bits;
    } u = {.value = value};
    return u.bits;
}
static inline float rp_f32_from_bits(uint32_t bits) {
    union {
        uint32_t bits;
        float value;
    } u = {.bits = bits};
    return u.value;
}

/* Below this exp is under the smallest normal float and is returned as 0; above the other it is +inf. */
#define RP_EXPF_LOWEST (-87.33654f)
#define RP_EXPF_HIGHEST 88.72283f
#define RP_EXPF_LOG2E 1.44269504088896341f
/* 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits of the sum. */
#define RP_EXPF_MAGIC 12582912.0f
/* ln 2 in two parts; the first has 9 significant bits, so that its product with an integer below 2^15 is
 * exact. */
#define RP_EXPF_LN2_HIGH 0.693359375f
#define RP_EXPF_LN2_LOW (-2.12194440e-4f)
/* exp(r) = 1 + r + r*r*(C0 + C1*r + ... + C5*r^5) on |r| <= ln(2)/2: Cephes, single/expf.c (S. Moshier). */
#define RP_EXPF_C0 5.0000001201e-1f
#define RP_EXPF_C1 1.6666665459e-1f
#define RP_EXPF_C2 4.1665795894e-2f
#define RP_EXPF_C3 8.3334519073e-3f
#define RP_EXPF_C4 1.3981999507e-3f
#define RP_EXPF_C5 1.9875691500e-4f

/* exp, at most 1 ulp from the true value (all floats were tried). This list of operations is the
 * specification; each is one lane-wise instruction of WASM simd128, which must follow it in this order: t =
 * x*LOG2E + MAGIC        f32x4.mul, add n = t - MAGIC              sub r = (x - n*LN2_HIGH) - n*LN2_LOW mul,
 * sub, mul, sub p = ((((C5*r + C4)*r + C3)*r + C2)*r + C1)*r + C0 y = (p*(r*r) + r) + 1 y = bits(y) +
 * (bits(t) << 23)      i32x4.shl, add: MAGIC's own bits are shifted out, n reaches the exponent y = x <=
 * HIGHEST ? y : x + inf     f32x4.le, add, v128.bitselect: +inf, or NaN for NaN y = x < LOWEST ? 0 : y
 * f32x4.lt, v128.andnot Out of range the integers wrap and the floats become inf or NaN, which the two
 * selections replace. */
static inline float rp_expf(float x) {
    float t = x * RP_EXPF_LOG2E + RP_EXPF_MAGIC;
    float n = t - RP_EXPF_MAGIC;
    float r = (x - n * RP_EXPF_LN2_HIGH) - n * RP_EXPF_LN2_LOW;
    float p = ((((RP_EXPF_C5 * r + RP_EXPF_C4) * r + RP_EXPF_C3) * r + RP_EXPF_C2) * r + RP_EXPF_C1) * r + RP_EXPF_C0;
    float y = (p * (r * r) + r) + 1.0f;
    y = rp_f32_from_bits(rp_f32_bits(y) + (rp_f32_bits(t) << 23));
    y = x <= RP_EXPF_HIGHEST ? y : x + RP_INFINITY;
    return x < RP_EXPF_LOWEST ? 0.0f : y;
}

/* exp, at most 1 ulp; results below the smallest normal double are rounded once. */
double rp_exp(double x);
/* Natural logarithm, at most 1 ulp. 0 gives -inf, negative values NaN. */
double rp_log(double x);
/* x to the power y for x > 0: relative error below 3e-16 where |y log x| < 30, below 5e-15 everywhere else.
 * A negative x gives NaN, also for whole y; x or y of 0 or infinity follow C's pow. */
double rp_pow(double x, double y);
/* Both within 2e-16 of the true values for |x| <= 2^40; beyond, and for inf and NaN, both are NaN. */
void rp_sincos(double x, double *sine, double *cosine);

#endif
