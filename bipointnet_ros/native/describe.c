#include "describe.h"

#include <stddef.h>
#include <string.h>

#define HIGH 8.0f /* m over the ground: higher is all the same */
#define TALL 0.5f
#define TERMS 10 /* n x y z xx yy zz xy xz yz */

/* Inputs in the order of core/descriptors.py. */
enum { BLOCK_INPUTS = 19, PILLAR_INPUTS = 19, COLUMN_INPUTS = 13, CUBE_INPUTS = 6, SHARED = 57, OWN = 10 };

static double log_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    int exponent = (int)(bits >> 52) - 1022;
    bits = (bits & 0x000fffffffffffffu) | 0x3fe0000000000000u;
    memcpy(&v, &bits, sizeof v); /* 0.5 to 1 */
    if (v < 0.70710678118654752) {
        v *= 2.0;
        exponent--;
    }
    double s = (v - 1.0) / (v + 1.0), z = s * s;
    double series = 1.0 / 13.0;
    for (int k = 11; k > 0; k -= 2)
        series = series * z + 1.0 / k;
    return exponent * 0.69314718055994531 + 2.0 * s * series;
}

/* cos(acos(r) / 3), -1 <= r <= 1. */
static double cosine_of_third(double r)
{
    static const double power[] = {0.5000000000703143, 0.5773502515590472, -0.11111037576037625, 0.053446268922836465,
                                   -0.032818302594058116, 0.022339287924836297, -0.015323456043181591,
                                   0.009438584367862358, -0.004536175431423679, 0.0014262240895230175,
                                   -0.00021230715735685035};
    double half = __builtin_sqrt((1.0 + r) * 0.5), sum = power[10];
    for (int k = 9; k >= 0; k--)
        sum = sum * half + power[k];
    return sum;
}

static float clipped(float v, float low, float high)
{
    v = v < low ? low : v;
    return v > high ? high : v;
}

static float floor_of(float v)
{
    if (!(v > -8388608.0f && v < 8388608.0f))
        return v; /* it is an integer */
    float whole = (float)(int32_t)v;
    return whole > v ? whole - 1.0f : whole;
}

static float log_count(double count)
{
    return (float)log_of(count) / 2.5f - 1.0f;
}

/* Squared z of the unit eigenvector of value; 1/3 where it is not defined. */
static double squared_z(double value, double other, double third, double trace, double minor)
{
    double below = (value - other) * (value - third);
    if ((below < 0.0 ? -below : below) < 1e-12)
        return 1.0 / 3.0;
    double z2 = (value * value - trace * value + minor) / below;
    return z2 < 0.0 ? 0.0 : z2 > 1.0 ? 1.0 : z2;
}

/* Covariances xx yy zz xy xz yz -> line plane upright flat spread thick. */
static void shape_of(const double *moments, double voxel, float *out)
{
    const double inverse = 1.0 / (voxel * voxel), least = 0.01 * voxel * voxel;
    double xx = moments[0] + least, yy = moments[1] + least, zz = moments[2] + least;
    double xy = moments[3], xz = moments[4], yz = moments[5];
    double q = (xx + yy + zz) * (1.0 / 3.0), a = xx - q, b = yy - q, c = zz - q;
    double p = __builtin_sqrt((a * a + b * b + c * c + 2.0 * (xy * xy + xz * xz + yz * yz)) * (1.0 / 6.0)) + 1e-6;
    double determinant = a * (b * c - yz * yz) - xy * (xy * c - yz * xz) + xz * (xy * yz - b * xz);
    double ratio = determinant / (2.0 * (p * p * p));
    ratio = ratio < -1.0 ? -1.0 : ratio > 1.0 ? 1.0 : ratio;
    double longest = q + 2.0 * p * cosine_of_third(ratio), shortest = q - 2.0 * p * cosine_of_third(-ratio);
    double middle = 3.0 * q - longest - shortest, trace = xx + yy, minor = xx * yy - xy * xy;
    double part = 1.0 / longest;
    out[0] = (float)((longest - middle) * part);
    out[1] = (float)((middle - shortest) * part);
    out[2] = (float)squared_z(longest, middle, shortest, trace, minor);
    out[3] = (float)squared_z(shortest, longest, middle, trace, minor);
    out[4] = (float)(log_of(longest * inverse + 1.0) * 0.5 - 1.0);
    out[5] = (float)(log_of((shortest > 0.0 ? shortest : 0.0) * inverse + 0.01) * (1.0 / 3.0) + 0.5);
}

static void add_terms(double *sums, double x, double y, double z)
{
    const double terms[TERMS] = {1.0, x, y, z, x * x, y * y, z * z, x * y, x * z, y * z};
    for (int k = 0; k < TERMS; k++)
        sums[k] += terms[k];
}

static void shape_of_sums(const double *sums, double voxel, float *out)
{
    double share = 1.0 / sums[0], x = sums[1] * share, y = sums[2] * share, z = sums[3] * share;
    const double moments[6] = {sums[4] * share - x * x, sums[5] * share - y * y, sums[6] * share - z * z,
                               sums[7] * share - x * y, sums[8] * share - x * z, sums[9] * share - y * z};
    shape_of(moments, voxel, out);
}

/* Shape of the rows first..last, from the first one. */
static void shape_of_cell(const float *mean, int32_t first, int32_t last, double voxel, float *out)
{
    const float *from = mean + 4 * (size_t)first;
    double sums[TERMS] = {0};
    for (int32_t i = first; i < last; i++) {
        const float *row = mean + 4 * (size_t)i;
        add_terms(sums, row[0] - from[0], row[1] - from[1], row[2] - from[2]);
    }
    shape_of_sums(sums, voxel, out);
}

/* Highest and lowest of the rows first..last over the ground. */
static void heights_of(const float *mean, int32_t first, int32_t last, float *high, float *low)
{
    *high = *low = mean[4 * (size_t)first + 3];
    for (int32_t i = first + 1; i < last; i++) {
        float height = mean[4 * (size_t)i + 3];
        *high = height > *high ? height : *high;
        *low = height < *low ? height : *low;
    }
}

static void extent_of(float high, float low, int32_t count, float *out)
{
    out[0] = (high < HIGH ? high : HIGH) / 4.0f - 1.0f;
    out[1] = clipped(low, -1.0f, 3.0f) / 2.0f - 0.5f;
    out[2] = log_count(count);
}

/* Cells of a plane found by their place. */
struct plane_cells {
    const int32_t *place; /* x y of each */
    int32_t *slots, bits;
};

static size_t slot_of(int32_t x, int32_t y, int32_t bits)
{
    uint64_t key = (uint64_t)(uint32_t)x << 32 | (uint32_t)y;
    return (size_t)((key * 0x9e3779b97f4a7c15u) >> (64 - bits));
}

/* The slot of the cell at a place, or the free one (-1) where it would be. */
static int32_t *look_for(const struct plane_cells *cells, int32_t x, int32_t y)
{
    const size_t last = ((size_t)1 << cells->bits) - 1;
    size_t slot = slot_of(x, y, cells->bits);
    while (cells->slots[slot] >= 0 &&
           (cells->place[2 * cells->slots[slot]] != x || cells->place[2 * cells->slots[slot] + 1] != y))
        slot = (slot + 1) & last;
    return cells->slots + slot;
}

static void enter(struct plane_cells *cells, int32_t count)
{
    for (size_t s = 0; s < (size_t)1 << cells->bits; s++)
        cells->slots[s] = -1;
    for (int32_t i = 0; i < count; i++)
        *look_for(cells, cells->place[2 * i], cells->place[2 * i + 1]) = i;
}

/* Neighbour k of eight, and the cell itself at last: row by row. */
static int32_t neighbour(const struct plane_cells *cells, int32_t own, int k, int *i, int *j)
{
    int at = k == 8 ? 4 : k + (k > 3);
    *i = at / 3 - 1;
    *j = at % 3 - 1;
    return k == 8 ? own : *look_for(cells, cells->place[2 * own] + *i, cells->place[2 * own + 1] + *j);
}

/* How many of the eight cells around are tall, their mean top, how far the own top is over the lowest. */
static void beside_of(const int32_t *near, const float *high, int32_t own, float *out)
{
    float total = 0.0f, least = HIGH, top = clipped(high[own], 0.0f, HIGH);
    int tall = 0;
    for (int k = 0; k < 8; k++) {
        float other = near[k] < 0 ? 0.0f : clipped(high[near[k]], 0.0f, HIGH);
        tall += other > TALL;
        total += other;
        least = other < least ? other : least;
    }
    out[0] = (float)tall / 8.0f * 2.0f - 1.0f;
    out[1] = total / 8.0f / 4.0f - 1.0f;
    out[2] = (top - least) / 4.0f - 1.0f;
}

/* Adds the sums of rows moved by (dx, dy). */
static void add_moved(double *total, const double *s, double dx, double dy)
{
    const double moved[TERMS] = {
        s[0], s[1] + s[0] * dx, s[2] + s[0] * dy, s[3], s[4] + 2.0 * dx * s[1] + s[0] * dx * dx,
        s[5] + 2.0 * dy * s[2] + s[0] * dy * dy, s[6], s[7] + dx * s[2] + dy * s[1] + s[0] * dx * dy,
        s[8] + dx * s[3], s[9] + dy * s[3]};
    for (int k = 0; k < TERMS; k++)
        total[k] += moved[k];
}

/* The cells of one size, seen from above. */
struct level {
    const int32_t *starts;
    struct plane_cells cells;
    double edge, *sums; /* (cells, TERMS) */
    float *high, *low;  /* of each cell over the ground */
};

struct scan {
    const float *mean;
    float edge, low[2], corner[3];
    double voxel;
    struct level block, pillar, column;
};

/* Sums over a cell's rows from its corner. */
static void sums_of_cell(const struct scan *scan, const struct level *level, int32_t c, double *sums)
{
    float x = (float)(level->cells.place[2 * c] * level->edge + scan->low[0]);
    float y = (float)(level->cells.place[2 * c + 1] * level->edge + scan->low[1]);
    for (int32_t i = level->starts[c]; i < level->starts[c + 1]; i++) {
        const float *row = scan->mean + 4 * (size_t)i;
        add_terms(sums, row[0] - x, row[1] - y, row[3] < HIGH ? row[3] : HIGH);
    }
}

static void extent_of_cell(const struct level *level, int32_t c, float *out)
{
    extent_of(level->high[c], level->low[c], level->starts[c + 1] - level->starts[c], out);
}

/* The cells around: what is beside the own one to beside (3), the shape and number of rows of all nine to out (7). */
static void around_cell(const struct scan *scan, const struct level *level, int32_t c, float *beside, float *out)
{
    double total[TERMS] = {0};
    int32_t near[9];
    for (int k = 0; k < 9; k++) {
        int i, j;
        near[k] = neighbour(&level->cells, c, k, &i, &j);
        if (near[k] >= 0)
            add_moved(total, level->sums + TERMS * (size_t)near[k], i * level->edge, j * level->edge);
    }
    beside_of(near, level->high, c, beside);
    shape_of_sums(total, scan->voxel, out);
    out[6] = log_count(total[0]);
}

static void block_inputs(const struct scan *scan, int32_t b, float *out)
{
    const struct level *level = &scan->block;
    extent_of_cell(level, b, out);
    shape_of_cell(scan->mean, level->starts[b], level->starts[b + 1], scan->voxel, out + 3);
    around_cell(scan, level, b, out + 9, out + 12);
}

static void pillar_inputs(const struct scan *scan, int32_t p, float *out)
{
    const struct level *level = &scan->pillar;
    shape_of_cell(scan->mean, level->starts[p], level->starts[p + 1], scan->voxel, out);
    extent_of_cell(level, p, out + 6);
    around_cell(scan, level, p, out + 9, out + 12);
}

static void column_inputs(const struct scan *scan, int32_t c, float *out)
{
    extent_of_cell(&scan->column, c, out);
    around_cell(scan, &scan->column, c, out + 3, out + 6);
}

/* The two that take a logarithm only where they are wanted. */
static void own_inputs(const struct scan *scan, int32_t i, int32_t size, const float tops[3], const int32_t *wanted,
                       float *out)
{
    const float *row = scan->mean + 4 * (size_t)i, height = row[3];
    float twice = 2.0f / scan->edge;
    double x = row[0], y = row[1], distance = __builtin_sqrt(x * x + y * y);
    out[0] = clipped(height, -1.0f, HIGH) / 4.0f - 1.0f;
    out[1] = clipped(height, -0.5f, 1.5f) - 0.5f;
    if (wanted[2] >= 0)
        out[2] = (float)log_of(distance > 1.0 ? distance : 1.0) / 2.5f - 1.0f;
    for (int axis = 0; axis < 3; axis++) {
        float at = row[axis] - scan->corner[axis];
        out[3 + axis] = floor_of(at / scan->edge) * -2.0f + at * twice - 1.0f;
    }
    if (wanted[6] >= 0)
        out[6] = (float)log_of(size) / 2.0f - 0.5f;
    for (int k = 0; k < 3; k++)
        out[7 + k] = clipped((tops[k] < HIGH ? tops[k] : HIGH) - height, 0.0f, HIGH) / 4.0f - 1.0f;
}

static void keep_wanted(const float *all, const int32_t *wanted, int count, float *out)
{
    for (int k = 0; k < count; k++)
        if (wanted[k] >= 0)
            out[wanted[k]] = all[k];
}

void bpn_means(const float *xyz, int32_t n, const int32_t *order, const float *floor, const int32_t *column, int32_t C,
               const int32_t *voxel, int32_t V, float *height, int32_t *answer, float *mean)
{
    (void)n;
    for (int32_t v = 0, c = 0; v < V; v++) {
        double sums[4] = {0}, count = voxel[v + 1] - voxel[v];
        while (c + 1 < C && column[c + 1] <= voxel[v])
            c++;
        for (int32_t i = voxel[v]; i < voxel[v + 1]; i++) {
            const float *point = xyz + 3 * (size_t)order[i];
            float over = point[2] - floor[c];
            height[order[i]] = over;
            answer[order[i]] = v;
            sums[0] += point[0];
            sums[1] += point[1];
            sums[2] += point[2];
            sums[3] += over;
        }
        for (int k = 0; k < 4; k++)
            mean[4 * (size_t)v + (size_t)k] = (float)(sums[k] / count);
    }
}

/* A level whose cells are ratio columns wide: what neighbours will ask of it. Takes its memory from *free. */
static void survey(struct level *level, const struct scan *scan, const int32_t *starts, int32_t count, int32_t ratio,
                   const int32_t *column, const int32_t *place, int32_t bits, char **free)
{
    level->sums = (double *)*free;
    level->high = (float *)(level->sums + TERMS * (size_t)count);
    level->low = level->high + count;
    int32_t *of_cell = (int32_t *)(level->low + count), *slots = of_cell + 2 * (size_t)count;
    *free = (char *)(slots + ((size_t)1 << bits)); /* whole doubles: bits >= 1 */
    memset(level->sums, 0, TERMS * (size_t)count * sizeof *level->sums);
    level->starts = starts;
    level->edge = (double)scan->edge * ratio;
    level->cells = (struct plane_cells){of_cell, slots, bits};
    for (int32_t i = 0, c = 0; i < count; i++) {
        while (column[c + 1] <= starts[i])
            c++;
        of_cell[2 * i] = place[2 * c] / ratio;
        of_cell[2 * i + 1] = place[2 * c + 1] / ratio;
        sums_of_cell(scan, level, i, level->sums + TERMS * (size_t)i);
        heights_of(scan->mean, starts[i], starts[i + 1], level->high + i, level->low + i);
    }
    enter(&level->cells, count);
}

void bpn_describe(const float *mean, const int32_t *voxel, int32_t V, const int32_t *block, int32_t B,
                  const int32_t *pillar, int32_t P, const int32_t *column, int32_t C, const int32_t *cube, int32_t S,
                  const int32_t *place, const int32_t *ratios, const float *sizes, void *scratch, int32_t bits,
                  const int32_t *wanted, float *shared, int32_t G, float *own, int32_t F)
{
    struct scan scan = {.mean = mean, .voxel = sizes[0], .edge = sizes[1], .low = {sizes[2], sizes[3]},
                        .corner = {sizes[4], sizes[5], 0.0f}};
    char *free = scratch;
    survey(&scan.block, &scan, block, B, ratios[0], column, place, bits, &free);
    survey(&scan.pillar, &scan, pillar, P, ratios[1], column, place, bits, &free);
    survey(&scan.column, &scan, column, C, 1, column, place, bits, &free);

    float all[SHARED + OWN] = {0};
    int32_t b = -1, p = -1, c = -1, s = -1;
    for (int32_t i = 0; i < V; i++) {
        float *at = all;
        if (b + 1 < B && block[b + 1] == i)
            block_inputs(&scan, ++b, at);
        if (p + 1 < P && pillar[p + 1] == i)
            pillar_inputs(&scan, ++p, at + BLOCK_INPUTS);
        if (c + 1 < C && column[c + 1] == i)
            column_inputs(&scan, ++c, at + BLOCK_INPUTS + PILLAR_INPUTS);
        if (s + 1 < S && cube[s + 1] == i) {
            shape_of_cell(mean, cube[s + 1], cube[s + 2], scan.voxel, at + SHARED - CUBE_INPUTS);
            s++;
            keep_wanted(all, wanted, SHARED, shared + (size_t)s * (size_t)G);
        }
        const float tops[3] = {scan.block.high[b], scan.pillar.high[p], scan.column.high[c]};
        own_inputs(&scan, i, voxel[i + 1] - voxel[i], tops, wanted + SHARED, all + SHARED);
        keep_wanted(all + SHARED, wanted + SHARED, OWN, own + (size_t)i * (size_t)F);
    }
}
