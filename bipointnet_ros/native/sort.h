/* Stable radix argsort of 64-bit keys, one byte at a time, lowest first; bytes that all keys share are skipped. And where
 * values belong among sorted ones. */
#ifndef BPN_SORT_H
#define BPN_SORT_H

#include <stdint.h>

void bpn_argsort(const uint64_t *keys, int32_t n, uint64_t *scratch, int32_t *out);
void bpn_search(const float *sorted, int32_t m, const float *value, int32_t n, int32_t *place);

#endif
