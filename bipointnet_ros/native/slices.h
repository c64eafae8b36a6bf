/* Bit-sliced layers: lane = row (a point), one machine word of planes = LANES rows side by side.
 *
 * plane k holds input k of LANES rows, one bit a row. The distance of all these rows to one channel is the sum of K
 * planes, each inverted where the channel's weight is 1, in binary carried by full adders: 8 planes of result.
 *
 * 1. Three inputs with three weights have only 8 sums (0..3, two planes) in a block of rows. They are made once and
 *    looked up by every channel: a third of the adders is never run. That is less than one operation a bit, so it beats
 *    every kernel that looks at each bit of each pair (XOR, count, add).
 * 2. The adders start from 256 - limit in place of 0: the carry out of plane 7 is [distance >= limit].
 * 3. An OR over rows needs no row after the first that fires: channels that are set are not looked at again.
 *
 * Before the include: PLANE_BYTES; CARRY(a, b, x, c), the carry of a + b + c where x = a ^ b; ANY(p), is any bit set. */
#ifndef BPN_SLICES_H
#define BPN_SLICES_H

#include "common.h"

#define LANES (8 * PLANE_BYTES)
#define SLICE_WORDS (PLANE_BYTES / 8)
#define PATTERNS 8
#define MAX_GROUPS 84

typedef uint64_t plane __attribute__((vector_size(PLANE_BYTES)));
typedef uint8_t plane_bytes __attribute__((vector_size(PLANE_BYTES)));

/* The sum of three inputs: low + 2 high. */
struct sum3 {
    plane low, high;
};

struct slices {
    struct sum3 table[MAX_GROUPS][PATTERNS]; /* by group of three inputs and their three weights */
};

/* Three planes of the same weight. */
struct three {
    plane a, b, c;
};

/* acc + b + c: the sum stays in acc, the carry is returned. */
BPN_INLINE plane add(plane *acc, plane b, plane c)
{
    plane a = *acc, x = a ^ b;
    *acc = x ^ c;
    return CARRY(a, b, x, c);
}

BPN_INLINE const struct sum3 *look_up(const struct sum3 table[PATTERNS], uint8_t code)
{
    return (const struct sum3 *)((const char *)table + (size_t)code * (sizeof(struct sum3) / 8));
}

/* Four groups: their low and high planes go into acc[0] and acc[1]; returns carries of weight 4. */
BPN_INLINE struct three take4(plane *acc, const struct sum3 (*table)[PATTERNS], const uint8_t *code)
{
    const struct sum3 *p = look_up(table[0], code[0]), *q = look_up(table[1], code[1]);
    const struct sum3 *r = look_up(table[2], code[2]), *s = look_up(table[3], code[3]);
    plane first = add(&acc[0], p->low, q->low), second;
    struct three out;
    out.a = add(&acc[1], p->high, q->high);
    second = add(&acc[0], r->low, s->low);
    out.b = add(&acc[1], first, r->high);
    out.c = add(&acc[1], second, s->high);
    return out;
}

/* take8..take64: twice as many groups, carries of twice the weight. */
#define DEFINE_TAKE(GROUPS, HALF, LEVEL)                                                                              \
    BPN_INLINE struct three take##GROUPS(plane *acc, const struct sum3 (*table)[PATTERNS], const uint8_t *code)       \
    {                                                                                                                 \
        struct three out, first = take##HALF(acc, table, code), second;                                               \
        out.a = add(&acc[LEVEL], first.a, first.b);                                                                   \
        second = take##HALF(acc, table + HALF, code + HALF);                                                          \
        out.b = add(&acc[LEVEL], first.c, second.a);                                                                  \
        out.c = add(&acc[LEVEL], second.b, second.c);                                                                 \
        return out;                                                                                                   \
    }
DEFINE_TAKE(8, 4, 2)
DEFINE_TAKE(16, 8, 3)
DEFINE_TAKE(32, 16, 4)
DEFINE_TAKE(64, 32, 5)

/* Planes of one weight that wait to be added. */
struct bag {
    plane held[6];
    int count;
};

BPN_INLINE void put(struct bag *bag, plane p)
{
    bag->held[bag->count++] = p;
}

BPN_INLINE void put3(struct bag *bag, struct three t)
{
    put(bag, t.a);
    put(bag, t.b);
    put(bag, t.c);
}

/* Adds the bag to acc; what carries is the next bag. */
BPN_INLINE struct bag carry_over(plane acc, struct bag bag)
{
    struct bag next = {.count = 0};
    if (bag.count >= 2)
        put(&next, add(&acc, bag.held[0], bag.held[1]));
    if (bag.count >= 4)
        put(&next, add(&acc, bag.held[2], bag.held[3]));
    if (bag.count >= 6)
        put(&next, add(&acc, bag.held[4], bag.held[5]));
    if (bag.count % 2)
        put(&next, acc & bag.held[bag.count - 1]);
    return next;
}

/* [distance >= limit] of LANES rows to one channel, limit >= 1. groups is a constant of the caller. */
BPN_INLINE plane reaches(const struct slices *slices, const uint8_t *code, uint8_t limit, int groups)
{
    const plane_bytes start = (plane_bytes){0} + (uint8_t)(0 - limit);
    const struct sum3(*table)[PATTERNS] = slices->table;
    struct bag bag = {.count = 0};
    plane acc[8], out = {0};
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        acc[i] = (plane)((start & (uint8_t)(1 << i)) != 0);
    struct three t64, t32, t16, t8; /* the binary digits of groups */
    if (groups & 64)
        t64 = take64(acc, table, code);
    table += groups & 64, code += groups & 64;
    if (groups & 32)
        t32 = take32(acc, table, code);
    table += groups & 32, code += groups & 32;
    if (groups & 16)
        t16 = take16(acc, table, code);
    table += groups & 16, code += groups & 16;
    if (groups & 8)
        t8 = take8(acc, table, code);
    table += groups & 8, code += groups & 8;
    if (groups & 4)
        put3(&bag, take4(acc, table, code));
    bag = carry_over(acc[2], bag);
    if (groups & 8)
        put3(&bag, t8);
    bag = carry_over(acc[3], bag);
    if (groups & 16)
        put3(&bag, t16);
    bag = carry_over(acc[4], bag);
    if (groups & 32)
        put3(&bag, t32);
    bag = carry_over(acc[5], bag);
    if (groups & 64)
        put3(&bag, t64);
    bag = carry_over(acc[7], carry_over(acc[6], bag)); /* at most one of these carries is set */
    for (int i = 0; i < bag.count; i++)
        out |= bag.held[i];
    return out;
}

typedef void test(const struct slices *slices, const uint8_t *code, uint8_t limit, plane *fired);

#define DEFINE_FIRES(GROUPS)                                                                                          \
    static void fires##GROUPS(const struct slices *slices, const uint8_t *code, uint8_t limit, plane *fired)          \
    {                                                                                                                 \
        *fired = ~reaches(slices, code, limit, GROUPS);                                                               \
    }
DEFINE_FIRES(12)
DEFINE_FIRES(24)
DEFINE_FIRES(44)
DEFINE_FIRES(84)

static test *fires_of(int K)
{
    int groups = bpn_slice_groups(K);
    return groups == 12 ? fires12 : groups == 24 ? fires24 : groups == 44 ? fires44 : fires84;
}

/* 64 x 64 bits in each word of the planes: bit k of word w of m[i] <-> bit i of word w of m[k]. */
static void transpose(plane m[64])
{
    uint64_t mask = 0xffffffff;
    for (int j = 32; j; j >>= 1, mask ^= mask << j)
        for (int high = 0; high < 64; high += 2 * j)
            for (int i = high; i < high + j; i++) {
                plane swapped = ((m[i] >> j) ^ m[i + j]) & mask;
                m[i + j] ^= swapped;
                m[i] ^= swapped << j;
            }
}

/* Planes of word w of x (rows, W); the last row stands for those that are not there. */
static void slice_word(const uint64_t *x, int rows, int W, plane planes[64])
{
    for (int i = 0; i < 64; i++)
        for (int l = 0; l < SLICE_WORDS; l++)
            planes[i][l] = x[(size_t)bpn_least(64 * l + i, rows - 1) * (size_t)W];
    transpose(planes);
}

/* x (rows, W), at most LANES rows -> the sums of each three inputs. */
static void slice_rows(struct slices *slices, const uint64_t *x, int rows, int K)
{
    plane planes[3 * MAX_GROUPS + 4];
    int W = BPN_WORDS(K);
    memset(planes, 0, sizeof planes);
    for (int w = 0; w < W; w++)
        slice_word(x + w, rows, W, planes + 64 * w);
    for (int g = 0; g < bpn_slice_groups(K); g++)
        for (int pattern = 0; pattern < PATTERNS / 2; pattern++) {
            plane a = planes[3 * g], b = planes[3 * g + 1], c = planes[3 * g + 2];
            a = pattern & 1 ? ~a : a;
            b = pattern & 2 ? ~b : b;
            plane high = add(&a, b, c);
            slices->table[g][pattern] = (struct sum3){a, high};
            slices->table[g][PATTERNS - 1 - pattern] = (struct sum3){~a, ~high}; /* 3 - sum */
        }
}

/* Bits of a layer for each row; limit (C), codes (C, groups). */
static void sliced_own(const uint64_t *x, int n, int K, const uint8_t *codes, int C, const uint8_t *limit, uint64_t *own)
{
    test *fires = fires_of(K);
    int W = BPN_WORDS(K), Cw = BPN_WORDS(C), groups = bpn_slice_groups(K);
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

/* Looks at the channels of a word that no row has set yet; limits of 0 must be marked as done. */
static uint64_t look(const struct slices *slices, test *fires, const uint8_t *codes, int groups, const uint8_t *limit,
                     uint64_t open)
{
    uint64_t found = 0;
    plane fired;
    for (; open; open &= open - 1) {
        int c = __builtin_ctzll(open);
        fires(slices, codes + c * groups, limit[c], &fired);
        found |= (uint64_t)ANY(fired) << c;
    }
    return found;
}

/* The channels of a word that can fire at all. */
static uint64_t channels_to_look_at(const uint8_t *limit, int count)
{
    uint64_t open = 0;
    for (int c = 0; c < count; c++)
        open |= (uint64_t)(limit[c] != 0) << c;
    return open;
}

/* OR of the bits of a layer over the rows of one group; pool (Cw) is cleared by the caller. */
static void sliced_pool(const uint64_t *x, int n, int K, const uint8_t *codes, int C, const uint8_t *limit, uint64_t *pool)
{
    test *fires = fires_of(K);
    int W = BPN_WORDS(K), groups = bpn_slice_groups(K);
    struct slices slices;
    for (int first = 0; first < n; first += LANES) {
        slice_rows(&slices, x + (size_t)first * (size_t)W, bpn_least(LANES, n - first), K);
        for (int c = 0; c < C; c += 64) {
            uint64_t open = channels_to_look_at(limit + c, bpn_least(64, C - c)) & ~pool[c / 64];
            pool[c / 64] |= look(&slices, fires, codes + (size_t)c * (size_t)groups, groups, limit + c, open);
        }
    }
}

/* Slices serve a layer with one row of limits for all groups, one wanted output, and groups that fill the lanes.
 * Returns whether it did the layer. */
static int sliced_layer(const uint64_t *x, int32_t K, const uint8_t *codes, int32_t C, const uint8_t *own_limit,
                        int32_t own_step, uint64_t *own, const uint8_t *pool_limit, int32_t pool_step, uint64_t *pool,
                        const int32_t *offsets, int32_t S)
{
    int n = offsets[S];
    if (own && !pool && own_step == 0 && n >= LANES / 2)
        sliced_own(x, n, K, codes, C, own_limit, own);
    else if (pool && !own && pool_step == 0 && n >= S * (LANES / 2))
        for (int s = 0; s < S; s++)
            sliced_pool(x + (size_t)offsets[s] * (size_t)BPN_WORDS(K), offsets[s + 1] - offsets[s], K, codes, C,
                        pool_limit, pool + (size_t)s * BPN_WORDS((size_t)C));
    else
        return 0;
    return 1;
}

#endif
