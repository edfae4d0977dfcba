/* A session as bytes, for a file: header, ids, KV cache, hash. Whatever changes the cache's meaning is in
 * rp_session_key, so that a state goes back only to where the same ids would have made it; any build on any machine
 * may have made it.
 *
 *   0  "RPSTATE1"      8  u32 version         12 u32 positions      16 u64 key
 *   24 u64 bytes of all  32 u64 hash of bytes 0 to 31
 *   40 i32 ids, then the regions of rp_session_state_region, then u64 hash of all before, part after part */
#include "session.h"

#include <string.h>

enum { STATE_VERSION = 1, STATE_HEADER = 40, STATE_HASH = 8 };
static const char state_magic[] = "RPSTATE1";

static void put(uint8_t *p, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++)
        p[i] = (uint8_t)(value >> 8 * i);
}

/* Of all bytes, at so many positions. */
static uint64_t state_bytes(rp_session *s, size_t length) {
    uint64_t total = STATE_HEADER + STATE_HASH + (uint64_t)length * sizeof(int32_t);
    for (size_t i = 0; i < rp_session_state_regions(s); i++) {
        size_t bytes;
        rp_session_state_region(s, i, length, &bytes);
        total += bytes; /* all of them are in memory already: no overflow */
    }
    return total;
}

uint64_t rp_session_saved_bytes(rp_session *s) {
    return state_bytes(s, s->length);
}

typedef struct writer {
    void *user;
    bool (*write)(void *user, const void *bytes, size_t size);
    uint64_t hash;
} writer;

static bool write_part(writer *w, const void *bytes, size_t size) {
    w->hash = rp_hash_words(w->hash, bytes, size);
    return w->write(w->user, bytes, size);
}

rp_status rp_session_save(rp_session *s, void *user, bool (*write)(void *user, const void *bytes, size_t size),
                          rp_error *err) {
    uint8_t header[STATE_HEADER], ids[4 * 256], hash[STATE_HASH];
    writer w = {user, write, RP_HASH_START};
    uint64_t key = rp_session_key(s);
    if (!key)
        return rp_fail(err, RP_ERR_ARGUMENT, "weights are not all there");
    memcpy(header, state_magic, 8);
    put(header + 8, STATE_VERSION, 4);
    put(header + 12, s->length, 4);
    put(header + 16, key, 8);
    put(header + 24, state_bytes(s, s->length), 8);
    put(header + 32, rp_hash_words(RP_HASH_START, header, 32), 8);
    bool good = write_part(&w, header, sizeof header);
    for (size_t at = 0, count; good && at < s->length; at += count) {
        count = RP_MIN(s->length - at, sizeof ids / 4);
        for (size_t i = 0; i < count; i++)
            put(ids + 4 * i, (uint32_t)s->ids[at + i], 4);
        good = write_part(&w, ids, 4 * count);
    }
    for (size_t i = 0; good && i < rp_session_state_regions(s); i++) {
        size_t bytes;
        const void *region = rp_session_state_region(s, i, s->length, &bytes);
        good = write_part(&w, region, bytes);
    }
    put(hash, w.hash, sizeof hash);
    good = good && write(user, hash, sizeof hash);
    return good ? RP_OK : rp_fail(err, RP_ERR_IO, "the session could not be written");
}

/* ---- Restoring ----------------------------------------------------------------------------------------- */

static rp_status check_header(rp_session *s, const uint8_t *p, uint64_t size, rp_error *err) {
    if (size < 8 || memcmp(p, state_magic, 8) != 0)
        return rp_fail(err, RP_ERR_FORMAT, "this is no saved session");
    if (size < STATE_HEADER || rp_load_u64(p + 32) != rp_hash_words(RP_HASH_START, p, 32))
        return rp_fail(err, RP_ERR_FORMAT, "the saved session's header is damaged");
    if (rp_load_u32(p + 8) != STATE_VERSION)
        return rp_fail(err, RP_ERR_UNSUPPORTED, "a saved session of version %u, want %d", rp_load_u32(p + 8),
                       STATE_VERSION);
    if (rp_load_u64(p + 24) != size)
        return rp_fail(err, RP_ERR_FORMAT, "%llu bytes of a saved session, want %llu", (unsigned long long)size,
                       (unsigned long long)rp_load_u64(p + 24));
    if (!rp_session_key(s))
        return rp_fail(err, RP_ERR_ARGUMENT, "weights are not all there");
    if (rp_load_u64(p + 16) != rp_session_key(s))
        return rp_fail(err, RP_ERR_ARGUMENT,
                       "the saved session is of other weights, another program, other adapters or another KV type");
    uint32_t length = rp_load_u32(p + 12);
    if (length > s->options.context)
        return rp_fail(err, RP_CONTEXT_FULL, "the saved session has %u positions, the context is %u", length,
                       s->options.context);
    if (state_bytes(s, length) != size)
        return rp_fail(err, RP_ERR_FORMAT, "%llu bytes of a saved session, want %llu", (unsigned long long)size,
                       (unsigned long long)state_bytes(s, length));
    return RP_OK;
}

/* The hash over the parts that rp_session_save wrote. */
static uint64_t hash_of(rp_session *s, const uint8_t *p, size_t length) {
    uint64_t hash = rp_hash_words(RP_HASH_START, p, STATE_HEADER);
    p += STATE_HEADER;
    for (size_t at = 0, count; at < length; at += count, p += 4 * count) {
        count = RP_MIN(length - at, 256);
        hash = rp_hash_words(hash, p, 4 * count);
    }
    for (size_t i = 0; i < rp_session_state_regions(s); i++) {
        size_t bytes;
        rp_session_state_region(s, i, length, &bytes);
        hash = rp_hash_words(hash, p, bytes);
        p += bytes;
    }
    return hash;
}

rp_status rp_session_restore(rp_session *s, const void *bytes, size_t size, rp_error *err) {
    const uint8_t *p = bytes, *ids = p + STATE_HEADER;
    RP_TRY(check_header(s, p, size, err));
    size_t length = rp_load_u32(p + 12);
    if (hash_of(s, p, length) != rp_load_u64(p + size - STATE_HASH))
        return rp_fail(err, RP_ERR_FORMAT, "the saved session is damaged");
    for (size_t i = 0; i < length; i++)
        if (rp_load_u32(ids + 4 * i) >= s->model->config.vocab)
            return rp_fail(err, RP_ERR_FORMAT, "id %u at place %llu of a saved session, want 0 to %u",
                           rp_load_u32(ids + 4 * i), (unsigned long long)i, s->model->config.vocab - 1);
    rp_session_cancel(s);
    for (size_t i = 0; i < length; i++)
        s->ids[i] = (int32_t)rp_load_u32(ids + 4 * i);
    p = ids + 4 * length;
    for (size_t i = 0; i < rp_session_state_regions(s); i++) {
        size_t region_bytes;
        void *region = rp_session_state_region(s, i, length, &region_bytes);
        memcpy(region, p, region_bytes);
        p += region_bytes;
    }
    return rp_session_adopt(s, s->ids, length, err);
}
