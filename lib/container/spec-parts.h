/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec-parts.h - the parts of config.json that have a file of their own, as functions for struct spec_field
 * (spec-json.h).  The comment of each says what ret_target points at.
 */
#pragma once

#include "lib/container/spec-json.h"

/* struct spec_process */
spec_take spec_take_process;
/* struct spec_items of struct spec_mount; relative sources of bind mounts are joined to the bundle */
spec_take spec_take_mounts;
/* struct spec_hooks */
spec_take spec_take_hooks;
/* struct spec_linux */
spec_take spec_take_linux;
/* struct spec_resources */
spec_take spec_take_resources;
/* struct spec_seccomp *; NULL where it asks for nothing */
spec_take spec_take_seccomp;
