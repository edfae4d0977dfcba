/* The converter as a module of its own (js/wasm/convert.wasm), which a page loads when somebody converts: js/convert-run.js gives the
 * imports, which answer at once, and calls the exports. One instance makes one conversion. JavaScript is trusted, files are not. */
#include "convert/convert.h"
#include "convert/quantize.h"
#include "kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

/* Natively, for the linter, these are plain functions. */
#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(#name)))
#define IMPORT(name) __attribute__((import_module("host"), import_name(#name)))
#else
#define EXPORT(name)
#define IMPORT(name)
#endif

enum { CONVERT_UNROLL = 1, CONVERT_DEDUP = 2 };

/* Doubles hold whole numbers up to 2^53: sizes and offsets of files. */
IMPORT(open) int import_open(const char *name); /* a handle, or -1 when there is no such file */
IMPORT(size) double import_size(int file);
IMPORT(close) void import_close(int file);
IMPORT(read) int import_read(int file, double offset, void *bytes, size_t size); /* all of it: 1, else 0 */
IMPORT(write) int import_write(const void *bytes, size_t size);
IMPORT(progress) int import_progress(const char *what, double done, double total); /* 0: stop */

typedef struct conversion {
    rp_error err;
    rp_converted result;
    char json[1024]; /* what this module can do; after convert_run what it did */
} conversion;

#ifdef __wasm__
/* In place of kernels/choose.c: models are opened here to read their headers, and compute nothing. */
const rp_kernels *rp_kernels_for(rp_isa isa) {
    static const rp_kernels none = {.isa = RP_ISA_SCALAR};
    return isa == RP_ISA_BEST || isa == none.isa ? &none : NULL;
}
#endif

/* ---- JSON ---------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void add(conversion *c, const char *format, ...) {
    size_t length = strlen(c->json);
    va_list args;
    va_start(args, format);
    rp_format_list(c->json + length, sizeof c->json - length, format, args);
    va_end(args);
}

/* Of names only, in small letters: what JSON would escape becomes a question mark. */
static void add_name(conversion *c, const char *name) {
    add(c, "\"");
    for (; *name; name++) {
        char letter = *name >= 'A' && *name <= 'Z' ? (char)(*name + 'a' - 'A') : *name;
        add(c, "%c", letter < ' ' || letter > '~' || letter == '"' || letter == '\\' ? '?' : letter);
    }
    add(c, "\"");
}

static void add_types(conversion *c) {
    const char *between = "";
    for (int i = 0; i < RP_TYPES; i++) {
        if (!rp_can_quantize((rp_type)i))
            continue;
        add(c, "%s", between);
        add_name(c, rp_type_traits[i].name);
        between = ", ";
    }
}

static void tell_layout(conversion *c) {
    add(c,
        "{\"version\":\"%s\",\"status\":[\"RP_OK\",\"RP_CONTEXT_FULL\",\"RP_ERR_ARGUMENT\",\"RP_ERR_FORMAT\","
        "\"RP_ERR_UNSUPPORTED\",\"RP_ERR_MEMORY\",\"RP_ERR_IO\"],",
        RP_VERSION);
    add(c, "\"flags\":{\"unroll\":%d,\"dedup\":%d},\"types\":[", CONVERT_UNROLL, CONVERT_DEDUP);
    add_types(c);
    add(c, "]}");
}

static void tell_result(conversion *c) {
    const rp_converted *r = &c->result;
    c->json[0] = 0;
    add(c, "{\"architecture\":");
    add_name(c, r->arch);
    add(c,
        ",\"blocks\":%u,\"visits\":%u,\"parameters\":%llu,\"bytes\":%llu,\"equalHalves\":%u,\"fixedDepth\":%u,"
        "\"keeps\":",
        r->blocks, r->visits, (unsigned long long)r->parameters, (unsigned long long)r->bytes, r->found,
        r->fixed_depth);
    if (r->keeps)
        add_name(c, r->keeps);
    else
        add(c, "null");
    add(c, "}");
}

/* ---- What the converter asks --------------------------------------------------------------------------- */

static int open_input(void *user, const char *name, uint64_t *size) {
    (void)user;
    int file = import_open(name);
    if (file >= 0)
        *size = (uint64_t)import_size(file);
    return file;
}

static void close_input(void *user, int file) {
    (void)user;
    import_close(file);
}

static bool read_input(void *user, int file, uint64_t offset, void *bytes, size_t size) {
    (void)user;
    return import_read(file, (double)offset, bytes, size) != 0;
}

static bool write_output(void *user, const void *bytes, size_t size) {
    (void)user;
    return import_write(bytes, size) != 0;
}

static bool tell_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    (void)user;
    return import_progress(what, (double)done, (double)total) != 0;
}

/* ---- Exports ------------------------------------------------------------------------------------------- */

EXPORT(convert_alloc) void *convert_alloc(size_t bytes) {
    return malloc(bytes);
}

EXPORT(convert_open) conversion *convert_open(void) {
    conversion *c = calloc(1, sizeof *c);
    if (c)
        tell_layout(c);
    return c;
}

EXPORT(convert_status) int convert_status(const conversion *c) {
    return (int)c->err.status;
}

EXPORT(convert_message) const char *convert_message(const conversion *c) {
    return c->err.message;
}

EXPORT(convert_bytes_needed) double convert_bytes_needed(const conversion *c) {
    return (double)c->err.bytes_needed;
}

EXPORT(convert_json) const char *convert_json(const conversion *c) {
    return c->json;
}

static rp_status read_type(conversion *c, const char *what, const char *name, rp_type *type) {
    if (!name || rp_convert_type(name, type))
        return RP_OK;
    c->json[0] = 0;
    add_types(c);
    return rp_fail(&c->err, RP_ERR_ARGUMENT, "%s is %s, want one of %s", what, name, c->json);
}

/* Texts may be NULL: as the input has it. Gives the status. */
EXPORT(convert_run)
int convert_run(conversion *c, const char *type, const char *head, const char *layers, unsigned flags,
                const char *tokenizer, size_t tokenizer_size, const char *tokenizer_name) {
    const rp_files files = {NULL, open_input, close_input, read_input, write_output, tell_progress};
    rp_convert_options how = {.keep_types = !type,
                              .head = RP_TYPES,
                              .layers = layers,
                              .unroll = flags & CONVERT_UNROLL,
                              .dedup = flags & CONVERT_DEDUP,
                              .tokenizer = tokenizer,
                              .tokenizer_size = tokenizer_size,
                              .tokenizer_name = tokenizer_name};
    rp_memory memory;
    c->err = (rp_error){.status = RP_OK};
    RP_TRY(read_type(c, "type", type, &how.type));
    RP_TRY(read_type(c, "headType", head, &how.head));
    if (head && !type)
        return rp_fail(&c->err, RP_ERR_ARGUMENT, "headType without type");
    rp_memory_init(&memory, &(rp_host){0});
    rp_status status = rp_convert(&files, &memory, &how, &c->result, &c->err);
    if (status == RP_OK)
        tell_result(c);
    return (int)status;
}
