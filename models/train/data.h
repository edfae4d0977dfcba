/* What train and adapt begin with: the stories as token ids, random numbers, and an end with a message. */
#ifndef DATA_H
#define DATA_H

#include <stddef.h>
#include <stdint.h>

enum { BOS = 1 };

/* Rows of tokens that begin at a story's BOS and run on into the next story of a shuffled epoch. */
typedef struct {
    uint32_t seed;
    uint64_t epoch, at; /* where the next row begins: the at-th story of the epoch's order */
    uint16_t *ids;
    uint32_t *stories, *order; /* where each story begins; the epoch's order of them */
    size_t id_count, story_count;
} stories;

/* Says what is wrong, and ends. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Memory of zeros, aligned for vectors; ends where there is none. */
void *zeros(size_t bytes);

/* xorshift64* (Vigna, 2016), of a seed and of what it is for. */
uint64_t draws_begin(uint64_t seed, uint64_t what);
uint64_t draw(uint64_t *state);
double uniform(uint64_t *state); /* 0 to 1 */

/* Opens a file of 16-bit ids, each story from BOS to EOS; ends when it is something else or has ids of `vocab` and above. */
void stories_open(stories *s, const char *file, int vocab, uint32_t seed);
/* Goes on from elsewhere: at, up to story_count, of an epoch. */
void stories_seek(stories *s, uint64_t epoch, uint64_t at);
/* A row of `length` tokens, and after each the next one. */
void stories_row(stories *s, int length, uint16_t *ids, uint16_t *targets);

double now(void); /* seconds */

#endif
