/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.h - init of an image that serves processes: one connection, one container (service.h, container.h).
 */
#pragma once

#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/view.h"

#include "guest/failure.h"
#include "guest/pid1.h"

struct serve;

/* Listens on the service's port; from now on children that end are the service's affair.  The first
 * connection is the parent's, as nobody else is there yet to make one; there is no second.  When it is over,
 * pid1_run() returns.  `xattrs`, the image's, and all others must outlive it, and it lives as long as init
 * does. */
int serve_new(struct loop *loop, struct pid1 *pid1, struct view xattrs, const struct log *log,
              struct serve **ret_serve, struct failure *f);
