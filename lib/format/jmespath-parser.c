/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jmespath-parser.c - tokens become a tree, by operator precedence.
 *
 * Each token has a binding power.  parse() takes an operand and then, as long as the next token binds tighter
 * than its caller asked for, makes what it has the left side of that operator.  Tokens that cannot continue
 * an expression have power 0 and so end it.
 *
 * A projection ([*], .*, [?...], [], a slice) applies the rest of the expression to each element.  The "rest"
 * goes on through tokens that bind at least as tight as PROJECTION_STOP; looser ones (|, ||, ==, [] ...) end
 * it and see the list as a whole.
 */
#include "lib/format/jmespath-internal.h"

#include "lib/base/array.h"

#include <inttypes.h>
#include <string.h>

enum { PROJECTION_STOP = 10 };

static const uint8_t powers[TOKEN_TYPES] = {
        [TOKEN_PIPE] = 1,      [TOKEN_OR] = 2,      [TOKEN_AND] = 3,  [TOKEN_EQ] = 5,   [TOKEN_NE] = 5,
        [TOKEN_LT] = 5,        [TOKEN_LE] = 5,      [TOKEN_GT] = 5,   [TOKEN_GE] = 5,   [TOKEN_FLATTEN] = 9,
        [TOKEN_STAR] = 20,     [TOKEN_FILTER] = 21, [TOKEN_DOT] = 40, [TOKEN_NOT] = 45, [TOKEN_LBRACE] = 50,
        [TOKEN_LBRACKET] = 55, [TOKEN_LPAREN] = 60,
};

struct parser {
        const struct jmespath_report *report;
        const struct token *token; /* the next one */
        struct jmespath *query;
        unsigned depth; /* of parse() in itself */
};

static int parse(struct parser *p, unsigned power, struct node **ret_node);

const char *jmespath_token_name(enum token_type type)
{
        static const char *const names[TOKEN_TYPES] = {
                [TOKEN_END] = "the end",
                [TOKEN_IDENTIFIER] = "a name",
                [TOKEN_QUOTED] = "a quoted name",
                [TOKEN_LITERAL] = "a literal",
                [TOKEN_NUMBER] = "a number",
                [TOKEN_DOT] = "'.'",
                [TOKEN_STAR] = "'*'",
                [TOKEN_FLATTEN] = "'[]'",
                [TOKEN_FILTER] = "'[?'",
                [TOKEN_LBRACKET] = "'['",
                [TOKEN_RBRACKET] = "']'",
                [TOKEN_LBRACE] = "'{'",
                [TOKEN_RBRACE] = "'}'",
                [TOKEN_LPAREN] = "'('",
                [TOKEN_RPAREN] = "')'",
                [TOKEN_COMMA] = "','",
                [TOKEN_COLON] = "':'",
                [TOKEN_CURRENT] = "'@'",
                [TOKEN_EXPREF] = "'&'",
                [TOKEN_AND] = "'&&'",
                [TOKEN_OR] = "'||'",
                [TOKEN_PIPE] = "'|'",
                [TOKEN_NOT] = "'!'",
                [TOKEN_EQ] = "'=='",
                [TOKEN_NE] = "'!='",
                [TOKEN_LT] = "'<'",
                [TOKEN_LE] = "'<='",
                [TOKEN_GT] = "'>'",
                [TOKEN_GE] = "'>='",
        };
        return names[type];
}

static int fail_expected(struct parser *p, const char *what)
{
        return jmespath_fail(p->report, JMESPATH_SYNTAX, p->token->at, "expected %s, found %s", what,
                             jmespath_token_name(p->token->type));
}

static int expect(struct parser *p, enum token_type type)
{
        if (p->token->type != type)
                return fail_expected(p, jmespath_token_name(type));
        p->token++;
        return 0;
}

static unsigned height_of(const struct node *node)
{
        return node ? node->height : 0;
}

/* A node over up to two others, NULL where there is none.  A height over the limit is an error even where
 * parse() did not recurse, as in a.a.a.a...: the interpreter would. */
static int new_node(struct parser *p, enum node_type type, size_t at, struct node *left, struct node *right,
                    struct node **ret_node)
{
        unsigned height = 1 + (height_of(left) > height_of(right) ? height_of(left) : height_of(right));

        if (height > JMESPATH_DEPTH_MAX)
                return jmespath_fail(p->report, JMESPATH_LIMIT, at, "more than %d parts within each other",
                                     JMESPATH_DEPTH_MAX);
        struct node *node = calloc(1, sizeof(*node));
        if (!node)
                return jmespath_fail(p->report, JMESPATH_LIMIT, at, "out of memory");
        node->type = type;
        node->at = left ? left->at : at; /* an expression is where it begins */
        node->left = left;
        node->right = right;
        node->height = height;
        node->next = p->query->nodes;
        p->query->nodes = node;
        *ret_node = node;
        return 0;
}

static int add_item(struct parser *p, struct node *owner, struct node *item, json_t *key)
{
        struct node_list *list = &owner->list;

        if (array_grow(&list->items, list->n, sizeof(struct node *)) < 0 ||
            array_grow(&list->keys, list->n, sizeof(json_t *)) < 0)
                return jmespath_fail(p->report, JMESPATH_LIMIT, item->at, "out of memory");
        list->items[list->n] = item;
        list->keys[list->n++] = key;
        if (item->height >= owner->height)
                owner->height = item->height + 1;
        if (owner->height > JMESPATH_DEPTH_MAX)
                return jmespath_fail(p->report, JMESPATH_LIMIT, item->at,
                                     "more than %d parts within each other", JMESPATH_DEPTH_MAX);
        return 0;
}

/* An expression that has a value of its own: anything but an expression reference. */
static int parse_value(struct parser *p, unsigned power, struct node **ret_node)
{
        struct node *node = NULL;
        int r = parse(p, power, &node);

        if (r == 0 && node->type == NODE_EXPREF)
                return jmespath_fail(p->report, JMESPATH_SYNTAX, node->at,
                                     "an expression reference can only be an argument of a function");
        if (r == 0)
                *ret_node = node;
        return r;
}

static int parse_leaf(struct parser *p, enum node_type type, struct node **ret_node)
{
        const struct token *token = p->token++;
        int r = new_node(p, type, token->at, NULL, NULL, ret_node);

        if (r == 0)
                (*ret_node)->value = token->value;
        return r;
}

static int parse_multi_list(struct parser *p, size_t at, struct node **ret_node)
{
        struct node *node = NULL, *item = NULL;
        int r = new_node(p, NODE_MULTI_LIST, at, NULL, NULL, &node);

        while (r == 0) {
                r = parse_value(p, 0, &item);
                if (r == 0)
                        r = add_item(p, node, item, NULL);
                if (r == 0 && p->token->type == TOKEN_RBRACKET)
                        break;
                if (r == 0)
                        r = p->token->type == TOKEN_COMMA ? expect(p, TOKEN_COMMA)
                                                          : fail_expected(p, "',' or ']'");
        }
        if (r < 0)
                return r;
        *ret_node = node;
        return expect(p, TOKEN_RBRACKET);
}

/* One "name: expression". */
static int parse_pair(struct parser *p, struct node *owner)
{
        const struct token *key = p->token;
        struct node *item = NULL;

        if (key->type != TOKEN_IDENTIFIER && key->type != TOKEN_QUOTED)
                return fail_expected(p, "a name");
        if (strlen(json_string_value(key->value)) != json_string_length(key->value))
                return jmespath_fail(p->report, JMESPATH_SYNTAX, key->at,
                                     "a key cannot hold a NUL character");
        p->token++;
        int r = expect(p, TOKEN_COLON);
        if (r == 0)
                r = parse_value(p, 0, &item);
        return r < 0 ? r : add_item(p, owner, item, key->value);
}

static int parse_multi_hash(struct parser *p, size_t at, struct node **ret_node)
{
        struct node *node = NULL;
        int r = new_node(p, NODE_MULTI_HASH, at, NULL, NULL, &node);

        while (r == 0) {
                r = parse_pair(p, node);
                if (r == 0 && p->token->type == TOKEN_RBRACE)
                        break;
                if (r == 0)
                        r = p->token->type == TOKEN_COMMA ? expect(p, TOKEN_COMMA)
                                                          : fail_expected(p, "',' or '}'");
        }
        if (r < 0)
                return r;
        *ret_node = node;
        return expect(p, TOKEN_RBRACE);
}

/* What may stand behind a dot. */
static int parse_after_dot(struct parser *p, unsigned power, struct node **ret_node)
{
        size_t at = p->token->at;

        switch ((int)p->token->type) {
        case TOKEN_IDENTIFIER:
        case TOKEN_QUOTED:
        case TOKEN_STAR:
                return parse(p, power, ret_node);
        case TOKEN_LBRACKET:
                p->token++;
                return parse_multi_list(p, at, ret_node);
        case TOKEN_LBRACE:
                p->token++;
                return parse_multi_hash(p, at, ret_node);
        default:
                return fail_expected(p, "a name, '*', '[' or '{' after '.'");
        }
}

/* What a projection applies to each of its elements. */
static int parse_projected(struct parser *p, unsigned power, struct node **ret_node)
{
        if (powers[p->token->type] < PROJECTION_STOP)
                return new_node(p, NODE_IDENTITY, p->token->at, NULL, NULL, ret_node);
        if (p->token->type == TOKEN_LBRACKET || p->token->type == TOKEN_FILTER)
                return parse(p, power, ret_node);
        if (p->token->type != TOKEN_DOT)
                return fail_expected(p, "'.' or '['");
        p->token++;
        return parse_after_dot(p, power, ret_node);
}

static int project(struct parser *p, enum node_type type, size_t at, struct node *left, unsigned power,
                   struct node **ret_node)
{
        struct node *right = NULL;
        int r = parse_projected(p, power, &right);

        return r < 0 ? r : new_node(p, type, at, left, right, ret_node);
}

static int parse_slice(struct parser *p, struct node *node)
{
        struct slice *slice = &node->slice;
        const struct token *step = NULL;
        int part = 0;

        *slice = (struct slice){.step = 1};
        for (; p->token->type != TOKEN_RBRACKET; p->token++) {
                if (p->token->type == TOKEN_COLON && part < 2) {
                        part++;
                        continue;
                }
                /* A number follows the bracket or a colon, never another number. */
                if (p->token->type != TOKEN_NUMBER || p->token[-1].type == TOKEN_NUMBER)
                        return fail_expected(p, part < 2 ? "a number, ':' or ']'" : "a number or ']'");
                if (part == 0) {
                        slice->start = p->token->number;
                        slice->has_start = true;
                } else if (part == 1) {
                        slice->stop = p->token->number;
                        slice->has_stop = true;
                } else {
                        step = p->token;
                        slice->step = step->number;
                }
        }
        if (step && step->number == 0)
                return jmespath_fail(p->report, JMESPATH_INVALID_VALUE, step->at,
                                     "the step of a slice cannot be 0");
        return expect(p, TOKEN_RBRACKET);
}

/* Behind the bracket of [N] or [A:B:C]; `left` is what it is applied to. */
static int parse_index(struct parser *p, size_t at, struct node *left, struct node **ret_node)
{
        bool is_slice = p->token->type == TOKEN_COLON || p->token[1].type == TOKEN_COLON;
        struct node *node = NULL, *applied = NULL;
        int r = new_node(p, is_slice ? NODE_SLICE : NODE_INDEX, at, NULL, NULL, &node);

        if (r == 0 && is_slice) {
                r = parse_slice(p, node);
        } else if (r == 0) {
                node->index = p->token++->number;
                r = expect(p, TOKEN_RBRACKET);
        }
        if (r == 0)
                r = new_node(p, NODE_SUBEXPRESSION, at, left, node, &applied);
        if (r < 0)
                return r;
        if (is_slice)
                return project(p, NODE_PROJECTION, at, applied, powers[TOKEN_STAR], ret_node);
        *ret_node = applied;
        return 0;
}

/* Behind "[?". */
static int parse_filter(struct parser *p, size_t at, struct node *left, struct node **ret_node)
{
        struct node *condition = NULL, *right = NULL;
        int r = parse_value(p, 0, &condition);

        if (r == 0)
                r = expect(p, TOKEN_RBRACKET);
        if (r == 0)
                r = parse_projected(p, powers[TOKEN_FILTER], &right);
        if (r == 0)
                r = new_node(p, NODE_FILTER_PROJECTION, at, left, right, ret_node);
        if (r < 0)
                return r;
        (*ret_node)->condition = condition;
        if (condition->height >= (*ret_node)->height)
                (*ret_node)->height = condition->height + 1;
        return 0;
}

static int parse_flatten(struct parser *p, size_t at, struct node *left, struct node **ret_node)
{
        struct node *flat = NULL;
        int r = new_node(p, NODE_FLATTEN, at, left, NULL, &flat);

        return r < 0 ? r : project(p, NODE_PROJECTION, at, flat, powers[TOKEN_FLATTEN], ret_node);
}

static int parse_bracket_first(struct parser *p, size_t at, struct node *current, struct node **ret_node)
{
        if (p->token->type == TOKEN_NUMBER || p->token->type == TOKEN_COLON)
                return parse_index(p, at, current, ret_node);
        if (p->token->type == TOKEN_STAR && p->token[1].type == TOKEN_RBRACKET) {
                p->token += 2;
                return project(p, NODE_PROJECTION, at, current, powers[TOKEN_STAR], ret_node);
        }
        return parse_multi_list(p, at, ret_node);
}

static int parse_bracket_behind(struct parser *p, size_t at, struct node *left, struct node **ret_node)
{
        if (p->token->type == TOKEN_NUMBER || p->token->type == TOKEN_COLON)
                return parse_index(p, at, left, ret_node);
        if (p->token->type != TOKEN_STAR)
                return fail_expected(p, "a number, ':' or '*'");
        p->token++;
        int r = expect(p, TOKEN_RBRACKET);
        return r < 0 ? r : project(p, NODE_PROJECTION, at, left, powers[TOKEN_STAR], ret_node);
}

/* A prefix operator with one operand. */
static int parse_prefix(struct parser *p, enum node_type type, struct node **ret_node)
{
        const struct token *token = p->token++;
        struct node *operand = NULL;
        int r = parse_value(p, powers[token->type], &operand);

        if (r == 0)
                r = new_node(p, type, token->at, operand, NULL, ret_node);
        if (r == 0)
                (*ret_node)->at = token->at;
        return r;
}

static int parse_parenthesis(struct parser *p, struct node **ret_node)
{
        p->token++;
        int r = parse(p, 0, ret_node);
        return r < 0 ? r : expect(p, TOKEN_RPAREN);
}

/* `*` at the beginning of an expression. "[*" has its own meaning, handled before. */
static int parse_star_first(struct parser *p, size_t at, struct node *current, struct node **ret_node)
{
        p->token++;
        return project(p, NODE_VALUE_PROJECTION, at, current, powers[TOKEN_STAR], ret_node);
}

/* The first operand of an expression. */
static int parse_first(struct parser *p, struct node **ret_node)
{
        const struct token *token = p->token;
        struct node *current = NULL;
        int r = new_node(p, NODE_IDENTITY, token->at, NULL, NULL, &current);

        if (r < 0)
                return r;
        switch ((int)token->type) {
        case TOKEN_IDENTIFIER:
                return parse_leaf(p, NODE_FIELD, ret_node);
        case TOKEN_QUOTED:
                if (token[1].type == TOKEN_LPAREN)
                        return jmespath_fail(p->report, JMESPATH_SYNTAX, token->at,
                                             "the name of a function cannot be quoted");
                return parse_leaf(p, NODE_FIELD, ret_node);
        case TOKEN_LITERAL:
                return parse_leaf(p, NODE_LITERAL, ret_node);
        case TOKEN_CURRENT:
                return parse_leaf(p, NODE_CURRENT, ret_node);
        case TOKEN_STAR:
                return parse_star_first(p, token->at, current, ret_node);
        case TOKEN_FILTER:
                p->token++;
                return parse_filter(p, token->at, current, ret_node);
        case TOKEN_FLATTEN:
                p->token++;
                return parse_flatten(p, token->at, current, ret_node);
        case TOKEN_LBRACKET:
                p->token++;
                return parse_bracket_first(p, token->at, current, ret_node);
        case TOKEN_LBRACE:
                p->token++;
                return parse_multi_hash(p, token->at, ret_node);
        case TOKEN_LPAREN:
                return parse_parenthesis(p, ret_node);
        case TOKEN_NOT:
                return parse_prefix(p, NODE_NOT, ret_node);
        case TOKEN_EXPREF:
                return parse_prefix(p, NODE_EXPREF, ret_node);
        default:
                return fail_expected(p, "an expression");
        }
}

static int parse_call(struct parser *p, const struct node *name, struct node **ret_node)
{
        struct node *call = NULL, *argument = NULL;
        const char *text = json_string_value(name->value);
        int r = new_node(p, NODE_FUNCTION, name->at, NULL, NULL, &call);

        if (r < 0)
                return r;
        call->function = jmespath_function_find(text);
        if (!call->function)
                return jmespath_fail(p->report, JMESPATH_UNKNOWN_FUNCTION, name->at,
                                     "there is no function %s()", text);
        while (r == 0 && p->token->type != TOKEN_RPAREN) {
                r = parse(p, 0, &argument);
                if (r == 0)
                        r = add_item(p, call, argument, NULL);
                if (r < 0 || p->token->type == TOKEN_RPAREN)
                        break;
                r = p->token->type == TOKEN_COMMA ? expect(p, TOKEN_COMMA) : fail_expected(p, "',' or ')'");
                if (r == 0 && p->token->type == TOKEN_RPAREN)
                        r = fail_expected(p, "an argument");
        }
        if (r == 0)
                r = expect(p, TOKEN_RPAREN);
        if (r == 0)
                r = jmespath_function_check(p->report, call);
        if (r == 0)
                *ret_node = call;
        return r;
}

static int parse_infix(struct parser *p, enum node_type type, const struct token *sign, struct node *left,
                       struct node **ret_node)
{
        struct node *right = NULL;
        int r = parse_value(p, powers[sign->type], &right);

        if (r == 0)
                r = new_node(p, type, sign->at, left, right, ret_node);
        if (r == 0)
                (*ret_node)->comparator = sign->type;
        return r;
}

static int parse_dot(struct parser *p, size_t at, struct node *left, struct node **ret_node)
{
        struct node *right = NULL;

        if (p->token->type == TOKEN_STAR) {
                p->token++;
                return project(p, NODE_VALUE_PROJECTION, at, left, powers[TOKEN_DOT], ret_node);
        }
        int r = parse_after_dot(p, powers[TOKEN_DOT], &right);
        return r < 0 ? r : new_node(p, NODE_SUBEXPRESSION, at, left, right, ret_node);
}

/* The operator at p->token, with `left` as its left side. */
static int parse_next(struct parser *p, struct node *left, struct node **ret_node)
{
        const struct token *token = p->token++;

        switch ((int)token->type) {
        case TOKEN_DOT:
                return parse_dot(p, token->at, left, ret_node);
        case TOKEN_PIPE:
                return parse_infix(p, NODE_SUBEXPRESSION, token, left, ret_node);
        case TOKEN_OR:
                return parse_infix(p, NODE_OR, token, left, ret_node);
        case TOKEN_AND:
                return parse_infix(p, NODE_AND, token, left, ret_node);
        case TOKEN_EQ:
        case TOKEN_NE:
        case TOKEN_LT:
        case TOKEN_LE:
        case TOKEN_GT:
        case TOKEN_GE:
                return parse_infix(p, NODE_COMPARE, token, left, ret_node);
        case TOKEN_FILTER:
                return parse_filter(p, token->at, left, ret_node);
        case TOKEN_FLATTEN:
                return parse_flatten(p, token->at, left, ret_node);
        case TOKEN_LBRACKET:
                return parse_bracket_behind(p, token->at, left, ret_node);
        case TOKEN_LPAREN:
                /* Only a bare name directly before it can be a function: "(a)(b)" is none. */
                if (left->type == NODE_FIELD && token[-1].type == TOKEN_IDENTIFIER)
                        return parse_call(p, left, ret_node);
                return jmespath_fail(p->report, JMESPATH_SYNTAX, token->at,
                                     "only a name can be called as a function");
        default:
                p->token--;
                return fail_expected(p, "an operator or the end");
        }
}

static int parse(struct parser *p, unsigned power, struct node **ret_node)
{
        struct node *node = NULL;

        if (++p->depth > JMESPATH_DEPTH_MAX)
                return jmespath_fail(p->report, JMESPATH_LIMIT, p->token->at,
                                     "more than %d parts within each other", JMESPATH_DEPTH_MAX);
        int r = parse_first(p, &node);
        while (r == 0 && powers[p->token->type] > power) {
                struct node *left = node;
                if (left->type == NODE_EXPREF)
                        r = fail_expected(p, "',' or ')' after an expression reference");
                else
                        r = parse_next(p, left, &node);
        }
        p->depth--;
        if (r == 0)
                *ret_node = node;
        return r;
}

int jmespath_parse(const struct jmespath_report *report, const struct token *tokens, struct jmespath *query)
{
        struct parser p = {.report = report, .token = tokens, .query = query};
        struct node *root = NULL;
        int r = parse_value(&p, 0, &root);

        if (r < 0)
                return r;
        if (p.token->type != TOKEN_END)
                return fail_expected(&p, "an operator or the end");
        query->root = root;
        return 0;
}
