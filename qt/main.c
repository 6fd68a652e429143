/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/qt.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

enum { TEXT_MAX = 1024 * 1024 };

static enum log_level level_of(const struct cli_parsed *parsed)
{
        if (parsed->globals[QT_GLOBAL_ONLY_SHOW_ERRORS].given)
                return LOG_LEVEL_ERROR;
        if (parsed->globals[QT_GLOBAL_DEBUG].given)
                return LOG_LEVEL_DEBUG;
        return parsed->globals[QT_GLOBAL_VERBOSE].given ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING;
}

/* Global arguments that contradict each other, and --query: said before the command does anything. */
static int prepare(const struct cli_parsed *parsed, struct qt *ret_qt)
{
        const struct cli_value *globals = parsed->globals;
        const char *query = globals[QT_GLOBAL_QUERY].text;
        struct error err = {0};

        *ret_qt = (struct qt){
                .parsed = parsed,
                .log = {.level = level_of(parsed), .emit = log_emit_stderr},
                .format = (enum output_format)globals[QT_GLOBAL_OUTPUT].number,
                .plain = !globals[QT_GLOBAL_OUTPUT].given && !globals[QT_GLOBAL_QUERY].given,
                .quiet = globals[QT_GLOBAL_ONLY_SHOW_ERRORS].given,
        };
        if (ret_qt->quiet && (globals[QT_GLOBAL_DEBUG].given || globals[QT_GLOBAL_VERBOSE].given))
                return qt_usage(ret_qt,
                                "--only-show-errors can't be used together with --debug or --verbose");
        if (query && jmespath_compile(query, &ret_qt->query, NULL, &err) < 0)
                return qt_usage(ret_qt, "argument --query: '%s': %s", query, error_text(&err));
        return QT_OK;
}

static int run(const struct cli_parsed *parsed)
{
        struct qt qt;
        int status = prepare(parsed, &qt);

        if (status == QT_OK)
                status = parsed->command->run(&qt, parsed);
        jmespath_free(qt.query);
        return status;
}

/* A file opened later must not become a standard stream, and get our messages.  What takes the place of one
 * that is closed can't be used either: reading from stdin fails, and so does writing to stdout and stderr. */
static void reserve_streams(void)
{
        static const int modes[] = {
                [STDIN_FILENO] = O_WRONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_RDONLY};

        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
                if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
                        _exit(QT_FAILED);
        }
}

int main(int argc, char **argv)
{
        cleanup_cli_parsed struct cli_parsed parsed = {0};
        cleanup_buf struct buf text = buf_with_max(TEXT_MAX);

        reserve_streams();
        /* A reader that went away shows as EPIPE, where it can be told from a full disk; a file that may not
         * grow any more as EFBIG, where what was written so far can be removed. */
        sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        switch (cli_parse(&qt_program, argc, argv, &parsed, &text)) {
        case CLI_RUN:
                return run(&parsed);
        case CLI_VERSION:
                buf_append_string(&text, "qt (Coffer) " COFFER_VERSION "\n");
                return qt_print_text(NULL, buf_string(&text));
        case CLI_HELP:
                return qt_print_text(NULL, buf_string(&text));
        case CLI_ERROR:
                break;
        }
        fputs(buf_string(&text), stderr);
        return QT_USAGE;
}
