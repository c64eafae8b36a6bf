#include "rectangles.h"

#include <stddef.h>
#include <string.h>

#define POINTS 128    /* of a run tell its turn */
#define NEAREST 0.05f /* m: closer to an edge counts no more */

/* All turns at once, a lane each; lanes without a turn see every point at 0. */
struct turned {
    float cosine[BPN_TURNS], sine[BPN_TURNS];
    float low_u[BPN_TURNS], high_u[BPN_TURNS], low_v[BPN_TURNS], high_v[BPN_TURNS];
    double closeness[BPN_TURNS];
};

static float lesser(float a, float b)
{
    return a < b ? a : b;
}

static float greater(float a, float b)
{
    return a > b ? a : b;
}

/* The rectangles grow up to a point; the first point is at 0. */
static void widen(struct turned *all, float x, float y)
{
    for (int t = 0; t < BPN_TURNS; t++) {
        float u = x * all->cosine[t] + y * all->sine[t], v = y * all->cosine[t] - x * all->sine[t];
        all->low_u[t] = lesser(all->low_u[t], u);
        all->high_u[t] = greater(all->high_u[t], u);
        all->low_v[t] = lesser(all->low_v[t], v);
        all->high_v[t] = greater(all->high_v[t], v);
    }
}

static void add_closeness(struct turned *all, float x, float y)
{
    for (int t = 0; t < BPN_TURNS; t++) {
        float u = x * all->cosine[t] + y * all->sine[t], v = y * all->cosine[t] - x * all->sine[t];
        float along = lesser(u - all->low_u[t], all->high_u[t] - u);
        float across = lesser(v - all->low_v[t], all->high_v[t] - v);
        all->closeness[t] += 1.0f / greater(lesser(along, across), NEAREST);
    }
}

static int closest(struct turned *all, const float *xyz, int32_t n, int32_t A)
{
    const size_t step = (size_t)(n + POINTS - 1) / POINTS;
    int best = 0;
    for (int t = 0; t < BPN_TURNS; t++) {
        all->low_u[t] = all->high_u[t] = all->low_v[t] = all->high_v[t] = 0.0f;
        all->closeness[t] = 0.0;
    }
    for (size_t i = 0; i < (size_t)n; i += step)
        widen(all, xyz[3 * i] - xyz[0], xyz[3 * i + 1] - xyz[1]);
    for (size_t i = 0; i < (size_t)n; i += step)
        add_closeness(all, xyz[3 * i] - xyz[0], xyz[3 * i + 1] - xyz[1]);
    for (int t = 1; t < A; t++)
        best = all->closeness[t] > all->closeness[best] ? t : best;
    return best;
}

static void extents_of(const float *xyz, int32_t n, float cosine, float sine, float *extents)
{
    float low_u = 0.0f, high_u = 0.0f, low_v = 0.0f, high_v = 0.0f;
    for (size_t i = 0; i < (size_t)n; i++) {
        float x = xyz[3 * i] - xyz[0], y = xyz[3 * i + 1] - xyz[1];
        float u = x * cosine + y * sine, v = y * cosine - x * sine;
        low_u = lesser(low_u, u);
        high_u = greater(high_u, u);
        low_v = lesser(low_v, v);
        high_v = greater(high_v, v);
    }
    extents[0] = low_u;
    extents[1] = high_u;
    extents[2] = low_v;
    extents[3] = high_v;
}

void bpn_rectangles(const float *xyz, const int32_t *starts, int32_t K, const float *turns, int32_t A, int32_t *turn,
                    float *extents)
{
    struct turned all;
    memset(&all, 0, sizeof all);
    for (int t = 0; t < A; t++) {
        all.cosine[t] = turns[2 * t];
        all.sine[t] = turns[2 * t + 1];
    }
    for (int32_t k = 0; k < K; k++) {
        const float *run = xyz + 3 * (size_t)starts[k];
        const int32_t n = starts[k + 1] - starts[k];
        const int best = closest(&all, run, n, A);
        turn[k] = best;
        extents_of(run, n, all.cosine[best], all.sine[best], extents + 4 * (size_t)k);
    }
}
