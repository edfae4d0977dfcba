/* The longer functions of math.h. Polynomials are Taylor series carried far enough that what is left out is
 * below 2^-57 of the result: no fitted constants to trust. Where a double is too short, values are
 * unevaluated sums of two doubles (high + low), by the error-free sums and products of Dekker, "A
 * floating-point technique for extending the available precision" (1971). Must not call the C library, and no
 * tables. */
#include "math.h"

/* 1.5 * 2^52: the double's rounding constant, as RP_EXPF_MAGIC. */
#define MAGIC 6755399441055744.0
#define LOG2E 0x1.71547652b82fep+0
/* ln 2 in two parts; the first has 42 significant bits, its product with an exponent is exact. */
#define LN2_HIGH 0x1.62e42fefa38p-1
#define LN2_LOW 0x1.ef35793c7673p-45

static uint64_t f64_bits(double value) {
    union {
        double value;
        uint64_t bits;
    } u = {.value = value};
    return u.bits;
}

static double f64_from_bits(uint64_t bits) {
    union {
        uint64_t bits;
        double value;
    } u = {.bits = bits};
    return u.value;
}

static double absolute(double x) {
    return f64_from_bits(f64_bits(x) & INT64_MAX);
}

typedef struct pair {
    double high, low;
} pair;

/* a + b exactly; |a| >= |b| or a is 0. */
static pair sum_ordered(double a, double b) {
    double total = a + b;
    return (pair){total, b - (total - a)};
}

static pair sum(double a, double b) {
    double total = a + b, part = total - a;
    return (pair){total, (a - (total - part)) + (b - part)};
}

/* a * b exactly, for factors below 2^996 and products that do not underflow. */
static pair product(double a, double b) {
    double big_a = 134217729.0 * a, big_b = 134217729.0 * b; /* 2^27 + 1 cuts 53 bits into 26 and 26 */
    double a_high = big_a - (big_a - a), a_low = a - a_high;
    double b_high = big_b - (big_b - b), b_low = b - b_high;
    double p = a * b;
    return (pair){p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low};
}

/* exp(high + low) with |low| far below |high|. */
static double exp_pair(double high, double low) {
    if (high != high)
        return high;
    if (high > 709.79)
        return (double)RP_INFINITY;
    if (high < -745.2)
        return 0.0;
    double n = (high * LOG2E + MAGIC) - MAGIC;
    pair r = sum_ordered(high - n * LN2_HIGH, low - n * LN2_LOW);
    /* |r| <= 0.35: the first term left out is r^14/14!. */
    double p = 1.0 / 6227020800.0;
    p = p * r.high + 1.0 / 479001600.0;
    p = p * r.high + 1.0 / 39916800.0;
    p = p * r.high + 1.0 / 3628800.0;
    p = p * r.high + 1.0 / 362880.0;
    p = p * r.high + 1.0 / 40320.0;
    p = p * r.high + 1.0 / 5040.0;
    p = p * r.high + 1.0 / 720.0;
    p = p * r.high + 1.0 / 120.0;
    p = p * r.high + 1.0 / 24.0;
    p = p * r.high + 1.0 / 6.0;
    p = p * r.high + 0.5;
    double y = 1.0 + (r.high + (p * (r.high * r.high) + (r.low + r.low * r.high)));
    /* In two steps: 2^1024 and 2^-1075 have no double. Only the second can round. */
    int64_t exponent = (int64_t)n, half = exponent / 2;
    y *= f64_from_bits((uint64_t)(half + 1023) << 52);
    return y * f64_from_bits((uint64_t)(exponent - half + 1023) << 52);
}

double rp_exp(double x) {
    return exp_pair(x, 0.0);
}

/* log(x) = k ln 2 + 2 artanh(f / (2 + f)), x = 2^k (1 + f) with 1 + f in [0.7, 1.42). x is positive and
 * finite. Right to about 2^-60. */
static pair log_pair(double x) {
    int64_t k = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        k = -54;
    }
    uint64_t bits = f64_bits(x);
    /* Adding what lacks from 0.7 (high word 0x3fe66666) to 1 makes the exponent field jump at 0.7 * 2^k. */
    uint64_t shifted = bits + (UINT64_C(0x3ff0000000000000) - UINT64_C(0x3fe6666600000000));
    k += (int64_t)(shifted >> 52) - 1023;
    double f = f64_from_bits((shifted & UINT64_C(0x000fffffffffffff)) + UINT64_C(0x3fe6666600000000)) - 1.0;

    /* s = f / (2 + f) as a pair. */
    pair divisor = sum_ordered(2.0, f);
    double s = f / divisor.high;
    pair back = product(s, divisor.high);
    double s_low = ((f - back.high) - back.low - s * divisor.low) / divisor.high;

    /* s*s <= 0.0312: the first term left out is z^12/25 of the whole. */
    double z = s * s;
    double p = 2.0 / 23.0;
    p = p * z + 2.0 / 21.0;
    p = p * z + 2.0 / 19.0;
    p = p * z + 2.0 / 17.0;
    p = p * z + 2.0 / 15.0;
    p = p * z + 2.0 / 13.0;
    p = p * z + 2.0 / 11.0;
    p = p * z + 2.0 / 9.0;
    p = p * z + 2.0 / 7.0;
    p = p * z + 2.0 / 5.0;
    p = p * z + 2.0 / 3.0;
    double rest = p * z * s + 2.0 * s_low;
    pair tail = sum_ordered(2.0 * s, rest);
    if (k == 0)
        return tail;
    pair whole = sum_ordered((double)k * LN2_HIGH, tail.high);
    return sum_ordered(whole.high, whole.low + ((double)k * LN2_LOW + tail.low));
}

double rp_log(double x) {
    if (!(x > 0.0))
        return x == 0.0 ? -(double)RP_INFINITY : __builtin_nan("");
    if (x == (double)RP_INFINITY)
        return x;
    return log_pair(x).high;
}

double rp_pow(double x, double y) {
    if (y == 0.0 || x == 1.0)
        return 1.0;
    if (!(x > 0.0) || x == (double)RP_INFINITY)
        return rp_exp(y * rp_log(x));
    pair log = log_pair(x);
    double rough = y * log.high;
    /* Also true of an infinite or NaN y, which exact products cannot take. */
    if (!(absolute(rough) < 800.0))
        return rp_exp(rough);
    pair exponent = product(y, log.high);
    return exp_pair(exponent.high, exponent.low + y * log.low);
}

/* sin(r + low) and cos(r + low) for |r| <= 0.786. */
static double sine_near_zero(double r, double low) {
    double z = r * r;
    double p = 1.0 / 355687428096000.0;
    p = p * z - 1.0 / 1307674368000.0;
    p = p * z + 1.0 / 6227020800.0;
    p = p * z - 1.0 / 39916800.0;
    p = p * z + 1.0 / 362880.0;
    p = p * z - 1.0 / 5040.0;
    p = p * z + 1.0 / 120.0;
    p = p * z - 1.0 / 6.0;
    return r + (p * z * r + low * (1.0 - 0.5 * z));
}

static double cosine_near_zero(double r, double low) {
    double z = r * r;
    double p = -1.0 / 6402373705728000.0;
    p = p * z + 1.0 / 20922789888000.0;
    p = p * z - 1.0 / 87178291200.0;
    p = p * z + 1.0 / 479001600.0;
    p = p * z - 1.0 / 3628800.0;
    p = p * z + 1.0 / 40320.0;
    p = p * z - 1.0 / 720.0;
    p = p * z + 1.0 / 24.0;
    /* 1 - z/2 loses bits that the second sum has exactly. */
    pair head = sum_ordered(1.0, -0.5 * z);
    return head.high + (head.low + (p * (z * z) - r * low));
}

void rp_sincos(double x, double *sine, double *cosine) {
    if (!(absolute(x) <= 0x1p40)) {
        *sine = *cosine = __builtin_nan("");
        return;
    }
    /* pi/2 to 161 bits; n reaches 2^40, the products with the first two parts are taken exactly. */
    double n = (x * 0x1.45f306dc9c883p-1 + MAGIC) - MAGIC;
    pair a = product(n, 0x1.921fb54442d18p+0);
    pair b = product(n, 0x1.1a62633145c07p-54);
    double c = n * -0x1.f1976b7ed8fbcp-110;
    /* x - a.high is exact: for n != 0 they are within a factor of two (Sterbenz). */
    pair head = sum(x - a.high, -a.low);
    pair r = sum(head.high, head.low - b.high - b.low - c);
    double s = sine_near_zero(r.high, r.low), k = cosine_near_zero(r.high, r.low);
    switch ((int64_t)n & 3) {
    case 0: *sine = s, *cosine = k; break;
    case 1: *sine = k, *cosine = -s; break;
    case 2: *sine = -s, *cosine = -k; break;
    default: *sine = -k, *cosine = s; break;
    }
}
