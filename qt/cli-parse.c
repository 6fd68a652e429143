/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli-parse.c - argv against the tables.
 *
 * One walk from left to right.  Words that are no options name the group, then the command, then are
 * operands. Global arguments are known everywhere, a command's own only behind its name.  --help wins over
 * everything that is merely missing or unknown, as it does with argparse; a malformed value before it does
 * not.
 */
#include "qt/cli.h"
#include "lib/base/text.h"

#include <string.h>
#include <strings.h>

struct parser {
        const struct cli_program *program;
        struct cli_parsed *parsed;
        struct buf *text;
        char *const *argv;
        int argc;
        int at;               /* the argument looked at */
        const char **unknown; /* options that nobody knows, in order */
        size_t n_unknown;
        bool only_operands; /* behind "--" */
};

/* What an option's name leads to. */
struct match {
        const struct cli_argument *argument;
        struct cli_value *value;
        bool is_help;
        bool is_version;
};

enum step { STEP_ON, STEP_DONE };

static bool is_negative_number(const char *word)
{
        return word[0] == '-' && word[1] >= '0' && word[1] <= '9' &&
               word[1 + strspn(word + 1, "0123456789.")] == '\0';
}

/* argparse's rule: "-" is a value, so are negative numbers and words with a blank. */
static bool looks_like_option(const char *word)
{
        return word[0] == '-' && word[1] != '\0' && !is_negative_number(word) && !strchr(word, ' ');
}

static void fail_argument(struct parser *p, const struct cli_argument *argument, const char *message)
{
        cli_usage_error(p->program, p->parsed, p->text, "argument %s%s%s: %s", argument->name,
                        argument->alias ? "/" : "", argument->alias ? argument->alias : "", message);
}

static bool read_number(struct parser *p, const struct cli_argument *argument, struct cli_value *value)
{
        if (parse_u64(value->text, argument->max, &value->number) && value->number >= argument->min)
                return true;
        cleanup_free char *message =
                string_printf("'%s' is not a whole number from %llu to %llu", value->text,
                              (unsigned long long)argument->min, (unsigned long long)argument->max);
        fail_argument(p, argument, message ? message : "out of memory");
        return false;
}

static bool read_choice(struct parser *p, const struct cli_argument *argument, struct cli_value *value)
{
        for (size_t i = 0; argument->choices[i]; i++) {
                if (strcasecmp(value->text, argument->choices[i]) != 0)
                        continue;
                value->number = i;
                return true;
        }
        buf_append_string(p->text, "ERROR: ");
        cli_append_path(p->program, p->parsed, p->text);
        buf_printf(p->text, ": '%s' is not a valid value for '%s%s%s'.\n", value->text, argument->name,
                   argument->alias ? "/" : "", argument->alias ? argument->alias : "");
        for (size_t i = 0; argument->choices[i]; i++)
                buf_printf(p->text, "%s%s", i ? ", " : "Allowed values: ", argument->choices[i]);
        buf_append_byte(p->text, '\n');
        return false;
}

static bool add_to_list(struct parser *p, const struct match *match, const char *text)
{
        size_t n = 0;

        while (match->value->list[n])
                n++;
        if (n == CLI_LIST_MAX) {
                fail_argument(p, match->argument, "it is given too often");
                return false;
        }
        match->value->list[n] = text;
        return true;
}

static bool read_value(struct parser *p, const struct match *match, const char *text)
{
        match->value->text = text;
        match->value->given = true;
        switch (match->argument->kind) {
        case CLI_NUMBER:
                return read_number(p, match->argument, match->value);
        case CLI_CHOICE:
                return read_choice(p, match->argument, match->value);
        case CLI_LIST:
                return add_to_list(p, match, text);
        case CLI_FLAG:
        case CLI_TEXT:
                break;
        }
        return true;
}

/* Everything that the parser knows at this place, one by one. */
static bool nth_option(const struct parser *p, size_t i, const char **ret_name, struct match *ret_match)
{
        const struct cli_command *command = p->parsed->command;

        *ret_match = (struct match){.is_help = i == 0, .is_version = i == 1};
        if (i < 2) {
                /* --version belongs to the program, not to its commands: there it is a name nobody can
                 * type. */
                *ret_name = i == 0 ? "--help" : p->parsed->group ? "" : "--version";
                return true;
        }
        i -= 2;
        if (i < p->program->n_globals) {
                ret_match->argument = &p->program->globals[i];
                ret_match->value = &p->parsed->globals[i];
        } else if (command && i - p->program->n_globals < command->n_arguments) {
                i -= p->program->n_globals;
                ret_match->argument = &command->arguments[i];
                ret_match->value = &p->parsed->values[i];
        } else {
                return false;
        }
        *ret_name = ret_match->argument->name;
        return true;
}

/* The option whose name begins with the first n bytes of `word`: 1, 0 where there is none, -1 (with the error
 * in the text) where there are several and none is exactly it. */
static int find_option(struct parser *p, const char *word, size_t n, struct match *ret_match)
{
        cleanup_buf struct buf candidates = buf_with_max(1024);
        struct match match;
        const char *name;
        int found = 0;

        for (size_t i = 0; nth_option(p, i, &name, &match); i++) {
                if (strncmp(name, word, n) != 0)
                        continue;
                *ret_match = match;
                if (name[n] == '\0')
                        return 1;
                buf_printf(&candidates, "%s%s", found++ ? ", " : "", name);
        }
        if (found > 1) {
                cli_usage_error(p->program, p->parsed, p->text, "ambiguous option: %.*s could match %s",
                                (int)n, word, buf_string(&candidates));
                return -1;
        }
        return found;
}

/* "-o", "-oVALUE", "-o=VALUE". *ret_value is what is attached, or NULL. */
static int find_alias(const struct parser *p, const char *word, struct match *ret_match,
                      const char **ret_value)
{
        const char *name;

        for (size_t i = 0; nth_option(p, i, &name, ret_match); i++) {
                const char *alias = ret_match->argument  ? ret_match->argument->alias
                                    : ret_match->is_help ? "-h"
                                    : *name              ? "-v"
                                                         : NULL;
                if (!alias || strncmp(word, alias, 2) != 0 || (word[2] && !ret_match->argument))
                        continue;
                *ret_value = word[2] == '=' ? word + 3 : word[2] ? word + 2 : NULL;
                return 1;
        }
        return 0;
}

static enum step finish_option(struct parser *p, const struct match *match, const char *attached,
                               enum cli_outcome *ret_outcome)
{
        *ret_outcome = CLI_ERROR;
        if (match->is_help || match->is_version) {
                *ret_outcome = match->is_help ? CLI_HELP : CLI_VERSION;
                return STEP_DONE;
        }
        if (match->argument->kind == CLI_FLAG) {
                match->value->given = true;
                if (!attached)
                        return STEP_ON;
                fail_argument(p, match->argument, "it takes no value");
                return STEP_DONE;
        }
        if (!attached && p->at + 1 < p->argc && !looks_like_option(p->argv[p->at + 1]))
                attached = p->argv[++p->at];
        if (!attached) {
                fail_argument(p, match->argument, "expected one argument");
                return STEP_DONE;
        }
        return read_value(p, match, attached) ? STEP_ON : STEP_DONE;
}

static enum step parse_option(struct parser *p, enum cli_outcome *ret_outcome)
{
        const char *word = p->argv[p->at], *attached = NULL;
        struct match match = {0};
        int found;

        if (word[1] == '-') {
                size_t n = strcspn(word, "=");
                attached = word[n] ? word + n + 1 : NULL;
                found = find_option(p, word, n, &match);
        } else {
                found = find_alias(p, word, &match, &attached);
        }
        if (found < 0) {
                *ret_outcome = CLI_ERROR;
                return STEP_DONE;
        }
        if (found > 0)
                return finish_option(p, &match, attached, ret_outcome);
        p->unknown[p->n_unknown++] = word;
        return STEP_ON;
}

/* The word names no group, or no command of the group. */
static void fail_command(struct parser *p, const char *word)
{
        const struct cli_group *group = p->parsed->group;
        const char *names[CLI_ARGUMENTS_MAX];
        cleanup_buf struct buf path = buf_with_max(256);
        size_t n = 0;

        for (; n < ARRAY_SIZE(names) && n < (group ? group->n_commands : p->program->n_groups); n++)
                names[n] = group ? group->commands[n]->name : p->program->groups[n].name;
        const char *nearest = cli_nearest(word, names, n);
        cli_append_path(p->program, p->parsed, &path);
        buf_printf(p->text, "ERROR: %s: '%s' is not in the '%s' command group. See '%s --help'.\n",
                   buf_string(&path), word, buf_string(&path), buf_string(&path));
        if (nearest)
                buf_printf(p->text, "\nThe most similar choices to '%s':\n\t%s\n", word, nearest);
}

/* A word that is no option: group, command, operand. */
static enum step parse_word(struct parser *p, enum cli_outcome *ret_outcome)
{
        const struct cli_group *group = p->parsed->group;
        const char *word = p->argv[p->at];

        if (p->parsed->command) {
                if (p->parsed->command->operand)
                        p->parsed->operands[p->parsed->n_operands++] = word;
                else
                        p->unknown[p->n_unknown++] = word;
                return STEP_ON;
        }
        for (size_t i = 0; !group && i < p->program->n_groups; i++) {
                if (strcasecmp(p->program->groups[i].name, word) == 0) {
                        p->parsed->group = &p->program->groups[i];
                        return STEP_ON;
                }
        }
        for (size_t i = 0; group && i < group->n_commands; i++) {
                if (strcasecmp(group->commands[i]->name, word) == 0) {
                        p->parsed->command = group->commands[i];
                        return STEP_ON;
                }
        }
        if (strcasecmp(word, "help") == 0) {
                *ret_outcome = CLI_HELP;
                return STEP_DONE;
        }
        fail_command(p, word);
        *ret_outcome = CLI_ERROR;
        return STEP_DONE;
}

/* Defaults for what was not given. */
static void set_defaults(struct cli_value *values, const struct cli_argument *arguments, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (values[i].given || !arguments[i].default_text)
                        continue;
                values[i].text = arguments[i].default_text;
                if (arguments[i].kind == CLI_NUMBER &&
                    !parse_u64(values[i].text, arguments[i].max, &values[i].number))
                        values[i].number = 0; /* a default in words: the command knows */
                for (size_t j = 0; arguments[i].choices && arguments[i].choices[j]; j++)
                        if (strcmp(arguments[i].choices[j], values[i].text) == 0)
                                values[i].number = j;
        }
}

static enum cli_outcome fail_unknown(struct parser *p)
{
        cleanup_buf struct buf words = buf_with_max(4096);
        const char *names[2 * CLI_ARGUMENTS_MAX + 2];
        struct match match;
        size_t n = 0;

        for (size_t i = 0; i < p->n_unknown; i++)
                buf_printf(&words, " %s", p->unknown[i]);
        while (n < ARRAY_SIZE(names) && nth_option(p, n, &names[n], &match))
                n++;
        cleanup_free char *word = strndup(p->unknown[0], strcspn(p->unknown[0], "="));
        const char *nearest = word && word[0] == '-' ? cli_nearest(word, names, n) : NULL;
        cli_usage_error(p->program, p->parsed, p->text, "unrecognized arguments:%s%s%s%s", buf_string(&words),
                        nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
        return CLI_ERROR;
}

/* `--eif "$FILE"` with an unset variable: later on, no message could name the thing. */
static enum cli_outcome check_empty(struct parser *p)
{
        const struct cli_command *command = p->parsed->command;

        for (size_t i = 0; i < command->n_arguments; i++) {
                const struct cli_argument *argument = &command->arguments[i];
                if (!argument->required || argument->kind != CLI_TEXT || p->parsed->values[i].text[0])
                        continue;
                fail_argument(p, argument, "it is empty");
                return CLI_ERROR;
        }
        return CLI_RUN;
}

/* What a complete command line must have. */
static enum cli_outcome check_complete(struct parser *p)
{
        const struct cli_command *command = p->parsed->command;
        cleanup_buf struct buf missing = buf_with_max(1024);

        if (!command) {
                if (p->n_unknown)
                        return fail_unknown(p);
                cli_usage_error(p->program, p->parsed, p->text, "the following arguments are required: %s",
                                p->parsed->group ? "_subcommand" : "_command");
                if (p->parsed->group)
                        buf_printf(p->text, "%s\n", p->parsed->group->description);
                return CLI_ERROR;
        }
        for (size_t i = 0; i < command->n_arguments; i++)
                if (command->arguments[i].required && !p->parsed->values[i].given)
                        buf_printf(&missing, "%s%s", missing.n ? ", " : "", command->arguments[i].name);
        if (command->operand && p->parsed->n_operands == 0)
                buf_printf(&missing, "%s%s", missing.n ? ", " : "", command->operand);
        if (p->n_unknown)
                return fail_unknown(p);
        if (missing.n) {
                cli_usage_error(p->program, p->parsed, p->text, "the following arguments are required: %s",
                                buf_string(&missing));
                return CLI_ERROR;
        }
        return check_empty(p);
}

/* Walks argv. False where that settled it: *ret_outcome. */
static bool walk(struct parser *p, enum cli_outcome *ret_outcome)
{
        for (; p->at < p->argc; p->at++) {
                const char *word = p->argv[p->at];
                if (!p->only_operands && strcmp(word, "--") == 0) {
                        p->only_operands = true;
                        continue;
                }
                enum step step = !p->only_operands && looks_like_option(word) ? parse_option(p, ret_outcome)
                                                                              : parse_word(p, ret_outcome);
                if (step == STEP_DONE)
                        return false;
        }
        return true;
}

enum cli_outcome cli_parse(const struct cli_program *program, int argc, char *const *argv,
                           struct cli_parsed *ret_parsed, struct buf *text)
{
        cleanup_free const char **unknown = calloc((size_t)argc + 1, sizeof(*unknown));
        struct parser p = {.program = program,
                           .parsed = ret_parsed,
                           .text = text,
                           .argv = argv,
                           .argc = argc,
                           .at = 1,
                           .unknown = unknown};
        enum cli_outcome outcome = CLI_ERROR;

        *ret_parsed =
                (struct cli_parsed){.operands = calloc((size_t)argc + 1, sizeof(*ret_parsed->operands))};
        if (!unknown || !ret_parsed->operands) {
                buf_append_string(text, "ERROR: out of memory\n");
                return CLI_ERROR;
        }
        if (!walk(&p, &outcome)) {
                if (outcome == CLI_HELP)
                        cli_help(program, ret_parsed, text);
                return outcome;
        }
        if (!ret_parsed->group && p.n_unknown == 0) {
                cli_welcome(program, text);
                return CLI_HELP;
        }
        set_defaults(ret_parsed->globals, program->globals, program->n_globals);
        if (ret_parsed->command)
                set_defaults(ret_parsed->values, ret_parsed->command->arguments,
                             ret_parsed->command->n_arguments);
        return check_complete(&p);
}

void cli_parsed_done(struct cli_parsed *parsed)
{
        free(parsed->operands);
        parsed->operands = NULL;
}
