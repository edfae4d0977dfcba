/* The command line, from one table of options for all commands; --help is made from the same table. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static bool is_number(const char *text, double *value) {
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == 0;
}

static bool wrong(const command *c, const char *what, const char *got, const char *want) {
    print(2, "reprise: %s: %s%s%s; want %s (reprise %s --help)\n", c->name, what, *got ? " " : "", got, want, c->name);
    return false;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool is_word(const char *word, const char *text, size_t length) {
    size_t i = 0;
    while (i < length && lower(word[i]) == lower(text[i]))
        i++;
    return i == length && (word[i] == '/' || word[i] == 0);
}

static bool is_choice(const char *choices, const char *text) {
    for (const char *at = choices; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL)
        if (is_word(at, text, strlen(text)))
            return true;
    return false;
}

static bool store_number(const command *c, const option *spec, const char *text, void *place) {
    double value;
    bool whole = spec->kind != KIND_NUMBER;
    if (!is_number(text, &value) || !(value >= spec->low && value <= spec->high) ||
        (whole && value != (double)(uint64_t)value)) {
        print(2, "reprise: %s: %s is %s; want a%s number from %.10g to %.10g\n", c->name, spec->name, text,
              whole ? " whole" : "", spec->low, spec->high);
        return false;
    }
    if (spec->kind == KIND_NUMBER)
        *(float *)place = (float)value;
    else
        *(uint32_t *)place = (uint32_t)value;
    return true;
}

static bool store_seed(const command *c, const option *spec, const char *text, uint64_t *place) {
    char *end;
    *place = strtoull(text, &end, 10);
    return (end != text && *end == 0 && *text != '-') ||
           wrong(c, spec->name, text, "a whole number from 0 to 2^64 - 1");
}

static bool store_text(const command *c, const option *spec, const char *text, texts *list) {
    if (list->count == (uint32_t)spec->high || !*text) {
        print(2, "reprise: %s: %s %s; want at most %u of them, none empty\n", c->name, spec->name, text,
              (uint32_t)spec->high);
        return false;
    }
    list->text[list->count++] = text;
    return true;
}

static bool store(const command *c, const option *spec, const char *text, options *o) {
    void *place = (char *)o + spec->place;
    switch (spec->kind) {
    case KIND_FLAG: *(bool *)place = true; return true;
    case KIND_TEXT:
    case KIND_FILE: *(const char **)place = text; return true;
    case KIND_COUNT:
    case KIND_NUMBER: return store_number(c, spec, text, place);
    case KIND_SEED: return store_seed(c, spec, text, place);
    case KIND_CHOICE:
        *(const char **)place = text;
        return is_choice(spec->choices, text) || wrong(c, spec->name, text, spec->choices);
    case KIND_LIST: return store_text(c, spec, text, place);
    }
    return false;
}

static const option *find_option(const command *c, const char *name, size_t length) {
    for (size_t g = 0; c->groups[g]; g++)
        for (const option *spec = c->groups[g]; spec->name; spec++)
            if ((strlen(spec->name) == length && memcmp(spec->name, name, length) == 0) ||
                (spec->alias && strlen(spec->alias) == length && memcmp(spec->alias, name, length) == 0))
                return spec;
    return NULL;
}

/* "-" and negative numbers are no options. */
static bool looks_like_option(const char *text) {
    return text[0] == '-' && text[1] && !(text[1] >= '0' && text[1] <= '9');
}

bool args_read(const command *c, int count, char **args, options *o, uint32_t *positional_count) {
    uint32_t found = 0;
    bool only_positionals = false;
    *o = c->defaults;
    for (int i = 0; i < count; i++) {
        char *text = args[i];
        if (!only_positionals && strcmp(text, "--") == 0) {
            only_positionals = true;
            continue;
        }
        if (only_positionals || !looks_like_option(text)) {
            args[found++] = text;
            continue;
        }
        const char *equals = text[1] == '-' ? strchr(text, '=') : NULL;
        const option *spec = find_option(c, text, equals ? (size_t)(equals - text) : strlen(text));
        if (!spec)
            return wrong(c, "unknown option", text, "one of the listed ones");
        if (spec->kind == KIND_FLAG) {
            if (equals)
                return wrong(c, spec->name, equals, "no value");
        } else if (!equals && i + 1 == count) {
            return wrong(c, spec->name, "has no value", "one");
        }
        const char *value = equals ? equals + 1 : spec->kind == KIND_FLAG ? "" : args[++i];
        if (!store(c, spec, value, o))
            return false;
    }
    *positional_count = found;
    if (o->help || (found >= c->least && found <= c->most))
        return true;
    return wrong(c, found < c->least ? "arguments are missing" : "too many arguments", "", c->positionals);
}

void args_help(const command *c) {
    print(1, "usage: reprise %s %s [options]\n\n%s\n\noptions:\n", c->name, c->positionals, c->help);
    for (size_t g = 0; c->groups[g]; g++)
        for (const option *spec = c->groups[g]; spec->name; spec++) {
            static const char *const takes[] = {"", " TEXT", " N", " X", " N", " ", " TEXT", " FILE"};
            char name[64] = "";
            bool is_long = spec->kind == KIND_CHOICE && strlen(spec->choices) > 24; /* they get a line of their own */
            strncat(name, spec->name, 30);
            strncat(name, is_long ? " TYPE" : takes[spec->kind], 8);
            if (spec->kind == KIND_CHOICE && !is_long)
                strncat(name, spec->choices, 24);
            print(1, "  %-30s %s\n", name, spec->help);
            if (is_long)
                print(1, "  %-30s %s\n", "", spec->choices);
        }
}

void args_help_all(void) {
    print(1, "reprise %s: small, weight-shared language models from GGUF files\n\nusage: reprise COMMAND [options]\n\n",
          RP_VERSION);
    for (size_t i = 0; i < command_count; i++)
        print(1, "  %-11s %-27s %s\n", commands[i].name, commands[i].positionals, commands[i].help);
    print(1, "\nreprise COMMAND --help lists a command's options.\n"
             "Exit codes: 0 done, 1 something went wrong (one line on stderr says what), 2 a command,\n"
             "option or number of arguments that there is not, or a value out of its range.\n");
}
