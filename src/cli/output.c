/* What the terminal program writes: text, JSON, errors. */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool print(int stream, const char *format, ...) {
    char line[1024];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    return n >= 0 && host_write(stream, line, RP_MIN((size_t)n, sizeof line - 1));
}

/* Length of the UTF-8 sequence that starts here, or 0 when there is none (Unicode 15, table 3-7). */
static size_t utf8_length(const uint8_t *p, size_t size) {
    static const struct {
        uint8_t first_low, first_high, low, high, length;
    } forms[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < RP_COUNT(forms); i++) {
        if (p[0] < forms[i].first_low || p[0] > forms[i].first_high || forms[i].length > size)
            continue;
        bool good = forms[i].length == 1 || (p[1] >= forms[i].low && p[1] <= forms[i].high);
        for (size_t k = 2; k < forms[i].length; k++)
            good = good && (p[k] & 0xc0) == 0x80;
        return good ? forms[i].length : 0;
    }
    return 0;
}

void print_json_string(const char *bytes, size_t size) {
    const uint8_t *p = (const uint8_t *)bytes;
    char line[512];
    size_t used = 0;
    line[used++] = '"';
    while (size) {
        size_t n = utf8_length(p, size);
        if (used > sizeof line - 16) {
            host_write(1, line, used);
            used = 0;
        }
        if (n == 0) {
            memcpy(line + used, "\xef\xbf\xbd", 3);
            used += 3;
            n = 1;
        } else if (*p == '"' || *p == '\\') {
            line[used++] = '\\';
            line[used++] = (char)*p;
        } else if (*p == '\n') {
            line[used++] = '\\';
            line[used++] = 'n';
        } else if (*p < 0x20 || *p == 0x7f) {
            used += (size_t)snprintf(line + used, 8, "\\u%04x", *p);
        } else {
            memcpy(line + used, p, n);
            used += n;
        }
        p += n;
        size -= n;
    }
    line[used++] = '"';
    host_write(1, line, used);
}

void print_json_number(double value) {
    if (value - value == 0) /* finite */
        print(1, "%.9g", value);
    else
        print(1, "null");
}

int report(const rp_error *err) {
    print(2, "reprise: %s: %s\n", rp_status_name(err->status), err->message);
    return EXIT_FAILED;
}
