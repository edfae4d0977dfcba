/* runs: native wasm */
/* Weight types against ggml's formats: a second dequantizer, written from ggml's block definitions in ggml's own order
 * of loops and in double precision, where every product of a block is exact. Half floats over all their values. */
#include "kernels/kernels.h"
#include "random_weights.h"

/* ---- The second dequantizer ---------------------------------------------------------------------------- */

/* 2^exponent times m, for small exponents. */
static double power(double m, int exponent) {
    for (; exponent > 0; exponent--)
        m *= 2;
    for (; exponent < 0; exponent++)
        m /= 2;
    return m;
}

static double half_value(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double magnitude = exponent ? power(1024 + fraction, exponent - 25) : power(fraction, -24);
    return half & 0x8000 ? -magnitude : magnitude;
}

static double half_at(const uint8_t *p) {
    return half_value((uint16_t)(p[0] + 256 * p[1]));
}

static int bit(const uint8_t *bytes, int i) {
    return bytes[i / 8] >> i % 8 & 1;
}

static const int iq4nl[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/* Q4_0: d, 16 bytes; Q4_1: d, m; Q5_0: d, 4 bytes of fifth bits; Q5_1: d, m, fifth bits; Q8_0: d, 32 int8; IQ4_NL as Q4_0.
 * Weight j has the low nibble of byte j, weight j + 16 the high one. */
static void ggml_block_32(rp_type type, const uint8_t *in, double *y) {
    bool has_min = type == RP_Q4_1 || type == RP_Q5_1, has_fifth = type == RP_Q5_0 || type == RP_Q5_1;
    double d = half_at(in), m = has_min ? half_at(in + 2) : 0;
    const uint8_t *fifth = in + (has_min ? 4 : 2), *qs = fifth + (has_fifth ? 4 : 0);
    for (int j = 0; j < 16; j++) {
        int x0 = qs[j] % 16 + (has_fifth ? 16 * bit(fifth, j) : 0);
        int x1 = qs[j] / 16 + (has_fifth ? 16 * bit(fifth, j + 16) : 0);
        int zero = type == RP_Q4_0 ? 8 : type == RP_Q5_0 ? 16 : 0;
        y[j] = (type == RP_IQ4_NL ? iq4nl[x0] : x0 - zero) * d + m;
        y[j + 16] = (type == RP_IQ4_NL ? iq4nl[x1] : x1 - zero) * d + m;
    }
    for (int j = 0; type == RP_Q8_0 && j < 32; j++)
        y[j] = (qs[j] < 128 ? qs[j] : qs[j] - 256) * d;
}

/* 16 bytes of scale (low) and minimum (high) for 16 weights each, 64 of codes, d, dmin. */
static void ggml_q2_k(const uint8_t *in, double *y) {
    double d = half_at(in + 80), dmin = half_at(in + 82);
    const uint8_t *q = in + 16, *scale = in;
    for (int n = 0; n < 256; n += 128, q += 32)
        for (int j = 0; j < 4; j++)
            for (int part = 0; part < 32; part += 16, scale++)
                for (int l = part; l < part + 16; l++)
                    *y++ = d * (*scale % 16) * (q[l] >> 2 * j & 3) - dmin * (*scale / 16);
}

/* 32 bytes of third bits (a clear bit subtracts 4), 64 of codes, 12 of 6-bit scales, d. */
static void ggml_q3_k(const uint8_t *in, double *y) {
    double d = half_at(in + 108);
    const uint8_t *q = in + 32, *packed = in + 96;
    int is = 0, hbit = 0;
    for (int n = 0; n < 256; n += 128, q += 32)
        for (int j = 0; j < 4; j++, hbit++)
            for (int part = 0; part < 32; part += 16, is++) {
                int low = is < 8 ? packed[is] % 16 : packed[is - 8] / 16;
                int scale = low + 16 * (packed[8 + is % 4] >> 2 * (is / 4) & 3) - 32;
                for (int l = part; l < part + 16; l++)
                    *y++ = d * scale * ((q[l] >> 2 * j & 3) - (in[l] >> hbit & 1 ? 0 : 4));
            }
}

/* The j-th 6-bit scale and minimum of Q4_K's and Q5_K's 12 bytes. */
static void k4_scale_min(int j, const uint8_t *q, int *scale, int *min) {
    if (j < 4) {
        *scale = q[j] % 64;
        *min = q[j + 4] % 64;
    } else {
        *scale = q[j + 4] % 16 + q[j - 4] / 64 * 16;
        *min = q[j + 4] / 16 + q[j] / 64 * 16;
    }
}

/* d, dmin, 12 bytes of scales, (Q5_K: 32 bytes of fifth bits,) 128 of nibbles: 32 low ones, then the same 32 bytes' high. */
static void ggml_q4_k_q5_k(bool five, const uint8_t *in, double *y) {
    double d = half_at(in), dmin = half_at(in + 2);
    const uint8_t *ql = in + (five ? 48 : 16), *qh = in + 16;
    for (int is = 0; is < 8; is++) {
        int scale, min;
        k4_scale_min(is, in + 4, &scale, &min);
        for (int l = 0; l < 32; l++) {
            int code = is % 2 ? ql[l] / 16 : ql[l] % 16;
            if (five && qh[l] >> is & 1)
                code += 16;
            *y++ = d * scale * code - dmin * min;
        }
        ql += is % 2 ? 32 : 0;
    }
}

/* 128 bytes of low nibbles, 64 of high pairs, 16 int8 scales, d. */
static void ggml_q6_k(const uint8_t *in, double *y) {
    double d = half_at(in + 208);
    const uint8_t *ql = in, *qh = in + 128, *sc = in + 192;
    for (int n = 0; n < 256; n += 128, y += 128, ql += 64, qh += 32, sc += 8)
        for (int l = 0; l < 32; l++) {
            int q[4] = {ql[l] % 16, ql[l + 32] % 16, ql[l] / 16, ql[l + 32] / 16};
            for (int k = 0; k < 4; k++) {
                int code = q[k] + 16 * (qh[l] >> 2 * k & 3) - 32, byte = sc[l / 16 + 2 * k];
                y[l + 32 * k] = d * (byte < 128 ? byte : byte - 256) * code;
            }
        }
}

/* d, 8 high pairs of scales, 8 low nibbles of scales, 128 bytes of nibbles. */
static void ggml_iq4_xs(const uint8_t *in, double *y) {
    double d = half_at(in);
    int high = in[2] + 256 * in[3];
    for (int ib = 0; ib < 8; ib++)
        for (int j = 0; j < 16; j++) {
            int scale = (in[4 + ib / 2] >> 4 * (ib % 2) & 15) + 16 * (high >> 2 * ib & 3) - 32;
            int code = in[8 + 16 * ib + j];
            y[32 * ib + j] = d * scale * iq4nl[code % 16];
            y[32 * ib + j + 16] = d * scale * iq4nl[code / 16];
        }
}

static double ggml_float(rp_type type, const uint8_t *in) {
    if (type == RP_F16)
        return half_at(in);
    uint32_t bits = type == RP_BF16 ? (uint32_t)(in[0] + 256 * in[1]) << 16 : rp_load_u32(in);
    return (double)float_of(bits);
}

static void ggml_row(rp_type type, const uint8_t *in, size_t columns, double *y) {
    const rp_traits *t = &rp_type_traits[type];
    for (size_t c = 0; c < columns; c += t->columns, in += t->block_bytes, y += t->columns)
        switch (type) {
        case RP_F32:
        case RP_F16:
        case RP_BF16: *y = ggml_float(type, in); break;
        case RP_Q2_K: ggml_q2_k(in, y); break;
        case RP_Q3_K: ggml_q3_k(in, y); break;
        case RP_Q4_K:
        case RP_Q5_K: ggml_q4_k_q5_k(type == RP_Q5_K, in, y); break;
        case RP_Q6_K: ggml_q6_k(in, y); break;
        case RP_IQ4_XS: ggml_iq4_xs(in, y); break;
        default: ggml_block_32(type, in, y); break;
        }
}

/* ---- Layout -------------------------------------------------------------------------------------------- */

static double absolute(double x) {
    return x < 0 ? -x : x;
}

/* A weight's exact value out of the memory layout, and the sum of the magnitudes of its two terms. */
static double packed_value(rp_type type, const uint8_t *super, const uint8_t *tile, size_t r, size_t c, double *terms) {
    const rp_traits *t = &rp_type_traits[type];
    int8_t codes[RP_ROWS][RP_TILE];
    int scale, min;
    rp_unpack_codes(type, tile, codes);
    rp_unpack_scales(type, tile, t->subs == 2 ? c / 16 : 0, r, &scale, &min);
    double product = half_at(super + 2 * r) * scale * codes[r][c], minimum = 0;
    if (t->minimum)
        minimum = half_at(super + 16 + 2 * r) * min * (t->subs ? -1 : 1);
    *terms = absolute(product) + absolute(minimum);
    return product + minimum;
}

static void check_row(rp_type type, size_t columns, const uint8_t *group, size_t r, const double *want) {
    const rp_traits *t = &rp_type_traits[type];
    float *row = buffer(columns * sizeof *row);
    rp_unpack_row(type, columns, group, r, row);
    for (size_t c = 0; c < columns; c++) {
        double terms = 0, exact = row[c];
        if (!rp_type_is_float(type)) {
            const uint8_t *super = group + c / t->columns * rp_super_bytes(t);
            const uint8_t *tile = super + rp_super_head_bytes(t) + c % t->columns / RP_TILE * rp_tile_bytes(t);
            exact = packed_value(type, super, tile, r, c % RP_TILE, &terms);
        }
        bool ok = exact == want[c] && absolute((double)row[c] - want[c]) <= terms * 0x1p-22;
        if (!ok && test_complain(__FILE__, __LINE__)) {
            test_print("%s row %zu column %zu: %g exactly, %g as a float, want %g\n", t->name, r, c, exact,
                       (double)row[c], want[c]);
            return;
        }
    }
}

/* Groups of 1 to 8 rows; the missing ones are zeros. */
TEST(layout_against_ggml) {
    static const size_t columns_tried[] = {1, 12, 32, 96, 172, 256, 576, 768};
    for (int i = 0; i < RP_TYPES * (int)RP_COUNT(columns_tried); i++) {
        rp_type type = (rp_type)(i % RP_TYPES);
        size_t columns = columns_tried[i / RP_TYPES];
        for (size_t count = 1; columns % rp_type_traits[type].columns == 0 && count <= 8; count++) {
            uint8_t *file, *group = random_matrix(type, WEIGHTS_SANE, count, columns, &file);
            double *want = buffer(columns * sizeof *want);
            for (size_t r = 0; r < RP_ROWS; r++) {
                if (r < count)
                    ggml_row(type, file + r * rp_row_file_bytes(type, columns), columns, want);
                else
                    memset(want, 0, columns * sizeof *want);
                check_row(type, columns, group, r, want);
            }
            release_buffers();
        }
    }
}

TEST(rows_of_later_groups) {
    for (int i = 0; i < RP_TYPES; i++) {
        rp_type type = (rp_type)i;
        uint8_t *file, *matrix = random_matrix(type, WEIGHTS_SANE, 19, 512, &file);
        double want[512];
        for (size_t row = 0; row < 19; row++) {
            float out[512];
            rp_unpack_row(type, 512, matrix, row, out);
            ggml_row(type, file + row * rp_row_file_bytes(type, 512), 512, want);
            for (size_t c = 0; c < 512; c++)
                CHECK(absolute((double)out[c] - want[c]) < 1e-3);
        }
        release_buffers();
    }
}

/* Norms and biases. */
TEST(file_rows_of_floats) {
    for (int i = RP_F32; i <= RP_BF16; i++) {
        rp_type type = (rp_type)i;
        size_t bytes = (size_t)rp_row_file_bytes(type, 37);
        uint8_t *file = buffer(bytes);
        random_rows(type, WEIGHTS_SANE, file, bytes);
        float out[37];
        double want[37];
        rp_file_row_to_f32(type, 37, file, out);
        ggml_row(type, file, 37, want);
        for (size_t c = 0; c < 37; c++)
            CHECK((double)out[c] == want[c]);
        release_buffers();
    }
}

TEST(ggml_numbers) {
    static const int ours[] = {0, 1, 2, 3, 6, 7, 8, 10, 11, 12, 13, 14, 20, 23, 30};
    int found = 0;
    for (uint32_t number = 0; number < 300; number++) {
        rp_type type;
        bool known = rp_type_from_ggml(number, &type), wanted = false;
        for (size_t i = 0; i < RP_COUNT(ours); i++)
            wanted = wanted || (uint32_t)ours[i] == number;
        CHECK_INT(known, wanted);
        found += known;
    }
    CHECK_INT(found, RP_TYPES);
    CHECK_INT(rp_row_file_bytes(RP_Q6_K, 576 / 2 * 8), 9 * 210);
}

/* ---- The reference's products -------------------------------------------------------------------------- */

/* What a weight of this type is multiplied with: the row itself for floats, else its quantized value. */
static double act_value(rp_type type, const rp_act *act, size_t token, size_t c) {
    if (rp_type_is_float(type))
        return (double)act->values[rp_act_value_at(act, token, c)];
    return (double)act->scale[rp_act_tile_at(act, token, c / 32)] * act->q[rp_act_at(act, token, c)];
}

/* In double precision, from the file rows. */
static void check_product(rp_type type, size_t columns, const double *weights, const rp_act *act, size_t token,
                          float is) {
    double sum = 0, magnitude = 0;
    for (size_t c = 0; c < columns; c++) {
        double product = weights[c] * act_value(type, act, token, c);
        sum += product;
        magnitude += absolute(product);
    }
    if (!(absolute((double)is - sum) <= 1e-5 * magnitude) && test_complain(__FILE__, __LINE__))
        test_print("%s, %zu columns, token %zu: %g, want %g\n", rp_type_traits[type].name, columns, token, (double)is,
                   sum);
}

static void try_product(rp_type type, size_t rows, size_t columns, size_t tokens) {
    const rp_kernels *k = rp_kernels_for(RP_ISA_SCALAR);
    size_t padded = (size_t)rp_round_up(columns, RP_TILE), stride = (size_t)rp_round_up(rows, RP_ROWS);
    size_t rows_of_act = rp_round_up(tokens, RP_TOKENS);
    rp_act act = {.q = buffer(rows_of_act * padded),
                  .pairs = buffer(rows_of_act * padded * 2),
                  .scale = buffer(rows_of_act * padded / 8),
                  .sums = buffer(rows_of_act * padded / 8),
                  .values = buffer(rows_of_act * padded * 4),
                  .padded = padded,
                  .tokens = tokens};
    float *x = buffer(columns * sizeof *x), *out = buffer(tokens * stride * sizeof *out);
    for (size_t token = 0; token < tokens; token++) {
        random_activations(ACT_SANE, x, columns);
        k->quantize(x, columns, &act, token);
        for (size_t c = 0; c < columns; c++) /* half a step, and the rounding of x / scale */
            CHECK(absolute((double)x[c] - act_value(RP_Q8_0, &act, token, c)) <=
                  0.50001 * (double)act.scale[rp_act_tile_at(&act, token, c / 32)]);
    }
    uint8_t *file;
    rp_matmul job = {.weights = random_matrix(type, WEIGHTS_SANE, rows, columns, &file),
                     .group_bytes = (size_t)rp_group_bytes(type, columns),
                     .columns = columns,
                     .last = stride / RP_ROWS,
                     .act = &act,
                     .out = out,
                     .stride = stride};
    k->matmul[type](&job);
    double *weights = buffer(columns * sizeof *weights);
    for (size_t row = 0; row < stride; row++) {
        memset(weights, 0, columns * sizeof *weights);
        if (row < rows)
            ggml_row(type, file + row * rp_row_file_bytes(type, columns), columns, weights);
        for (size_t token = 0; token < tokens; token++)
            check_product(type, columns, weights, &act, token, out[token * stride + row]);
    }
    release_buffers();
}

TEST(products_in_double_precision) {
    for (int i = 0; i < RP_TYPES; i++) {
        size_t columns = rp_type_traits[i].columns;
        try_product((rp_type)i, 21, columns * 3, 5);
        try_product((rp_type)i, 8, RP_MAX(columns, 768), 2);
    }
}

/* ---- Half floats --------------------------------------------------------------------------------------- */

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

TEST(halves_to_floats) {
    for (uint32_t h = 0; h < 65536; h++) {
        float value = rp_f16_to_f32((uint16_t)h);
        bool finite = (h & 0x7c00) != 0x7c00, nan = !finite && (h & 0x3ff);
        uint32_t infinity = 0x7f800000u | (h & 0x8000) << 16;
        if (nan)
            CHECK(value != value);
        else
            CHECK(finite ? (double)value == half_value((uint16_t)h) && bits_of(value) >> 31 == h >> 15
                         : bits_of(value) == infinity);
        if (nan)
            CHECK((rp_f32_to_f16(value) & 0x7fff) > 0x7c00);
        else
            CHECK_INT(rp_f32_to_f16(value), h);
        CHECK_INT(bits_of(rp_bf16_to_f32((uint16_t)h)), h << 16);
    }
}

/* Between two neighbours: nearest, the even one from the middle; from 65520 on infinity. */
TEST(floats_to_halves) {
    for (uint32_t h = 0; h < 0x7c00; h++) {
        float middle = (float)((half_value((uint16_t)h) + (h == 0x7bff ? 65536 : half_value((uint16_t)(h + 1)))) / 2);
        for (uint32_t sign = 0; sign < 2; sign++) {
            uint32_t bits = bits_of(middle) | sign << 31, top = sign << 15;
            CHECK_INT(rp_f32_to_f16(float_of(bits)), top | (h + (h & 1)));
            CHECK_INT(rp_f32_to_f16(float_of(bits - 1)), top | h);
            CHECK_INT(rp_f32_to_f16(float_of(bits + 1)), top | (h + 1));
        }
    }
    CHECK_INT(rp_f32_to_f16(float_of(1)), 0);
    CHECK_INT(rp_f32_to_f16(float_of(0x807fffff)), 0x8000);
    CHECK_INT(rp_f32_to_f16(3e38f), 0x7c00);
    CHECK_INT(rp_f32_to_f16(-float_of(0x7f800000)), 0xfc00);
}

TEST_MAIN(layout_against_ggml, rows_of_later_groups, file_rows_of_floats, ggml_numbers, products_in_double_precision,
          halves_to_floats, floats_to_halves)
