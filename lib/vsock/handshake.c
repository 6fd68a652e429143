/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/vsock/handshake.h"

#include "lib/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char CONNECT[] = "CONNECT ";
static const char OK[] = "OK ";

static size_t write_line(const char *word, uint32_t port, char ret_line[HANDSHAKE_LINE_MAX])
{
        return (size_t)snprintf(ret_line, HANDSHAKE_LINE_MAX, "%s%" PRIu32 "\n", word, port);
}

static bool parse(struct view line, const char *word, uint32_t *ret_port)
{
        char text[HANDSHAKE_LINE_MAX];
        uint64_t port;

        if (line.n >= sizeof(text) || view_has_nul(line))
                return false;
        if (line.n > 0)
                memcpy(text, line.p, line.n);
        text[line.n] = '\0';
        if (!string_starts_with(text, word) || !parse_u64(text + strlen(word), UINT32_MAX, &port))
                return false;
        *ret_port = (uint32_t)port;
        return true;
}

size_t handshake_write_connect(uint32_t port, char ret_line[HANDSHAKE_LINE_MAX])
{
        return write_line(CONNECT, port, ret_line);
}

size_t handshake_write_ok(uint32_t port, char ret_line[HANDSHAKE_LINE_MAX])
{
        return write_line(OK, port, ret_line);
}

bool handshake_parse_connect(struct view line, uint32_t *ret_port)
{
        return parse(line, CONNECT, ret_port);
}

bool handshake_parse_ok(struct view line, uint32_t *ret_port)
{
        return parse(line, OK, ret_port);
}
