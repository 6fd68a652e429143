/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h - mmap() with MAP_HUGETLB on a machine that has no huge pages (--no-huge-pages).
 */
#pragma once

#include "ne-emulator/call.h"

#include "lib/base/log.h"

/* Has the kernel do the call without MAP_HUGETLB, at an address that a huge page could have.  Where the
 * thread cannot be stopped for that, because somebody else traces it, the call goes on as it is. */
void pages_call(const struct call *call, const struct log *log);
