/* Farthest-point sampling: lane = point. Before the include: PLANE_BYTES (slices.h). */
#ifndef BPN_FARTHEST_H
#define BPN_FARTHEST_H

#include "common.h"

#define AXIS_LANES (PLANE_BYTES / 4)

typedef float axis_lanes __attribute__((vector_size(PLANE_BYTES)));
typedef int32_t axis_bits __attribute__((vector_size(PLANE_BYTES)));

BPN_INLINE axis_lanes load_axis(const float *from)
{
    axis_lanes loaded;
    memcpy(&loaded, from, sizeof loaded);
    return loaded;
}

BPN_INLINE axis_bits choose_bits(axis_bits mask, axis_bits yes, axis_bits no)
{
    return (mask & yes) | (~mask & no);
}

/* nearest = the lesser of it and the squared distance to point p; returns the largest of them, as bits: those of numbers
 * that are not negative rise with them. axis (3, padded), nearest (padded). */
BPN_INLINE int32_t come_nearer(const float *axis, size_t padded, size_t p, int32_t *nearest)
{
    axis_lanes px = axis[p] - (axis_lanes){0}, py = axis[padded + p] - (axis_lanes){0};
    axis_lanes pz = axis[2 * padded + p] - (axis_lanes){0};
    axis_bits most = {0};
    for (size_t i = 0; i < padded; i += AXIS_LANES) {
        axis_lanes x = load_axis(axis + i) - px, y = load_axis(axis + padded + i) - py;
        axis_lanes z = load_axis(axis + 2 * padded + i) - pz, squared = x * x + y * y + z * z;
        axis_bits held, bits;
        memcpy(&held, nearest + i, sizeof held);
        memcpy(&bits, &squared, sizeof bits);
        held = choose_bits(bits < held, bits, held);
        memcpy(nearest + i, &held, sizeof held);
        most = choose_bits(held > most, held, most);
    }
    int32_t largest = 0;
    for (int l = 0; l < AXIS_LANES; l++)
        largest = most[l] > largest ? most[l] : largest;
    return largest;
}

static void farthest(const float *xyz, int32_t n, float *scratch, int32_t count, int32_t *chosen)
{
    size_t padded = ((size_t)n + BPN_AXIS_PADDING - 1) / BPN_AXIS_PADDING * BPN_AXIS_PADDING;
    int32_t *nearest = (int32_t *)(scratch + 3 * padded);
    for (size_t i = 0; i < padded; i++) {
        size_t point = i < (size_t)n ? i : 0; /* after the last there are copies of the first: never the farthest */
        for (size_t k = 0; k < 3; k++)
            scratch[k * padded + i] = xyz[3 * point + k];
        nearest[i] = INT32_MAX;
    }
    chosen[0] = 0;
    for (int32_t i = 1; i < count; i++) {
        int32_t largest = come_nearer(scratch, padded, (size_t)chosen[i - 1], nearest), p = 0;
        while (nearest[p] != largest)
            p++;
        chosen[i] = p;
    }
}

#endif
