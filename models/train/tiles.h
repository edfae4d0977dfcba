/* Products of bf16 matrices for the trainer, in tiles of 1 KB as AMX has them (Intel, Architecture Instruction Set Extensions, ch. 3).
 *
 * Every factor is a grid of tiles of 16 rows by 64 bytes. Form A of X (m x k): tile (i, l) has in its row r the values X[16 i + r][32 l ...
 * 32 l + 31]. Form B of Y (k x n): tile (j, l) has in its row p the pairs Y[32 l + 2 p], Y[32 l + 2 p + 1] of the columns 16 j ... 16 j +
 * 15. Seen as 16 x 16 words, form B of the transpose of X is form A's tiles transposed. All m, n and k are multiples of 32.
 *
 * Where there is no AMX the same tiles are multiplied by AVX-512 BF16, and where there is none by plain C. */
#ifndef TILES_H
#define TILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __AMX_BF16__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#ifdef __SSE__
#include <immintrin.h>
#endif

enum { TILE = 512 }; /* values of a tile */
typedef uint16_t bf16;
typedef float v16 __attribute__((ext_vector_type(16)));
typedef int v16i __attribute__((ext_vector_type(16)));
typedef uint32_t v16u __attribute__((ext_vector_type(16)));
typedef uint16_t v16s __attribute__((ext_vector_type(16)));
typedef uint16_t v32s __attribute__((ext_vector_type(32)));

static inline v16 load(const float *p) {
    v16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store(float *p, v16 v) {
    memcpy(p, &v, sizeof v);
}

/* Half of a tile's row: 16 values. */
static inline v16 load_bf16(const bf16 *p) {
    v16s v;
    memcpy(&v, p, sizeof v);
    return (v16)(__builtin_convertvector(v, v16u) << 16);
}

static inline void store_bf16(bf16 *p, v16 v) {
#ifdef __AVX512BF16__
    __m256bh h = _mm512_cvtneps_pbh((__m512)v);
    memcpy(p, &h, sizeof h);
#else
    v16u u = (v16u)v;
    v16s h = __builtin_convertvector((u + 0x7fffu + ((u >> 16) & 1u)) >> 16, v16s);
    memcpy(p, &h, sizeof h);
#endif
}

/* Row r of form A, 32 values at column 32 l. */
static inline bf16 *row_of(bf16 *a, int k_tiles, int r, int l) {
    return a + ((size_t)(r / 16) * k_tiles + l) * TILE + (r % 16) * 32;
}

/* Rows of floats into form A. */
static inline void to_a(const float *x, int m, int k, bf16 *a) {
    for (int r = 0; r < m; r++)
        for (int c = 0; c < k; c += 16)
            store_bf16(row_of(a, k / 32, r, c / 32) + c % 32, load(x + (size_t)r * k + c));
}

/* 16 x 16 words transposed. */
static inline void transpose_tile(const bf16 *from, bf16 *to) {
    v16u r[16], s[16];
    memcpy(r, from, sizeof r);
    for (int i = 0; i < 16; i += 2) {
        s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30);
        s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
    }
    for (int i = 0; i < 16; i += 4)
        for (int j = i; j < i + 2; j++) {
            r[j] = __builtin_shufflevector(s[j], s[j + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
            r[j + 2] =
                __builtin_shufflevector(s[j], s[j + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
        }
    for (int i = 0; i < 16; i += 8)
        for (int j = i; j < i + 4; j++) {
            s[j] = __builtin_shufflevector(r[j], r[j + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
            s[j + 4] =
                __builtin_shufflevector(r[j], r[j + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
        }
    for (int j = 0; j < 8; j++) {
        r[j] = __builtin_shufflevector(s[j], s[j + 8], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
        r[j + 8] =
            __builtin_shufflevector(s[j], s[j + 8], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    }
    memcpy(to, r, sizeof r);
}

/* Form A of X (m x k) into form B of its transpose (k x m). */
static inline void transposed_b(const bf16 *a, int m, int k, bf16 *b) {
    for (size_t t = 0; t < (size_t)(m / 16) * (k / 32); t++)
        transpose_tile(a + t * TILE, b + t * TILE);
}

/* Two tiles of form A, 32 rows of 32 columns, into the two tiles of form B (the rows being k) of columns 0-15 and 16-31. */
static inline void pair_tiles(const bf16 *upper, const bf16 *lower, bf16 *left, bf16 *right) {
    for (int r = 0; r < 16; r++) {
        const bf16 *from = r < 8 ? upper + r * 64 : lower + (r - 8) * 64;
        v32s even, odd;
        memcpy(&even, from, sizeof even);
        memcpy(&odd, from + 32, sizeof odd);
        v32s l = __builtin_shufflevector(even, odd, 0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8, 40, 9,
                                         41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47);
        v32s h = __builtin_shufflevector(even, odd, 16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55, 24,
                                         56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63);
        memcpy(left + r * 32, &l, sizeof l);
        memcpy(right + r * 32, &h, sizeof h);
    }
}

/* Form A of X (m x k) into form B of X itself (m is then the inner dimension). */
static inline void paired_b(const bf16 *a, int m, int k, bf16 *b) {
    int k_tiles = k / 32, m_tiles = m / 32;
    for (int l = 0; l < k_tiles; l++)
        for (int i = 0; i < m_tiles; i++) {
            const bf16 *upper = a + ((size_t)2 * i * k_tiles + l) * TILE;
            bf16 *left = b + ((size_t)2 * l * m_tiles + i) * TILE;
            pair_tiles(upper, upper + (size_t)k_tiles * TILE, left, left + (size_t)m_tiles * TILE);
        }
}

/* Form A of X (m x k) into form A of its transpose (k x m). */
static inline void transposed_a(const bf16 *a, int m, int k, bf16 *to) {
    paired_b(a, m, k, to);
    for (size_t t = 0; t < (size_t)(m / 16) * (k / 32); t++)
        transpose_tile(to + t * TILE, to + t * TILE);
}

/* Before all else: makes very small numbers zero, which they take a hundred times as long as, and asks for the registers of tiles.
 * Answers whether products can be computed. */
static inline bool tiles_begin(void) {
#ifdef __SSE__
    enum { FLUSH_RESULTS = 0x8000, FLUSH_OPERANDS = 0x40 };
    _mm_setcsr(_mm_getcsr() | FLUSH_RESULTS | FLUSH_OPERANDS);
#endif
#ifdef __AMX_BF16__
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config __attribute__((aligned(64))) = {.palette = 1};
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* of Linux' arch_prctl */
    if (syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA))
        return false;
    for (int t = 0; t < 8; t++)
        config.bytes[t] = 64, config.rows[t] = 16;
    _tile_loadconfig(&config);
#endif
    return true;
}

#ifdef __AMX_BF16__
/* 32 x 32 of a product: two tiles of form A rows apart by a_row, two of form B apart by b_column. */
static inline void product(int k_tiles, const bf16 *a, size_t a_row, const bf16 *b, size_t b_column, float *c,
                           size_t stride, bool add) {
    if (add) {
        _tile_loadd(0, c, stride * 4);
        _tile_loadd(1, c + 16, stride * 4);
        _tile_loadd(2, c + 16 * stride, stride * 4);
        _tile_loadd(3, c + 16 * stride + 16, stride * 4);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int l = 0; l < k_tiles; l++, a += TILE, b += TILE) {
        _tile_loadd(4, a, 64);
        _tile_loadd(6, b, 64);
        _tile_loadd(5, a + a_row, 64);
        _tile_loadd(7, b + b_column, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, stride * 4);
    _tile_stored(1, c + 16, stride * 4);
    _tile_stored(2, c + 16 * stride, stride * 4);
    _tile_stored(3, c + 16 * stride + 16, stride * 4);
}
#else
static inline v16 dot_pairs(v16 sum, const bf16 *pair, const bf16 *row) {
#ifdef __AVX512BF16__
    uint32_t word;
    memcpy(&word, pair, sizeof word);
    return (v16)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32((int)word),
                                 (__m512bh)_mm512_loadu_si512(row));
#else
    v16u pairs;
    memcpy(&pairs, row, sizeof pairs);
    uint32_t even = (uint32_t)pair[0] << 16, odd = (uint32_t)pair[1] << 16;
    float first, second;
    memcpy(&first, &even, sizeof first);
    memcpy(&second, &odd, sizeof second);
    return sum + first * (v16)(pairs << 16) + second * (v16)(pairs & 0xffff0000u);
#endif
}

static inline void product(int k_tiles, const bf16 *a, size_t a_row, const bf16 *b, size_t b_column, float *c,
                           size_t stride, bool add) {
    enum { AT_ONCE = 8 };
    for (int r = 0; r < 32; r += AT_ONCE) {
        v16 sum[AT_ONCE][2];
        for (int i = 0; i < AT_ONCE; i++)
            for (int j = 0; j < 2; j++)
                sum[i][j] = add ? load(c + (r + i) * stride + 16 * j) : (v16)0.0F;
        const bf16 *rows = a + (r / 16) * a_row + (r % 16) * 32;
        for (int l = 0; l < k_tiles; l++)
            for (int p = 0; p < 16; p++)
                for (int i = 0; i < AT_ONCE; i++)
                    for (int j = 0; j < 2; j++)
                        sum[i][j] = dot_pairs(sum[i][j], rows + (size_t)l * TILE + i * 32 + 2 * p,
                                              b + j * b_column + (size_t)l * TILE + p * 32);
        for (int i = 0; i < AT_ONCE; i++)
            for (int j = 0; j < 2; j++)
                store(c + (r + i) * stride + 16 * j, sum[i][j]);
    }
}
#endif

/* C (m x n, rows `stride` floats apart) = or += A B; consecutive rows of tiles of A lie a_row values apart, columns of B b_column. What
 * is the smaller part of a product stays in the nearest cache: a panel of B for many rows, of A for many columns. */
static inline void multiply(int m, int n, int k, const bf16 *a, size_t a_row, const bf16 *b, size_t b_column, float *c,
                            size_t stride, bool add) {
    bool by_rows = m > n;
    for (int outer = 0; outer < (by_rows ? m : n) / 32; outer++)
        for (int inner = 0; inner < (by_rows ? n : m) / 32; inner++) {
            int i = by_rows ? outer : inner, j = by_rows ? inner : outer;
            product(k / 32, a + 2 * i * a_row, a_row, b + 2 * j * b_column, b_column, c + 32 * i * stride + 32 * j,
                    stride, add);
        }
}

/* The same for whole matrices. */
static inline void multiply_whole(int m, int n, int k, const bf16 *a, const bf16 *b, float *c, bool add) {
    multiply(m, n, k, a, (size_t)(k / 32) * TILE, b, (size_t)(k / 32) * TILE, c, (size_t)n, add);
}

#endif
