/* AVX2. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

/* All of this file is compiled for these instructions, whatever the build flags. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,popcnt"))), apply_to = function)
#else
#pragma GCC target("avx2,popcnt")
#endif

#define BPN_HAS_POPCOUNT
#include "common.h"
#include "describe.h"
#include "distinct.h"
#include "link.h"
#include "rectangles.h"
#include "sort.h"
#include "terrain.h"
#include "voxels.h"

/* Slices (slices.h). */
#define PLANE_BYTES 32
#define CARRY(a, b, x, c) (((a) & (b)) | ((x) & (c)))
#define SPREAD(bytes) __asm__("" : "+x"(bytes))
#define ANY(p) !_mm256_testz_si256((__m256i)(p), (__m256i)(p))
#include "farthest.h"
#include "slices_train.h"

/* Tiles (tiles.h): a step is a nibble of inputs. Row a of this table holds popcount(a ^ w) for the 16 weight nibbles w, so
 * that one PSHUFB of it by 32 channels' weights is 128 binary multiply-accumulates. A row's code holds the offset of the
 * table's row, 16 a. 12 accumulators, 2 weights and a row of the table fill the registers. */
#define POINTS 6
#define STEP_BITS 4
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

struct distances {
    __m256i half[2];
};

BPN_INLINE void encode(const uint64_t *words, int K, uint8_t *code)
{
    const __m128i high = _mm_set1_epi8((char)0xf0);
    for (int i = 0; i < BPN_WORDS(K); i++) {
        __m128i bytes = _mm_cvtsi64_si128((long long)words[i]);
        __m128i low = _mm_and_si128(_mm_slli_epi16(bytes, 4), high);
        _mm_storeu_si128((__m128i *)(code + 16 * i), _mm_unpacklo_epi8(low, _mm_and_si128(bytes, high)));
    }
}

BPN_INLINE void count(struct distances *d, const uint8_t *code, int stride, const uint8_t *tile, int steps, int points)
{
    __m256i sum[POINTS][2];
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        sum[p][0] = sum[p][1] = _mm256_setzero_si256();
    for (int s = 0; s < steps; s++, tile += 64) {
        __m256i low = _mm256_loadu_si256((const __m256i *)tile), high = _mm256_loadu_si256((const __m256i *)(tile + 32));
#pragma GCC unroll 8
        for (int p = 0; p < points; p++) {
            const __m128i *row = (const __m128i *)(NIBBLE_DISTANCE + code[p * stride + s]);
            __m256i table = _mm256_broadcastsi128_si256(_mm_load_si128(row));
            sum[p][0] = _mm256_add_epi8(sum[p][0], _mm256_shuffle_epi8(table, low));
            sum[p][1] = _mm256_add_epi8(sum[p][1], _mm256_shuffle_epi8(table, high));
        }
    }
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        d[p] = (struct distances){{sum[p][0], sum[p][1]}};
}

BPN_INLINE struct distances lesser(struct distances a, struct distances b)
{
    return (struct distances){{_mm256_min_epu8(a.half[0], b.half[0]), _mm256_min_epu8(a.half[1], b.half[1])}};
}

/* AVX2 has no unsigned comparison: the greater of distance and limit is the distance where the limit is reached. */
BPN_INLINE uint64_t below(const struct distances *d, const uint8_t *limit)
{
    uint64_t reached = 0;
    for (int h = 0; h < 2; h++) {
        __m256i greater = _mm256_max_epu8(d->half[h], _mm256_loadu_si256((const __m256i *)(limit + 32 * h)));
        reached |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(greater, d->half[h])) << (32 * h);
    }
    return ~reached;
}

#include "tiles.h"

/* Lift (lift.h). */
#define CHUNK 32
#define LIFT_ROWS 2 /* eight chains of additions at once hide their latency, and rows share the weights */

struct sums {
    __m256 lanes[CHUNK / 8];
};

BPN_INLINE void sum_chunk(struct sums *sums, const float *start, const float *x, int F, const float *weight, int C,
                          int rows)
{
#pragma GCC unroll 4
    for (int j = 0; j < CHUNK / 8; j++)
#pragma GCC unroll 2
        for (int r = 0; r < rows; r++)
            sums[r].lanes[j] = start ? _mm256_loadu_ps(start + 8 * j)
                                     : _mm256_mul_ps(_mm256_broadcast_ss(x + r * F), _mm256_loadu_ps(weight + 8 * j));
    for (int k = start ? 0 : 1; k < F; k++) {
        const float *row = weight + (size_t)k * (size_t)C;
#pragma GCC unroll 4
        for (int j = 0; j < CHUNK / 8; j++) {
            __m256 eight = _mm256_loadu_ps(row + 8 * j);
            if (rows > 1)
                __asm__("" : "+x"(eight)); /* one load for all rows: gcc would load it again as an operand of each */
#pragma GCC unroll 2
            for (int r = 0; r < rows; r++)
                sums[r].lanes[j] =
                    _mm256_add_ps(sums[r].lanes[j], _mm256_mul_ps(_mm256_broadcast_ss(x + r * F + k), eight));
        }
    }
}

BPN_INLINE uint64_t reached(struct sums sums, const float *limit)
{
    uint64_t bits = 0;
#pragma GCC unroll 4
    for (int j = 0; j < CHUNK / 8; j++) {
        __m256 least = _mm256_loadu_ps(limit + 8 * j);
        bits |= (uint64_t)(unsigned)_mm256_movemask_ps(_mm256_cmp_ps(sums.lanes[j], least, _CMP_GE_OQ)) << (8 * j);
    }
    return bits;
}

#include "lift.h"

/* Dense (dense.h): set bits of each byte. */
BPN_INLINE __m256i byte_counts(__m256i v)
{
    const __m256i low = _mm256_set1_epi8(15); /* row 0 of the table is the popcount of a nibble */
    const __m256i table = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)NIBBLE_DISTANCE));
    return _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(v, low)),
                           _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(v, 4), low)));
}

/* Four words at a time. */
BPN_INLINE int long_distance(const uint64_t *x, const uint64_t *weight, int32_t W)
{
    __m256i sum = _mm256_setzero_si256();
    int32_t i = 0;
    for (; i + 4 <= W; i += 4) {
        __m256i differing = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(x + i)),
                                             _mm256_loadu_si256((const __m256i *)(weight + i)));
        sum = _mm256_add_epi64(sum, _mm256_sad_epu8(byte_counts(differing), _mm256_setzero_si256()));
    }
    __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    return (int)(_mm_cvtsi128_si64(half) + _mm_extract_epi64(half, 1)) + bpn_distance(x + i, weight + i, W - i);
}

#define DISTANCE long_distance
#include "dense.h"
#include "train.h"

static int supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
}

const struct bpn_backend bpn_avx2 = {
    .name = "avx2",
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

#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int bpn_avx2_needs_x86; /* C11 wants a declaration in every file */
#endif
