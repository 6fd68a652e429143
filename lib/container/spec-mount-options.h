/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec-mount-options.h - the table of mount options (config.md, "Linux mount options"), within lib/container.
 */
#pragma once

#include <stddef.h>

/* The name of the `index`th known option in the order of strcmp(3); NULL past the last one. */
const char *spec_mount_option_name(size_t index);
