/* Layers on tiles: lane = output channel, a tile is 64 of them. For limits that differ from group to group (the cells of a
 * scan), which lie side by side by channel, and for few rows; slices.h is for the rest.
 *
 * Prepared weights are [C / 64][steps][64] bytes; a step is STEP_BITS inputs of a row. Distances grow in bytes, K <= 248.
 *
 * Before the include: POINTS, rows of a tile; STEP_BITS; struct distances, of one row to 64 channels, and
 *   count(struct distances d[POINTS], code, stride, tile, steps, points)   d = distances of the rows at code
 *   lesser(a, b)                  the lesser of each pair
 *   below(d, limit)               64 bits [distance < limit]
 *   encode(words, K, code)        one row as steps(K) bytes, and up to 16 more that do not matter */
#ifndef BPN_TILES_H
#define BPN_TILES_H

#include "slices_layer.h"

#define BLOCK (40 * POINTS) /* rows that are encoded at once */
#define STEPS(K) (((K) + 7) / 8 * (8 / STEP_BITS))

/* One wanted output of a layer; out is NULL where it is not wanted. */
struct part {
    const uint8_t *limit;
    size_t step; /* from one group's limits to the next */
    uint64_t *out;
};

/* Up to BLOCK rows, each with its group. */
struct block {
    int first, rows;
    uint8_t code[BLOCK * STEPS(BPN_LAYER_INPUTS) + 16];
    int32_t group[BLOCK];
};

static void prepare(const uint64_t *weight, int32_t C, int32_t K, uint8_t *prepared)
{
    int W = BPN_WORDS(K), steps = STEPS(K), per_word = 64 / STEP_BITS;
    memset(prepared, 0, BPN_TILE_BYTES(C, W));
    for (int c = 0; c < C; c++)
        for (int s = 0; s < steps; s++) {
            uint64_t inputs = weight[(size_t)c * (size_t)W + (size_t)(s / per_word)] >> (s % per_word * STEP_BITS);
            prepared[((size_t)(c / 64) * (size_t)steps + (size_t)s) * 64 + (size_t)(c % 64)] =
                (uint8_t)(inputs & ((1 << STEP_BITS) - 1));
        }
    slice_weights(weight, C, K, (uint16_t *)(prepared + BPN_TILE_BYTES(C, W)));
}

/* Returns the group of the last row, where the next block starts to look. */
static int load_block(struct block *block, const uint64_t *x, int K, const int32_t *offsets, int group)
{
    for (int i = 0; i < block->rows; i++) {
        encode(x + (size_t)(block->first + i) * BPN_WORDS((size_t)K), K, block->code + i * STEPS(K));
        while (block->first + i >= offsets[group + 1])
            group++;
        block->group[i] = group;
    }
    return group;
}

/* Bits of a tile of which count channels exist; the others are 0. */
BPN_INLINE uint64_t bits_below(const struct distances *d, const uint8_t *limit, int count)
{
    uint8_t padded[64] = {0};
    if (count < 64)
        limit = memcpy(padded, limit, (size_t)count);
    return below(d, limit);
}

BPN_INLINE void store_own(const struct distances *d, const int32_t *group, int points, const struct part *own, int row,
                          int tile, int C)
{
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        own->out[(size_t)(row + p) * BPN_WORDS((size_t)C) + (size_t)tile] =
            bits_below(&d[p], own->limit + (size_t)group[p] * own->step + tile * 64, bpn_least(64, C - tile * 64));
}

/* Rows of one group need one comparison: of their least distances. */
BPN_INLINE void store_pool(struct distances *d, const int32_t *group, int points, const struct part *pool, int tile,
                           int C)
{
    int same = group[0] == group[points - 1];
    if (same)
#pragma GCC unroll 8
        for (int p = 1; p < points; p++)
            d[0] = lesser(d[0], d[p]);
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        if (p == 0 || !same)
            pool->out[(size_t)group[p] * BPN_WORDS((size_t)C) + (size_t)tile] |=
                bits_below(&d[p], pool->limit + (size_t)group[p] * pool->step + tile * 64, bpn_least(64, C - tile * 64));
}

BPN_INLINE void layer_rows(const struct block *block, int i, int points, const uint8_t *weight, int steps, int tile,
                           int C, const struct part *own, const struct part *pool)
{
    struct distances d[POINTS];
    count(d, block->code + i * steps, steps, weight, steps, points);
    if (own->out)
        store_own(d, block->group + i, points, own, block->first + i, tile, C);
    if (pool->out)
        store_pool(d, block->group + i, points, pool, tile, C);
}

static void layer_tile(const struct block *block, const uint8_t *weight, int steps, int tile, int C,
                       const struct part *own, const struct part *pool)
{
    int i = 0;
    for (; i + POINTS <= block->rows; i += POINTS)
        layer_rows(block, i, POINTS, weight, steps, tile, C, own, pool);
    for (; i < block->rows; i++)
        layer_rows(block, i, 1, weight, steps, tile, C, own, pool);
}

static void layer(const uint64_t *x, int32_t K, const uint8_t *prepared, int32_t C, const uint8_t *own_limit,
                  int32_t own_step, uint64_t *own, const uint8_t *pool_limit, int32_t pool_step, uint64_t *pool,
                  const int32_t *offsets, int32_t S)
{
    struct part own_part = {own_limit, (size_t)own_step, own}, pool_part = {pool_limit, (size_t)pool_step, pool};
    struct block block;
    int steps = STEPS(K), n = offsets[S], group = 0;
    if (pool)
        memset(pool, 0, (size_t)S * BPN_WORDS((size_t)C) * sizeof *pool);
    const uint16_t *codes = (const uint16_t *)(prepared + BPN_TILE_BYTES(C, BPN_WORDS(K)));
    if (sliced_layer(x, K, codes, C, own_limit, own_step, own, pool_limit, pool_step, pool, offsets, S))
        return;
    for (block.first = offsets[0]; block.first < n; block.first += BLOCK) {
        block.rows = bpn_least(BLOCK, n - block.first);
        group = load_block(&block, x, K, offsets, group);
        for (int t = 0; t < BPN_WORDS(C); t++)
            layer_tile(&block, prepared + (size_t)t * (size_t)steps * 64, steps, t, C, &own_part, &pool_part);
    }
}

static void layer_spans(const uint64_t *x, int32_t K, const uint8_t *prepared, int32_t C, const uint8_t *own_limit,
                        int32_t own_step, uint64_t *own, const uint8_t *pool_limit, int32_t pool_step, uint64_t *pool,
                        const int32_t *spans, int32_t S)
{
    for (size_t s = 0; s < (size_t)S; s++)
        layer(x, K, prepared, C, own ? own_limit + s * (size_t)own_step : NULL, own_step, own,
              pool ? pool_limit + s * (size_t)pool_step : NULL, pool_step, pool ? pool + s * BPN_WORDS((size_t)C) : NULL,
              spans + 2 * s, 1);
}

/* out = limit - distance, clamped to 0..K + 1, for count channels; in 16 bits, since what is under 0 stays so from 0. */
BPN_INLINE void shift_limits(const struct distances *d, const int16_t *limit, int count, int K, uint8_t *out)
{
    const int16_t most = (int16_t)(K + 1);
    uint8_t distance[64];
    memcpy(distance, d, sizeof distance);
    for (int c = 0; c < count; c++) {
        int16_t shifted = limit[c] < 0 ? 0 : limit[c];
        shifted = (int16_t)(shifted - distance[c]);
        shifted = shifted < 0 ? 0 : shifted;
        out[c] = (uint8_t)(shifted < most ? shifted : most);
    }
}

static void limits(const uint64_t *code, int32_t S, int32_t Ks, const uint64_t *weight, const uint8_t *prepared, int32_t C,
                   const int16_t *limit, const uint8_t *bucket, int32_t K, uint8_t *out)
{
    uint8_t codes[POINTS * STEPS(BPN_LAYER_INPUTS) + 16] = {0};
    struct distances d[POINTS];
    int steps = STEPS(Ks);
    if (!prepared) {
        bpn_limits(code, S, Ks, weight, C, limit, bucket, K, out);
        return;
    }
    for (int s = 0; s < S; s += POINTS) {
        int rows = bpn_least(POINTS, S - s);
        for (int p = 0; p < rows; p++)
            encode(code + (size_t)(s + p) * BPN_WORDS((size_t)Ks), Ks, codes + p * steps);
        for (int c = 0; c < C; c += 64) {
            count(d, codes, steps, prepared + (size_t)c * (size_t)steps, steps, POINTS);
            for (int p = 0; p < rows; p++) {
                const int16_t *from = limit + (size_t)bucket[s + p] * (size_t)C + c;
                uint8_t *to = out + (size_t)(s + p) * (size_t)C + c;
                if (C - c >= 64)
                    shift_limits(&d[p], from, 64, K, to); /* a number of channels that the compiler knows */
                else
                    shift_limits(&d[p], from, C - c, K, to);
            }
        }
    }
}

#endif
