#include "link.h"

static int32_t root_of(int32_t *root, int32_t i)
{
    while (root[i] != i) {
        root[i] = root[root[i]];
        i = root[i];
    }
    return i;
}

/* Joins two components, of roots i and j, under the smaller one, which is answered. */
static int32_t united(int32_t *root, int32_t i, int32_t j)
{
    int32_t low = i < j ? i : j;
    root[i] = low;
    root[j] = low;
    return low;
}

/* Cells of column x[i] + across from first on, up to y[i] + along, join the component of cell i where they are near. */
static void join_column(const int32_t *xy, const int32_t *reach, int32_t n, int32_t i, int32_t first, int32_t across,
                        int32_t along, int32_t *root)
{
    int32_t x = xy[2 * i] + across, y = xy[2 * i + 1], own = root_of(root, i);
    for (int32_t j = first; j < n && xy[2 * j] == x && xy[2 * j + 1] <= y + along; j++) {
        int32_t step = xy[2 * j + 1] - y, distance = across * across + step * step;
        if (root[j] != own && distance <= reach[i] && distance <= reach[j])
            own = united(root, own, root_of(root, j));
    }
}

void bpn_link(const int32_t *xy, const int32_t *reach, int32_t n, int32_t *root)
{
    int32_t first[BPN_REACH + 1] = {0}; /* of each column ahead, the first cell that may be near: it only moves on */
    int32_t farthest = 0, widest = 0;
    for (int32_t i = 0; i < n; i++) {
        root[i] = i;
        farthest = reach[i] > farthest ? reach[i] : farthest;
    }
    while ((widest + 1) * (widest + 1) <= farthest && widest < BPN_REACH)
        widest++;
    for (int32_t i = 0; i < n; i++) {
        int32_t x = xy[2 * i], y = xy[2 * i + 1], along = widest;
        for (int32_t across = 0; across * across <= reach[i]; across++) {
            int32_t j = first[across];
            while (along * along + across * across > farthest)
                along--;
            while (j < n && (xy[2 * j] < x + across || (xy[2 * j] == x + across && xy[2 * j + 1] < y - along)))
                j++;
            first[across] = j;
            join_column(xy, reach, n, i, across ? j : i + 1, across, along, root);
        }
    }
    for (int32_t i = 0; i < n; i++)
        root[i] = root_of(root, i);
}
