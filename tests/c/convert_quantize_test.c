/* runs: native wasm */
/* Quantizers against ggml's: hashes of what its reference quantizers make of the same rows (tests/golden/quantize.py
 * prints them). Then what holds for any input: errors, extremes, halves. The engine's own reader takes the blocks
 * apart. */
#include "convert/quantize.h"
#include "test.h"

enum { ROWS = 64, COLUMNS = 512 };

typedef enum kind { BELL, SMALL, TIES, EIGHTHS, OUTLIER, LEVELS, POSITIVE, ZEROS, KINDS } kind;

static const char *const kind_names[KINDS] = {"bell",    "small",  "ties",     "eighths",
                                              "outlier", "levels", "positive", "zeros"};
static const rp_type blocks[] = {RP_Q4_0, RP_Q4_1, RP_Q5_0, RP_Q8_0, RP_Q4_K, RP_Q6_K};

static const uint64_t ggml_hashes[KINDS][RP_COUNT(blocks)] = {
    {0x358ac126ddb8bae8, 0xe7379386af51d6c0, 0x6f6ba21318b02d67, 0x8efd1fe88175209a, 0x791a25990a18f723,
     0x0c3812f46d952831}, /* bell */
    {0x14baece6211d5ee8, 0xfd5cdb12d035f310, 0x3961459d31ada2d7, 0xe779b3ac3755787a, 0x903284d129b4df93,
     0xb0bc5858baa659f3}, /* small */
    {0xe33d31710f33b12c, 0xe4d74156f7263323, 0xf215755f42f2b29b, 0x86efff2680c9335f, 0x680ce885b2343bc5,
     0x096fb4a424521400}, /* ties */
    {0xbc15ffd35a04f351, 0x9b6d32c6c6763147, 0xdb8448eafbd16ff6, 0x902262d97776e4c0, 0x11c71d4495bd95ff,
     0x525e1505a8e8d1e4}, /* eighths */
    {0xa2728bc679adea0f, 0x5960f2b174593433, 0x973dcec584fc48ed, 0x39de0d87d21a9395, 0x399e26755adf9e51,
     0xf2d6388b322d8ef5}, /* outlier */
    {0x56a6790da10461f0, 0x62145f3b171852a8, 0x4a0079ddfd3c3b17, 0x563ac992723ad32a, 0x2a68dced8df0e071,
     0x344d65d2047b47ff}, /* levels */
    {0x4f5517ab54c04d00, 0xb523968ace8de1df, 0x8a83c5dc7b84cb20, 0xdcef384b015a1704, 0x5c7ed1cf0b841669,
     0x0b8694a9a07d3add}, /* positive */
    {0x91e00e6f87f3c325, 0x2de6e18816a06325, 0xf75e4a18ba73d325, 0xfd8e793d2ff8c325, 0x68685c488793c325,
     0xbe506e9bdb8fd725}, /* zeros */
};

/* The sum of four uniform numbers: sigma 1.1547. */
static double bell(void) {
    int32_t sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (int32_t)(test_random() >> 40) - (1 << 23);
    return sum / 8388608.0;
}

/* Exact in double precision, so that each becomes a float with one rounding. */
static double value(kind kind, size_t column) {
    switch (kind) {
    case BELL: return bell();
    case SMALL: return bell() / 64;
    case TIES: return column % 32 == 0 ? -8 : ((int)((test_random() >> 40) % 33) - 16) / 2.0;
    case EIGHTHS: return column % 32 == 0 ? 127 : ((int)((test_random() >> 40) % 509) - 254) / 2.0;
    case OUTLIER: return column % 256 == 77 ? -100 : bell();
    case LEVELS: return bell() / (1 << column / 32 % 4);
    case POSITIVE: return 1000 + bell();
    default: return 0;
    }
}

static float rows[ROWS][COLUMNS];
static uint8_t packed[ROWS * COLUMNS * 4];

static void make_rows(kind kind) {
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < COLUMNS; c++)
            rows[r][c] = (float)value(kind, c);
}

static size_t quantize_rows(rp_type type) {
    size_t bytes = (size_t)rp_row_file_bytes(type, COLUMNS);
    memset(packed, 0xaa, sizeof packed);
    for (size_t r = 0; r < ROWS; r++)
        rp_quantize_row(type, COLUMNS, rows[r], packed + r * bytes);
    return ROWS * bytes;
}

/* A row of `packed`, as the engine reads it. */
static void read_row(rp_type type, size_t row, float *out) {
    static uint8_t group[RP_ROWS * COLUMNS * 4];
    const uint8_t *bytes = packed + row * (size_t)rp_row_file_bytes(type, COLUMNS);
    if (rp_type_is_float(type)) {
        rp_file_row_to_f32(type, COLUMNS, bytes, out);
        return;
    }
    rp_pack_group(type, COLUMNS, bytes, 1, group);
    rp_unpack_row(type, COLUMNS, group, 0, out);
}

TEST(bytes_are_those_of_ggml) {
    for (int k = 0; k < KINDS; k++)
        for (size_t t = 0; t < RP_COUNT(blocks); t++) {
            test_now.random = 1; /* the goldens' seed, whatever this run's is */
            make_rows((kind)k);
            uint64_t hash = rp_hash_bytes(RP_HASH_START, packed, quantize_rows(blocks[t]));
            if (hash != ggml_hashes[k][t] && test_complain(__FILE__, __LINE__))
                test_print("%s, %s: hash %016" PRIx64 ", want %016" PRIx64 "\n", rp_type_traits[blocks[t]].name,
                           kind_names[k], hash, ggml_hashes[k][t]);
        }
}

/* Root mean square of the error, in parts of the values' own. */
static double relative_error(rp_type type) {
    double error = 0, power = 0;
    float back[COLUMNS];
    quantize_rows(type);
    for (size_t r = 0; r < ROWS; r++) {
        read_row(type, r, back);
        for (size_t c = 0; c < COLUMNS; c++) {
            double x = (double)rows[r][c], difference = (double)back[c] - x;
            error += difference * difference;
            power += x * x;
        }
    }
    return (double)__builtin_sqrtf((float)(error / power));
}

TEST(errors_are_small) {
    static const struct {
        rp_type type;
        double least, most;
    } wanted[] = {{RP_F32, 0, 0},          {RP_F16, 0, 0.0004},     {RP_BF16, 0, 0.003},
                  {RP_Q4_0, 0.06, 0.085},  {RP_Q4_1, 0.055, 0.078}, {RP_Q5_0, 0.03, 0.042},
                  {RP_Q8_0, 0.004, 0.006}, {RP_Q4_K, 0.055, 0.071}, {RP_Q6_K, 0.014, 0.0178}};
    make_rows(BELL);
    for (size_t i = 0; i < RP_COUNT(wanted); i++) {
        CHECK(rp_can_quantize(wanted[i].type));
        double error = relative_error(wanted[i].type);
        if ((error < wanted[i].least || error > wanted[i].most) && test_complain(__FILE__, __LINE__))
            test_print("%s: relative error %g, want %g to %g\n", rp_type_traits[wanted[i].type].name, error,
                       wanted[i].least, wanted[i].most);
    }
}

TEST(refuses_other_types) {
    static const rp_type others[] = {RP_Q5_1, RP_Q2_K, RP_Q3_K, RP_Q5_K, RP_IQ4_NL, RP_IQ4_XS};
    for (size_t i = 0; i < RP_COUNT(others); i++)
        CHECK(!rp_can_quantize(others[i]));
}

/* All halves, and what lies between two of them. */
TEST(halves) {
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        uint8_t half[2];
        float value = rp_f16_to_f32((uint16_t)bits), brain = rp_bf16_to_f32((uint16_t)bits);
        rp_quantize_row(RP_F16, 1, &value, half);
        CHECK(value != value || rp_load_u16(half) == bits);
        rp_quantize_row(RP_BF16, 1, &brain, half);
        CHECK(brain != brain || rp_load_u16(half) == bits);
    }
    static const struct {
        uint32_t bits, half;
    } brains[] = {{0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82},
                  {0x3f817fff, 0x3f81}, {0xbf818000, 0xbf82}, {0x00008001, 0x0001},
                  {0x7f7fffff, 0x7f80}, {0x7f800001, 0x7fc0}, {0xffc12345, 0xffc1}};
    for (size_t i = 0; i < RP_COUNT(brains); i++) {
        float value;
        uint8_t half[2];
        memcpy(&value, &brains[i].bits, sizeof value);
        rp_quantize_row(RP_BF16, 1, &value, half);
        CHECK_INT(rp_load_u16(half), brains[i].half);
    }
}

/* Magnitudes from the smallest denormal float to the largest half, side by side. */
static float any_float(int most_exponent) {
    uint64_t random = test_random();
    uint32_t bits = (uint32_t)(random >> 32) & 0x807fffff;
    bits |= (uint32_t)(random & 0xffff) % (uint32_t)most_exponent << 23;
    float value;
    memcpy(&value, &bits, sizeof value);
    return random >> 16 & 7 ? value : 0;
}

static double largest(const float *x, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        double size = x[i] < 0 ? -(double)x[i] : (double)x[i];
        most = size > most ? size : most;
    }
    return most;
}

/* No value is farther off than a step of its block's scale, where the largest value sets the scale. */
static void check_bounds(rp_type type, double steps) {
    float back[COLUMNS];
    size_t width = rp_type_traits[type].columns;
    quantize_rows(type);
    for (size_t r = 0; r < ROWS; r++) {
        read_row(type, r, back);
        for (size_t c = 0; c < COLUMNS; c++) {
            double most = largest(&rows[r][c / width * width], width);
            double off = (double)back[c] - (double)rows[r][c];
            if (!((off < 0 ? -off : off) <= most / steps + 1e-5) && test_complain(__FILE__, __LINE__))
                test_print("%s: %g became %g, largest %g\n", rp_type_traits[type].name, (double)rows[r][c],
                           (double)back[c], most);
        }
    }
}

TEST(extremes) {
    static const int exponents[] = {1, 20, 100, 127, 142}; /* of the largest, biased: denormals to below 65504 */
    for (size_t i = 0; i < RP_COUNT(exponents) + 1; i++) {
        for (size_t r = 0; r < ROWS; r++)
            for (size_t c = 0; c < COLUMNS; c++)
                rows[r][c] = i < RP_COUNT(exponents) ? any_float(exponents[i])
                             : test_random() >> 63   ? 65504.0f
                                                     : -65504.0f;
        check_bounds(RP_Q4_0, 7.9);
        check_bounds(RP_Q4_1, 7.4); /* a range from -most to most has 15 steps */
        check_bounds(RP_Q5_0, 15.9);
        check_bounds(RP_Q8_0, 225); /* half a step of 127, and what rounding the scale adds */
        check_bounds(RP_Q4_K, 4);
        check_bounds(RP_Q6_K, 16);
    }
}

/* What remains of a row that is widened with zeros. */
TEST(zeros_stay_zeros) {
    make_rows(BELL);
    for (size_t r = 0; r < ROWS; r++)
        memset(&rows[r][256], 0, 256 * sizeof(float));
    for (size_t t = 0; t < RP_COUNT(blocks); t++) {
        float back[COLUMNS];
        quantize_rows(blocks[t]);
        for (size_t r = 0; r < ROWS; r++) {
            read_row(blocks[t], r, back);
            for (size_t c = 256; c < COLUMNS; c++)
                CHECK(!(back[c] < 0 || back[c] > 0));
        }
    }
}

TEST_MAIN(bytes_are_those_of_ggml, errors_are_small, refuses_other_types, halves, extremes, zeros_stay_zeros)
