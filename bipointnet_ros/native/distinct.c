#include "distinct.h"

#include <string.h>

#define ROWS 8192 /* that are compared with one another; a longer group is done in blocks */
#define EMPTY UINT16_MAX

static uint64_t hash(const uint64_t *row, size_t W)
{
    uint64_t mixed = 0;
    for (size_t i = 0; i < W; i++)
        mixed = (mixed ^ (mixed >> 32) ^ row[i]) * 0x9e3779b97f4a7c15u;
    return mixed;
}

/* The distinct ones of n rows, in order of their first appearance, to kept, which lies before them or where they lie.
 * Returns how many. */
static inline int32_t keep(const uint64_t *rows, int32_t n, size_t W, uint64_t *kept)
{
    uint16_t slots[2 * ROWS]; /* number of a kept row at its hash or in the next free place after it */
    int32_t count = 0;
    int bits = 1;
    while (1 << bits < 2 * n)
        bits++;
    const size_t last = ((size_t)1 << bits) - 1;
    memset(slots, 0xff, (last + 1) * sizeof *slots);
    for (int32_t i = 0; i < n; i++, rows += W) {
        size_t slot = hash(rows, W) >> (64 - bits);
        while (slots[slot] != EMPTY && memcmp(kept + slots[slot] * W, rows, W * sizeof *rows) != 0)
            slot = (slot + 1) & last;
        int found = slots[slot] != EMPTY; /* no branch on it: it is as likely as not */
        slots[slot] = found ? slots[slot] : (uint16_t)count;
        memmove(kept + (size_t)count * W, rows, W * sizeof *rows);
        count += !found;
    }
    return count;
}

void bpn_distinct(uint64_t *x, int32_t W, const int32_t *offsets, int32_t S, int32_t *spans)
{
    for (int32_t s = 0; s < S; s++) {
        int32_t end = offsets[s];
        for (int32_t first = offsets[s]; first < offsets[s + 1]; first += ROWS) {
            int32_t n = offsets[s + 1] - first < ROWS ? offsets[s + 1] - first : ROWS;
            const uint64_t *rows = x + (size_t)first * (size_t)W;
            uint64_t *kept = x + (size_t)end * (size_t)W;
            end += W == 1 ? keep(rows, n, 1, kept) : keep(rows, n, (size_t)W, kept); /* compiled apart for one word */
        }
        spans[2 * s] = offsets[s];
        spans[2 * s + 1] = end;
    }
}
