/* See data.h. */
#include "data.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void die(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

void *zeros(size_t bytes) {
    size_t lines = (bytes + 63) / 64 * 64;
    void *p = aligned_alloc(64, lines);
    if (!p)
        die("out of memory: %zu bytes were asked for", bytes);
    memset(p, 0, lines);
    return p;
}

uint64_t draw(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}

uint64_t draws_begin(uint64_t seed, uint64_t what) {
    uint64_t state = ((seed + 1) * 0x9e3779b97f4a7c15ULL) ^ ((what + 1) * 0xd1b54a32d192ed03ULL);
    for (int i = 0; i < 4; i++)
        draw(&state);
    return state;
}

double uniform(uint64_t *state) {
    return (double)(draw(state) >> 11) * 0x1p-53;
}

void stories_seek(stories *s, uint64_t epoch, uint64_t at) {
    uint64_t state = draws_begin(s->seed, epoch);
    s->epoch = epoch;
    s->at = at;
    for (size_t i = 0; i < s->story_count; i++)
        s->order[i] = (uint32_t)i;
    for (size_t i = s->story_count; i > 1; i--) {
        size_t j = draw(&state) % i;
        uint32_t swapped = s->order[i - 1];
        s->order[i - 1] = s->order[j];
        s->order[j] = swapped;
    }
}

void stories_open(stories *s, const char *file, int vocab, uint32_t seed) {
    FILE *f = fopen(file, "rb");
    long bytes = f && !fseek(f, 0, SEEK_END) ? ftell(f) : -1;
    if (bytes < 0 || fseek(f, 0, SEEK_SET))
        die("%s: %s", file, strerror(errno));
    s->id_count = (size_t)bytes / 2;
    if (bytes % 2 || !s->id_count || s->id_count >= UINT32_MAX)
        die("%s: %ld bytes, expected 16-bit token ids", file, bytes);
    s->ids = zeros(s->id_count * 2);
    if (fread(s->ids, 2, s->id_count, f) != s->id_count)
        die("%s: %s", file, strerror(errno));
    fclose(f);
    if (s->ids[0] != BOS)
        die("%s: begins with token %d, expected BOS, %d", file, s->ids[0], BOS);
    s->stories = zeros((s->id_count + 1) * sizeof *s->stories);
    for (size_t i = 0; i < s->id_count; i++) {
        if (s->ids[i] >= vocab)
            die("%s: token %d of a vocabulary of %d", file, s->ids[i], vocab);
        if (s->ids[i] == BOS)
            s->stories[s->story_count++] = (uint32_t)i;
    }
    s->stories[s->story_count] = (uint32_t)s->id_count;
    s->order = zeros(s->story_count * sizeof *s->order);
    s->seed = seed;
    stories_seek(s, 0, 0);
}

void stories_row(stories *s, int length, uint16_t *ids, uint16_t *targets) {
    for (int have = 0; have <= length;) {
        if (s->at == s->story_count)
            stories_seek(s, s->epoch + 1, 0);
        uint32_t story = s->order[s->at++];
        for (uint32_t i = s->stories[story]; i < s->stories[story + 1] && have <= length; i++, have++) {
            if (have < length)
                ids[have] = s->ids[i];
            if (have > 0)
                targets[have - 1] = s->ids[i];
        }
    }
}

double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
