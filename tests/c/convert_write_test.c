/* runs: native wasm */
/* Drafts into files: whatever the draft says of a tensor's rows is checked against floats that were laid out by hand,
 * read back with the engine's reader. What fails fails with a name, in one line, and gives all memory back. */
#include "convert/draft.h"
#include "convert/quantize.h"
#include "memory_files.h"

static memory_files m;
static rp_draft draft;
static rp_error err;

static void open_draft(const void *input, size_t size) {
    memory_files_open(&m);
    m.inputs[1].bytes = input;
    m.inputs[1].size = size;
    CHECK_INT(rp_draft_open(&draft, &m.files, &m.memory, &err), RP_OK);
}

static void close_draft(void) {
    rp_draft_close(&draft);
    memory_files_close(&m);
}

/* A tensor that is copied from the beginning of file 1. */
static rp_draft_tensor *add(const char *name, rp_type type, uint64_t rows, uint64_t columns) {
    rp_draft_tensor *t = rp_draft_add(&draft, name, &err);
    if (!t)
        abort();
    t->rows = t->source_rows = rows;
    t->columns = t->source_columns = columns;
    t->type = t->source_type = type;
    t->file = 1;
    return t;
}

/* The output, read again. */
static rp_gguf *read_back(void) {
    rp_gguf *gguf = NULL;
    size_t used = 0;
    bool done = false;
    CHECK_INT(rp_gguf_open(&gguf, &m.memory, &err), RP_OK);
    CHECK_INT(rp_gguf_feed(gguf, m.output, m.written, &used, &done, &err), RP_OK);
    CHECK(done);
    CHECK_INT(rp_round_up(rp_gguf_header_bytes(gguf) + rp_gguf_data_bytes(gguf), 32), m.written);
    CHECK_INT(m.told, m.written);
    CHECK_INT(m.total, m.written);
    return gguf;
}

/* Writes, and compares all values of a tensor with `want` (rows x columns): at most `most` off. */
static void check_tensor(const char *name, const float *want, double most) {
    static float row[1 << 16];
    static uint8_t group[(1 << 16) * 8 * 4];
    CHECK_INT(rp_draft_write(&draft, &err), RP_OK);
    rp_gguf *gguf = read_back();
    const rp_gguf_tensor *t = rp_gguf_tensor_find(gguf, name);
    rp_type type;
    if (!t || !rp_type_from_ggml(t->type, &type))
        abort();
    size_t columns = (size_t)t->shape[0], bytes = (size_t)rp_row_file_bytes(type, columns);
    const uint8_t *data = m.output + rp_gguf_header_bytes(gguf) + t->offset;
    for (size_t r = 0; r < t->shape[1]; r++) {
        if (rp_type_is_float(type)) {
            rp_file_row_to_f32(type, columns, data + r * bytes, row);
        } else {
            rp_pack_group(type, columns, data + r * bytes, 1, group);
            rp_unpack_row(type, columns, group, 0, row);
        }
        for (size_t c = 0; c < columns; c++) {
            double off = (double)row[c] - (double)want[r * columns + c];
            if (!(off >= -most && off <= most) && test_complain(__FILE__, __LINE__))
                test_print("%s row %zu column %zu is %g, want %g\n", name, r, c, (double)row[c],
                           (double)want[r * columns + c]);
        }
    }
    rp_gguf_close(gguf);
}

/* ---- Shapes and keys ----------------------------------------------------------------------------------- */

TEST(header_and_order) {
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    open_draft(values, sizeof values);
    CHECK_INT(rp_keys_set_string(draft.keys, "general.name", "small", 5, &err), RP_OK);
    CHECK_INT(rp_keys_set_u32s(draft.keys, "list", (uint32_t[]){1, 2}, 2, &err), RP_OK);
    add("z.weight", RP_F32, 2, 3);
    rp_draft_tensor *bias = add("a.bias", RP_F32, 1, 5);
    bias->vector = true;
    bias->offset = 4;
    check_tensor("z.weight", values, 0);
    m.written = 0;
    m.told = 0;
    check_tensor("a.bias", values + 1, 0);
    rp_gguf *gguf = read_back();
    rp_span name = {0};
    CHECK_INT(rp_gguf_string(gguf, "general.name", &name, &err), RP_OK);
    CHECK(rp_span_is(name, "small"));
    CHECK_INT(rp_gguf_key_count(gguf), 2);
    const rp_gguf_tensor *first = rp_gguf_tensor_at(gguf, 0), *second = rp_gguf_tensor_at(gguf, 1);
    CHECK(rp_span_is(first->name, "z.weight") && rp_span_is(second->name, "a.bias"));
    CHECK_INT(first->dims, 2);
    CHECK_INT(second->dims, 1);
    CHECK_INT(second->offset, 32);
    CHECK_INT(rp_gguf_header_bytes(gguf) % 32, 0);
    rp_gguf_close(gguf);
    CHECK(rp_draft_find(&draft, "a.bias") == &draft.tensors[1]);
    CHECK(!rp_draft_find(&draft, "a.bia"));
    close_draft();
}

TEST(keys_alone) {
    open_draft(NULL, 0);
    CHECK_INT(rp_keys_set_bool(draft.keys, "truth", true, &err), RP_OK);
    CHECK_INT(rp_draft_write(&draft, &err), RP_OK);
    CHECK_INT(m.written, 24 + 8 + 5 + 4 + 1); /* nothing to align */
    close_draft();
}

TEST(names_have_a_length) {
    char name[66] = {0};
    open_draft(NULL, 0);
    memset(name, 'n', 64);
    CHECK(!rp_draft_add(&draft, name, &err));
    CHECK_INT(err.status, RP_ERR_FORMAT);
    CHECK(!rp_draft_add(&draft, "", &err));
    name[63] = 0;
    for (int i = 0; i < 200; i++)
        CHECK(rp_draft_add(&draft, name, &err));
    CHECK_INT(draft.count, 200);
    close_draft();
}

/* ---- Values -------------------------------------------------------------------------------------------- */

enum { ROWS = 24, COLUMNS = 512, HEADER = 96 }; /* of a file with one tensor "w" */
static float source[ROWS * COLUMNS], want[(ROWS + 8) * (COLUMNS + 256)];

static void make_source(void) {
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        source[i] = test_random_float();
}

TEST(every_type_from_floats) {
    static const struct {
        rp_type type;
        double most;
    } types[] = {{RP_F32, 0},      {RP_F16, 0.0005}, {RP_BF16, 0.004}, {RP_Q4_0, 0.126}, {RP_Q4_1, 0.07},
                 {RP_Q5_0, 0.064}, {RP_Q8_0, 0.005}, {RP_Q4_K, 0.12},  {RP_Q6_K, 0.04}};
    for (size_t i = 0; i < RP_COUNT(types); i++) {
        make_source();
        open_draft(source, sizeof source);
        add("w", RP_F32, ROWS, COLUMNS)->type = types[i].type;
        check_tensor("w", source, types[i].most);
        close_draft();
    }
}

/* From each type that can be made to each other, and back to floats: exactly what the first type held. */
TEST(every_type_from_every_type) {
    static uint8_t packed[sizeof source];
    static float held[ROWS * COLUMNS];
    for (int from = 0; from < RP_TYPES; from++) {
        rp_type type = (rp_type)from;
        if (!rp_can_quantize(type))
            continue;
        make_source();
        for (size_t r = 0; r < ROWS; r++)
            rp_quantize_row(type, COLUMNS, source + r * COLUMNS, packed + r * (size_t)rp_row_file_bytes(type, COLUMNS));
        open_draft(packed, ROWS * (size_t)rp_row_file_bytes(type, COLUMNS));
        add("w", type, ROWS, COLUMNS)->type = RP_F32;
        CHECK_INT(rp_draft_rows(&draft, draft.tensors, 0, ROWS, held, &err), RP_OK);
        check_tensor("w", held, 0);
        m.written = m.told = m.total = 0;
        draft.tensors[0].type = RP_Q8_0;
        check_tensor("w", held, 0.01);
        m.written = m.told = m.total = 0;
        draft.tensors[0].type = type;
        check_tensor("w", held, 0);
        uint64_t bytes = m.inputs[1].size;
        CHECK(m.written > bytes && memcmp(m.output + HEADER, packed, bytes) == 0); /* copied */
        close_draft();
    }
}

TEST(types_that_can_only_be_copied) {
    static uint8_t packed[2 * 176];
    for (size_t i = 0; i < sizeof packed; i++)
        packed[i] = (uint8_t)(test_random() >> 40);
    open_draft(packed, sizeof packed);
    add("w", RP_Q5_K, 2, 256);
    CHECK_INT(rp_draft_write(&draft, &err), RP_OK);
    CHECK(memcmp(m.output + HEADER, packed, sizeof packed) == 0);
    draft.tensors[0].add = 1;
    CHECK_INT(rp_draft_write(&draft, &err), RP_ERR_UNSUPPORTED);
    close_draft();
}

/* Rows, columns and an offset that the source does not have, and one that is added to what it has. */
TEST(widens_with_zeros) {
    static const rp_type types[] = {RP_F32, RP_Q8_0};
    for (size_t i = 0; i < RP_COUNT(types); i++) {
        enum { TALL = 9, WIDE = COLUMNS + 256 };
        make_source();
        open_draft(source, sizeof source);
        rp_draft_tensor *t = add("w", RP_F32, TALL, WIDE);
        t->type = types[i];
        t->offset = COLUMNS * sizeof(float);
        t->first_row = 3;
        t->source_rows = 5;
        t->source_columns = COLUMNS;
        t->add = 1;
        for (size_t r = 0; r < TALL; r++)
            for (size_t c = 0; c < WIDE; c++)
                want[r * WIDE + c] = r < 5 && c < COLUMNS ? source[(r + 4) * COLUMNS + c] + 1 : 0;
        check_tensor("w", want, types[i] == RP_F32 ? 0 : 0.01);
        close_draft();
    }
}

/* The same for rows that are copied: blocks of zero bytes are zeros. */
TEST(widens_copies) {
    static const rp_type types[] = {RP_F16, RP_Q4_0, RP_Q8_0, RP_Q4_K, RP_Q6_K};
    static uint8_t packed[sizeof source];
    for (size_t i = 0; i < RP_COUNT(types); i++) {
        enum { TALL = ROWS + 2, WIDE = COLUMNS + 256 };
        size_t bytes = (size_t)rp_row_file_bytes(types[i], COLUMNS);
        make_source();
        for (size_t r = 0; r < ROWS; r++)
            rp_quantize_row(types[i], COLUMNS, source + r * COLUMNS, packed + r * bytes);
        open_draft(packed, ROWS * bytes);
        rp_draft_tensor *t = add("w", types[i], ROWS, COLUMNS);
        t->rows = TALL;
        t->columns = WIDE;
        CHECK_INT(rp_draft_rows(&draft, t, 0, TALL, want, &err), RP_OK);
        for (size_t r = 0; r < TALL; r++)
            for (size_t c = r < ROWS ? COLUMNS : 0; c < WIDE; c++)
                CHECK(!(want[r * WIDE + c] < 0 || want[r * WIDE + c] > 0));
        check_tensor("w", want, 0);
        CHECK(memcmp(m.output + HEADER, packed, bytes) == 0);
        close_draft();
    }
}

/* ---- Heads --------------------------------------------------------------------------------------------- */

/* As llama.cpp's converter permutes: (heads, 2, n / 2) becomes (heads, n / 2, 2). */
static void pair(const float *from, size_t heads, size_t head, size_t columns, float *to) {
    for (size_t h = 0; h < heads; h++)
        for (size_t side = 0; side < 2; side++)
            for (size_t i = 0; i < head / 2; i++)
                memcpy(to + ((h * head + 2 * i + side) * columns),
                       from + ((h * head + side * (head / 2) + i) * columns), columns * sizeof *to);
}

TEST(pairs_rows_of_heads) {
    static const uint32_t heads[] = {1, 2, 4, 6, 12};
    for (size_t i = 0; i < RP_COUNT(heads); i++) {
        make_source();
        open_draft(source, sizeof source);
        add("w", RP_F32, ROWS, COLUMNS)->pair_heads = heads[i];
        pair(source, heads[i], ROWS / heads[i], COLUMNS, want);
        check_tensor("w", want, 0);
        m.written = m.told = m.total = 0;
        draft.tensors[0].type = RP_Q8_0;
        check_tensor("w", want, 0.005);
        for (uint64_t from = 0; from < ROWS; from += 5) { /* any range */
            float some[4 * COLUMNS];
            uint64_t count = RP_MIN(4, ROWS - from);
            CHECK_INT(rp_draft_rows(&draft, draft.tensors, from, count, some, &err), RP_OK);
            CHECK(memcmp(some, want + from * COLUMNS, count * COLUMNS * sizeof *some) == 0);
        }
        close_draft();
    }
}

/* Rows so long that a piece is no whole head. */
TEST(pairs_long_rows) {
    enum { LONG = 1 << 16, HEAD = 10 };
    float *values = malloc((size_t)2 * HEAD * LONG * sizeof *values),
          *moved = malloc((size_t)2 * HEAD * LONG * sizeof *moved);
    REQUIRE(values && moved);
    for (size_t i = 0; i < (size_t)2 * HEAD * LONG; i++)
        values[i] = test_random_float();
    open_draft(values, (size_t)2 * HEAD * LONG * sizeof *values);
    add("w", RP_F32, 2 * HEAD, LONG)->pair_heads = 2;
    pair(values, 2, HEAD, LONG, moved);
    check_tensor("w", moved, 0);
    CHECK(m.memory.bytes_peak < 8 << 20);
    close_draft();
    free(values);
    free(moved);
}

TEST(pairs_biases_and_padded_heads) {
    make_source();
    open_draft(source, sizeof source);
    rp_draft_tensor *t = add("b", RP_F32, 1, 48);
    t->vector = true;
    t->pair_heads = 6;
    pair(source, 6, 8, 1, want);
    check_tensor("b", want, 0);
    m.written = m.told = m.total = 0;
    draft.tensors[0].type = RP_F16;
    check_tensor("b", want, 0.0005);
    m.written = m.told = m.total = 0;
    t->type = RP_F32; /* a vector that is row 2 of a matrix, and whose last head has half a source */
    t->first_row = 2;
    t->source_columns = 44;
    t->add = 1;
    float padded[48] = {0};
    for (size_t i = 0; i < 44; i++)
        padded[i] = source[88 + i] + 1;
    pair(padded, 6, 8, 1, want);
    check_tensor("b", want, 0);
    t->type = RP_Q8_0;
    t->columns = 64;
    t->pair_heads = 2;
    CHECK_INT(rp_draft_write(&draft, &err), RP_ERR_UNSUPPORTED);
    close_draft();
}

/* ---- What fails ---------------------------------------------------------------------------------------- */

static void check_refused(rp_status status, const char *what) {
    m.written = m.told = m.total = 0;
    CHECK_INT(rp_draft_write(&draft, &err), status);
    CHECK_INT(err.status, status);
    if (!strstr(err.message, what) && test_complain(__FILE__, __LINE__))
        test_print("\"%s\" does not say \"%s\"\n", err.message, what);
}

TEST(values_that_no_type_holds) {
    static const float bad[] = {65505, -1e9f, __builtin_inff(), -__builtin_inff(), __builtin_nanf("")};
    static const char *const words[] = {"too large", "too large", "infinite", "infinite", "not a number"};
    for (size_t i = 0; i < RP_COUNT(bad); i++) {
        make_source();
        source[5 * COLUMNS + 7] = bad[i];
        open_draft(source, sizeof source);
        add("blk.0.w", RP_F32, ROWS, COLUMNS)->type = RP_Q8_0;
        check_refused(RP_ERR_FORMAT, "blk.0.w: value 7 of row 5 is ");
        CHECK(strstr(err.message, words[i]));
        draft.tensors[0].type = RP_F16;
        check_refused(RP_ERR_FORMAT, words[i]);
        draft.tensors[0].type = RP_BF16;
        CHECK_INT(rp_draft_write(&draft, &err), RP_OK);
        close_draft();
    }
}

TEST(drafts_that_contradict_themselves) {
    make_source();
    open_draft(source, sizeof source);
    rp_draft_tensor *t = add("w", RP_F32, 4, 64);
    const rp_draft_tensor good = *t;
#define REFUSED(change, status, says)                                                                                  \
    do {                                                                                                               \
        *t = good;                                                                                                     \
        change;                                                                                                        \
        check_refused(status, says);                                                                                   \
        CHECK_INT(m.written, 0);                                                                                       \
    } while (0)
    REFUSED(t->rows = 0, RP_ERR_ARGUMENT, "w: 0 rows");
    REFUSED(t->vector = true, RP_ERR_ARGUMENT, "w: 4 rows");
    REFUSED((t->rows = INT32_MAX, t->columns = INT32_MAX), RP_ERR_ARGUMENT, "2^40");
    REFUSED(t->source_rows = 5, RP_ERR_ARGUMENT, "5 x 64");
    REFUSED(t->source_columns = 65, RP_ERR_ARGUMENT, "4 x 65");
    REFUSED(t->type = RP_Q4_K, RP_ERR_ARGUMENT, "multiple of 256 for Q4_K");
    REFUSED((t->source_type = RP_Q8_0, t->source_columns = 63), RP_ERR_ARGUMENT, "multiple of 32 for Q8_0");
    REFUSED(t->pair_heads = 3, RP_ERR_ARGUMENT, "3 heads");
    REFUSED(t->pair_heads = 4, RP_ERR_ARGUMENT, "4 heads");
    REFUSED((t->columns = 256, t->type = RP_Q5_K), RP_ERR_UNSUPPORTED, "F32 into Q5_K");
    REFUSED(t->first_row = UINT64_MAX, RP_ERR_ARGUMENT, "beyond any file");
    REFUSED(t->offset = UINT64_MAX, RP_ERR_ARGUMENT, "beyond any file");
#undef REFUSED
    *t = good;
    add("w", RP_F32, 4, 64);
    check_refused(RP_ERR_ARGUMENT, "w: two tensors");
    draft.count--;
    CHECK_INT(rp_keys_set_u32(draft.keys, "general.alignment", 64, &err), RP_OK);
    check_refused(RP_ERR_ARGUMENT, "general.alignment");
    float row[64];
    CHECK_INT(rp_draft_rows(&draft, draft.tensors, 4, 1, row, &err), RP_ERR_ARGUMENT);
    CHECK_INT(rp_draft_rows(&draft, draft.tensors, UINT64_MAX, 1, row, &err), RP_ERR_ARGUMENT);
    close_draft();
}

static void small_draft(void) {
    static const float values[64 * 64] = {1};
    open_draft(values, sizeof values);
    CHECK_INT(rp_keys_set_string(draft.keys, "general.name", "small", 5, &err), RP_OK);
    add("a", RP_F32, 64, 64)->pair_heads = 2;
    add("b", RP_F32, 64, 64)->type = RP_Q4_0;
    rp_draft_tensor *t = add("c", RP_Q8_0, 8, 64);
    t->type = RP_F16;
}

TEST(disk_is_full) {
    small_draft();
    REQUIRE(rp_draft_write(&draft, &err) == RP_OK);
    size_t whole = m.written;
    for (size_t room = 0; room < whole; room += 97) {
        m.room = room;
        check_refused(RP_ERR_IO, "disk full");
    }
    m.room = SIZE_MAX;
    m.stop = 1;
    check_refused(RP_ERR_IO, "stopped after ");
    close_draft();
}

TEST(input_cannot_be_read) {
    small_draft();
    REQUIRE(rp_draft_write(&draft, &err) == RP_OK);
    uint64_t reads = m.reads;
    CHECK(reads >= 4);
    for (uint64_t i = 1; i <= reads; i++) {
        m.reads = 0;
        m.fail_read = i;
        check_refused(RP_ERR_IO, ": cannot read ");
    }
    m.fail_read = 0;
    m.inputs[1].size--;
    draft.count = 1;
    check_refused(RP_ERR_IO, "a: cannot read ");
    close_draft();
}

TEST(memory_runs_out) {
    for (uint64_t fail_at = 1; fail_at < 100; fail_at++) {
        small_draft();
        m.host.asked = 0;
        m.host.fail_at = fail_at;
        uint64_t held = m.memory.bytes_now;
        rp_status status = rp_draft_write(&draft, &err);
        CHECK(status == RP_OK || status == RP_ERR_MEMORY);
        CHECK_INT(m.memory.bytes_now, held);
        close_draft();
        if (status == RP_OK)
            return;
    }
    CHECK(!"no end of allocations");
}

TEST_MAIN(header_and_order, keys_alone, names_have_a_length, every_type_from_floats, every_type_from_every_type,
          types_that_can_only_be_copied, widens_with_zeros, widens_copies, pairs_rows_of_heads, pairs_long_rows,
          pairs_biases_and_padded_heads, values_that_no_type_holds, drafts_that_contradict_themselves, disk_is_full,
          input_cannot_be_read, memory_runs_out)
