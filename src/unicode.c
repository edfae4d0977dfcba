/* UTF-8, class lookups and GPT-2's byte alphabet: see unicode.h. Classes are looked up by binary search in tables of
 * toggle points: an odd number of them at or below a code point means that it is in the class. */
#include "unicode.h"

#include "unicode_tables.h"

static bool in_table(const uint16_t *toggles, const uint16_t *planes, uint32_t point) {
    uint32_t plane = point >> 16;
    if (plane >= UNICODE_PLANES)
        return false;
    uint32_t low = planes[plane], high = planes[plane + 1];
    uint32_t start = low;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (toggles[middle] <= (point & 0xffff))
            low = middle + 1;
        else
            high = middle;
    }
    return (low - start) & 1;
}

unsigned rp_unicode_class(uint32_t point) {
    if ((point | 32) >= 'a' && (point | 32) <= 'z')
        return RP_UNICODE_LETTER;
    if (point == ' ' || (point >= 9 && point <= 13))
        return RP_UNICODE_SPACE;
    if (point > 127 && in_table(letter_toggles, letter_planes, point))
        return RP_UNICODE_LETTER;
    if (in_table(number_toggles, number_planes, point))
        return RP_UNICODE_NUMBER;
    if (in_table(space_toggles, space_planes, point))
        return RP_UNICODE_SPACE;
    if (in_table(punctuation_toggles, punctuation_planes, point))
        return RP_UNICODE_PUNCTUATION;
    return RP_UNICODE_OTHER;
}

size_t rp_utf8_length(char lead) {
    uint8_t byte = (uint8_t)lead;
    return byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

uint32_t rp_utf8_decode(const char *text, size_t size, size_t *used) {
    const uint8_t *bytes = (const uint8_t *)text;
    size_t length = rp_utf8_length(text[0]);
    *used = 1;
    if (bytes[0] < 0x80)
        return bytes[0];
    if (length == 1 || length > size || bytes[0] >= 0xf8)
        return 0xfffd;
    uint32_t point = bytes[0] & (0x7f >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0xfffd;
        point = point << 6 | (bytes[i] & 0x3f);
    }
    if (point > 0x10ffff)
        return 0xfffd;
    *used = length;
    return point;
}

size_t rp_utf8_encode(uint32_t point, char *out) {
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)(0xf00 >> length | point);
    return length;
}

uint32_t rp_byte_to_point(uint8_t byte) {
    if (byte <= 0x20)
        return 256u + byte;
    if (byte >= 0x7f && byte <= 0xa0)
        return 256u + 33 + (byte - 0x7fu);
    return byte == 0xad ? 256 + 67 : byte;
}

int rp_point_to_byte(uint32_t point) {
    if (point < 256)
        return rp_byte_to_point((uint8_t)point) == point ? (int)point : -1;
    if (point <= 256 + 0x20)
        return (int)point - 256;
    if (point <= 256 + 66)
        return (int)point - 256 - 33 + 0x7f;
    return point == 256 + 67 ? 0xad : -1;
}
