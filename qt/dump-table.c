/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump-table.c - the table of commands as JSON, for make-completion.  A program of the build, not installed.
 */
#include "lib/format/json.h"
#include "qt/qt.h"

#include <stdio.h>

static json_t *choices_json(const char *const *choices)
{
        json_t *array = json_array();

        for (; choices && *choices; choices++)
                json_array_append_new(array, json_string(*choices));
        return array;
}

static json_t *arguments_json(const struct cli_argument *arguments, size_t n)
{
        json_t *array = json_array();

        for (size_t i = 0; i < n; i++)
                json_array_append_new(array,
                                      json_pack("{s:s, s:s?, s:b, s:s?, s:s?, s:o}", "name",
                                                arguments[i].name, "alias", arguments[i].alias, "takes_value",
                                                arguments[i].kind != CLI_FLAG, "metavar",
                                                arguments[i].metavar, "summary", arguments[i].summary,
                                                "choices", choices_json(arguments[i].choices)));
        return array;
}

static json_t *group_json(const struct cli_group *group)
{
        json_t *array = json_array();

        for (size_t i = 0; i < group->n_commands; i++) {
                const struct cli_command *command = group->commands[i];
                json_array_append_new(array,
                                      json_pack("{s:s, s:s, s:s?, s:o}", "name", command->name, "summary",
                                                command->summary, "operand", command->operand, "arguments",
                                                arguments_json(command->arguments, command->n_arguments)));
        }
        return json_pack("{s:s, s:s, s:o}", "name", group->name, "summary", group->summary, "commands",
                         array);
}

int main(void)
{
        json_t *groups = json_array();

        for (size_t i = 0; i < qt_program.n_groups; i++)
                json_array_append_new(groups, group_json(&qt_program.groups[i]));
        cleanup_json json_t *all = json_pack("{s:o, s:o}", "groups", groups, "globals",
                                             arguments_json(qt_program.globals, qt_program.n_globals));
        return all && json_dumpf(all, stdout, JSON_INDENT(1)) == 0 ? 0 : 1;
}
