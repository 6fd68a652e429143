/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  Emulator and guard are both child subreapers (PR_SET_CHILD_SUBREAPER): whatever loses
 * its parent becomes a child of the nearest one.  So to end all below means: kill one's children, reap them,
 * and again, until there are none.  No list of processes is kept that could be out of date.
 *
 * Signals of the terminal reach the command directly, for it is in our process group; those sent to the
 * emulator are handed on by the guard.
 */
#include "ne-emulator/command.h"

#include "ne-emulator/filter.h"

#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PARENT_ENDED = SIGUSR1 };

/* ---- the end of all below ---- */

static void kill_children(void)
{
        cleanup_file FILE *file = fopen("/proc/thread-self/children", "re");
        cleanup_free char *word = NULL;
        size_t size = 0;
        uint64_t pid;

        while (file && getdelim(&word, &size, ' ', file) > 0) {
                const char *at = word;
                if (take_u64(&at, INT32_MAX, &pid) && pid > 1)
                        (void)kill((pid_t)pid, SIGKILL);
        }
}

static void end_all_below(void)
{
        do {
                kill_children();
        } while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
}

static int shell_status(int status)
{
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- guard ---- */

/* Reaps who has ended; the command's status goes to *ret_status. True where the command was among them. */
static bool reap(pid_t command, int *ret_status)
{
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                if (pid != command)
                        continue;
                *ret_status = shell_status(status);
                return true;
        }
        return false;
}

static _Noreturn void guard(pid_t command, const sigset_t *signals)
{
        siginfo_t info;
        int status = 128 + SIGKILL;

        for (;;) {
                int signal = sigwaitinfo(signals, &info);
                if (signal == PARENT_ENDED || (signal == SIGCHLD && reap(command, &status)))
                        break;
                /* The terminal's own have reached the command, too. */
                if (signal > 0 && signal != SIGCHLD && info.si_code != SI_KERNEL)
                        (void)kill(command, signal);
        }
        end_all_below();
        _exit(status);
}

/* ---- command ---- */

static int send_listener(int socket, int listener)
{
        char byte = 0;
        const struct iovec part = {.iov_base = &byte, .iov_len = 1};

        return fd_send(socket, &part, 1, listener) == 1 ? 0 : -EPIPE;
}

static _Noreturn void become_command(char *const argv[], bool huge_pages, int socket, const sigset_t *mask)
{
        cleanup_fd int listener = -1;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)sigprocmask(SIG_SETMASK, mask, NULL);
        struct sigaction plain = {.sa_handler = SIG_DFL};
        (void)sigaction(SIGINT, &plain, NULL);
        (void)sigaction(SIGQUIT, &plain, NULL);
        (void)sigaction(SIGPIPE, &plain, NULL);
        int r = filter_install(huge_pages, &listener);
        if (r < 0 || send_listener(socket, listener) < 0) {
                (void)!write(socket, &r, sizeof(r));
                _exit(COMMAND_NOT_EXECUTABLE);
        }
        fd_close_p(&listener);
        execvp(argv[0], argv);
        int status = errno == ENOENT ? COMMAND_NOT_FOUND : COMMAND_NOT_EXECUTABLE;
        fprintf(stderr, "ne-emulator: %s: %s\n", argv[0], strerror(errno));
        _exit(status);
}

/* ---- starting ---- */

static _Noreturn void run_guard(char *const argv[], bool huge_pages, int socket, pid_t emulator)
{
        static const int handed_on[] = {SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR2, PARENT_ENDED};
        sigset_t signals, before;

        sigemptyset(&signals);
        for (size_t i = 0; i < ARRAY_SIZE(handed_on); i++)
                sigaddset(&signals, handed_on[i]);
        sigprocmask(SIG_BLOCK, &signals, &before);
        sigdelset(&before, SIGTERM);
        sigdelset(&before, SIGHUP);
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
        (void)prctl(PR_SET_PDEATHSIG, PARENT_ENDED);
        pid_t command = getppid() == emulator ? fork() : -1;
        if (command == 0)
                become_command(argv, huge_pages, socket, &before);
        if (command < 0)
                _exit(COMMAND_NOT_EXECUTABLE);
        close(socket);
        guard(command, &signals);
}

/* The listener that the command sends, or why there is none. */
static int receive_listener(int socket, int *ret_listener, struct error *err)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {0};
        int reason = 0;
        struct iovec part = {.iov_base = &reason, .iov_len = sizeof(reason)};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};

        ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        const struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
        if (header && header->cmsg_type == SCM_RIGHTS) {
                memcpy(ret_listener, CMSG_DATA(header), sizeof(*ret_listener));
                return 0;
        }
        if (n != sizeof(reason) || reason >= 0)
                return error_set(err, -EIO, "the command ended before it began");
        error_errno(err, -reason, "cannot intercept system calls");
        if (reason == -EBUSY)
                error_hint(err, "one emulator cannot run in another");
        else if (reason == -EINVAL || reason == -ENOSYS)
                error_hint(err, "this needs Linux 5.14 or later with seccomp");
        return reason;
}

int command_start(char *const argv[], bool huge_pages, struct command *ret_command, struct error *err)
{
        struct command command = COMMAND_NONE;
        pid_t emulator = getpid();
        int pair[2];

        (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return error_errno(err, errno, "socket");
        cleanup_fd int ours = pair[0];
        cleanup_fd int theirs = pair[1];
        command.guard = fork();
        if (command.guard == 0)
                run_guard(argv, huge_pages, theirs, emulator);
        fd_close_p(&theirs);
        if (command.guard < 0)
                return error_errno(err, errno, "fork");
        command.guard_pidfd = (int)syscall(SYS_pidfd_open, command.guard, 0);
        int r = command.guard_pidfd < 0 ? error_errno(err, errno, "pidfd") : 0;
        if (r == 0)
                r = receive_listener(ours, &command.listener, err);
        if (r < 0)
                command_end(&command);
        else
                *ret_command = command;
        return r;
}

int command_status(struct command *command)
{
        int status = 0;

        if (waitpid(command->guard, &status, 0) < 0)
                return 128 + SIGKILL;
        command->guard = 0;
        return shell_status(status);
}

void command_end(struct command *command)
{
        /* Also after the guard has ended, which may have been killed before it did its work. */
        if (command->guard_pidfd >= 0)
                end_all_below();
        command->guard = 0;
        fd_close_p(&command->guard_pidfd);
        fd_close_p(&command->listener);
}
