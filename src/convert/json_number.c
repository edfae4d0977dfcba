/* Decimal to binary. Up to 2^53 times or divided by a power of ten that a double holds exactly is one rounded operation and so
 * exact; everything else goes through 64 bits of mantissa, whose error is far below a double's last bit. */
#include "json_number.h"

#include <string.h>

enum { DIGITS_KEPT = 19, EXACT_POWER = 22, POWER_MAX = 400 };

typedef struct decimal {
    bool negative, plain; /* plain: neither fraction nor exponent */
    uint64_t digits;      /* the first 19 that count */
    int kept;
    bool dropped; /* there were more */
    int64_t exponent;
} decimal;

/* mantissa * 2^exponent; bit 63 of the mantissa is set */
typedef struct wide {
    uint64_t mantissa;
    int exponent;
} wide;

static bool is_digit(const char *at, const char *end) {
    return at < end && *at >= '0' && *at <= '9';
}

static void add_digit(decimal *d, char c, bool fraction) {
    if (d->kept == DIGITS_KEPT) {
        d->dropped = true;
        d->exponent += !fraction;
        return;
    }
    d->digits = d->digits * 10 + (uint64_t)(c - '0');
    d->kept += d->digits != 0;
    d->exponent -= fraction;
}

/* -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? : its end, or NULL. */
static const char *scan(const char *at, const char *end, decimal *d) {
    *d = (decimal){.negative = at < end && *at == '-', .plain = true};
    at += d->negative;
    if (!is_digit(at, end))
        return NULL;
    if (*at == '0')
        at++;
    else
        for (; is_digit(at, end); at++)
            add_digit(d, *at, false);
    if (at < end && *at == '.') {
        d->plain = false;
        if (!is_digit(++at, end))
            return NULL;
        for (; is_digit(at, end); at++)
            add_digit(d, *at, true);
    }
    if (at < end && (*at | 32) == 'e') {
        d->plain = false;
        at++;
        bool negative = at < end && *at == '-';
        at += at < end && (*at == '-' || *at == '+');
        if (!is_digit(at, end))
            return NULL;
        int64_t exponent = 0;
        for (; is_digit(at, end); at++)
            exponent = RP_MIN(exponent * 10 + (*at - '0'), INT64_MAX / 100); /* beyond any text's digits */
        d->exponent += negative ? -exponent : exponent;
    }
    return at;
}

static wide normal(uint64_t mantissa, int exponent) {
    int shift = __builtin_clzll(mantissa);
    return (wide){mantissa << shift, exponent - shift};
}

static wide multiply(wide a, wide b) {
    uint64_t a1 = a.mantissa >> 32, a0 = a.mantissa & UINT32_MAX, b1 = b.mantissa >> 32, b0 = b.mantissa & UINT32_MAX;
    uint64_t middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (middle & UINT32_MAX);
    uint64_t high = a1 * b1 + (middle >> 32) + (other >> 32);
    if (high >> 63)
        return (wide){high, a.exponent + b.exponent + 64};
    return (wide){high << 1 | (other >> 31 & 1), a.exponent + b.exponent + 63};
}

/* Bit by bit: a quotient of 64 bits, cut off. */
static wide divide(wide a, wide b) {
    uint64_t quotient = 0, rest = a.mantissa;
    int exponent = a.exponent - b.exponent - 63;
    bool carry = false; /* rest is below 2 * b, which may take 65 bits */
    if (rest < b.mantissa) {
        carry = rest >> 63;
        rest <<= 1;
        exponent--;
    }
    for (int bit = 0; bit < 64; bit++) {
        bool fits = carry || rest >= b.mantissa;
        quotient = quotient << 1 | fits;
        rest -= fits ? b.mantissa : 0;
        carry = rest >> 63;
        rest <<= 1;
    }
    return (wide){quotient, exponent};
}

static wide power_of_ten(int64_t exponent) {
    wide power = normal(1, 0), square = normal(10, 0);
    for (; exponent; exponent >>= 1) {
        if (exponent & 1)
            power = multiply(power, square);
        square = multiply(square, square);
    }
    return power;
}

/* To the nearest double, halves to even; small ones lose bits gradually. */
static double round_wide(wide w) {
    int exponent = w.exponent + 63; /* of the first bit */
    int keep = exponent >= -1022 ? 53 : 53 - (-1022 - exponent);
    if (exponent > 1023)
        return __builtin_inf();
    if (keep < 0)
        return 0;
    uint64_t kept = keep ? w.mantissa >> (64 - keep) : 0, rest = w.mantissa << keep;
    kept += rest > UINT64_C(1) << 63 || (rest == UINT64_C(1) << 63 && kept & 1);
    /* The hidden bit and a carry out of the fraction count in the exponent's field. */
    uint64_t bits = keep == 53 ? ((uint64_t)(exponent + 1022) << 52) + kept : kept;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double magnitude(const decimal *d) {
    static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (d->digits == 0)
        return 0;
    if (!d->dropped && d->digits <= UINT64_C(1) << 53 && d->exponent >= -EXACT_POWER && d->exponent <= EXACT_POWER)
        return d->exponent < 0 ? (double)d->digits / powers[-d->exponent] : (double)d->digits * powers[d->exponent];
    if (d->exponent > POWER_MAX)
        return __builtin_inf();
    if (d->exponent < -POWER_MAX)
        return 0;
    wide digits = normal(d->digits, 0);
    return round_wide(d->exponent < 0 ? divide(digits, power_of_ten(-d->exponent))
                                      : multiply(digits, power_of_ten(d->exponent)));
}

size_t rp_json_read_number(const char *text, size_t size, rp_json_number *number) {
    decimal d;
    *number = (rp_json_number){0};
    const char *end = scan(text, text + size, &d);
    if (!end)
        return 0;
    double value = magnitude(&d);
    number->value = d.negative ? -value : value;
    if (d.plain) {
        uint64_t most = (uint64_t)INT64_MAX + d.negative;
        number->whole = !d.dropped && d.digits <= most;
        if (number->whole)
            number->integer = (int64_t)(d.negative ? 0 - d.digits : d.digits);
    } else if (value <= 0x1p53 && value == (double)(int64_t)value) {
        number->whole = true;
        number->integer = (int64_t)number->value;
    }
    return (size_t)(end - text);
}
