/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/help.h"

#include <string.h>

/* "--bundle DIR, -b DIR": appended, and how long it is. */
static size_t append_option_name(const struct option *option, struct buf *text)
{
        size_t before = text->n;
        const char *space = option->metavar ? " " : "", *metavar = option->metavar ? option->metavar : "";

        (void)buf_printf(text, "--%s%s%s", option->name, space, metavar);
        if (option->letter)
                (void)buf_printf(text, ", -%c%s%s", option->letter, space, metavar);
        return text->n - before;
}

static size_t widest(const struct option_set *set)
{
        cleanup_buf struct buf scratch = buf_with_max(4096);
        size_t width = strlen("--help, -h");
        const struct option *option;

        for (size_t i = 0; (option = option_at(set, i)); i++) {
                size_t n = option->hidden ? 0 : append_option_name(option, &scratch);

                buf_consume(&scratch, scratch.n);
                if (n > width)
                        width = n;
        }
        return width;
}

static int append_options(const char *heading, const struct option_set *set, struct buf *text)
{
        size_t width = widest(set);
        const struct option *option;

        (void)buf_printf(text, "\n%s:\n", heading);
        for (size_t i = 0; (option = option_at(set, i)); i++) {
                if (option->hidden)
                        continue;
                (void)buf_append_string(text, "   ");
                size_t n = append_option_name(option, text);
                (void)buf_printf(text, "%*s  %s", (int)(width - n), "", option->summary);
                if (option->default_text)
                        (void)buf_printf(text, " (default: %s)", option->default_text);
                (void)buf_append_byte(text, '\n');
        }
        return buf_printf(text, "   %-*s  show help\n", (int)width, "--help, -h");
}

int help_usage(const char *name, const struct command *command, struct buf *text)
{
        return buf_printf(text, "%s %s%s%s%s", name, command->name,
                          option_at(&command->options, 0) ? " [options]" : "", *command->usage ? " " : "",
                          command->usage);
}

int help_command(const char *name, const struct command *command, struct buf *text)
{
        (void)buf_printf(text, "NAME:\n   %s %s - %s\n\nUSAGE:\n   ", name, command->name, command->summary);
        (void)help_usage(name, command, text);
        (void)buf_append_byte(text, '\n');
        if (command->description)
                (void)buf_printf(text, "\nDESCRIPTION:\n%s\n", command->description);
        return append_options("OPTIONS", &command->options, text);
}

int help_program(const char *name, struct buf *text)
{
        (void)buf_printf(
                text,
                "NAME:\n"
                "   %s - Open Container Initiative runtime\n"
                "\n"
                "USAGE:\n"
                "   %s [global options] command [options] [arguments ...]\n"
                "\n"
                "DESCRIPTION:\n"
                "Runs containers for Docker, Podman, containerd and CRI-O, or by hand: a folder with a root\n"
                "file system and a config.json (`%s spec` writes one to start from) is a bundle, and\n"
                "`%s run -b BUNDLE ID` runs it.  Without -b the bundle is the current folder.\n"
                "\n"
                "COMMANDS:\n",
                name, name, name, name);
        for (size_t i = 0; rune_commands[i]; i++)
                (void)buf_printf(text, "   %-10s  %s\n", rune_commands[i]->name, rune_commands[i]->summary);
        return append_options("GLOBAL OPTIONS", &rune_global_options, text);
}
