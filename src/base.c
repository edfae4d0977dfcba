/* Counted memory, errors, hashes and half floats: see base.h. */
#include "base.h"

#include <stdlib.h>
#include <string.h>

const char *rp_status_name(rp_status status) {
    switch (status) {
    case RP_OK: return "RP_OK";
    case RP_CONTEXT_FULL: return "RP_CONTEXT_FULL";
    case RP_ERR_ARGUMENT: return "RP_ERR_ARGUMENT";
    case RP_ERR_FORMAT: return "RP_ERR_FORMAT";
    case RP_ERR_UNSUPPORTED: return "RP_ERR_UNSUPPORTED";
    case RP_ERR_MEMORY: return "RP_ERR_MEMORY";
    case RP_ERR_IO: return "RP_ERR_IO";
    }
    return "RP_ERR_ARGUMENT";
}

static void *library_alloc(void *user, size_t bytes) {
    (void)user;
    return malloc(bytes);
}

static void library_release(void *user, void *memory, size_t bytes) {
    (void)user;
    (void)bytes;
    free(memory);
}

void rp_memory_init(rp_memory *memory, const rp_host *host) {
    *memory = (rp_memory){.host = *host};
    if (!memory->host.alloc)
        memory->host = (rp_host){.alloc = library_alloc, .release = library_release};
}

void *rp_alloc_raw(rp_memory *memory, size_t count, size_t size, const char *what, rp_error *err) {
    uint64_t bytes = 0;
    if (!rp_mul(RP_MAX(count, 1), size, &bytes) || bytes > SIZE_MAX / 2) {
        rp_fail(err, RP_ERR_MEMORY, "%s: %llu items of %llu bytes are more than this machine can address", what,
                (unsigned long long)count, (unsigned long long)size);
        return NULL;
    }
    void *block = memory->host.alloc(memory->host.user, (size_t)bytes);
    if (!block) {
        rp_fail(err, RP_ERR_MEMORY, "%s: %llu bytes could not be had, %llu are held", what, (unsigned long long)bytes,
                (unsigned long long)memory->bytes_now);
        err->bytes_needed = bytes;
        return NULL;
    }
    memory->bytes_now += bytes;
    memory->bytes_peak = RP_MAX(memory->bytes_peak, memory->bytes_now);
    return block;
}

void *rp_alloc(rp_memory *memory, size_t count, size_t size, const char *what, rp_error *err) {
    void *block = rp_alloc_raw(memory, count, size, what, err);
    return block ? memset(block, 0, RP_MAX(count, 1) * size) : NULL;
}

void rp_release(rp_memory *memory, void *block, size_t count, size_t size) {
    if (!block)
        return;
    size_t bytes = RP_MAX(count, 1) * size;
    memory->bytes_now -= bytes;
    memory->host.release(memory->host.user, block, bytes);
}

void *rp_grow(rp_memory *memory, void *block, size_t count, size_t new_count, size_t size, const char *what,
              rp_error *err) {
    void *bigger = rp_alloc(memory, new_count, size, what, err);
    if (!bigger)
        return NULL;
    if (block)
        memcpy(bigger, block, count * size);
    rp_release(memory, block, count, size);
    return bigger;
}

rp_status rp_fail(rp_error *err, rp_status status, const char *format, ...) {
    va_list args;
    err->status = status;
    err->bytes_needed = 0;
    va_start(args, format);
    rp_format_list(err->message, sizeof err->message, format, args);
    va_end(args);
    for (char *c = err->message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return status;
}

uint64_t rp_hash_bytes(uint64_t hash, const void *bytes, size_t size) {
    const uint8_t *p = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

uint64_t rp_hash_words(uint64_t hash, const void *bytes, size_t size) {
    const uint8_t *p = bytes;
    for (; size >= 8; p += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return rp_hash_bytes(hash, p, size);
}

static float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float rp_f16_to_f32(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 0x1f;
    uint32_t fraction = half & 0x3ff;
    if (exponent == 0x1f)
        return float_of_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) { /* zero and denormals: exact, since 2^-24 is a power of two */
        float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t rp_f32_to_f16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000;
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x477ff000) /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) {                       /* below 2^-14: the fraction counts in units of 2^-24 */
        float scaled = float_of_bits(magnitude) + 0.5f; /* ulp of [0.5, 1) is 2^-24: rounds to nearest even */
        uint32_t rounded;
        memcpy(&rounded, &scaled, sizeof rounded);
        return (uint16_t)(sign | (rounded - 0x3f000000));
    }
    uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | ((magnitude + 0xfff + odd - 0x38000000) >> 13));
}

float rp_bf16_to_f32(uint16_t half) {
    return float_of_bits((uint32_t)half << 16);
}
