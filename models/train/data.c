/* See data.h. */
#include "data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void die(const char *what, const char *name) {
    fprintf(stderr, "%s: %s\n", name, what);
    exit(1);
}

void *need(size_t bytes) {
    size_t whole_lines = (bytes + 63) / 64 * 64;
    void *p = aligned_alloc(64, whole_lines);
    if (!p)
        die("out of memory", "allocation");
    memset(p, 0, whole_lines);
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
    for (size_t i = s->story_count; --i > 0;) {
        size_t j = draw(&state) % (i + 1);
        uint32_t swapped = s->order[i];
        s->order[i] = s->order[j];
        s->order[j] = swapped;
    }
}

void stories_open(stories *s, const char *file, int vocab, uint32_t seed) {
    FILE *f = fopen(file, "rb");
    if (!f)
        die(strerror(errno), file);
    fseek(f, 0, SEEK_END);
    s->id_count = (size_t)ftell(f) / 2;
    rewind(f);
    s->ids = need(s->id_count * 2 + 2);
    if (fread(s->ids, 2, s->id_count, f) != s->id_count || !s->id_count || s->ids[0] != BOS)
        die("expected 16-bit token ids that begin with BOS", file);
    fclose(f);
    s->stories = need((s->id_count + 1) * sizeof *s->stories);
    for (size_t i = 0; i < s->id_count; i++) {
        if (s->ids[i] >= vocab)
            die("a token id is above the vocabulary", file);
        if (s->ids[i] == BOS)
            s->stories[s->story_count++] = (uint32_t)i;
    }
    s->stories[s->story_count] = (uint32_t)s->id_count;
    s->order = need(s->story_count * sizeof *s->order);
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

int whole(const char *name, const char *text, int least, int most) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || end == text || value < least || value > most)
        die("a whole number within bounds was expected", name);
    return (int)value;
}

double number(const char *name, const char *text, double least, double most) {
    char *end;
    double value = strtod(text, &end);
    if (*end || end == text || !(value >= least && value <= most))
        die("a number within bounds was expected", name);
    return value;
}

double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
