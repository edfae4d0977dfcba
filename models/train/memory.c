/* The memory of a network, and its weights as factors. See network.h. */
#include "network_parts.h"

#include <stdlib.h>

#define THETA 10000.0

static void *room(bool *ok, size_t count, size_t size) {
    size_t bytes = (count * size + 63) / 64 * 64;
    void *p = aligned_alloc(64, bytes);
    *ok = *ok && p;
    if (p)
        memset(p, 0, bytes);
    return p;
}

#define ROOM(count) room(ok, (size_t)(count), sizeof(bf16))
#define ROOM_FLOAT(count) room(ok, (size_t)(count), sizeof(float))

static linear linear_create(network *net, int rows, int columns, bool *ok) {
    linear m = {.rows = rows, .columns = columns, .at = net->parameters};
    net->parameters += (size_t)rows * columns;
    m.forward = ROOM((size_t)rows * columns);
    m.backward = ROOM((size_t)rows * columns);
    return m;
}

static size_t norm_create(network *net) {
    net->parameters += (size_t)net->s.dim;
    return net->parameters - (size_t)net->s.dim;
}

static void blocks_create(network *net, bool *ok) {
    const shape *s = &net->s;
    net->embedding = linear_create(net, s->vocab, s->dim, ok);
    net->norm = norm_create(net);
    for (int i = 0; i < s->blocks; i++) {
        block *b = &net->blocks[i];
        b->attn_norm = norm_create(net);
        b->ffn_norm = norm_create(net);
        b->qkv = linear_create(net, (s->heads + 2 * s->kv_heads) * HEAD, s->dim, ok);
        b->o = linear_create(net, s->dim, s->heads * HEAD, ok);
        b->gate_up = linear_create(net, 2 * s->ffn, s->dim, ok);
        b->down = linear_create(net, s->dim, s->ffn, ok);
    }
}

static void traces_create(network *net, bool *ok) {
    const shape *s = &net->s;
    size_t n = (size_t)net->tokens;
    int core = s->loop_last - s->loop_first + 1,
        visits = s->loop_max > 1 ? s->blocks + core * (s->loop_max - 1) : s->visits;
    for (int i = 0; i <= visits; i++) {
        trace *t = &net->traces[i];
        t->x = ROOM_FLOAT(n * s->dim);
        t->scale = ROOM_FLOAT(n);
        if (i == visits)
            break;
        t->x_ffn = ROOM_FLOAT(n * s->dim);
        t->scale_ffn = ROOM_FLOAT(n);
        t->log_sum = ROOM_FLOAT(n * s->heads);
        t->h = ROOM(n * s->dim);
        t->qkv = ROOM(n * (s->heads + 2 * s->kv_heads) * HEAD);
        t->y = ROOM(n * s->heads * HEAD);
        t->h_ffn = ROOM(n * s->dim);
        t->gate_up = ROOM(n * 2 * s->ffn);
    }
}

static void scratch_create(network *net, bool *ok) {
    const shape *s = &net->s;
    size_t n = (size_t)net->tokens, length = (size_t)net->length, head = length * HEAD, square = length * length;
    size_t width = (size_t)(s->heads + 2 * s->kv_heads) * HEAD, dim = (size_t)s->dim, ffn = (size_t)s->ffn,
           vocab = (size_t)s->vocab;
    size_t widest = vocab > 2 * ffn ? vocab : 2 * ffn;
    widest = widest > width ? widest : width;
    net->c = ROOM_FLOAT(length * dim > 32 * vocab ? length * dim : 32 * vocab);
    net->scores = ROOM_FLOAT(32 * length);
    net->dscores = ROOM_FLOAT(32 * length);
    net->dx = ROOM_FLOAT(n * dim);
    net->dq = ROOM_FLOAT(head);
    net->dk = ROOM_FLOAT(head);
    net->dv = ROOM_FLOAT(head);
    net->p = ROOM(2 * head);
    net->p_t = ROOM(square);
    net->ds_t = ROOM(square);
    bf16 **of_head[] = {&net->k_t, &net->v_t, &net->q_b, &net->k_b, &net->v_b, &net->dy_b};
    for (size_t i = 0; i < sizeof of_head / sizeof *of_head; i++)
        *of_head[i] = ROOM(head);
    net->h_out = ROOM(n * dim);
    net->dlogits = ROOM(n * vocab);
    net->dout = ROOM(n * dim);
    net->act = ROOM(n * ffn);
    net->dgate_up = ROOM(n * 2 * ffn);
    net->dy = ROOM(n * s->heads * HEAD);
    net->dqkv = ROOM(n * width);
    net->left = ROOM(n * widest);
    net->right = ROOM(n * (dim > ffn ? dim : ffn));
    net->cosines = ROOM_FLOAT(head / 2);
    net->sines = ROOM_FLOAT(head / 2);
}

network *network_create(const shape *s, int rows, int length) {
    bool all = true, *ok = &all;
    network *net = room(ok, 1, sizeof *net);
    if (!net)
        return NULL;
    net->s = *s;
    net->length = length;
    net->tokens = rows * length;
    blocks_create(net, ok);
    net->weights = ROOM_FLOAT(net->parameters);
    net->gradients = ROOM_FLOAT(net->parameters);
    traces_create(net, ok);
    scratch_create(net, ok);
    if (!all)
        return NULL;
    for (int t = 0; t < length; t++)
        for (int i = 0; i < HEAD / 2; i++) {
            double angle = t * pow(THETA, -2.0 * i / HEAD);
            net->cosines[t * 16 + i] = (float)cos(angle);
            net->sines[t * 16 + i] = (float)sin(angle);
        }
    return net;
}

static void pack(network *net, const linear *m) {
    to_a(net->weights + m->at, m->rows, m->columns, m->forward);
    paired_b(m->forward, m->rows, m->columns, m->backward);
    transposed_b(m->forward, m->rows, m->columns, m->forward);
}

void network_pack(network *net) {
    pack(net, &net->embedding);
    for (int i = 0; i < net->s.blocks; i++) {
        pack(net, &net->blocks[i].qkv);
        pack(net, &net->blocks[i].o);
        pack(net, &net->blocks[i].gate_up);
        pack(net, &net->blocks[i].down);
    }
}

size_t network_parameters(const network *net) {
    return net->parameters;
}
float *network_weights(network *net) {
    return net->weights;
}
float *network_gradients(network *net) {
    return net->gradients;
}
const block *network_blocks(const network *net) {
    return net->blocks;
}
const linear *network_embedding(const network *net) {
    return &net->embedding;
}
