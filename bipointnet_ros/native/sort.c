#include "sort.h"

#include <string.h>

#define DIGITS 8
#define VALUES 256

static void count_digits(const uint64_t *keys, int32_t n, int32_t counts[DIGITS][VALUES])
{
    memset(counts, 0, DIGITS * sizeof counts[0]);
    for (int32_t i = 0; i < n; i++)
        for (int d = 0; d < DIGITS; d++)
            counts[d][(keys[i] >> (8 * d)) & 255]++;
}

/* Counts become the position of the first key with each digit. */
static void positions(int32_t counts[VALUES])
{
    int32_t before = 0;
    for (int v = 0; v < VALUES; v++) {
        int32_t count = counts[v];
        counts[v] = before;
        before += count;
    }
}

static void scatter(const uint64_t *keys, const int32_t *rows, int32_t n, int shift, int32_t next[VALUES],
                    uint64_t *sorted_keys, int32_t *sorted_rows)
{
    for (int32_t i = 0; i < n; i++) {
        int32_t place = next[(keys[i] >> shift) & 255]++;
        sorted_keys[place] = keys[i];
        sorted_rows[place] = rows ? rows[i] : i;
    }
}

void bpn_argsort(const uint64_t *keys, int32_t n, uint64_t *scratch, int32_t *out)
{
    int32_t counts[DIGITS][VALUES];
    int used[DIGITS], passes = 0;
    uint64_t *held_keys[2] = {scratch, scratch + n};
    int32_t *held_rows[2] = {out, (int32_t *)(scratch + 2 * (size_t)n)};
    const int32_t *rows = NULL;

    count_digits(keys, n, counts);
    for (int d = 0; d < DIGITS && n > 0; d++)
        if (counts[d][(keys[0] >> (8 * d)) & 255] != n)
            used[passes++] = d;
    for (int32_t i = 0; i < n && passes == 0; i++)
        out[i] = i;
    for (int p = 0; p < passes; p++) {
        int to = (passes - 1 - p) & 1; /* so that the last pass writes to out */
        positions(counts[used[p]]);
        scatter(keys, rows, n, 8 * used[p], counts[used[p]], held_keys[to], held_rows[to]);
        keys = held_keys[to];
        rows = held_rows[to];
    }
}

#define AT_ONCE 8 /* chains of comparisons hide their latency */

/* Places of a few values; NaN is more than everything else. A mask in place of a branch, which would be as likely as not. */
static inline void search(const float *sorted, int32_t m, const float *value, int count, int32_t *place)
{
    int32_t at[AT_ONCE] = {0};
    for (int32_t left = m; left > 0; left /= 2) {
        const int32_t step = left - left / 2;
        for (int k = 0; k < count; k++)
            at[k] += -!(value[k] <= sorted[at[k] + step - 1]) & step;
    }
    memcpy(place, at, (size_t)count * sizeof *place);
}

void bpn_search(const float *sorted, int32_t m, const float *value, int32_t n, int32_t *place)
{
    int32_t i = 0;
    while (m > 0 && sorted[m - 1] != sorted[m - 1])
        m--;
    for (; i + AT_ONCE <= n; i += AT_ONCE)
        search(sorted, m, value + i, AT_ONCE, place + i);
    for (; i < n; i++)
        search(sorted, m, value + i, 1, place + i);
}
