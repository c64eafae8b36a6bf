/* Rows that differ: a layer gives equal rows equal bits, and an OR needs them once. */
#ifndef BPN_DISTINCT_H
#define BPN_DISTINCT_H

#include <stdint.h>

void bpn_distinct(uint64_t *x, int32_t W, const int32_t *offsets, int32_t S, int32_t *spans);

#endif
