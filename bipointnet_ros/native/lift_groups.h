/* The first layer of groups of rows, a word of channels a time, so that its weights stay in the nearest cache.
 *
 * Before the include, for up to 64 channels from the first of weight (.., C) on:
 *   lift_start(out, start, x, F, weight, C, count)   sums of F inputs, F >= 1, on top of start or of nothing (NULL)
 *   lift_group(start, x, rows, F, weight, C, t, own, pool)   word t of a group, on top of start or of nothing: own.out is
 *                                                    written, pool.out is added to */
#ifndef BPN_LIFT_GROUPS_H
#define BPN_LIFT_GROUPS_H

#include "common.h"

/* Sums of the inputs that the rows of a group share, from a level on: a level begins where the one before it ends, and
 * what is coarser stands from the group before. */
BPN_INLINE const float *shared_sums(float starts[BPN_LEVELS][64], int level, const float *x, int G, const int32_t *ends,
                                    const float *weight, int C, int count)
{
    int begin = level ? ends[level - 1] : 0;
    for (; begin < G; begin = ends[level++])
        lift_start(starts[level], level ? starts[level - 1] : NULL, x + begin, ends[level] - begin,
                   weight + (size_t)begin * (size_t)C, C, count);
    return starts[level - 1];
}

static void lift(const float *x, int32_t n, int32_t F, const float *weight, int32_t C, const float *limit, uint64_t *own,
                 const float *pool_limit, const uint8_t *bucket, const int32_t *offsets, int32_t S, uint64_t *pool,
                 const float *shared, int32_t G, const uint8_t *kept, const int32_t *ends)
{
    const size_t Cw = BPN_WORDS((size_t)C);
    float starts[BPN_LEVELS][64];
    (void)n;
    if (pool)
        memset(pool, 0, (size_t)S * Cw * sizeof *pool);
    for (int t = 0; t < (int)Cw; t++)
        for (int32_t s = 0; s < S; s++) {
            const float *first = x + (size_t)offsets[s] * (size_t)F, *here = weight + 64 * t, *start = NULL;
            struct lifted each = {limit, own ? own + (size_t)offsets[s] * Cw : NULL}, all = {NULL, NULL};
            if (pool)
                all = (struct lifted){pool_limit + (size_t)bucket[s] * (size_t)C, pool + (size_t)s * Cw};
            if (shared)
                start = shared_sums(starts, s ? kept[s] : 0, shared + (size_t)s * (size_t)G, G, ends, here, C,
                                    bpn_least(64, C - 64 * t));
            if (F == 3 && !shared) /* compiled apart: points, the commonest input */
                lift_group(NULL, first, offsets[s + 1] - offsets[s], 3, weight, C, t, each, all);
            else
                lift_group(start, first, offsets[s + 1] - offsets[s], F, weight + (size_t)G * (size_t)C, C, t, each, all);
        }
}

#endif
