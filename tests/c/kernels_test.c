/* runs: native wasm */
/* Every slot of every table of kernels against the scalar reference, bit for bit: odd shapes, nasty values, poisoned
 * outputs. For seed 1 the reference's own results must have known hashes, which makes every build agree with every
 * other one; after a change of this file or of the arithmetic take the new ones from the failure's text. */
#include "kernels/kernels.h"
#include "random_weights.h"

/* ---- Comparing ----------------------------------------------------------------------------------------- */

static const rp_kernels *reference;
static const rp_kernels *tables[4];
static size_t table_count;
static uint64_t hash, seed_of_case;

static void start_case(void) {
    reference = rp_kernels_for(RP_ISA_SCALAR);
    table_count = 0;
    for (rp_isa isa = RP_ISA_BEST; isa <= RP_ISA_RELAXED; isa++) {
        const rp_kernels *table = rp_kernels_for(isa);
        bool known = !table || table == reference;
        for (size_t i = 0; i < table_count; i++)
            known = known || tables[i] == table;
        if (!known)
            tables[table_count++] = table;
    }
    hash = RP_HASH_START;
    seed_of_case = test_now.random;
}

static void check_hash(uint64_t want) {
    if (seed_of_case == 1 && hash != want && test_complain(__FILE__, __LINE__))
        test_print("the reference's hash is 0x%016" PRIx64 "\n", hash);
}

/* NaN has any sign and payload. */
static void canonical(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (x[i] != x[i])
            x[i] = float_of(0x7fc00000u);
}

static size_t first_difference(const void *a, const void *b, size_t bytes) {
    const uint8_t *x = a, *y = b;
    size_t i = 0;
    while (i < bytes && x[i] == y[i])
        i++;
    return i;
}

static void check_same_bytes(const void *is, const void *want, size_t bytes, const char *what, const char *table) {
    if (memcmp(is, want, bytes) != 0 && test_complain(__FILE__, __LINE__))
        test_print("%s of %s differs from byte %zu of %zu on\n", what, table, first_difference(is, want, bytes), bytes);
}

static void check_same_floats(float *is, float *want, size_t n, const char *what, const char *table) {
    canonical(is, n);
    canonical(want, n);
    check_same_bytes(is, want, n * sizeof *is, what, table);
}

static void check_poison(const void *from, const void *to, const char *what) {
    for (const uint8_t *p = from; p < (const uint8_t *)to; p++)
        if (*p != POISON) {
            if (test_complain(__FILE__, __LINE__))
                test_print("%s: wrote outside its range\n", what);
            return;
        }
}

static void add_to_hash(float *x, size_t n) {
    canonical(x, n);
    hash = rp_hash_bytes(hash, x, n * sizeof *x);
}

static size_t random_below(size_t n) {
    return (size_t)(test_random() % n);
}

/* n floats at any multiple of 4 bytes. Takes no random number: with more tables there are more of these. */
static float *floats(size_t n) {
    static size_t turn;
    size_t offset = turn++ % 4;
    return (float *)buffer((n + offset) * sizeof(float)) + offset;
}

static float *copy_floats(const float *x, size_t n) {
    return memcpy(floats(n), x, n * sizeof *x);
}

static rp_act make_act(size_t tokens, size_t columns) {
    size_t padded = (size_t)rp_round_up(columns, RP_TILE), last = tokens;
    tokens = rp_round_up(tokens, RP_TOKENS);
    return (rp_act){.tokens = last,
                    .q = buffer(tokens * padded),
                    .pairs = buffer(tokens * padded * sizeof(int16_t)),
                    .scale = buffer(tokens * (padded / 32) * sizeof(float)),
                    .sums = buffer(tokens * (padded / 16) * sizeof(int16_t)),
                    .values = buffer(tokens * padded * sizeof(float)),
                    .padded = padded};
}

/* ---- quantize ------------------------------------------------------------------------------------------ */

/* One row: the others' places must have kept their poison. */
static void check_same_act(const rp_act *is, const rp_act *want, size_t tokens, const char *table) {
    size_t n = tokens * want->padded;
    check_same_bytes(is->q, want->q, n, "quantize: q", table);
    check_same_bytes(is->pairs, want->pairs, n * sizeof *is->pairs, "quantize: pairs", table);
    check_same_bytes(is->sums, want->sums, n / 16 * sizeof *is->sums, "quantize: sums", table);
    check_same_floats(is->scale, want->scale, n / 32, "quantize: scale", table);
    check_same_floats(is->values, want->values, n, "quantize: values", table);
}

/* One row is written. */
static void try_quantize(size_t n, act_fill fill) {
    float *x = floats(n);
    random_activations(fill, x, n);
    rp_act want = make_act(1 + random_below(9), n);
    size_t token = random_below(want.tokens), padded = want.padded;
    reference->quantize(x, n, &want, token);
    for (size_t other = 0; other < want.tokens; other++)
        for (size_t c = 0; other != token && c < padded; c++) {
            check_poison(want.q + rp_act_at(&want, other, c), want.q + rp_act_at(&want, other, c) + 1, "quantize: q");
            float *value = want.values + rp_act_value_at(&want, other, c);
            check_poison(value, value + 1, "quantize: values");
        }
    for (size_t c = 0; c < padded; c++) {
        float value = want.values[rp_act_value_at(&want, token, c)];
        int16_t pair = want.pairs[rp_act_pair_at(&want, token, c)];
        add_to_hash(&value, 1);
        hash = rp_hash_bytes(hash, &pair, sizeof pair);
        CHECK_INT(want.q[rp_act_at(&want, token, c)], pair);
    }
    for (size_t tile = 0; tile < padded / 32; tile++)
        add_to_hash(want.scale + rp_act_tile_at(&want, token, tile), 1);
    for (size_t i = 0; i < table_count; i++) {
        rp_act is = make_act(want.tokens, n);
        tables[i]->quantize(x, n, &is, token);
        check_same_act(&is, &want, rp_round_up(want.tokens, RP_TOKENS), tables[i]->name);
    }
    release_buffers();
}

TEST(quantize) {
    start_case();
    for (size_t n = 1; n <= 70; n++)
        for (int fill = 0; fill < ACT_FILLS; fill++)
            try_quantize(n, (act_fill)fill);
    for (int fill = 0; fill < ACT_FILLS; fill++)
        try_quantize(1536 + random_below(64), (act_fill)fill);
    check_hash(0x5a45357cbbd056c9);
}

/* ---- matmul -------------------------------------------------------------------------------------------- */

typedef struct shape {
    rp_type type;
    size_t rows, columns, tokens;
    weight_fill weights;
    act_fill acts;
} shape;

static void try_matmul(const shape *s) {
    rp_act act = make_act(s->tokens, s->columns);
    float *x = floats(s->columns);
    for (size_t token = 0; token < s->tokens; token++) {
        random_activations(s->acts, x, s->columns);
        reference->quantize(x, s->columns, &act, token);
    }
    size_t groups = (s->rows + 7) / 8, stride = groups * RP_ROWS + random_below(5), n = s->tokens * stride;
    rp_matmul job = {.weights = random_matrix(s->type, s->weights, s->rows, s->columns, NULL),
                     .group_bytes = (size_t)rp_group_bytes(s->type, s->columns),
                     .columns = s->columns,
                     .first = random_below(groups),
                     .act = &act,
                     .stride = stride};
    job.last = job.first + 1 + random_below(groups - job.first);
    float *want = job.out = floats(n);
    reference->matmul[s->type](&job);
    for (size_t token = 0; token < s->tokens; token++) {
        const float *row = want + token * stride;
        check_poison(row, row + job.first * RP_ROWS, "reference matmul");
        check_poison(row + job.last * RP_ROWS, row + stride, "reference matmul");
    }
    for (size_t i = 0; i < table_count; i++) {
        float *is = job.out = floats(n);
        tables[i]->matmul[s->type](&job);
        int before = test_now.complaints;
        check_same_floats(is, want, n, rp_type_traits[s->type].name, tables[i]->name);
        if (test_now.complaints > before && test_now.complaints <= TEST_COMPLAINTS_SHOWN)
            test_print("  %zu rows, %zu columns, %zu tokens, fills %d and %d\n", s->rows, s->columns, s->tokens,
                       s->weights, s->acts);
    }
    add_to_hash(want, n);
    release_buffers();
}

TEST(matmul) {
    static const size_t columns[] = {1, 12, 32, 64, 96, 172, 256, 512, 576};
    start_case();
    size_t trial = 0;
    for (int type = 0; type < RP_TYPES; type++)
        for (size_t c = 0; c < RP_COUNT(columns); c++)
            for (int fill = 0; columns[c] % rp_type_traits[type].columns == 0 && fill < WEIGHT_FILLS * ACT_FILLS;
                 fill++)
                try_matmul(&(shape){.type = (rp_type)type,
                                    .rows = 1 + random_below(26),
                                    .columns = columns[c],
                                    .tokens = 1 + trial++ % 9,
                                    .weights = (weight_fill)(fill % WEIGHT_FILLS),
                                    .acts = (act_fill)(fill / WEIGHT_FILLS)});
    check_hash(0x8971655de211fd4d);
}

/* ---- Vectors ------------------------------------------------------------------------------------------- */

static void try_rms_norm(size_t n, act_fill fill) {
    float *x = floats(n), *weight = floats(n), *want = floats(n);
    random_activations(fill, x, n);
    random_activations(ACT_SANE, weight, n);
    float eps = random_below(2) ? 1e-5f : 0.0f;
    reference->rms_norm(want, x, weight, n, eps);
    for (size_t i = 0; i < table_count; i++) {
        float *is = floats(n), *in_place = copy_floats(x, n);
        tables[i]->rms_norm(is, x, weight, n, eps);
        check_same_floats(is, want, n, "rms_norm", tables[i]->name);
        tables[i]->rms_norm(in_place, in_place, weight, n, eps);
        check_same_floats(in_place, want, n, "rms_norm in place", tables[i]->name);
    }
    add_to_hash(want, n);
    release_buffers();
}

static void run_add(const rp_kernels *k, float *x, const float *y, size_t n) {
    k->add(x, y, n);
}
static void run_silu_mul(const rp_kernels *k, float *x, const float *y, size_t n) {
    k->silu_mul(x, y, n);
}
static void run_gelu_mul(const rp_kernels *k, float *x, const float *y, size_t n) {
    k->gelu_mul(x, y, n);
}
static void run_softmax(const rp_kernels *k, float *x, const float *y, size_t n) {
    (void)y;
    k->softmax(x, n, 0.125f);
}

static void try_vector(const char *name, void (*run)(const rp_kernels *, float *, const float *, size_t), size_t n,
                       act_fill fill) {
    float *x = floats(n), *y = floats(n);
    random_activations(fill, x, n);
    random_activations((act_fill)random_below(ACT_FILLS), y, n);
    for (size_t i = 0; i < n; i++) /* where exp does something */
        x[i] *= fill == ACT_SANE ? 100.0f : 1.0f;
    float *want = copy_floats(x, n);
    run(reference, want, y, n);
    for (size_t i = 0; i < table_count; i++) {
        float *is = copy_floats(x, n);
        run(tables[i], is, y, n);
        check_same_floats(is, want, n, name, tables[i]->name);
    }
    add_to_hash(want, n);
    release_buffers();
}

TEST(vectors) {
    start_case();
    for (size_t length = 1; length <= 75; length++)
        for (int f = 0; f < ACT_FILLS; f++) {
            size_t n = length <= 70 ? length : 500 + random_below(2000);
            act_fill fill = (act_fill)f;
            try_rms_norm(n, fill);
            try_vector("add", run_add, n, fill);
            try_vector("silu_mul", run_silu_mul, n, fill);
            try_vector("gelu_mul", run_gelu_mul, n, fill);
            try_vector("softmax", run_softmax, n, fill);
        }
    check_hash(0x129a54562e509519);
}

/* Fewer columns than lie between two groups, as in cached values. */
TEST(matmul_of_a_part) {
    start_case();
    for (int trial = 0; trial < 40; trial++) {
        size_t columns = 1 + random_below(70), room = columns + random_below(40), tokens = 1 + random_below(9);
        rp_type type = trial % 2 ? RP_F16 : RP_F32;
        rp_act act = make_act(tokens, columns);
        float *x = floats(columns);
        for (size_t token = 0; token < tokens; token++) {
            random_activations(ACT_SANE, x, columns);
            reference->quantize(x, columns, &act, token);
        }
        rp_matmul job = {.weights = random_matrix(type, (weight_fill)0, 24, room, NULL),
                         .group_bytes = (size_t)rp_group_bytes(type, room),
                         .columns = columns,
                         .last = 3,
                         .act = &act,
                         .stride = 24};
        float *want = job.out = floats(tokens * 24);
        reference->matmul[type](&job);
        for (size_t i = 0; i < table_count; i++) {
            float *is = job.out = floats(tokens * 24);
            tables[i]->matmul[type](&job);
            check_same_floats(is, want, tokens * 24, "matmul of a part", tables[i]->name);
        }
        add_to_hash(want, tokens * 24);
        release_buffers();
    }
    check_hash(0xdaa5ea6429410ffa);
}

/* ---- Attention ----------------------------------------------------------------------------------------- */

static void run_mix(const rp_kernels *k, bool nibbles, const rp_mix *job) {
    (nibbles ? k->mix_q4_0 : k->mix_q8_0)(job);
}

/* Tiles of any bytes: also scales that are infinite or no number, which a saved state may hold. */
static void try_mix(bool nibbles, size_t tiles, size_t queries, act_fill fill, bool any_bytes) {
    const char *name = nibbles ? "mix_q4_0" : "mix_q8_0";
    size_t tile_bytes = nibbles ? RP_MIX_Q4_TILE_BYTES : RP_MIX_TILE_BYTES;
    uint8_t *strip = buffer(tiles * tile_bytes);
    for (size_t i = 0; i < tiles * tile_bytes; i++)
        strip[i] = (uint8_t)test_random();
    for (size_t i = 0; i < tiles && !any_bytes; i++)
        for (size_t p = 0; p < RP_TILE; p++) {
            uint16_t d = rp_f32_to_f16(test_random_float());
            memcpy(strip + i * tile_bytes + 2 * p, &d, sizeof d);
        }
    rp_mix job = {.strip = strip, .tiles = tiles, .queries = queries};
    job.weight_stride = tiles * RP_TILE + random_below(6);
    job.stride = RP_TILE + random_below(5);
    float *weights = floats(queries * job.weight_stride);
    random_activations(fill, weights, queries * job.weight_stride);
    for (size_t i = 0; i < queries * job.weight_stride; i++) /* what softmax gives to those that are not seen */
        weights[i] = random_below(3) ? weights[i] : 0.0f;
    job.weights = weights;
    size_t n = queries * job.stride;
    float *want = job.out = floats(n);
    run_mix(reference, nibbles, &job);
    for (size_t query = 0; query < queries; query++)
        check_poison(want + query * job.stride + RP_TILE, want + (query + 1) * job.stride, name);
    for (size_t i = 0; i < table_count; i++) {
        float *is = job.out = floats(n);
        run_mix(tables[i], nibbles, &job);
        check_same_floats(is, want, n, name, tables[i]->name);
    }
    add_to_hash(want, n);
    release_buffers();
}

static void try_mixes(bool nibbles) {
    start_case();
    for (size_t tiles = 1; tiles <= 5; tiles++)
        for (size_t queries = 1; queries <= 9; queries++)
            for (int fill = 0; fill < ACT_FILLS; fill++)
                try_mix(nibbles, tiles, queries, (act_fill)fill, random_below(2));
}

TEST(mix_q8_0) {
    try_mixes(false);
    check_hash(0x2b5c892633534768);
}

TEST(mix_q4_0) {
    try_mixes(true);
    check_hash(0xf9b4d39f6db8e1d2);
}

/* Every nibble in every place is what the layout says, in sums of one term: above, tables are only compared with each
 * other. */
TEST(mix_q4_0_reads_each_nibble) {
    start_case();
    for (size_t at = 0; at < RP_TILE * RP_TILE; at++) {
        size_t position = at / RP_TILE, column = at % RP_TILE;
        uint8_t tile[RP_MIX_Q4_TILE_BYTES];
        float weights[RP_TILE] = {0}, out[RP_TILE];
        unsigned code = (unsigned)(at + at / 16) % 16;
        memset(tile, RP_MIX_Q4_ZERO * 0x11, sizeof tile);
        for (size_t p = 0; p < RP_TILE; p++)
            rp_store_u16(tile + 2 * p, 0x3c00); /* 1 */
        weights[position] = 32767.0f;
        uint8_t *byte = tile + rp_mix_q4_place(position, column);
        *byte = (uint8_t)((*byte & 0xf0 >> rp_mix_q4_shift(column)) | code << rp_mix_q4_shift(column));
        for (size_t i = 0; i <= table_count; i++) {
            (i ? tables[i - 1] : reference)
                ->mix_q4_0(&(rp_mix){
                    .strip = tile, .tiles = 1, .weights = weights, .queries = 1, .out = out, .stride = RP_TILE});
            for (size_t c = 0; c < RP_TILE; c++)
                CHECK(out[c] == (c == column ? 32767.0f * ((float)code - RP_MIX_Q4_ZERO) : 0.0f));
        }
    }
}

/* What the other cases compared with the reference. */
TEST(tables) {
    start_case();
    if (table_count == 0)
        SKIP("this build has only the scalar table, there is nothing to compare it with");
    for (size_t i = 0; i < table_count; i++) {
        const rp_kernels *k = tables[i];
        CHECK(rp_kernels_for(k->isa) == k && k->name[0] && k->isa != RP_ISA_SCALAR);
        CHECK(k->quantize && k->rms_norm && k->add && k->silu_mul && k->gelu_mul && k->softmax);
        CHECK(k->mix_q8_0 && k->mix_q4_0);
        for (int type = 0; type < RP_TYPES; type++)
            CHECK(k->matmul[type]);
        test_print("compared %s\n", k->name);
    }
    CHECK(rp_kernels_for(RP_ISA_BEST) != reference);
}

/* What a page compares with the constant when it loads a build. */
TEST(check_of_a_build) {
    start_case();
    CHECK(rp_kernels_check(reference) == RP_KERNELS_CHECK);
    for (size_t i = 0; i < table_count; i++)
        CHECK(rp_kernels_check(tables[i]) == RP_KERNELS_CHECK);
}

TEST_MAIN(check_of_a_build, tables, quantize, matmul, matmul_of_a_part, vectors, mix_q8_0, mix_q4_0,
          mix_q4_0_reads_each_nibble)
