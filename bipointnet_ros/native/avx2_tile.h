/* The AVX2 tile: popcounts of a few points against 64 channels, by table look-up.
 *
 * Lane = channel. A nibble q of the inputs has 16 possible activations a; row a of the table holds popcount(a ^ w) for
 * the 16 possible weight nibbles w, so one PSHUFB of row a by 32 weight nibbles is 128 binary multiply-accumulates.
 * Weights are laid out [C / 64][Q][64] bytes, Q = 2 ceil(K / 8); activations as nibble << 4, the offset of the row. */
#ifndef BPN_AVX2_TILE_H
#define BPN_AVX2_TILE_H

#include <immintrin.h>
#include <string.h>

/* Everything from here to BPN_AVX2_END is compiled for AVX2, whatever the build flags. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,popcnt"))), apply_to = function)
#define BPN_AVX2_END _Pragma("clang attribute pop")
#else
#pragma GCC push_options
#pragma GCC target("avx2,popcnt")
#define BPN_AVX2_END _Pragma("GCC pop_options")
#endif
#define BPN_HAS_POPCOUNT
#include "common.h"

#define ROW(a) \
    P(a, 0), P(a, 1), P(a, 2), P(a, 3), P(a, 4), P(a, 5), P(a, 6), P(a, 7), P(a, 8), P(a, 9), P(a, 10), P(a, 11), \
        P(a, 12), P(a, 13), P(a, 14), P(a, 15)
#define P(a, w) ((((a) ^ (w)) & 1) + ((((a) ^ (w)) >> 1) & 1) + ((((a) ^ (w)) >> 2) & 1) + ((((a) ^ (w)) >> 3) & 1))
static const uint8_t NIBBLE_DISTANCE[256] __attribute__((aligned(64))) = {
    ROW(0), ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7),
    ROW(8), ROW(9), ROW(10), ROW(11), ROW(12), ROW(13), ROW(14), ROW(15),
};
#undef P
#undef ROW

BPN_INLINE int nibbles(int K)
{
    return (K + 7) / 8 * 2;
}

/* acc[p][h] += popcounts of points p < points, half-tile h; code[p] points at Q row offsets, weight at [Q][64]. */
BPN_INLINE void accumulate(__m256i acc[][2], const uint8_t *code, int stride, const uint8_t *weight, int Q, int points)
{
    for (int q = 0; q < Q; q++) {
        __m256i w0 = _mm256_loadu_si256((const __m256i *)(weight + q * BPN_TILE));
        __m256i w1 = _mm256_loadu_si256((const __m256i *)(weight + q * BPN_TILE + 32));
#pragma GCC unroll 8
        for (int p = 0; p < points; p++) {
            const __m128i *row = (const __m128i *)(NIBBLE_DISTANCE + code[p * stride + q]);
            __m256i table = _mm256_broadcastsi128_si256(_mm_load_si128(row));
            acc[p][0] = _mm256_add_epi8(acc[p][0], _mm256_shuffle_epi8(table, w0));
            acc[p][1] = _mm256_add_epi8(acc[p][1], _mm256_shuffle_epi8(table, w1));
        }
    }
}

/* Inputs K of a row as Q = 2 ceil(K / 8) table offsets; writes 16 bytes a word, so up to 16 beyond Q. */
BPN_INLINE void spread_nibbles(const uint64_t *words, int K, uint8_t *code)
{
    const __m128i high = _mm_set1_epi8((char)0xf0);
    for (int i = 0; i < BPN_WORDS(K); i++) {
        __m128i bytes = _mm_cvtsi64_si128((long long)words[i]);
        __m128i low = _mm_and_si128(_mm_slli_epi16(bytes, 4), high);
        _mm_storeu_si128((__m128i *)(code + 16 * i), _mm_unpacklo_epi8(low, _mm_and_si128(bytes, high)));
    }
}

/* weight (C, W) -> tiles. */
static inline void spread_weights(const uint64_t *weight, int C, int K, uint8_t *tiles)
{
    int W = BPN_WORDS(K), Q = nibbles(K);
    memset(tiles, 0, BPN_TILE_BYTES(C, W));
    for (int c = 0; c < C; c++)
        for (int q = 0; q < Q; q++)
            tiles[((size_t)(c / BPN_TILE) * (size_t)Q + (size_t)q) * BPN_TILE + (size_t)(c % BPN_TILE)] =
                (uint8_t)((weight[(size_t)c * (size_t)W + (size_t)(q / 16)] >> (q % 16 * 4)) & 15);
}

#endif
