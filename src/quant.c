/* Weight types, from file blocks to the memory layout and back to floats: see quant.h.
 * Block formats are ggml's (ggml-common.h). Nothing here is on the path of a token except rp_unpack_row. */
#include "quant.h"

#include <string.h>

const int8_t rp_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

bool rp_type_from_ggml(uint32_t ggml_type, rp_type *type) {
    for (int i = 0; i < RP_TYPES; i++)
        if (rp_type_traits[i].ggml_type == ggml_type) {
            *type = (rp_type)i;
            return true;
        }
    return false;
}

uint64_t rp_row_file_bytes(rp_type type, uint64_t columns) {
    return columns / rp_type_traits[type].columns * rp_type_traits[type].block_bytes;
}

uint64_t rp_group_bytes(rp_type type, uint64_t columns) {
    const rp_traits *t = &rp_type_traits[type];
    if (rp_type_is_float(type))
        return columns * RP_ROWS * t->block_bytes;
    return columns / t->columns * rp_super_bytes(t);
}

/* ---- One block of a file, taken apart ------------------------------------------------------------------ */

typedef struct block {
    uint8_t codes[256]; /* as stored; Q8_0: the signed byte's bits */
    uint16_t d, minimum;
    uint8_t sc[16], m[16]; /* one for each 32 or 16 columns */
} block;

/* `count` bytes: the low nibbles are the first codes, the high ones the next. */
static void read_nibbles(const uint8_t *qs, int count, uint8_t *codes) {
    for (int i = 0; i < count; i++) {
        codes[i] = qs[i] & 15;
        codes[i + count] = qs[i] >> 4;
    }
}

static void read_fifth_bits(const uint8_t *qh, uint8_t *codes) {
    uint32_t bits = rp_load_u32(qh);
    for (int i = 0; i < 32; i++)
        codes[i] |= (uint8_t)((bits >> i & 1) << 4);
}

/* Blocks of 32: d, then a minimum where there is one, then fifth bits, then nibbles or bytes. */
static void read_block_32(rp_type type, const uint8_t *in, block *out) {
    const rp_traits *t = &rp_type_traits[type];
    out->d = rp_load_u16(in);
    in += 2;
    if (t->minimum) {
        out->minimum = rp_load_u16(in);
        in += 2;
    }
    if (t->low_bits == 8) {
        memcpy(out->codes, in, 32);
        return;
    }
    read_nibbles(in + (t->high_bits ? 4 : 0), 16, out->codes);
    if (t->high_bits)
        read_fifth_bits(in, out->codes);
}

/* 256 codes of two bits: each byte of 32 holds columns i, i + 32, i + 64 and i + 96 of a half. */
static void read_pairs_256(const uint8_t *qs, uint8_t *codes) {
    for (int half = 0; half < 2; half++, qs += 32, codes += 128)
        for (int quarter = 0; quarter < 4; quarter++)
            for (int i = 0; i < 32; i++)
                codes[quarter * 32 + i] = qs[i] >> quarter * 2 & 3;
}

/* One bit for each of 256 codes: bit i / 32 of byte i % 32, added with the given weight. */
static void add_bits_256(const uint8_t *bits, int weight, uint8_t *codes) {
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < 32; i++)
            codes[k * 32 + i] |= (uint8_t)((bits[i] >> k & 1) * weight);
}

static void read_q2_k(const uint8_t *in, block *out) {
    for (int i = 0; i < 16; i++) {
        out->sc[i] = in[i] & 15;
        out->m[i] = in[i] >> 4;
    }
    read_pairs_256(in + 16, out->codes);
    out->d = rp_load_u16(in + 80);
    out->minimum = rp_load_u16(in + 82);
}

static void read_q3_k(const uint8_t *in, block *out) {
    const uint8_t *scales = in + 96;
    read_pairs_256(in + 32, out->codes);
    add_bits_256(in, 4, out->codes);
    for (int i = 0; i < 16; i++) {
        int bits = i < 8 ? scales[i] & 15 : scales[i - 8] >> 4;
        out->sc[i] = (uint8_t)((bits | (scales[8 + i % 4] >> i / 4 * 2 & 3) << 4) - 32);
    }
    out->d = rp_load_u16(in + 108);
}

/* The 12 bytes of 6-bit scales and minimums that Q4_K and Q5_K share. */
static void read_k_scales(const uint8_t *in, block *out) {
    for (int i = 0; i < 4; i++) {
        out->sc[i] = in[i] & 63;
        out->m[i] = in[i + 4] & 63;
        out->sc[i + 4] = (uint8_t)((in[i + 8] & 15) | in[i] >> 6 << 4);
        out->m[i + 4] = (uint8_t)(in[i + 8] >> 4 | in[i + 4] >> 6 << 4);
    }
}

static void read_q4_k_q5_k(rp_type type, const uint8_t *in, block *out) {
    out->d = rp_load_u16(in);
    out->minimum = rp_load_u16(in + 2);
    read_k_scales(in + 4, out);
    const uint8_t *low = in + (type == RP_Q5_K ? 48 : 16);
    for (int pair = 0; pair < 4; pair++)
        read_nibbles(low + pair * 32, 32, out->codes + pair * 64);
    if (type == RP_Q5_K)
        add_bits_256(in + 16, 16, out->codes);
}

static void read_q6_k(const uint8_t *in, block *out) {
    read_pairs_256(in + 128, out->codes);
    for (int half = 0; half < 2; half++) {
        const uint8_t *low = in + half * 64;
        uint8_t *codes = out->codes + half * 128;
        for (int i = 0; i < 64; i++) {
            codes[i] = (uint8_t)(codes[i] << 4 | (low[i] & 15));
            codes[i + 64] = (uint8_t)(codes[i + 64] << 4 | low[i] >> 4);
        }
    }
    memcpy(out->sc, in + 192, 16);
    out->d = rp_load_u16(in + 208);
}

static void read_iq4_xs(const uint8_t *in, block *out) {
    out->d = rp_load_u16(in);
    uint16_t high = rp_load_u16(in + 2);
    for (int i = 0; i < 8; i++) {
        int low = in[4 + i / 2] >> i % 2 * 4 & 15;
        out->sc[i] = (uint8_t)((low | (high >> i * 2 & 3) << 4) - 32);
        read_nibbles(in + 8 + i * 16, 16, out->codes + i * 32);
    }
}

static void read_block(rp_type type, const uint8_t *in, block *out) {
    switch (type) {
    case RP_Q2_K: read_q2_k(in, out); return;
    case RP_Q3_K: read_q3_k(in, out); return;
    case RP_Q4_K:
    case RP_Q5_K: read_q4_k_q5_k(type, in, out); return;
    case RP_Q6_K: read_q6_k(in, out); return;
    case RP_IQ4_XS: read_iq4_xs(in, out); return;
    default: read_block_32(type, in, out); return;
    }
}

/* ---- Eight rows side by side --------------------------------------------------------------------------- */

/* Codes of four columns of a row are moved as one word (a quad), one code a byte. */
static uint32_t load_quad(const void *p) {
    uint32_t quad;
    memcpy(&quad, p, sizeof quad);
    return quad;
}

static void store_quad(void *p, uint32_t quad) {
    memcpy(p, &quad, sizeof quad);
}

static uint32_t in_each_byte(unsigned value) {
    return value * 0x01010101u;
}

void rp_store_row_q8_0(uint8_t *plane, size_t r, const int8_t codes[RP_TILE]) {
    plane += 16 * (r / 4) + 2 * (r % 4);
    for (size_t t = 0; t < 8; t++, plane += 32) {
        uint32_t quad = load_quad(codes + 4 * t);
        rp_store_u16(plane, (uint16_t)((quad & 0xff) | (quad >> 8 & 0xff00)));
        rp_store_u16(plane + 8, (uint16_t)((quad >> 8 & 0xff) | (quad >> 16 & 0xff00)));
    }
}

/* One plane of a tile: bits from..from+bits-1 of the codes of rows 0-7. Columns 4t + k, as in quant.h. */
static void write_plane(int bits, int from, const uint8_t *const codes[RP_ROWS], uint8_t *plane) {
    uint32_t mask = in_each_byte((1u << bits) - 1);
    switch (bits) {
    case 8:
        for (size_t r = 0; r < RP_ROWS; r++)
            rp_store_row_q8_0(plane, r, (const int8_t *)codes[r]);
        return;
    case 4:
        for (int t = 0; t < 8; t++)
            for (int r = 0; r < 4; r++) {
                uint32_t first = load_quad(codes[r] + 4 * t), second = load_quad(codes[r + 4] + 4 * t);
                store_quad(plane + 16 * t + 4 * r, (first >> from & mask) | (second >> from & mask) << 4);
            }
        return;
    case 2:
        for (int r = 0; r < RP_ROWS; r++)
            for (int half = 0; half < 2; half++) {
                uint32_t quad = 0;
                for (int t = 0; t < 4; t++)
                    quad |= (load_quad(codes[r] + 16 * half + 4 * t) >> from & mask) << 2 * t;
                store_quad(plane + 32 * (r / 4) + 16 * half + 4 * (r % 4), quad);
            }
        return;
    case 1:
        for (int r = 0; r < RP_ROWS; r++) {
            uint32_t quad = 0;
            for (int t = 0; t < 8; t++)
                quad |= (load_quad(codes[r] + 4 * t) >> from & mask) << t;
            store_quad(plane + 4 * r, quad);
        }
        return;
    }
}

/* The reverse, one row: its codes' bits are put at from..from+bits-1, over zeros there. */
static void read_plane(int bits, int from, const uint8_t *plane, size_t r, uint8_t codes[RP_TILE]) {
    uint32_t mask = in_each_byte((1u << bits) - 1);
    size_t row = 4 * (r % 4);
    for (size_t t = 0; t < 8; t++) {
        uint32_t quad = from ? load_quad(codes + 4 * t) : 0;
        switch (bits) {
        case 8:
            for (size_t k = 0; k < 4; k++)
                codes[4 * t + k] = plane[32 * t + 16 * (r / 4) + 8 * (k & 1) + 2 * (r % 4) + k / 2];
            continue;
        case 4: quad |= (load_quad(plane + 16 * t + row) >> r / 4 * 4 & mask) << from; break;
        case 2: quad |= (load_quad(plane + r / 4 * 32 + t / 4 * 16 + row) >> t % 4 * 2 & mask) << from; break;
        case 1: quad |= (load_quad(plane + r / 4 * 16 + row) >> t & mask) << from; break;
        }
        store_quad(codes + 4 * t, quad);
    }
}

static size_t low_plane_bytes(const rp_traits *t) {
    return (size_t)RP_ROWS * RP_TILE / 8 * t->low_bits;
}

/* Tile `index` of a super-block out of eight rows' blocks. */
static void pack_tile(const rp_traits *t, const block blocks[RP_ROWS], size_t index, uint8_t *tile) {
    const uint8_t *codes[RP_ROWS];
    for (size_t r = 0; r < RP_ROWS; r++) {
        codes[r] = blocks[r].codes + index * RP_TILE;
        for (size_t s = 0; s < t->subs; s++) {
            uint8_t sc = blocks[r].sc[index * t->subs + s], m = blocks[r].m[index * t->subs + s];
            bool together = t->minimum && t->low_bits == 2;
            tile[s * RP_ROWS + r] = together ? (uint8_t)(sc | m << 4) : sc;
            if (t->minimum && !together)
                tile[(t->subs + s) * RP_ROWS + r] = m;
        }
    }
    uint8_t *low = tile + rp_tile_scales_bytes(t);
    write_plane(t->low_bits, 0, codes, low);
    if (t->high_bits)
        write_plane(t->high_bits, t->low_bits, codes, low + low_plane_bytes(t));
}

static void pack_group_float(size_t value_bytes, size_t columns, const uint8_t *rows, size_t count, uint8_t *group) {
    memset(group, 0, columns * RP_ROWS * value_bytes);
    for (size_t c = 0; c < columns; c++)
        for (size_t r = 0; r < count; r++)
            memcpy(group + (c * RP_ROWS + r) * value_bytes, rows + (r * columns + c) * value_bytes, value_bytes);
}

/* The commonest way to keep four bits, straight from file to plane: whoever opens a model waits for this. */
static void pack_group_nibbles(const rp_traits *t, size_t columns, const uint8_t *rows, size_t count, uint8_t *group) {
    static const uint8_t missing[24] = {0};
    size_t blocks = columns / 32, head = t->block_bytes - 16u;
    uint32_t low = in_each_byte(15);
    for (size_t i = 0; i < blocks; i++) {
        const uint8_t *codes[RP_ROWS];
        for (size_t r = 0; r < RP_ROWS; r++) {
            const uint8_t *in = r < count ? rows + (r * blocks + i) * t->block_bytes : missing;
            memcpy(group + 2 * r, in, 2);
            if (t->minimum)
                memcpy(group + 2 * (RP_ROWS + r), in + 2, 2);
            codes[r] = in + head;
        }
        group += rp_super_head_bytes(t);
        for (size_t k = 0; k < 4; k++) /* columns 4k.. and 16 + 4k.. */
            for (size_t r = 0; r < 4; r++) {
                uint32_t a = load_quad(codes[r] + 4 * k), b = load_quad(codes[r + 4] + 4 * k);
                store_quad(group + 16 * k + 4 * r, (a & low) | (b & low) << 4);
                store_quad(group + 64 + 16 * k + 4 * r, (a >> 4 & low) | (b & low << 4));
            }
        group += rp_tile_bytes(t);
    }
}

void rp_pack_group(rp_type type, size_t columns, const uint8_t *rows, size_t count, uint8_t *group) {
    const rp_traits *t = &rp_type_traits[type];
    if (rp_type_is_float(type)) {
        if (type == RP_F32)
            pack_group_float(4, columns, rows, count, group);
        else
            pack_group_float(2, columns, rows, count, group);
        return;
    }
    if (t->columns == RP_TILE && t->low_bits == 4 && !t->high_bits) {
        pack_group_nibbles(t, columns, rows, count, group);
        return;
    }
    size_t supers = columns / t->columns, tiles = t->columns / RP_TILE;
    block blocks[RP_ROWS];
    memset(blocks, 0, sizeof blocks); /* what missing rows are made of */
    for (size_t i = 0; i < supers; i++) {
        for (size_t r = 0; r < count; r++)
            read_block(type, rows + (r * supers + i) * t->block_bytes, &blocks[r]);
        for (size_t r = 0; r < RP_ROWS; r++) {
            rp_store_u16(group + 2 * r, blocks[r].d);
            if (t->minimum)
                rp_store_u16(group + 2 * (RP_ROWS + r), blocks[r].minimum);
        }
        group += rp_super_head_bytes(t);
        for (size_t k = 0; k < tiles; k++, group += rp_tile_bytes(t))
            pack_tile(t, blocks, k, group);
    }
}

/* A row of a tile: codes out of their planes, then the zero point or the table. */
static void unpack_row_codes(const rp_traits *t, const uint8_t *tile, size_t r, int8_t out[RP_TILE]) {
    const uint8_t *low = tile + rp_tile_scales_bytes(t);
    uint8_t codes[RP_TILE];
    read_plane(t->low_bits, 0, low, r, codes);
    if (t->high_bits)
        read_plane(t->high_bits, t->low_bits, low + low_plane_bytes(t), r, codes);
    for (size_t c = 0; c < RP_TILE; c++)
        out[c] = t->table ? rp_iq4_values[codes[c]] : (int8_t)(codes[c] - t->zero);
}

void rp_unpack_codes(rp_type type, const uint8_t *tile, int8_t codes[RP_ROWS][RP_TILE]) {
    for (size_t r = 0; r < RP_ROWS; r++)
        unpack_row_codes(&rp_type_traits[type], tile, r, codes[r]);
}

void rp_unpack_scales(rp_type type, const uint8_t *tile, size_t sub, size_t row, int *scale, int *minimum) {
    const rp_traits *t = &rp_type_traits[type];
    *scale = *minimum = 1;
    if (!t->subs)
        return;
    uint8_t sc = tile[sub * RP_ROWS + row];
    if (!t->minimum) {
        *scale = (int8_t)sc;
    } else if (t->low_bits == 2) {
        *scale = sc & 15;
        *minimum = sc >> 4;
    } else {
        *scale = sc;
        *minimum = tile[(t->subs + sub) * RP_ROWS + row];
    }
}

/* ---- Floats -------------------------------------------------------------------------------------------- */

static float float_value(rp_type type, const uint8_t *p) {
    if (type == RP_F32) {
        float value;
        memcpy(&value, p, sizeof value);
        return value;
    }
    return type == RP_F16 ? rp_f16_to_f32(rp_load_u16(p)) : rp_bf16_to_f32(rp_load_u16(p));
}

/* d * (sc * code) - min * m for 32 columns of a row. The file's minimum is subtracted in 256-wide types and added in 32-wide
 * ones. */
static void unpack_tile_row(rp_type type, const uint8_t *super, const uint8_t *tile, size_t r, float *out) {
    const rp_traits *t = &rp_type_traits[type];
    float d = rp_f16_to_f32(rp_load_u16(super + 2 * r));
    float minimum = t->minimum ? rp_f16_to_f32(rp_load_u16(super + 2 * (RP_ROWS + r))) : 0.0f;
    int8_t codes[RP_TILE];
    unpack_row_codes(t, tile, r, codes);
    for (size_t c = 0; c < RP_TILE; c++) {
        int sc, m;
        rp_unpack_scales(type, tile, t->subs == 2 ? c / 16 : 0, r, &sc, &m);
        float value = d * (float)(sc * codes[c]);
        if (t->minimum)
            value = t->subs ? value - minimum * (float)m : value + minimum;
        out[c] = value;
    }
}

void rp_unpack_row(rp_type type, size_t columns, const uint8_t *matrix, size_t row, float *out) {
    const rp_traits *t = &rp_type_traits[type];
    const uint8_t *group = matrix + row / RP_ROWS * (size_t)rp_group_bytes(type, columns);
    size_t r = row % RP_ROWS;
    if (rp_type_is_float(type)) {
        for (size_t c = 0; c < columns; c++)
            out[c] = float_value(type, group + (c * RP_ROWS + r) * t->block_bytes);
        return;
    }
    for (size_t i = 0; i < columns / RP_TILE; i++) {
        size_t tiles = t->columns / RP_TILE;
        const uint8_t *super = group + i / tiles * rp_super_bytes(t);
        unpack_tile_row(type, super, super + rp_super_head_bytes(t) + i % tiles * rp_tile_bytes(t), r,
                        out + i * RP_TILE);
    }
}

void rp_file_row_to_f32(rp_type type, size_t columns, const uint8_t *row, float *out) {
    for (size_t c = 0; c < columns; c++)
        out[c] = float_value(type, row + c * rp_type_traits[type].block_bytes);
}
