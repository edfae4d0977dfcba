/* runs: native wasm */
/* The KV cache: what is stored can be read where kernels look for it, nothing stored is infinite or no number, and strips hold
 * exactly the positions that they say. */
#include "kv.h"
#include "math.h"
#include "test.h"

#include <stdlib.h>

enum { HEAD_DIM = 20, POSITIONS = 64, HEADS = 2, SLOTS = 3 };

static rp_kv make_kv(rp_kv_type type) {
    rp_kv kv = {.type = type,
                .head_dim = HEAD_DIM,
                .width = rp_kv_width(type, HEAD_DIM),
                .positions = POSITIONS,
                .heads = HEADS,
                .slots = SLOTS,
                .kernels = rp_kernels_for(RP_ISA_BEST)};
    uint64_t bytes = 0;
    CHECK(rp_kv_bytes(&kv, &bytes));
    CHECK(bytes == POSITIONS * rp_kv_bytes_per_position(&kv));
    kv.bytes = malloc((size_t)bytes);
    memset(kv.bytes, 0xff, (size_t)bytes); /* NaN everywhere */
    return kv;
}

/* Value `column` of a position, read as the kernels would. */
static float value_at(const rp_kv *kv, size_t slot, size_t head, size_t position, size_t column) {
    const uint8_t *values = rp_kv_values(kv, slot, head);
    if (kv->type == RP_KV_Q8_0) {
        const uint8_t *tile = values + column / 32 * rp_kv_value_stride(kv) + position / 32 * (size_t)RP_MIX_TILE_BYTES;
        float d = rp_f16_to_f32(rp_load_u16(tile + 2 * (position % 32)));
        return d * (float)(int8_t)tile[rp_mix_place(position % 32, column % 32)];
    }
    if (kv->type == RP_KV_Q8_Q4) {
        const uint8_t *tile =
            values + column / 32 * rp_kv_value_stride(kv) + position / 32 * (size_t)RP_MIX_Q4_TILE_BYTES;
        float d = rp_f16_to_f32(rp_load_u16(tile + 2 * (position % 32)));
        int nibble = tile[rp_mix_q4_place(position % 32, column % 32)] >> rp_mix_q4_shift(column % 32) & 15;
        return d * (float)(nibble - RP_MIX_Q4_ZERO);
    }
    size_t size = kv->type == RP_KV_F32 ? 4 : 2;
    const uint8_t *p = values + column / 8 * rp_kv_value_stride(kv) + (position * 8 + column % 8) * size;
    return size == 4 ? rp_f32_from_bits(rp_load_u32(p)) : rp_f16_to_f32(rp_load_u16(p));
}

static bool is_within(float is, float want, float most) {
    return (is < want ? want - is : is - want) <= most;
}

/* Of numbers within 1. A 4-bit value is half a step of 1/8 away, and a whole one where code 8 would be wanted. */
static bool is_near(float is, float want, rp_kv_type type, bool is_value) {
    if (is_value && type == RP_KV_Q8_Q4)
        return is_within(is, want, is_within(want, 0, 0.93f) ? 0.063f : 0.126f);
    return is_within(is, want, type == RP_KV_F32 ? 0.0f : type == RP_KV_F16 ? 0.002f : 0.02f);
}

static float sample(size_t slot, size_t head, size_t position, size_t column) {
    return (float)((slot * 7 + head * 5 + position * 3 + column * 11) % 41) / 20 - 1;
}

TEST(what_is_stored_is_where_kernels_look) {
    for (int type = RP_KV_F16; type <= RP_KV_Q8_Q4; type++) {
        rp_kv kv = make_kv((rp_kv_type)type);
        float x[HEAD_DIM], key[64];
        for (size_t i = 0; i < SLOTS * HEADS * POSITIONS; i++) {
            size_t slot = i / POSITIONS / HEADS, head = i / POSITIONS % HEADS, p = i % POSITIONS;
            for (size_t c = 0; c < HEAD_DIM; c++)
                x[c] = sample(slot, head, p, c);
            rp_kv_store_key(&kv, slot, head, p, x);
            rp_kv_store_value(&kv, slot, head, p, x);
        }
        for (size_t i = 0; i < SLOTS * HEADS * POSITIONS; i++) {
            size_t slot = i / POSITIONS / HEADS, head = i / POSITIONS % HEADS, p = i % POSITIONS;
            rp_unpack_row(rp_kv_matrix_type(&kv), kv.width, rp_kv_keys(&kv, slot, head), p, key);
            for (size_t c = 0; c < kv.width; c++) {
                float want = c < HEAD_DIM ? sample(slot, head, p, c) : 0.0f;
                CHECK(is_near(key[c], want, kv.type, false));
                CHECK(is_near(value_at(&kv, slot, head, p, c), want, kv.type, true));
            }
        }
        free(kv.bytes);
    }
}

TEST(values_are_finite) {
    static const float wild[] = {__builtin_inff(), -__builtin_inff(), 3e38f, -3e38f, 1e-40f, 70000.0f};
    for (int type = RP_KV_F16; type <= RP_KV_Q8_Q4; type++)
        for (size_t turn = 0; turn <= RP_COUNT(wild); turn++) {
            rp_kv kv = make_kv((rp_kv_type)type);
            float x[HEAD_DIM];
            for (size_t c = 0; c < HEAD_DIM; c++)
                x[c] = turn == RP_COUNT(wild) ? __builtin_nanf("") : wild[(turn + c) % RP_COUNT(wild)];
            rp_kv_store_value(&kv, 0, 0, 0, x);
            for (size_t c = 0; c < HEAD_DIM; c++) {
                float value = value_at(&kv, 0, 0, 0, c);
                CHECK(value - value == 0.0f);
            }
            free(kv.bytes);
        }
}

/* Which sign a NaN that is computed has is the machine's affair. */
TEST(signs_of_nan_are_not_stored) {
    for (int type = RP_KV_F16; type <= RP_KV_Q8_Q4; type++) {
        rp_kv kv[] = {make_kv((rp_kv_type)type), make_kv((rp_kv_type)type)};
        float x[HEAD_DIM];
        size_t bytes;
        for (int sign = 0; sign < 2; sign++) {
            for (size_t c = 0; c < HEAD_DIM; c++)
                x[c] = c % 3 ? __builtin_copysignf(__builtin_nanf(""), sign ? -1.0f : 1.0f) : 1.5f;
            rp_kv_store_key(&kv[sign], 0, 0, 0, x);
            rp_kv_store_value(&kv[sign], 0, 0, 0, x);
        }
        for (size_t i = 0; i < rp_kv_strips(&kv[0]); i++) {
            const uint8_t *plus = rp_kv_strip(&kv[0], i, 1, &bytes), *minus = rp_kv_strip(&kv[1], i, 1, &bytes);
            CHECK(memcmp(plus, minus, bytes) == 0);
        }
        free(kv[0].bytes);
        free(kv[1].bytes);
    }
}

/* As after a rewind. */
TEST(what_is_stored_again_replaces) {
    for (int type = RP_KV_F16; type <= RP_KV_Q8_Q4; type++) {
        rp_kv kv = make_kv((rp_kv_type)type), fresh = make_kv((rp_kv_type)type);
        float x[HEAD_DIM];
        for (size_t turn = 0; turn < 2; turn++)
            for (size_t p = turn * 7; p < POSITIONS; p++) {
                for (size_t c = 0; c < HEAD_DIM; c++)
                    x[c] = sample(turn * (p != 9), 0, p, c);
                rp_kv_store_value(&kv, 0, 0, p, x);
                if (turn == 1 || p < 7)
                    rp_kv_store_value(&fresh, 0, 0, p, x);
            }
        for (size_t i = 0; i < POSITIONS * HEAD_DIM; i++)
            CHECK(value_at(&kv, 0, 0, i / HEAD_DIM, i % HEAD_DIM) ==
                  value_at(&fresh, 0, 0, i / HEAD_DIM, i % HEAD_DIM));
        free(kv.bytes);
        free(fresh.bytes);
    }
}

/* ggml's block_q4_0 of a row whose largest is 2: -8 is that one, in steps of -1/4. */
TEST(values_in_4_bits) {
    static const float x[HEAD_DIM] = {0.5f, 2.0f, -1.9f, -0.1f, 0.13f, -1.75f, 0.9f, 0.0f};
    static const float want[HEAD_DIM] = {0.5f, 2.0f, -1.75f, 0.0f, 0.25f, -1.75f, 1.0f, 0.0f};
    rp_kv kv = make_kv(RP_KV_Q8_Q4);
    rp_kv_store_value(&kv, 0, 0, 0, x);
    for (size_t c = 0; c < kv.width; c++)
        CHECK(value_at(&kv, 0, 0, 0, c) == (c < HEAD_DIM ? want[c] : 0.0f));
    free(kv.bytes);
}

/* What the README promises: a head of 64 is 68 bytes of keys and 36 of values. */
TEST(bytes_of_a_position) {
    for (int type = RP_KV_F16; type <= RP_KV_Q8_Q4; type++) {
        static const uint64_t want[] = {256, 512, 136, 104};
        rp_kv kv = {.type = (rp_kv_type)type, .head_dim = 64, .width = 64, .positions = 32, .heads = 1, .slots = 1};
        CHECK_INT(rp_kv_bytes_per_position(&kv), want[type]);
    }
}

/* Positions up to any length are in the strips' bytes, and strips do not overlap. */
TEST(strips_hold_all_of_it) {
    for (int type = RP_KV_F16; type <= RP_KV_Q8_Q4; type++) {
        rp_kv kv = make_kv((rp_kv_type)type);
        size_t whole = 0, bytes, none;
        const uint8_t *end = kv.bytes;
        for (size_t i = 0; i < rp_kv_strips(&kv); i++) {
            const uint8_t *strip = rp_kv_strip(&kv, i, POSITIONS, &bytes);
            CHECK(strip == end);
            end = strip + bytes;
            whole += bytes;
            CHECK(rp_kv_strip(&kv, i, 0, &none) == strip && none == 0);
            size_t some;
            rp_kv_strip(&kv, i, 33, &some);
            CHECK(some * POSITIONS >= bytes * 33 && some <= bytes);
        }
        CHECK_INT(whole, POSITIONS * rp_kv_bytes_per_position(&kv));
        free(kv.bytes);
    }
}

TEST_MAIN(what_is_stored_is_where_kernels_look, what_is_stored_again_replaces, values_in_4_bits, bytes_of_a_position,
          values_are_finite, signs_of_nan_are_not_stored, strips_hold_all_of_it)
