/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pal.c - libpal_vm.so: enclaves in a virtual machine of this host (include/coffer/pal.h).
 *
 * Theory of operation.  All that needs the host happens in pal_prepare(): the image is made, the machine
 * started, and the container set up in it.  What is kept are descriptors: the leash, which ends the machine
 * however this process ends, and the connection to its process service, or its console where it runs an image
 * of its own.  pal_init() starts the one thread that the connection needs, and nothing else: the namespaces
 * are there by then.
 *
 * A plug-in has one enclave, so its state is one static structure, written by pal_prepare() and pal_destroy()
 * alone, when no other call is under way.
 */
#define PAL_VERSION 2
#include "include/coffer/pal.h"

#include "lib/base/text.h"
#include "lib/container/arena.h"
#include "lib/container/spec-parse.h"
#include "lib/enclave/leash.h"
#include "lib/base/fd.h"

#include "pal/vm/machine.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { IMAGE_PROCESS = 1 /* the number of an image's own command */ };

static struct {
        bool is_prepared;
        struct args args;
        struct arena arena; /* of what was translated */
        struct translated translated;
        struct machine machine;
        bool first_came; /* pal_create_process was called */
} vm;

static _Thread_local struct error why;

/* What pal_describe_process() said of the process that this thread makes next. */
static _Thread_local struct {
        struct arena arena;
        struct spec_process *process; /* NULL: nothing */
} further;

const char *pal_last_error(void)
{
        return why.code ? error_text(&why) : NULL;
}

int pal_get_version(void)
{
        return PAL_VERSION;
}

/* ---- preparing ----------------------------------------------------------------------------------------- */

/* Only who wants to see everything gets lines among the container's output. */
static struct log make_log(const char *level)
{
        bool wanted = strcmp(level, "debug") == 0 || strcmp(level, "trace") == 0;

        return (struct log){.level = wanted ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, .emit = log_emit_stderr};
}

static int annotate(const struct pal_prepare_args *prepare, const char *key, const char *value)
{
        int r = prepare->annotate(prepare->cookie, key, value);

        return r < 0 ? error_errno(&why, -r, "annotation %s", key) : 0;
}

static int annotate_pcr(const struct pal_prepare_args *prepare, const char *key,
                        const uint8_t pcr[ENCLAVE_PCR_SIZE])
{
        char hex[2 * ENCLAVE_PCR_SIZE + 1];

        hex_encode(pcr, ENCLAVE_PCR_SIZE, hex);
        return annotate(prepare, key, hex);
}

static int annotate_all(const struct pal_prepare_args *prepare, const struct enclave_info *info)
{
        char id[16];
        int r;

        (void)snprintf(id, sizeof(id), "%u", info->id);
        if ((r = annotate(prepare, "coffer.enclave.id", id)) < 0 ||
            (r = annotate(prepare, "coffer.enclave.isolation", enclave_isolation_name(info->isolation))) <
                    0 ||
            (r = annotate(prepare, "coffer.enclave.debug", info->debug_mode ? "true" : "false")) < 0 ||
            (r = annotate_pcr(prepare, "coffer.enclave.pcr0", info->pcr0)) < 0 ||
            (r = annotate_pcr(prepare, "coffer.enclave.pcr1", info->pcr1)) < 0 ||
            (r = annotate_pcr(prepare, "coffer.enclave.pcr2", info->pcr2)) < 0)
                return r;
        return info->has_pcr8 ? annotate_pcr(prepare, "coffer.enclave.pcr8", info->pcr8) : 0;
}

static int read_config(const struct pal_prepare_args *prepare, const struct log *log)
{
        struct spec *spec = NULL;
        int r = arena_new_private(&vm.arena, &why);

        if (r == 0)
                r = spec_parse(view_of(prepare->config, prepare->config_size), prepare->bundle, &vm.arena,
                               log, &spec, &why);
        if (r < 0)
                return r;
        /* An image of its own has its own process and files: of the container it takes the resources. */
        if (vm.args.image) {
                spec->n_mounts = 0;
                spec->linux.n_devices = 0;
                spec->linux.seccomp = NULL;
        }
        return translate(spec, &vm.arena, log, &vm.translated, &why);
}

static int start(const struct pal_prepare_args *prepare, const struct log *log)
{
        int r = args_parse(prepare->args, &vm.args, &why);

        if (r == 0)
                r = read_config(prepare, log);
        if (r < 0)
                return r;
        r = vm.args.image ? machine_start_image(prepare, &vm.args, &vm.translated, log, &vm.machine, &why)
                          : machine_start_root(prepare, &vm.args, &vm.translated, log, &vm.machine, &why);
        return r < 0 ? r : annotate_all(prepare, &vm.machine.info);
}

int pal_prepare(const struct pal_prepare_args *prepare)
{
        why = (struct error){0};
        if (vm.is_prepared)
                return error_set(&why, -EALREADY, "there is an enclave already");
        if (prepare->size < sizeof(*prepare))
                return error_set(&why, -EINVAL, "rune is older than this plug-in");
        const struct log log = make_log(prepare->log_level);
        vm.machine = MACHINE_NONE;
        vm.arena = ARENA_NONE;
        vm.is_prepared = true;
        int r = start(prepare, &log);
        if (r < 0)
                (void)pal_destroy();
        return r;
}

int pal_init(const struct pal_attr_v1 *attr)
{
        (void)attr;
        why = (struct error){0};
        if (!vm.is_prepared)
                return error_set(&why, -EINVAL,
                                 "pal_prepare was not called: rune is too old for this plug-in");
        return vm.machine.client ? client_run(vm.machine.client, &why) : 0;
}

int pal_destroy(void)
{
        machine_done(&vm.machine);
        translated_done(&vm.translated);
        args_done(&vm.args);
        arena_done(&vm.arena);
        vm.is_prepared = false;
        vm.first_came = false;
        return 0;
}

/* ---- processes ----------------------------------------------------------------------------------------- */

static int fill(struct service_process *process, const struct pal_create_process_args *args)
{
        int r = 0;

        for (char **arg = args->argv; r == 0 && *arg; arg++)
                r = service_process_add_arg(process, *arg);
        for (char **entry = args->env; r == 0 && entry && *entry; entry++)
                r = service_process_add_env(process, *entry);
        return r < 0 ? error_errno(&why, -r, "the process's arguments") : 0;
}

/* The container's own process has a terminal where its configuration says so; what a further one is given
 * says it. */
static void choose_terminal(struct service_process *process, struct client_stdio *stdio, bool is_first)
{
        const int *fds = stdio->fds;
        struct winsize size = {0};

        stdio->terminal =
                isatty(fds[0]) && (is_first ? vm.translated.terminal : isatty(fds[1]) && isatty(fds[2]));
        process->terminal = stdio->terminal;
        if (stdio->terminal && ioctl(fds[0], TIOCGWINSZ, &size) == 0) {
                process->rows = size.ws_row;
                process->columns = size.ws_col;
        }
}

static void forget_further(void)
{
        if (further.process)
                arena_done(&further.arena);
        further.process = NULL;
}

int pal_describe_process(const char *text, size_t size)
{
        struct spec_process *process;

        why = (struct error){0};
        forget_further();
        int r = arena_new_private(&further.arena, &why);
        if (r < 0)
                return r;
        r = spec_parse_process(view_of(text, size), &further.arena, NULL, &process, &why);
        if (r < 0)
                arena_done(&further.arena);
        else
                further.process = process;
        return r;
}

static int create_as(struct service_process *process, struct pal_create_process_args *args, bool is_first)
{
        struct client_stdio stdio = {.fds = {args->stdio->stdin, args->stdio->stdout, args->stdio->stderr}};

        choose_terminal(process, &stdio, is_first);
        int r = fill(process, args);
        return r < 0 ? r : client_create(vm.machine.client, process, &stdio, args->pid, &why);
}

static int create_further(struct pal_create_process_args *args)
{
        cleanup_service_process struct service_process process = {0};
        int r = translate_further(further.process, &vm.translated, &process, &why);

        if (r == 0)
                r = create_as(&process, args, false);
        forget_further();
        return r;
}

static int create_in_root(struct pal_create_process_args *args)
{
        /* All but what differs is the container's own, whose arrays stay its. */
        struct service_process process = vm.translated.process;
        bool is_first = !vm.first_came;

        vm.first_came = true;
        if (further.process)
                return create_further(args);
        int r = create_as(&process, args, is_first);
        free(process.argv);
        free(process.env);
        return r;
}

int pal_create_process(struct pal_create_process_args *args)
{
        why = (struct error){0};
        if (vm.machine.client)
                return create_in_root(args);
        if (vm.first_came)
                return error_set(&why, -ENOTSUP, "an enclave image runs its own command, and no further one");
        vm.first_came = true;
        *args->pid = IMAGE_PROCESS;
        return 0;
}

/* Shows the console until its end, which is the enclave's. */
static void show_console(void)
{
        uint8_t bytes[16384];
        ssize_t n;

        while (vm.machine.console_fd >= 0 && (n = read(vm.machine.console_fd, bytes, sizeof(bytes))) != 0) {
                if (n < 0 && errno != EINTR)
                        return;
                if (n > 0 && fd_write_full(STDOUT_FILENO, bytes, (size_t)n) < 0)
                        return;
        }
}

static int exec_image(int *ret_status)
{
        struct enclave_info info = vm.machine.info;
        int r = 0;

        show_console();
        if (info.state != ENCLAVE_EXITED)
                r = leash_wait(vm.machine.leash_fd, &info, &why);
        if (r == 0 && info.state != ENCLAVE_EXITED)
                r = error_set(&why, -EIO, "%s", info.reason);
        if (r == 0)
                *ret_status = info.exit_status & 255;
        return r;
}

int pal_exec(struct pal_exec_args *args)
{
        why = (struct error){0};
        if (vm.machine.client) {
                int r = client_exec(vm.machine.client, args->pid, args->exit_value, &why);
                if (r == -EIO)
                        machine_explain_end(&vm.machine, &why);
                return r;
        }
        if (args->pid != IMAGE_PROCESS)
                return error_set(&why, -ESRCH, "there is no process %d", args->pid);
        return exec_image(args->exit_value);
}

int pal_kill(int pid, int sig)
{
        why = (struct error){0};
        if (sig < 1 || sig > SIGRTMAX)
                return error_set(&why, -EINVAL, "%d is no signal", sig);
        if (!vm.machine.client)
                return sig == SIGWINCH ? 0 : leash_signal(vm.machine.leash_fd, sig, &why);
        return client_kill(vm.machine.client,
                           pid == PAL_KILL_ALL       ? 0
                           : pid == PAL_KILL_CURRENT ? IMAGE_PROCESS
                                                     : pid,
                           sig, &why);
}
