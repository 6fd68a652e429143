/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/launch.h"

#include "lib/enclave/state.h"

#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ENVIRONMENT_MAX = 8 };

void launch_done(struct launch *launch)
{
        free(take_pointer(&launch->state_dir));
        free(take_pointer(&launch->cmdline));
}

int launch_write(const struct launch *launch, int *ret_fd, struct error *err)
{
        cleanup_json json_t *json =
                json_pack("{s:o, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:I}", "enclave",
                          state_to_json(&launch->info), "state_dir", launch->state_dir, "cmdline",
                          launch->cmdline, "nitro", launch->nitro, "kernel_vsock", launch->kernel_vsock,
                          "has_initrd", launch->has_initrd, "leashed", launch->leashed, "init_of_others",
                          launch->init_of_others, "timeout_ms", (json_int_t)launch->timeout_ms);
        cleanup_buf struct buf text = buf_with_max(STATE_JSON_MAX);

        /* The command line was checked for NULs, and the folder's name when it was opened (registry.c). */
        if (!json)
                return error_set(err, -EINVAL,
                                 "the image's kernel command line is not UTF-8; make the image again with "
                                 "one that is");
        int r = state_append_line(json, &text);
        if (r < 0)
                return error_errno(err, -r, "launch");
        cleanup_fd int fd = memfd_create("coffer-launch", MFD_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "launch");
        if ((r = fd_pwrite_full(fd, text.p, text.n, 0)) < 0)
                return error_errno(err, -r, "launch");
        *ret_fd = take_fd(&fd);
        return 0;
}

static int from_json(const json_t *json, struct launch *launch, struct error *err)
{
        const char *state_dir = json_string_value(json_object_get(json, "state_dir"));
        const char *cmdline = json_string_value(json_object_get(json, "cmdline"));
        json_int_t timeout = json_integer_value(json_object_get(json, "timeout_ms"));

        if (!state_dir || !cmdline || timeout < 1 || timeout > UINT_MAX)
                return error_set(err, -EBADMSG, "a launch without state_dir, cmdline or timeout_ms");
        launch->state_dir = string_printf("%s", state_dir);
        launch->cmdline = string_printf("%s", cmdline);
        if (!launch->state_dir || !launch->cmdline)
                return error_oom(err);
        launch->nitro = json_is_true(json_object_get(json, "nitro"));
        launch->kernel_vsock = json_is_true(json_object_get(json, "kernel_vsock"));
        launch->has_initrd = json_is_true(json_object_get(json, "has_initrd"));
        launch->leashed = json_is_true(json_object_get(json, "leashed"));
        launch->init_of_others = json_is_true(json_object_get(json, "init_of_others"));
        launch->timeout_ms = (unsigned)timeout;
        return state_from_json(json_object_get(json, "enclave"), &launch->info, err);
}

int launch_read(int fd, struct launch *ret_launch, struct error *err)
{
        cleanup_launch struct launch launch = LAUNCH_NONE;
        cleanup_json json_t *json = NULL;
        cleanup_free char *text = malloc(STATE_JSON_MAX);
        ssize_t n = text ? pread(fd, text, STATE_JSON_MAX, 0) : -1;
        int r;

        if (n < 0)
                return error_errno(err, errno, "launch");
        if ((r = state_parse_object(view_of(text, (size_t)n), &json, err)) < 0 ||
            (r = from_json(json, &launch, err)) < 0)
                return r;
        *ret_launch = launch;
        launch = LAUNCH_NONE;
        return 0;
}

int launch_describe_end(int status, struct error *err)
{
        if (WIFSIGNALED(status))
                return error_set(err, -EIO, "the supervisor was killed by signal %d (%s)", WTERMSIG(status),
                                 strsignal(WTERMSIG(status)));
        if (WEXITSTATUS(status) != 0)
                return error_set(err, -EIO, "the supervisor ended with status %d and without an answer",
                                 WEXITSTATUS(status));
        return error_set(err, -EIO, "the supervisor ended without an answer");
}

/* ---- the starter's side ---- */

/* A supervisor outlives the person who started it: of the environment it gets what it needs and no secret. */
static void choose_environment(char *env[ENVIRONMENT_MAX])
{
        static const char *const names[] = {"PATH", "TMPDIR", "XDG_RUNTIME_DIR", "COFFER_STATE_DIR"};
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const char *value = getenv(names[i]);
                if (value && (env[n] = string_printf("%s=%s", names[i], value)))
                        n++;
        }
        env[n] = NULL;
}

int launcher_start(const char *path, struct launcher *ret_launcher, struct error *err)
{
        struct launcher launcher = LAUNCHER_NONE;
        char *env[ENVIRONMENT_MAX];
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return error_errno(err, errno, "start the supervisor");
        launcher.socket = pair[0];
        cleanup_fd int theirs = pair[1];
        const char *argv[] = {path, NULL};
        const struct child_fd fds[] = {{theirs, LAUNCH_SOCKET}};
        choose_environment(env);
        const struct child_spec spec = {
                .argv = argv,
                .env = (const char *const *)env,
                .fds = fds,
                .n_fds = ARRAY_SIZE(fds),
                .uid = (uid_t)-1,
                .gid = (gid_t)-1,
                .new_session = true,
        };
        int r = child_start(&spec, &launcher.child, err);
        for (size_t i = 0; env[i]; i++)
                free(env[i]);
        if (r < 0) {
                fd_close_p(&launcher.socket);
                return r;
        }
        *ret_launcher = launcher;
        return 0;
}

/* One message: a bit for each descriptor that there is, and these in their order. */
static int send_fds(int socket, const int fds[LAUNCH_FDS])
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(LAUNCH_FDS * sizeof(int))];
        } control = {0};
        int present[LAUNCH_FDS];
        uint8_t mask = 0;
        size_t n = 0;

        for (size_t i = 0; i < LAUNCH_FDS; i++) {
                if (fds[i] < 0)
                        continue;
                mask |= (uint8_t)(1U << i);
                present[n++] = fds[i];
        }
        struct iovec part = {.iov_base = &mask, .iov_len = sizeof(mask)};
        struct msghdr message = {
                .msg_iov = &part,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = CMSG_SPACE(n * sizeof(int)),
        };
        control.header = (struct cmsghdr){
                .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n * sizeof(int))};
        memcpy(CMSG_DATA(&control.header), present, n * sizeof(int));
        return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int launcher_send(struct launcher *launcher, const struct launch *launch, const int fds[LAUNCH_FDS],
                  struct error *err)
{
        cleanup_fd int spec = -1;
        int all[LAUNCH_FDS];
        int r = launch_write(launch, &spec, err);

        if (r < 0)
                return r;
        memcpy(all, fds, sizeof(all));
        all[LAUNCH_FD_SPEC] = spec;
        r = send_fds(launcher->socket, all);
        if (r == -EPIPE)
                return launcher_lost(launcher, err);
        return r < 0 ? error_errno(err, -r, "start the supervisor") : 0;
}

int launcher_lost(struct launcher *launcher, struct error *err)
{
        int status = 0;

        fd_close_p(&launcher->socket);
        (void)child_wait(&launcher->child, &status);
        return launch_describe_end(status, err);
}

void launcher_done(struct launcher *launcher)
{
        int status;

        fd_close_p(&launcher->socket);
        (void)child_wait(&launcher->child, &status);
}

/* ---- the supervisor's side ---- */

/* Takes the descriptors out of what was received. */
static int take_fds(struct msghdr *message, uint8_t mask, int ret_fds[LAUNCH_FDS])
{
        const struct cmsghdr *header = CMSG_FIRSTHDR(message);
        int present[LAUNCH_FDS];
        size_t n = 0, at = 0, wanted = 0;

        if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
                n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (n > 0)
                memcpy(present, CMSG_DATA(header), n * sizeof(int));
        for (size_t i = 0; i < LAUNCH_FDS; i++)
                wanted += mask >> i & 1;
        if (n == wanted && !(message->msg_flags & MSG_CTRUNC)) {
                for (size_t i = 0; i < LAUNCH_FDS; i++)
                        ret_fds[i] = mask >> i & 1 ? present[at++] : -1;
                return 0;
        }
        while (n > 0)
                close(present[--n]);
        /* The kernel gives as many as this process may have. */
        return -EMFILE;
}

static int receive_fds(int socket, int ret_fds[LAUNCH_FDS], struct error *err)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(LAUNCH_FDS * sizeof(int))];
        } control;
        uint8_t mask;
        struct iovec part = {.iov_base = &mask, .iov_len = sizeof(mask)};
        struct msghdr message = {
                .msg_iov = &part,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n;

        do
                n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n == 0)
                return error_set(err, -ENODATA, "nothing is to be launched");
        int r = n < 0 ? -errno : take_fds(&message, mask, ret_fds);
        return r < 0 ? error_errno(err, -r, "start the supervisor") : 0;
}

int launch_receive(int socket, struct launch *ret_launch, int ret_fds[LAUNCH_FDS], struct error *err)
{
        int r = receive_fds(socket, ret_fds, err);

        return r < 0 ? r : launch_read(ret_fds[LAUNCH_FD_SPEC], ret_launch, err);
}
