/* Voxels as keys, and keys that are looked for among others. */
#ifndef BPN_VOXELS_H
#define BPN_VOXELS_H

#include <stdint.h>

void bpn_voxels(const float *xyz, int32_t n, const float *edge, uint64_t *keys);
void bpn_match(const uint64_t *table, int32_t m, const uint64_t *wanted, int32_t n, int32_t *slots, int32_t bits,
               int32_t *out);

#endif
