/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/payload.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/container/init/messages.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where programs are looked for when the environment has no PATH. */
static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

void payload_done(struct payload *payload)
{
        free(payload->path);
        free(payload->env);
        free(payload->home);
        free(payload->listen_pid);
        *payload = (struct payload){0};
}

/* Opens a folder of the container.  Links of procfs that lead to any file at all are never followed: our own
 * descriptors of the host are among them.  Kernels before 5.6, and filters that don't know the call, make
 * us follow them; check_inside() then refuses where that led. */
static int open_folder(int at, const char *path)
{
        const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                     .resolve = RESOLVE_NO_MAGICLINKS};
        int fd = (int)syscall(SYS_openat2, at, path, &how, sizeof(how));

        if (fd < 0 && (errno == ENOSYS || errno == EPERM))
                fd = openat(at, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* Makes the folder and its missing parents, part by part, each through a descriptor of the one before. */
static int make_folders(const char *path)
{
        cleanup_free char *copy = strdup(path);
        cleanup_fd int at = open_folder(AT_FDCWD, "/");
        char *rest = copy;

        if (!copy)
                return -ENOMEM;
        for (char *part; at >= 0 && (part = strsep(&rest, "/"));) {
                if (!*part)
                        continue;
                if (mkdirat(at, part, 0755) < 0 && errno != EEXIST)
                        return -errno;
                int next = open_folder(at, part);
                fd_close_p(&at);
                at = next;
        }
        return at < 0 ? at : 0;
}

static int enter_folder(const char *path)
{
        cleanup_fd int fd = open_folder(AT_FDCWD, path);

        if (fd < 0)
                return fd;
        return fchdir(fd) < 0 ? -errno : 0;
}

static const char *folder_of(const struct plan *plan)
{
        const char *cwd = plan->process->cwd;

        return cwd && *cwd ? cwd : "/";
}

static int refuse_folder(const char *cwd, int r, struct error *err)
{
        return error_cause(err, -r, "chdir to cwd (\"%s\") set in config.json failed", cwd);
}

/* Makes sure that our working folder is inside. */
static int check_inside(struct error *err)
{
        char path[PATH_MAX];

        /* getcwd(2) itself: of a folder outside of our root it says "(unreachable)", which libraries turn
         * into an error like any other. */
        if (syscall(SYS_getcwd, path, sizeof(path)) < 0 || path[0] != '/')
                return error_set(err, -EXDEV,
                                 "current working directory is outside of container mount namespace "
                                 "root -- possible container breakout detected");
        return 0;
}

int payload_enter_folder(const struct plan *plan, struct payload *payload, struct error *err)
{
        const char *cwd = folder_of(plan);
        int r = enter_folder(cwd);

        if (r == -ENOENT && plan->job == PLAN_JOB_CREATE) {
                r = make_folders(cwd);
                if (r == 0)
                        r = enter_folder(cwd);
        }
        payload->in_folder = r == 0;
        if (r == -EACCES || r == -EPERM)
                return 0;
        return r < 0 ? refuse_folder(cwd, r, err) : check_inside(err);
}

int payload_enter_folder_as_user(const struct plan *plan, const struct payload *payload, struct error *err)
{
        if (payload->in_folder)
                return 0;
        int r = enter_folder(folder_of(plan));
        return r < 0 ? refuse_folder(folder_of(plan), r, err) : check_inside(err);
}

static const char *environment_value(char *const *env, const char *name)
{
        size_t n = strlen(name);

        for (; *env; env++)
                if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
                        return *env + n + 1;
        return NULL;
}

/* 0 where `path` can be executed by us. */
static int check_executable(const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        /* access(2) leaves the capabilities of a user out, unlike execve(2). */
        if (syscall(SYS_faccessat2, AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
                return 0;
        if (errno != ENOSYS && errno != EPERM)
                return -errno;
        return access(path, X_OK) < 0 ? -errno : 0;
}

/* Looks into each folder of `folders`; an empty one is the current. */
static char *find_in(const char *folders, const char *name)
{
        for (const char *at = folders;; at++) {
                size_t n = strcspn(at, ":");
                char *path = n ? string_printf("%.*s/%s", (int)n, at, name) : string_printf("./%s", name);
                if (!path || check_executable(path) == 0)
                        return path;
                free(path);
                at += n;
                if (!*at)
                        break;
        }
        errno = ENOENT;
        return NULL;
}

int payload_find(const struct spec_process *process, struct payload *payload, struct error *err)
{
        const char *name = process->args.n ? process->args.items[0] : NULL;

        if (!name) /* such a container can be created; payload_execute() refuses to start it */
                return 0;
        if (strchr(name, '/')) {
                int r = check_executable(name);
                if (r == -EISDIR) /* engines look for the last two words */
                        return error_set(err, -EACCES, "exec: \"%s\": is a directory: permission denied",
                                         name);
                if (r == -EACCES)
                        return error_cause(err, -r, "exec: \"%s\"", name);
                if (r < 0)
                        return error_cause(err, -r, "exec: \"%s\": stat %s", name, name);
                payload->path = strdup(name);
        } else {
                const char *folders = environment_value(payload->env, "PATH");
                payload->path = *name ? find_in(folders ? folders : default_path, name) : NULL;
                if (!payload->path && (!*name || errno == ENOENT))
                        return error_set(err, -ENOENT, "exec: \"%s\": executable file not found in $PATH",
                                         name);
        }
        return payload->path ? 0 : error_oom(err);
}

int payload_execute(const struct spec_process *process, const struct payload *payload, struct error *err)
{
        if (!payload->path)
                return error_set(err, -EINVAL,
                                 "the container has no process: config.json gives no process.args");
        execve(payload->path, process->args.items, payload->env);
        return error_cause(err, errno, "exec %s", payload->path);
}
