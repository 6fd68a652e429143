/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floating point and vector registers between a signal's frame and an SSA.  Both hold an XSAVE area in
 * standard form (SDM volume 1, "Managing State Using the XSAVE Feature Set"); the frame says in bytes that
 * software may use whether it has more than the legacy part, and how much (Linux, asm/sigcontext.h).
 */
#include "lib/sgx/sim-internal.h"

#include "lib/sgx/little-endian.h"

#include <string.h>

enum {
        LEGACY_SIZE = 512,
        HEADER_SIZE = 64,
        AT_FCW = 0,
        AT_MXCSR = 24,
        AT_XSTATE_BV = LEGACY_SIZE,
        AT_SOFTWARE = 464, /* struct _fpx_sw_bytes */
        FCW_DEFAULT = 0x37f,
        MXCSR_DEFAULT = 0x1f80,
        MXCSR_ALLOWED = 0xffbf,
};

/* FP_XSTATE_MAGIC1; <asm/sigcontext.h> can't be included beside the C library's headers. */
#define MORE_THAN_LEGACY 0x46505853U

/* The frame's area, and how large it is: LEGACY_SIZE where it has no more. */
static uint8_t *frame_area(ucontext_t *uc, size_t *ret_size, uint64_t *ret_features)
{
        uint8_t *p = (void *)uc->uc_mcontext.fpregs;

        *ret_size = 0;
        *ret_features = SGX_XFRM_LEGACY;
        if (!p)
                return NULL;
        *ret_size = LEGACY_SIZE;
        if (get_le(p + AT_SOFTWARE, 4) == MORE_THAN_LEGACY) {
                *ret_features = get_le(p + AT_SOFTWARE + 8, 8);
                *ret_size = get_le(p + AT_SOFTWARE + 16, 4);
        }
        return p;
}

void sim_xsave(ucontext_t *uc, uint8_t *area, size_t size, uint64_t xfrm)
{
        uint64_t features;
        size_t n;
        uint8_t *frame = frame_area(uc, &n, &features);

        if (!frame)
                return;
        memset(area, 0, LEGACY_SIZE + HEADER_SIZE);
        memcpy(area, frame, LEGACY_SIZE);
        memset(area + AT_SOFTWARE, 0, LEGACY_SIZE - AT_SOFTWARE);
        put_le(area + AT_XSTATE_BV, SGX_XFRM_LEGACY, 8);
        if (n >= LEGACY_SIZE + HEADER_SIZE) {
                size_t take = n < size ? n : size;

                if (xfrm & ~SGX_XFRM_LEGACY)
                        memcpy(area + LEGACY_SIZE, frame + LEGACY_SIZE, take - LEGACY_SIZE);
                put_le(area + AT_XSTATE_BV, get_le(frame + AT_XSTATE_BV, 8) & xfrm, 8);
                put_le(frame + AT_XSTATE_BV, 0, 8); /* all as after a reset */
        } else {
                memset(frame, 0, AT_SOFTWARE);
                put_le(frame + AT_FCW, FCW_DEFAULT, 2);
        }
        put_le(frame + AT_MXCSR, MXCSR_DEFAULT, 4);
}

void sim_xrstor(ucontext_t *uc, const uint8_t *area, size_t size, uint64_t xfrm)
{
        uint64_t features;
        size_t n;
        uint8_t *frame = frame_area(uc, &n, &features);

        if (!frame)
                return;
        memcpy(frame, area, AT_SOFTWARE);
        /* The area is the enclave's: what the processor would refuse must not get into the frame. */
        put_le(frame + AT_MXCSR, get_le(area + AT_MXCSR, 4) & MXCSR_ALLOWED, 4);
        if (n >= LEGACY_SIZE + HEADER_SIZE) {
                size_t take = n < size ? n : size;

                if (xfrm & ~SGX_XFRM_LEGACY && take > LEGACY_SIZE + HEADER_SIZE)
                        memcpy(frame + LEGACY_SIZE + HEADER_SIZE, area + LEGACY_SIZE + HEADER_SIZE,
                               take - LEGACY_SIZE - HEADER_SIZE);
                memset(frame + LEGACY_SIZE, 0, HEADER_SIZE);
                put_le(frame + AT_XSTATE_BV, get_le(area + AT_XSTATE_BV, 8) & xfrm & features, 8);
        }
}
