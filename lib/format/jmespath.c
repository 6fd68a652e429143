/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/format/jmespath-internal.h"

#include <stdarg.h>
#include <string.h>

/* A search may visit this many nodes and elements, and its result may have so many; texts count by their
 * length.  Queries are typed by people, but a short one can ask for an endless amount of work:
 * `[@,@][]|[@,@][]|...` doubles with every part, and the data may be a stranger's. */
#define STEPS_MAX UINT64_C(10000000)

const char *jmespath_class_name(enum jmespath_class class)
{
        static const char *const names[] = {
                [JMESPATH_NONE] = "none",
                [JMESPATH_SYNTAX] = "syntax",
                [JMESPATH_INVALID_TYPE] = "invalid-type",
                [JMESPATH_INVALID_VALUE] = "invalid-value",
                [JMESPATH_INVALID_ARITY] = "invalid-arity",
                [JMESPATH_UNKNOWN_FUNCTION] = "unknown-function",
                [JMESPATH_LIMIT] = "limit",
        };
        return names[class];
}

/* People count characters, from 1. */
static size_t character_number(const char *text, size_t at)
{
        size_t n = 1;

        for (size_t i = 0; i < at && text[i]; i++)
                if (((unsigned char)text[i] & 0xc0) != 0x80)
                        n++;
        return n;
}

int jmespath_fail(const struct jmespath_report *report, enum jmespath_class class, size_t at,
                  const char *format, ...)
{
        int code = class == JMESPATH_LIMIT ? -E2BIG : -EINVAL;
        cleanup_free char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        if (report->problem)
                *report->problem = (struct jmespath_problem){.class = class, .at = at};
        return error_set(report->err, code, "%s error at character %zu: %s", jmespath_class_name(class),
                         character_number(report->text, at), text ? text : "out of memory");
}

static int check_text(const struct jmespath_report *report)
{
        size_t length = strlen(report->text);

        if (length == 0)
                return jmespath_fail(report, JMESPATH_SYNTAX, 0, "the expression is empty");
        if (length > JMESPATH_LENGTH_MAX)
                return jmespath_fail(report, JMESPATH_LIMIT, JMESPATH_LENGTH_MAX,
                                     "the expression has %zu bytes, more than %d", length,
                                     JMESPATH_LENGTH_MAX);
        return 0;
}

int jmespath_compile(const char *expression, struct jmespath **ret_query,
                     struct jmespath_problem *reterr_problem, struct error *err)
{
        struct jmespath_report report = {.text = expression, .problem = reterr_problem, .err = err};
        cleanup_jmespath struct jmespath *query = calloc(1, sizeof(*query));
        cleanup_free struct token *tokens = NULL;

        int r = check_text(&report);
        if (r < 0)
                return r;
        if (!query || !(query->text = strdup(expression)) || !(query->values = json_array()))
                return jmespath_fail(&report, JMESPATH_LIMIT, 0, "out of memory");
        r = jmespath_tokenize(&report, query->values, &tokens);
        if (r == 0)
                r = jmespath_parse(&report, tokens, query);
        if (r < 0)
                return r;
        *ret_query = take_pointer(&query);
        return 0;
}

int jmespath_search(const struct jmespath *query, json_t *value, json_t **ret_result, json_t **ret_made,
                    struct jmespath_problem *reterr_problem, struct error *err)
{
        struct jmespath_problem problem = {.class = JMESPATH_NONE};
        struct jmespath_report report = {.text = query->text, .problem = &problem, .err = err};
        cleanup_json json_t *made = json_array();
        struct evaluation ev = {.report = &report, .steps = STEPS_MAX, .made = made};

        if (!made)
                return error_oom(err);
        cleanup_json json_t *result = jmespath_evaluate(&ev, query->root, value);
        /* As often as it will be written: `map(&`[0, 0, ...]`, @)` has one array in many places. */
        if (!result || !jmespath_spend_tree(&ev, query->root, result)) {
                if (reterr_problem)
                        *reterr_problem = problem;
                return problem.class == JMESPATH_LIMIT ? -E2BIG : -EINVAL;
        }
        *ret_result = take_pointer(&result);
        if (ret_made)
                *ret_made = take_pointer(&made);
        return 0;
}

void jmespath_free(struct jmespath *query)
{
        if (!query)
                return;
        for (struct node *node = query->nodes, *next; node; node = next) {
                next = node->next;
                free(node->list.items);
                free(node->list.keys);
                free(node);
        }
        json_decref(query->values);
        free(query->text);
        free(query);
}
