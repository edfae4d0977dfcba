/* UTF-8 in both directions and the few Unicode classes that pre-tokenizers ask for. Decoding is as lenient as
 * llama.cpp's: overlong forms and surrogates pass, everything else that is no UTF-8 is U+FFFD, one for each byte.
 * The classes are those of the Unicode version that llama.cpp carries (see unicode_tables.h), not the newest. */
#ifndef RP_UNICODE_H
#define RP_UNICODE_H

#include "base.h"

/* A code point has at most one of the first four; RP_UNICODE_OTHER is what has none, so that no class is 0. */
enum {
    RP_UNICODE_LETTER = 1,      /* \p{L} */
    RP_UNICODE_NUMBER = 2,      /* \p{N} */
    RP_UNICODE_SPACE = 4,       /* White_Space */
    RP_UNICODE_PUNCTUATION = 8, /* \p{P} */
    RP_UNICODE_OTHER = 16,
};
unsigned rp_unicode_class(uint32_t point);

/* Decodes the first code point of `size` bytes, at least one; *used is 1 to 4. */
uint32_t rp_utf8_decode(const char *text, size_t size, size_t *used);
/* Writes 1 to 4 bytes for a code point up to U+10FFFF and returns how many. */
size_t rp_utf8_encode(uint32_t point, char *out);
/* Bytes that a lead byte promises; 1 for a byte that cannot lead. */
size_t rp_utf8_length(char lead);

/* The visible code point that byte-level BPE writes for a byte (Radford 2019), and back: -1 where there is no byte. */
uint32_t rp_byte_to_point(uint8_t byte);
int rp_point_to_byte(uint32_t point);

#endif
