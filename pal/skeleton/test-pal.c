/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host for the plug-ins, as small as one can be: loads each version by its path, calls it in the order that
 * <coffer/pal.h> promises, in simulation, from a working folder with the enclave's files.
 *
 *      test-pal FOLDER        with the plug-ins and encl.bin, encl-debug.ss, encl-product.ss
 */
#include "include/coffer/pal.h"
#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/sgx/keys.h"
#include "lib/sgx/loader.h"
#include "lib/sgx/sim-cpu.h"
#include "lib/sgx/sim-device.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static const char *built; /* the folder */

struct pal {
        pal_get_version_fn get_version;
        pal_prepare_fn prepare;
        pal_init_v1_fn init_v1;
        pal_init_v3_fn init_v3;
        pal_create_process_fn create_process;
        pal_exec_v1_fn exec_v1;
        pal_exec_v2_fn exec_v2;
        pal_kill_fn kill;
        pal_get_local_report_fn get_local_report;
        pal_destroy_fn destroy;
        pal_last_error_fn last_error;
};

/* In a namespace of its own, so that each test begins with a plug-in that was never used. */
static struct pal load(int version)
{
        cleanup_free char *path = string_printf("%s/liberpal-skeleton-v%d.so", built, version);
        void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        struct pal p;

        if (!handle)
                fail_msg("%s", dlerror());
        p = (struct pal){
                .get_version = (pal_get_version_fn)dlsym(handle, "pal_get_version"),
                .prepare = (pal_prepare_fn)dlsym(handle, "pal_prepare"),
                .init_v1 = (pal_init_v1_fn)dlsym(handle, "pal_init"),
                .init_v3 = (pal_init_v3_fn)dlsym(handle, "pal_init"),
                .create_process = (pal_create_process_fn)dlsym(handle, "pal_create_process"),
                .exec_v1 = (pal_exec_v1_fn)dlsym(handle, "pal_exec"),
                .exec_v2 = (pal_exec_v2_fn)dlsym(handle, "pal_exec"),
                .kill = (pal_kill_fn)dlsym(handle, "pal_kill"),
                .get_local_report = (pal_get_local_report_fn)dlsym(handle, "pal_get_local_report"),
                .destroy = (pal_destroy_fn)dlsym(handle, "pal_destroy"),
                .last_error = (pal_last_error_fn)dlsym(handle, "pal_last_error"),
        };
        assert_int_equal(p.get_version(), version);
        return p;
}

static int init(const struct pal *p, const char *args)
{
        const struct pal_attr_v1 v1 = {.args = args, .log_level = "info"};
        const struct pal_attr_v3 v3 = {.args = args, .log_level = "info", .fd = -1};

        return p->get_version() == 3 ? p->init_v3(&v3) : p->init_v1(&v1);
}

static void copy_file(const char *name, const char *to, size_t size)
{
        cleanup_free char *from = path_join(built, name);
        cleanup_buf struct buf b = buf_with_max(1 << 20);

        assert_int_equal(file_read(AT_FDCWD, from, 1 << 20, &b, NULL), 0);
        assert_int_equal(file_write_atomic(AT_FDCWD, to, view_of(b.p, size < b.n ? size : b.n), 0644, NULL),
                         0);
}

/* A working folder with a good enclave. */
static int make_folder(void **state)
{
        char *path = strdup("/tmp/test-pal-XXXXXX");

        if (!path || !mkdtemp(path) || chdir(path) < 0)
                return -1;
        *state = path;
        copy_file("encl.bin", "encl.bin", SIZE_MAX);
        copy_file("encl-debug.ss", "encl.ss", SIZE_MAX);
        return 0;
}

static int remove_folder(void **state)
{
        int r = chdir("/") == 0 ? path_remove_tree(AT_FDCWD, *state, NULL) : -1;

        free(*state);
        return r;
}

/* Runs `test` in a child: a plug-in is one per process, and cmocka's own signal handlers stay out of it. */
static void in_child(int version, void (*test)(const struct pal *p))
{
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                static const int signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGABRT};
                struct pal p;

                for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
                        sigaction(signals[i], &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
                p = load(version);
                test(&p);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (status)
                fail_msg("version %d: %s %d", version, WIFSIGNALED(status) ? "signal" : "status",
                         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* In a child, where cmocka's own assertions can't be used. */
#define CHECK(condition)                                                                                     \
        do                                                                                                   \
                if (!(condition)) {                                                                          \
                        print_error("line %d: %s (%s)\n", __LINE__, #condition,                              \
                                    p->last_error() ? p->last_error() : "no error");                         \
                        _exit(1);                                                                            \
                }                                                                                            \
        while (0)

/* One process with these arguments, whose stderr comes back in *ret_text. Its exit value, or -errno. */
static int run(const struct pal *p, const char **argv, char *ret_text, size_t size)
{
        int pipe_fds[2], value = -1, pid = 0, r;
        ssize_t n;

        CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
        struct pal_stdio_fds stdio = {.stdin = 0, .stdout = 1, .stderr = pipe_fds[1]};
        struct pal_create_process_args create = {.path = (char *)(uintptr_t)argv[0],
                                                 .argv = (char **)(uintptr_t)argv,
                                                 .stdio = &stdio,
                                                 .pid = &pid};

        if (p->get_version() == 1) {
                r = p->exec_v1(NULL, (char **)(uintptr_t)argv, &stdio, &value);
        } else {
                r = p->create_process(&create);
                if (r == 0) {
                        CHECK(pid > 0);
                        r = p->exec_v2(&(struct pal_exec_args){.pid = pid, .exit_value = &value});
                }
        }
        close(pipe_fds[1]);
        n = read(pipe_fds[0], ret_text, size - 1);
        CHECK(n >= 0);
        ret_text[n] = '\0';
        close(pipe_fds[0]);
        return r < 0 ? r : value;
}

static void say_hello(const struct pal *p)
{
        static const char success[] = "Enclave runtime skeleton initialization succeeded\n";
        const char *argv[] = {"true", NULL}, *later[] = {"wait_timeout", "1", NULL};
        char text[256];
        time_t before;

        CHECK(init(p, "simulate debug") == 0);
        CHECK(run(p, argv, text, sizeof(text)) == 0);
        CHECK(strcmp(text, success) == 0);
        before = time(NULL);
        CHECK(run(p, later, text, sizeof(text)) == 0);
        CHECK(time(NULL) >= before + 1 || time(NULL) > before);
        CHECK(p->destroy() == 0);
        /* And again: destroying leaves nothing behind. */
        CHECK(init(p, "simulate") == 0);
        CHECK(run(p, argv, text, sizeof(text)) == 0);
        CHECK(p->destroy() == 0);
}

static void each_version_runs_the_enclave_end_to_end(void **state)
{
        (void)state;
        for (int version = 1; version <= PAL_VERSION_MAX; version++)
                in_child(version, say_hello);
}

static void expect(const struct pal *p, const char *args, int code, const char *text)
{
        int r = init(p, args);

        if (r != code || !p->last_error() || !strstr(p->last_error(), text)) {
                print_error("'%s': %d, \"%s\" instead of %d, \"%s\"\n", args, r,
                            p->last_error() ? p->last_error() : "", code, text);
                _exit(1);
        }
        CHECK(p->destroy() == 0);
}

static void break_files(const struct pal *p)
{
        CHECK(unlink("encl.ss") == 0);
        expect(p, "simulate", -ENOENT, "encl.ss");
        copy_file("encl-debug.ss", "encl.ss", 1807);
        expect(p, "simulate", -EINVAL, "1807 bytes instead of 1808");
        copy_file("encl.bin", "encl.ss", SIZE_MAX);
        expect(p, "simulate", -EINVAL, "encl.ss");
        copy_file("encl-debug.ss", "encl.ss", SIZE_MAX);
        copy_file("encl.bin", "encl.bin", (size_t)3 * 4096); /* a page less */
        expect(p, "simulate", -EINVAL, "SGX_INVALID_MEASUREMENT");
        copy_file("encl.bin", "encl.bin", 100);
        expect(p, "simulate", -EINVAL, "an enclave of 100 bytes");
        CHECK(unlink("encl.bin") == 0);
        expect(p, "simulate", -ENOENT, "encl.bin");
        copy_file("encl.bin", "encl.bin", SIZE_MAX);
        copy_file("encl-product.ss", "encl.ss", SIZE_MAX);
        expect(p, "simulate", -EINVAL, "SGX_INVALID_ATTRIBUTE");
}

static void a_file_that_is_missing_or_wrong_is_named(void **state)
{
        (void)state;
        in_child(2, break_files);
}

static void use_tokens(const struct pal *p)
{
        static const uint8_t nothing[SGX_TOKEN_SIZE], wrong[SGX_TOKEN_SIZE] = {1};
        const char *argv[] = {"true", NULL};
        char text[256];

        expect(p, "simulate no-sgx-flc", -ENOENT, "encl.token");
        CHECK(file_write_atomic(AT_FDCWD, "encl.token", view_of(wrong, 303), 0644, NULL) == 0);
        expect(p, "simulate no-sgx-flc", -EINVAL, "303 bytes instead of 304");
        CHECK(file_write_atomic(AT_FDCWD, "encl.token", view_of(wrong, sizeof(wrong)), 0644, NULL) == 0);
        expect(p, "simulate no-sgx-flc", -EINVAL, "SGX_INVALID_EINITTOKEN");
        CHECK(file_write_atomic(AT_FDCWD, "encl.token", view_of(nothing, sizeof(nothing)), 0644, NULL) == 0);
        CHECK(init(p, "simulate no-sgx-flc") == 0);
        CHECK(run(p, argv, text, sizeof(text)) == 0);
        CHECK(p->destroy() == 0);
}

static void a_wrong_launch_token_is_refused(void **state)
{
        (void)state;
        in_child(2, use_tokens);
}

static void misuse(const struct pal *p)
{
        const char *argv[] = {"true", NULL}, *bad[] = {"wait_timeout", "soon", NULL};
        char text[256];
        int value;

        expect(p, "simulate wings", -EINVAL, "\"wings\"");
        if (access("/dev/sgx_enclave", F_OK) < 0)
                expect(p, "debug", -ENODEV, "simulate");
        CHECK(run(p, argv, text, sizeof(text)) == -EINVAL); /* before pal_init() */
        CHECK(init(p, "simulate") == 0);
        CHECK(init(p, "simulate") == -EBUSY);
        CHECK(run(p, bad, text, sizeof(text)) == -EINVAL);
        CHECK(p->exec_v2(&(struct pal_exec_args){.pid = 4711, .exit_value = &value}) == -ESRCH);
        CHECK(p->kill(4711, SIGTERM) == -ESRCH);
        CHECK(p->destroy() == 0);
        CHECK(p->destroy() == 0);
}

static void misuse_is_an_error_and_no_crash(void **state)
{
        (void)state;
        in_child(2, misuse);
}

static const struct pal *killing;

static void *kill_soon(void *sig)
{
        while (killing->kill(PAL_KILL_ALL, 0) < 0)
                usleep(1000);
        usleep(20000);
        killing->kill(PAL_KILL_ALL, SIGWINCH); /* does nothing */
        killing->kill(PAL_KILL_CURRENT, (int)(intptr_t)sig);
        return NULL;
}

static void kill_it(const struct pal *p)
{
        const char *argv[] = {"wait_timeout", "600", NULL};
        pthread_t thread;
        char text[256];

        CHECK(init(p, "simulate") == 0);
        killing = p;
        CHECK(pthread_create(&thread, NULL, kill_soon, (void *)(intptr_t)SIGTERM) == 0);
        CHECK(run(p, argv, text, sizeof(text)) == 128 + SIGTERM);
        CHECK(text[0] == '\0');
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(p->destroy() == 0);
}

static void a_killed_process_ends_with_the_signals_value(void **state)
{
        (void)state;
        in_child(2, kill_it);
        in_child(3, kill_it);
}

/* The root key is found again, where there is a place for it. */
static void verify(const struct pal *p, const uint8_t report[static SGX_REPORT_SIZE])
{
        struct sgx_targetinfo self = {0};
        struct sgx_report r;
        struct sgx_root root;
        bool shared;

        sgx_report_decode(report, &r);
        CHECK(memcmp(r.cpu_svn, "COFFER-SIMULATED", SGX_KEY_SIZE) == 0);
        CHECK(r.attributes.flags & SGX_ATTRIBUTE_DEBUG);
        memcpy(self.mrenclave, r.mrenclave, sizeof(self.mrenclave));
        self.attributes = r.attributes;
        CHECK(sgx_root_load(&root, &shared, NULL) == 0);
        CHECK(!shared || sgx_report_verify(&root, report, &self, NULL) == 0);
}

static void report(const struct pal *p)
{
        uint8_t bytes[PAL_REPORT_SIZE];
        int n = sizeof(bytes) - 1;

        CHECK(init(p, "simulate") == 0);
        CHECK(p->get_local_report(NULL, 0, bytes, &n) == -EINVAL);
        n = sizeof(bytes);
        CHECK(p->get_local_report(bytes, 5, bytes, &n) == -EINVAL);
        CHECK(p->get_local_report(NULL, 0, bytes, &n) == 0);
        CHECK(n == PAL_REPORT_SIZE);
        verify(p, bytes);
        CHECK(p->destroy() == 0);
}

static void a_local_report_verifies_on_this_machine(void **state)
{
        (void)state;
        in_child(3, report);
}

/* A pool's part: an enclave made by somebody else, whose descriptor and address go to the plug-in. */
static void reuse(const struct pal *p)
{
        cleanup_buf struct buf image = buf_with_max(1 << 20), sigstruct = buf_with_max(SGX_SIGSTRUCT_SIZE);
        const char *argv[] = {"true", NULL};
        struct sgx_enclave pooled;
        char text[256];

        CHECK(file_read(AT_FDCWD, "encl.bin", 1 << 20, &image, NULL) == 0);
        CHECK(file_read(AT_FDCWD, "encl.ss", SGX_SIGSTRUCT_SIZE, &sigstruct, NULL) == 0);
        struct sgx_load make = {
                .driver = &sgx_driver_simulation,
                .os = &sgx_os_simulated,
                .fd = sgx_os_simulated.open(NULL, "/dev/sgx_enclave", O_RDWR | O_CLOEXEC),
                .image = buf_view(&image),
                .sigstruct = buf_view(&sigstruct),
                .simulated = true,
        };
        CHECK(sgx_load(&make, &pooled, NULL) == 0);
        struct pal_attr_v3 attr = {.args = "simulate", .fd = dup(pooled.fd), .addr = pooled.base + 4096};
        CHECK(p->init_v3(&attr) == -EINVAL);
        attr.addr = pooled.base;
        CHECK(p->init_v3(&attr) == 0);
        CHECK(unlink("encl.bin") == 0); /* it needs no files then */
        CHECK(run(p, argv, text, sizeof(text)) == 0);
        CHECK(p->destroy() == 0);
}

static void an_enclave_from_a_pool_is_used(void **state)
{
        (void)state;
        in_child(3, reuse);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(each_version_runs_the_enclave_end_to_end, make_folder,
                                                remove_folder),
                cmocka_unit_test_setup_teardown(a_file_that_is_missing_or_wrong_is_named, make_folder,
                                                remove_folder),
                cmocka_unit_test_setup_teardown(a_wrong_launch_token_is_refused, make_folder, remove_folder),
                cmocka_unit_test_setup_teardown(misuse_is_an_error_and_no_crash, make_folder, remove_folder),
                cmocka_unit_test_setup_teardown(a_killed_process_ends_with_the_signals_value, make_folder,
                                                remove_folder),
                cmocka_unit_test_setup_teardown(a_local_report_verifies_on_this_machine, make_folder,
                                                remove_folder),
                cmocka_unit_test_setup_teardown(an_enclave_from_a_pool_is_used, make_folder, remove_folder),
        };

        if (argc != 2)
                return 2;
        built = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
