/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pal.c - libpal_ne.so: AWS Nitro Enclaves as a PAL of version 2 (coffer/pal.h).
 *
 * The program of a container with this PAL is that of the enclave's image; what the container's configuration
 * names as its process is not run.  pal_init() loads the enclave, pal_create_process() boots it.
 *
 * The interface knows no handle: there is one enclave for a process, and it is kept here.
 */
#define PAL_VERSION 2
#include "include/coffer/pal.h"

#include "pal/nitro/session.h"

#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* The number of the only process. */
enum { WORKLOAD = 1 };

static struct session *session;

static _Thread_local struct error last_error;

/* Clears what the thread's last call left. */
static struct error *begin(void)
{
        last_error = (struct error){.code = 0};
        return &last_error;
}

static int prepare(const char *text, int rootfs_fd, struct error *err)
{
        struct arguments arguments;
        int r = arguments_parse(text, &arguments, err);

        return r < 0 ? r : session_new(&arguments, rootfs_fd, &session, err);
}

EXPORT int pal_get_version(void)
{
        return PAL_VERSION;
}

EXPORT int pal_prepare(const struct pal_prepare_args *args)
{
        struct error *err = begin();

        if (session)
                return error_set(err, -EALREADY, "an enclave is prepared already");
        if (args->size < sizeof(*args))
                return error_set(err, -EINVAL, "the caller is older than this PAL");
        int r = prepare(args->args, args->rootfs_fd, err);
        if (r < 0)
                return r;
        r = args->annotate ? session_annotate(session, args) : 0;
        return r < 0 ? error_errno(err, -r, "cannot annotate the container") : 0;
}

/* A caller that knows no pal_prepare() is in the container already: then that is where the image is. */
EXPORT int pal_init(const struct pal_attr_v1 *attr)
{
        struct error *err = begin();
        int r = session ? 0 : prepare(attr->args, -1, err);

        return r < 0 ? r : session_load(session, err);
}

EXPORT int pal_create_process(struct pal_create_process_args *args)
{
        struct error *err = begin();

        if (!session)
                return error_set(err, -EINVAL, "there is no enclave");
        int r = session_start(session, args->stdio ? args->stdio->stdout : STDOUT_FILENO, err);
        if (r == 0 && args->pid)
                *args->pid = WORKLOAD;
        return r;
}

EXPORT int pal_exec(struct pal_exec_args *args)
{
        struct error *err = begin();

        if (!session || args->pid != WORKLOAD)
                return error_set(err, -ESRCH, "there is no process %d", args->pid);
        return session_run(session, args->exit_value, err);
}

EXPORT int pal_kill(int pid, int sig)
{
        struct error *err = begin();

        if (!session || (pid != WORKLOAD && pid != PAL_KILL_ALL && pid != PAL_KILL_CURRENT))
                return error_set(err, -ESRCH, "there is no process %d", pid);
        return session_signal(session, sig, err);
}

EXPORT int pal_destroy(void)
{
        begin();
        session_free(session);
        session = NULL;
        return 0;
}

EXPORT const char *pal_last_error(void)
{
        return last_error.text;
}
