/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/enclave-call.h"

#include <string.h>
#include <sys/wait.h>

int enclave_call_hangs(const char *call, uint32_t timeout, struct error *err)
{
        (void)error_set(err, -ETIMEDOUT, "%s: no answer within %u s", call, timeout);
        error_hint(err, "ENCLAVE_RUNTIME_TIMEOUT gives it more");
        return -ETIMEDOUT;
}

int enclave_call_ended(const char *call, int status, struct error *err)
{
        if (WIFSIGNALED(status))
                return error_set(err, -ECHILD, "%s: it ended the process by signal %d (%s)", call,
                                 WTERMSIG(status), strsignal(WTERMSIG(status)));
        return error_set(err, -ECHILD, "%s: it ended the process with status %d", call, WEXITSTATUS(status));
}
