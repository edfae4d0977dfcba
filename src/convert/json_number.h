/* Numbers as JSON spells them, without the C library's strtod and its locale. */
#ifndef RP_JSON_NUMBER_H
#define RP_JSON_NUMBER_H

#include "../base.h"

typedef struct rp_json_number {
    double value; /* the nearest double, or a neighbour of it where more than 15 digits are given; too big: infinite */
    bool whole;   /* an integer that int64_t holds */
    int64_t integer; /* exact when whole */
} rp_json_number;

/* The number at the start of a text: how many bytes it has; 0: there is none. */
size_t rp_json_read_number(const char *text, size_t size, rp_json_number *number);

#endif
