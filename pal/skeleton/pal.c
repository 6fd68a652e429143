/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the plug-in exports, as <coffer/pal.h> has it; PAL_VERSION, 1 to 3, comes from the build.
 */
#include "pal/skeleton/process.h"
#include "pal/skeleton/skeleton.h"

int pal_get_version(void)
{
        return PAL_VERSION;
}

int pal_prepare(const struct pal_prepare_args *args)
{
        return skeleton_prepare(args);
}

#if PAL_VERSION == 3
int pal_init(const struct pal_attr_v3 *attr)
{
        return skeleton_init(attr->args, attr->fd, attr->addr);
}
#else
int pal_init(const struct pal_attr_v1 *attr)
{
        return skeleton_init(attr->args, -1, 0);
}
#endif

#if PAL_VERSION == 1
int pal_exec(char *path, char *argv[], struct pal_stdio_fds *stdio, int *exit_code)
{
        int pid = 0, r = process_create(argv, stdio, &pid);
        (void)path;

        return r < 0 ? r : process_exec(pid, exit_code);
}
#else
int pal_create_process(struct pal_create_process_args *args)
{
        return process_create(args->argv, args->stdio, args->pid);
}

int pal_exec(struct pal_exec_args *args)
{
        return process_exec(args->pid, args->exit_value);
}

int pal_kill(int pid, int sig)
{
        return process_kill(pid, sig);
}
#endif

#if PAL_VERSION == 3
int pal_get_local_report(void *targetinfo, int targetinfo_len, void *report, int *report_len)
{
        return skeleton_report(targetinfo, targetinfo_len, report, report_len);
}
#endif

int pal_destroy(void)
{
        process_forget_all();
        return skeleton_destroy();
}

const char *pal_last_error(void)
{
        return skeleton_error_text();
}
