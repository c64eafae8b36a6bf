/* Kernels that plain C says well: written once, compiled in each backend for its instructions. */
#ifndef BPN_COMMON_H
#define BPN_COMMON_H

#include "kernels.h"

#include <string.h>

#define BPN_INLINE static inline __attribute__((always_inline))
#define BPN_STATIC static __attribute__((unused)) /* some backends have better ones */

BPN_INLINE int bpn_popcount(uint64_t v)
{
#if defined(BPN_HAS_POPCOUNT) || defined(__aarch64__)
    return __builtin_popcountll(v);
#else /* baseline x86-64 has no instruction for it and gcc would call a table look-up */
    v -= (v >> 1) & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + ((v >> 2) & 0x3333333333333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int)((v * 0x0101010101010101u) >> 56);
#endif
}

BPN_INLINE int bpn_distance(const uint64_t *a, const uint64_t *b, int32_t W)
{
    long count = 0;
    for (size_t i = 0; i < (size_t)W; i++)
        count += bpn_popcount(a[i] ^ b[i]);
    return (int)count;
}

BPN_INLINE int bpn_least(int a, int b)
{
    return a < b ? a : b;
}

BPN_INLINE uint8_t bpn_clamped_limit(int limit, int distance, int K)
{
    int shifted = limit - distance;
    return (uint8_t)(shifted < 0 ? 0 : bpn_least(shifted, K + 1));
}

/* What a lift does with its sums; a part that is not wanted has no out. */
struct lifted {
    const float *limit;
    uint64_t *out;
};

/* sum and the products of one row with one channel of weight (F, C), inputs ascending. */
BPN_INLINE float bpn_sum(float sum, const float *x, int F, const float *weight, int C)
{
    for (int k = 0; k < F; k++)
        sum += x[k] * weight[(size_t)k * (size_t)C];
    return sum;
}

/* limits for codes that are too long for tiles. */
BPN_STATIC void bpn_limits(const uint64_t *code, int32_t S, int32_t Ks, const uint64_t *weight, int32_t C,
                           const int16_t *limit, const uint8_t *bucket, int32_t K, uint8_t *out)
{
    int32_t W = BPN_WORDS(Ks);
    for (int32_t s = 0; s < S; s++, code += W, out += C) {
        const int16_t *row = limit + (size_t)bucket[s] * (size_t)C;
        for (int32_t c = 0; c < C; c++)
            out[c] = bpn_clamped_limit(row[c], bpn_distance(code, weight + (size_t)c * (size_t)W, W), K);
    }
}

BPN_STATIC void bpn_merge(const uint64_t *codes, int32_t Cw, const int32_t *offsets, int32_t T, uint64_t *out)
{
    memset(out, 0, (size_t)T * (size_t)Cw * sizeof *out);
    for (int32_t t = 0; t < T; t++, out += Cw)
        for (int32_t s = offsets[t]; s < offsets[t + 1]; s++)
            for (int32_t i = 0; i < Cw; i++)
                out[i] |= codes[(size_t)s * (size_t)Cw + (size_t)i];
}

typedef float bpn_four __attribute__((vector_size(16)));

/* Eight channels. */
struct bpn_eight {
    bpn_four low, high;
};

BPN_INLINE struct bpn_eight bpn_load(const float *from)
{
    struct bpn_eight loaded;
    memcpy(&loaded.low, from, sizeof loaded.low);
    memcpy(&loaded.high, from + 4, sizeof loaded.high);
    return loaded;
}

/* A table entry without the table: count inputs of the byte exist, weight (count, lanes). */
BPN_INLINE struct bpn_eight bpn_entry(const float *weight, size_t lanes, int count, unsigned byte)
{
    struct bpn_eight entry = {{0}, {0}};
    for (int i = 0; i < count; i++, weight += lanes) {
        struct bpn_eight input = bpn_load(weight);
        float sign = (float)((int)(byte >> i & 1) * 2 - 1);
        entry.low += sign * input.low;
        entry.high += sign * input.high;
    }
    return entry;
}

#define BPN_LOGIT_ROWS 4 /* as many chains of additions at once hide their latency */

/* sum += the entries of rows x (rows, W) in tables (ceil(K / 8), 256, lanes), or out of weight (K, lanes). */
BPN_INLINE void bpn_add_entries(const uint64_t *x, int rows, int32_t K, const float *weight, const float *tables,
                                size_t lanes, struct bpn_eight *sum)
{
    const uint8_t *bytes = (const uint8_t *)x;
    for (int32_t k = 0; k < K; k += 8, bytes++)
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            const size_t byte = bytes[i * BPN_WORDS(K) * 8];
            struct bpn_eight entry =
                tables ? bpn_load(tables + ((size_t)k * 32 + byte) * lanes)
                       : bpn_entry(weight + (size_t)k * lanes, lanes, bpn_least(8, K - k), (unsigned)byte);
            sum[i].low += entry.low;
            sum[i].high += entry.high;
        }
}

BPN_INLINE void bpn_logit_rows(const uint64_t *x, int rows, int32_t K, const float *weight, const float *tables, int32_t C,
                               size_t lanes, const float *bias, float *out)
{
    for (int32_t first = 0; first < C; first += 8) {
        struct bpn_eight sum[BPN_LOGIT_ROWS] = {{{0}, {0}}};
        const size_t count = (size_t)bpn_least(8, C - first) * sizeof *bias;
        for (int i = 0; i < rows; i++)
            memcpy(sum + i, bias + first, count);
        if (tables)
            bpn_add_entries(x, rows, K, NULL, tables + first, lanes, sum);
        else
            bpn_add_entries(x, rows, K, weight + first, NULL, lanes, sum);
        for (int i = 0; i < rows; i++)
            memcpy(out + i * C + first, sum + i, count);
    }
}

BPN_STATIC void bpn_logits(const uint64_t *x, int32_t r, int32_t K, const float *weight, const float *tables, int32_t C,
                           int32_t lanes, const float *bias, float *out)
{
    const size_t step = (size_t)lanes;
    int32_t i = 0;
    for (; i + BPN_LOGIT_ROWS <= r; i += BPN_LOGIT_ROWS, x += BPN_LOGIT_ROWS * BPN_WORDS(K), out += BPN_LOGIT_ROWS * C)
        bpn_logit_rows(x, BPN_LOGIT_ROWS, K, weight, tables, C, step, bias, out);
    for (; i < r; i++, x += BPN_WORDS(K), out += C)
        bpn_logit_rows(x, 1, K, weight, tables, C, step, bias, out);
}

BPN_STATIC void bpn_segment_max(const float *z, const int32_t *offsets, int32_t S, int32_t C, float *value, int32_t *row)
{
    for (int32_t s = 0; s < S; s++, value += C, row += C) {
        const float *first = z + (size_t)offsets[s] * (size_t)C;
        for (int32_t c = 0; c < C; c++) {
            value[c] = first[c];
            row[c] = offsets[s];
        }
        for (int32_t i = offsets[s] + 1; i < offsets[s + 1]; i++) {
            const float *here = z + (size_t)i * (size_t)C;
            for (int32_t c = 0; c < C; c++) {
                int better = here[c] > value[c]; /* two selects, so that the loop vectorises */
                value[c] = better ? here[c] : value[c];
                row[c] = better ? i : row[c];
            }
        }
    }
}

#endif
