/* Training kernels by backend. */
#ifndef BPN_TRAIN_H
#define BPN_TRAIN_H

#include "kernels.h"

void bpn_portable_extremes(const uint64_t *x, const uint64_t *weight, const int32_t *offsets, int32_t S, int32_t C,
                           int32_t W, uint8_t *scratch, int16_t *value, int32_t *row);
void bpn_portable_segment_max(const float *z, const int32_t *offsets, int32_t S, int32_t C, float *value, int32_t *row);
void bpn_avx2_extremes(const uint64_t *x, const uint64_t *weight, const int32_t *offsets, int32_t S, int32_t C,
                       int32_t W, uint8_t *scratch, int16_t *value, int32_t *row);
void bpn_avx2_segment_max(const float *z, const int32_t *offsets, int32_t S, int32_t C, float *value, int32_t *row);

/* Written once, compiled for the instructions of each caller. */
static inline __attribute__((always_inline)) void bpn_segment_max(const float *z, const int32_t *offsets, int32_t S, int32_t C,
                                                                   float *value, int32_t *row)
{
    for (int32_t s = 0; s < S; s++, value += C, row += C) {
        const float *first = z + (size_t)offsets[s] * (size_t)C;
        for (int32_t c = 0; c < C; c++) {
            value[c] = first[c];
            row[c] = offsets[s];
        }
        for (int32_t i = offsets[s] + 1; i < offsets[s + 1]; i++) {
            const float *here = z + (size_t)i * (size_t)C;
            for (int32_t c = 0; c < C; c++) {
                int better = here[c] > value[c]; /* two selects, so that the loop vectorises */
                value[c] = better ? here[c] : value[c];
                row[c] = better ? i : row[c];
            }
        }
    }
}

#endif
