/* Which backends this build holds. Each operation of a backend may be another backend's where that has nothing better. */
#include "train.h"

static int always(void)
{
    return 1;
}

static const struct bpn_backend portable = {
    .name = "portable",
    .supported = always,
    .extremes = bpn_portable_extremes,
    .segment_max = bpn_portable_segment_max,
};

#if defined(__x86_64__)
static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
}

static const struct bpn_backend avx2 = {
    .name = "avx2",
    .supported = has_avx2,
    .extremes = bpn_avx2_extremes,
    .segment_max = bpn_avx2_segment_max,
};
#endif

static const struct bpn_backend *const backends[] = {
#if defined(__x86_64__)
    &avx2,
#endif
    &portable,
    NULL,
};

const struct bpn_backend *const *bpn_backends(void)
{
    return backends;
}
