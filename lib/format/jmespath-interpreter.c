/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jmespath-interpreter.c - a tree of nodes is applied to a value.
 *
 * Every function returns a new reference, or NULL after it recorded an error.  Input values are shared, never
 * changed.  The recursion is bounded by JMESPATH_DEPTH_MAX, the work by the budget of struct evaluation.
 */
#include "lib/format/jmespath-internal.h"

#include <string.h>

json_t *jmespath_no_memory(struct evaluation *ev, const struct node *node)
{
        jmespath_fail(ev->report, JMESPATH_LIMIT, node->at, "out of memory");
        return NULL;
}

bool jmespath_spend(struct evaluation *ev, const struct node *node, size_t n)
{
        if (n > ev->steps) {
                jmespath_fail(ev->report, JMESPATH_LIMIT, node->at, "the query is too much work");
                return false;
        }
        ev->steps -= n;
        return true;
}

/* Some bytes cost as much as a step: fewer where they are also copied and kept. */
enum { BYTES_READ_PER_STEP = 64, BYTES_MADE_PER_STEP = 8, OBJECT_STEPS = 8 };

bool jmespath_spend_read(struct evaluation *ev, const struct node *node, size_t n)
{
        return jmespath_spend(ev, node, n / BYTES_READ_PER_STEP);
}

bool jmespath_spend_made(struct evaluation *ev, const struct node *node, size_t n)
{
        return jmespath_spend(ev, node, n / BYTES_MADE_PER_STEP);
}

bool jmespath_true(const json_t *value)
{
        switch (json_typeof(value)) {
        case JSON_NULL:
        case JSON_FALSE:
                return false;
        case JSON_STRING:
                return json_string_length(value) > 0;
        case JSON_ARRAY:
                return json_array_size(value) > 0;
        case JSON_OBJECT:
                return json_object_size(value) > 0;
        case JSON_INTEGER:
        case JSON_REAL:
        case JSON_TRUE:
                break;
        }
        return true;
}

static json_t *evaluate_field(struct evaluation *ev, const struct node *node, const json_t *value)
{
        const char *name = json_string_value(node->value);

        if (!jmespath_spend_read(ev, node, json_string_length(node->value)))
                return NULL;
        /* Keys never hold NUL, so a name that does matches nothing. */
        if (strlen(name) != json_string_length(node->value))
                return json_null();
        json_t *member = json_object_get(value, name);
        return member ? json_incref(member) : json_null();
}

/* The element at `index`, counted from the end where negative. */
static json_t *evaluate_index(const struct node *node, const json_t *value)
{
        int64_t size = (int64_t)json_array_size(value);
        int64_t index = node->index < 0 ? node->index + size : node->index;

        if (!json_is_array(value) || index < 0 || index >= size)
                return json_null();
        return json_incref(json_array_get(value, (size_t)index));
}

/* A slice's bound as a position between `low` and `high`; a negative one counts from the end. */
static int64_t slice_bound(int64_t bound, int64_t size, int64_t low, int64_t high)
{
        if (bound < 0)
                bound += size;
        return bound < low ? low : bound > high ? high : bound;
}

static json_t *evaluate_slice(struct evaluation *ev, const struct node *node, const json_t *value)
{
        const struct slice *slice = &node->slice;
        int64_t size = (int64_t)json_array_size(value);
        bool up = slice->step > 0;
        int64_t low = up ? 0 : -1, high = up ? size : size - 1;
        int64_t at = slice->has_start ? slice_bound(slice->start, size, low, high) : up ? 0 : size - 1;
        int64_t stop = slice->has_stop ? slice_bound(slice->stop, size, low, high) : up ? size : -1;
        cleanup_json json_t *result = json_array();

        if (!json_is_array(value))
                return json_null();
        while (up ? at < stop : at > stop) {
                if (!result || json_array_append(result, json_array_get(value, (size_t)at)) < 0)
                        return jmespath_no_memory(ev, node);
                if (__builtin_add_overflow(at, slice->step, &at))
                        break;
        }
        return result ? take_pointer(&result) : jmespath_no_memory(ev, node);
}

static json_t *evaluate_subexpression(struct evaluation *ev, const struct node *node, json_t *value)
{
        cleanup_json json_t *left = jmespath_evaluate(ev, node->left, value);

        return left ? jmespath_evaluate(ev, node->right, left) : NULL;
}

/* Applies the projection's right side to one element and keeps what is not null. */
static bool project_element(struct evaluation *ev, const struct node *node, json_t *element, json_t *result)
{
        if (node->condition) {
                cleanup_json json_t *condition = jmespath_evaluate(ev, node->condition, element);
                if (!condition)
                        return false;
                if (!jmespath_true(condition))
                        return true;
        }
        cleanup_json json_t *projected = jmespath_evaluate(ev, node->right, element);
        if (!projected)
                return false;
        if (json_is_null(projected))
                return true;
        return json_array_append(result, projected) == 0 || jmespath_no_memory(ev, node);
}

static json_t *evaluate_projection(struct evaluation *ev, const struct node *node, json_t *value)
{
        cleanup_json json_t *base = jmespath_evaluate(ev, node->left, value);
        cleanup_json json_t *result = json_array();
        json_t *element;
        size_t i;

        if (!base || !result)
                return base ? jmespath_no_memory(ev, node) : NULL;
        if (!json_is_array(base))
                return json_null();
        json_array_foreach (base, i, element) {
                if (!project_element(ev, node, element, result))
                        return NULL;
        }
        return take_pointer(&result);
}

static json_t *evaluate_value_projection(struct evaluation *ev, const struct node *node, json_t *value)
{
        cleanup_json json_t *base = jmespath_evaluate(ev, node->left, value);
        cleanup_json json_t *result = json_array();

        if (!base || !result)
                return base ? jmespath_no_memory(ev, node) : NULL;
        if (!json_is_object(base))
                return json_null();
        for (void *it = json_object_iter(base); it; it = json_object_iter_next(base, it))
                if (!project_element(ev, node, json_object_iter_value(it), result))
                        return NULL;
        return take_pointer(&result);
}

static json_t *evaluate_flatten(struct evaluation *ev, const struct node *node, json_t *value)
{
        cleanup_json json_t *base = jmespath_evaluate(ev, node->left, value);
        cleanup_json json_t *result = json_array();
        json_t *element;
        size_t i;

        if (!base || !result)
                return base ? jmespath_no_memory(ev, node) : NULL;
        if (!json_is_array(base))
                return json_null();
        json_array_foreach (base, i, element) {
                if (!jmespath_spend(ev, node, 1 + json_array_size(element)))
                        return NULL;
                int r = json_is_array(element) ? json_array_extend(result, element)
                                               : json_array_append(result, element);
                if (r < 0)
                        return jmespath_no_memory(ev, node);
        }
        return take_pointer(&result);
}

/* && and ||: the left value where it decides, else the right one. */
static json_t *evaluate_logic(struct evaluation *ev, const struct node *node, json_t *value)
{
        cleanup_json json_t *left = jmespath_evaluate(ev, node->left, value);

        if (!left)
                return NULL;
        if (jmespath_true(left) == (node->type == NODE_OR))
                return take_pointer(&left);
        return jmespath_evaluate(ev, node->right, value);
}

static json_t *evaluate_not(struct evaluation *ev, const struct node *node, json_t *value)
{
        cleanup_json json_t *operand = jmespath_evaluate(ev, node->left, value);

        return operand ? json_boolean(!jmespath_true(operand)) : NULL;
}

int jmespath_compare(const json_t *a, const json_t *b)
{
        if (json_is_string(a)) {
                size_t n_a = json_string_length(a), n_b = json_string_length(b);
                int order = memcmp(json_string_value(a), json_string_value(b), n_a < n_b ? n_a : n_b);
                return order ? order : (n_a > n_b) - (n_a < n_b);
        }
        if (json_is_integer(a) && json_is_integer(b))
                return (json_integer_value(a) > json_integer_value(b)) -
                       (json_integer_value(a) < json_integer_value(b));
        return (json_number_value(a) > json_number_value(b)) - (json_number_value(a) < json_number_value(b));
}

static bool same_arrays(struct evaluation *ev, const struct node *node, const json_t *a, const json_t *b,
                        bool *ret_same)
{
        json_t *element;
        size_t i;

        *ret_same = json_array_size(a) == json_array_size(b);
        json_array_foreach (a, i, element) {
                if (!*ret_same)
                        break;
                if (!jmespath_same(ev, node, element, json_array_get(b, i), ret_same))
                        return false;
        }
        return true;
}

static bool same_objects(struct evaluation *ev, const struct node *node, json_t *a, const json_t *b,
                         bool *ret_same)
{
        *ret_same = json_object_size(a) == json_object_size(b);
        for (void *it = json_object_iter(a); it && *ret_same; it = json_object_iter_next(a, it)) {
                const char *key = json_object_iter_key(it);
                const json_t *other = json_object_get(b, key);
                if (!jmespath_spend_read(ev, node, strlen(key)))
                        return false;
                *ret_same = other != NULL;
                if (other && !jmespath_same(ev, node, json_object_iter_value(it), other, ret_same))
                        return false;
        }
        return true;
}

bool jmespath_same(struct evaluation *ev, const struct node *node, const json_t *a, const json_t *b,
                   bool *ret_same)
{
        if (!jmespath_spend(ev, node, 1))
                return false;
        if (json_is_array(a) && json_is_array(b))
                return same_arrays(ev, node, a, b, ret_same);
        if (json_is_object(a) && json_is_object(b))
                return same_objects(ev, node, (json_t *)(uintptr_t)a, b, ret_same);
        *ret_same = json_same(a, b);
        return jmespath_spend_read(ev, node, json_string_length(a));
}

static json_t *order(struct evaluation *ev, const struct node *node, const json_t *a, const json_t *b)
{
        bool ordered = (json_is_number(a) && json_is_number(b)) || (json_is_string(a) && json_is_string(b));

        if (!ordered)
                return json_null();
        if (!jmespath_spend_read(ev, node, json_string_length(a)))
                return NULL;
        int order = jmespath_compare(a, b);
        switch ((int)node->comparator) {
        case TOKEN_LT:
                return json_boolean(order < 0);
        case TOKEN_LE:
                return json_boolean(order <= 0);
        case TOKEN_GT:
                return json_boolean(order > 0);
        default:
                return json_boolean(order >= 0);
        }
}

static json_t *evaluate_compare(struct evaluation *ev, const struct node *node, json_t *value)
{
        cleanup_json json_t *left = jmespath_evaluate(ev, node->left, value);
        cleanup_json json_t *right = left ? jmespath_evaluate(ev, node->right, value) : NULL;
        bool same;

        if (!right)
                return NULL;
        if (node->comparator != TOKEN_EQ && node->comparator != TOKEN_NE)
                return order(ev, node, left, right);
        if (!jmespath_same(ev, node, left, right, &same))
                return NULL;
        return json_boolean(same == (node->comparator == TOKEN_EQ));
}

bool jmespath_spend_tree(struct evaluation *ev, const struct node *node, const json_t *value)
{
        json_t *owner = (json_t *)(uintptr_t)value; /* jansson's iterators want it; nothing is changed */
        json_t *element;
        size_t i;

        if (!jmespath_spend(ev, node, 1) || !jmespath_spend_made(ev, node, json_string_length(value)))
                return false;
        json_array_foreach (value, i, element) {
                if (!jmespath_spend_tree(ev, node, element))
                        return false;
        }
        for (void *it = json_object_iter(owner); it; it = json_object_iter_next(owner, it)) {
                if (!jmespath_spend_made(ev, node, strlen(json_object_iter_key(it))) ||
                    !jmespath_spend_tree(ev, node, json_object_iter_value(it)))
                        return false;
        }
        return true;
}

static json_t *evaluate_multi_list(struct evaluation *ev, const struct node *node, json_t *value)
{
        cleanup_json json_t *result = json_array();

        if (json_is_null(value))
                return json_null();
        for (size_t i = 0; i < node->list.n; i++) {
                json_t *item = jmespath_evaluate(ev, node->list.items[i], value);
                if (!item)
                        return NULL;
                if (json_array_append_new(result, item) < 0)
                        return jmespath_no_memory(ev, node);
        }
        return jmespath_spend_tree(ev, node, result) ? take_pointer(&result) : NULL;
}

static json_t *evaluate_multi_hash(struct evaluation *ev, const struct node *node, json_t *value)
{
        cleanup_json json_t *result = json_object();

        if (json_is_null(value))
                return json_null();
        if (!jmespath_spend(ev, node, OBJECT_STEPS))
                return NULL;
        for (size_t i = 0; i < node->list.n; i++) {
                json_t *item = jmespath_evaluate(ev, node->list.items[i], value);
                if (!item)
                        return NULL;
                if (json_object_set_new(result, json_string_value(node->list.keys[i]), item) < 0)
                        return jmespath_no_memory(ev, node);
        }
        if (json_array_append(ev->made, result) < 0)
                return jmespath_no_memory(ev, node);
        return jmespath_spend_tree(ev, node, result) ? take_pointer(&result) : NULL;
}

json_t *jmespath_evaluate(struct evaluation *ev, const struct node *node, json_t *value)
{
        if (!jmespath_spend(ev, node, 1))
                return NULL;
        switch (node->type) {
        case NODE_CURRENT:
        case NODE_IDENTITY:
                return json_incref(value);
        case NODE_FIELD:
                return evaluate_field(ev, node, value);
        case NODE_LITERAL:
                return json_incref(node->value);
        case NODE_INDEX:
                return evaluate_index(node, value);
        case NODE_SLICE:
                return evaluate_slice(ev, node, value);
        case NODE_SUBEXPRESSION:
                return evaluate_subexpression(ev, node, value);
        case NODE_PROJECTION:
        case NODE_FILTER_PROJECTION:
                return evaluate_projection(ev, node, value);
        case NODE_VALUE_PROJECTION:
                return evaluate_value_projection(ev, node, value);
        case NODE_FLATTEN:
                return evaluate_flatten(ev, node, value);
        case NODE_AND:
        case NODE_OR:
                return evaluate_logic(ev, node, value);
        case NODE_NOT:
                return evaluate_not(ev, node, value);
        case NODE_COMPARE:
                return evaluate_compare(ev, node, value);
        case NODE_MULTI_LIST:
                return evaluate_multi_list(ev, node, value);
        case NODE_MULTI_HASH:
                return evaluate_multi_hash(ev, node, value);
        case NODE_FUNCTION:
                return jmespath_function_call(ev, node, value);
        case NODE_EXPREF:
                break; /* the parser lets them be arguments only, and those are not evaluated */
        }
        jmespath_fail(ev->report, JMESPATH_INVALID_TYPE, node->at, "an expression reference has no value");
        return NULL;
}
