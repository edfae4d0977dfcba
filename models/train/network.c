/* Forward and backward through the blocks, a sequence at a time where a step needs no others. See network.h. */
#include "network_parts.h"

#define EPSILON 1e-5F

/* Dropout: the same values again for the same seed. */
typedef struct {
    v16u state;
    uint32_t least;
    float scale;
} dropout;

static uint32_t scrambled(uint32_t x) { /* murmur3's finalizer */
    x = (x ^ x >> 16) * 0x85ebca6bU;
    x = (x ^ x >> 13) * 0xc2b2ae35U;
    return x ^ x >> 16;
}

static dropout dropout_begin(const network *net, int site) {
    dropout d = {.least = (uint32_t)(net->s.dropout * 4294967296.0), .scale = 1.0F / (1.0F - net->s.dropout)};
    for (int i = 0; i < 16; i++)
        d.state[i] = scrambled(net->seed + scrambled((uint32_t)(site * 16 + i) + 1U)) | 1U;
    return d;
}

static inline v16 dropped(dropout *d, v16 v) {
    if (!d->least)
        return v;
    d->state ^= d->state << 13;
    d->state ^= d->state >> 17;
    d->state ^= d->state << 5;
    return (v16)((v16i)(v * d->scale) & (d->state >= d->least));
}

/* x (length x dim) over its root mean square, times w, into form A. */
static void normalize(const network *net, const float *x, const float *w, float *scale, bf16 *h) {
    int dim = net->s.dim;
    for (int t = 0; t < net->length; t++, x += dim) {
        v16 squares = 0.0F;
        for (int c = 0; c < dim; c += 16)
            squares += load(x + c) * load(x + c);
        scale[t] = 1.0F / sqrtf(sum_of(squares) / (float)dim + EPSILON);
        bf16 *row = row_of(h, dim / 32, t, 0);
        for (int c = 0; c < dim; c += 32, row += TILE) {
            store_bf16(row, load(x + c) * scale[t] * load(w + c));
            store_bf16(row + 16, load(x + c + 16) * scale[t] * load(w + c + 16));
        }
    }
}

/* Of dh (length x dim), adds to dx and to the gradients of w. */
static void normalize_backward(const network *net, const float *x, const float *w, const float *scale, const float *dh,
                               float *dx, float *dw) {
    int dim = net->s.dim;
    for (int t = 0; t < net->length; t++, x += dim, dh += dim, dx += dim) {
        v16 along = 0.0F;
        for (int c = 0; c < dim; c += 16)
            along += load(dh + c) * load(w + c) * load(x + c);
        float mean = sum_of(along) * scale[t] * scale[t] / (float)dim;
        for (int c = 0; c < dim; c += 16) {
            v16 d = load(dh + c), v = load(x + c);
            store(dw + c, load(dw + c) + d * v * scale[t]);
            store(dx + c, load(dx + c) + (d * load(w + c) - v * mean) * scale[t]);
        }
    }
}

/* c = 32 columns, those from 32 j on, of what m makes of a sequence: of its columns or, backward, of its rows. */
static void apply_panel(const network *net, const linear *m, bool backward, const bf16 *a, int j) {
    int from = backward ? m->rows : m->columns;
    size_t row = (size_t)(from / 32) * TILE;
    const bf16 *b = (backward ? m->backward : m->forward) + 2 * j * row;
    for (int i = 0; i < net->length / 32; i++)
        product(from / 32, a + 2 * i * row, row, b, row, net->c + (size_t)i * 32 * 32, 32, false);
}

/* c (length x m->rows or, backward, m->columns) of a sequence. */
static void apply(network *net, const linear *m, bool backward, const bf16 *a) {
    int from = backward ? m->rows : m->columns, to = backward ? m->columns : m->rows;
    multiply_whole(net->length, to, from, a, backward ? m->backward : m->forward, net->c, false);
}

/* Adds dy^T x to the gradients of a matrix. */
static void linear_gradients(network *net, const linear *m, const bf16 *dy, const bf16 *x) {
    transposed_a(dy, net->tokens, m->rows, net->left);
    paired_b(x, net->tokens, m->columns, net->right);
    multiply_whole(m->rows, m->columns, net->tokens, net->left, net->right, net->gradients + m->at, true);
}

/* A visit. */

/* act = silu(gate) up, of a sequence. */
static void gate(const network *net, const bf16 *gate_up, bf16 *act) {
    size_t half = (size_t)net->s.ffn / 32 * TILE;
    for (int i = 0; i < net->length / 16; i++, gate_up += 2 * half, act += half)
        for (size_t e = 0; e < half; e += 16) {
            v16 g = load_bf16(gate_up + e);
            store_bf16(act + e, g * sigmoid(g) * load_bf16(gate_up + half + e));
        }
}

static void visit_forward(network *net, int visit) {
    const block *b = &net->blocks[net->program[visit]];
    trace *trace = &net->traces[visit];
    int dim = net->s.dim, width = b->qkv.rows, length = net->length;
    for (int t = 0; t < net->tokens; t += length) {
        normalize(net, trace->x + (size_t)t * dim, net->weights + b->attn_norm, trace->scale + t,
                  at_token(trace->h, t, dim));
        for (int j = 0; j < width / 32; j++) {
            apply_panel(net, &b->qkv, false, at_token(trace->h, t, dim), j);
            rotate_panel(net, net->c, j, 1.0F);
            panel_to_a(net, net->c, at_token(trace->qkv, t, width), width, j);
        }
    }
    attention(net, trace, false);
    dropout attn = dropout_begin(net, 2 * visit), ffn = dropout_begin(net, 2 * visit + 1);
    for (int t = 0; t < net->tokens; t += length) {
        const float *x = trace->x + (size_t)t * dim;
        float *x_ffn = trace->x_ffn + (size_t)t * dim, *next = trace[1].x + (size_t)t * dim;
        apply(net, &b->o, false, at_token(trace->y, t, b->o.columns));
        for (int i = 0; i < length * dim; i += 16)
            store(x_ffn + i, load(x + i) + dropped(&attn, load(net->c + i)));
        normalize(net, x_ffn, net->weights + b->ffn_norm, trace->scale_ffn + t, at_token(trace->h_ffn, t, dim));
        bf16 *gate_up = at_token(trace->gate_up, t, b->gate_up.rows);
        for (int j = 0; j < b->gate_up.rows / 32; j++) {
            apply_panel(net, &b->gate_up, false, at_token(trace->h_ffn, t, dim), j);
            panel_to_a(net, net->c, gate_up, b->gate_up.rows, j);
        }
        gate(net, gate_up, net->act);
        apply(net, &b->down, false, net->act);
        for (int i = 0; i < length * dim; i += 16)
            store(next + i, load(x_ffn + i) + dropped(&ffn, load(net->c + i)));
    }
}

/* dx through a dropout into form A. */
static void drop_gradients(network *net, int site) {
    dropout d = dropout_begin(net, site);
    int dim = net->s.dim;
    const float *dx = net->dx;
    for (int t = 0; t < net->tokens; t++) {
        bf16 *row = row_of(net->dout, dim / 32, t, 0);
        for (int c = 0; c < dim; c += 32, row += TILE, dx += 32) {
            store_bf16(row, dropped(&d, load(dx)));
            store_bf16(row + 16, dropped(&d, load(dx + 16)));
        }
    }
}

/* c, a panel of gradients of act, becomes act and the gradients of gate and up. */
static void gate_backward(network *net, const bf16 *gate_up, bf16 *act, bf16 *dgate_up, int j) {
    size_t row = (size_t)net->s.ffn / 32 * TILE;
    for (int i = 0; i < net->length / 16; i++) {
        size_t at = 2 * i * row + (size_t)j * TILE;
        for (int e = 0; e < TILE; e += 16) {
            v16 g = load_bf16(gate_up + at + e), u = load_bf16(gate_up + at + row + e),
                d = load(net->c + (size_t)i * TILE + e);
            v16 open = sigmoid(g);
            store_bf16(act + i * row + (size_t)j * TILE + e, g * open * u);
            store_bf16(dgate_up + at + e, d * u * open * (1.0F + g * (1.0F - open)));
            store_bf16(dgate_up + at + row + e, d * g * open);
        }
    }
}

static void ffn_backward(network *net, const block *b, const trace *trace, int visit) {
    int dim = net->s.dim, ffn = net->s.ffn;
    drop_gradients(net, 2 * visit + 1);
    for (int t = 0; t < net->tokens; t += net->length) {
        bf16 *dgate_up = at_token(net->dgate_up, t, 2 * ffn);
        for (int j = 0; j < ffn / 32; j++) {
            apply_panel(net, &b->down, true, at_token(net->dout, t, dim), j);
            gate_backward(net, at_token(trace->gate_up, t, 2 * ffn), at_token(net->act, t, ffn), dgate_up, j);
        }
        apply(net, &b->gate_up, true, dgate_up);
        normalize_backward(net, trace->x_ffn + (size_t)t * dim, net->weights + b->ffn_norm, trace->scale_ffn + t,
                           net->c, net->dx + (size_t)t * dim, net->gradients + b->ffn_norm);
    }
    linear_gradients(net, &b->down, net->dout, net->act);
    linear_gradients(net, &b->gate_up, net->dgate_up, trace->h_ffn);
}

static void visit_backward(network *net, int visit) {
    const block *b = &net->blocks[net->program[visit]];
    trace *trace = &net->traces[visit];
    int dim = net->s.dim, width = b->qkv.rows;
    ffn_backward(net, b, trace, visit);
    drop_gradients(net, 2 * visit);
    for (int t = 0; t < net->tokens; t += net->length)
        for (int j = 0; j < b->o.columns / 32; j++) {
            apply_panel(net, &b->o, true, at_token(net->dout, t, dim), j);
            panel_to_a(net, net->c, at_token(net->dy, t, b->o.columns), b->o.columns, j);
        }
    attention(net, trace, true);
    for (int t = 0; t < net->tokens; t += net->length) {
        apply(net, &b->qkv, true, at_token(net->dqkv, t, width));
        normalize_backward(net, trace->x + (size_t)t * dim, net->weights + b->attn_norm, trace->scale + t, net->c,
                           net->dx + (size_t)t * dim, net->gradients + b->attn_norm);
    }
    linear_gradients(net, &b->o, net->dout, trace->y);
    linear_gradients(net, &b->qkv, net->dqkv, trace->h);
}

/* The ends. */

/* Logits of 32 tokens in c become their gradients. Returns the loss. */
static double cross_entropy(network *net, const uint16_t *targets, int token, float factor) {
    int vocab = net->s.vocab;
    double loss = 0;
    for (int t = 0; t < 32; t++) {
        float *row = net->c + (size_t)t * vocab;
        v16 most = -1e30F, total = 0.0F;
        for (int c = 0; c < vocab; c += 16)
            most = __builtin_elementwise_max(most, load(row + c));
        float top = greatest_of(most), target = row[targets[token + t]];
        for (int c = 0; c < vocab; c += 16) {
            v16 e = exponential(load(row + c) - top);
            total += e;
            store(row + c, e);
        }
        float all = sum_of(total);
        loss += top + logf(all) - target;
        row[targets[token + t]] -= all;
        bf16 *dlogits = row_of(at_token(net->dlogits, token, vocab), vocab / 32, t, 0);
        for (int c = 0; c < vocab; c += 32, dlogits += TILE) {
            store_bf16(dlogits, load(row + c) * (factor / all));
            store_bf16(dlogits + 16, load(row + c + 16) * (factor / all));
        }
    }
    return loss;
}

static double output(network *net, const uint16_t *targets, float factor) {
    int dim = net->s.dim;
    const float *x = net->traces[net->visits].x;
    float *scale = net->traces[net->visits].scale;
    double loss = 0;
    memset(net->dx, 0, (size_t)net->tokens * dim * sizeof(float));
    for (int first = 0; first < net->tokens; first += net->length) {
        normalize(net, x + (size_t)first * dim, net->weights + net->norm, scale + first,
                  at_token(net->h_out, first, dim));
        for (int t = first; t < first + net->length; t += 32) {
            multiply_whole(32, net->s.vocab, dim, at_token(net->h_out, t, dim), net->embedding.forward, net->c, false);
            loss += cross_entropy(net, targets, t, factor);
        }
        apply(net, &net->embedding, true, at_token(net->dlogits, first, net->s.vocab));
        normalize_backward(net, x + (size_t)first * dim, net->weights + net->norm, scale + first, net->c,
                           net->dx + (size_t)first * dim, net->gradients + net->norm);
    }
    linear_gradients(net, &net->embedding, net->dlogits, net->h_out);
    return loss;
}

static void embed(network *net, const uint16_t *ids, bool backward) {
    int dim = net->s.dim;
    dropout d = dropout_begin(net, 2 * MAX_VISITS);
    for (int t = 0; t < net->tokens; t++)
        for (int c = 0; c < dim; c += 16) {
            size_t row = net->embedding.at + (size_t)ids[t] * dim + c, token = (size_t)t * dim + c;
            if (backward)
                store(net->gradients + row, load(net->gradients + row) + dropped(&d, load(net->dx + token)));
            else
                store(net->traces[0].x + token, dropped(&d, load(net->weights + row)));
        }
}

double network_pass(network *net, const uint16_t *ids, const uint16_t *targets, float factor, int loops,
                    uint32_t seed) {
    const shape *s = &net->s;
    net->seed = seed;
    net->visits = 0;
    if (s->loop_max > 1) {
        for (int b = 0; b < s->blocks; b++)
            if (b < s->loop_first || b > s->loop_last)
                net->program[net->visits++] = b;
            else if (b == s->loop_first)
                for (int loop = 0; loop < loops; loop++)
                    for (int looped = b; looped <= s->loop_last; looped++)
                        net->program[net->visits++] = looped;
    } else {
        for (; net->visits < s->visits; net->visits++)
            net->program[net->visits] = s->map[net->visits];
    }
    embed(net, ids, false);
    for (int visit = 0; visit < net->visits; visit++)
        visit_forward(net, visit);
    double loss = output(net, targets, factor);
    for (int visit = net->visits; visit--;)
        visit_backward(net, visit);
    embed(net, ids, true);
    return loss;
}
