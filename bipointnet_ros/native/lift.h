/* The first layer, lane = channel: CHUNK channels a time.
 *
 * Before the include: CHUNK, a power of 2 up to 64; struct sums, of one row to CHUNK channels, and
 *   sum_chunk(x, F, weight, C)    the sums; weight (F, C) from the first channel. Starting from the first product instead
 *                                 of 0 changes nothing but the sign of a zero
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

/* Whole chunks; limits from the first channel of them. */
BPN_INLINE struct bits lift_chunks(const float *x, int F, const float *weight, int C, int chunks, const float *own_limit,
                                   const float *pool_limit)
{
    struct bits bits = {0, 0};
#pragma GCC unroll 8
    for (int c = 0; c < CHUNK * chunks; c += CHUNK) {
        struct sums sums = sum_chunk(x, F, weight + c, C);
        if (own_limit)
            bits.own |= reached(sums, own_limit + c) << c;
        if (pool_limit)
            bits.pool |= reached(sums, pool_limit + c) << c;
    }
    return bits;
}

/* Up to 64 channels. */
BPN_INLINE struct bits lift_word(const float *x, int F, const float *weight, int C, int count, const float *own_limit,
                                 const float *pool_limit)
{
    if (count == 64) /* compiled apart: the shifts are constants */
        return lift_chunks(x, F, weight, C, 64 / CHUNK, own_limit, pool_limit);
    struct bits bits = lift_chunks(x, F, weight, C, count / CHUNK, own_limit, pool_limit);
    for (int c = count / CHUNK * CHUNK; c < count; c++) {
        float sum = lift_sum(x, F, weight + c, C);
        bits.own |= (uint64_t)(own_limit && sum >= own_limit[c]) << c;
        bits.pool |= (uint64_t)(pool_limit && sum >= pool_limit[c]) << c;
    }
    return bits;
}

/* own.out is written, pool.out is added to. */
BPN_INLINE void lift_group(const float *x, int rows, int F, const float *weight, int C, struct lifted own,
                           struct lifted pool)
{
    for (int c = 0; c < C; c += 64)
        for (int i = 0; i < rows; i++) {
            struct bits bits = lift_word(x + (size_t)i * (size_t)F, F, weight + c, C, bpn_least(64, C - c),
                                         own.out ? own.limit + c : NULL, pool.out ? pool.limit + c : NULL);
            if (own.out)
                own.out[(size_t)i * BPN_WORDS((size_t)C) + (size_t)(c / 64)] = bits.own;
            if (pool.out)
                pool.out[c / 64] |= bits.pool;
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
