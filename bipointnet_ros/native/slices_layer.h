/* Layers on bit slices (slices.h): bits of each row, or their OR over the rows of a group. */
#ifndef BPN_SLICES_LAYER_H
#define BPN_SLICES_LAYER_H

#include "slices.h"

/* fired = [distance < limit] of LANES rows to one channel. */
typedef void test(const struct slices *slices, const uint16_t *code, uint8_t limit, plane *fired);

#define DEFINE_FIRES(GROUPS)                                                                                          \
    static void fires##GROUPS(const struct slices *slices, const uint16_t *code, uint8_t limit, plane *fired)          \
    {                                                                                                                 \
        plane acc[8];                                                                                                 \
        *fired = ~sum_up(acc, slices, code, limit, GROUPS);                                                           \
    }
DEFINE_FIRES(6)
DEFINE_FIRES(12)
DEFINE_FIRES(22)
DEFINE_FIRES(42)

static test *fires_of(int K)
{
    int groups = groups_of(K);
    return groups == 6 ? fires6 : groups == 12 ? fires12 : groups == 22 ? fires22 : fires42;
}

/* Bits of a layer for each row; limit (C), codes (C, groups). */
static void sliced_own(const uint64_t *x, int n, int K, const uint16_t *codes, int C, const uint8_t *limit, uint64_t *own)
{
    test *fires = fires_of(K);
    int W = BPN_WORDS(K), Cw = BPN_WORDS(C), groups = groups_of(K);
    struct slices slices;
    plane bits[64];
    for (int first = 0; first < n; first += LANES) {
        int rows = bpn_least(LANES, n - first);
        slice_rows(&slices, x + (size_t)first * (size_t)W, rows, K);
        for (int t = 0; t < Cw; t++) {
            memset(bits, 0, sizeof bits);
            for (int c = 64 * t; c < bpn_least(64 * t + 64, C); c++)
                if (limit[c])
                    fires(&slices, codes + (size_t)c * (size_t)groups, limit[c], &bits[c % 64]);
            transpose(bits);
            for (int i = 0; i < rows; i++)
                own[(size_t)(first + i) * (size_t)Cw + (size_t)t] = bits[i % 64][i / 64];
        }
    }
}

#ifdef BPN_LOOK_AT_ALL /* for benchmarks: what stopping early saves, and what it costs where nothing stops */
#define OPEN(exist, set) (exist)
#else
#define OPEN(exist, set) ((exist) & ~(set))
#endif

/* The open channels of a word that some row sets. */
static uint64_t look(const struct slices *slices, test *fires, const uint16_t *codes, size_t groups, const uint8_t *limit,
                     uint64_t open)
{
    uint64_t found = 0;
    plane fired;
    for (; open; open &= open - 1) {
        int c = __builtin_ctzll(open);
        if (limit[c] == 0)
            continue;
        fires(slices, codes + (size_t)c * groups, limit[c], &fired);
        found |= (uint64_t)ANY(fired) << c;
    }
    return found;
}

/* OR of the bits of a layer over the rows of one group; pool (Cw) is cleared by the caller. */
static void sliced_pool(const uint64_t *x, int n, int K, const uint16_t *codes, int C, const uint8_t *limit, uint64_t *pool)
{
    test *fires = fires_of(K);
    size_t W = BPN_WORDS((size_t)K), groups = (size_t)groups_of(K);
    struct slices slices;
    for (int first = 0; first < n; first += LANES) {
        slice_rows(&slices, x + (size_t)first * W, bpn_least(LANES, n - first), K);
        for (int c = 0; c < C; c += 64) { /* a channel that is set is not looked at again */
            uint64_t exist = C - c < 64 ? ((uint64_t)1 << (C - c)) - 1 : ~(uint64_t)0;
            pool[c / 64] |= look(&slices, fires, codes + (size_t)c * groups, groups, limit + c,
                                OPEN(exist, pool[c / 64]));
        }
    }
}

/* Slices serve a layer with one row of limits, one wanted output, and groups that fill the lanes.
 * Returns whether it did the layer. */
static int sliced_layer(const uint64_t *x, int32_t K, const uint16_t *codes, int32_t C, const uint8_t *own_limit,
                        int32_t own_step, uint64_t *own, const uint8_t *pool_limit, int32_t pool_step, uint64_t *pool,
                        const int32_t *offsets, int32_t S)
{
    int n = offsets[S] - offsets[0];
    if (own && !pool && (own_step == 0 || S == 1) && n >= LANES / 2)
        sliced_own(x + (size_t)offsets[0] * BPN_WORDS((size_t)K), n, K, codes, C, own_limit,
                   own + (size_t)offsets[0] * BPN_WORDS((size_t)C));
    else if (pool && !own && (pool_step == 0 || S == 1) && n >= S * (LANES / 2))
        for (int s = 0; s < S; s++)
            sliced_pool(x + (size_t)offsets[s] * (size_t)BPN_WORDS(K), offsets[s + 1] - offsets[s], K, codes, C,
                        pool_limit, pool + (size_t)s * BPN_WORDS((size_t)C));
    else
        return 0;
    return 1;
}

#endif
