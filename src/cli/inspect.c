/* reprise inspect: what a file holds and what it needs, from its header alone. */
#include "cli.h"

typedef struct listing {
    bool json, first;
} listing;

static void print_type(void *user, const char *type, uint64_t bytes, uint32_t tensors) {
    listing *l = user;
    if (l->json)
        print(1, "%s\"%s\":%llu", l->first ? "" : ",", type, (unsigned long long)bytes);
    else
        print(1, "  %-8s %12llu bytes in %u tensors\n", type, (unsigned long long)bytes, tensors);
    l->first = false;
}

static void print_json_visit(void *user, uint32_t visit, const rp_visit_info *v) {
    (void)user;
    print(1, "%s%u", visit ? "," : "", v->attn);
}

static void print_visit(void *user, uint32_t visit, const rp_visit_info *v) {
    (void)user;
    (void)visit;
    print(1, v->attn == v->ffn ? " %u" : " %u/%u", v->attn, v->ffn);
}

static void print_json(const rp_model *model, const rp_model_info *info, const rp_plan *plan, uint32_t context) {
    listing l = {.json = true, .first = true};
    print(1,
          "{\"architecture\":\"%s\",\"blocks\":%u,\"visits\":%u,\"kv_slots\":%u,\"parameters_stored\":%llu,"
          "\"parameters_effective\":%llu,\"file_bytes\":%llu,\"bytes_by_type\":{",
          info->architecture, info->blocks, info->visits, info->kv_slots, (unsigned long long)info->parameters_stored,
          (unsigned long long)info->parameters_effective, (unsigned long long)info->file_bytes);
    rp_model_types(model, &l, print_type);
    print(1, "},\"kv_bytes_per_token\":%llu,\"context\":%u,\"context_trained\":%u,\"layer_map\":[",
          (unsigned long long)plan->kv_per_token, context, info->context_trained);
    rp_model_program(model, &(rp_program_options){0}, NULL, print_json_visit, &(rp_error){0});
    print(1,
          "],\"plan\":{\"weights\":%llu,\"kv\":%llu,\"scratch\":%llu,\"vocabulary\":%llu,\"adapters\":%llu,"
          "\"total\":%llu,\"isa\":\"%s\"}}\n",
          (unsigned long long)plan->weights, (unsigned long long)plan->kv, (unsigned long long)plan->scratch,
          (unsigned long long)plan->vocabulary, (unsigned long long)plan->adapters, (unsigned long long)plan->total,
          isa_name(plan->isa));
}

static void print_text(const rp_model *model, const rp_model_info *info, const rp_plan *plan, uint32_t context) {
    listing l = {0};
    print(1, "architecture   %s\n", info->architecture);
    print(1, "shape          %u wide, FFN %u, %u query and %u key/value heads of %u, vocabulary %u\n", info->dim,
          info->ffn_dim, info->heads, info->kv_heads, info->head_dim, info->vocab);
    print(1, "blocks         %u stored, %u visits, %u KV slots\n", info->blocks, info->visits, info->kv_slots);
    if (info->visits != info->blocks) {
        print(1, "program       ");
        rp_model_program(model, &(rp_program_options){0}, NULL, print_visit, &(rp_error){0});
        print(1, "\n");
    }
    print(1, "parameters     %llu stored, %llu effective\n", (unsigned long long)info->parameters_stored,
          (unsigned long long)info->parameters_effective);
    print(1, "file           %llu bytes\n", (unsigned long long)info->file_bytes);
    rp_model_types(model, &l, print_type);
    print(1, "KV cache       %llu bytes a token\n", (unsigned long long)plan->kv_per_token);
    print(1, "memory for a context of %u (%s)\n", context, isa_name(plan->isa));
    const struct {
        const char *name;
        uint64_t bytes;
    } rows[] = {{"weights", plan->weights},
                {"KV cache", plan->kv},
                {"scratch", plan->scratch},
                {"vocabulary", plan->vocabulary},
                {"total", plan->total}};
    for (size_t i = 0; i < RP_COUNT(rows); i++)
        print(1, "  %-12s %12llu bytes\n", rows[i].name, (unsigned long long)rows[i].bytes);
}

int run_inspect(const options *o, char **args, uint32_t count) {
    (void)count;
    rp_model *model = NULL;
    rp_error err;
    rp_plan plan;
    rp_model_info info;
    double load_ms;
    rp_status status = load_model(args[0], o, PART_HEADER, &model, &load_ms, &err);
    if (status == RP_OK)
        status = rp_model_plan(model,
                               &(rp_plan_options){.context = o->context, .kv_type = kv_type(o), .threads = o->threads},
                               &plan, &err);
    if (status == RP_OK) {
        rp_model_get_info(model, &info);
        (o->json ? print_json : print_text)(model, &info, &plan, plan.context);
    }
    unload_model(model);
    return status == RP_OK ? EXIT_OK : report(&err);
}
