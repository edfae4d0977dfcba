/* Text that can be shown while it is made: bytes of tokens become whole UTF-8 characters (what can never be one becomes
 * U+FFFD, one for each maximal subpart: Unicode 15, 3.9, as TextDecoder does), and these run past the stop texts.
 * What is held back is exactly an unfinished character and the longest end of the text that is a proper beginning
 * of some stop. The stop that ends first counts; of several that end there, the longest.
 * All memory is taken at opening: one buffer for what is held and what the longest token can add. */
#include "text.h"

#include "model.h"

#include <string.h>

/* A stop and how much of it the end of the text matches (Knuth, Morris, Pratt 1977). */
typedef struct stop {
    uint32_t offset; /* into bytes and borders */
    uint32_t length, matched;
} stop;

struct rp_text {
    rp_memory *memory;
    rp_token_source tokens;
    stop *stops;
    size_t stop_count;
    uint32_t stop_bytes; /* of all stops */
    uint8_t *bytes;      /* (stop_bytes) the stops, one after the other */
    uint32_t *borders;   /* (stop_bytes) longest proper end of the first i + 1 bytes that is also their beginning */
    uint8_t *buffer;     /* [shown last time | held | free] */
    size_t capacity, shown, length;
    uint8_t pending[4]; /* beginning of a character */
    size_t pending_count;
    bool stopped;
};

/* ---- UTF-8 ---- */

typedef enum utf8_state { UTF8_BAD, UTF8_BEGUN, UTF8_WHOLE } utf8_state;

/* What `count` bytes (1 to 4) are together; all but the last are known to be begun. Unicode 15, table 3-7. */
static utf8_state utf8_check(const uint8_t *bytes, size_t count) {
    uint8_t lead = bytes[0], last = bytes[count - 1];
    size_t wanted = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (wanted == 0)
        return UTF8_BAD;
    uint8_t least = 0x80, most = 0xbf;
    if (count == 2) {
        least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80; /* no overlong forms */
        most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;  /* no surrogates, nothing above U+10FFFF */
    }
    if (count > 1 && (last < least || last > most))
        return UTF8_BAD;
    return count == wanted ? UTF8_WHOLE : UTF8_BEGUN;
}

static bool is_utf8(const uint8_t *bytes, size_t size) {
    size_t begun = 0;
    for (size_t i = 0; i < size; i++) {
        utf8_state state = utf8_check(bytes + i - begun, begun + 1);
        if (state == UTF8_BAD)
            return false;
        begun = state == UTF8_WHOLE ? 0 : begun + 1;
    }
    return begun == 0;
}

/* ---- Stops ---- */

static void find_borders(const uint8_t *bytes, uint32_t length, uint32_t *borders) {
    uint32_t border = 0;
    borders[0] = 0;
    for (uint32_t i = 1; i < length; i++) {
        while (border > 0 && bytes[i] != bytes[border])
            border = borders[border - 1];
        border += bytes[i] == bytes[border];
        borders[i] = border;
    }
}

/* Moves every stop on by one byte of text. Length of the longest stop that is now complete, or 0. */
static uint32_t advance_stops(rp_text *text, uint8_t byte) {
    uint32_t complete = 0;
    for (size_t i = 0; i < text->stop_count; i++) {
        stop *s = &text->stops[i];
        const uint8_t *bytes = text->bytes + s->offset;
        while (s->matched > 0 && bytes[s->matched] != byte)
            s->matched = text->borders[s->offset + s->matched - 1];
        s->matched += bytes[s->matched] == byte;
        if (s->matched == s->length)
            complete = RP_MAX(complete, s->length);
    }
    return complete;
}

static uint32_t held_for_stops(const rp_text *text) {
    uint32_t held = 0;
    for (size_t i = 0; i < text->stop_count; i++)
        held = RP_MAX(held, text->stops[i].matched);
    return held;
}

/* ---- The stream ---- */

/* Adds a whole character. When it completes a stop the text ends before that. */
static void add_character(rp_text *text, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count && !text->stopped; i++) {
        text->buffer[text->length++] = bytes[i];
        uint32_t complete = advance_stops(text, bytes[i]);
        if (complete > 0) {
            text->length -= complete;
            text->stopped = true;
        }
    }
}

static void add_replacement(rp_text *text) {
    add_character(text, (const uint8_t[]){0xef, 0xbf, 0xbd}, 3);
    text->pending_count = 0;
}

static void add_byte(rp_text *text, uint8_t byte) {
    text->pending[text->pending_count++] = byte;
    utf8_state state = utf8_check(text->pending, text->pending_count);
    if (state == UTF8_BAD && text->pending_count > 1) {
        /* The bytes before this one end here; it may begin a character itself. */
        add_replacement(text);
        text->pending[text->pending_count++] = byte;
        state = utf8_check(text->pending, 1);
    }
    if (state == UTF8_BAD) {
        add_replacement(text);
    } else if (state == UTF8_WHOLE) {
        add_character(text, text->pending, text->pending_count);
        text->pending_count = 0;
    }
}

/* Makes room at the front: what was shown by the last call is gone. */
static void drop_shown(rp_text *text) {
    text->length -= text->shown;
    memmove(text->buffer, text->buffer + text->shown, text->length);
    text->shown = 0;
}

static void show(rp_text *text, size_t count, const char **piece, size_t *size) {
    text->shown = count;
    *piece = (const char *)text->buffer;
    *size = count;
}

bool rp_text_push(rp_text *text, int32_t id, const char **piece, size_t *size) {
    size_t count = 0;
    const char *bytes = NULL;
    drop_shown(text);
    if (id >= 0 && (uint32_t)id < text->tokens.vocab)
        bytes = text->tokens.bytes(text->tokens.user, id, &count);
    for (size_t i = 0; bytes && i < count && !text->stopped; i++)
        add_byte(text, (uint8_t)bytes[i]);
    show(text, text->stopped ? text->length : text->length - held_for_stops(text), piece, size);
    return !text->stopped;
}

void rp_text_finish(rp_text *text, const char **piece, size_t *size) {
    drop_shown(text);
    if (text->pending_count > 0 && !text->stopped)
        add_replacement(text);
    show(text, text->length, piece, size);
    text->pending_count = 0;
    text->stopped = false;
    for (size_t i = 0; i < text->stop_count; i++)
        text->stops[i].matched = 0;
}

/* ---- Opening and closing ---- */

static rp_status measure_stops(rp_text *text, const char *const *stops, rp_error *err) {
    for (size_t i = 0; i < text->stop_count; i++) {
        size_t length = stops[i] ? strlen(stops[i]) : 0;
        if (length == 0)
            return rp_fail(err, RP_ERR_ARGUMENT, "stop %u: want at least one character, is empty", (unsigned)i + 1);
        if (!is_utf8((const uint8_t *)stops[i], length))
            return rp_fail(err, RP_ERR_ARGUMENT, "stop %u: want UTF-8, has other bytes", (unsigned)i + 1);
        if (length > RP_TEXT_STOPS_MAX - text->stop_bytes)
            return rp_fail(err, RP_ERR_ARGUMENT, "stops: want at most %u bytes in all, has more", RP_TEXT_STOPS_MAX);
        text->stop_bytes += (uint32_t)length;
    }
    return RP_OK;
}

/* Copies the stops; returns the length of the longest. */
static uint32_t fill_stops(rp_text *text, const char *const *stops) {
    uint32_t offset = 0, longest = 0;
    for (size_t i = 0; i < text->stop_count; i++) {
        uint32_t length = (uint32_t)strlen(stops[i]);
        memcpy(text->bytes + offset, stops[i], length);
        find_borders(text->bytes + offset, length, text->borders + offset);
        text->stops[i] = (stop){.offset = offset, .length = length};
        offset += length;
        longest = RP_MAX(longest, length);
    }
    return longest;
}

static size_t longest_token(const rp_token_source *tokens) {
    size_t longest = 0;
    for (uint32_t id = 0; id < tokens->vocab; id++) {
        size_t size = 0;
        const char *bytes = tokens->bytes(tokens->user, (int32_t)id, &size);
        longest = bytes ? RP_MAX(longest, size) : longest;
    }
    return longest;
}

static rp_status take_memory(rp_text *text, const char *const *stops, rp_error *err) {
    text->stops = rp_alloc(text->memory, text->stop_count, sizeof *text->stops, "stop texts", err);
    if (!text->stops)
        return RP_ERR_MEMORY;
    text->bytes = rp_alloc(text->memory, text->stop_bytes, 1, "stop texts", err);
    if (!text->bytes)
        return RP_ERR_MEMORY;
    text->borders = rp_alloc(text->memory, text->stop_bytes, sizeof *text->borders, "stop texts", err);
    if (!text->borders)
        return RP_ERR_MEMORY;
    /* Held bytes, then a token that follows three pending bytes, each a U+FFFD of three bytes at worst. */
    uint64_t room = 0;
    if (!rp_mul(longest_token(&text->tokens) + sizeof text->pending, 3, &room) || room > SIZE_MAX / 2)
        return rp_fail(err, RP_ERR_MEMORY, "text: a token of the vocabulary is too long for this machine");
    text->capacity = (size_t)room + fill_stops(text, stops);
    text->buffer = rp_alloc(text->memory, text->capacity, 1, "text", err);
    return text->buffer ? RP_OK : RP_ERR_MEMORY;
}

rp_status rp_text_open_core(rp_text **opened, rp_memory *memory, const rp_token_source *tokens,
                            const char *const *stops, size_t stop_count, rp_error *err) {
    *opened = NULL;
    if (stop_count > 0 && !stops)
        return rp_fail(err, RP_ERR_ARGUMENT, "stops: want an array of %llu, is NULL", (unsigned long long)stop_count);
    rp_text *text = rp_alloc(memory, 1, sizeof *text, "text", err);
    if (!text)
        return RP_ERR_MEMORY;
    text->memory = memory;
    text->tokens = *tokens;
    text->stop_count = stop_count;
    rp_status status = measure_stops(text, stops, err);
    if (status == RP_OK)
        status = take_memory(text, stops, err);
    if (status != RP_OK) {
        rp_text_close(text);
        return status;
    }
    *opened = text;
    return RP_OK;
}

static const char *model_bytes(const void *model, int32_t id, size_t *size) {
    return rp_token_bytes(model, id, size);
}

rp_status rp_text_open(rp_text **text, const rp_model *model, const char *const *stops, size_t stop_count,
                       rp_error *err) {
    rp_model_info info;
    rp_model_get_info(model, &info);
    rp_token_source tokens = {.vocab = info.vocab, .user = model, .bytes = model_bytes};
    return rp_text_open_core(text, rp_model_memory_of(model), &tokens, stops, stop_count, err);
}

void rp_text_close(rp_text *text) {
    if (!text)
        return;
    rp_memory *memory = text->memory;
    rp_release(memory, text->stops, text->stop_count, sizeof *text->stops);
    rp_release(memory, text->bytes, text->stop_bytes, 1);
    rp_release(memory, text->borders, text->stop_bytes, sizeof *text->borders);
    rp_release(memory, text->buffer, text->capacity, 1);
    rp_release(memory, text, 1, sizeof *text);
}
