/* The height map of the ground: plain C, the same for every backend (core/ground.py says what). */
#ifndef BPN_TERRAIN_H
#define BPN_TERRAIN_H

#include <stdint.h>

void bpn_terrain(const float *low, int32_t X, int32_t Y, const float *rise_and_tolerance, float *scratch, float *out);

#endif
