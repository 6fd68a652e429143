/* SPDX-License-Identifier: Apache-2.0 */
/* systemd-agent: talks to systemd for rune (started as systemd-agent-image.h says). */
#include "lib/container/systemd/serve.h"

#include <stdlib.h>
#include <sys/prctl.h>

enum { SOCKET = 3 };

int main(void)
{
        /* An executable without a path would be shown by the number of its descriptor. */
        (void)prctl(PR_SET_NAME, "systemd-agent", 0, 0, 0);
        return serve(SOCKET) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
