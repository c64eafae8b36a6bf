/* NEON, baseline ARMv8.0: a Raspberry Pi 3 and a Jetson Nano run it. */
#if defined(__aarch64__)
#include "common.h"
#include "describe.h"
#include "distinct.h"
#include "link.h"
#include "rectangles.h"
#include "sort.h"
#include "terrain.h"
#include "voxels.h"

#include <arm_neon.h>

/* Slices (slices.h): a full adder is two exclusive ors and a select. */
#define PLANE_BYTES 16
#define CARRY(a, b, x, c) ((plane)vbslq_u64((uint64x2_t)(x), (uint64x2_t)(c), (uint64x2_t)(b)))
#define ANY(p) (vmaxvq_u32((uint32x4_t)(p)) != 0)
#define ORDER(pointer, held) __asm__ volatile("" : "+r"(pointer), "+w"(held)) /* or gcc loads so early that it spills */
#define OPAQUE(pointer) __asm__("" : "+r"(pointer))                          /* so that a pair is one load */
#include "farthest.h"
#include "slices_train.h"

/* Tiles (tiles.h): a step is a byte of inputs; 16 sums, 4 weights and the inputs fill two thirds of the registers. */
#define POINTS 4
#define STEP_BITS 8

struct distances {
    uint8x16_t quarter[4];
};

BPN_INLINE void encode(const uint64_t *words, int K, uint8_t *code)
{
    memcpy(code, words, BPN_WORDS((size_t)K) * 8);
}

BPN_INLINE void count(struct distances *d, const uint8_t *code, int stride, const uint8_t *tile, int steps, int points)
{
    uint8x16_t sum[POINTS][4];
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        sum[p][0] = sum[p][1] = sum[p][2] = sum[p][3] = vdupq_n_u8(0);
    for (int s = 0; s < steps; s++, tile += 64, code++) {
        uint8x16_t weight[4] = {vld1q_u8(tile), vld1q_u8(tile + 16), vld1q_u8(tile + 32), vld1q_u8(tile + 48)};
#pragma GCC unroll 8
        for (int p = 0; p < points; p++) {
            uint8x16_t inputs = vld1q_dup_u8(code + p * stride);
#pragma GCC unroll 4
            for (int q = 0; q < 4; q++)
                sum[p][q] = vaddq_u8(sum[p][q], vcntq_u8(veorq_u8(weight[q], inputs)));
        }
    }
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        d[p] = (struct distances){{sum[p][0], sum[p][1], sum[p][2], sum[p][3]}};
}

BPN_INLINE struct distances lesser(struct distances a, struct distances b)
{
    struct distances out;
    for (int q = 0; q < 4; q++)
        out.quarter[q] = vminq_u8(a.quarter[q], b.quarter[q]);
    return out;
}

/* 64 masks of a byte -> 64 bits: each byte keeps the bit of its place among eight, then neighbours are added. */
BPN_INLINE uint64_t gather_bits(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d)
{
    const uint8x16_t place = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t low = vpaddq_u8(vandq_u8(a, place), vandq_u8(b, place));
    uint8x16_t high = vpaddq_u8(vandq_u8(c, place), vandq_u8(d, place));
    uint8x16_t all = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(all, all)), 0);
}

BPN_INLINE uint64_t below(const struct distances *d, const uint8_t *limit)
{
    return gather_bits(vcltq_u8(d->quarter[0], vld1q_u8(limit)), vcltq_u8(d->quarter[1], vld1q_u8(limit + 16)),
                       vcltq_u8(d->quarter[2], vld1q_u8(limit + 32)), vcltq_u8(d->quarter[3], vld1q_u8(limit + 48)));
}

#include "tiles.h"

/* Lift (lift.h). */
#define CHUNK 16
#define LIFT_ROWS 2

struct sums {
    float32x4_t quarter[4];
};

BPN_INLINE void sum_chunk(struct sums *sums, const float *start, const float *x, int F, const float *weight, int C,
                          int rows)
{
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++)
#pragma GCC unroll 2
        for (int r = 0; r < rows; r++)
            sums[r].quarter[q] = start ? vld1q_f32(start + 4 * q) : vmulq_n_f32(vld1q_f32(weight + 4 * q), x[r * F]);
    for (int k = start ? 0 : 1; k < F; k++) {
        const float *row = weight + (size_t)k * (size_t)C;
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) { /* no fused multiply-add: it would round once */
            float32x4_t four = vld1q_f32(row + 4 * q);
#pragma GCC unroll 2
            for (int r = 0; r < rows; r++)
                sums[r].quarter[q] = vaddq_f32(sums[r].quarter[q], vmulq_n_f32(four, x[r * F + k]));
        }
    }
}

BPN_INLINE uint64_t reached(struct sums sums, const float *limit)
{
    const uint8x16_t place = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint16x8_t half[2];
    for (int h = 0; h < 2; h++)
        half[h] = vuzp1q_u16(
            vreinterpretq_u16_u32(vcgeq_f32(sums.quarter[2 * h], vld1q_f32(limit + 8 * h))),
            vreinterpretq_u16_u32(vcgeq_f32(sums.quarter[2 * h + 1], vld1q_f32(limit + 8 * h + 4))));
    uint8x16_t mask = vuzp1q_u8(vreinterpretq_u8_u16(half[0]), vreinterpretq_u8_u16(half[1]));
    uint8x16_t bits = vandq_u8(mask, place);
    for (int i = 0; i < 3; i++)
        bits = vpaddq_u8(bits, bits);
    return vgetq_lane_u16(vreinterpretq_u16_u8(bits), 0);
}

#include "lift.h"

/* Dense (dense.h): two words at a time. */
BPN_INLINE int long_distance(const uint64_t *x, const uint64_t *weight, int32_t W)
{
    uint16x8_t sum = vdupq_n_u16(0);
    int32_t i = 0;
    for (; i + 2 <= W; i += 2) {
        uint64x2_t differing = veorq_u64(vld1q_u64(x + i), vld1q_u64(weight + i));
        sum = vpadalq_u8(sum, vcntq_u8(vreinterpretq_u8_u64(differing)));
    }
    return (int)vaddlvq_u16(sum) + bpn_distance(x + i, weight + i, W - i);
}

#define DISTANCE long_distance
#include "dense.h"
#include "train.h"

static int supported(void)
{
    return 1;
}

const struct bpn_backend bpn_neon = {
    .name = "neon",
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
#else
typedef int bpn_neon_needs_aarch64; /* C11 wants a declaration in every file */
#endif
