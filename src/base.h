/* What every other file stands on: counted memory, checked size arithmetic, errors, hashes.
 * Nothing here knows what a model is. */
#ifndef RP_BASE_H
#define RP_BASE_H

#include "reprise.h"

#include <stdarg.h>

#define RP_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RP_MIN(a, b) ((a) < (b) ? (a) : (b))
#define RP_MAX(a, b) ((a) > (b) ? (a) : (b))

/* Returns from the caller when an expression's status is not RP_OK. */
#define RP_TRY(expression)                                                                                             \
    do {                                                                                                               \
        rp_status try_status = (expression);                                                                           \
        if (try_status != RP_OK)                                                                                       \
            return try_status;                                                                                         \
    } while (0)

/* A host and a count of what was taken from it. */
typedef struct rp_memory {
    rp_host host;
    uint64_t bytes_now, bytes_peak;
} rp_memory;

/* A host of all zeros becomes the C library's. */
void rp_memory_init(rp_memory *memory, const rp_host *host);
/* `count` items of `size` bytes, zeroed, 16-byte aligned; NULL (and `err` filled, naming `what`) when they cannot be had.
 * A count of zero gives memory too. Release with the same count and size. */
void *rp_alloc(rp_memory *memory, size_t count, size_t size, const char *what, rp_error *err);
/* The same for bytes that are written before they are read: not zeroed, so that no page is touched early. */
void *rp_alloc_raw(rp_memory *memory, size_t count, size_t size, const char *what, rp_error *err);
void rp_release(rp_memory *memory, void *block, size_t count, size_t size); /* NULL is fine */
/* A bigger block with the old items copied; the old block stays valid when this fails. */
void *rp_grow(rp_memory *memory, void *block, size_t count, size_t new_count, size_t size, const char *what,
              rp_error *err);

/* Fills err and returns its status. Always one line; control characters of file data become '?'. */
rp_status rp_fail(rp_error *err, rp_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A printf that is small: %s %.*s %.Ns %c %d %u %x, wider with ll, zero-padded with 0N, %g and %.Ng (right in all but the last
 * digits), %%. What it does not know comes out as it stands. Cuts what does not fit, always ends with a zero; returns the length. */
size_t rp_format(char *out, size_t room, const char *format, ...) __attribute__((format(printf, 3, 4)));
size_t rp_format_list(char *out, size_t room, const char *format, va_list args) __attribute__((format(printf, 3, 0)));

/* False on overflow; *out is then untouched. */
static inline bool rp_mul(uint64_t a, uint64_t b, uint64_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool rp_add(uint64_t a, uint64_t b, uint64_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

static inline uint64_t rp_round_up(uint64_t value, uint64_t step) {
    return (value + step - 1) / step * step;
}

#define RP_HASH_START UINT64_C(0xcbf29ce484222325)
/* FNV-1a over bytes, from RP_HASH_START or from an earlier result. */
uint64_t rp_hash_bytes(uint64_t hash, const void *bytes, size_t size);

/* The same idea eight bytes at a time, for megabytes; the result depends on where the pieces are cut. */
uint64_t rp_hash_words(uint64_t hash, const void *bytes, size_t size);

/* IEEE half and bfloat16 to float, exact. */
float rp_f16_to_f32(uint16_t half);
/* As rp_f16_to_f32 but for infinities and NaN, which are read as if their exponent were one more of the ordinary ones (ARM's
 * alternative half precision): what kernels do with scales, float weights and caches, in four instructions. */
static inline float rp_f16_finite_to_f32(uint16_t half) {
    union {
        uint32_t bits;
        float value;
    } u = {.bits = (uint32_t)(half & 0x8000) << 16 | (uint32_t)(half & 0x7fff) << 13};
    return u.value * 0x1p112f;
}
uint16_t rp_f32_to_f16(float value); /* to nearest even */
float rp_bf16_to_f32(uint16_t half);

/* Unaligned, little-endian. */
static inline void rp_store_u16(uint8_t *p, uint16_t value) {
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}
static inline uint16_t rp_load_u16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t rp_load_u32(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t rp_load_u64(const uint8_t *p) {
    return rp_load_u32(p) | (uint64_t)rp_load_u32(p + 4) << 32;
}

#endif
