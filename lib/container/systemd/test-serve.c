/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-agent's side of the conversation, with a systemd that is none: the calls of systemd-bus.h are here,
 * and answer with what they were asked for.
 */
#include "lib/container/systemd/serve.h"

#include "lib/base/fd.h"
#include "lib/container/systemd-message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the systemd that is none -------------------------------------------------------------------------- */

struct systemd_bus {
        enum systemd_scope scope;
};

int systemd_bus_connect(enum systemd_scope scope, struct systemd_bus **ret_bus, struct error *err)
{
        if (scope == SYSTEMD_USER)
                return error_set(err, -ENOTCONN, "no session; a way out");
        *ret_bus = calloc(1, sizeof(**ret_bus));
        return *ret_bus ? 0 : error_oom(err);
}

void systemd_bus_free(struct systemd_bus *bus)
{
        free(bus);
}

int systemd_bus_root_group(struct systemd_bus *bus, char **ret_path, struct error *err)
{
        (void)bus;
        *ret_path = strdup("/user.slice");
        return *ret_path ? 0 : error_oom(err);
}

int systemd_bus_start_unit(struct systemd_bus *bus, const char *unit,
                           const struct systemd_properties *properties, struct error *err)
{
        (void)bus;
        return error_set(err, -EEXIST, "start %s with %zu, first %s %c %s", unit, properties->n,
                         properties->items[0].name, (int)properties->items[0].type,
                         properties->items[0].text);
}

int systemd_bus_set_properties(struct systemd_bus *bus, const char *unit,
                               const struct systemd_properties *properties, struct error *err)
{
        const struct systemd_property *last = &properties->items[properties->n - 1];

        (void)bus;
        return error_set(err, -EIO, "set %s: %s %c %lu", unit, last->name, (int)last->type,
                         (unsigned long)last->number);
}

int systemd_bus_stop_unit(struct systemd_bus *bus, const char *unit, struct error *err)
{
        (void)bus;
        return strcmp(unit, "good.scope") == 0 ? 0 : error_set(err, -ETIMEDOUT, "stop %s", unit);
}

/* ---- the conversation ---------------------------------------------------------------------------------- */

struct agent {
        int socket;
        pid_t pid;
};

static struct agent started(void)
{
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                close(pair[0]);
                _exit(-serve(pair[1]));
        }
        close(pair[1]);
        return (struct agent){pair[0], pid};
}

/* What serve() said: 0 or a positive errno. */
static int ended(const struct agent *agent)
{
        int status;

        close(agent->socket);
        assert_int_equal(waitpid(agent->pid, &status, 0), agent->pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static struct systemd_answer answer_to(const struct agent *agent, const struct systemd_request *request)
{
        cleanup_buf struct buf message = buf_with_max(SYSTEMD_REQUEST_MAX);
        struct systemd_answer answer;

        assert_int_equal(systemd_request_encode(request, &message, NULL), 0);
        assert_int_equal(systemd_message_send(agent->socket, buf_view(&message)), 0);
        assert_int_equal(systemd_message_receive(agent->socket, SYSTEMD_ANSWER_MAX, &message), 0);
        assert_int_equal(systemd_answer_decode(buf_view(&message), &answer, NULL), 0);
        return answer;
}

static void assert_answer(const struct agent *agent, const struct systemd_request *request, int code,
                          const char *text)
{
        struct systemd_answer answer = answer_to(agent, request);

        assert_int_equal(answer.code, code);
        assert_string_equal(answer.text, text);
}

static const struct systemd_request connect_to_system = {.call = SYSTEMD_CALL_CONNECT, .unit = ""};

static void every_call_is_made_as_it_was_asked_for(void **state)
{
        cleanup_systemd_properties struct systemd_properties properties = {0};
        struct systemd_request start = {
                .call = SYSTEMD_CALL_START_UNIT, .unit = "a.scope", .properties = &properties};
        struct systemd_request set = start, stop = {.call = SYSTEMD_CALL_STOP_UNIT, .unit = "good.scope"};
        const struct systemd_request root = {.call = SYSTEMD_CALL_ROOT_GROUP, .unit = ""};
        struct agent agent = started();

        (void)state;
        systemd_property_add_string(&properties, "Slice", "b.slice");
        systemd_property_add_number(&properties, "Limit", SYSTEMD_U64, UINT64_MAX - 1);
        set.call = SYSTEMD_CALL_SET_PROPERTIES;
        assert_answer(&agent, &connect_to_system, 0, "");
        assert_answer(&agent, &root, 0, "/user.slice");
        assert_answer(&agent, &start, -EEXIST, "start a.scope with 2, first Slice s b.slice");
        assert_answer(&agent, &set, -EIO, "set a.scope: Limit t 18446744073709551614");
        assert_answer(&agent, &stop, 0, "");
        stop.unit = "bad.scope";
        assert_answer(&agent, &stop, -ETIMEDOUT, "stop bad.scope");
        assert_int_equal(ended(&agent), 0);
}

static void a_connection_comes_first_and_once(void **state)
{
        const struct systemd_request stop = {.call = SYSTEMD_CALL_STOP_UNIT, .unit = "good.scope"};
        const struct systemd_request to_user = {
                .call = SYSTEMD_CALL_CONNECT, .scope = SYSTEMD_USER, .unit = ""};
        struct agent agent = started();

        (void)state;
        assert_int_equal(answer_to(&agent, &stop).code, -ENOTCONN);
        assert_answer(&agent, &to_user, -ENOTCONN, "no session; a way out");
        assert_answer(&agent, &connect_to_system, 0, "");
        assert_int_equal(answer_to(&agent, &connect_to_system).code, -EISCONN);
        assert_answer(&agent, &stop, 0, "");
        assert_int_equal(ended(&agent), 0);
}

static void a_request_of_the_largest_size_arrives(void **state)
{
        cleanup_systemd_properties struct systemd_properties properties = {0};
        const struct systemd_request start = {
                .call = SYSTEMD_CALL_SET_PROPERTIES, .unit = "a.scope", .properties = &properties};
        /* Call, scope, unit; type, name, size; and of the last one type, name, number. */
        const size_t size = SYSTEMD_REQUEST_MAX - (2 + 8) - (1 + 6 + 4) - (1 + 5 + 8);
        cleanup_buf struct buf message = buf_with_max(SYSTEMD_REQUEST_MAX);
        struct agent agent = started();

        (void)state;
        systemd_property_add_text(&properties, "Bytes", SYSTEMD_BYTES, calloc(1, size), size);
        systemd_property_add_number(&properties, "Last", SYSTEMD_I32, 7);
        assert_answer(&agent, &connect_to_system, 0, "");
        assert_answer(&agent, &start, -EIO, "set a.scope: Last i 7");
        assert_int_equal(ended(&agent), 0);
        systemd_property_add_number(&properties, "More", SYSTEMD_I32, 7);
        assert_int_equal(systemd_request_encode(&start, &message, NULL), -E2BIG);
}

static void nonsense_ends_it(void **state)
{
        static const struct {
                const char *bytes;
                size_t n;
        } bad[] = {
                {"\0\0\0\0", 4},             /* empty */
                {"\0\0\0\3\x09\0\0", 7},     /* no such call */
                {"\xff\xff\xff\xff\1\0", 6}, /* longer than any */
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct agent agent = started();
                assert_int_equal(fd_write_full(agent.socket, bad[i].bytes, bad[i].n), 0);
                char byte;
                assert_true(read(agent.socket, &byte, 1) <= 0);
                assert_int_equal(ended(&agent), EBADMSG);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_call_is_made_as_it_was_asked_for),
                cmocka_unit_test(a_connection_comes_first_and_once),
                cmocka_unit_test(a_request_of_the_largest_size_arrives),
                cmocka_unit_test(nonsense_ends_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
