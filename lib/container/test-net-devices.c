/* SPDX-License-Identifier: Apache-2.0 */
/* Devices move between network namespaces that the test makes; ip(8) makes them and says what they have. */
#include "lib/container/net-devices.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
        int first;  /* where the test was */
        int host;   /* the test's own "host" */
        int inside; /* the container */
};

static int own_namespace(void)
{
        int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        f->first = own_namespace();
        assert_int_equal(unshare(CLONE_NEWNET), 0);
        f->inside = own_namespace();
        assert_int_equal(unshare(CLONE_NEWNET), 0);
        f->host = own_namespace();
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(setns(f->first, CLONE_NEWNET), 0);
        close(f->first);
        close(f->host);
        close(f->inside);
        free(f);
        return 0;
}

/* Runs "ip" with words apart by spaces in a namespace; what it says, up to a page. */
static void ip(int netns, const char *words, char ret_text[4096])
{
        char line[512], *argv[32] = {(char *)(uintptr_t) "ip"};
        size_t n = 1, at = 0;
        int out[2], status;

        snprintf(line, sizeof(line), "%s", words);
        char *rest = line;
        for (char *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
                argv[n++] = word;
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (setns(netns, CLONE_NEWNET) < 0 || dup2(out[1], 1) < 0)
                        _exit(100);
                execvp("ip", argv);
                _exit(101);
        }
        close(out[1]);
        for (ssize_t got = 1; got > 0 && at<4095; at += got> 0 ? (size_t)got : 0)
                got = read(out[0], ret_text + at, 4095 - at);
        ret_text[at] = 0;
        close(out[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (status != 0)
                fail_msg("ip %s: %d", words, status);
}

static void assert_says(int netns, const char *words, const char *text)
{
        char said[4096];

        ip(netns, words, said);
        if (!strstr(said, text))
                fail_msg("ip %s doesn't say \"%s\" but: %s", words, text, said);
}

static void assert_silent(int netns, const char *words, const char *text)
{
        char said[4096];

        ip(netns, words, said);
        if (strstr(said, text))
                fail_msg("ip %s says \"%s\"", words, text);
}

static void make_device(const struct fixture *f, const char *name, const char *address)
{
        char words[256], said[4096];

        snprintf(words, sizeof(words), "link add %s type veth peer name peer-%c%zu", name,
                 name[strlen(name) - 1], strlen(name));
        ip(f->host, words, said);
        if (address) {
                snprintf(words, sizeof(words), "address add %s dev %s", address, name);
                ip(f->host, words, said);
        }
}

static void moved(const struct fixture *f, const struct spec_net_device *devices, size_t n)
{
        struct error err = {0};

        if (net_devices_move(devices, n, f->inside, &err) < 0)
                fail_msg("%s", error_text(&err));
}

static void keeps_permanent_global_addresses_and_comes_up(void **state)
{
        struct fixture *f = *state;
        char said[4096];
        const struct spec_net_device device = {.host_name = "dum0", .name = "eth7"};

        make_device(f, "dum0", "10.9.8.7/24 broadcast 10.9.8.255");
        ip(f->host, "address add 10.1.1.1 peer 10.1.1.2/32 dev dum0", said);
        ip(f->host, "address add 2001:db8::7/64 dev dum0 nodad", said);
        ip(f->host, "address add 10.7.7.7/32 dev dum0 scope link", said);
        ip(f->host, "address add 2001:db8::8/64 dev dum0 valid_lft 500 preferred_lft 500", said);
        ip(f->host, "link set dum0 mtu 1400 up", said);
        moved(f, &device, 1);
        assert_silent(f->host, "-o link", "dum0");
        assert_says(f->inside, "-o link show eth7", "mtu 1400");
        assert_says(f->inside, "-o link show eth7", "UP");
        assert_says(f->inside, "-o address show eth7", "10.9.8.7/24 brd 10.9.8.255 scope global");
        assert_says(f->inside, "-o address show eth7", "10.1.1.1 peer 10.1.1.2/32");
        assert_says(f->inside, "-o address show eth7", "2001:db8::7/64");
        assert_silent(f->inside, "-o address show eth7", "10.7.7.7");
        assert_silent(f->inside, "-o address show eth7", "2001:db8::8");
}

static void keeps_its_name_unless_another_is_given(void **state)
{
        struct fixture *f = *state;
        const struct spec_net_device devices[] = {{.host_name = "dum0"},
                                                  {.host_name = "dum1", .name = "dum2"}};

        make_device(f, "dum0", "10.1.0.1/16");
        make_device(f, "dum1", NULL);
        /* Of others' addresses nothing comes along. */
        make_device(f, "other", "10.2.0.1/16");
        moved(f, devices, 2);
        assert_says(f->inside, "-o address show dum0", "10.1.0.1/16");
        assert_says(f->inside, "-o link show dum2", "UP");
        assert_silent(f->inside, "-o address", "10.2.0.1");
        assert_says(f->host, "-o address show other", "10.2.0.1/16");
}

static void names_the_device_that_cannot_move(void **state)
{
        struct fixture *f = *state;
        char said[4096];
        struct error err = {0};
        struct spec_net_device device = {.host_name = "missing"};

        assert_int_equal(net_devices_move(&device, 1, f->inside, &err), -ENODEV);
        assert_non_null(strstr(error_text(&err), "network device missing: find it on the host"));
        make_device(f, "dum0", NULL);
        ip(f->inside, "link add taken type veth peer name peer", said);
        device = (struct spec_net_device){.host_name = "dum0", .name = "taken"};
        assert_int_equal(net_devices_move(&device, 1, f->inside, &err), -EEXIST);
        assert_non_null(
                strstr(error_text(&err), "network device dum0: the container has a device taken already"));
        assert_says(f->host, "-o link", "dum0");
        device.name = "a-name-of-seventeen";
        assert_int_equal(net_devices_move(&device, 1, f->inside, &err), -ENAMETOOLONG);
}

static void many_addresses_come_along(void **state)
{
        struct fixture *f = *state;
        const struct spec_net_device device = {.host_name = "dum0"};
        char words[128], said[4096];

        make_device(f, "dum0", NULL);
        for (int i = 1; i < 250; i += 3) {
                snprintf(words, sizeof(words), "address add 10.3.%d.1/24 dev dum0", i);
                ip(f->host, words, said);
        }
        moved(f, &device, 1);
        for (int i = 1; i < 250; i += 81) {
                snprintf(words, sizeof(words), "-o address show dum0 to 10.3.%d.0/24", i);
                assert_says(f->inside, words, "scope global");
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(keeps_permanent_global_addresses_and_comes_up, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(keeps_its_name_unless_another_is_given, setup, teardown),
                cmocka_unit_test_setup_teardown(names_the_device_that_cannot_move, setup, teardown),
                cmocka_unit_test_setup_teardown(many_addresses_come_along, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
