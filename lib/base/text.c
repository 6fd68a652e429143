/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/text.h"

#include <errno.h>
#include <string.h>

void hex_encode(const void *p, size_t n, char *ret_hex)
{
        static const char digits[] = "0123456789abcdef";
        const uint8_t *bytes = p;

        for (size_t i = 0; i < n; i++) {
                ret_hex[2 * i] = digits[bytes[i] >> 4];
                ret_hex[2 * i + 1] = digits[bytes[i] & 15];
        }
        ret_hex[2 * n] = '\0';
}

static int hex_digit(uint8_t c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

bool hex_decode(struct view hex, void *ret_p, size_t n)
{
        uint8_t *bytes = ret_p;

        if (n > SIZE_MAX / 2 || hex.n != 2 * n)
                return false;
        for (size_t i = 0; i < hex.n; i++)
                if (hex_digit(hex.p[i]) < 0)
                        return false;
        for (size_t i = 0; i < n; i++)
                bytes[i] = (uint8_t)(hex_digit(hex.p[2 * i]) << 4 | hex_digit(hex.p[2 * i + 1]));
        return true;
}

int base64_encode(struct view v, struct buf *b)
{
        static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

        for (size_t i = 0; i < v.n; i += 3) {
                size_t have = v.n - i < 3 ? v.n - i : 3;
                uint32_t bits = (uint32_t)v.p[i] << 16;
                if (have > 1)
                        bits |= (uint32_t)v.p[i + 1] << 8;
                if (have > 2)
                        bits |= v.p[i + 2];
                char out[4] = {alphabet[bits >> 18 & 63], alphabet[bits >> 12 & 63],
                               have > 1 ? alphabet[bits >> 6 & 63] : '=',
                               have > 2 ? alphabet[bits & 63] : '='};
                int r = buf_append(b, out, sizeof(out));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int base64_digit(uint8_t c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        if (c == '+' || c == '-')
                return 62;
        if (c == '/' || c == '_')
                return 63;
        return -1;
}

int base64_decode(struct view text, struct buf *b)
{
        uint32_t bits = 0;
        unsigned n_bits = 0;
        size_t n = text.n;

        if (n % 4 == 0)
                for (int i = 0; i < 2 && n > 0 && text.p[n - 1] == '='; i++)
                        n--;
        if (n % 4 == 1)
                return -EBADMSG;
        for (size_t i = 0; i < n; i++) {
                int digit = base64_digit(text.p[i]);
                if (digit < 0)
                        return -EBADMSG;
                bits = bits << 6 | (uint32_t)digit;
                n_bits += 6;
                if (n_bits < 8)
                        continue;
                n_bits -= 8;
                int r = buf_append_byte(b, (uint8_t)(bits >> n_bits));
                if (r < 0)
                        return r;
        }
        /* Left-over bits must be zero, or two texts would mean the same bytes. */
        return bits & ((1U << n_bits) - 1) ? -EBADMSG : 0;
}

/* How many bytes the UTF-8 character at the beginning of `v` has; 0 where there is none. */
static size_t utf8_length(struct view v)
{
        static const struct {
                uint8_t mask, lead;
                uint32_t smallest;
        } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

        for (size_t n = 1; n <= ARRAY_SIZE(forms) && n <= v.n; n++) {
                if ((v.p[0] & forms[n - 1].mask) != forms[n - 1].lead)
                        continue;
                uint32_t character = v.p[0] & (uint8_t)~forms[n - 1].mask;
                for (size_t i = 1; i < n; i++) {
                        if ((v.p[i] & 0xc0) != 0x80)
                                return 0;
                        character = character << 6 | (v.p[i] & 0x3f);
                }
                bool surrogate = character >= 0xd800 && character <= 0xdfff;
                return character < forms[n - 1].smallest || character > 0x10ffff || surrogate ? 0 : n;
        }
        return 0;
}

static bool is_control(struct view character, const char *allowed)
{
        uint8_t c = character.p[0];

        if (character.n == 1)
                return (c < 0x20 && (!c || !strchr(allowed, c))) || c == 0x7f;
        return character.n == 2 && c == 0xc2 && character.p[1] < 0xa0;
}

int text_append_printable(struct view text, const char *allowed, struct buf *b)
{
        size_t plain = 0; /* where what can be copied as it is begins */

        if (!text.n)
                return b->failed;
        for (size_t i = 0; i < text.n;) {
                size_t n = utf8_length(view_of(text.p + i, text.n - i));
                if (n > 0 && !is_control(view_of(text.p + i, n), allowed)) {
                        i += n;
                        continue;
                }
                buf_append(b, text.p + plain, i - plain);
                for (size_t end = i + (n ? n : 1); i < end; i++)
                        buf_printf(b, "\\x%02x", text.p[i]);
                plain = i;
        }
        return buf_append(b, text.p + plain, text.n - plain);
}

bool take_u64(const char **at, uint64_t max, uint64_t *ret_value)
{
        const char *p = *at;
        uint64_t value = 0;

        for (; *p >= '0' && *p <= '9'; p++)
                if (__builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
                        return false;
        if (p == *at || value > max)
                return false;
        *at = p;
        *ret_value = value;
        return true;
}

bool parse_u64(const char *text, uint64_t max, uint64_t *ret_value)
{
        uint64_t value;

        if (!text || !take_u64(&text, max, &value) || *text)
                return false;
        *ret_value = value;
        return true;
}

bool string_starts_with(const char *s, const char *prefix)
{
        return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool string_ends_with(const char *s, const char *suffix)
{
        size_t n = strlen(s), m = strlen(suffix);

        return n >= m && strcmp(s + n - m, suffix) == 0;
}

void text_printable(struct view v, char *ret_text, size_t size)
{
        size_t n = v.n < size - 1 ? v.n : size - 1;

        for (size_t i = 0; i < n; i++)
                ret_text[i] = v.p[i] >= ' ' && v.p[i] <= '~' ? (char)v.p[i] : '?';
        ret_text[n] = '\0';
}

char *string_printf(const char *format, ...)
{
        char *text = NULL;
        va_list args;

        va_start(args, format);
        int n = vasprintf(&text, format, args);
        va_end(args);
        return n < 0 ? NULL : text;
}
