/* The training kernel that AVX2 has of its own (kernels.h: extremes). */
#ifndef BPN_AVX2_TRAIN_H
#define BPN_AVX2_TRAIN_H

#include <stdint.h>

void bpn_avx2_extremes(const uint64_t *x, const uint64_t *weight, const int32_t *offsets, int32_t S, int32_t C,
                       int32_t W, uint8_t *scratch, int16_t *value, int32_t *row);

#endif
