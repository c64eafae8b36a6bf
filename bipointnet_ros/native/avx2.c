/* AVX2: the layout is in avx2_tile.h; what plain C says well is common.h, compiled for AVX2 here. */
#if defined(__x86_64__)
#include "avx2_tile.h"
#include "sort.h"

#define PLANE_BYTES 32
#define CARRY(a, b, x, c) (((a) & (b)) | ((x) & (c)))
#define ANY(p) !_mm256_testz_si256((__m256i)(p), (__m256i)(p))
#include "slices_layer.h"
#include "slices_train.h"

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

/* What a lift does with its sums; a part that is not wanted has no out. */
struct lifted {
    const float *limit;
    uint64_t *out;
};

/* Sums of eight channels of one row; weight (F, C) from the first of them. Starting from the first product instead of
 * 0 changes nothing but the sign of a zero. */
BPN_INLINE __m256 lift_sums(const float *x, int F, const float *weight, int C)
{
    __m256 sum = _mm256_mul_ps(_mm256_broadcast_ss(x), _mm256_loadu_ps(weight));
    for (int k = 1; k < F; k++)
        sum = _mm256_add_ps(
            sum, _mm256_mul_ps(_mm256_broadcast_ss(x + k), _mm256_loadu_ps(weight + (size_t)k * (size_t)C)));
    return sum;
}

BPN_INLINE float lift_sum(const float *x, int F, const float *weight, int C)
{
    float sum = x[0] * weight[0];
    for (int k = 1; k < F; k++)
        sum += x[k] * weight[(size_t)k * (size_t)C];
    return sum;
}

BPN_INLINE uint64_t reached(__m256 sums, const float *limit)
{
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(sums, _mm256_loadu_ps(limit), _CMP_GE_OQ));
}

/* Bits of a word that a row adds to the two parts. */
struct bits {
    uint64_t own, pool;
};

/* Eight channels a time; limits from the first of them. */
BPN_INLINE struct bits lift_eights(const float *x, int F, const float *weight, int C, int eights, const float *own_limit,
                                   const float *pool_limit)
{
    struct bits bits = {0, 0};
#pragma GCC unroll 8
    for (int c = 0; c < 8 * eights; c += 8) {
        __m256 sums = lift_sums(x, F, weight + c, C);
        if (own_limit)
            bits.own |= reached(sums, own_limit + c) << c;
        if (pool_limit)
            bits.pool |= reached(sums, pool_limit + c) << c;
    }
    return bits;
}

/* Up to 64 channels. */
BPN_INLINE struct bits lift_word(const float *x, int F, const float *weight, int C, int count, const float *own_limit,
                                 const float *pool_limit)
{
    if (count == 64) /* compiled apart: the shifts are constants */
        return lift_eights(x, F, weight, C, 8, own_limit, pool_limit);
    struct bits bits = lift_eights(x, F, weight, C, count / 8, own_limit, pool_limit);
    for (int c = count / 8 * 8; c < count; c++) {
        float sum = lift_sum(x, F, weight + c, C);
        bits.own |= (uint64_t)(own_limit && sum >= own_limit[c]) << c;
        bits.pool |= (uint64_t)(pool_limit && sum >= pool_limit[c]) << c;
    }
    return bits;
}

/* own.out is written, pool.out is added to. */
BPN_INLINE void lift_group(const float *x, int rows, int F, const float *weight, int C, struct lifted own,
                           struct lifted pool)
{
    for (int c = 0; c < C; c += 64)
        for (int i = 0; i < rows; i++) {
            struct bits bits = lift_word(x + (size_t)i * (size_t)F, F, weight + c, C, bpn_least(64, C - c),
                                         own.out ? own.limit + c : NULL, pool.out ? pool.limit + c : NULL);
            if (own.out)
                own.out[(size_t)i * BPN_WORDS((size_t)C) + (size_t)(c / 64)] = bits.own;
            if (pool.out)
                pool.out[c / 64] |= bits.pool;
        }
}

static void lift(const float *x, int32_t n, int32_t F, const float *weight, int32_t C, const float *limit, uint64_t *own,
                 const float *pool_limit, const uint8_t *bucket, const int32_t *offsets, int32_t S, uint64_t *pool)
{
    int Cw = BPN_WORDS(C);
    (void)n;
    if (pool)
        memset(pool, 0, (size_t)S * (size_t)Cw * sizeof *pool);
    for (int32_t s = 0; s < S; s++) {
        const float *first = x + (size_t)offsets[s] * (size_t)F;
        struct lifted each = {limit, own ? own + (size_t)offsets[s] * (size_t)Cw : NULL}, all = {NULL, NULL};
        if (pool)
            all = (struct lifted){pool_limit + (size_t)bucket[s] * (size_t)C, pool + (size_t)s * (size_t)Cw};
        if (F == 3) /* compiled apart: points, the commonest input */
            lift_group(first, offsets[s + 1] - offsets[s], 3, weight, C, each, all);
        else
            lift_group(first, offsets[s + 1] - offsets[s], F, weight, C, each, all);
    }
}

/* Set bits of each byte. */
BPN_INLINE __m256i byte_counts(__m256i v)
{
    const __m256i low = _mm256_set1_epi8(15); /* row 0 of the table is the popcount of a nibble */
    const __m256i table = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)NIBBLE_DISTANCE));
    return _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(v, low)),
                           _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(v, 4), low)));
}

/* Distance of a long row, four words at a time. */
BPN_INLINE int long_distance(const uint64_t *x, const uint64_t *weight, size_t W)
{
    __m256i sum = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 4 <= W; i += 4) {
        __m256i differing = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(x + i)),
                                             _mm256_loadu_si256((const __m256i *)(weight + i)));
        sum = _mm256_add_epi64(sum, _mm256_sad_epu8(byte_counts(differing), _mm256_setzero_si256()));
    }
    __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    return (int)(_mm_cvtsi128_si64(half) + _mm_extract_epi64(half, 1)) + bpn_distance(x + i, weight + i, (int32_t)(W - i));
}

static void dense(const uint64_t *x, int32_t r, int32_t W, const uint64_t *weight, int32_t C, const int16_t *limit,
                  uint64_t *out)
{
    size_t words = (size_t)W;
    for (int32_t i = 0; i < r; i++, x += words)
        for (int32_t first = 0; first < C; first += 64) {
            uint64_t bits = 0;
            for (int32_t c = first; c < bpn_least(first + 64, C); c++)
                bits |= (uint64_t)(long_distance(x, weight + (size_t)c * words, words) < limit[c]) << (c - first);
            *out++ = bits;
        }
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
    .extremes = extremes,
    .segment_max = segment_max,
};

BPN_AVX2_END
#else
typedef int bpn_avx2_needs_x86; /* C11 wants a declaration in every file */
#endif
