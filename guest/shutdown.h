/* SPDX-License-Identifier: Apache-2.0 */
/* shutdown.h - the end of the machine. */
#pragma once

/* Ends all other processes (SIGTERM, then after a moment SIGKILL), syncs, lets the console drain, and resets
 * the machine, which is what makes a virtual machine monitor end it.  Never returns. */
_Noreturn void shutdown_machine(void);
