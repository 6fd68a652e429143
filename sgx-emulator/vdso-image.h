/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vdso-image.h - the image that stands in for the kernel's vDSO (vdso.S), as the build made it.
 */
#pragma once

#include "lib/base/view.h"

/* Its bytes. */
struct view vdso_image(void);
