/* AVX-512, on registers of 256 bits: any function of three bits is one instruction, so a full adder is two. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,popcnt,avx512f,avx512vl"))), apply_to = function)
#else
#pragma GCC target("avx2,popcnt,avx512f,avx512vl")
#endif

#define CARRY(a, b, x, c) ((plane)_mm256_ternarylogic_epi64((__m256i)(a), (__m256i)(b), (__m256i)(c), 0xe8))
#include "x86.h"

static int supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512vl");
}

const struct bpn_backend bpn_avx512 = {
    .name = "avx512",
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
typedef int bpn_avx512_needs_x86; /* C11 wants a declaration in every file */
#endif
