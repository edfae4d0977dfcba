/* A program drawn in a terminal: a row for each visit with its block's letter, a bar in its block's colour where
 * colours show, its KV slot, and what is special about it. */
#include "cli.h"

#include <stdio.h>

/* A to Z, a to z, then numbers. */
static void name_block(uint32_t block, char name[12]) {
    if (block < 52)
        snprintf(name, 12, "%c", (block < 26 ? 'A' : 'a' - 26) + (int)block);
    else
        snprintf(name, 12, "%u", block);
}

/* Neighbours differ much: of xterm's 256 colours twelve that show on black and on white. */
static int colour_of(uint32_t block) {
    static const uint8_t colours[] = {33, 208, 71, 162, 44, 178, 98, 203, 35, 68, 170, 136};
    return colours[block % sizeof colours];
}

static void draw_bar(uint32_t block, const char *bar) {
    print(1, "\x1b[38;5;%dm%s\x1b[0m", colour_of(block), bar);
}

static void draw_visit(void *user, uint32_t visit, const rp_visit_info *v) {
    const bool *coloured = user;
    char attn[12], ffn[12], marks[64];
    name_block(v->attn, attn);
    name_block(v->ffn, ffn);
    snprintf(marks, sizeof marks, "%s%s%s%s%s", v->slot >= 0 && !v->writes ? " reads" : "", v->varies ? " varies" : "",
             v->injects ? " injects" : "", v->norm_after ? " norm" : "", v->may_exit ? " exit" : "");
    print(1, "  %4u  ", visit);
    if (*coloured) {
        draw_bar(v->attn, "▇▇▇");
        draw_bar(v->ffn, "▇▇▇ ");
    }
    if (v->attn == v->ffn)
        print(1, "%-7s ", attn);
    else
        print(1, "%s/%-*s ", attn, attn[1] ? 4 : 5, ffn);
    if (v->slot < 0)
        print(1, "no attention%s\n", marks);
    else
        print(1, *marks ? "KV %-4d%s\n" : "KV %d%s\n", v->slot, marks);
}

static void mark(void *user, uint32_t visit, const rp_visit_info *v) {
    bool *marks = user;
    (void)visit;
    marks[0] |= v->slot >= 0 && !v->writes;
    marks[1] |= v->varies;
    marks[2] |= v->injects;
    marks[3] |= v->norm_after;
    marks[4] |= v->may_exit;
}

rp_status draw_program(const rp_model *model, const rp_program_options *program, rp_error *err) {
    static const char *const legend[] = {
        "reads: the KV slot is another visit's", "varies: norms, a bias or low-rank terms are this visit's own",
        "injects: the loops' input comes in again", "norm: the output norm runs after it",
        "exit: the exit rule is asked after it"};
    bool marks[RP_COUNT(legend)] = {0}, coloured = host_shows_colour(1);
    RP_TRY(rp_model_program(model, program, marks, mark, err));
    print(1, " visit  %sblock\n", coloured ? "       " : "");
    RP_TRY(rp_model_program(model, program, &coloured, draw_visit, err));
    for (size_t i = 0; i < RP_COUNT(legend); i++)
        if (marks[i])
            print(1, "  %s\n", legend[i]);
    return RP_OK;
}
