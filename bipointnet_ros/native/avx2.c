/* AVX2. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

/* Everything between BEGIN and END is compiled for these instructions, whatever the build flags. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,popcnt"))), apply_to = function)
#else
#pragma GCC target("avx2,popcnt")
#endif

#define CARRY(a, b, x, c) (((a) & (b)) | ((x) & (c)))
#include "x86.h"

static int supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
}

const struct bpn_backend bpn_avx2 = {
    .name = "avx2",
    .supported = supported,
    .prepare = prepare,
    .lift = lift,
    .layer = layer,
    .layer_spans = layer_spans,
    .distinct = bpn_distinct,
    .limits = limits,
    .dense = dense,
    .merge = bpn_merge,
    .logits = bpn_logits,
    .argsort = bpn_argsort,
    .search = bpn_search,
    .farthest = farthest,
    .voxels = bpn_voxels,
    .match = bpn_match,
    .link = bpn_link,
    .means = bpn_means,
    .describe = bpn_describe,
    .terrain = bpn_terrain,
    .rectangles = bpn_rectangles,
    .extremes = extremes,
    .segment_max = bpn_segment_max,
    .signs = signs,
    .gram = gram,
    .inside = inside,
    .scatter = scatter,
    .selected = selected,
};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int bpn_avx2_needs_x86; /* C11 wants a declaration in every file */
#endif
