/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli-help.c - help in knack's layout.
 *
 *     --docker-uri [Required] : Summary.  Default: x.
 *     --eif        [Required] : ...
 *     --kernel                : ...
 *
 * All names of a command share one column, global arguments included; summaries are wrapped at 100 columns
 * and go on below themselves.
 */
#include "qt/cli.h"

#include <string.h>

enum { HELP_WIDTH = 100, INDENT = 4, DEEPER = 8 };

/* One line of a list: a name, [Required] or nothing, a summary. */
struct row {
        char *name;
        bool required;
        char *summary;
};

struct rows {
        struct row row[2 * CLI_ARGUMENTS_MAX + 2];
        size_t n;
};

static void rows_done(struct rows *rows)
{
        for (size_t i = 0; i < rows->n; i++) {
                free(rows->row[i].name);
                free(rows->row[i].summary);
        }
}
#define cleanup_rows CLEANUP(rows_done)

static void append_spaces(struct buf *text, size_t n)
{
        while (n-- > 0)
                buf_append_byte(text, ' ');
}

/* Appends words from column `at` on, going on at column `hanging` where a line is full. */
static void append_wrapped(struct buf *text, const char *words, size_t at, size_t hanging)
{
        while (*words) {
                size_t gap = strspn(words, " ");
                size_t n = strcspn(words + gap, " ");

                if (at + gap + n > HELP_WIDTH && n > 0 && at > hanging) {
                        buf_append_byte(text, '\n');
                        append_spaces(text, hanging);
                        at = hanging;
                        gap = 0;
                        words += strspn(words, " ");
                }
                buf_append(text, words, gap + n);
                at += gap + n;
                words += gap + n;
        }
        buf_append_byte(text, '\n');
}

static size_t row_length(const struct row *row)
{
        return strlen(row->name) + (row->required ? strlen("[Required]") + 2 : 1);
}

static size_t widest(const struct rows *rows)
{
        size_t width = 0;

        for (size_t i = 0; i < rows->n; i++)
                width = row_length(&rows->row[i]) > width ? row_length(&rows->row[i]) : width;
        return width;
}

static void append_row(const struct row *row, size_t width, struct buf *text)
{
        size_t padding = width - row_length(row) + (row->required ? 1 : 0);
        bool has_summary = row->summary && *row->summary;

        append_spaces(text, INDENT);
        buf_append_string(text, row->name);
        if (has_summary || row->required)
                append_spaces(text, padding);
        if (row->required)
                buf_append_string(text, "[Required]");
        if (!has_summary) {
                buf_append_byte(text, '\n');
                return;
        }
        buf_append_string(text, " : ");
        append_wrapped(text, row->summary, INDENT + width + 2, INDENT + width + 2);
}

static void append_rows(const struct rows *rows, size_t width, struct buf *text)
{
        for (size_t i = 0; i < rows->n; i++)
                append_row(&rows->row[i], width, text);
        buf_append_byte(text, '\n');
}

/* Required ones first, then by name. */
static int compare_rows(const void *a, const void *b)
{
        const struct row *x = a, *y = b;

        if (x->required != y->required)
                return x->required ? -1 : 1;
        return strcmp(x->name, y->name);
}

static char *argument_summary(const struct cli_argument *argument)
{
        cleanup_buf struct buf summary = buf_with_max(4096);

        buf_append_string(&summary, argument->summary ? argument->summary : "");
        for (size_t i = 0; argument->choices && argument->choices[i]; i++)
                buf_printf(&summary, "%s%s", i ? ", " : "  Allowed values: ", argument->choices[i]);
        if (argument->choices)
                buf_append_byte(&summary, '.');
        if (argument->default_text)
                buf_printf(&summary, "%sDefault: %s.", summary.n ? "  " : "", argument->default_text);
        return buf_take_string(&summary);
}

static void add_row(struct rows *rows, char *name, bool required, char *summary)
{
        if (!name || rows->n == ARRAY_SIZE(rows->row)) {
                free(name);
                free(summary);
                return;
        }
        rows->row[rows->n++] = (struct row){.name = name, .required = required, .summary = summary};
}

static void add_arguments(struct rows *rows, const struct cli_argument *arguments, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                cleanup_buf struct buf name = buf_with_max(256);
                buf_append_string(&name, arguments[i].name);
                if (arguments[i].alias)
                        buf_printf(&name, " %s", arguments[i].alias);
                add_row(rows, buf_take_string(&name), arguments[i].required, argument_summary(&arguments[i]));
        }
}

static void append_examples(const struct cli_example *examples, size_t n, struct buf *text)
{
        if (n > 0)
                buf_append_string(text, "Examples\n");
        for (size_t i = 0; i < n; i++) {
                append_spaces(text, INDENT);
                append_wrapped(text, examples[i].title, INDENT, INDENT);
                append_spaces(text, DEEPER);
                append_wrapped(text, examples[i].text, DEEPER, DEEPER);
                buf_append_byte(text, '\n');
        }
}

static void help_command(const struct cli_program *program, const struct cli_parsed *parsed, struct buf *text)
{
        const struct cli_command *command = parsed->command;
        cleanup_rows struct rows own = {0}, global = {0};

        add_arguments(&own, command->arguments, command->n_arguments);
        if (command->operand)
                add_row(&own, strdup(command->operand), true, strdup(command->operand_summary));
        add_arguments(&global, program->globals, program->n_globals);
        add_row(&global, strdup("--help -h"), false, strdup("Show this help message and exit."));
        qsort(own.row, own.n, sizeof(own.row[0]), compare_rows);
        qsort(global.row, global.n, sizeof(global.row[0]), compare_rows);
        size_t width = widest(&own) > widest(&global) ? widest(&own) : widest(&global);

        buf_append_string(text, "\nCommand\n    ");
        cli_append_path(program, parsed, text);
        buf_printf(text, " : %s\n\nArguments\n", command->summary);
        append_rows(&own, width, text);
        buf_append_string(text, "Global Arguments\n");
        append_rows(&global, width, text);
        append_examples(command->examples, command->n_examples, text);
}

static void help_group(const struct cli_program *program, const struct cli_parsed *parsed, struct buf *text)
{
        cleanup_rows struct rows rows = {0};

        for (size_t i = 0; i < parsed->group->n_commands; i++)
                add_row(&rows, strdup(parsed->group->commands[i]->name), false,
                        strdup(parsed->group->commands[i]->summary));
        qsort(rows.row, rows.n, sizeof(rows.row[0]), compare_rows);
        buf_append_string(text, "\nGroup\n    ");
        cli_append_path(program, parsed, text);
        buf_printf(text, " : %s\n\nCommands:\n", parsed->group->summary);
        append_rows(&rows, widest(&rows), text);
        append_examples(parsed->group->examples, parsed->group->n_examples, text);
}

static void append_groups(const struct cli_program *program, struct buf *text)
{
        cleanup_rows struct rows rows = {0};

        for (size_t i = 0; i < program->n_groups; i++)
                add_row(&rows, strdup(program->groups[i].name), false, strdup(program->groups[i].summary));
        qsort(rows.row, rows.n, sizeof(rows.row[0]), compare_rows);
        append_rows(&rows, widest(&rows), text);
}

void cli_help(const struct cli_program *program, const struct cli_parsed *parsed, struct buf *text)
{
        if (parsed->command) {
                help_command(program, parsed, text);
        } else if (parsed->group) {
                help_group(program, parsed, text);
        } else {
                buf_printf(text, "\nGroup\n    %s\n\nSubgroups:\n", program->name);
                append_groups(program, text);
        }
}

void cli_welcome(const struct cli_program *program, struct buf *text)
{
        buf_append_string(text, program->welcome);
        append_groups(program, text);
        if (text->n > 0 && !text->failed)
                text->p[--text->n] = '\0'; /* a list ends with a blank line, the welcome does not */
}
