/* SPDX-License-Identifier: Apache-2.0 */
#include "ne-emulator/emulator.h"

#include <signal.h>
#include <stdio.h>

enum { STATUS_FAILED = 125, STATUS_USAGE = 2 };

static void emit(void *user, enum log_level level, const char *text)
{
        (void)user;
        fprintf(stderr, "ne-emulator: %s%s\n", level == LOG_LEVEL_WARNING ? "warning: " : "", text);
}

int main(int argc, char **argv)
{
        struct options options;
        struct error err = {0};
        int status = 0;

        switch (options_parse(argc, argv, &options)) {
        case OPTIONS_RUN:
                break;
        case OPTIONS_SHOWN:
                return 0;
        case OPTIONS_USAGE:
                return STATUS_USAGE;
        }
        /* The terminal's signals are the command's business; we live as long as it does. */
        (void)sigaction(SIGINT, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        (void)sigaction(SIGQUIT, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        const struct log log = {.level = options.level, .emit = emit};
        if (emulator_run(&options, &log, &status, &err) < 0) {
                log_error(&log, "%s", error_text(&err));
                return STATUS_FAILED;
        }
        return status;
}
