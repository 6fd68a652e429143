/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli-usage.c - usage lines and errors as argparse writes them: wrapped at 78 columns, going on below the
 * first argument.
 */
#include "qt/cli.h"

#include <stdarg.h>
#include <string.h>

enum { USAGE_WIDTH = 78, WORD_MAX = 64 };

void cli_append_path(const struct cli_program *program, const struct cli_parsed *parsed, struct buf *text)
{
        buf_append_string(text, program->name);
        if (parsed->group)
                buf_printf(text, " %s", parsed->group->name);
        if (parsed->command)
                buf_printf(text, " %s", parsed->command->name);
}

struct usage {
        struct buf *text;
        size_t indent; /* where further lines begin */
        size_t at;     /* column */
};

/* Appends one part that is not broken, "[--eif EIF]". */
static void append_part(struct usage *usage, const struct buf *part)
{
        if (usage->at + 1 + part->n > USAGE_WIDTH && usage->at > usage->indent) {
                buf_append_byte(usage->text, '\n');
                for (size_t i = 0; i < usage->indent; i++)
                        buf_append_byte(usage->text, ' ');
                usage->at = usage->indent;
        } else {
                buf_append_byte(usage->text, ' ');
                usage->at++;
        }
        buf_append_view(usage->text, buf_view(part));
        usage->at += part->n;
}

static void append_text_part(struct usage *usage, const char *text)
{
        cleanup_buf struct buf part = buf_with_max(1024);

        buf_append_string(&part, text);
        append_part(usage, &part);
}

static void append_argument(struct usage *usage, const struct cli_argument *argument)
{
        cleanup_buf struct buf part = buf_with_max(1024);

        buf_printf(&part, "%s%s", argument->required ? "" : "[", argument->name);
        if (argument->metavar)
                buf_printf(&part, " %s", argument->metavar);
        for (size_t i = 0; argument->choices && argument->choices[i]; i++)
                buf_printf(&part, "%s%s", i ? "," : " {", argument->choices[i]);
        buf_printf(&part, "%s%s", argument->choices ? "}" : "", argument->required ? "" : "]");
        append_part(usage, &part);
}

/* "{make-img,start} ..." */
static void append_commands(const struct cli_program *program, const struct cli_parsed *parsed,
                            struct buf *text)
{
        size_t n = parsed->group ? parsed->group->n_commands : program->n_groups;

        for (size_t i = 0; i < n; i++)
                buf_printf(text, "%s%s", i ? "," : " {",
                           parsed->group ? parsed->group->commands[i]->name : program->groups[i].name);
        buf_append_string(text, "} ...\n");
}

static void append_usage(const struct cli_program *program, const struct cli_parsed *parsed, struct buf *text)
{
        const struct cli_command *command = parsed->command;
        size_t start = text->n;

        buf_append_string(text, "usage: ");
        cli_append_path(program, parsed, text);
        struct usage usage = {.text = text, .indent = text->n - start + 1, .at = text->n - start};
        append_text_part(&usage, "[-h]");
        if (!command) {
                append_commands(program, parsed, text);
                return;
        }
        for (size_t i = 0; i < command->n_arguments; i++)
                append_argument(&usage, &command->arguments[i]);
        for (size_t i = 0; i < program->n_globals; i++)
                append_argument(&usage, &program->globals[i]);
        if (command->operand) {
                append_text_part(&usage, command->operand);
                append_text_part(&usage, "...");
        }
        buf_append_byte(text, '\n');
}

void cli_usage_error(const struct cli_program *program, const struct cli_parsed *parsed, struct buf *text,
                     const char *format, ...)
{
        cleanup_free char *message = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&message, format, ap) < 0)
                message = NULL;
        va_end(ap);
        append_usage(program, parsed, text);
        cli_append_path(program, parsed, text);
        buf_printf(text, ": error: %s\n", message ? message : "out of memory");
}

/* Edits that turn one word into the other: letters inserted, removed, replaced, or two swapped. */
static size_t edit_distance(const char *a, const char *b)
{
        size_t rows[3][WORD_MAX + 1] = {0};
        size_t n_a = strnlen(a, WORD_MAX), n_b = strnlen(b, WORD_MAX);

        for (size_t j = 0; j <= n_b; j++)
                rows[0][j] = j;
        for (size_t i = 1; i <= n_a; i++) {
                size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];
                row[0] = i;
                for (size_t j = 1; j <= n_b; j++) {
                        size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
                        best = above[j] + 1 < best ? above[j] + 1 : best;
                        best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                            above2[j - 2] + 1 < best)
                                best = above2[j - 2] + 1;
                        row[j] = best;
                }
        }
        return rows[n_a % 3][n_b];
}

const char *cli_nearest(const char *word, const char *const *names, size_t n)
{
        const char *nearest = NULL;
        size_t best = strnlen(word, WORD_MAX) / 3 + 1;

        for (size_t i = 0; i < n; i++) {
                size_t distance = edit_distance(word, names[i]);
                if (distance < best) {
                        best = distance;
                        nearest = names[i];
                }
        }
        return nearest;
}
