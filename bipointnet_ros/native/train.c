#include "train.h"

static int distance(const uint64_t *a, const uint64_t *b, int32_t W)
{
    int count = 0;
    for (int32_t i = 0; i < W; i++)
        count += bpn_popcount(a[i] ^ b[i]);
    return count;
}

void bpn_portable_extremes(const uint64_t *x, const uint64_t *weight, const int32_t *offsets, int32_t S, int32_t C,
                           int32_t W, uint8_t *scratch, int16_t *value, int32_t *row)
{
    (void)scratch;
    for (int32_t s = 0; s < S; s++, value += C, row += C) {
        for (int32_t c = 0; c < C; c++)
            value[c] = INT16_MAX;
        for (int32_t i = offsets[s]; i < offsets[s + 1]; i++)
            for (int32_t c = 0; c < C; c++) {
                int count = distance(x + (size_t)i * (size_t)W, weight + (size_t)c * (size_t)W, W);
                if (count < value[c]) {
                    value[c] = (int16_t)count;
                    row[c] = i;
                }
            }
    }
}

void bpn_portable_segment_max(const float *z, const int32_t *offsets, int32_t S, int32_t C, float *value, int32_t *row)
{
    bpn_segment_max(z, offsets, S, C, value, row);
}
