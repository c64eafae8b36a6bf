/* Training kernels for AVX2: see avx2_tile.h for the layout. */
#if defined(__x86_64__)
#include "avx2_tile.h"
#include "avx2_train.h"

#define BLOCK 240 /* points whose index within the block fits a byte; a multiple of POINTS */
#define POINTS 6

/* Smallest count and its index in the block so far; an equal later one does not replace it. */
BPN_INLINE void keep_first_smallest(__m256i acc, int index, __m256i *best, __m256i *where)
{
    __m256i smallest = _mm256_min_epu8(*best, acc);
    __m256i kept = _mm256_cmpeq_epi8(smallest, *best);
    *where = _mm256_blendv_epi8(_mm256_set1_epi8((char)index), *where, kept);
    *best = smallest;
}

BPN_INLINE void scan(const uint8_t *code, int first, int points, const uint8_t *weight, int Q, __m256i best[2],
                        __m256i where[2])
{
    __m256i acc[POINTS][2];
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        acc[p][0] = acc[p][1] = _mm256_setzero_si256();
    accumulate(acc, code + first * Q, Q, weight, Q, points);
#pragma GCC unroll 8
    for (int p = 0; p < points; p++) {
        keep_first_smallest(acc[p][0], first + p, &best[0], &where[0]);
        keep_first_smallest(acc[p][1], first + p, &best[1], &where[1]);
    }
}

/* One block of points against one tile of 64 channels. */
static void scan_block(const uint8_t *code, int n, const uint8_t *weight, int Q, uint8_t smallest[BPN_TILE],
                       uint8_t index[BPN_TILE])
{
    __m256i best[2], where[2];
    int i = 0;
    best[0] = best[1] = _mm256_set1_epi8(-1);
    where[0] = where[1] = _mm256_setzero_si256();
    for (; i + POINTS <= n; i += POINTS)
        scan(code, i, POINTS, weight, Q, best, where);
    for (; i < n; i++)
        scan(code, i, 1, weight, Q, best, where);
    for (int h = 0; h < 2; h++) {
        _mm256_storeu_si256((__m256i *)(smallest + 32 * h), best[h]);
        _mm256_storeu_si256((__m256i *)(index + 32 * h), where[h]);
    }
}

static void merge_block(const uint8_t *smallest, const uint8_t *index, int first, int channels, int16_t *value,
                        int32_t *row)
{
    for (int c = 0; c < channels; c++)
        if (smallest[c] < value[c]) {
            value[c] = smallest[c];
            row[c] = first + index[c];
        }
}

/* A count of 256 does not fit a byte: is element 255 used by any row? */
static int uses_last_bit(const uint64_t *rows, size_t n, int W)
{
    uint64_t any = 0;
    if (W == 4)
        for (size_t i = 0; i < n; i++)
            any |= rows[4 * i + 3];
    return (int)(any >> 63);
}

void bpn_avx2_extremes(const uint64_t *x, const uint64_t *weight, const int32_t *offsets, int32_t S, int32_t C,
                       int32_t W, uint8_t *scratch, int16_t *value, int32_t *row)
{
    uint8_t code[BLOCK * 64 + 16], smallest[BPN_TILE], index[BPN_TILE];
    int K = 64 * W, Q = nibbles(K);
    size_t rows = (size_t)(offsets[S] - offsets[0]);
    if (uses_last_bit(x + (size_t)offsets[0] * W, rows, W) || uses_last_bit(weight, (size_t)C, W)) {
        bpn_portable.extremes(x, weight, offsets, S, C, W, scratch, value, row);
        return;
    }
    spread_weights(weight, C, K, scratch);
    for (int32_t s = 0; s < S; s++, value += C, row += C) {
        for (int32_t c = 0; c < C; c++)
            value[c] = INT16_MAX;
        for (int32_t first = offsets[s]; first < offsets[s + 1]; first += BLOCK) {
            int n = offsets[s + 1] - first < BLOCK ? offsets[s + 1] - first : BLOCK;
            for (int i = 0; i < n; i++)
                spread_nibbles(x + (size_t)(first + i) * W, K, code + i * Q);
            for (int c = 0; c < C; c += BPN_TILE) {
                scan_block(code, n, scratch + (size_t)c * Q, Q, smallest, index);
                merge_block(smallest, index, first, C - c < BPN_TILE ? C - c : BPN_TILE, value + c, row + c);
            }
        }
    }
}

BPN_AVX2_END
#else
typedef int bpn_avx2_train_needs_x86; /* C11 wants a declaration in every file */
#endif
