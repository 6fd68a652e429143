/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave-runner.c - the calls of lib/enclave/enclave.h as a program, for tests/e2e/test_enclave.py, which
 * proves the life cycle without qt.  Prints enclaves as JSON lines (state.h); an error is "code: text" on
 * stderr, exit status 1.
 *
 *     enclave-runner start SUPERVISOR EIF MEM CPUS CID(0: any) debug|normal TIMEOUT_MS(0: auto)
 *     enclave-runner list | find ID | stop ID GRACE_MS | wait ID | console ID | connect ID PORT
 */
#include "lib/enclave/enclave.h"
#include "lib/enclave/state.h"

#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <string.h>
#include <unistd.h>

enum { PIECE = 65536 };

static unsigned number(const char *text)
{
        uint64_t value = 0;

        if (!parse_u64(text, UINT32_MAX, &value)) {
                fprintf(stderr, "no number: %s\n", text);
                exit(2);
        }
        return (unsigned)value;
}

static void print(const struct enclave_info *info)
{
        cleanup_json json_t *json = state_to_json(info);
        cleanup_free char *text = json_dumps(json, JSON_COMPACT);

        puts(text);
}

/* Copies a descriptor to standard output until its end. */
static int copy_out(int fd)
{
        cleanup_free uint8_t *piece = malloc(PIECE);
        ssize_t n;

        while (piece && (n = read(fd, piece, PIECE)) > 0) {
                if (fd_write_full(STDOUT_FILENO, piece, (size_t)n) < 0)
                        return -EIO;
        }
        return 0;
}

static int do_start(struct enclaves *enclaves, char **argv, struct error *err)
{
        struct enclave_start_options options = ENCLAVE_START_DEFAULTS;
        const struct log log = {.level = LOG_LEVEL_DEBUG, .emit = log_emit_stderr};
        struct enclave_info info;

        options.supervisor = argv[0];
        options.eif = argv[1];
        options.mem_mib = number(argv[2]);
        options.cpus = number(argv[3]);
        options.cid = number(argv[4]);
        options.has_cid = options.cid != 0;
        options.debug_mode = strcmp(argv[5], "debug") == 0;
        options.timeout_ms = number(argv[6]);
        options.log = &log;
        int r = enclave_start(enclaves, &options, &info, err);
        if (r == 0)
                print(&info);
        return r;
}

static int do_list(struct enclaves *enclaves, char **argv, struct error *err)
{
        cleanup_free struct enclave_info *infos = NULL;
        size_t n = 0;

        (void)argv;
        int r = enclave_list(enclaves, &infos, &n, err);
        for (size_t i = 0; r == 0 && i < n; i++)
                print(&infos[i]);
        return r;
}

static int do_find(struct enclaves *enclaves, char **argv, struct error *err)
{
        struct enclave_info info;
        int r = enclave_find(enclaves, number(argv[0]), &info, err);

        if (r == 0)
                print(&info);
        return r;
}

static int do_stop(struct enclaves *enclaves, char **argv, struct error *err)
{
        return enclave_stop(enclaves, number(argv[0]), number(argv[1]), err);
}

static int do_wait(struct enclaves *enclaves, char **argv, struct error *err)
{
        struct enclave_info info;
        int r = enclave_wait(enclaves, number(argv[0]), -1, &info, err);

        if (r == 0)
                print(&info);
        return r;
}

static int do_console(struct enclaves *enclaves, char **argv, struct error *err)
{
        cleanup_fd int fd = -1;
        int r = enclave_console_open(enclaves, number(argv[0]), &fd, err);

        return r < 0 ? r : copy_out(fd);
}

static int do_connect(struct enclaves *enclaves, char **argv, struct error *err)
{
        cleanup_fd int fd = -1;
        int r = enclave_connect(enclaves, number(argv[0]), number(argv[1]), &fd, err);

        return r < 0 ? r : copy_out(fd);
}

static const struct {
        const char *name;
        int arguments;
        int (*run)(struct enclaves *enclaves, char **argv, struct error *err);
} commands[] = {
        {"start", 7, do_start}, {"list", 0, do_list},       {"find", 1, do_find},       {"stop", 2, do_stop},
        {"wait", 1, do_wait},   {"console", 1, do_console}, {"connect", 2, do_connect},
};

int main(int argc, char **argv)
{
        struct enclaves *enclaves = NULL;
        struct error err = {0};

        for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++) {
                if (strcmp(commands[i].name, argv[1]) != 0 || commands[i].arguments != argc - 2)
                        continue;
                int r = enclaves_open(NULL, &enclaves, &err);
                if (r == 0)
                        r = commands[i].run(enclaves, argv + 2, &err);
                enclaves_free(enclaves);
                if (r < 0)
                        fprintf(stderr, "%d: %s\n", r, error_text(&err));
                return r < 0;
        }
        fputs("enclave-runner: see its source for how to call it\n", stderr);
        return 2;
}
