/* Attention: each head of each sequence alone, 32 queries at a time, no scores kept for backward. See network_parts.h. */
#include "network_parts.h"

/* Rotary position: pairs of a head's first and second half; direction -1 turns back, as gradients do. */
static void rotate(const network *net, float *head, int position, float direction, float factor) {
    v16 cosine = load(net->cosines + position * 16) * factor,
        sine = load(net->sines + position * 16) * (direction * factor);
    v16 a = load(head), b = load(head + 16);
    store(head, a * cosine - b * sine);
    store(head + 16, b * cosine + a * sine);
}

void rotate_panel(const network *net, float *panel, int head, float direction) {
    const shape *s = &net->s;
    if (head < s->heads + s->kv_heads)
        for (int t = 0; t < net->length; t++)
            rotate(net, panel + (size_t)t * HEAD, t, direction, head < s->heads ? 1.0F / sqrtf((float)HEAD) : 1.0F);
}

/* A head's tiles in a matrix of form A stand `width / 32` tiles apart: here they are gathered. */
static void gather(const network *net, const bf16 *from, int width, int head, bf16 *to) {
    for (int i = 0; i < net->length / 16; i++)
        memcpy(to + (size_t)i * TILE, from + ((size_t)i * (width / 32) + head) * TILE, TILE * sizeof(bf16));
}

/* Scores of the 32 queries at `at`, of all keys up to them. */
static void attend(const network *net, const bf16 *q, size_t q_row, int at, float *scores) {
    int keys = at + 32;
    multiply(32, keys, HEAD, q + (size_t)(at / 16) * q_row, q_row, net->k_t, TILE, scores, (size_t)net->length, false);
    for (int t = 0; t < 31; t++)
        for (int k = at + t + 1; k < keys; k++)
            scores[(size_t)t * net->length + k] = -1e30F;
}

static void attention_forward(network *net, trace *trace, int first, int head) {
    const shape *s = &net->s;
    int width = (s->heads + 2 * s->kv_heads) * HEAD, length = net->length, tiles = length / 32;
    const bf16 *q = at_token(trace->qkv, first, width) + (size_t)head * TILE;
    float *log_sum = trace->log_sum + (size_t)head * net->tokens + first, share[32];
    for (int at = 0; at < length; at += 32) {
        attend(net, q, (size_t)(width / 32) * TILE, at, net->scores);
        for (int t = 0; t < 32; t++) {
            const float *row = net->scores + (size_t)t * length;
            v16 most = -1e30F, total = 0.0F;
            for (int k = 0; k < at + 32; k += 16)
                most = __builtin_elementwise_max(most, load(row + k));
            float top = greatest_of(most);
            bf16 *p = row_of(net->p, tiles, t, 0);
            for (int k = 0; k < at + 32; k += 32, p += TILE) {
                v16 e = exponential(load(row + k) - top), f = exponential(load(row + k + 16) - top);
                total += e + f;
                store_bf16(p, e);
                store_bf16(p + 16, f);
            }
            float all = sum_of(total);
            log_sum[at + t] = top + logf(all);
            share[t] = 1.0F / all;
        }
        multiply(32, HEAD, at + 32, net->p, (size_t)tiles * TILE, net->v_b, (size_t)tiles * TILE, net->c, HEAD, false);
        for (int t = 0; t < 32; t++) {
            bf16 *y = row_of(at_token(trace->y, first + at, s->heads * HEAD), s->heads, t, head);
            store_bf16(y, load(net->c + t * HEAD) * share[t]);
            store_bf16(y + 16, load(net->c + t * HEAD + 16) * share[t]);
        }
    }
}

/* Of 32 queries: P and dS transposed, for all keys up to them, and dQ. */
static void attention_backward_step(network *net, const trace *trace, int first, int head, int at) {
    const shape *s = &net->s;
    int width = (s->heads + 2 * s->kv_heads) * HEAD, length = net->length, tiles = length / 32, keys = at + 32;
    size_t dim_row = (size_t)s->heads * TILE, tile_row = (size_t)tiles * TILE;
    const float *log_sum = trace->log_sum + (size_t)head * net->tokens + first + at;
    attend(net, at_token(trace->qkv, first, width) + (size_t)head * TILE, (size_t)(width / 32) * TILE, at, net->scores);
    bf16 *dy = at_token(net->dy, first + at, s->heads * HEAD), *y = at_token(trace->y, first + at, s->heads * HEAD);
    multiply(32, keys, HEAD, dy + (size_t)head * TILE, dim_row, net->v_t, TILE, net->dscores, (size_t)length, false);
    bf16 *p = net->p, *ds = net->p + 2 * tile_row;
    for (int t = 0; t < 32; t++) {
        const bf16 *dy_row = row_of(dy, s->heads, t, head), *y_row = row_of(y, s->heads, t, head);
        float dot = sum_of(load_bf16(dy_row) * load_bf16(y_row) + load_bf16(dy_row + 16) * load_bf16(y_row + 16));
        const float *row = net->scores + (size_t)t * length, *drow = net->dscores + (size_t)t * length;
        bf16 *p_row = row_of(p, tiles, t, 0), *ds_row = row_of(ds, tiles, t, 0);
        for (int k = 0; k < keys; k += 32, p_row += TILE, ds_row += TILE)
            for (int half = 0; half < 32; half += 16) {
                v16 probability = exponential(load(row + k + half) - log_sum[t]);
                store_bf16(p_row + half, probability);
                store_bf16(ds_row + half, probability * (load(drow + k + half) - dot));
            }
    }
    multiply(32, HEAD, keys, ds, tile_row, net->k_b, tile_row, net->dq + (size_t)at * HEAD, HEAD, false);
    for (int l = 0; l < keys / 32; l++)
        for (int which = 0; which < 2; which++) {
            const bf16 *from = (which ? ds : p) + (size_t)l * TILE;
            bf16 *to = (which ? net->ds_t : net->p_t) + ((size_t)2 * l * tiles + at / 32) * TILE;
            pair_tiles(from, from + tile_row, to, to + tile_row);
            transpose_tile(to, to);
            transpose_tile(to + tile_row, to + tile_row);
        }
}

static void attention_backward(network *net, const trace *trace, int first, int head) {
    const shape *s = &net->s;
    int width = (s->heads + 2 * s->kv_heads) * HEAD, length = net->length, tiles = length / 32;
    size_t tile_row = (size_t)tiles * TILE;
    bf16 *gathered = net->p;
    gather(net, at_token(trace->qkv, first, width), width, head, gathered);
    paired_b(gathered, length, HEAD, net->q_b);
    gather(net, at_token(net->dy, first, s->heads * HEAD), s->heads * HEAD, head, gathered);
    paired_b(gathered, length, HEAD, net->dy_b);
    for (int at = 0; at < length; at += 32)
        attention_backward_step(net, trace, first, head, at);
    for (int i = 0; i < tiles; i++) { /* 32 keys, of all queries from there */
        size_t from = ((size_t)2 * i * tiles + i) * TILE, later = (size_t)i * TILE, row = (size_t)32 * i * HEAD;
        bool more = head % (s->heads / s->kv_heads) != 0;
        multiply(32, HEAD, length - 32 * i, net->p_t + from, tile_row, net->dy_b + later, tile_row, net->dv + row, HEAD,
                 more);
        multiply(32, HEAD, length - 32 * i, net->ds_t + from, tile_row, net->q_b + later, tile_row, net->dk + row, HEAD,
                 more);
    }
}

/* A head's gradients, turned back, into form A. */
static void head_to_a(network *net, float *panel, int first, int head) {
    int width = (net->s.heads + 2 * net->s.kv_heads) * HEAD;
    rotate_panel(net, panel, head, -1.0F);
    panel_to_a(net, panel, at_token(net->dqkv, first, width), width, head);
}

void attention(network *net, trace *trace, bool backward) {
    const shape *s = &net->s;
    int width = (s->heads + 2 * s->kv_heads) * HEAD, group = s->heads / s->kv_heads;
    for (int first = 0; first < net->tokens; first += net->length)
        for (int head = 0; head < s->heads; head++) {
            if (head % group == 0) {
                const bf16 *qkv = at_token(trace->qkv, first, width);
                gather(net, qkv, width, s->heads + head / group, net->p);
                transposed_b(net->p, net->length, HEAD, net->k_t);
                paired_b(net->p, net->length, HEAD, net->k_b);
                gather(net, qkv, width, s->heads + s->kv_heads + head / group, net->p);
                transposed_b(net->p, net->length, HEAD, net->v_t);
                paired_b(net->p, net->length, HEAD, net->v_b);
            }
            if (!backward) {
                attention_forward(net, trace, first, head);
                continue;
            }
            attention_backward(net, trace, first, head);
            head_to_a(net, net->dq, first, head);
            if (head % group == group - 1) {
                head_to_a(net, net->dk, first, s->heads + head / group);
                head_to_a(net, net->dv, first, s->heads + s->kv_heads + head / group);
            }
        }
}
