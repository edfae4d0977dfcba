/* reprise convert: a Hugging Face folder, a llama2.c checkpoint or a GGUF file into a GGUF file. */
#include "cli.h"

#include "../convert/convert.h"

#include <stdlib.h>
#include <string.h>

enum { PATH_ROOM = 4096, TOKENIZER_MOST = 64 << 20, SHOWN_EVERY_MS = 200, LINE_EVERY_MS = 2000 };

/* The input's files and the output, as the converter asks for them. */
typedef struct places {
    const char *input;
    host_output *output;
    const char *output_path;
    const char *trouble; /* with the output */
    double begun_ms, shown_ms;
    bool shows, on_line; /* progress; all of it on one line of a terminal */
} places;

static const char IS_INPUT[] = "is one of the inputs: want another output";

static int open_input(void *user, const char *name, uint64_t *size) {
    places *p = user;
    char path[PATH_ROOM];
    size_t length = rp_format(path, sizeof path, *name ? "%s/%s" : "%s", p->input, name);
    if (length + 1 >= sizeof path)
        return -1;
    int file = host_open(path);
    if (file >= 0 && host_size(file, size)) {
        if (host_same_file(path, p->output_path))
            p->trouble = IS_INPUT;
        return file;
    }
    if (file >= 0)
        host_close(file);
    return -1;
}

static void close_input(void *user, int file) {
    (void)user;
    host_close(file);
}

static bool read_input(void *user, int file, uint64_t offset, void *bytes, size_t size) {
    (void)user;
    return host_read_at(file, offset, bytes, size);
}

/* The output is made when its first byte comes: everything was checked by then. */
static bool write_output(void *user, const void *bytes, size_t size) {
    places *p = user;
    if (!p->output && !p->trouble) {
        p->output = host_create(p->output_path);
        p->trouble = p->output ? NULL : "cannot be made there";
    }
    if (!p->trouble && !host_append(p->output, bytes, size))
        p->trouble = "cannot be written; is the disk full?";
    return !p->trouble;
}

static bool show_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    places *p = user;
    double now = host_now_ms();
    if (p->shows && now - p->shown_ms > (p->on_line ? SHOWN_EVERY_MS : LINE_EVERY_MS)) {
        p->shown_ms = now;
        print(2, p->on_line ? "\r%s %.1f of %.1f MB " : "%s %.1f of %.1f MB\n", what, (double)done / 1e6,
              (double)total / 1e6);
    }
    return true;
}

/* The first bytes of a vocabulary's file: of a GGUF no more than its header is looked at. */
static rp_status read_tokenizer(const char *path, rp_convert_options *how, char **bytes, rp_error *err) {
    uint64_t size;
    int file = host_open(path);
    if (file < 0)
        return rp_fail(err, RP_ERR_IO, "%s: cannot be opened", path);
    rp_status status = RP_OK;
    if (!host_size(file, &size))
        status = rp_fail(err, RP_ERR_IO, "%s: want a file", path);
    how->tokenizer_size = status == RP_OK ? (size_t)RP_MIN(size, TOKENIZER_MOST) : 0;
    *bytes = status == RP_OK ? malloc(how->tokenizer_size + 1) : NULL;
    if (status == RP_OK && !*bytes)
        status = rp_fail(err, RP_ERR_MEMORY, "%s: no room for it", path);
    if (status == RP_OK && !host_read_at(file, 0, *bytes, how->tokenizer_size))
        status = rp_fail(err, RP_ERR_IO, "%s: cannot be read", path);
    host_close(file);
    how->tokenizer = *bytes;
    how->tokenizer_name = path;
    return status;
}

static void read_types(const options *o, rp_convert_options *how) {
    how->keep_types = !o->type;
    how->head = RP_TYPES;
    if (o->type)
        rp_convert_type(o->type, &how->type);
    if (o->head_type)
        rp_convert_type(o->head_type, &how->head);
}

/* Nothing in a folder that is the input is written over, read or not, but for a GGUF: that was made before. */
static bool is_in_folder(const char *input, const char *output) {
    char folder[PATH_ROOM];
    const char *slash = strrchr(output, '/'), *dot = strrchr(output, '.');
    int length = slash ? (int)RP_MIN((size_t)(slash - output) + 1, sizeof folder) : 0;
    rp_format(folder, sizeof folder, "%.*s.", length, output);
    return host_same_file(folder, input) && host_same_file(output, output) && !(dot && strcmp(dot, ".gguf") == 0);
}

static rp_status convert(const options *o, const char *input, places *p, rp_converted *result, rp_error *err) {
    rp_convert_options how = {.layers = o->layers, .unroll = o->unroll, .dedup = o->dedup};
    rp_memory memory;
    char *tokenizer = NULL;
    const rp_files files = {p, open_input, close_input, read_input, write_output, show_progress};
    if (!o->output)
        return rp_fail(err, RP_ERR_ARGUMENT, "want -o OUT.gguf");
    if (host_same_file(input, o->output) || is_in_folder(input, o->output) ||
        (o->tokenizer && host_same_file(o->tokenizer, o->output)))
        return rp_fail(err, RP_ERR_ARGUMENT, "%s %s", o->output, IS_INPUT);
    if (o->head_type && !o->type)
        return rp_fail(err, RP_ERR_ARGUMENT, "--head-type without --type");
    read_types(o, &how);
    rp_memory_init(&memory, &(rp_host){0});
    rp_status status = o->tokenizer ? read_tokenizer(o->tokenizer, &how, &tokenizer, err) : RP_OK;
    if (status == RP_OK)
        status = rp_convert(&files, &memory, &how, result, err) == RP_OK ? RP_OK : name_file(input, err);
    free(tokenizer);
    if (p->on_line && p->shown_ms > p->begun_ms)
        print(2, "\r%60s\r", "");
    if (p->trouble)
        status = rp_fail(err, p->trouble == IS_INPUT ? RP_ERR_ARGUMENT : RP_ERR_IO, "%s %s", o->output, p->trouble);
    if (status != RP_OK) {
        host_discard(p->output);
        return status;
    }
    bool done = host_commit(p->output);
    p->output = NULL;
    return done ? RP_OK : rp_fail(err, RP_ERR_IO, "%s: cannot be put in place", o->output);
}

static void print_result(const options *o, const rp_converted *r) {
    if (o->json) {
        print(1, "{\"output\":");
        print_json_string(o->output, strlen(o->output));
        print(1,
              ",\"architecture\":\"%s\",\"blocks\":%u,\"visits\":%u,\"parameters\":%llu,\"bytes\":%llu,\"equal_"
              "halves\":%u,",
              r->arch, r->blocks, r->visits, (unsigned long long)r->parameters, (unsigned long long)r->bytes, r->found);
        print(1, "\"fixed_depth\":%u,\"keeps\":", r->fixed_depth);
        if (r->keeps)
            print_json_string(r->keeps, strlen(r->keeps));
        print(1, r->keeps ? "}\n" : "null}\n");
        return;
    }
    print(1, "%s: %s, %u blocks, %u visits, %llu parameters, %llu bytes\n", o->output, r->arch, r->blocks, r->visits,
          (unsigned long long)r->parameters, (unsigned long long)r->bytes);
    if (o->dedup)
        print(1, r->found ? "%u halves of blocks were stored before\n" : "no blocks with equal bytes\n", r->found);
    if (r->fixed_depth)
        print(1, "the input's depth could be chosen; here it is %u\n", r->fixed_depth);
    if (o->unroll && r->keeps)
        print(1, "for this engine alone: stock llama.cpp does not know %s\n", r->keeps);
    else if (o->unroll)
        print(1, "no block is visited twice: stock llama.cpp runs this file\n");
}

int run_convert(const options *o, char **args, uint32_t count) {
    (void)count;
    rp_error err;
    rp_converted result = {0};
    places p = {.input = args[0],
                .output_path = o->output,
                .begun_ms = host_now_ms(),
                .shows = !o->json,
                .on_line = host_is_terminal(2)};
    p.shown_ms = p.begun_ms;
    if (convert(o, args[0], &p, &result, &err) != RP_OK)
        return report(&err);
    print_result(o, &result);
    return EXIT_OK;
}
