/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rune's side of the conversation with systemd-agent: the agent is a child that answers each request with the
 * next of a row of byte strings, whatever they are.
 */
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/container/systemd-bus.h"
#include "lib/container/systemd-launch.h"
#include "lib/container/systemd-message.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SUCCESS "\0\0\0\4\0\0\0\0"

struct bytes {
        const char *p; /* NULL: none more */
        size_t n;
};

#define BYTES(text)                                                                                          \
        {                                                                                                    \
                text, sizeof(text) - 1                                                                       \
        }

/* What the next agent does; set by each test. */
static const struct bytes *answers;
static int end_status, end_signal;
static bool end_at_once;

static void __attribute__((noreturn)) run_agent(int socket)
{
        cleanup_buf struct buf message = buf_with_max(0);

        for (const struct bytes *answer = answers; answer->p; answer++)
                if (systemd_message_receive(socket, SYSTEMD_REQUEST_MAX, &message) < 0 ||
                    fd_write_full(socket, answer->p, answer->n) < 0)
                        _exit(1);
        /* Whoever wants one answer more is to see the end. */
        if (!end_at_once)
                (void)systemd_message_receive(socket, SYSTEMD_REQUEST_MAX, &message);
        if (end_signal)
                raise(end_signal);
        _exit(end_status);
}

/* Instead of the one that starts systemd-agent. */
int systemd_launch(struct child *ret_agent, int *ret_socket, struct error *err)
{
        int pair[2];

        (void)err;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                close(pair[0]);
                run_agent(pair[1]);
        }
        close(pair[1]);
        *ret_agent = (struct child){.pid = pid, .pidfd = -1};
        *ret_socket = pair[0];
        return 0;
}

/* Connects to an agent that says success, and then `then`. */
static struct systemd_bus *connected(const struct bytes then)
{
        static struct bytes row[3] = {BYTES(SUCCESS)};
        struct systemd_bus *bus;

        row[1] = then;
        answers = row;
        assert_int_equal(systemd_bus_connect(SYSTEMD_SYSTEM, &bus, NULL), 0);
        return bus;
}

static void answers_arrive_with_number_and_text(void **state)
{
        const struct bytes path = BYTES("\0\0\0\x0f\0\0\0\0/user.slice");
        const struct bytes no_unit = BYTES("\0\0\0\x0e\0\0\0\x11start unit");
        struct systemd_properties properties = {0};
        struct error err = {0};
        char *text;

        (void)state;
        struct systemd_bus *bus = connected(path);
        assert_int_equal(systemd_bus_root_group(bus, &text, &err), 0);
        assert_string_equal(text, "/user.slice");
        free(text);
        systemd_bus_free(bus);
        bus = connected(no_unit);
        assert_int_equal(systemd_bus_start_unit(bus, "a.scope", &properties, &err), -EEXIST);
        assert_string_equal(error_text(&err), "start unit");
        systemd_bus_free(bus);
        bus = connected((struct bytes)BYTES(SUCCESS));
        assert_int_equal(systemd_bus_stop_unit(bus, "a.scope", NULL), 0);
        systemd_bus_free(bus);
}

static void nonsense_is_an_error(void **state)
{
        static const struct bytes bad[] = {
                BYTES("\0\0\0\0"),                 /* empty */
                BYTES("\0\0\0\3\0\0\0"),           /* half a number */
                BYTES("\0\0\0\4\0\0\x10\0"),       /* 4096, no errno */
                BYTES("\0\0\0\4\xff\xff\xff\xff"), /* a negative one */
                BYTES("\0\0\0\6\0\0\0\0a\0"),      /* a NUL */
                BYTES("\0\0\x10\4\0\0\0\0 longer than any"),
                BYTES("\xff\xff\xff\xff"),
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct systemd_bus *bus = connected(bad[i]);
                struct error err = {0};
                char *text;
                int r = systemd_bus_root_group(bus, &text, &err);
                if (r != -EBADMSG || !err.code)
                        fail_msg("%zu: %d %s", i, r, error_text(&err));
                systemd_bus_free(bus);
        }
}

static void assert_end(int code, const char *words)
{
        struct systemd_bus *bus = connected((struct bytes){NULL, 0});
        struct error err = {0};

        assert_int_equal(systemd_bus_stop_unit(bus, "a.scope", &err), code);
        if (!strstr(error_text(&err), words))
                fail_msg("%s", error_text(&err));
        /* Nobody is there for another one. */
        assert_int_equal(systemd_bus_stop_unit(bus, "a.scope", &err), -ECONNRESET);
        systemd_bus_free(bus);
        end_status = end_signal = 0;
}

static void an_agent_that_ends_says_how(void **state)
{
        (void)state;
        end_status = 3;
        assert_end(-ECONNRESET, "systemd-agent ended with status 3 before it answered");
        end_signal = SIGKILL;
        assert_end(-ECONNRESET, "systemd-agent was ended by signal 9 before it answered");
        end_status = 127;
        assert_end(-ENOTSUP, "this host's C library");
}

static void an_agent_that_ends_in_the_middle_of_an_answer(void **state)
{
        struct error err = {0};
        char *text;

        (void)state;
        end_at_once = true;
        struct systemd_bus *bus = connected((struct bytes)BYTES("\0\0\0\x10\0\0\0\0half"));
        assert_int_equal(systemd_bus_root_group(bus, &text, &err), -ECONNRESET);
        assert_non_null(strstr(error_text(&err), "systemd-agent ended with status 0"));
        systemd_bus_free(bus);
        end_at_once = false;
}

static void too_much_is_refused_before_it_is_sent(void **state)
{
        cleanup_systemd_properties struct systemd_properties properties = {0};
        struct systemd_bus *bus = connected((struct bytes)BYTES(SUCCESS));
        struct error err = {0};
        char unit[SYSTEMD_UNIT_MAX + 1];

        (void)state;
        memset(unit, 'u', SYSTEMD_UNIT_MAX);
        unit[SYSTEMD_UNIT_MAX] = 0;
        assert_int_equal(systemd_bus_stop_unit(bus, unit, &err), -E2BIG);
        systemd_property_add_text(&properties, "Bytes", SYSTEMD_BYTES, calloc(1, SYSTEMD_REQUEST_MAX),
                                  SYSTEMD_REQUEST_MAX);
        assert_int_equal(systemd_bus_start_unit(bus, "a.scope", &properties, &err), -E2BIG);
        assert_non_null(strstr(error_text(&err), "a.scope has more than 4 MiB of properties"));
        /* The conversation goes on. */
        assert_int_equal(systemd_bus_stop_unit(bus, "a.scope", &err), 0);
        systemd_bus_free(bus);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers_arrive_with_number_and_text),
                cmocka_unit_test(nonsense_is_an_error),
                cmocka_unit_test(an_agent_that_ends_says_how),
                cmocka_unit_test(an_agent_that_ends_in_the_middle_of_an_answer),
                cmocka_unit_test(too_much_is_refused_before_it_is_sent),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
