/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/program.h"
#include "rune/commands.h"
#include "rune/help.h"
#include "rune/settings.h"
#include "rune/version.h"

#include <string.h>

enum { HELP_MAX = 64 * 1024 };

const struct command *const rune_commands[] = {
        &rune_attest, &rune_checkpoint, &rune_create, &rune_delete, &rune_events,
        &rune_exec,   &rune_features,   &rune_kill,   &rune_list,   &rune_pause,
        &rune_ps,     &rune_restore,    &rune_resume, &rune_run,    &rune_spec,
        &rune_start,  &rune_state,      &rune_update, NULL,
};

static const struct option global_options[] = {
        {.name = "debug", OPTION_FLAG_IN(struct global_values, debug), .summary = "tell every step"},
        {.name = "log",
         OPTION_TEXT_IN(struct global_values, log),
         .metavar = "FILE",
         .summary = "file that messages are appended to, instead of standard error"},
        {.name = "log-format",
         OPTION_TEXT_IN(struct global_values, log_format),
         .metavar = "FORMAT",
         .summary = "text or json",
         .default_text = "text"},
        {.name = "log-level",
         OPTION_TEXT_IN(struct global_values, log_level),
         .metavar = "LEVEL",
         .summary = "error, warning, info or debug",
         .default_text = "info"},
        {.name = "pal-path",
         OPTION_TEXT_IN(struct global_values, pal_path),
         .metavar = "DIR[:DIR...]",
         .summary = "folders that PALs may be loaded from, beside the system's"},
        {.name = "root",
         OPTION_TEXT_IN(struct global_values, root),
         .metavar = "DIR",
         .summary = "folder for the states of containers",
         .default_text = "/run/rune, for other users $XDG_RUNTIME_DIR/rune"},
        {.name = "systemd-cgroup",
         OPTION_FLAG_IN(struct global_values, systemd_cgroup),
         .summary = "have systemd make control groups; cgroupsPath then is slice:prefix:name"},
        {.name = "cgroup-manager",
         OPTION_TEXT_IN(struct global_values, cgroup_manager),
         .metavar = "MANAGER",
         .summary = "cgroupfs, systemd or disabled, as crun has it",
         .default_text = "cgroupfs"},
        {.name = "rootless",
         OPTION_TEXT_IN(struct global_values, rootless),
         .metavar = "BOOL",
         .summary = "go without control groups where there is no right to make them: true, false or auto",
         .default_text = "auto"},
        {.name = "criu",
         OPTION_TEXT_IN(struct global_values, criu),
         .metavar = "PATH",
         .hidden = true,
         .summary = "taken for compatibility"},
        {.name = "version",
         .letter = 'v',
         OPTION_FLAG_IN(struct global_values, version),
         .summary = "print the version"},
};

const struct option_set rune_global_options = {
        .options = global_options, .n = ARRAY_SIZE(global_options), .rule = OPERANDS_END_OPTIONS};

const struct command *rune_command(const char *name)
{
        for (size_t i = 0; rune_commands[i]; i++) {
                if (strcmp(rune_commands[i]->name, name) == 0)
                        return rune_commands[i];
        }
        return NULL;
}

static int fail(const struct rune *rune, const struct error *err, int status)
{
        messages_failed(&rune->messages, error_text(err));
        return status;
}

static int print_built(const struct rune *rune, const struct buf *text)
{
        struct error err = {0};

        if (text->failed)
                error_oom(&err);
        else if (rune_print(buf_view(text), &err) == 0)
                return RUNE_OK;
        return fail(rune, &err, RUNE_FAILED);
}

static int print_version(const struct rune *rune)
{
        cleanup_buf struct buf text = buf_with_max(HELP_MAX);

        (void)version_append(rune->name, &text);
        return print_built(rune, &text);
}

/* `command` may be NULL: help of the program. */
static int print_help(const struct rune *rune, const struct command *command)
{
        cleanup_buf struct buf text = buf_with_max(HELP_MAX);

        if (command)
                (void)help_command(rune->name, command, &text);
        else
                (void)help_program(rune->name, &text);
        return print_built(rune, &text);
}

static int unknown_command(const struct rune *rune, const char *name)
{
        struct error err = {0};

        error_set(&err, -EINVAL, "No help topic for '%s': there is no such command; see %s --help", name,
                  rune->name);
        return fail(rune, &err, RUNE_USAGE);
}

static void add_usage(const struct rune *rune, const struct command *command, struct error *err)
{
        cleanup_buf struct buf usage = buf_with_max(ERROR_TEXT_MAX);

        (void)help_usage(rune->name, command, &usage);
        error_hint(err, "usage: %s", buf_string(&usage));
}

static int check_operands(const struct command *command, size_t n, const struct rune *rune, struct error *err)
{
        if (command->min_operands == command->max_operands && n != command->min_operands)
                return error_set(err, -EINVAL, "%s: \"%s\" requires exactly %zu argument(s)", rune->name,
                                 command->name, command->min_operands);
        if (n < command->min_operands)
                return error_set(err, -EINVAL, "%s: \"%s\" requires a minimum of %zu argument(s)", rune->name,
                                 command->name, command->min_operands);
        if (n > command->max_operands)
                return error_set(err, -EINVAL, "%s: \"%s\" requires a maximum of %zu argument(s)", rune->name,
                                 command->name, command->max_operands);
        return 0;
}

/* The command does its work: all that was on the line has been understood. */
static int carry_out(struct rune *rune, const struct command *command, const void *values,
                     const struct operands *operands)
{
        struct error err = {0};
        int status = RUNE_OK;

        if (command->run(rune, values, operands, &status, &err) >= 0)
                return status;
        if (command->failure_prefix)
                error_wrap(&err, "%s%s%s", command->failure_is_named ? rune->name : "",
                           command->failure_is_named ? " " : "", command->failure_prefix);
        return fail(rune, &err, command->failure_status ? command->failure_status : RUNE_FAILED);
}

static int run_command(struct rune *rune, const struct command *command, char **words)
{
        cleanup_free void *values = calloc(1, command->values_size + 1);
        struct operands operands;
        struct error err = {0};
        int status;

        if (!values) {
                (void)error_oom(&err);
                return fail(rune, &err, RUNE_FAILED);
        }
        int r = options_parse(&command->options, words, values, &operands, &err);
        if (r == OPTIONS_DONE)
                r = check_operands(command, operands.n, rune, &err);
        if (r == OPTIONS_DONE && command->check)
                r = command->check(values, &operands, &err);
        if (r == OPTIONS_HELP) {
                status = print_help(rune, command);
        } else if (r < 0) {
                add_usage(rune, command, &err);
                status = fail(rune, &err, RUNE_USAGE);
        } else {
                status = carry_out(rune, command, values, &operands);
        }
        options_done(&command->options, values);
        return status;
}

/* `rune help [COMMAND]`. */
static int help_about(const struct rune *rune, const char *topic)
{
        const struct command *command = topic ? rune_command(topic) : NULL;

        return topic && !command ? unknown_command(rune, topic) : print_help(rune, command);
}

/* Of an error in the global options: a value that can't be one, or what the machine says to it. */
static int status_of(int r)
{
        return r == -EINVAL ? RUNE_USAGE : RUNE_FAILED;
}

static int dispatch(struct rune *rune, const struct global_values *globals, const struct operands *words)
{
        const char *name = words->items[0];
        char root[PATH_MAX];
        struct error err = {0};

        if (strcmp(name, "help") == 0)
                return help_about(rune, words->items[1]);
        const struct command *command = rune_command(name);
        if (!command)
                return unknown_command(rune, name);
        int r = settings_engine(globals, root, rune, &err);
        if (r < 0)
                return fail(rune, &err, status_of(r));
        return run_command(rune, command, words->items + 1);
}

/* For programs that look for runc by its name, and for its name in what it prints, rune may be installed
 * under that name. */
static const char *name_of(const char *called)
{
        const char *slash = called ? strrchr(called, '/') : NULL;
        const char *base = slash ? slash + 1 : called;

        return base && strcmp(base, "runc") == 0 ? "runc" : "rune";
}

int program_run(char **argv)
{
        struct global_values globals = {0};
        struct operands words;
        struct rune rune = {.name = name_of(argv[0]), .messages = {.fd = -1}};
        struct error err = {0};
        int r = argv[0] ? options_parse(&rune_global_options, argv + 1, &globals, &words, &err) : -EINVAL,
            status;

        if (r < 0) {
                error_hint(&err, "see %s --help", rune.name);
                return fail(&rune, &err, RUNE_USAGE);
        }
        if (r == OPTIONS_HELP)
                return print_help(&rune, NULL);
        if (globals.version)
                return print_version(&rune);
        if (words.n == 0)
                return print_help(&rune, NULL);
        r = settings_messages(&globals, &rune, &err);
        status = r < 0 ? fail(&rune, &err, status_of(r)) : dispatch(&rune, &globals, &words);
        messages_done(&rune.messages);
        return status;
}
