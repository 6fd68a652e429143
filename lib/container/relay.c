/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  All signals but those about ourselves are blocked from before the process runs
 * until all is cleared up, and taken one at a time: what comes for us goes to the process, and with each we
 * look for its end.  Without a terminal there is nothing else to wait for (sigwaitinfo).  With one, signals
 * come through a descriptor beside two flows, from our input to the terminal's master and from that to our
 * output.  A flow reads only once all that it has is written, so whoever is slow slows the other end and no
 * memory grows.  Where our input ends, the end is typed into the terminal, again for each process that
 * reads there, since a file that has ended would tell each of them.  The end of the process is the end,
 * whoever else has the terminal open and whatever they write: only what is on its way already is still passed
 * on, for as long as its reader takes or until we are asked to end.
 */
#include "lib/container/relay.h"

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/container/notify.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
        CHUNK = 4096, /* a pipe that polls writable takes so much without blocking */
        /* How long the last output may take from the terminal's slave to its master, milliseconds; and how
         * much of it there can be at most: the kernel holds less of one terminal. */
        DRAIN_TIMEOUT = 100,
        DRAIN_MAX = 64 * 1024,
        END_PERIOD = 100, /* milliseconds between two looks whether an end of file is to be typed */
};

void relay_begin(struct relay *ret_relay)
{
        /* These are about us, not for us. */
        static const int ours[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};

        ret_relay->notify = -1;
        ret_relay->log = NULL;
        sigfillset(&ret_relay->caught);
        for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
                sigdelset(&ret_relay->caught, ours[i]);
        (void)sigprocmask(SIG_BLOCK, &ret_relay->caught, &ret_relay->before);
}

void relay_end(const struct relay *relay)
{
        static const struct timespec at_once = {0};

        while (sigtimedwait(&relay->caught, NULL, &at_once) > 0 || errno == EINTR)
                continue;
        (void)sigprocmask(SIG_SETMASK, &relay->before, NULL);
}

static int exit_status(int status)
{
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Reaps all that has ended. True where `pid` is among them, be it from before its signal was blocked. */
static bool reap(pid_t pid, int *ret_status)
{
        bool ended = false;

        for (;;) {
                int status;
                pid_t one = waitpid(-1, &status, WNOHANG);
                if (one < 0 && errno == EINTR)
                        continue;
                if (one <= 0)
                        return ended;
                if (one == pid) {
                        *ret_status = exit_status(status);
                        ended = true;
                }
        }
}

static void resize(int console)
{
        struct winsize size;

        if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
                (void)ioctl(console, TIOCSWINSZ, &size);
}

void relay_prepare(int console)
{
        struct termios settings;

        resize(console);
        if (tcgetattr(console, &settings) < 0)
                return;
        settings.c_oflag &= ~(tcflag_t)ONLCR;
        (void)tcsetattr(console, TCSANOW, &settings);
}

/* `pid` is there: reap() has just said so, or it waits to be reaped. */
static void take_signal(int signal, pid_t pid, int console)
{
        /* A broken pipe is ours: the write says so.  The end of a child is looked for anyway. */
        if (signal == SIGWINCH && console >= 0)
                resize(console);
        else if (signal != SIGPIPE && signal != SIGCHLD)
                (void)kill(pid, signal);
}

/* ---- without a terminal -------------------------------------------------------------------------------- */

static int pass_signals(const struct relay *relay, pid_t pid, int *ret_status, struct error *err)
{
        while (!reap(pid, ret_status)) {
                siginfo_t info;
                int signal = sigwaitinfo(&relay->caught, &info);
                if (signal < 0 && errno != EINTR)
                        return error_errno(err, errno, "can't wait for signals");
                if (signal > 0)
                        take_signal(signal, pid, -1);
        }
        return 0;
}

/* ---- with one ------------------------------------------------------------------------------------------ */

/* Our own terminal while it is raw. */
struct raw_terminal {
        bool changed;
        struct termios before;
};

static struct raw_terminal make_raw(void)
{
        struct raw_terminal terminal = {0};

        if (tcgetattr(STDIN_FILENO, &terminal.before) == 0) {
                struct termios raw = terminal.before;
                cfmakeraw(&raw);
                raw.c_oflag |= OPOST; /* what we write ourselves still begins at the left */
                terminal.changed = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
        }
        return terminal;
}

static void restore(struct raw_terminal *terminal)
{
        if (terminal->changed)
                (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal->before);
}

/* One direction, with what was read and not written yet. */
struct flow {
        int from, to;
        bool ended;
        bool at_end_of_file; /* it ended because nothing is left, not because it can't be read */
        size_t at, n;
        uint8_t bytes[CHUNK];
};

static void flow_read(struct flow *flow)
{
        ssize_t n = read(flow->from, flow->bytes, sizeof(flow->bytes));

        if (n > 0) {
                flow->at = 0;
                flow->n = (size_t)n;
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
                flow->ended = true; /* EIO: nobody has the terminal open any more */
                flow->at_end_of_file = n == 0;
        }
}

static void flow_write(struct flow *flow)
{
        ssize_t n = write(flow->to, flow->bytes + flow->at, flow->n - flow->at);

        if (n > 0)
                flow->at += (size_t)n;
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
                flow->at = flow->n; /* nobody takes it: what comes is dropped, and the process goes on */
        if (flow->at == flow->n)
                flow->at = flow->n = 0;
}

static struct pollfd flow_poll(const struct flow *flow)
{
        if (flow->n > 0)
                return (struct pollfd){.fd = flow->to, .events = POLLOUT};
        return (struct pollfd){.fd = flow->ended ? -1 : flow->from, .events = POLLIN};
}

static void flow_step(struct flow *flow, const struct pollfd *polled)
{
        if (!polled->revents)
                return;
        if (flow->n > 0)
                flow_write(flow);
        else
                flow_read(flow);
}

/* ---- an input that has ended --------------------------------------------------------------------------- */

/* Whether all that was typed has been read, an end of file as well: the next who reads waits. */
static bool all_is_read(int console)
{
        cleanup_fd int slave = ioctl(console, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        struct pollfd polled = {.fd = slave, .events = POLLIN};

        return slave >= 0 && poll(&polled, 1, 0) == 0;
}

/*
 * An end of file can be typed in canonical mode only, and shells that edit their lines take the same
 * character.  One that is typed too early is nobody's: a reader that changes the mode gets it as a NUL, and
 * one that leaves lets the next wait.  So it's typed whenever all is read.
 */
static void type_end_of_file(struct flow *input)
{
        struct termios settings;

        if (!all_is_read(input->to) || tcgetattr(input->to, &settings) < 0 ||
            settings.c_cc[VEOF] == _POSIX_VDISABLE)
                return;
        input->bytes[0] = settings.c_cc[VEOF];
        input->n = 1;
}

/* `next` is when to look again, on clock_ms(). */
static void end_input(struct flow *input, uint64_t *next)
{
        if (!input->at_end_of_file || input->n > 0 || clock_ms() < *next)
                return;
        type_end_of_file(input);
        *next = clock_ms() + END_PERIOD;
}

/* Takes the signals that have come; true where one of them asks to end.  There is no process left to tell. */
static bool told_to_end(int signal_fd)
{
        struct signalfd_siginfo info;
        bool told = false;

        while (read(signal_fd, &info, sizeof(info)) == sizeof(info))
                told = told || info.ssi_signo == SIGHUP || info.ssi_signo == SIGINT ||
                       info.ssi_signo == SIGQUIT || info.ssi_signo == SIGTERM;
        return told;
}

/* What the process wrote before its end is still on its way, and who reads our output may be slow.  Others
 * that have the terminal open may write for ever: what they add is not waited for. */
static void drain(struct flow *output, int signal_fd)
{
        size_t left = DRAIN_MAX;

        while (output->n > 0 || (left > 0 && !output->ended)) {
                const bool reads = output->n == 0;
                struct pollfd fds[] = {flow_poll(output), {.fd = signal_fd, .events = POLLIN}};
                int n = poll(fds, 2, reads ? DRAIN_TIMEOUT : -1);
                if (n == 0 || (n < 0 && errno != EINTR) || (fds[1].revents && told_to_end(signal_fd)))
                        return;
                flow_step(output, &fds[0]);
                if (reads)
                        left -= output->n < left ? output->n : left;
        }
}

/* Readiness that doesn't get through is no reason to end what runs. */
static void pass_readiness(const struct relay *relay, int *notify, pid_t pid)
{
        struct error err = {0};

        if (!notify_take(*notify, pid, &err))
                return;
        *notify = -1;
        if (err.code)
                log_warning(relay->log, "%s", error_text(&err));
}

static int pass_all(const struct relay *relay, int signal_fd, pid_t pid, int console, int *ret_status,
                    struct error *err)
{
        struct flow input = {.from = STDIN_FILENO, .to = console, .ended = console < 0};
        struct flow output = {.from = console, .to = STDOUT_FILENO, .ended = console < 0};
        int notify = relay->notify;
        uint64_t next_end = 0;

        while (!reap(pid, ret_status)) {
                struct pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
                                       flow_poll(&input),
                                       flow_poll(&output),
                                       {.fd = notify, .events = POLLIN}};
                struct signalfd_siginfo info;
                if (poll(fds, 4, input.at_end_of_file ? END_PERIOD : -1) < 0 && errno != EINTR)
                        return error_errno(err, errno, "can't wait for the terminal");
                flow_step(&input, &fds[1]);
                flow_step(&output, &fds[2]);
                end_input(&input, &next_end);
                if (fds[3].revents)
                        pass_readiness(relay, &notify, pid);
                if (fds[0].revents && read(signal_fd, &info, sizeof(info)) == sizeof(info))
                        take_signal((int)info.ssi_signo, pid, console);
        }
        drain(&output, signal_fd);
        return 0;
}

static int run_with_descriptors(const struct relay *relay, pid_t pid, int console, int *ret_status,
                                struct error *err)
{
        cleanup_fd int signal_fd = signalfd(-1, &relay->caught, SFD_CLOEXEC | SFD_NONBLOCK);

        if (signal_fd < 0)
                return error_errno(err, errno, "can't wait for signals");
        if (console < 0)
                return pass_all(relay, signal_fd, pid, -1, ret_status, err);
        int r = fd_set_nonblocking(console);
        if (r < 0)
                return error_errno(err, -r, "can't use the terminal");
        struct raw_terminal terminal __attribute__((unused)) CLEANUP(restore) = make_raw();
        resize(console);
        return pass_all(relay, signal_fd, pid, console, ret_status, err);
}

int relay_run(const struct relay *relay, pid_t pid, int console, int *ret_status, struct error *err)
{
        if (console < 0 && relay->notify < 0)
                return pass_signals(relay, pid, ret_status, err);
        return run_with_descriptors(relay, pid, console, ret_status, err);
}
