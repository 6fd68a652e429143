/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jmespath-functions.c - the functions of the specification, in a table: name, types of the arguments, code.
 */
#include "lib/format/jmespath-internal.h"

#include <math.h>
#include <string.h>

/* Types that an argument may have, as bits. */
enum {
        T_NUMBER = 1 << 0,
        T_STRING = 1 << 1,
        T_BOOLEAN = 1 << 2,
        T_ARRAY = 1 << 3,
        T_OBJECT = 1 << 4,
        T_NULL = 1 << 5,
        T_EXPREF = 1 << 6,
        T_NUMBERS = 1 << 7, /* an array of numbers only */
        T_STRINGS = 1 << 8, /* an array of strings only */
        T_ANY = T_NUMBER | T_STRING | T_BOOLEAN | T_ARRAY | T_OBJECT | T_NULL,
};

enum {
        ARGUMENTS_MAX = 2,           /* that a signature names; a variadic function's last one repeats */
        TEXT_MAX = 64 * 1024 * 1024, /* of one that to_string() or join() makes */
};

/* A call whose arguments are known and of the right types. */
struct call {
        struct evaluation *ev;
        const struct node *node;
        json_t **args; /* NULL at the place of an expression reference */
        size_t n;
};

struct jmespath_function {
        const char *name;
        unsigned types[ARGUMENTS_MAX];
        bool variadic;
        json_t *(*run)(const struct call *call);
};

static const struct {
        unsigned type;
        const char *name;
} type_names[] = {
        {T_NUMBER, "number"},
        {T_STRING, "string"},
        {T_BOOLEAN, "boolean"},
        {T_ARRAY, "array"},
        {T_OBJECT, "object"},
        {T_NULL, "null"},
        {T_EXPREF, "expression reference (&...)"},
        {T_NUMBERS, "array of numbers"},
        {T_STRINGS, "array of strings"},
};

static unsigned type_of(const json_t *value)
{
        switch (json_typeof(value)) {
        case JSON_OBJECT:
                return T_OBJECT;
        case JSON_ARRAY:
                return T_ARRAY;
        case JSON_STRING:
                return T_STRING;
        case JSON_INTEGER:
        case JSON_REAL:
                return T_NUMBER;
        case JSON_TRUE:
        case JSON_FALSE:
                return T_BOOLEAN;
        case JSON_NULL:
                break;
        }
        return T_NULL;
}

static const char *type_name(const json_t *value)
{
        for (size_t i = 0; i < ARRAY_SIZE(type_names); i++)
                if (type_names[i].type == type_of(value))
                        return type_names[i].name;
        return "null";
}

/* "string or array": the wanted types in words. */
static void describe_types(unsigned types, struct buf *b)
{
        for (size_t i = 0; i < ARRAY_SIZE(type_names); i++)
                if (types & type_names[i].type)
                        buf_printf(b, "%s%s", b->n ? " or " : "", type_names[i].name);
}

static json_t *fail_type(const struct call *call, size_t i, unsigned wanted, const char *found)
{
        cleanup_buf struct buf types = buf_with_max(256);

        describe_types(wanted, &types);
        jmespath_fail(call->ev->report, JMESPATH_INVALID_TYPE, call->node->list.items[i]->at,
                      "argument %zu of %s() must be of type %s, but is %s", i + 1, call->node->function->name,
                      buf_string(&types), found);
        return NULL;
}

static json_t *fail_memory(const struct call *call)
{
        return jmespath_no_memory(call->ev, call->node);
}

/* The value, or "out of memory" where it is NULL. */
static json_t *or_no_memory(const struct call *call, json_t *value)
{
        return value ? value : fail_memory(call);
}

/* A text that could not be made. */
static json_t *fail_text(const struct call *call, const struct buf *text)
{
        if (text->failed != -E2BIG)
                return fail_memory(call);
        jmespath_fail(call->ev->report, JMESPATH_LIMIT, call->node->at,
                      "the text that %s() makes has more than %zu bytes", call->node->function->name,
                      text->max);
        return NULL;
}

/* Keys are copied. */
static bool spend_keys(const struct call *call, json_t *object)
{
        for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
                if (!jmespath_spend_made(call->ev, call->node, strlen(json_object_iter_key(it))))
                        return false;
        return true;
}

static bool all_of(const json_t *array, unsigned type)
{
        json_t *element;
        size_t i;

        json_array_foreach (array, i, element) {
                if (type_of(element) != type)
                        return false;
        }
        return true;
}

static bool type_fits(const json_t *value, unsigned types)
{
        if (type_of(value) & types)
                return true;
        if (!json_is_array(value))
                return false;
        return ((types & T_NUMBERS) && all_of(value, T_NUMBER)) ||
               ((types & T_STRINGS) && all_of(value, T_STRING));
}

/* A real, or an integer where the result is whole and fits; NULL where it is no finite number. */
static json_t *whole_number(double value)
{
        if (value >= -0x1p63 && value < 0x1p63)
                return json_integer((json_int_t)value);
        return json_real(value);
}

static json_t *or_not_finite(const struct call *call, json_t *value)
{
        if (!value)
                jmespath_fail(call->ev->report, JMESPATH_INVALID_VALUE, call->node->at,
                              "the result of %s() is too large a number", call->node->function->name);
        return value;
}

static json_t *run_abs(const struct call *call)
{
        const json_t *number = call->args[0];

        if (json_is_integer(number) && json_integer_value(number) >= 0)
                return json_incref(call->args[0]);
        if (json_is_integer(number) && json_integer_value(number) != INT64_MIN)
                return or_no_memory(call, json_integer(-json_integer_value(number)));
        return or_no_memory(call, json_real(fabs(json_number_value(number))));
}

static json_t *run_ceil(const struct call *call)
{
        if (json_is_integer(call->args[0]))
                return json_incref(call->args[0]);
        return or_no_memory(call, whole_number(ceil(json_real_value(call->args[0]))));
}

static json_t *run_floor(const struct call *call)
{
        if (json_is_integer(call->args[0]))
                return json_incref(call->args[0]);
        return or_no_memory(call, whole_number(floor(json_real_value(call->args[0]))));
}

/* Integers are added as integers as long as they fit. */
static json_t *run_sum(const struct call *call)
{
        bool whole = true;
        json_int_t sum = 0;
        double real = 0;
        json_t *element;
        size_t i;

        json_array_foreach (call->args[0], i, element) {
                whole = whole && json_is_integer(element) &&
                        !__builtin_add_overflow(sum, json_integer_value(element), &sum);
                real += json_number_value(element);
        }
        return or_not_finite(call, whole ? json_integer(sum) : json_real(real));
}

static json_t *run_avg(const struct call *call)
{
        size_t n = json_array_size(call->args[0]);

        if (n == 0)
                return json_null();
        cleanup_json json_t *sum = run_sum(call);
        return sum ? or_not_finite(call, json_real(json_number_value(sum) / (double)n)) : NULL;
}

static json_t *run_contains(const struct call *call)
{
        const json_t *subject = call->args[0], *search = call->args[1];
        json_t *element;
        size_t i;

        if (json_is_string(subject))
                return json_boolean(json_is_string(search) &&
                                    memmem(json_string_value(subject), json_string_length(subject),
                                           json_string_value(search), json_string_length(search)));
        json_array_foreach (subject, i, element) {
                bool same;
                if (!jmespath_same(call->ev, call->node, element, search, &same))
                        return NULL;
                if (same)
                        return json_true();
        }
        return json_false();
}

static json_t *run_starts_with(const struct call *call)
{
        size_t n = json_string_length(call->args[1]);

        return json_boolean(n <= json_string_length(call->args[0]) &&
                            memcmp(json_string_value(call->args[0]), json_string_value(call->args[1]), n) ==
                                    0);
}

static json_t *run_ends_with(const struct call *call)
{
        size_t n = json_string_length(call->args[1]), length = json_string_length(call->args[0]);

        return json_boolean(n <= length && memcmp(json_string_value(call->args[0]) + length - n,
                                                  json_string_value(call->args[1]), n) == 0);
}

static json_t *run_join(const struct call *call)
{
        cleanup_buf struct buf text = buf_with_max(TEXT_MAX);
        json_t *element;
        size_t i;

        json_array_foreach (call->args[1], i, element) {
                size_t n = json_string_length(element) + json_string_length(call->args[0]);
                if (!jmespath_spend_made(call->ev, call->node, n))
                        return NULL;
                if (i > 0)
                        buf_append(&text, json_string_value(call->args[0]),
                                   json_string_length(call->args[0]));
                buf_append(&text, json_string_value(element), json_string_length(element));
        }
        return text.failed ? fail_text(call, &text)
                           : or_no_memory(call, json_stringn(buf_string(&text), text.n));
}

static json_t *run_keys(const struct call *call)
{
        cleanup_json json_t *result = json_array();

        if (!spend_keys(call, call->args[0]))
                return NULL;
        for (void *it = json_object_iter(call->args[0]); it; it = json_object_iter_next(call->args[0], it))
                if (json_array_append_new(result, json_string(json_object_iter_key(it))) < 0)
                        return fail_memory(call);
        return or_no_memory(call, take_pointer(&result));
}

static json_t *run_values(const struct call *call)
{
        cleanup_json json_t *result = json_array();

        for (void *it = json_object_iter(call->args[0]); it; it = json_object_iter_next(call->args[0], it))
                if (json_array_append(result, json_object_iter_value(it)) < 0)
                        return fail_memory(call);
        return or_no_memory(call, take_pointer(&result));
}

/* A string's length is counted in characters. */
static json_t *run_length(const struct call *call)
{
        const json_t *value = call->args[0];
        size_t n = json_array_size(value) + json_object_size(value);

        for (size_t i = 0; i < json_string_length(value); i++)
                n += ((unsigned char)json_string_value(value)[i] & 0xc0) != 0x80;
        return or_no_memory(call, json_integer((json_int_t)n));
}

static json_t *run_map(const struct call *call)
{
        cleanup_json json_t *result = json_array();
        const struct node *expression = call->node->list.items[0]->left;
        json_t *element;
        size_t i;

        json_array_foreach (call->args[1], i, element) {
                json_t *mapped = jmespath_evaluate(call->ev, expression, element);
                if (!mapped)
                        return NULL;
                if (json_array_append_new(result, mapped) < 0)
                        return fail_memory(call);
        }
        return or_no_memory(call, take_pointer(&result));
}

static json_t *run_merge(const struct call *call)
{
        cleanup_json json_t *result = json_object();

        for (size_t i = 0; i < call->n; i++) {
                if (!spend_keys(call, call->args[i]))
                        return NULL;
                if (!result || json_object_update(result, call->args[i]) < 0)
                        return fail_memory(call);
        }
        return take_pointer(&result);
}

static json_t *run_not_null(const struct call *call)
{
        for (size_t i = 0; i < call->n; i++)
                if (!json_is_null(call->args[i]))
                        return json_incref(call->args[i]);
        return json_null();
}

static json_t *reverse_string(const struct call *call, const char *s, size_t n)
{
        cleanup_free char *text = malloc(n + 1);
        size_t at = n;

        if (!text)
                return fail_memory(call);
        for (size_t i = 0, length; i < n; i += length) {
                length = 1;
                while (i + length < n && ((unsigned char)s[i + length] & 0xc0) == 0x80)
                        length++;
                at -= length;
                memcpy(text + at, s + i, length);
        }
        return or_no_memory(call, json_stringn(text, n));
}

static json_t *run_reverse(const struct call *call)
{
        json_t *value = call->args[0];
        cleanup_json json_t *result = json_array();

        if (!jmespath_spend_made(call->ev, call->node, json_string_length(value)))
                return NULL;
        if (json_is_string(value))
                return reverse_string(call, json_string_value(value), json_string_length(value));
        for (size_t i = json_array_size(value); i > 0; i--)
                if (json_array_append(result, json_array_get(value, i - 1)) < 0)
                        return fail_memory(call);
        return or_no_memory(call, take_pointer(&result));
}

/* An element and what it is ordered by: a number or a string. */
struct keyed {
        json_t *element; /* borrowed */
        json_t *key;     /* owned */
        size_t at;       /* makes the order stable */
};

static int compare_keyed(const void *a, const void *b)
{
        const struct keyed *x = a, *y = b;
        int order = jmespath_compare(x->key, y->key);

        return order ? order : (x->at > y->at) - (x->at < y->at);
}

struct keyed_list {
        struct keyed *items;
        size_t n;
};

static void keyed_list_done(struct keyed_list *list)
{
        for (size_t i = 0; i < list->n; i++)
                json_decref(list->items[i].key);
        free(list->items);
}
#define cleanup_keyed_list CLEANUP(keyed_list_done)

/* Elements of the first argument, each with its key: what the second argument, an expression reference, gives
 * for it, or the element itself where there is no second argument.  Keys are all numbers or all strings. */
static bool make_keyed(const struct call *call, struct keyed_list *list)
{
        const struct node *expression = call->n > 1 ? call->node->list.items[1]->left : NULL;
        json_t *element;
        size_t i;

        list->items = calloc(json_array_size(call->args[0]) + 1, sizeof(*list->items));
        if (!list->items) {
                fail_memory(call);
                return false;
        }
        json_array_foreach (call->args[0], i, element) {
                json_t *key =
                        expression ? jmespath_evaluate(call->ev, expression, element) : json_incref(element);
                if (!key)
                        return false;
                /* A sort looks at each a few times, as the logarithm of their number says. */
                for (size_t n = json_array_size(call->args[0]); n > 0; n /= 2)
                        if (!jmespath_spend_read(call->ev, call->node, json_string_length(key))) {
                                json_decref(key);
                                return false;
                        }
                list->items[list->n++] = (struct keyed){.element = element, .key = key, .at = i};
                unsigned type = type_of(list->items[0].key);
                if (type_of(key) != type || !(type & (T_NUMBER | T_STRING))) {
                        jmespath_fail(call->ev->report, JMESPATH_INVALID_TYPE,
                                      call->node->list.items[call->n - 1]->at,
                                      "%s() orders by numbers or by strings, but element %zu gives %s",
                                      call->node->function->name, i, type_name(key));
                        return false;
                }
        }
        return true;
}

static json_t *run_sort(const struct call *call)
{
        cleanup_keyed_list struct keyed_list list = {0};
        cleanup_json json_t *result = json_array();

        if (!make_keyed(call, &list))
                return NULL;
        qsort(list.items, list.n, sizeof(*list.items), compare_keyed);
        for (size_t i = 0; i < list.n; i++)
                if (json_array_append(result, list.items[i].element) < 0)
                        return fail_memory(call);
        return or_no_memory(call, take_pointer(&result));
}

/* Of equal ones the first wins. `sign` is 1 for the greatest, -1 for the least. */
static json_t *extreme(const struct call *call, int sign)
{
        cleanup_keyed_list struct keyed_list list = {0};
        size_t best = 0;

        if (!make_keyed(call, &list))
                return NULL;
        for (size_t i = 1; i < list.n; i++)
                if (jmespath_compare(list.items[i].key, list.items[best].key) * sign > 0)
                        best = i;
        return list.n ? json_incref(list.items[best].element) : json_null();
}

static json_t *run_max(const struct call *call)
{
        return extreme(call, 1);
}

static json_t *run_min(const struct call *call)
{
        return extreme(call, -1);
}

static json_t *run_to_array(const struct call *call)
{
        if (json_is_array(call->args[0]))
                return json_incref(call->args[0]);
        cleanup_json json_t *result = json_array();
        if (json_array_append(result, call->args[0]) < 0)
                return fail_memory(call);
        return take_pointer(&result);
}

static json_t *run_to_string(const struct call *call)
{
        cleanup_buf struct buf text = buf_with_max(TEXT_MAX);

        if (json_is_string(call->args[0]))
                return json_incref(call->args[0]);
        if (json_write_compact(call->args[0], &text) < 0)
                return fail_text(call, &text);
        if (!jmespath_spend_made(call->ev, call->node, text.n))
                return NULL;
        return or_no_memory(call, json_stringn(buf_string(&text), text.n));
}

/* A string that JSON would take as a number; anything else but a number is null. */
static json_t *run_to_number(const struct call *call)
{
        const json_t *value = call->args[0];
        json_error_t ignored;

        if (json_is_number(value))
                return json_incref(call->args[0]);
        if (!json_is_string(value))
                return json_null();
        /* Reading numbers is slow: a step for each digit. */
        if (!jmespath_spend(call->ev, call->node, json_string_length(value)))
                return NULL;
        const char *text = json_string_value(value);
        if (text[0] != '-' && (text[0] < '0' || text[0] > '9'))
                return json_null();
        json_t *number = json_loadb(text, json_string_length(value), JSON_DECODE_ANY, &ignored);
        if (!number) /* an integer that needs more than 64 bits */
                number = json_loadb(text, json_string_length(value),
                                    JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &ignored);
        return number ? number : json_null();
}

static json_t *run_type(const struct call *call)
{
        return or_no_memory(call, json_string(type_name(call->args[0])));
}

static const struct jmespath_function functions[] = {
        {"abs", {T_NUMBER}, false, run_abs},
        {"avg", {T_NUMBERS}, false, run_avg},
        {"ceil", {T_NUMBER}, false, run_ceil},
        {"contains", {T_ARRAY | T_STRING, T_ANY}, false, run_contains},
        {"ends_with", {T_STRING, T_STRING}, false, run_ends_with},
        {"floor", {T_NUMBER}, false, run_floor},
        {"join", {T_STRING, T_STRINGS}, false, run_join},
        {"keys", {T_OBJECT}, false, run_keys},
        {"length", {T_STRING | T_ARRAY | T_OBJECT}, false, run_length},
        {"map", {T_EXPREF, T_ARRAY}, false, run_map},
        {"max", {T_NUMBERS | T_STRINGS}, false, run_max},
        {"max_by", {T_ARRAY, T_EXPREF}, false, run_max},
        {"merge", {T_OBJECT}, true, run_merge},
        {"min", {T_NUMBERS | T_STRINGS}, false, run_min},
        {"min_by", {T_ARRAY, T_EXPREF}, false, run_min},
        {"not_null", {T_ANY}, true, run_not_null},
        {"reverse", {T_STRING | T_ARRAY}, false, run_reverse},
        {"sort", {T_NUMBERS | T_STRINGS}, false, run_sort},
        {"sort_by", {T_ARRAY, T_EXPREF}, false, run_sort},
        {"starts_with", {T_STRING, T_STRING}, false, run_starts_with},
        {"sum", {T_NUMBERS}, false, run_sum},
        {"to_array", {T_ANY}, false, run_to_array},
        {"to_number", {T_ANY}, false, run_to_number},
        {"to_string", {T_ANY}, false, run_to_string},
        {"type", {T_ANY}, false, run_type},
        {"values", {T_OBJECT}, false, run_values},
};

const struct jmespath_function *jmespath_function_find(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
                if (strcmp(functions[i].name, name) == 0)
                        return &functions[i];
        return NULL;
}

static size_t arity(const struct jmespath_function *function)
{
        size_t n = 0;

        while (n < ARGUMENTS_MAX && function->types[n])
                n++;
        return n;
}

/* The types that argument `i` may have. */
static unsigned wanted_types(const struct jmespath_function *function, size_t i)
{
        size_t n = arity(function);

        return function->types[i < n ? i : n - 1];
}

int jmespath_function_check(const struct jmespath_report *report, const struct node *call)
{
        const struct jmespath_function *function = call->function;
        size_t wanted = arity(function), n = call->list.n;

        if (n < wanted || (n > wanted && !function->variadic))
                return jmespath_fail(report, JMESPATH_INVALID_ARITY, call->at,
                                     "%s() takes %s%zu argument%s, not %zu", function->name,
                                     function->variadic ? "at least " : "", wanted, wanted == 1 ? "" : "s",
                                     n);
        for (size_t i = 0; i < n; i++) {
                const struct node *argument = call->list.items[i];
                unsigned types = wanted_types(function, i);
                bool is_reference = argument->type == NODE_EXPREF;
                if (is_reference == ((types & T_EXPREF) != 0))
                        continue;
                cleanup_buf struct buf text = buf_with_max(256);
                describe_types(types, &text);
                return jmespath_fail(report, JMESPATH_INVALID_TYPE, argument->at,
                                     "argument %zu of %s() must be of type %s, but is %s", i + 1,
                                     function->name, types == T_ANY ? "any value" : buf_string(&text),
                                     is_reference ? "an expression reference" : "a value");
        }
        return 0;
}

struct arguments {
        json_t **args;
        size_t n;
};

static void arguments_done(struct arguments *arguments)
{
        for (size_t i = 0; i < arguments->n; i++)
                json_decref(arguments->args[i]);
        free(arguments->args);
}
#define cleanup_arguments CLEANUP(arguments_done)

json_t *jmespath_function_call(struct evaluation *ev, const struct node *node, json_t *value)
{
        cleanup_arguments struct arguments arguments = {.args = calloc(node->list.n + 1, sizeof(json_t *))};
        struct call call = {.ev = ev, .node = node, .args = arguments.args, .n = node->list.n};

        if (!arguments.args)
                return jmespath_no_memory(ev, node);
        for (size_t i = 0; i < node->list.n; i++, arguments.n++) {
                if (node->list.items[i]->type == NODE_EXPREF)
                        continue;
                arguments.args[i] = jmespath_evaluate(ev, node->list.items[i], value);
                if (!arguments.args[i])
                        return NULL;
        }
        for (size_t i = 0; i < node->list.n; i++) {
                unsigned types = wanted_types(node->function, i);
                const json_t *argument = arguments.args[i];
                if (argument && !type_fits(argument, types))
                        return fail_type(&call, i, types,
                                         json_is_array(argument) ? "an array with other elements"
                                                                 : type_name(argument));
                if (!jmespath_spend(ev, node, json_array_size(argument) + json_object_size(argument)) ||
                    !jmespath_spend_read(ev, node, json_string_length(argument)))
                        return NULL;
        }
        return node->function->run(&call);
}
