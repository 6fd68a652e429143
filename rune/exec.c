/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/text.h"
#include "rune/commands.h"
#include "rune/create-options.h"

struct exec_values {
        const char *console_socket, *pidfd_socket, *pid_file;
        const char *process;
        const char *cwd, *user;
        const char *apparmor, *process_label;
        struct option_list env, cap, additional_gids, cgroup;
        struct optional_i64 preserve_fds;
        bool tty, detach, no_new_privs, ignore_paused, no_subreaper;
};

static const struct option options[] = {
        {.name = "console-socket",
         OPTION_TEXT_IN(struct exec_values, console_socket),
         .metavar = "SOCKET",
         .summary = "Unix socket that gets the terminal's master descriptor"},
        {.name = "pidfd-socket",
         OPTION_TEXT_IN(struct exec_values, pidfd_socket),
         .metavar = "SOCKET",
         .summary = "Unix socket that gets a pidfd of the process"},
        {.name = "pid-file",
         OPTION_TEXT_IN(struct exec_values, pid_file),
         .metavar = "FILE",
         .summary = "file that gets the process id"},
        {.name = "process",
         .letter = 'p',
         OPTION_TEXT_IN(struct exec_values, process),
         .metavar = "FILE",
         .summary = "the whole process, as config.json has it; then no command is given"},
        {.name = "cwd",
         OPTION_TEXT_IN(struct exec_values, cwd),
         .metavar = "DIR",
         .summary = "working directory in the container"},
        {.name = "env",
         .letter = 'e',
         OPTION_LIST_IN(struct exec_values, env),
         .metavar = "NAME=VALUE",
         .summary = "set a variable; may be given many times"},
        {.name = "tty",
         .letter = 't',
         OPTION_FLAG_IN(struct exec_values, tty),
         .summary = "give it a terminal"},
        {.name = "user",
         .letter = 'u',
         OPTION_TEXT_IN(struct exec_values, user),
         .metavar = "UID[:GID]",
         .summary = "user and group, as numbers"},
        {.name = "additional-gids",
         .letter = 'g',
         OPTION_LIST_IN(struct exec_values, additional_gids),
         .metavar = "GID",
         .summary = "a further group; may be given many times"},
        {.name = "detach",
         .letter = 'd',
         OPTION_FLAG_IN(struct exec_values, detach),
         .summary = "return once it runs"},
        {.name = "process-label",
         OPTION_TEXT_IN(struct exec_values, process_label),
         .metavar = "LABEL",
         .summary = "SELinux label"},
        {.name = "apparmor",
         OPTION_TEXT_IN(struct exec_values, apparmor),
         .metavar = "PROFILE",
         .summary = "AppArmor profile"},
        {.name = "no-new-privs",
         OPTION_FLAG_IN(struct exec_values, no_new_privs),
         .summary = "forbid it to gain privileges"},
        {.name = "cap",
         .letter = 'c',
         OPTION_LIST_IN(struct exec_values, cap),
         .metavar = "NAME",
         .summary = "a further capability; may be given many times"},
        {.name = "preserve-fds",
         OPTION_INTEGER_IN(struct exec_values, preserve_fds),
         .metavar = "N",
         .summary = "hand over N more descriptors, from 3 or behind those of LISTEN_FDS",
         .default_text = "0"},
        {.name = "cgroup",
         OPTION_LIST_IN(struct exec_values, cgroup),
         .metavar = "[CONTROLLERS:]PATH",
         .summary =
                 "run it in a group below the container's, which must be there; with controllers many times"},
        {.name = "ignore-paused",
         OPTION_FLAG_IN(struct exec_values, ignore_paused),
         .summary = "also in a paused container, where it begins once that is resumed"},
        {.name = "no-subreaper",
         OPTION_FLAG_IN(struct exec_values, no_subreaper),
         .hidden = true,
         .summary = "taken for compatibility"},
};

/* *ret_gids is on the heap for the caller, NULL where the list is empty. */
static int parse_gids(const struct option_list *list, uint32_t **ret_gids, struct error *err)
{
        cleanup_free uint32_t *gids = NULL;

        if (list->n == 0) {
                *ret_gids = NULL;
                return 0;
        }
        gids = calloc(list->n, sizeof(*gids));
        if (!gids)
                return error_oom(err);
        for (size_t i = 0; i < list->n; i++) {
                uint64_t gid;

                /* The largest number means "no group" to the kernel. */
                if (!parse_u64(list->items[i], UINT32_MAX - 1, &gid))
                        return error_set(err, -EINVAL,
                                         "invalid value \"%s\" for --additional-gids: it takes a group id",
                                         list->items[i]);
                gids[i] = (uint32_t)gid;
        }
        *ret_gids = take_pointer(&gids);
        return 0;
}

static int check(const struct exec_values *values, const struct operands *operands, struct error *err)
{
        if (!values->process && operands->n < 2)
                return error_set(err, -EINVAL,
                                 "exec args cannot be empty; name a command, or give --process FILE");
        return 0;
}

static int run(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
               struct error *err)
{
        const struct exec_values *v = values;
        cleanup_free uint32_t *gids = NULL;
        size_t preserve_fds = 0;
        int r = check(v, operands, err);

        if (r == 0)
                r = preserve_fds_of(v->preserve_fds, &preserve_fds, err);
        if (r == 0)
                r = parse_gids(&v->additional_gids, &gids, err);
        if (r < 0)
                return r;
        const struct exec_request request = {
                .id = operands->items[0],
                .process_file = v->process,
                .args = v->process ? NULL : operands->items + 1,
                .env = v->env.items,
                .cwd = v->cwd,
                .user = v->user,
                .additional_gids = gids,
                .n_additional_gids = v->additional_gids.n,
                .capabilities = v->cap.items,
                .apparmor = v->apparmor,
                .process_label = v->process_label,
                .cgroups = v->cgroup.items,
                .no_new_privileges = v->no_new_privs,
                .terminal = v->tty,
                .ignore_paused = v->ignore_paused,
                .detach = v->detach,
                .pid_file = v->pid_file,
                .console_socket = v->console_socket,
                .pidfd_socket = v->pidfd_socket,
                .preserve_fds = preserve_fds,
        };
        return container_exec(&rune->engine, &request, ret_status, err);
}

const struct command rune_exec = {
        .name = "exec",
        .summary = "run a further process in a container",
        .usage = "<container-id> <command> [arguments ...]",
        .description =
                "Everything behind the id is the command and its arguments.  What no option says is as\n"
                "config.json has it for the container's first process.  Ends with the command's status,\n"
                "128+n where signal n ended it, and with 255 where it couldn't be started.",
        .options = {.options = options, .n = ARRAY_SIZE(options), .rule = OPERANDS_END_OPTIONS},
        .values_size = sizeof(struct exec_values),
        .min_operands = 1,
        .max_operands = SIZE_MAX,
        .failure_prefix = "exec failed",
        .failure_status = RUNE_EXEC_FAILED,
        .run = run,
};
