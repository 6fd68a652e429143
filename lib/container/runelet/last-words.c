/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/runelet/last-words.h"

#include "lib/base/cleanup.h"
#include "lib/container/sync.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A status as of waitpid(2), which has 16 bits, in digits, and a NUL. */
enum { NUMBER_SIZE = 6 };

/* What a handler can know.  The process is in it since children of a PAL inherit handlers. */
static volatile sig_atomic_t words_fifo = -1;
static volatile sig_atomic_t words_process;
static const char *volatile words_pal; /* NULL: the fifo is told */

/* "139", at the end of ret_text; no function of the C library may be called for it. */
static const char *number_text(int number, char ret_text[static NUMBER_SIZE])
{
        size_t at = NUMBER_SIZE - 1;

        ret_text[at] = '\0';
        do {
                ret_text[--at] = (char)('0' + number % 10);
                number /= 10;
        } while (number > 0 && at > 0);
        return ret_text + at;
}

static void write_text(const char *text)
{
        ssize_t n = write(STDERR_FILENO, text, strlen(text));

        (void)n; /* there is nobody to tell */
}

static void write_line(const char *how, int number)
{
        char text[NUMBER_SIZE];

        write_text("rune: PAL ");
        write_text(words_pal);
        write_text(": it ended the process ");
        write_text(how);
        write_text(number_text(number, text));
        write_text("\n");
}

/* `status` is as of waitpid(2): the signal in the low bits, the exit status above. */
static void say(int status)
{
        char text[NUMBER_SIZE];

        if (getpid() != words_process)
                return;
        words_process = 0;
        if (words_pal && status > 0xff)
                write_line("with status ", status >> 8);
        else if (words_pal)
                write_line(status ? "by signal " : "with status ", status);
        else if (words_fifo >= 0)
                (void)sync_write_fifo(words_fifo, PLAN_LAST, number_text(status, text));
}

static void on_fault(int signal)
{
        say(signal);
        (void)sigaction(signal, &(const struct sigaction){.sa_handler = SIG_DFL}, NULL);
        (void)raise(signal);
}

static void on_leaving(int status, void *user)
{
        (void)user;
        say((status & 0xff) << 8);
}

int last_words_prepare(struct error *err)
{
        static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

        for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
                const struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
                if (sigaction(faults[i], &action, NULL) < 0)
                        return error_errno(err, errno, "take signal %d", faults[i]);
        }
        return on_exit(on_leaving, NULL) == 0 ? 0 : error_oom(err);
}

void last_words_to_fifo(int fifo)
{
        words_fifo = fifo;
        words_process = getpid();
}

void last_words_to_stderr(const char *pal)
{
        words_pal = pal;
        words_fifo = -1;
        words_process = getpid();
}
