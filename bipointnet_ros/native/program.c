#include "program.h"

/* An array from its unit on; nothing stays nothing. */
static void *from(const union bpn_argument *array, size_t unit, size_t bytes)
{
    return array->p ? (char *)array->p + unit * bytes : NULL;
}

static size_t word_bytes(int32_t bits)
{
    return BPN_WORDS((size_t)bits) * sizeof(uint64_t);
}

#define P(k) a[k].p
#define I(k) a[k].i
#define FROM(k, bytes) from(&a[k], unit, bytes)

static void run_step(const struct bpn_backend *b, const struct bpn_step *step, int32_t first, int32_t last)
{
    const union bpn_argument *a = step->argument;
    const size_t unit = (size_t)first;
    const int32_t units = last - first;
    switch (step->operation) {
    case BPN_LIFT:
        b->lift(P(0), I(1), I(2), P(3), I(4), P(5), P(6), P(7), FROM(8, 1), FROM(9, sizeof(int32_t)), units,
                FROM(11, word_bytes(I(4))), FROM(12, (size_t)I(13) * sizeof(float)), I(13), FROM(14, 1), P(15));
        break;
    case BPN_LAYER:
        b->layer(P(0), I(1), P(2), I(3), FROM(4, (size_t)I(5)), I(5), P(6), FROM(7, (size_t)I(8)), I(8),
                 FROM(9, word_bytes(I(3))), FROM(10, sizeof(int32_t)), units);
        break;
    case BPN_LAYER_SPANS:
        b->layer_spans(P(0), I(1), P(2), I(3), FROM(4, (size_t)I(5)), I(5), P(6), FROM(7, (size_t)I(8)), I(8),
                       FROM(9, word_bytes(I(3))), FROM(10, 2 * sizeof(int32_t)), units);
        break;
    case BPN_DISTINCT:
        b->distinct(P(0), I(1), FROM(2, sizeof(int32_t)), units, FROM(4, 2 * sizeof(int32_t)));
        break;
    case BPN_LIMITS:
        b->limits(FROM(0, word_bytes(I(2))), units, I(2), P(3), P(4), I(5), P(6), FROM(7, 1), I(8),
                  FROM(9, (size_t)I(5)));
        break;
    case BPN_DENSE:
        b->dense(FROM(0, (size_t)I(2) * sizeof(uint64_t)), units, I(2), P(3), I(4), P(5), FROM(6, word_bytes(I(4))));
        break;
    case BPN_MERGE:
        b->merge(P(0), I(1), FROM(2, sizeof(int32_t)), units, FROM(4, (size_t)I(1) * sizeof(uint64_t)));
        break;
    case BPN_LOGITS:
        b->logits(FROM(0, word_bytes(I(2))), units, I(2), P(3), P(4), I(5), I(6), P(7),
                  FROM(8, (size_t)I(5) * sizeof(float)));
        break;
    }
}

void bpn_run_piece(const struct bpn_program *program, int32_t piece)
{
    for (int32_t i = 0; i < program->count; i++) {
        const struct bpn_step *step = program->steps + i;
        const int32_t *cut = program->cuts + (size_t)step->level * ((size_t)program->pieces + 1) + piece;
        run_step(program->backend, step, cut[0], cut[1]);
    }
}
