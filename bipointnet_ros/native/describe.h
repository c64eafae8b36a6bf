/* What the cells of a scan say of their rows: plain C, the same for every backend (core/reference.py says what). */
#ifndef BPN_DESCRIBE_H
#define BPN_DESCRIBE_H

#include <stdint.h>

void bpn_means(const float *xyz, int32_t n, const int32_t *order, const float *floor, const int32_t *column, int32_t C,
               const int32_t *voxel, int32_t V, float *height, int32_t *answer, float *mean);

void bpn_describe(const float *mean, const int32_t *voxel, int32_t V, const int32_t *block, int32_t B,
                  const int32_t *pillar, int32_t P, const int32_t *column, int32_t C, const int32_t *cube, int32_t S,
                  const int32_t *place, const int32_t *ratios, const float *sizes, void *scratch, int32_t bits,
                  const int32_t *wanted, float *shared, int32_t G, float *own, int32_t F);

#endif
