/* Training on packed rows: their signs and moments, and the gradients that reach them. Sums of floats may differ between
 * backends in their last bits. Before the include: slices.h, and DISTANCE(x, weight, W) of two rows of W words. */
#ifndef BPN_TRAIN_H
#define BPN_TRAIN_H

#include "slices.h"

#define GRAM_BLOCKS 8 /* of LANES rows: their planes stay in a cache */

/* Up to 32 inputs of a row. */
BPN_INLINE uint32_t some_bits(const uint64_t *row, int first)
{
    return (uint32_t)(row[first / 64] >> (first % 64));
}

/* add = 0: the signs themselves, else they are multiplied by factor and added. */
BPN_INLINE void some_signs(uint32_t bits, int count, int add, float factor, float *out)
{
    for (int j = 0; j < count; j++) {
        float sign = (float)((int32_t)(bits >> j & 1) * 2 - 1);
        out[j] = add ? out[j] + factor * sign : sign;
    }
}

BPN_INLINE void row_signs(const uint64_t *row, int K, int add, float factor, float *out)
{
    int k = 0;
    for (; k + 32 <= K; k += 32) /* a constant count vectorises */
        some_signs(some_bits(row, k), 32, add, factor, out + k);
    if (k < K)
        some_signs(some_bits(row, k), K - k, add, factor, out + k);
}

static void signs(const uint64_t *x, int32_t n, int32_t K, float *out)
{
    for (int32_t i = 0; i < n; i++, x += BPN_WORDS(K), out += K)
        row_signs(x, K, 0, 0.0f, out);
}

BPN_INLINE void some_inside(uint32_t bits, int count, float *gradient)
{
    for (int j = 0; j < count; j++)
        gradient[j] = bits >> j & 1 ? gradient[j] : 0.0f;
}

static void inside(const uint64_t *mask, int32_t n, int32_t K, float *gradient)
{
    for (int32_t i = 0; i < n; i++, mask += BPN_WORDS(K), gradient += K) {
        int k = 0;
        for (; k + 32 <= K; k += 32)
            some_inside(some_bits(mask, k), 32, gradient + k);
        if (k < K)
            some_inside(some_bits(mask, k), K - k, gradient + k);
    }
}

static void scatter(const float *gradient, const int32_t *row, int32_t count, int32_t C, const float *weight, int32_t K,
                    int32_t first, float *out)
{
    for (int32_t i = 0; i < count; i++) {
        const float *from = weight + (size_t)(i % C) * (size_t)K;
        float *to = out + (size_t)(row[i] - first) * (size_t)K, factor = gradient[i];
        if (factor != 0.0f)
            for (int32_t k = 0; k < K; k++)
                to[k] += factor * from[k];
    }
}

static void selected(const float *gradient, const int32_t *row, int32_t count, int32_t C, const uint64_t *x, int32_t K,
                     float *out)
{
    memset(out, 0, (size_t)C * (size_t)K * sizeof *out);
    for (int32_t i = 0; i < count; i++)
        if (gradient[i] != 0.0f)
            row_signs(x + (size_t)row[i] * BPN_WORDS((size_t)K), K, 1, gradient[i], out + (size_t)(i % C) * (size_t)K);
}

/* The planes of rows <= LANES rows; lanes beyond them are 0. */
static void plane_block(const uint64_t *x, int rows, int W, plane (*planes)[GRAM_BLOCKS], int block)
{
    plane word[64], there = {0};
    for (int l = 0; l < rows; l++)
        there[l / 64] |= (uint64_t)1 << (l % 64);
    for (int w = 0; w < W; w++) {
        slice_word(x + w, rows, W, word);
        for (int k = 0; k < 64; k++)
            planes[64 * w + k][block] = word[k] & there;
    }
}

static void gram(const uint64_t *x, int32_t n, int32_t K, int32_t *out)
{
    static const plane zero[GRAM_BLOCKS];
    plane planes[256][GRAM_BLOCKS];
    int W = BPN_WORDS(K), words = GRAM_BLOCKS * SLICE_WORDS;
    memset(out, 0, (size_t)K * (size_t)K * sizeof *out);
    for (int first = 0; first < n; first += GRAM_BLOCKS * LANES) {
        memset(planes, 0, sizeof planes);
        for (int b = 0, start = first; b < GRAM_BLOCKS && start < n; b++, start += LANES)
            plane_block(x + (size_t)start * (size_t)W, bpn_least(LANES, n - start), W,
                        planes, b);
        for (int32_t i = 0; i < K; i++) {
            const uint64_t *own = (const uint64_t *)planes[i];
            for (int32_t j = 0; j < i; j++)
                out[i * K + j] += DISTANCE(own, (const uint64_t *)planes[j], words);
            out[i * K + i] += DISTANCE(own, (const uint64_t *)zero, words);
        }
    }
    for (int32_t i = 0; i < K; i++)
        for (int32_t j = 0; j < i; j++)
            out[j * K + i] = out[i * K + j];
}

#endif
