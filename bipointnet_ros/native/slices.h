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
 * Before the include: PLANE_BYTES; CARRY(a, b, x, c), the carry of a + b + c where x = a ^ b; ANY(p), is any bit set;
 * where they help the compiler: ORDER(pointer, plane), no load from pointer before plane is known; OPAQUE(pointer), add
 * no constant to pointer ahead of time. */
#ifndef BPN_SLICES_H
#define BPN_SLICES_H

#include "common.h"

#ifndef ORDER
#define ORDER(pointer, plane)
#endif
#ifndef OPAQUE
#define OPAQUE(pointer)
#endif

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
    const char *p = (const char *)table + (size_t)code * (sizeof(struct sum3) / 8);
    OPAQUE(p);
    return (const struct sum3 *)p;
}

/* Four groups, in an order that keeps few planes alive: their low and high planes go into acc[0] and acc[1]; returns carries of weight 4. */
BPN_INLINE struct three take4(plane *acc, const struct sum3 (*table)[PATTERNS], const uint8_t *code)
{
    ORDER(table, acc[0]);
    const struct sum3 *p = look_up(table[0], code[0]), *q = look_up(table[0], code[1]) + PATTERNS;
    const struct sum3 *r = look_up(table[0], code[2]) + 2 * PATTERNS, *s = look_up(table[0], code[3]) + 3 * PATTERNS;
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

/* Planes of one weight wait[0..count - 1] are added to acc; the carries wait in their place. Returns how many. */
BPN_INLINE int carry_over(plane *acc, plane wait[6], int count)
{
    if (count >= 2)
        wait[0] = add(acc, wait[0], wait[1]);
    if (count >= 4)
        wait[1] = add(acc, wait[2], wait[3]);
    if (count >= 6)
        wait[2] = add(acc, wait[4], wait[5]);
    if (count % 2) {
        plane last = wait[count - 1];
        wait[count / 2] = *acc & last;
        *acc ^= last;
    }
    return (count + 1) / 2;
}

BPN_INLINE int join(plane wait[6], int count, struct three carries)
{
    wait[count] = carries.a;
    wait[count + 1] = carries.b;
    wait[count + 2] = carries.c;
    return count + 3;
}

/* acc (8 planes, lowest first) = 256 - limit + distance of LANES rows to one channel, without the carry out of it, which
 * is returned: [distance >= limit]. 1 <= limit <= 255, distance <= 252; groups is a constant of the caller. */
BPN_INLINE plane sum_up(plane acc[8], const struct slices *slices, const uint8_t *code, uint8_t limit, int groups)
{
    const plane_bytes start = (plane_bytes){0} + (uint8_t)(0 - limit);
    const struct sum3(*table)[PATTERNS] = slices->table;
    struct three t64, t32, t16, t8; /* carries of the binary digits of groups */
    plane wait[6] = {{0}};
    int count = 0;
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        acc[i] = (plane)((start & (uint8_t)(1 << i)) != 0);
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
        count = join(wait, count, take4(acc, table, code));
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
    if (groups & 64)
        count = join(wait, count, t64);
    count = carry_over(&acc[6], wait, count);
    count = carry_over(&acc[7], wait, count);
    return count > 1 ? wait[0] | wait[1] : wait[0]; /* at most one of them is set */
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

#endif
