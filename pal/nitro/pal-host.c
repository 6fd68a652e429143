/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pal-host.c - calls a PAL of version 2 as coffer/pal.h has it, for tests: no container, the calls alone.
 *
 *     pal-host PAL ROOTFS ARGS [no-prepare]
 *
 * Each call that succeeded is a line on standard error, each annotation "KEY=VALUE"; one that failed is
 * "CALL: ERRNO: TEXT", and the end, with status 125.  SIGTERM, SIGUSR1 and SIGUSR2 are passed on to the
 * process, SIGUSR2 as SIGKILL.  Exits with the process's status.
 */
#define PAL_VERSION 2
#include "include/coffer/pal.h"

#include "lib/base/cleanup.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { FAILED = 125 };

struct pal {
        pal_prepare_fn prepare;
        pal_init_v1_fn init;
        pal_create_process_fn create_process;
        pal_exec_v2_fn exec;
        pal_kill_fn kill;
        pal_destroy_fn destroy;
        pal_last_error_fn last_error;
};

static struct pal pal;

/* POSIX has dlsym() give functions by way of a pointer to an object. */
static void load(void *library, const char *name, void *function, size_t size)
{
        void *symbol = dlsym(library, name);

        if (!symbol) {
                fprintf(stderr, "%s is missing\n", name);
                exit(FAILED);
        }
        memcpy(function, &symbol, size);
}

#define LOAD(name) load(library, "pal_" #name, &pal.name, sizeof(pal.name))

static void load_all(const char *path)
{
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

        if (!library) {
                fprintf(stderr, "%s\n", dlerror());
                exit(FAILED);
        }
        LOAD(prepare);
        LOAD(init);
        LOAD(create_process);
        LOAD(exec);
        LOAD(kill);
        LOAD(destroy);
        LOAD(last_error);
}

static void check(int r, const char *call)
{
        if (r == 0) {
                fprintf(stderr, "%s\n", call);
                return;
        }
        fprintf(stderr, "%s: %d: %s\n", call, r, pal.last_error());
        (void)pal.destroy();
        exit(FAILED);
}

static int annotate(void *cookie, const char *key, const char *value)
{
        (void)cookie;
        fprintf(stderr, "%s=%s\n", key, value);
        return 0;
}

static void *pass_signals_on(void *user)
{
        const sigset_t *signals = user;
        int signal;

        while (sigwait(signals, &signal) == 0) {
                if (pal.kill(PAL_KILL_ALL, signal == SIGUSR2 ? SIGKILL : signal) < 0)
                        fprintf(stderr, "pal_kill: %s\n", pal.last_error());
        }
        return NULL;
}

static void prepare(const char *rootfs, const char *arguments)
{
        const struct pal_prepare_args args = {
                .size = sizeof(args),
                .args = arguments,
                .log_level = "info",
                .id = "test",
                .bundle = "/",
                .config = "{}",
                .config_size = 2,
                .rootfs_fd = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC),
                .annotate = annotate,
        };

        check(pal.prepare(&args), "pal_prepare");
        close(args.rootfs_fd);
}

int main(int argc, char **argv)
{
        static sigset_t signals;
        pthread_t thread;
        int pid = 0, status = 0;

        if (argc < 4)
                return 2;
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGUSR1);
        sigaddset(&signals, SIGUSR2);
        (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
        load_all(argv[1]);
        if (argc < 5)
                prepare(argv[2], argv[3]);
        const struct pal_attr_v1 attr = {.args = argv[3], .log_level = "info"};
        check(pal.init(&attr), "pal_init");
        char ignored[] = "/ignored", *words[] = {ignored, NULL}, *env[] = {NULL};
        const struct pal_stdio_fds stdio = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
        struct pal_create_process_args create = {
                .path = ignored, .argv = words, .env = env, .stdio = &stdio, .pid = &pid};
        check(pal.create_process(&create), "pal_create_process");
        if (pthread_create(&thread, NULL, pass_signals_on, &signals) != 0)
                return FAILED;
        struct pal_exec_args exec = {.pid = pid, .exit_value = &status};
        check(pal.exec(&exec), "pal_exec");
        check(pal.destroy(), "pal_destroy");
        return status;
}
