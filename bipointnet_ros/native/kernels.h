/* The operations of the engine and the table of backends that implement them.
 *
 * Bits: uint64 little-endian words, element i is bit i % 64 of word i / 64, padding bits are 0. n rows, S groups,
 * C outputs, K inputs, W = ceil(K / 64), Cw = ceil(C / 64). An optional part is NULL. offsets (S + 1): group s is rows
 * offsets[s]..offsets[s + 1]; the first need not begin at row 0. distance = popcount(x ^ w). Every backend gives the same
 * bits (core/reference.py). The caller owns all memory: nothing here allocates, prints, locks or keeps state. */
#ifndef BPN_KERNELS_H
#define BPN_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define BPN_WORDS(count) (((count) + 63) / 64)
#define BPN_TILE_BYTES(C, W) ((size_t)BPN_WORDS(C) * 64 * 16 * (size_t)(W))
#define BPN_CODE_BYTES(W) ((W) == 1 ? 24 : (W) == 2 ? 44 : 84) /* of a channel (slices.h): 2 for each group of inputs */
#define BPN_PREPARED_BYTES(C, W) (BPN_TILE_BYTES(C, W) + (size_t)(C) * BPN_CODE_BYTES(W))
#define BPN_AXIS_PADDING 16   /* farthest takes whole vectors of points */
#define BPN_LEVELS 8         /* most levels of the inputs that rows share */
#define BPN_LAYER_INPUTS 248 /* most inputs of a layer: distances are counted in bytes */

struct bpn_backend {
    const char *name;
    int (*supported)(void); /* 1 where this CPU runs it */

    /* weight (C, W), K <= 248 -> prepared, BPN_PREPARED_BYTES(C, W) bytes in the backend's own layout. */
    void (*prepare)(const uint64_t *weight, int32_t C, int32_t K, uint8_t *prepared);

    /* sum = the products with weight (G + F, C) of the inputs shared (S, G) of the row's group, where there are some, then
     * of the row's own, x (n, F); inputs ascending, each product and each sum rounded to float32.
     * own (n, Cw) = [sum >= limit (C)]; pool (S, Cw) = OR over the group of [sum >= pool_limit[bucket[s]] (C)].
     * Level l of shared ends at input ends[l], l < BPN_LEVELS, the last one at G; the first kept[s] levels of a group are
     * those of the group before. */
    void (*lift)(const float *x, int32_t n, int32_t F, const float *weight, int32_t C, const float *limit, uint64_t *own,
                 const float *pool_limit, const uint8_t *bucket, const int32_t *offsets, int32_t S, uint64_t *pool,
                 const float *shared, int32_t G, const uint8_t *kept, const int32_t *ends);

    /* x (n, W), n >= offsets[S]; own (n, Cw) = [distance < own_limit[s] (C)]; pool (S, Cw) = OR over the group of
     * [distance < pool_limit[s] (C)]. A step is C, or 0 where all groups share one row of limits. */
    void (*layer)(const uint64_t *x, int32_t K, const uint8_t *prepared, int32_t C, const uint8_t *own_limit,
                  int32_t own_step, uint64_t *own, const uint8_t *pool_limit, int32_t pool_step, uint64_t *pool,
                  const int32_t *offsets, int32_t S);

    /* layer for groups that do not touch: group s is rows spans[2 s]..spans[2 s + 1]; the rows between are left alone. */
    void (*layer_spans)(const uint64_t *x, int32_t K, const uint8_t *prepared, int32_t C, const uint8_t *own_limit,
                        int32_t own_step, uint64_t *own, const uint8_t *pool_limit, int32_t pool_step, uint64_t *pool,
                        const int32_t *spans, int32_t S);

    /* x (n, W): the distinct rows of each group (of each 8192 of its rows) move to its front, in the order in which they
     * first appear; spans (S, 2) = where they lie. What lies behind them up to the next group does not matter any more. */
    void (*distinct)(uint64_t *x, int32_t W, const int32_t *offsets, int32_t S, int32_t *spans);

    /* code (S, Sw) of Ks bits, weight (C, Sw), prepared of it or NULL, limit (buckets, C);
     * out (S, C) = limit[bucket[s]] - distance, clamped to 0..K + 1. */
    void (*limits)(const uint64_t *code, int32_t S, int32_t Ks, const uint64_t *weight, const uint8_t *prepared, int32_t C,
                   const int16_t *limit, const uint8_t *bucket, int32_t K, uint8_t *out);

    /* x (r, W), weight (C, W): out (r, Cw) = [distance < limit (C)]. */
    void (*dense)(const uint64_t *x, int32_t r, int32_t W, const uint64_t *weight, int32_t C, const int16_t *limit,
                  uint64_t *out);

    /* codes (S, Cw), offsets (T + 1): out (T, Cw) = OR over the group. */
    void (*merge)(const uint64_t *codes, int32_t Cw, const int32_t *offsets, int32_t T, uint64_t *out);

    /* x (r, W), weight (K, lanes), lanes = C rounded up to 8; tables (ceil(K / 8), 256, lanes) or NULL: entry = sum of
     * +-weight over the 8 inputs of the byte, ascending from 0. out (r, C) = bias + the entry of each byte, ascending. */
    void (*logits)(const uint64_t *x, int32_t r, int32_t K, const float *weight, const float *tables, int32_t C,
                   int32_t lanes, const float *bias, float *out);

    /* out (n): the stable order of keys; scratch 3 n words. */
    void (*argsort)(const uint64_t *keys, int32_t n, uint64_t *scratch, int32_t *out);

    /* place (n): how many of sorted (m), NaN last, are less than each value. */
    void (*search)(const float *sorted, int32_t m, const float *value, int32_t n, int32_t *place);

    /* chosen (count): the first of the points xyz (n, 3), then each time the one that is farthest from those before it,
     * the first such one; squared distances are x x + y y + z z, each product and each sum rounded to float32. No NaN;
     * scratch 4 n floats, n rounded up to BPN_AXIS_PADDING. */
    void (*farthest)(const float *xyz, int32_t n, float *scratch, int32_t count, int32_t *chosen);

    /* keys (n): equal for points of one voxel of that edge, rising with its x, then y, then z; 2^20 voxels each way. */
    void (*voxels)(const float *xyz, int32_t n, const float *edge, uint64_t *keys);

    /* out (n): the first index into table (m) of each wanted key (n), -1 where there is none; slots (2^bits > m). */
    void (*match)(const uint64_t *table, int32_t m, const uint64_t *wanted, int32_t n, int32_t *slots, int32_t bits,
                  int32_t *out);

    /* root (n): the first cell of the component of each of n cells of a plane, see link.h. */
    void (*link)(const int32_t *xy, const int32_t *reach, int32_t n, int32_t *root);

    /* Of points xyz (n, 3), in the order of their cells: height (n) over the floor (C) of their column, answer (n), the
     * voxel of each, and mean (V, 4), x y z height of each voxel, summed in double; column (C + 1), voxel (V + 1) starts. */
    void (*means)(const float *xyz, int32_t n, const int32_t *order, const float *floor, const int32_t *column, int32_t C,
                  const int32_t *voxel, int32_t V, float *height, int32_t *answer, float *mean);

    /* The inputs of core/descriptors.py of the rows mean (V, 4) of nested cells, starts each; place (C, 2) of columns,
     * ratios (2) of which are as wide as a block and a pillar; sizes (6): edge of a voxel and of a column, x and y of
     * place 0 0 and of the column's corner nearest 0 0. wanted (67): the column of each input in shared (S, G), a row for each cube, or, of the last ten, in own
     * (V, F); -1 = not wanted. scratch: 12 (C + P + B) + 2 << bits doubles, 2^bits > C. */
    void (*describe)(const float *mean, const int32_t *voxel, int32_t V, const int32_t *block, int32_t B,
                     const int32_t *pillar, int32_t P, const int32_t *column, int32_t C, const int32_t *cube, int32_t S,
                     const int32_t *place, const int32_t *ratios, const float *sizes, void *scratch, int32_t bits,
                     const int32_t *wanted, float *shared, int32_t G, float *own, int32_t F);

    /* out (X, Y): the map through the cells of low (X, Y), inf where nothing is known, that lie within the tolerance of the
     * lower envelope of slope rise per cell. scratch 4 X Y + 4 X + 4 Y + 256 floats. */
    void (*terrain)(const float *low, int32_t X, int32_t Y, const float *rise_and_tolerance, float *scratch, float *out);

    /* Of each run starts[k]..starts[k + 1] of points xyz (M, 3), none empty: turn (K), which of turns (A <= BPN_TURNS, 2),
     * cosine and sine, brings the edges of a rectangle closest to the points, and extents (K, 4) there, lowest and highest
     * along and across, from the run's first point. */
    void (*rectangles)(const float *xyz, const int32_t *starts, int32_t K, const float *turns, int32_t A, int32_t *turn,
                       float *extents);

    /* Training: per (group, channel) the smallest distance and the first row that attains it. x (n, W), weight (C, W),
     * W <= 4, no group empty; scratch BPN_PREPARED_BYTES(C, W) bytes; value, row (S, C). */
    void (*extremes)(const uint64_t *x, const uint64_t *weight, const int32_t *offsets, int32_t S, int32_t C, int32_t W,
                     uint8_t *scratch, int16_t *value, int32_t *row);

    /* Training: per (group, channel) the largest z and its first row. z (n, C), no group empty, no NaN. */
    void (*segment_max)(const float *z, const int32_t *offsets, int32_t S, int32_t C, float *value, int32_t *row);

    /* Training, of x (n, W) with K <= 256 inputs: out (n, K) = their signs, +-1. */
    void (*signs)(const uint64_t *x, int32_t n, int32_t K, float *out);

    /* Training: out (K, K), in how many rows inputs i and j differ; on the diagonal in how many input i is 1. */
    void (*gram)(const uint64_t *x, int32_t n, int32_t K, int32_t *out);

    /* Training: gradient (n, K) becomes 0 where the bit of mask (n, W) is. */
    void (*inside)(const uint64_t *mask, int32_t n, int32_t K, float *gradient);

    /* Training, gradient and row of count = S C entries, channel by channel: out[row - first] (.., K) += gradient weight
     * (C, K). */
    void (*scatter)(const float *gradient, const int32_t *row, int32_t count, int32_t C, const float *weight, int32_t K,
                    int32_t first, float *out);

    /* Training: out (C, K) = sum over the entries of gradient times the signs of x[row]. */
    void (*selected)(const float *gradient, const int32_t *row, int32_t count, int32_t C, const uint64_t *x, int32_t K,
                     float *out);
};

extern const struct bpn_backend bpn_portable;
#if defined(__x86_64__)
extern const struct bpn_backend bpn_avx2;
#elif defined(__aarch64__)
extern const struct bpn_backend bpn_neon;
#endif

/* The backends that this build holds, best first, ended by NULL. */
const struct bpn_backend *const *bpn_backends(void);
uint32_t bpn_interface(void);

#endif
