/* What the page's build tells JavaScript as JSON: its own constants, facts of a model, a plan. */
#include "wasm.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_OF(value) #value
#define TEXT(value) TEXT_OF(value)

/* In the order of the enums of reprise.h; "sampler" in the order of sampler_options in wasm.c. */
EXPORT(page_layout) const char *page_layout(void) {
    return "{\"version\":\"" RP_VERSION "\",\"check\":" TEXT(
        RP_KERNELS_CHECK) ","
                          "\"status\":[\"RP_OK\",\"RP_CONTEXT_FULL\",\"RP_ERR_ARGUMENT\",\"RP_"
                          "ERR_FORMAT\",\"RP_ERR_UNSUPPORTED\","
                          "\"RP_ERR_MEMORY\",\"RP_ERR_IO\"],"
                          "\"state\":[\"header\",\"vocabulary\",\"weights\",\"ready\"],"
                          "\"isa\":[\"best\",\"scalar\",\"simd128\",\"relaxed\"],"
                          "\"kv\":[\"f16\",\"f32\",\"q8_0\",\"q8_q4\"],"
                          "\"step\":[\"done\",\"more\",\"wait\"],"
                          "\"sampler\":[\"temperature\",\"topK\",\"topP\",\"minP\","
                          "\"typicalP\",\"repeatPenalty\",\"presencePenalty\","
                          "\"frequencyPenalty\",\"penaltyLast\",\"dryMultiplier\",\"dryBase\","
                          "\"dryAllowed\",\"dryLast\",\"mirostatTau\","
                          "\"mirostatEta\",\"seedLow\",\"seedHigh\"],"
                          "\"tokenize\":{\"special\":1,\"bos\":2,\"guarded\":4,\"continues\":8}}";
}

/* ---- A growing text ------------------------------------------------------------------------------------ */

static void start(page *p) {
    p->json_size = 0;
    page_took(p, RP_OK);
}

/* Adds at most 255 characters; after a failed allocation the status says so and nothing more is added. */
__attribute__((format(printf, 2, 3))) static void add(page *p, const char *format, ...) {
    enum { ROOM = 256 };
    if (p->err.status != RP_OK)
        return;
    if (p->json_room - p->json_size < ROOM) {
        size_t room = 2 * p->json_room + 4 * ROOM;
        char *bigger = malloc(room);
        if (!bigger) {
            rp_fail(&p->err, RP_ERR_MEMORY, "JSON: %llu bytes could not be had", (unsigned long long)room);
            p->err.bytes_needed = room;
            return;
        }
        if (p->json)
            memcpy(bigger, p->json, p->json_size);
        free(p->json);
        p->json = bigger;
        p->json_room = room;
    }
    va_list args;
    va_start(args, format);
    p->json_size += rp_format_list(p->json + p->json_size, ROOM, format, args);
    va_end(args);
}

/* Of names only: what JSON would escape becomes a question mark. */
static void add_name(page *p, const char *name) {
    add(p, "\"");
    for (; *name; name++)
        add(p, "%c", *name < ' ' || *name > '~' || *name == '"' || *name == '\\' ? '?' : *name);
    add(p, "\"");
}

static void add_number(page *p, const char *key, uint64_t value) {
    add(p, "\"%s\":%llu,", key, (unsigned long long)value);
}

/* Replaces the comma before the end of a list or object. */
static void end(page *p, const char *bracket) {
    if (p->json_size && p->err.status == RP_OK && p->json[p->json_size - 1] == ',')
        p->json_size--;
    add(p, "%s", bracket);
}

static const char *finished(page *p) {
    return page_gave(p, p->err.status == RP_OK ? p->json : NULL, p->json_size);
}

/* ---- Facts --------------------------------------------------------------------------------------------- */

static void add_type(void *user, const char *type, uint64_t bytes, uint32_t tensors) {
    page *p = user;
    add(p, "{\"type\":\"%s\",\"bytes\":%llu,\"tensors\":%u},", type, (unsigned long long)bytes, tensors);
}

static void add_visit(void *user, uint32_t visit, const rp_visit_info *v) {
    static const char *const yes[] = {"false", "true"};
    (void)visit;
    add(user,
        "{\"attn\":%u,\"ffn\":%u,\"slot\":%d,\"writes\":%s,\"varies\":%s,\"injects\":%s,\"mayExit\":%s,\"normAfter\":%"
        "s},",
        v->attn, v->ffn, v->slot, yes[v->writes], yes[v->varies], yes[v->injects], yes[v->may_exit],
        yes[v->norm_after]);
}

/* What plans count and sessions run that are opened from now on; on error nothing changed. `layers` is NULL or a zero-terminated
 * block of page_alloc, which belongs to the page from then on. Told as JSON: the visits, and what they share with that type
 * of KV cache. */
EXPORT(page_program)
const char *page_program(page *p, uint32_t loops, char *layers, int reuse_kv, float exit_threshold, int kv_type) {
    rp_sharing s;
    rp_program_options program = {loops, layers, reuse_kv != 0, exit_threshold};
    if (!page_took(p, rp_model_get_sharing(p->model, &program, (rp_kv_type)kv_type, &s, &p->err))) {
        free(layers);
        return page_gave(p, NULL, 0);
    }
    free(p->layers);
    p->layers = layers;
    p->program = program;
    start(p);
    add(p, "{\"program\":[");
    rp_model_program(p->model, &program, p, add_visit, &p->err);
    end(p, "],");
    add_number(p, "visits", s.visits);
    add_number(p, "kvSlots", s.kv_slots);
    add_number(p, "parametersEffective", s.parameters_effective);
    add(p, "\"sharing\":{");
    add_number(p, "tiedBytes", s.tied_bytes);
    add_number(p, "blockBytes", s.block_bytes);
    add_number(p, "visitedBytes", s.visited_bytes);
    add_number(p, "kvBytes", s.kv_bytes);
    add_number(p, "kvBytesAllHeads", s.kv_bytes_all_heads);
    add_number(p, "kvBytesAllSlots", s.kv_bytes_all_slots);
    add_number(p, "kvBytesPlain", s.kv_bytes_plain);
    end(p, "}}");
    return finished(p);
}

EXPORT(page_info) const char *page_info(page *p) {
    rp_model_info i;
    if (rp_model_load_state(p->model) < RP_LOAD_WEIGHTS) {
        rp_fail(&p->err, RP_ERR_ARGUMENT, "the model's header is not there yet");
        return page_gave(p, NULL, 0);
    }
    rp_model_get_info(p->model, &i);
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"blocks", i.blocks},
                   {"dim", i.dim},
                   {"ffnDim", i.ffn_dim},
                   {"heads", i.heads},
                   {"kvHeads", i.kv_heads},
                   {"headDim", i.head_dim},
                   {"vocab", i.vocab},
                   {"contextTrained", i.context_trained},
                   {"loops", i.loops},
                   {"loopMin", i.loop_min},
                   {"loopMax", i.loop_max},
                   {"parametersStored", i.parameters_stored},
                   {"fileBytes", i.file_bytes},
                   {"unrolledBytes", i.unrolled_bytes},
                   {"isa", i.isa}};
    start(p);
    add(p, "{\"architecture\":");
    add_name(p, i.architecture);
    add(p, ",");
    for (size_t k = 0; k < RP_COUNT(numbers); k++)
        add_number(p, numbers[k].key, numbers[k].value);
    add(p, "\"tied\":%s,\"bos\":%d,\"eos\":%d,", i.tied ? "true" : "false", rp_token_bos(p->model),
        rp_token_eos(p->model));
    add(p, "\"types\":[");
    rp_model_types(p->model, p, add_type);
    end(p, "]}");
    return finished(p);
}

/* ---- The plan ------------------------------------------------------------------------------------------ */

#ifdef __wasm__
extern char __heap_base; /* where static data and the stack end */
#endif

/* What a page takes besides what the engine counts. Later blocks may not fit into the gaps that parsing the header left. */
static uint64_t runtime_bytes(const page *p, uint64_t context, uint32_t threads) {
    uint64_t bytes = PAGE_FEED_BYTES + PAGE_TEXT_BYTES + PAGE_SLACK_BYTES + context * PAGE_TEXT_PER_POSITION;
    if (threads > 1)
        bytes += (uint64_t)(threads - 1) * PAGE_STACK_BYTES;
#ifdef __wasm__
    bytes += (uintptr_t)&__heap_base;
#endif
    return bytes + p->header_gaps;
}

EXPORT(page_plan)
const char *page_plan(page *p, uint32_t context, int kv_type, uint32_t chunk, uint32_t sessions, uint32_t sequences,
                      double extra, uint32_t threads) {
    rp_plan plan;
    rp_plan_options options = {context,          (rp_kv_type)kv_type, chunk,   sessions,  sequences,
                               p->adapter_bytes, p->adapter_rank,     threads, p->program};
    if (extra > 0)
        options.adapter_bytes += extra < 0x1p53 ? (uint64_t)extra : UINT64_C(1) << 53;
    if (!page_took(p, rp_model_plan(p->model, &options, &plan, &p->err)))
        return page_gave(p, NULL, 0);
    uint64_t runtime = runtime_bytes(p, plan.context, threads);
    start(p);
    add(p, "{");
    add_number(p, "weights", plan.weights);
    add_number(p, "kv", plan.kv);
    add_number(p, "scratch", plan.scratch);
    add_number(p, "vocabulary", plan.vocabulary);
    add_number(p, "adapters", plan.adapters);
    add_number(p, "runtime", runtime);
    add_number(p, "total", plan.total + runtime);
    add_number(p, "kvPerToken", plan.kv_per_token);
    add_number(p, "kvSlots", plan.kv_slots);
    add_number(p, "context", plan.context);
    end(p, "}");
    return finished(p);
}
