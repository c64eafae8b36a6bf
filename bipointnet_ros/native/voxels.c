#include "voxels.h"

#include <stddef.h>

#define AXIS_BITS 21
#define REACH (1 << (AXIS_BITS - 1))

/* floor(x / edge) within -REACH..REACH - 1, counted from -REACH; x is finite. */
static uint64_t place(float x, float edge)
{
    const float low = -REACH, high = REACH - 1;
    float quotient = x / edge;
    quotient = quotient < low ? low : quotient;
    quotient = quotient > high ? high : quotient;
    int32_t floored = (int32_t)quotient; /* towards 0 */
    floored -= quotient < (float)floored;
    return (uint64_t)(floored + REACH);
}

void bpn_voxels(const float *xyz, int32_t n, const float *edge, uint64_t *keys)
{
    const float size = *edge;
    for (int32_t i = 0; i < n; i++, xyz += 3)
        keys[i] = place(xyz[0], size) << (2 * AXIS_BITS) | place(xyz[1], size) << AXIS_BITS | place(xyz[2], size);
}

static size_t slot_of(uint64_t key, int32_t bits)
{
    return (size_t)((key * 0x9e3779b97f4a7c15u) >> (64 - bits));
}

/* The slot that holds the first index of the key, or the free one (-1) where it would be. */
static size_t look_for(uint64_t key, const uint64_t *table, const int32_t *slots, int32_t bits)
{
    const size_t last = ((size_t)1 << bits) - 1;
    size_t slot = slot_of(key, bits);
    while (slots[slot] >= 0 && table[slots[slot]] != key)
        slot = (slot + 1) & last;
    return slot;
}

void bpn_match(const uint64_t *table, int32_t m, const uint64_t *wanted, int32_t n, int32_t *slots, int32_t bits,
               int32_t *out)
{
    for (size_t s = 0; s < (size_t)1 << bits; s++)
        slots[s] = -1;
    for (int32_t i = 0; i < m; i++) {
        size_t slot = look_for(table[i], table, slots, bits);
        if (slots[slot] < 0)
            slots[slot] = i;
    }
    for (int32_t i = 0; i < n; i++)
        out[i] = slots[look_for(wanted[i], table, slots, bits)];
}
