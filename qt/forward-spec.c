/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/forward-spec.h"
#include "lib/base/text.h"

#include <string.h>

static int fail(const char *text, struct error *err)
{
        return error_set(err, -EINVAL,
                         "'%s' is not [HOST:]PORT:GUESTPORT, for example 8080:80 or [::1]:8080:80", text);
}

/* "[::1]:", "host:" or nothing in front of the ports; *ret_rest is the ports. */
static bool take_host(const char *text, struct forward_spec *spec, const char **ret_rest)
{
        const char *last = strrchr(text, ':');
        const char *middle = last ? memrchr(text, ':', (size_t)(last - text)) : NULL;
        size_t n = middle ? (size_t)(middle - text) : 0;

        *ret_rest = middle ? middle + 1 : text;
        if (!middle) {
                memcpy(spec->host, "127.0.0.1", sizeof("127.0.0.1"));
                return last != NULL;
        }
        if (text[0] == '[' && n > 2 && text[n - 1] == ']') {
                text++;
                n -= 2;
        } else if (strcspn(text, "[]:") < n) {
                return false; /* an IPv6 address without brackets is ambiguous */
        }
        if (n == 0 || n >= sizeof(spec->host))
                return false;
        memcpy(spec->host, text, n);
        spec->host[n] = '\0';
        return true;
}

int forward_spec_parse(const char *text, struct forward_spec *ret_spec, struct error *err)
{
        struct forward_spec spec = {0};
        uint64_t port, guest_port;
        const char *ports;

        if (!take_host(text, &spec, &ports))
                return fail(text, err);
        size_t n = strcspn(ports, ":");
        cleanup_free char *first = strndup(ports, n);
        if (!first)
                return error_oom(err);
        if (!parse_u64(first, 65535, &port) || !parse_u64(ports + n + 1, 65535, &guest_port) ||
            guest_port == 0)
                return fail(text, err);
        spec.port = (uint16_t)port;
        spec.guest_port = (uint16_t)guest_port;
        *ret_spec = spec;
        return 0;
}
