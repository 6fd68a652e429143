/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/program.h"
#include "rune/rune.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* A file opened later must not become a standard stream, and get a container's output.  A stream that is
 * closed can't be used either: what takes its place fails. */
static void reserve_streams(void)
{
        static const int modes[] = {
                [STDIN_FILENO] = O_WRONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_RDONLY};

        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
                if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
                        _exit(RUNE_FAILED);
        }
}

static void do_nothing(int signal)
{
        (void)signal;
}

int main(int argc, char **argv)
{
        (void)argc;
        reserve_streams();
        /* A reader that went away shows as EPIPE.  The signal isn't ignored, which the container's process
         * would inherit: a handler ends with execve(2). */
        sigaction(SIGPIPE, &(struct sigaction){.sa_handler = do_nothing, .sa_flags = SA_RESTART}, NULL);
        return program_run(argv);
}
