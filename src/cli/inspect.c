/* reprise inspect: what a file holds, shares and needs, from its header alone; or two models side by side. */
#include "cli.h"

typedef unsigned long long ull; /* what printf wants */

typedef struct facts {
    const rp_model *model;
    rp_program_options program;
    rp_model_info info;
    rp_sharing sharing;
    rp_plan plan;
    rp_kv_type kv_type;
} facts;

typedef struct listing {
    bool json, first;
} listing;

static void print_type(void *user, const char *type, uint64_t bytes, uint32_t tensors) {
    listing *l = user;
    if (l->json)
        print(1, "%s\"%s\":%llu", l->first ? "" : ",", type, (ull)bytes);
    else
        print(1, "  %-8s %12llu bytes in %u tensors\n", type, (ull)bytes, tensors);
    l->first = false;
}

/* ---- JSON ---------------------------------------------------------------------------------------------- */

static void print_json_block(void *user, uint32_t visit, const rp_visit_info *v) {
    (void)user;
    print(1, "%s%u", visit ? "," : "", v->attn);
}

static const char *truth(bool value) {
    return value ? "true" : "false";
}

static void print_json_visit(void *user, uint32_t visit, const rp_visit_info *v) {
    (void)user;
    print(1,
          "%s{\"attn\":%u,\"ffn\":%u,\"slot\":%d,\"writes\":%s,\"varies\":%s,\"injects\":%s,\"norm_after\":%s,"
          "\"may_exit\":%s}",
          visit ? "," : "", v->attn, v->ffn, v->slot, truth(v->writes), truth(v->varies), truth(v->injects),
          truth(v->norm_after), truth(v->may_exit));
}

static void print_json_sharing(const facts *f) {
    const rp_sharing *s = &f->sharing;
    print(
        1,
        "\"sharing\":{\"tied_bytes\":%llu,\"block_bytes\":%llu,\"block_matrix_bytes\":%llu,\"visited_bytes\":%llu,"
        "\"file_bytes_unrolled\":%llu,\"attention_visits\":%u,\"kv_bytes_all_heads\":%llu,\"kv_bytes_all_slots\":%llu,"
        "\"kv_bytes_plain\":%llu},",
        (ull)s->tied_bytes, (ull)s->block_bytes, (ull)s->block_matrix_bytes, (ull)s->visited_bytes,
        (ull)(f->info.file_bytes - s->block_bytes + s->visited_bytes), s->attention_visits, (ull)s->kv_bytes_all_heads,
        (ull)s->kv_bytes_all_slots, (ull)s->kv_bytes_plain);
}

static void print_json(const facts *f) {
    const rp_model_info *info = &f->info;
    const rp_plan *plan = &f->plan;
    listing l = {.json = true, .first = true};
    rp_error err;
    print(1,
          "{\"architecture\":\"%s\",\"blocks\":%u,\"visits\":%u,\"kv_slots\":%u,\"dim\":%u,\"ffn_dim\":%u,\"heads\":%u,"
          "\"kv_heads\":%u,\"head_dim\":%u,\"vocab\":%u,\"embedding_rank\":%u,\"tied\":%s,\"loops\":%u,\"loop_min\":%u,"
          "\"loop_max\":%u,\"parameters_stored\":%llu,\"parameters_effective\":%llu,\"file_bytes\":%llu,"
          "\"bytes_by_type\":{",
          info->architecture, info->blocks, f->sharing.visits, f->sharing.kv_slots, info->dim, info->ffn_dim,
          info->heads, info->kv_heads, info->head_dim, info->vocab, info->embedding_rank, truth(info->tied),
          info->loops, info->loop_min, info->loop_max, (ull)info->parameters_stored,
          (ull)f->sharing.parameters_effective, (ull)info->file_bytes);
    rp_model_types(f->model, &l, print_type);
    print(1, "},\"kv_bytes_per_token\":%llu,\"context\":%u,\"context_trained\":%u,\"layer_map\":[",
          (ull)f->sharing.kv_bytes, plan->context, info->context_trained);
    rp_model_program(f->model, &f->program, NULL, print_json_block, &err);
    print(1, "],\"program\":[");
    rp_model_program(f->model, &f->program, NULL, print_json_visit, &err);
    print(1, "],");
    print_json_sharing(f);
    print(1,
          "\"plan\":{\"weights\":%llu,\"kv\":%llu,\"scratch\":%llu,\"vocabulary\":%llu,\"adapters\":%llu,"
          "\"total\":%llu,\"isa\":\"%s\"}}\n",
          (ull)plan->weights, (ull)plan->kv, (ull)plan->scratch, (ull)plan->vocabulary, (ull)plan->adapters,
          (ull)plan->total, isa_name(plan->isa));
}

/* ---- Text ---------------------------------------------------------------------------------------------- */

static void print_share(const char *what, uint64_t bytes, uint64_t whole, const char *of) {
    print(1, "  %-18s %12llu of %12llu bytes, %5.1f %%: %s\n", what, (ull)bytes, (ull)whole,
          whole ? 100 * (double)bytes / (double)whole : 100.0, of);
}

static void print_sharing(const facts *f) {
    const rp_sharing *s = &f->sharing;
    const rp_model_info *info = &f->info;
    uint64_t unrolled = info->file_bytes - s->block_bytes + s->visited_bytes;
    print(1, "sharing: what is stored, of what it would be without\n");
    print_share("tied embedding", info->file_bytes, info->file_bytes + s->tied_bytes,
                info->tied ? "the embedding is the head, too" : "not tied");
    print_share("across visits", info->file_bytes, unrolled,
                "the file, and about what it is with a block for each visit");
    print_share("  block stack", s->block_bytes, s->visited_bytes, "blocks alone");
    print(1, "    %llu bytes of them in matrices\n", (ull)s->block_matrix_bytes);
    print_share("KV heads", s->kv_bytes, s->kv_bytes_all_heads, "a token's KV cache, and with one for each query head");
    print_share("KV slots", s->kv_bytes, s->kv_bytes_all_slots, "and with one for each visit");
    print_share("KV heads and slots", s->kv_bytes, s->kv_bytes_plain, "and with both");
}

static rp_status print_text(const facts *f, rp_error *err) {
    const rp_model_info *info = &f->info;
    const rp_plan *plan = &f->plan;
    listing l = {0};
    print(1, "architecture   %s\n", info->architecture);
    print(1, "shape          %u wide, FFN %u, %u query and %u key/value heads of %u, vocabulary %u\n", info->dim,
          info->ffn_dim, info->heads, info->kv_heads, info->head_dim, info->vocab);
    if (info->embedding_rank)
        print(1, "embedding      factorised, rank %u\n", info->embedding_rank);
    print(1, "blocks         %u stored, %u visits, %u KV slots\n", info->blocks, f->sharing.visits,
          f->sharing.kv_slots);
    if (info->loop_max > info->loop_min)
        print(1, "depth          %u, may be %u to %u\n", info->loops, info->loop_min, info->loop_max);
    print(1, "parameters     %llu stored, %llu effective\n", (ull)info->parameters_stored,
          (ull)f->sharing.parameters_effective);
    print(1, "file           %llu bytes\n", (ull)info->file_bytes);
    rp_model_types(f->model, &l, print_type);
    print(1, "KV cache       %llu bytes a token in %s\n", (ull)f->sharing.kv_bytes, kv_name(f->kv_type));
    print_sharing(f);
    print(1, "memory for a context of %u (%s)\n", plan->context, isa_name(plan->isa));
    const struct {
        const char *name;
        uint64_t bytes;
    } rows[] = {{"weights", plan->weights},
                {"KV cache", plan->kv},
                {"scratch", plan->scratch},
                {"vocabulary", plan->vocabulary},
                {"total", plan->total}};
    for (size_t i = 0; i < RP_COUNT(rows); i++)
        print(1, "  %-12s %12llu bytes\n", rows[i].name, (ull)rows[i].bytes);
    return draw_program(f->model, &f->program, err);
}

static rp_status inspect(const options *o, const char *path, rp_model **model, rp_error *err) {
    facts f = {.program = program_of(o), .kv_type = kv_type(o)};
    double load_ms;
    RP_TRY(load_model(path, o, PART_HEADER, model, &load_ms, err));
    f.model = *model;
    rp_plan_options plan = {.context = o->context, .kv_type = f.kv_type, .threads = o->threads, .program = f.program};
    RP_TRY(rp_model_plan(*model, &plan, &f.plan, err));
    RP_TRY(rp_model_get_sharing(*model, &f.program, f.kv_type, &f.sharing, err));
    rp_model_get_info(*model, &f.info);
    if (!o->json)
        return print_text(&f, err);
    print_json(&f);
    return RP_OK;
}

int run_inspect(const options *o, char **args, uint32_t count) {
    rp_model *model = NULL;
    rp_error err;
    if (count != (o->compare ? 3 : 1)) {
        print(2, "reprise: inspect: %u arguments; want MODEL, or --compare MODEL MODEL FILE (reprise inspect --help)\n",
              count);
        return EXIT_USAGE;
    }
    if (o->compare)
        return run_compare(o, args);
    if (o->split || o->window) {
        print(2, "reprise: inspect: %s without --compare (reprise inspect --help)\n",
              o->split ? "--split" : "--window");
        return EXIT_USAGE;
    }
    rp_status status = inspect(o, args[0], &model, &err);
    unload_model(model);
    return status == RP_OK ? EXIT_OK : report(&err);
}
