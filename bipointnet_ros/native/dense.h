/* Fully connected layers: few rows, long rows. Before the include: DISTANCE(x, weight, W) of two rows of W words. */
#ifndef BPN_DENSE_H
#define BPN_DENSE_H

#include "common.h"

static void dense(const uint64_t *x, int32_t r, int32_t W, const uint64_t *weight, int32_t C, const int16_t *limit,
                  uint64_t *out)
{
    for (int32_t i = 0; i < r; i++, x += W)
        for (int32_t first = 0; first < C; first += 64) {
            uint64_t bits = 0;
            for (int32_t c = first; c < bpn_least(first + 64, C); c++)
                bits |= (uint64_t)(DISTANCE(x, weight + (size_t)c * (size_t)W, W) < limit[c]) << (c - first);
            *out++ = bits;
        }
}

#endif
