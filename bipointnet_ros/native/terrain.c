#include "terrain.h"

#include <stddef.h>
#include <string.h>

static float lesser(float a, float b)
{
    return a < b ? a : b;
}

/* One axis of the lower envelope, both ways: count cells, stride apart, in each of width lines. */
static void envelope_along(float *grid, size_t count, size_t stride, size_t width, size_t next, float rise, float *ahead)
{
    for (size_t i = 0; i < count; i++) {
        float ramp = rise * (float)i;
        for (size_t j = 0; j < width; j++) {
            float here = grid[i * stride + j * next] - ramp;
            ahead[i * width + j] = i ? lesser(ahead[(i - 1) * width + j], here) : here;
        }
    }
    for (size_t i = count; i-- > 0;) { /* behind the cell: in the map itself, from its end */
        float ramp = rise * (float)i;
        for (size_t j = 0; j < width; j++) {
            float *cell = grid + i * stride + j * next, here = *cell + ramp;
            *cell = i + 1 < count ? lesser(cell[stride], here) : here;
        }
    }
    for (size_t i = 0; i < count; i++) {
        float ramp = rise * (float)i;
        for (size_t j = 0; j < width; j++) {
            float *cell = grid + i * stride + j * next;
            *cell = lesser(ahead[i * width + j] + ramp, *cell - ramp);
        }
    }
}

/* Sum of four cells, those beyond the edge counting 0. */
static float sum_of_four(const float *grid, const float *weight, int32_t X, int32_t Y, int32_t i, int32_t j)
{
    float at[2][2] = {{0}};
    for (int32_t a = 0; a < 2 && i + a < X; a++)
        for (int32_t b = 0; b < 2 && j + b < Y; b++) {
            size_t cell = (size_t)(i + a) * (size_t)Y + (size_t)(j + b);
            at[a][b] = weight ? grid[cell] * weight[cell] : grid[cell];
        }
    return (at[0][0] + at[1][0]) + (at[0][1] + at[1][1]);
}

/* Cell i of twice as many along a line of count cells, step apart: 3/4 own, 1/4 of the nearer neighbour. */
static float doubled(const float *line, int32_t count, size_t step, int32_t i)
{
    int32_t own = i / 2, other = i & 1 ? own + 1 : own - 1;
    float here = line[(size_t)own * step];
    return other < 0 || other >= count ? here : 0.75f * here + 0.25f * line[(size_t)other * step];
}

/* Where weight is 0 the value comes from the nearest level of halved maps that knows one. */
static void fill(float *value, const float *weight, int32_t X, int32_t Y, float *scratch)
{
    if (X <= 1 && Y <= 1)
        return;
    const int32_t halfX = (X + 1) / 2, halfY = (Y + 1) / 2;
    const size_t size = (size_t)halfX * (size_t)halfY;
    float *coarse = scratch, *known = scratch + size, *row = known + size;
    for (int32_t i = 0; i < halfX; i++)
        for (int32_t j = 0; j < halfY; j++) {
            size_t cell = (size_t)i * (size_t)halfY + (size_t)j;
            float mass = sum_of_four(weight, NULL, X, Y, 2 * i, 2 * j);
            coarse[cell] = sum_of_four(value, weight, X, Y, 2 * i, 2 * j) / (mass > 1e-6f ? mass : 1e-6f);
            known[cell] = lesser(mass, 1.0f);
        }
    fill(coarse, known, halfX, halfY, row);
    for (int32_t i = 0; i < X; i++) {
        for (int32_t j = 0; j < halfY; j++)
            row[j] = doubled(coarse + j, halfX, (size_t)halfY, i);
        for (int32_t j = 0; j < Y; j++) {
            size_t cell = (size_t)i * (size_t)Y + (size_t)j;
            value[cell] = value[cell] * weight[cell] + doubled(row, halfY, 1, j) * (1.0f - weight[cell]);
        }
    }
}

void bpn_terrain(const float *low, int32_t X, int32_t Y, const float *rise_and_tolerance, float *scratch, float *out)
{
    const size_t x = (size_t)X, y = (size_t)Y;
    float *weight = scratch, *rest = scratch + x * y;
    memcpy(out, low, x * y * sizeof *out);
    envelope_along(out, x, y, y, 1, rise_and_tolerance[0], rest);
    envelope_along(out, y, 1, x, y, rise_and_tolerance[0], rest);
    for (size_t i = 0; i < x * y; i++) {
        int on = low[i] < __builtin_inff() && low[i] <= out[i] + rise_and_tolerance[1];
        weight[i] = (float)on;
        out[i] = on ? low[i] : 0.0f;
    }
    fill(out, weight, X, Y, rest);
}
