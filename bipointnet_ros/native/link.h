/* Connected cells of a plane. xy (n, 2) distinct cells in ascending order of x, then y; reach (n), squared and in cells,
 * under (BPN_REACH + 1) squared: two cells are together when their squared distance is at most the smaller reach, or a
 * chain of such cells joins them. root (n): the first cell of each one's component. */
#ifndef BPN_LINK_H
#define BPN_LINK_H

#include <stdint.h>

#define BPN_REACH 31

void bpn_link(const int32_t *xy, const int32_t *reach, int32_t n, int32_t *root);

#endif
