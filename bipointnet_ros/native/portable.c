/* Portable C11 with the vectors of gcc and clang, for any little-endian CPU. */
#include "common.h"
#include "describe.h"
#include "distinct.h"
#include "link.h"
#include "rectangles.h"
#include "sort.h"
#include "terrain.h"
#include "voxels.h"

/* Slices (slices.h). */
#define PLANE_BYTES 16
#define CARRY(a, b, x, c) (((a) & (b)) | ((x) & (c)))
#define ANY(p) (((p)[0] | (p)[1]) != 0)
#include "farthest.h"
#include "slices_train.h"

/* Tiles (tiles.h): a step is a byte of inputs, and eight channels share a word. */
#define POINTS 1
#define STEP_BITS 8
#define EACH_BYTE 0x0101010101010101u

struct distances {
    uint64_t word[8];
};

BPN_INLINE void encode(const uint64_t *words, int K, uint8_t *code)
{
    memcpy(code, words, BPN_WORDS((size_t)K) * 8);
}

/* Set bits of each nibble of v: 0..4. */
BPN_INLINE uint64_t nibble_counts(uint64_t v)
{
    v -= (v >> 1) & (EACH_BYTE * 0x55);
    return (v & (EACH_BYTE * 0x33)) + ((v >> 2) & (EACH_BYTE * 0x33));
}

BPN_INLINE void count(struct distances *d, const uint8_t *code, int stride, const uint8_t *tile, int steps, int points)
{
    for (int p = 0; p < points; p++, code += stride) {
        uint64_t sum[8] = {0}, weight[8];
        for (int s = 0; s < steps; s++) {
            memcpy(weight, tile + (size_t)s * 64, sizeof weight);
            for (int i = 0; i < 8; i++) {
                uint64_t counts = nibble_counts(weight[i] ^ code[s] * EACH_BYTE);
                sum[i] += (counts + (counts >> 4)) & (EACH_BYTE * 0x0f);
            }
        }
        memcpy(d[p].word, sum, sizeof sum);
    }
}

/* A byte of 0 or 1 a channel -> a bit a channel: the product moves byte i to bit i of the top byte. */
BPN_INLINE uint64_t gather_bits(const uint8_t flags[64])
{
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) {
        uint64_t eight;
        memcpy(&eight, flags + 8 * i, sizeof eight);
        bits |= ((eight * 0x0102040810204080u) >> 56) << (8 * i);
    }
    return bits;
}

BPN_INLINE uint64_t below(const struct distances *d, const uint8_t *limit)
{
    uint8_t distance[64], flags[64];
    memcpy(distance, d, sizeof distance);
    for (int c = 0; c < 64; c++)
        flags[c] = distance[c] < limit[c];
    return gather_bits(flags);
}

BPN_INLINE struct distances lesser(struct distances a, struct distances b)
{
    (void)b; /* never asked: POINTS is 1 */
    return a;
}

#include "tiles.h"

/* Lift (lift_groups.h). */
BPN_INLINE void lift_start(float *out, const float *start, const float *x, int F, const float *weight, int C, int count)
{
    float sums[64] = {0};
    if (start)
        memcpy(sums, start, (size_t)count * sizeof *sums);
    for (int k = 0; k < F; k++, weight += C)
        for (int c = 0; c < count; c++)
            sums[c] += x[k] * weight[c];
    memcpy(out, sums, sizeof sums);
}

BPN_INLINE uint64_t reached(const float sums[64], const float *limit, int count)
{
    uint8_t flags[64] = {0};
    for (int c = 0; c < count; c++)
        flags[c] = sums[c] >= limit[c];
    return gather_bits(flags);
}

BPN_INLINE void lift_group(const float *start, const float *x, int rows, int F, const float *weight, int C, int t,
                           struct lifted own, struct lifted pool)
{
    int first = 64 * t, count = bpn_least(64, C - first);
    float sums[64];
    for (int i = 0; i < rows; i++, x += F) {
        lift_start(sums, start, x, F, weight + first, C, count);
        if (own.out)
            own.out[(size_t)i * BPN_WORDS((size_t)C) + (size_t)t] = reached(sums, own.limit + first, count);
        if (pool.out)
            pool.out[t] |= reached(sums, pool.limit + first, count);
    }
}

#include "lift_groups.h"

#define DISTANCE bpn_distance
#include "dense.h"
#include "train.h"

static int supported(void)
{
    return 1;
}

const struct bpn_backend bpn_portable = {
    .name = "portable",
    .supported = supported,
    .prepare = prepare,
    .lift = lift,
    .layer = layer,
    .layer_spans = layer_spans,
    .distinct = bpn_distinct,
    .limits = limits,
    .dense = dense,
    .merge = bpn_merge,
    .logits = bpn_logits,
    .argsort = bpn_argsort,
    .search = bpn_search,
    .farthest = farthest,
    .voxels = bpn_voxels,
    .match = bpn_match,
    .link = bpn_link,
    .means = bpn_means,
    .describe = bpn_describe,
    .terrain = bpn_terrain,
    .rectangles = bpn_rectangles,
    .extremes = extremes,
    .segment_max = bpn_segment_max,
    .signs = signs,
    .gram = gram,
    .inside = inside,
    .scatter = scatter,
    .selected = selected,
};
