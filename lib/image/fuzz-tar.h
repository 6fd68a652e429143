/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-tar.h - tars for fuzz targets.  A header with any byte changed has a wrong checksum and is refused for
 * that alone, so that nothing behind the check would ever be tried.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A copy of `tar` on the heap in which each block that has a header's magic ("ustar") has the right checksum;
 * aborts without memory. */
uint8_t *fuzz_tar_mended(const uint8_t *tar, size_t size);
