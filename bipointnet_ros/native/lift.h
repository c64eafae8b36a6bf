/* The first layer, lane = channel: CHUNK channels a time.
 *
 * Before the include: CHUNK, a power of 2 up to 64; LIFT_ROWS; struct sums, of one row to CHUNK channels, and
 *   sum_chunk(sums, start, x, F, weight, C, rows)   sums of that many rows, LIFT_ROWS or 1, which share the weights (F, C)
 *                                 from the first channel, on top of start, F >= 0, or of nothing (NULL), F >= 1. Starting
 *                                 from the first product instead of 0 changes nothing but the sign of a zero
 *   reached(sums, limit)          CHUNK bits [sum >= limit] */
#ifndef BPN_LIFT_H
#define BPN_LIFT_H

#include "common.h"

/* Bits of a word that a row adds to the two parts. */
struct bits {
    uint64_t own, pool;
};

/* Whole chunks of rows; start and limits from the first channel of them. */
BPN_INLINE void lift_chunks(struct bits *bits, const float *start, const float *x, int rows, int F, const float *weight,
                            int C, int chunks, const float *own_limit, const float *pool_limit)
{
#pragma GCC unroll 8
    for (int c = 0; c < CHUNK * chunks; c += CHUNK) {
        struct sums sums[LIFT_ROWS];
        sum_chunk(sums, start ? start + c : NULL, x, F, weight + c, C, rows);
#pragma GCC unroll 2
        for (int r = 0; r < rows; r++) {
            if (own_limit)
                bits[r].own |= reached(sums[r], own_limit + c) << c;
            if (pool_limit)
                bits[r].pool |= reached(sums[r], pool_limit + c) << c;
        }
    }
}

/* Up to 64 channels. */
BPN_INLINE void lift_word(struct bits *bits, const float *start, const float *x, int rows, int F, const float *weight,
                          int C, int count, const float *own_limit, const float *pool_limit)
{
    for (int r = 0; r < rows; r++)
        bits[r] = (struct bits){0, 0};
    if (count == 64) { /* compiled apart: the shifts are constants */
        lift_chunks(bits, start, x, rows, F, weight, C, 64 / CHUNK, own_limit, pool_limit);
        return;
    }
    lift_chunks(bits, start, x, rows, F, weight, C, count / CHUNK, own_limit, pool_limit);
    for (int r = 0; r < rows; r++)
        for (int c = count / CHUNK * CHUNK; c < count; c++) {
            float sum = bpn_sum(start ? start[c] : 0.0f, x + r * F, F, weight + c, C);
            bits[r].own |= (uint64_t)(own_limit && sum >= own_limit[c]) << c;
            bits[r].pool |= (uint64_t)(pool_limit && sum >= pool_limit[c]) << c;
        }
}

/* Sums of a group's own inputs to up to 64 channels, on top of start; there is at least one such input. */
BPN_INLINE void lift_start(float *out, const float *start, const float *x, int F, const float *weight, int C, int count)
{
    int c = 0;
    for (; c + CHUNK <= count; c += CHUNK) {
        struct sums sums[LIFT_ROWS];
        sum_chunk(sums, start ? start + c : NULL, x, F, weight + c, C, 1);
        memcpy(out + c, sums, CHUNK * sizeof *out);
    }
    for (; c < count; c++)
        out[c] = bpn_sum(start ? start[c] : 0.0f, x, F, weight + c, C);
}

/* Word t of rows i.. of a group. */
BPN_INLINE void lift_rows(const float *start, const float *x, size_t i, int rows, int F, const float *weight, int C, int t,
                          const struct lifted *own, const struct lifted *pool)
{
    struct bits bits[LIFT_ROWS];
    lift_word(bits, start, x + i * (size_t)F, rows, F, weight + 64 * t, C, bpn_least(64, C - 64 * t),
              own->out ? own->limit + 64 * t : NULL, pool->out ? pool->limit + 64 * t : NULL);
    for (int r = 0; r < rows; r++) {
        if (own->out)
            own->out[(i + (size_t)r) * BPN_WORDS((size_t)C) + (size_t)t] = bits[r].own;
        if (pool->out)
            pool->out[t] |= bits[r].pool;
    }
}

/* Word t of a group: own.out is written, pool.out is added to. */
BPN_INLINE void lift_group(const float *start, const float *x, int rows, int F, const float *weight, int C, int t,
                           struct lifted own, struct lifted pool)
{
    int i = 0;
    for (; i + LIFT_ROWS <= rows; i += LIFT_ROWS)
        lift_rows(start, x, (size_t)i, LIFT_ROWS, F, weight, C, t, &own, &pool);
    for (; i < rows; i++)
        lift_rows(start, x, (size_t)i, 1, F, weight, C, t, &own, &pool);
}

#include "lift_groups.h"

#endif
