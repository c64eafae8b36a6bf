/* The first layer, lane = channel: CHUNK channels a time.
 *
 * Before the include: CHUNK, a power of 2 up to 64; LIFT_ROWS; struct sums, of one row to CHUNK channels, and
 *   sum_chunk(sums, x, F, weight, C, rows)   sums of that many rows, LIFT_ROWS or 1, which share the weights (F, C) from
 *                                 the first channel. Starting from the first product instead of 0 changes nothing but the
 *                                 sign of a zero
 *   reached(sums, limit)          CHUNK bits [sum >= limit] */
#ifndef BPN_LIFT_H
#define BPN_LIFT_H

#include "common.h"

/* What a lift does with its sums; a part that is not wanted has no out. */
struct lifted {
    const float *limit;
    uint64_t *out;
};

BPN_INLINE float lift_sum(const float *x, int F, const float *weight, int C)
{
    float sum = x[0] * weight[0];
    for (int k = 1; k < F; k++)
        sum += x[k] * weight[(size_t)k * (size_t)C];
    return sum;
}

/* Bits of a word that a row adds to the two parts. */
struct bits {
    uint64_t own, pool;
};

/* Whole chunks of rows; limits from the first channel of them. */
BPN_INLINE void lift_chunks(struct bits *bits, const float *x, int rows, int F, const float *weight, int C, int chunks,
                            const float *own_limit, const float *pool_limit)
{
#pragma GCC unroll 8
    for (int c = 0; c < CHUNK * chunks; c += CHUNK) {
        struct sums sums[LIFT_ROWS];
        sum_chunk(sums, x, F, weight + c, C, rows);
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
BPN_INLINE void lift_word(struct bits *bits, const float *x, int rows, int F, const float *weight, int C, int count,
                          const float *own_limit, const float *pool_limit)
{
    for (int r = 0; r < rows; r++)
        bits[r] = (struct bits){0, 0};
    if (count == 64) { /* compiled apart: the shifts are constants */
        lift_chunks(bits, x, rows, F, weight, C, 64 / CHUNK, own_limit, pool_limit);
        return;
    }
    lift_chunks(bits, x, rows, F, weight, C, count / CHUNK, own_limit, pool_limit);
    for (int r = 0; r < rows; r++)
        for (int c = count / CHUNK * CHUNK; c < count; c++) {
            float sum = lift_sum(x + r * F, F, weight + c, C);
            bits[r].own |= (uint64_t)(own_limit && sum >= own_limit[c]) << c;
            bits[r].pool |= (uint64_t)(pool_limit && sum >= pool_limit[c]) << c;
        }
}

/* Word t of rows i.. of a group. */
BPN_INLINE void lift_rows(const float *x, size_t i, int rows, int F, const float *weight, int C, int t,
                          const struct lifted *own, const struct lifted *pool)
{
    struct bits bits[LIFT_ROWS];
    lift_word(bits, x + i * (size_t)F, rows, F, weight + 64 * t, C, bpn_least(64, C - 64 * t),
              own->out ? own->limit + 64 * t : NULL, pool->out ? pool->limit + 64 * t : NULL);
    for (int r = 0; r < rows; r++) {
        if (own->out)
            own->out[(i + (size_t)r) * BPN_WORDS((size_t)C) + (size_t)t] = bits[r].own;
        if (pool->out)
            pool->out[t] |= bits[r].pool;
    }
}

/* own.out is written, pool.out is added to. */
BPN_INLINE void lift_group(const float *x, int rows, int F, const float *weight, int C, struct lifted own,
                           struct lifted pool)
{
    for (int t = 0; t < BPN_WORDS(C); t++) {
        int i = 0;
        for (; i + LIFT_ROWS <= rows; i += LIFT_ROWS)
            lift_rows(x, (size_t)i, LIFT_ROWS, F, weight, C, t, &own, &pool);
        for (; i < rows; i++)
            lift_rows(x, (size_t)i, 1, F, weight, C, t, &own, &pool);
    }
}

static void lift(const float *x, int32_t n, int32_t F, const float *weight, int32_t C, const float *limit, uint64_t *own,
                 const float *pool_limit, const uint8_t *bucket, const int32_t *offsets, int32_t S, uint64_t *pool)
{
    int Cw = BPN_WORDS(C);
    (void)n;
    if (pool)
        memset(pool, 0, (size_t)S * (size_t)Cw * sizeof *pool);
    for (int32_t s = 0; s < S; s++) {
        const float *first = x + (size_t)offsets[s] * (size_t)F;
        struct lifted each = {limit, own ? own + (size_t)offsets[s] * (size_t)Cw : NULL}, all = {NULL, NULL};
        if (pool)
            all = (struct lifted){pool_limit + (size_t)bucket[s] * (size_t)C, pool + (size_t)s * (size_t)Cw};
        if (F == 3) /* compiled apart: points, the commonest input */
            lift_group(first, offsets[s + 1] - offsets[s], 3, weight, C, each, all);
        else
            lift_group(first, offsets[s + 1] - offsets[s], F, weight, C, each, all);
    }
}

#endif
