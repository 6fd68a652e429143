/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jmespath-lexer.c - an expression's text becomes tokens.
 *
 * Three things are quoted, each by its own sign: "identifier" (a JSON string), `literal` (any JSON) and 'raw
 * string' (nothing is special but \').  In all of them a backslash keeps the next character from ending the
 * quote.
 */
#include "lib/format/jmespath-internal.h"

#include "lib/base/array.h"

#include <string.h>

struct lexer {
        const struct jmespath_report *report;
        const char *text;
        size_t at;
        json_t *values;
        struct token *tokens;
        size_t n;
};

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_identifier_start(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int add_token(struct lexer *lexer, struct token token)
{
        if (array_grow(&lexer->tokens, lexer->n, sizeof(*lexer->tokens)) < 0)
                return jmespath_fail(lexer->report, JMESPATH_LIMIT, token.at, "out of memory");
        lexer->tokens[lexer->n++] = token;
        return 0;
}

/* A token with a value, whose reference is taken over (NULL: out of memory). */
static int add_value(struct lexer *lexer, enum token_type type, size_t at, json_t *value)
{
        if (json_array_append_new(lexer->values, value) < 0)
                return jmespath_fail(lexer->report, JMESPATH_LIMIT, at, "out of memory");
        return add_token(lexer, (struct token){.type = type, .at = at, .value = value});
}

/* Signs; longer ones before their beginnings. */
static const struct sign {
        const char *text;
        enum token_type type;
} signs[] = {
        {"[]", TOKEN_FLATTEN}, {"[?", TOKEN_FILTER}, {"[", TOKEN_LBRACKET}, {"]", TOKEN_RBRACKET},
        {"{", TOKEN_LBRACE},   {"}", TOKEN_RBRACE},  {"(", TOKEN_LPAREN},   {")", TOKEN_RPAREN},
        {".", TOKEN_DOT},      {"*", TOKEN_STAR},    {",", TOKEN_COMMA},    {":", TOKEN_COLON},
        {"@", TOKEN_CURRENT},  {"&&", TOKEN_AND},    {"&", TOKEN_EXPREF},   {"||", TOKEN_OR},
        {"|", TOKEN_PIPE},     {"!=", TOKEN_NE},     {"!", TOKEN_NOT},      {"==", TOKEN_EQ},
        {"<=", TOKEN_LE},      {"<", TOKEN_LT},      {">=", TOKEN_GE},      {">", TOKEN_GT},
};

static int lex_sign(struct lexer *lexer)
{
        const char *p = lexer->text + lexer->at;

        for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
                size_t n = strlen(signs[i].text);
                if (strncmp(p, signs[i].text, n) != 0)
                        continue;
                size_t at = lexer->at;
                lexer->at += n;
                return add_token(lexer, (struct token){.type = signs[i].type, .at = at});
        }
        if (*p == '=')
                return jmespath_fail(lexer->report, JMESPATH_SYNTAX, lexer->at,
                                     "'=' is no operator; equality is '=='");
        if (*p == '-')
                return jmespath_fail(lexer->report, JMESPATH_SYNTAX, lexer->at,
                                     "'-' must stand before a digit; quote names that contain it: \"a-b\"");
        if ((unsigned char)*p > 0x20 && (unsigned char)*p < 0x7f)
                return jmespath_fail(lexer->report, JMESPATH_SYNTAX, lexer->at, "unexpected character '%c'",
                                     *p);
        return jmespath_fail(
                lexer->report, JMESPATH_SYNTAX, lexer->at,
                "unexpected character; names with other than a-z, A-Z, 0-9 and _ need quotes: \"...\"");
}

static int lex_identifier(struct lexer *lexer)
{
        size_t at = lexer->at;

        while (is_identifier_start(lexer->text[lexer->at]) || is_digit(lexer->text[lexer->at]))
                lexer->at++;
        return add_value(lexer, TOKEN_IDENTIFIER, at, json_stringn(lexer->text + at, lexer->at - at));
}

/* A number too big for an index is beyond every array all the same: it is held at the end of the range. */
static int lex_number(struct lexer *lexer)
{
        size_t at = lexer->at;
        bool negative = lexer->text[at] == '-';
        int64_t number = 0;

        for (lexer->at += negative; is_digit(lexer->text[lexer->at]); lexer->at++) {
                int digit = lexer->text[lexer->at] - '0';
                if (__builtin_mul_overflow(number, 10, &number) ||
                    __builtin_sub_overflow(number, digit, &number))
                        number = INT64_MIN; /* the next digit overflows again */
        }
        if (number == INT64_MIN)
                number++;
        /* Counted downwards, so that both ends of the range are the same size. */
        return add_token(
                lexer, (struct token){.type = TOKEN_NUMBER, .at = at, .number = negative ? number : -number});
}

/* Appends what stands between two `quote`s, escapes and all. */
static int take_quoted(struct lexer *lexer, char quote, struct buf *content)
{
        size_t start = lexer->at++;
        const char *text = lexer->text;

        while (text[lexer->at] != quote) {
                size_t n = text[lexer->at] == '\\' ? 2 : 1;

                if (!text[lexer->at] || !text[lexer->at + n - 1])
                        return jmespath_fail(lexer->report, JMESPATH_SYNTAX, start, "unclosed %c", quote);
                buf_append(content, text + lexer->at, n);
                lexer->at += n;
        }
        lexer->at++;
        if (content->failed)
                return jmespath_fail(lexer->report, JMESPATH_LIMIT, start, "out of memory");
        return 0;
}

/* Takes the backslash from each escaped `quote`; other pairs are kept as they are. */
static void unescape(struct buf *content, char quote)
{
        size_t n = 0;

        for (size_t i = 0; i < content->n; i++) {
                if (content->p[i] == '\\' && i + 1 < content->n) {
                        if (content->p[i + 1] != (uint8_t)quote)
                                content->p[n++] = content->p[i];
                        i++;
                }
                content->p[n++] = content->p[i];
        }
        content->n = n;
        if (content->p)
                content->p[n] = '\0';
}

/* `content` as a JSON string's inside; NULL where it is none. */
static json_t *parse_string_inside(const char *content, json_error_t *error)
{
        cleanup_buf struct buf quoted = buf_with_max(JMESPATH_LENGTH_MAX + 2);

        if (buf_printf(&quoted, "\"%s\"", content) < 0)
                return NULL;
        return json_loadb((const char *)quoted.p, quoted.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, error);
}

static int lex_quoted_identifier(struct lexer *lexer)
{
        cleanup_buf struct buf content = buf_with_max(JMESPATH_LENGTH_MAX);
        size_t at = lexer->at;
        json_error_t error;

        int r = take_quoted(lexer, '"', &content);
        if (r < 0)
                return r;
        json_t *name = parse_string_inside(buf_string(&content), &error);
        if (!name)
                return jmespath_fail(lexer->report, JMESPATH_SYNTAX, at, "bad quoted name: %s", error.text);
        return add_value(lexer, TOKEN_QUOTED, at, name);
}

static int lex_raw_string(struct lexer *lexer)
{
        cleanup_buf struct buf content = buf_with_max(JMESPATH_LENGTH_MAX);
        size_t at = lexer->at;

        int r = take_quoted(lexer, '\'', &content);
        if (r < 0)
                return r;
        unescape(&content, '\'');
        json_t *string = json_stringn(buf_string(&content), content.n);
        if (!string)
                return jmespath_fail(lexer->report, JMESPATH_SYNTAX, at, "the string is not valid UTF-8");
        return add_value(lexer, TOKEN_LITERAL, at, string);
}

/* A literal that is no JSON counts as a string, as it did before raw strings existed: [?name==`web`]. */
static int lex_literal(struct lexer *lexer)
{
        cleanup_buf struct buf content = buf_with_max(JMESPATH_LENGTH_MAX);
        size_t at = lexer->at;
        json_error_t error, ignored;

        int r = take_quoted(lexer, '`', &content);
        if (r < 0)
                return r;
        unescape(&content, '`');
        json_t *value = json_loadb(buf_string(&content), content.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
        if (!value)
                value = parse_string_inside(buf_string(&content) + strspn(buf_string(&content), " \t\r\n"),
                                            &ignored);
        if (!value)
                return jmespath_fail(lexer->report, JMESPATH_SYNTAX, at, "bad literal: %s", error.text);
        return add_value(lexer, TOKEN_LITERAL, at, value);
}

static int lex_one(struct lexer *lexer)
{
        char c = lexer->text[lexer->at];

        if (is_identifier_start(c))
                return lex_identifier(lexer);
        if (is_digit(c) || (c == '-' && is_digit(lexer->text[lexer->at + 1])))
                return lex_number(lexer);
        if (c == '"')
                return lex_quoted_identifier(lexer);
        if (c == '\'')
                return lex_raw_string(lexer);
        if (c == '`')
                return lex_literal(lexer);
        return lex_sign(lexer);
}

int jmespath_tokenize(const struct jmespath_report *report, json_t *values, struct token **ret_tokens)
{
        struct lexer lexer = {.report = report, .text = report->text, .values = values};
        int r = 0;

        while (r == 0) {
                lexer.at += strspn(lexer.text + lexer.at, " \t\r\n");
                if (!lexer.text[lexer.at])
                        break;
                r = lex_one(&lexer);
        }
        if (r == 0)
                r = add_token(&lexer, (struct token){.type = TOKEN_END, .at = lexer.at});
        if (r < 0) {
                free(lexer.tokens);
                return r;
        }
        *ret_tokens = lexer.tokens;
        return 0;
}
