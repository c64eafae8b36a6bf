/* Which backends this build holds, best first. */
#include "kernels.h"

static const struct bpn_backend *const backends[] = {
#if defined(__x86_64__)
    &bpn_avx2,
#elif defined(__aarch64__)
    &bpn_neon,
#endif
    &bpn_portable,
    NULL,
};

#ifdef BPN_INTERFACE /* which kernels.h this is, for those who call by address */
uint32_t bpn_interface(void)
{
    return BPN_INTERFACE;
}
#endif

const struct bpn_backend *const *bpn_backends(void)
{
    return backends;
}
