/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/error.h"
#include "lib/base/text.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_NOT_EXECUTED = 126, STATUS_NOT_FOUND = 127 };

static const char help[] =
        "Usage: sgx-emulator [OPTIONS] -- COMMAND [ARGUMENT...]\n"
        "\n"
        "Runs COMMAND with a simulated /dev/sgx_enclave: no hardware, no root, no protection.\n"
        "\n"
        "Options:\n"
        "  -h, --help                show this\n"
        "  -q, --quiet               don't say that there is no protection\n"
        "      --version             show the version\n"
        "\n"
        "See man sgx-emulator.\n";

static int print(const char *text)
{
        return fputs(text, stdout) >= 0 && fflush(stdout) == 0 ? 0 : STATUS_FAILED;
}

static int usage(const char *text, const char *word)
{
        fprintf(stderr, "sgx-emulator: %s%s\nTry: sgx-emulator --help\n", text, word);
        return STATUS_USAGE;
}

/* The library is beside the program (a build) or in ../lib/coffer; NULL where it is in neither. */
static char *find_library(void)
{
        static const char *const places[] = {"", "../lib/coffer/"};
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

        if (n <= 0)
                return NULL;
        self[n] = '\0';
        strrchr(self, '/')[1] = '\0';
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
                char *path = string_printf("%s%slibsgx-emulator.so", self, places[i]);

                if (path && access(path, R_OK) == 0)
                        return path;
                free(path);
        }
        return NULL;
}

/* Before whatever is preloaded already. */
static int preload(const char *library)
{
        const char *others = getenv("LD_PRELOAD");
        char *all = others && *others ? string_printf("%s:%s", library, others) : strdup(library);
        int r = all ? setenv("LD_PRELOAD", all, 1) : -1;

        free(all);
        return r;
}

static int run(char **argv, int quiet)
{
        char *library = find_library();
        int r = library ? preload(library) : -1, error;

        if (!library)
                fputs("sgx-emulator: libsgx-emulator.so is neither beside this program nor in "
                      "../lib/coffer\n",
                      stderr);
        free(library);
        if (r < 0)
                return STATUS_FAILED;
        if (!quiet)
                fputs("sgx-emulator: enclaves of this command are simulated: no protection\n", stderr);
        execvp(argv[0], argv);
        error = errno;
        fprintf(stderr, "sgx-emulator: %s: %s\n", argv[0], strerror(error));
        return error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTED;
}

int main(int argc, char **argv)
{
        int quiet = 0, i = 1;

        for (; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++) {
                if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
                        return print(help);
                if (strcmp(argv[i], "--version") == 0)
                        return print("sgx-emulator (Coffer) " COFFER_VERSION "\n");
                if (strcmp(argv[i], "--quiet") != 0 && strcmp(argv[i], "-q") != 0)
                        return usage("unknown option ", argv[i]);
                quiet = 1;
        }
        if (i < argc && strcmp(argv[i], "--") == 0)
                i++;
        return i < argc ? run(argv + i, quiet) : usage("say which command to run", "");
}
