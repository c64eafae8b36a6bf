/* Rectangles around runs of points seen from above: plain C, the same for every backend (core/rectangles.py says what). */
#ifndef BPN_RECTANGLES_H
#define BPN_RECTANGLES_H

#include <stdint.h>

#define BPN_TURNS 32 /* most turns that are tried */

void bpn_rectangles(const float *xyz, const int32_t *starts, int32_t K, const float *turns, int32_t A, int32_t *turn,
                    float *extents);

#endif
