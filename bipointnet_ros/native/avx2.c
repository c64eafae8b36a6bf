/* AVX2: the layout is in avx2_tile.h; what plain C says well is common.h, compiled for AVX2 here. */
#if defined(__x86_64__)
#include "avx2_tile.h"
#include "avx2_train.h"
#include "sort.h"

#define PLANE_BYTES 32
#define CARRY(a, b, x, c) (((a) & (b)) | ((x) & (c)))
#define ANY(p) !_mm256_testz_si256((__m256i)(p), (__m256i)(p))
#include "slices.h"

#define POINTS 6  /* rows of a tile: 12 accumulators, 2 weights and a table row fill the registers */
#define BLOCK 252 /* rows whose nibbles are spread at once; a multiple of POINTS */

static int supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
}

static void prepare(const uint64_t *weight, int32_t C, int32_t K, uint8_t *prepared)
{
    spread_weights(weight, C, K, prepared);
    bpn_slice_codes(weight, C, K, prepared + BPN_TILE_BYTES(C, BPN_WORDS(K)));
}

/* One wanted output of a layer. */
struct part {
    const uint8_t *limit;
    size_t step; /* from one group's limits to the next */
    uint64_t *out;
};

/* Up to BLOCK rows. */
struct block {
    int first, rows;
    uint8_t code[BLOCK * BPN_LAYER_INPUTS / 4 + 16];
    int32_t group[BLOCK];
};

/* Returns the group of the last row, where the next block starts to look. */
static int load_block(struct block *block, const uint64_t *x, int K, const int32_t *offsets, int group)
{
    for (int i = 0; i < block->rows; i++) {
        spread_nibbles(x + (size_t)(block->first + i) * (size_t)BPN_WORDS(K), K, block->code + i * nibbles(K));
        while (block->first + i >= offsets[group + 1])
            group++;
        block->group[i] = group;
    }
    return group;
}

/* Bit = [distance < limit] for the 64 channels of a tile; the channels from count on do not exist: 0. */
BPN_INLINE uint64_t below(const __m256i distance[2], const uint8_t *limit, int count)
{
    uint8_t padded[BPN_TILE] = {0};
    uint64_t reached = 0;
    if (count < BPN_TILE)
        limit = memcpy(padded, limit, (size_t)count);
    for (int h = 0; h < 2; h++) {
        __m256i largest = _mm256_max_epu8(distance[h], _mm256_loadu_si256((const __m256i *)(limit + 32 * h)));
        uint32_t mask = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(largest, distance[h]));
        reached |= (uint64_t)mask << (32 * h);
    }
    return ~reached;
}

BPN_INLINE void store_own(__m256i distance[][2], const int32_t *group, int points, const struct part *own, int row,
                          int tile, int C)
{
    size_t Cw = BPN_WORDS((size_t)C);
    int count = bpn_least(BPN_TILE, C - tile * BPN_TILE);
#pragma GCC unroll 8
    for (int p = 0; p < points; p++) {
        const uint8_t *limit = own->limit + (size_t)group[p] * own->step + tile * BPN_TILE;
        own->out[(size_t)(row + p) * Cw + (size_t)tile] = below(distance[p], limit, count);
    }
}

BPN_INLINE void store_pool(__m256i distance[][2], const int32_t *group, int points, const struct part *pool, int tile,
                           int C)
{
    size_t Cw = BPN_WORDS((size_t)C);
    int count = bpn_least(BPN_TILE, C - tile * BPN_TILE), same = group[0] == group[points - 1];
    if (same)
#pragma GCC unroll 8
        for (int p = 1; p < points; p++)
            for (int h = 0; h < 2; h++)
                distance[0][h] = _mm256_min_epu8(distance[0][h], distance[p][h]);
#pragma GCC unroll 8
    for (int p = 0; p < points; p++) {
        const uint8_t *limit = pool->limit + (size_t)group[p] * pool->step + tile * BPN_TILE;
        if (p == 0 || !same)
            pool->out[(size_t)group[p] * Cw + (size_t)tile] |= below(distance[p], limit, count);
    }
}

BPN_INLINE void layer_rows(const struct block *block, int i, int points, const uint8_t *weight, int Q, int tile, int C,
                           const struct part *own, const struct part *pool)
{
    __m256i distance[POINTS][2];
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        distance[p][0] = distance[p][1] = _mm256_setzero_si256();
    accumulate(distance, block->code + i * Q, Q, weight, Q, points);
    if (own->out)
        store_own(distance, block->group + i, points, own, block->first + i, tile, C);
    if (pool->out)
        store_pool(distance, block->group + i, points, pool, tile, C);
}

static void layer_tile(const struct block *block, const uint8_t *weight, int Q, int tile, int C, const struct part *own,
                       const struct part *pool)
{
    int i = 0;
    for (; i + POINTS <= block->rows; i += POINTS)
        layer_rows(block, i, POINTS, weight, Q, tile, C, own, pool);
    for (; i < block->rows; i++)
        layer_rows(block, i, 1, weight, Q, tile, C, own, pool);
}

static void layer(const uint64_t *x, int32_t K, const uint8_t *prepared, int32_t C, const uint8_t *own_limit,
                  int32_t own_step, uint64_t *own, const uint8_t *pool_limit, int32_t pool_step, uint64_t *pool,
                  const int32_t *offsets, int32_t S)
{
    struct part own_part = {own_limit, (size_t)own_step, own}, pool_part = {pool_limit, (size_t)pool_step, pool};
    struct block block;
    int Q = nibbles(K), n = offsets[S], group = 0;
    if (pool)
        memset(pool, 0, (size_t)S * BPN_WORDS((size_t)C) * sizeof *pool);
    if (sliced_layer(x, K, prepared + BPN_TILE_BYTES(C, BPN_WORDS(K)), C, own_limit, own_step, own, pool_limit, pool_step,
                     pool, offsets, S))
        return;
    for (block.first = 0; block.first < n; block.first += BLOCK) {
        block.rows = bpn_least(BLOCK, n - block.first);
        group = load_block(&block, x, K, offsets, group);
        for (int t = 0; t < BPN_WORDS(C); t++)
            layer_tile(&block, prepared + (size_t)t * (size_t)Q * BPN_TILE, Q, t, C, &own_part, &pool_part);
    }
}

/* limits of POINTS rows, of which `rows` exist, for one tile of channels; codes (POINTS, Q). */
static void limits_tile(const uint8_t *codes, int rows, int Q, const uint8_t *weight, int count, const int16_t *const *limit,
                        int K, uint8_t *out, size_t C)
{
    __m256i sum[POINTS][2];
    uint8_t distance[BPN_TILE];
    memset(sum, 0, sizeof sum);
    accumulate(sum, codes, Q, weight, Q, POINTS);
    for (int p = 0; p < rows; p++) {
        memcpy(distance, sum[p], sizeof distance);
        for (int c = 0; c < count; c++)
            out[(size_t)p * C + (size_t)c] = bpn_clamped_limit(limit[p][c], distance[c], K);
    }
}

static void limits(const uint64_t *code, int32_t S, int32_t Ks, const uint64_t *weight, const uint8_t *prepared, int32_t C,
                   const int16_t *limit, const uint8_t *bucket, int32_t K, uint8_t *out)
{
    uint8_t codes[POINTS * BPN_LAYER_INPUTS / 4 + 16] = {0};
    const int16_t *row[POINTS];
    int Q = nibbles(Ks);
    if (!prepared) {
        bpn_limits(code, S, Ks, weight, C, limit, bucket, K, out);
        return;
    }
    for (int32_t s = 0; s < S; s += POINTS) {
        int rows = bpn_least(POINTS, S - s);
        for (int p = 0; p < rows; p++)
            spread_nibbles(code + (size_t)(s + p) * (size_t)BPN_WORDS(Ks), Ks, codes + p * Q);
        for (int c = 0; c < C; c += BPN_TILE) {
            for (int p = 0; p < rows; p++)
                row[p] = limit + (size_t)bucket[s + p] * (size_t)C + c;
            limits_tile(codes, rows, Q, prepared + (size_t)c * (size_t)Q, bpn_least(BPN_TILE, C - c), row, K,
                        out + (size_t)s * (size_t)C + c, (size_t)C);
        }
    }
}

/* Sums of up to 64 channels of one row; weight (F, C) from the first of them. */
BPN_INLINE void lift_sums(const float *x, int F, const float *weight, int C, int count, float sums[BPN_TILE])
{
    int c = 0;
    for (; c + 8 <= count; c += 8) {
        __m256 sum = _mm256_setzero_ps();
        for (int k = 0; k < F; k++)
            sum = _mm256_add_ps(
                sum, _mm256_mul_ps(_mm256_broadcast_ss(x + k), _mm256_loadu_ps(weight + (size_t)k * (size_t)C + c)));
        _mm256_store_ps(sums + c, sum);
    }
    for (; c < count; c++) {
        sums[c] = 0.0f;
        for (int k = 0; k < F; k++)
            sums[c] += x[k] * weight[(size_t)k * (size_t)C + (size_t)c];
    }
}

/* Bit = [sum >= limit] of up to 64 channels. */
BPN_INLINE uint64_t reached(const float sums[BPN_TILE], const float *limit, int count)
{
    uint64_t bits = 0;
    int c = 0;
    for (; c + 8 <= count; c += 8) {
        __m256 mask = _mm256_cmp_ps(_mm256_load_ps(sums + c), _mm256_loadu_ps(limit + c), _CMP_GE_OQ);
        bits |= (uint64_t)(unsigned)_mm256_movemask_ps(mask) << c;
    }
    for (; c < count; c++)
        bits |= (uint64_t)(sums[c] >= limit[c]) << c;
    return bits;
}

static void lift(const float *x, int32_t n, int32_t F, const float *weight, int32_t C, const float *limit, uint64_t *own,
                 const float *pool_limit, const uint8_t *bucket, const int32_t *offsets, int32_t S, uint64_t *pool)
{
    float sums[BPN_TILE] __attribute__((aligned(32)));
    int Cw = BPN_WORDS(C);
    (void)n;
    if (pool)
        memset(pool, 0, (size_t)S * (size_t)Cw * sizeof *pool);
    for (int32_t s = 0; s < S; s++)
        for (int32_t i = offsets[s]; i < offsets[s + 1]; i++)
            for (int t = 0; t < Cw; t++) {
                int first = t * BPN_TILE, count = bpn_least(BPN_TILE, C - first);
                lift_sums(x + (size_t)i * (size_t)F, F, weight + first, C, count, sums);
                if (own)
                    own[(size_t)i * (size_t)Cw + (size_t)t] = reached(sums, limit + first, count);
                if (pool)
                    pool[(size_t)s * (size_t)Cw + (size_t)t] |=
                        reached(sums, pool_limit + (size_t)bucket[s] * (size_t)C + first, count);
            }
}

static void dense(const uint64_t *x, int32_t r, int32_t W, const uint64_t *weight, int32_t C, const int16_t *limit,
                  uint64_t *out)
{
    bpn_dense(x, r, W, weight, C, limit, out);
}

static void merge(const uint64_t *codes, int32_t Cw, const int32_t *offsets, int32_t T, uint64_t *out)
{
    bpn_merge(codes, Cw, offsets, T, out);
}

static void logits(const uint64_t *x, int32_t r, int32_t K, const float *weight, const float *tables, int32_t C,
                   int32_t lanes, const float *bias, float *out)
{
    bpn_logits(x, r, K, weight, tables, C, lanes, bias, out);
}

static void segment_max(const float *z, const int32_t *offsets, int32_t S, int32_t C, float *value, int32_t *row)
{
    bpn_segment_max(z, offsets, S, C, value, row);
}

const struct bpn_backend bpn_avx2 = {
    .name = "avx2",
    .supported = supported,
    .prepare = prepare,
    .lift = lift,
    .layer = layer,
    .limits = limits,
    .dense = dense,
    .merge = merge,
    .logits = logits,
    .argsort = bpn_argsort,
    .extremes = bpn_avx2_extremes,
    .segment_max = segment_max,
};

BPN_AVX2_END
#else
typedef int bpn_avx2_needs_x86; /* C11 wants a declaration in every file */
#endif
