/* A small printf for messages and JSON, instead of the C library's, which brings arithmetic on long doubles: see base.h. */
#include "base.h"

#include <string.h>

typedef struct output {
    char *at;
    size_t room; /* for more characters, besides the zero at the end */
} output;

static void put(output *o, const char *text, size_t size) {
    size = RP_MIN(size, o->room);
    memcpy(o->at, text, size);
    o->at += size;
    o->room -= size;
}

static void put_number(output *o, uint64_t value, unsigned base, size_t width) {
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value || sizeof digits - at < RP_MIN(width, sizeof digits));
    put(o, digits + at, sizeof digits - at);
}

static void put_signed(output *o, int64_t value) {
    if (value < 0)
        put(o, "-", 1);
    put_number(o, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, 1);
}

/* At most `precision` digits without zeros at the end, with an exponent where C's %g has one. */
static void put_double(output *o, double value, size_t precision) {
    if (value - value != 0) {
        const char *name = value != value ? "nan" : value < 0 ? "-inf" : "inf";
        put(o, name, strlen(name));
        return;
    }
    if (value < 0)
        put(o, "-", 1);
    value = value < 0 ? -value : value;
    int exponent = 0; /* of the first digit */
    for (; value >= 10; exponent++)
        value /= 10;
    for (; value > 0 && value < 1; exponent--)
        value *= 10;
    for (size_t i = 1; i < precision; i++)
        value *= 10;
    char digits[24];
    size_t count = 0;
    uint64_t rounded = (uint64_t)(value + 0.5);
    output all = {digits, sizeof digits};
    put_number(&all, rounded, 10, precision);
    count = (size_t)(all.at - digits);
    exponent += (int)(count - precision); /* 9.99 became 10 */
    while (count > 1 && digits[count - 1] == '0')
        count--;
    bool scientific = exponent < -4 || exponent >= (int)precision;
    int whole = scientific ? 0 : exponent; /* place of the last digit before the point */
    if (whole < 0)
        put(o, "0.", 2);
    for (int i = whole + 1; i < 0; i++)
        put(o, "0", 1);
    for (size_t i = 0; i < count; i++) {
        if (whole >= 0 && i == (size_t)whole + 1)
            put(o, ".", 1);
        put(o, digits + i, 1);
    }
    for (size_t i = count; whole >= 0 && i <= (size_t)whole; i++)
        put(o, "0", 1);
    if (scientific) {
        put(o, exponent < 0 ? "e-" : "e+", 2);
        put_number(o, (uint64_t)(exponent < 0 ? -exponent : exponent), 10, 2);
    }
}

size_t rp_format_list(char *out, size_t room, const char *format, va_list args) {
    output o = {out, room - 1};
    while (*format) {
        if (*format != '%') {
            put(&o, format++, 1);
            continue;
        }
        const char *start = format++;
        size_t precision = SIZE_MAX, width = 0;
        while (*format >= '0' && *format <= '9')
            width = width * 10 + (size_t)(*format++ - '0');
        if (*format == '.' && format[1] == '*') {
            precision = (size_t)va_arg(args, int);
            format += 2;
        } else if (*format == '.') {
            for (precision = 0, format++; *format >= '0' && *format <= '9'; format++)
                precision = precision * 10 + (size_t)(*format - '0');
        }
        bool wide = format[0] == 'l' && format[1] == 'l';
        format += wide ? 2 : 0;
        char kind = *format ? *format++ : 0;
        if (kind == 's') {
            const char *text = va_arg(args, const char *);
            size_t size = 0;
            while (size < precision && text[size])
                size++;
            put(&o, text, size);
        } else if (kind == 'c') {
            put(&o, &(char){(char)va_arg(args, int)}, 1);
        } else if (kind == 'd') {
            put_signed(&o, wide ? va_arg(args, long long) : va_arg(args, int));
        } else if (kind == 'u' || kind == 'x') {
            put_number(&o, wide ? va_arg(args, unsigned long long) : va_arg(args, unsigned), kind == 'u' ? 10 : 16,
                       width);
        } else if (kind == 'g') {
            put_double(&o, va_arg(args, double), precision == SIZE_MAX ? 6 : RP_MIN(RP_MAX(precision, 1), 17));
        } else {
            put(&o, kind == '%' ? "%" : start, kind == '%' ? 1 : (size_t)(format - start));
        }
    }
    *o.at = 0;
    return (size_t)(o.at - out);
}

size_t rp_format(char *out, size_t room, const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t length = rp_format_list(out, room, format, args);
    va_end(args);
    return length;
}
