/* runs: native wasm */
/* src/math.c against the C library's double functions: accuracy over dense sweeps, limits, NaN, monotonicity
 * where one range reduction follows the next, and a hash of the bits over a fixed sweep. The hashes are
 * constants: native, WebAssembly and every instruction set must give the same. Changing a hash changes every
 * model's output. */
#include "../../src/math.h"
#include "test.h"

#include <math.h>

/* Distance in units of the last place of the wanted value's float. */
static double ulps_f32(float is, double want) {
    float rounded = (float)want;
    if (isinf(rounded) || isinf(is))
        return is == rounded ? 0.0 : HUGE_VAL;
    int exponent;
    frexp(want, &exponent);
    return fabs((double)is - want) / ldexp(1.0, exponent - 24 < -149 ? -149 : exponent - 24);
}

static double ulps_f64(double is, double want) {
    if (isinf(want) || isinf(is))
        return is == want ? 0.0 : HUGE_VAL;
    int exponent;
    frexp(want, &exponent);
    return fabs(is - want) / ldexp(1.0, exponent - 53 < -1074 ? -1074 : exponent - 53);
}

/* Doubles of every size in (low, high), log-uniform. */
static double random_size(double low, double high) {
    double u = (double)(test_random() >> 11) * 0x1p-53;
    return low * pow(high / low, u);
}

static double random_between(double low, double high) {
    return low + (high - low) * ((double)(test_random() >> 11) * 0x1p-53);
}

TEST(expf_is_accurate) {
    double worst = 0;
    for (float x = RP_EXPF_LOWEST; x <= RP_EXPF_HIGHEST; x += 0.000123f)
        worst = fmax(worst, ulps_f32(rp_expf(x), exp((double)x)));
    for (int i = 0; i < 200000; i++) {
        float x = (float)random_size(1e-30, 88.0), sign = i & 1 ? -1.0f : 1.0f;
        if (sign * x >= RP_EXPF_LOWEST)
            worst = fmax(worst, ulps_f32(rp_expf(sign * x), exp((double)(sign * x))));
    }
    test_print("expf: %.3f ulp\n", worst);
    CHECK(worst < 1.0);
}

TEST(expf_has_limits) {
    CHECK(rp_expf(0.0f) == 1.0f && rp_expf(-0.0f) == 1.0f);
    CHECK(rp_expf(0x1p-149f) == 1.0f && rp_expf(-0x1p-149f) == 1.0f);
    CHECK(isnan(rp_expf(NAN)) && isnan(rp_expf(-NAN)));
    CHECK(rp_expf(INFINITY) == INFINITY && rp_expf(-INFINITY) == 0.0f);
    CHECK(rp_expf(FLT_MAX) == INFINITY && rp_expf(-FLT_MAX) == 0.0f);
    CHECK(rp_expf(RP_EXPF_HIGHEST) > 3.40e38f && rp_expf(RP_EXPF_HIGHEST) <= FLT_MAX);
    CHECK(rp_expf(nextafterf(RP_EXPF_HIGHEST, 100.0f)) == INFINITY);
    CHECK(exp((double)nextafterf(RP_EXPF_HIGHEST, 100.0f)) > (double)FLT_MAX);
    CHECK(rp_expf(RP_EXPF_LOWEST) >= FLT_MIN && rp_expf(RP_EXPF_LOWEST) < 1.0001f * FLT_MIN);
    CHECK(rp_expf(nextafterf(RP_EXPF_LOWEST, -100.0f)) == 0.0f);
    /* Every exponent and sign, with mantissas that are all zeros, all ones, and random: 0, inf or between,
     * never else. */
    for (uint32_t high = 0; high < 512; high++) {
        for (int i = 0; i < 64; i++) {
            uint32_t low = i == 0 ? 0 : i == 1 ? 0x7fffff : (uint32_t)test_random() & 0x7fffff;
            float x = rp_f32_from_bits(high << 23 | low), y = rp_expf(x);
            CHECK(isnan(x) ? isnan(y) : y >= 0.0f);
            if (x > RP_EXPF_HIGHEST)
                CHECK(y == INFINITY);
            if (x < RP_EXPF_LOWEST)
                CHECK(y == 0.0f);
        }
    }
}

/* Where n of the range reduction changes, at (n + 1/2) ln 2, the two sides' polynomials must meet. */
TEST(expf_rises_over_the_seams) {
    for (int n = -126; n < 128; n++) {
        float x = (float)((n + 0.5) * 0.69314718055994531);
        for (int i = 0; i < 200; i++)
            x = nextafterf(x, -1000.0f);
        float before = rp_expf(x);
        for (int i = 0; i < 400; i++) {
            x = nextafterf(x, 1000.0f);
            float y = rp_expf(x);
            if (y < before)
                CHECK_INT(rp_f32_bits(before) - rp_f32_bits(y), 0);
            before = y;
        }
    }
}

TEST(exp_is_accurate) {
    double worst = 0;
    for (double x = -745.0; x < 709.78; x += 0.00741)
        worst = fmax(worst, ulps_f64(rp_exp(x), exp(x)));
    for (int i = 0; i < 100000; i++) {
        double x = random_size(1e-300, 700.0);
        worst = fmax(worst, ulps_f64(rp_exp(i & 1 ? -x : x), exp(i & 1 ? -x : x)));
    }
    test_print("exp: %.3f ulp\n", worst);
    CHECK(worst <= 1.5); /* the C library's own error is in it */
    CHECK(rp_exp(0.0) == 1.0 && rp_exp(-0.0) == 1.0 && isnan(rp_exp(NAN)));
    CHECK(rp_exp(INFINITY) == INFINITY && rp_exp(-INFINITY) == 0.0);
    CHECK(rp_exp(709.79) == INFINITY && rp_exp(709.782) < INFINITY && rp_exp(-745.2) == 0.0 &&
          rp_exp(-745.0) == 0x1p-1074);
    CHECK(rp_exp(DBL_MAX) == INFINITY && rp_exp(-DBL_MAX) == 0.0);
}

TEST(log_is_accurate) {
    double worst = 0;
    for (int i = 0; i < 300000; i++) {
        double x = i % 3 == 0   ? random_size(1e-320, 1e308)
                   : i % 3 == 1 ? random_between(0.5, 2.0)
                                : 1.0 + random_between(-1e-3, 1e-3);
        worst = fmax(worst, ulps_f64(rp_log(x), log(x)));
    }
    test_print("log: %.3f ulp\n", worst);
    CHECK(worst <= 1.5);
    CHECK(rp_log(1.0) == 0.0 && rp_log(INFINITY) == INFINITY && rp_log(0.0) == -INFINITY && rp_log(-0.0) == -INFINITY);
    CHECK(isnan(rp_log(-1.0)) && isnan(rp_log(-INFINITY)) && isnan(rp_log(NAN)));
    CHECK(fabs(rp_log(0x1p-1074) + 744.44007192138126231) < 1e-12);
    CHECK(fabs(rp_log(DBL_MAX) - 709.78271289338397310) < 1e-12);
    for (double x = 0.6999; x < 0.7001; x += 1e-7) /* the seam of the reduction */
        CHECK(rp_log(x) < rp_log(x + 1e-7));
}

TEST(pow_is_accurate) {
    double worst = 0, worst_far = 0;
    for (int i = 0; i < 200000; i++) {
        double x = random_size(1e-20, 1e20);
        if (x == 1.0)
            continue;
        double y = random_between(-29.0, 29.0) / fabs(log(x)), want = pow(x, y);
        worst = fmax(worst, fabs(rp_pow(x, y) - want) / want);
        y = random_between(-700.0, 700.0) / fabs(log(x)), want = pow(x, y);
        worst_far = fmax(worst_far, fabs(rp_pow(x, y) - want) / want);
    }
    /* Rotary frequencies, as models ask for them. */
    for (int dim = 32; dim <= 256; dim += 16)
        for (int i = 0; i < dim; i += 2)
            worst = fmax(worst, fabs(rp_pow(500000.0, -(double)i / dim) / pow(500000.0, -(double)i / dim) - 1.0));
    test_print("pow: %.2e, far out %.2e\n", worst, worst_far);
    CHECK(worst < 4e-16 && worst_far < 5e-15);
    CHECK(rp_pow(2.0, 10.0) == 1024.0 && rp_pow(3.0, 0.0) == 1.0 && rp_pow(1.0, 1e300) == 1.0 &&
          rp_pow(0.0, 2.0) == 0.0);
    CHECK(rp_pow(0.0, -1.0) == INFINITY && rp_pow(INFINITY, -1.0) == 0.0 && isnan(rp_pow(-2.0, 3.0)));
    CHECK(rp_pow(2.0, 1e300) == INFINITY && rp_pow(2.0, -1e300) == 0.0 && rp_pow(2.0, INFINITY) == INFINITY);
    CHECK(isnan(rp_pow(NAN, 2.0)) && isnan(rp_pow(2.0, NAN)) && rp_pow(1e300, 1e-320) == 1.0);
}

static double sincos_error(double x) {
    double sine, cosine;
    rp_sincos(x, &sine, &cosine);
    return fmax(fabs(sine - sin(x)), fabs(cosine - cos(x)));
}

TEST(sincos_is_accurate) {
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        worst = fmax(worst, sincos_error(random_between(-0x1p20, 0x1p20)));
        worst = fmax(worst, sincos_error(random_between(-7.0, 7.0)));
        worst = fmax(worst, sincos_error((i & 1 ? -1.0 : 1.0) * random_size(1e-300, 0x1p40)));
    }
    /* Nearest to the zeros and to the seams of the reduction. */
    for (int i = 0; i < 200000; i++) {
        double x = (double)(test_random() >> (25 + i % 30)) * 0.78539816339744831;
        worst = fmax(worst, sincos_error(x));
        worst = fmax(worst, sincos_error(nextafter(x, 1e300)));
    }
    test_print("sincos: %.2e\n", worst);
    CHECK(worst < 4e-16);
    double sine, cosine;
    const double outside[] = {NAN, INFINITY, -INFINITY, 0x1.0000000000001p40, DBL_MAX};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        rp_sincos(outside[i], &sine, &cosine);
        CHECK(isnan(sine) && isnan(cosine));
    }
    rp_sincos(0.0, &sine, &cosine);
    CHECK(sine == 0.0 && cosine == 1.0);
}

static uint64_t hash_u64(uint64_t hash, uint64_t bits) {
    for (int i = 0; i < 64; i += 8)
        hash = (hash ^ (bits >> i & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_double(uint64_t hash, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return hash_u64(hash, bits);
}

static void check_hash(const char *name, uint64_t is, uint64_t want) {
    if (is != want)
        test_print("%s hashes to 0x%016" PRIx64 "\n", name, is);
    CHECK(is == want);
}

TEST(bits_are_the_same_everywhere) {
    uint64_t f = 0, e = 0, l = 0, p = 0, s = 0;
    test_now.random = 12345; /* the sweep must not follow TEST_SEED */
    for (int i = 0; i < 100000; i++) {
        float x = (float)(int32_t)(test_random() >> 32) * 0x1p-24f;
        double d = (double)(int64_t)test_random() * 0x1p-63; /* [-1, 1) */
        double positive = 0x1p-60 + (double)(test_random() >> 11) * 0x1p-40, sine, cosine;
        rp_sincos(d * 0x1p22, &sine, &cosine);
        f = hash_u64(f, rp_f32_bits(rp_expf(x)));
        e = hash_double(e, rp_exp(d * 750.0));
        l = hash_double(l, rp_log(positive));
        p = hash_double(p, rp_pow(positive, d * 30.0));
        s = hash_double(hash_double(s, sine), cosine);
    }
    check_hash("expf", f, UINT64_C(0xcf005eb88a6df1a7));
    check_hash("exp", e, UINT64_C(0xea4051eba56328cf));
    check_hash("log", l, UINT64_C(0x1cbc074dd4706053));
    check_hash("pow", p, UINT64_C(0xed15cdbead8b1260));
    check_hash("sincos", s, UINT64_C(0x179ce5a59c4cbec5));
}

TEST_MAIN(expf_is_accurate, expf_has_limits, expf_rises_over_the_seams, exp_is_accurate, log_is_accurate,
          pow_is_accurate, sincos_is_accurate, bits_are_the_same_everywhere)
