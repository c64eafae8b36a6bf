/* Bit slices: lane = row (a point); one plane is one bit of LANES rows side by side.
 *
 * Plane k holds input k of LANES rows. Their distances to one channel are the sum of K planes, each inverted where the
 * channel's weight is 1: binary numbers of 8 planes, added by full adders, carry to carry.
 *
 * 1. Six inputs with six weights have only 64 different sums (0..6, three planes) in a block of rows. They are made once
 *    and looked up by every channel, so half of the adders never run. Any kernel that looks at every bit of every pair
 *    (XOR, count, add) does more.
 * 2. The adders start from 256 - limit in place of 0: the carry out of plane 7 is [distance >= limit].
 * 3. An OR over rows needs no row after the first that fires (slices_layer.h).
 *
 * Before the include: PLANE_BYTES; CARRY(a, b, x, c), the carry of a + b + c where x = a ^ b; ANY(p), is any bit set;
 * where they help the compiler: ORDER(pointer, plane), no load from pointer before plane is known; OPAQUE(pointer), add
 * no constant to pointer ahead of time; SPREAD(bytes), do not compute with one byte and spread the result instead. */
#ifndef BPN_SLICES_H
#define BPN_SLICES_H

#include "common.h"

#ifndef ORDER
#define ORDER(pointer, plane)
#define OPAQUE(pointer)
#endif

#ifndef SPREAD
#define SPREAD(bytes)
#endif

#define LANES (8 * PLANE_BYTES)
#define SLICE_WORDS (PLANE_BYTES / 8)
#define MOST_WAITING 16

typedef uint64_t plane __attribute__((vector_size(PLANE_BYTES)));
typedef uint8_t plane_bytes __attribute__((vector_size(PLANE_BYTES)));
typedef int8_t signed_bytes __attribute__((vector_size(PLANE_BYTES)));

/* A sum of six inputs: ones + 2 twos + 4 fours. */
struct sum6 {
    plane ones, twos, fours;
};

#define GROUPS 42 /* most groups */

struct slices {
    struct sum6 table[GROUPS][64]; /* by group of six inputs and their six weights */
};

/* Planes of the same weight. */
struct seven {
    plane p[7];
};

/* acc + b + c: the sum stays in acc, the carry is returned. */
BPN_INLINE plane add(plane *acc, plane b, plane c)
{
    plane a = *acc, x = a ^ b;
    *acc = x ^ c;
    return CARRY(a, b, x, c);
}

/* The sum of a group; its code is the offset that the channel's six weights have in the group's table. */
BPN_INLINE const struct sum6 *look_up(const struct sum6 (*table)[64], const uint16_t *code, int group)
{
    const char *p = (const char *)table + code[group];
    OPAQUE(p);
    return (const struct sum6 *)p + 64 * group;
}

/* Four groups, in an order that keeps few planes alive: ones and twos go into acc[0] and acc[1], fours are returned. */
BPN_INLINE struct seven take4(plane *acc, const struct sum6 (*table)[64], const uint16_t *code)
{
    struct seven out;
    ORDER(table, acc[0]);
    const struct sum6 *a = look_up(table, code, 0), *b = look_up(table, code, 1);
    plane first = add(&acc[0], a->ones, b->ones);
    out.p[0] = add(&acc[1], a->twos, b->twos);
    out.p[1] = a->fours, out.p[2] = b->fours;
    const struct sum6 *c = look_up(table, code, 2), *d = look_up(table, code, 3);
    plane second = add(&acc[0], c->ones, d->ones);
    out.p[3] = add(&acc[1], first, c->twos);
    out.p[4] = add(&acc[1], second, d->twos);
    out.p[5] = c->fours, out.p[6] = d->fours;
    return out;
}

/* take8..take32: twice as many groups, carries of twice the weight. */
#define DEFINE_TAKE(MANY, HALF, LEVEL)                                                                                \
    BPN_INLINE struct seven take##MANY(plane *acc, const struct sum6 (*table)[64], const uint16_t *code)              \
    {                                                                                                                 \
        struct seven out, a = take##HALF(acc, table, code), b;                                                        \
        for (int i = 0; i < 3; i++)                                                                                   \
            out.p[i] = add(&acc[LEVEL], a.p[2 * i], a.p[2 * i + 1]);                                                  \
        b = take##HALF(acc, table + HALF, code + HALF);                                                               \
        out.p[3] = add(&acc[LEVEL], a.p[6], b.p[0]);                                                                  \
        for (int i = 0; i < 3; i++)                                                                                   \
            out.p[4 + i] = add(&acc[LEVEL], b.p[2 * i + 1], b.p[2 * i + 2]);                                          \
        return out;                                                                                                   \
    }
DEFINE_TAKE(8, 4, 2)
DEFINE_TAKE(16, 8, 3)
DEFINE_TAKE(32, 16, 4)

/* Planes of one weight wait[0..count - 1] are added to acc; the carries wait in their place. Returns how many. */
BPN_INLINE int carry_over(plane *acc, plane *wait, int count)
{
#pragma GCC unroll 8
    for (int i = 0; i < count / 2; i++)
        wait[i] = add(acc, wait[2 * i], wait[2 * i + 1]);
    if (count % 2) {
        plane last = wait[count - 1];
        wait[count / 2] = *acc & last;
        *acc ^= last;
    }
    return (count + 1) / 2;
}

BPN_INLINE int join(plane *wait, int count, struct seven carries)
{
#pragma GCC unroll 8
    for (int i = 0; i < 7; i++)
        wait[count + i] = carries.p[i];
    return count + 7;
}

/* Two groups at the end: four carries. */
BPN_INLINE int join2(plane *acc, plane *wait, int count, const struct sum6 *a, const struct sum6 *b)
{
    plane twos[3] = {a->twos, b->twos, add(&acc[0], a->ones, b->ones)};
    wait[count] = a->fours;
    wait[count + 1] = b->fours;
    carry_over(&acc[1], twos, 3);
    wait[count + 2] = twos[0];
    wait[count + 3] = twos[1];
    return count + 4;
}

/* acc (8 planes, lowest first) = 256 - limit + distance of LANES rows to one channel, without the carry out of it, which
 * is returned: [distance >= limit]. 1 <= limit <= 255, distance <= 252; groups is a constant of the caller. */
BPN_INLINE plane sum_up(plane acc[8], const struct slices *slices, const uint16_t *code, uint8_t limit, int groups)
{
    plane_bytes start = (plane_bytes){0} + (uint8_t)(0 - limit);
    const struct sum6(*table)[64] = slices->table;
    struct seven t32, t16, t8; /* carries of the binary digits of groups */
    plane wait[MOST_WAITING];
    int count = 0;
    SPREAD(start);
#pragma GCC unroll 8
    for (int i = 7; i >= 0; i--, start += start) /* the highest bit is the sign */
        acc[i] = (plane)((signed_bytes)start < 0);
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
        count = join(wait, count, take4(acc, table, code));
    table += groups & 4, code += groups & 4;
    ORDER(table, acc[0]);
    if (groups & 2)
        count = join2(acc, wait, count, look_up(table, code, 0), look_up(table, code, 1));
    count = carry_over(&acc[2], wait, count);
    if (groups & 8)
        count = join(wait, count, t8);
    count = carry_over(&acc[3], wait, count);
    if (groups & 16)
        count = join(wait, count, t16);
    count = carry_over(&acc[4], wait, count);
    if (groups & 32)
        count = join(wait, count, t32);
    count = carry_over(&acc[5], wait, count);
    count = carry_over(&acc[6], wait, count);
    count = carry_over(&acc[7], wait, count);
    return count > 1 ? wait[0] | wait[1] : wait[0]; /* at most one of them is set */
}

/* The sizes that are compiled (BPN_CODE_BYTES has room for their codes); the groups that K does not fill hold zeros. */
static int groups_of(int K)
{
    return K <= 36 ? 6 : K <= 72 ? 12 : K <= 132 ? 22 : GROUPS;
}

/* weight (C, W) -> codes (C, groups). */
static void slice_weights(const uint64_t *weight, int C, int K, uint16_t *codes)
{
    size_t W = BPN_WORDS((size_t)K), groups = (size_t)groups_of(K);
    memset(codes, 0, (size_t)C * groups * sizeof *codes);
    for (size_t c = 0; c < (size_t)C; c++)
        for (size_t k = 0; k < (size_t)K; k++)
            if (weight[c * W + k / 64] >> (k % 64) & 1)
                codes[c * groups + k / 6] += (uint16_t)(sizeof(struct sum6) << (k % 6));
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

/* The sums of three inputs by their three weights: ones[w] + 2 twos[w]. */
BPN_INLINE void sum3(const plane input[3], plane ones[8], plane twos[8])
{
#pragma GCC unroll 8
    for (int w = 0; w < 4; w++) {
        ones[w] = w & 1 ? ~input[0] : input[0];
        twos[w] = add(&ones[w], w & 2 ? ~input[1] : input[1], input[2]);
        ones[7 - w] = ~ones[w]; /* every weight inverted: 3 - sum */
        twos[7 - w] = ~twos[w];
    }
}

/* table[w] = the sum of both halves. */
static void sum_inputs(const plane input[6], struct sum6 table[64])
{
    plane ones[2][8], twos[2][8];
    sum3(input, ones[0], twos[0]);
    sum3(input + 3, ones[1], twos[1]);
    for (int high = 0; high < 8; high++, table += 8) {
        plane high_ones = ones[1][high], high_twos = twos[1][high];
#pragma GCC unroll 8
        for (int low = 0; low < 8; low++) {
            plane sum = twos[0][low], carry = ones[0][low] & high_ones;
            table[low].ones = ones[0][low] ^ high_ones;
            table[low].fours = add(&sum, high_twos, carry);
            table[low].twos = sum;
        }
    }
}

/* x (rows, W), at most LANES rows -> the sums of each six inputs. */
static void slice_rows(struct slices *slices, const uint64_t *x, int rows, int K)
{
    plane planes[256];
    int W = BPN_WORDS(K);
    memset(planes, 0, sizeof planes);
    for (int w = 0; w < W; w++)
        slice_word(x + w, rows, W, planes + 64 * w);
    for (int g = 0; g < groups_of(K); g++)
        sum_inputs(planes + 6 * g, slices->table[g]);
}

#endif
