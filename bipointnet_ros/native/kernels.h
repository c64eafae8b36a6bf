/* The operations of the engine and the table of backends that implement them.
 *
 * Bits: uint64 little-endian words, element i is bit i % 64 of word i / 64, padding bits are 0. C outputs, K inputs,
 * W = ceil(K / 64), Cw = ceil(C / 64). A pointer that may be absent is NULL. Every backend gives the same bits.
 * The caller owns all memory: nothing here allocates, prints, locks or keeps state. */
#ifndef BPN_KERNELS_H
#define BPN_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define BPN_WORDS(count) (((count) + 63) / 64)

struct bpn_backend {
    const char *name;
    int (*supported)(void); /* 1 where this CPU runs it */

    /* Training: per (group, channel) the smallest popcount(x ^ w) and the first row that attains it.
     * x (rows, W), weight (C, W), W <= 4, offsets (S + 1), no group empty; scratch BPN_EXTREMES_SCRATCH(C, W) bytes;
     * value, row (S, C). */
    void (*extremes)(const uint64_t *x, const uint64_t *weight, const int32_t *offsets, int32_t S, int32_t C, int32_t W,
                     uint8_t *scratch, int16_t *value, int32_t *row);
    /* Training: per (group, channel) the largest z and its first row. z (rows, C), offsets (S + 1), no group empty. */
    void (*segment_max)(const float *z, const int32_t *offsets, int32_t S, int32_t C, float *value, int32_t *row);
};

#define BPN_EXTREMES_SCRATCH(C, W) ((size_t)BPN_WORDS(C) * 64 * 16 * (size_t)(W))

/* The backends that this build holds, best first, ended by NULL. */
const struct bpn_backend *const *bpn_backends(void);

static inline int bpn_popcount(uint64_t v)
{
#if defined(__aarch64__) || defined(__POPCNT__)
    return __builtin_popcountll(v);
#else /* baseline x86-64 has no instruction for it and gcc would call a table look-up */
    v -= (v >> 1) & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + ((v >> 2) & 0x3333333333333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int)((v * 0x0101010101010101u) >> 56);
#endif
}

#endif
