/* Smallest distances and where they are, on bit slices (slices.h): the pooled layer in training. */
#ifndef BPN_SLICES_TRAIN_H
#define BPN_SLICES_TRAIN_H

#include "slices.h"

#define SLICED_INPUTS (6 * GROUPS)

/* Smallest sum among the lanes, of which at least one is set; the lanes that hold it remain. */
BPN_INLINE int smallest(const plane sum[8], plane *lanes)
{
    int value = 0;
#pragma GCC unroll 8
    for (int i = 7; i >= 0; i--) {
        plane without = *lanes & ~sum[i];
        if (ANY(without))
            *lanes = without;
        else
            value |= 1 << i;
    }
    return value;
}

BPN_INLINE int first_lane(plane lanes)
{
    int l = 0;
    while (!lanes[l])
        l++;
    return 64 * l + __builtin_ctzll(lanes[l]);
}

/* The smallest distance of LANES rows to one channel where it is less than value, and its first lane; else value. */
typedef int improve(const struct slices *slices, const uint16_t *code, int value, int *lane);

#define DEFINE_IMPROVE(GROUPS)                                                                                        \
    static int improve##GROUPS(const struct slices *slices, const uint16_t *code, int value, int *lane)                \
    {                                                                                                                 \
        plane sum[8], fired = ~sum_up(sum, slices, code, (uint8_t)value, GROUPS);                                     \
        if (!ANY(fired))                                                                                              \
            return value;                                                                                             \
        value += smallest(sum, &fired) - 256;                                                                         \
        *lane = first_lane(fired);                                                                                    \
        return value;                                                                                                 \
    }
DEFINE_IMPROVE(12)
DEFINE_IMPROVE(22)
DEFINE_IMPROVE(42)

static improve *improve_of(int K)
{
    int groups = groups_of(K);
    return groups == 12 ? improve12 : groups == 22 ? improve22 : improve42;
}

/* One group of rows: value (C), row (C) counted from the first of them. */
static void sliced_extremes(const uint64_t *x, int n, int K, const uint16_t *codes, int C, int16_t *value, int32_t *row)
{
    improve *run = improve_of(K);
    int W = BPN_WORDS(K), groups = groups_of(K);
    struct slices slices;
    for (int c = 0; c < C; c++)
        value[c] = (int16_t)(K + 1);
    for (int first = 0; first < n; first += LANES) {
        slice_rows(&slices, x + (size_t)first * (size_t)W, bpn_least(LANES, n - first), K);
        for (int c = 0; c < C; c++) {
            int lane = -1;
            if (value[c]) /* nothing is less than 0 */
                value[c] = (int16_t)run(&slices, codes + (size_t)c * (size_t)groups, value[c], &lane);
            if (lane >= 0)
                row[c] = first + lane;
        }
    }
}

/* Is an input from SLICED_INPUTS on used by any row of four words? */
static int beyond_slices(const uint64_t *rows, size_t n)
{
    uint64_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= rows[4 * i + 3];
    return any >> (SLICED_INPUTS - 192) != 0;
}

/* Row by row, for more inputs than slices can sum. */
static void plain_extremes(const uint64_t *x, const uint64_t *weight, int n, int C, size_t W, int16_t *value, int32_t *row)
{
    for (int c = 0; c < C; c++) {
        value[c] = INT16_MAX;
        for (int i = 0; i < n; i++) {
            int distance = bpn_distance(x + (size_t)i * W, weight + (size_t)c * W, (int32_t)W);
            if (distance < value[c]) {
                value[c] = (int16_t)distance;
                row[c] = i;
            }
        }
    }
}

static void extremes(const uint64_t *x, const uint64_t *weight, const int32_t *offsets, int32_t S, int32_t C, int32_t W,
                     uint8_t *scratch, int16_t *value, int32_t *row)
{
    uint16_t *codes = (uint16_t *)scratch;
    size_t words = (size_t)W, rows = (size_t)(offsets[S] - offsets[0]);
    int K = bpn_least(64 * W, SLICED_INPUTS);
    int plain = W == 4 && (beyond_slices(x + (size_t)offsets[0] * words, rows) || beyond_slices(weight, (size_t)C));
    slice_weights(weight, C, K, codes);
    for (int32_t s = 0; s < S; s++, value += C, row += C) {
        const uint64_t *first = x + (size_t)offsets[s] * words;
        int n = offsets[s + 1] - offsets[s];
        if (plain)
            plain_extremes(first, weight, n, C, words, value, row);
        else
            sliced_extremes(first, n, K, codes, C, value, row);
        for (int32_t c = 0; c < C; c++)
            row[c] += offsets[s];
    }
}

#endif
