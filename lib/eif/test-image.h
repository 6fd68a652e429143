/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-image.h - small enclave images for tests.  Every function aborts the test where it fails.
 */
#pragma once

#include "lib/eif/writer.h"

/* An empty file without a name; the descriptor is the caller's. */
int test_empty_file(void);

/* The same with content. */
int test_file_of(struct view content);

/* The whole content of a file. */
struct buf test_file_bytes(int fd);

/* One whole section. */
void test_write_section(struct eif_writer *w, enum eif_section_type type, struct view content);

/* The published synthetic image: kernel, cmdline, metadata, two ramdisks; signed where `signer` is not
 * NULL. */
void test_write_image(int fd, const struct eif_signer *signer, struct eif_pcrs *ret_pcrs);

/* Its bytes, unsigned. */
struct buf test_image_bytes(void);
