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
    memcpy(&loaded, from, sizeof loaded);
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

BPN_STATIC void bpn_logits(const uint64_t *x, int32_t r, int32_t K, const float *weight, const float *tables, int32_t C,
                           int32_t lanes, const float *bias, float *out)
{
    size_t step = (size_t)lanes;
    for (int32_t i = 0; i < r; i++, x += BPN_WORDS(K), out += C)
        for (int32_t first = 0; first < C; first += 8) {
            struct bpn_eight sum = {{0}, {0}}, entry;
            size_t count = (size_t)bpn_least(8, C - first) * sizeof *bias;
            memcpy(&sum, bias + first, count);
            for (int32_t k = 0; k < K; k += 8) {
                unsigned byte = (x[k / 64] >> (k % 64)) & 255;
                entry = tables ? bpn_load(tables + ((size_t)k * 32 + byte) * step + first)
                               : bpn_entry(weight + (size_t)k * step + first, step, bpn_least(8, K - k), byte);
                sum.low += entry.low;
                sum.high += entry.high;
            }
            memcpy(out + first, &sum, count);
        }
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
