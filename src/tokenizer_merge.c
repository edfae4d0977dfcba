/* The queue that both families merge by: a text's characters stand in a linked list of symbols, neighbours that may
 * be merged wait in a binary heap, the best pair is merged first and the leftmost among equals. A pair that has
 * grown since it was queued is known by its size and dropped, so each merge costs O(log n). */
#include "tokenizer_internal.h"

rp_status rp_encoder_text(rp_encoder *encoder, size_t size, rp_error *err) {
    encoder->text_size = 0;
    if (size <= encoder->text_room)
        return RP_OK;
    size_t room = RP_MAX(size, 256);
    rp_release(encoder->memory, encoder->text, encoder->text_room, 1);
    encoder->text_room = 0;
    encoder->text = rp_alloc(encoder->memory, room, 1, "text to tokenize", err);
    if (!encoder->text)
        return err->status;
    encoder->text_room = room;
    return RP_OK;
}

rp_status rp_encoder_symbols(rp_encoder *encoder, size_t count, rp_error *err) {
    encoder->symbol_count = 0;
    if (count <= encoder->symbol_room)
        return RP_OK;
    size_t room = RP_MAX(count, 64);
    rp_release(encoder->memory, encoder->symbols, encoder->symbol_room, sizeof(rp_symbol));
    encoder->symbol_room = 0;
    encoder->symbols = rp_alloc(encoder->memory, room, sizeof(rp_symbol), "tokenizer symbols", err);
    if (!encoder->symbols)
        return err->status;
    encoder->symbol_room = room;
    return RP_OK;
}

void rp_encoder_push(rp_encoder *encoder, size_t size, int32_t id) {
    int32_t index = (int32_t)encoder->symbol_count++;
    uint32_t start = index ? encoder->symbols[index - 1].start + encoder->symbols[index - 1].size : 0;
    encoder->symbols[index] = (rp_symbol){start, (uint32_t)size, index - 1, -1, id};
    if (index)
        encoder->symbols[index - 1].next = index;
}

static bool before(const rp_pair *a, const rp_pair *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->left < b->left;
}

static rp_status heap_push(rp_encoder *encoder, rp_pair pair, rp_error *err) {
    if (encoder->heap_count == encoder->heap_room) {
        size_t room = RP_MAX(64, encoder->heap_room * 2);
        void *bigger =
            rp_grow(encoder->memory, encoder->heap, encoder->heap_room, room, sizeof(rp_pair), "tokenizer queue", err);
        if (!bigger)
            return err->status;
        encoder->heap = bigger;
        encoder->heap_room = room;
    }
    size_t at = encoder->heap_count++;
    for (size_t up = (at - 1) / 2; at > 0 && before(&pair, &encoder->heap[up]); up = (at - 1) / 2) {
        encoder->heap[at] = encoder->heap[up];
        at = up;
    }
    encoder->heap[at] = pair;
    return RP_OK;
}

static rp_pair heap_pop(rp_encoder *encoder) {
    rp_pair *heap = encoder->heap;
    rp_pair top = heap[0], last = heap[--encoder->heap_count];
    size_t count = encoder->heap_count, at = 0;
    for (size_t down = 1; down < count; down = 2 * at + 1) {
        if (down + 1 < count && before(&heap[down + 1], &heap[down]))
            down++;
        if (!before(&heap[down], &last))
            break;
        heap[at] = heap[down];
        at = down;
    }
    heap[at] = last;
    return top;
}

/* Queues the pair of a symbol and the one behind it, if the rule knows it. */
static rp_status consider(rp_encoder *encoder, int32_t left, rp_pair_rule *rule, rp_error *err) {
    if (left < 0 || encoder->symbols[left].next < 0)
        return RP_OK;
    const rp_symbol *a = &encoder->symbols[left], *b = &encoder->symbols[a->next];
    rp_pair pair = {.left = left, .size = a->size + b->size};
    return rule(encoder, a, b, &pair) ? heap_push(encoder, pair, err) : RP_OK;
}

rp_status rp_encoder_merge(rp_encoder *encoder, rp_pair_rule *rule, rp_error *err) {
    encoder->heap_count = 0;
    for (size_t i = 0; i + 1 < encoder->symbol_count; i++)
        RP_TRY(consider(encoder, (int32_t)i, rule, err));
    while (encoder->heap_count) {
        rp_pair pair = heap_pop(encoder);
        rp_symbol *left = &encoder->symbols[pair.left];
        if (!left->size || left->next < 0 || left->size + encoder->symbols[left->next].size != pair.size)
            continue;
        rp_symbol *right = &encoder->symbols[left->next];
        left->size = pair.size;
        left->id = pair.id;
        left->next = right->next;
        right->size = 0;
        if (right->next >= 0)
            encoder->symbols[right->next].previous = pair.left;
        RP_TRY(consider(encoder, left->previous, rule, err));
        RP_TRY(consider(encoder, pair.left, rule, err));
    }
    return RP_OK;
}
