/* Portable C11 for any little-endian CPU.
 *
 * Lane = output channel: tiles are [C / 64][ceil(K / 8)][64] bytes, a byte holding 8 inputs of one channel, so distances
 * of a row to 64 channels grow side by side in bytes and no sum runs across lanes. */
#include "common.h"
#include "sort.h"

#define PLANE_BYTES 16
#define CARRY(a, b, x, c) (((a) & (b)) | ((x) & (c)))
#define ANY(p) (((p)[0] | (p)[1]) != 0)
#include "slices_layer.h"
#include "slices_train.h"

#define WORDS_OF_TILE (BPN_TILE / 8)
#define EACH_BYTE 0x0101010101010101u

static int always(void)
{
    return 1;
}

static void prepare(const uint64_t *weight, int32_t C, int32_t K, uint8_t *prepared)
{
    int32_t W = BPN_WORDS(K), bytes = (K + 7) / 8;
    memset(prepared, 0, BPN_TILE_BYTES(C, W));
    bpn_slice_codes(weight, C, K, prepared + BPN_TILE_BYTES(C, W));
    for (int32_t c = 0; c < C; c++)
        for (int32_t k = 0; k < bytes; k++)
            prepared[((size_t)(c / BPN_TILE) * (size_t)bytes + (size_t)k) * BPN_TILE + (size_t)(c % BPN_TILE)] =
                (uint8_t)(weight[(size_t)c * (size_t)W + (size_t)(k / 8)] >> (k % 8 * 8));
}

/* Set bits of each nibble of v: 0..4. */
BPN_INLINE uint64_t nibble_counts(uint64_t v)
{
    v -= (v >> 1) & (EACH_BYTE * 0x55);
    return (v & (EACH_BYTE * 0x33)) + ((v >> 2) & (EACH_BYTE * 0x33));
}

/* The distances of one row to the 64 channels of a tile; tile (bytes, 64). */
BPN_INLINE void tile_distances(const uint64_t *x, int32_t bytes, const uint8_t *tile, uint8_t distances[BPN_TILE])
{
    uint64_t sum[WORDS_OF_TILE] = {0};
    for (int32_t k = 0; k < bytes; k++) {
        uint64_t weight[WORDS_OF_TILE], input = ((x[k / 8] >> (k % 8 * 8)) & 255) * EACH_BYTE;
        memcpy(weight, tile + (size_t)k * BPN_TILE, sizeof weight);
        for (int i = 0; i < WORDS_OF_TILE; i++) {
            uint64_t counts = nibble_counts(weight[i] ^ input);
            sum[i] += (counts + (counts >> 4)) & (EACH_BYTE * 0x0f);
        }
    }
    memcpy(distances, sum, sizeof sum);
}

/* A byte of 0 or 1 a channel -> a bit a channel: the product moves byte i to bit i of the top byte. */
BPN_INLINE uint64_t gather_bits(const uint8_t flags[BPN_TILE])
{
    uint64_t bits = 0;
    for (int i = 0; i < WORDS_OF_TILE; i++) {
        uint64_t eight;
        memcpy(&eight, flags + 8 * i, sizeof eight);
        bits |= ((eight * 0x0102040810204080u) >> 56) << (8 * i);
    }
    return bits;
}

/* Channels count..63 of the tile do not exist: their bits are 0. */
BPN_INLINE uint64_t below(const uint8_t distances[BPN_TILE], const uint8_t *limit, int count)
{
    uint8_t flags[BPN_TILE] = {0};
    for (int c = 0; c < count; c++)
        flags[c] = distances[c] < limit[c];
    return gather_bits(flags);
}

static void layer(const uint64_t *x, int32_t K, const uint8_t *prepared, int32_t C, const uint8_t *own_limit,
                  int32_t own_step, uint64_t *own, const uint8_t *pool_limit, int32_t pool_step, uint64_t *pool,
                  const int32_t *offsets, int32_t S)
{
    int32_t W = BPN_WORDS(K), bytes = (K + 7) / 8, Cw = BPN_WORDS(C);
    uint8_t distances[BPN_TILE];
    if (pool)
        memset(pool, 0, (size_t)S * (size_t)Cw * sizeof *pool);
    if (sliced_layer(x, K, prepared + BPN_TILE_BYTES(C, W), C, own_limit, own_step, own, pool_limit, pool_step, pool,
                     offsets, S))
        return;
    for (int32_t s = 0; s < S; s++)
        for (int32_t t = 0; t < Cw; t++) {
            const uint8_t *tile = prepared + (size_t)t * (size_t)bytes * BPN_TILE;
            int count = bpn_least(BPN_TILE, C - t * BPN_TILE);
            uint64_t fired = 0;
            for (int32_t i = offsets[s]; i < offsets[s + 1]; i++) {
                tile_distances(x + (size_t)i * (size_t)W, bytes, tile, distances);
                if (own)
                    own[(size_t)i * (size_t)Cw + (size_t)t] =
                        below(distances, own_limit + (size_t)s * (size_t)own_step + t * BPN_TILE, count);
                if (pool)
                    fired |= below(distances, pool_limit + (size_t)s * (size_t)pool_step + t * BPN_TILE, count);
            }
            if (pool)
                pool[(size_t)s * (size_t)Cw + (size_t)t] = fired;
        }
}

/* Sums of count <= 64 channels of one row; weight (F, C) from the first of them. */
BPN_INLINE void lift_sums(const float *x, int F, const float *weight, size_t C, int count, float sums[BPN_TILE])
{
    memset(sums, 0, BPN_TILE * sizeof *sums);
    for (int k = 0; k < F; k++, weight += C)
        for (int c = 0; c < count; c++)
            sums[c] += x[k] * weight[c];
}

BPN_INLINE uint64_t reached(const float sums[BPN_TILE], const float *limit, int count)
{
    uint8_t flags[BPN_TILE] = {0};
    for (int c = 0; c < count; c++)
        flags[c] = sums[c] >= limit[c];
    return gather_bits(flags);
}

static void lift(const float *x, int32_t n, int32_t F, const float *weight, int32_t C, const float *limit, uint64_t *own,
                 const float *pool_limit, const uint8_t *bucket, const int32_t *offsets, int32_t S, uint64_t *pool)
{
    size_t Cw = BPN_WORDS((size_t)C);
    float sums[BPN_TILE];
    (void)n;
    if (pool)
        memset(pool, 0, (size_t)S * Cw * sizeof *pool);
    for (int32_t s = 0; s < S; s++)
        for (int32_t i = offsets[s]; i < offsets[s + 1]; i++)
            for (size_t t = 0; t < Cw; t++) {
                int first = (int)t * BPN_TILE, count = bpn_least(BPN_TILE, C - first);
                lift_sums(x + (size_t)i * (size_t)F, F, weight + first, (size_t)C, count, sums);
                if (own)
                    own[(size_t)i * Cw + t] = reached(sums, limit + first, count);
                if (pool)
                    pool[(size_t)s * Cw + t] |= reached(sums, pool_limit + (size_t)bucket[s] * (size_t)C + first, count);
            }
}

static void limits(const uint64_t *code, int32_t S, int32_t Ks, const uint64_t *weight, const uint8_t *prepared, int32_t C,
                   const int16_t *limit, const uint8_t *bucket, int32_t K, uint8_t *out)
{
    (void)prepared;
    bpn_limits(code, S, Ks, weight, C, limit, bucket, K, out);
}

static void dense(const uint64_t *x, int32_t r, int32_t W, const uint64_t *weight, int32_t C, const int16_t *limit,
                  uint64_t *out)
{
    for (int32_t i = 0; i < r; i++, x += W)
        for (int32_t first = 0; first < C; first += 64) {
            uint64_t bits = 0;
            for (int32_t c = first; c < bpn_least(first + 64, C); c++)
                bits |= (uint64_t)(bpn_distance(x, weight + (size_t)c * (size_t)W, W) < limit[c]) << (c - first);
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

const struct bpn_backend bpn_portable = {
    .name = "portable",
    .supported = always,
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
