/* SPDX-License-Identifier: Apache-2.0 */
#include "ne-emulator/options.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <getopt.h>
#include <string.h>

enum {
        OPTION_ACCEL = 256,
        OPTION_CPUS,
        OPTION_ENCLAVES,
        OPTION_NO_HUGE_PAGES,
        OPTION_THREADS,
        OPTION_VERSION
};

static const struct option long_options[] = {
        {"accel", required_argument, NULL, OPTION_ACCEL},
        {"cpus", required_argument, NULL, OPTION_CPUS},
        {"enclaves", required_argument, NULL, OPTION_ENCLAVES},
        {"help", no_argument, NULL, 'h'},
        {"no-huge-pages", no_argument, NULL, OPTION_NO_HUGE_PAGES},
        {"quiet", no_argument, NULL, 'q'},
        {"threads-per-core", required_argument, NULL, OPTION_THREADS},
        {"verbose", no_argument, NULL, 'v'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {NULL, 0, NULL, 0},
};

static const char usage[] = "usage: ne-emulator [OPTIONS] -- COMMAND [ARGUMENT...]\n";

static const char help[] =
        "\n"
        "Runs COMMAND, and all that it starts, with a /dev/nitro_enclaves that works: enclaves\n"
        "are QEMU machines, and AF_VSOCK reaches them. They protect nothing: this is for\n"
        "development. All ends with COMMAND, whose exit status is returned.\n"
        "\n"
        "Arguments\n"
        "    --accel auto|kvm|tcg    How enclaves run. auto, the default, is KVM where it can work.\n"
        "    --cpus LIST             The CPU pool, ne_cpus: numbers of a pretended machine.\n"
        "                            Default: " OPTIONS_POOL ".\n"
        "    --enclaves N            Enclaves at a time, as Nitro allows four. Default: 0, no limit.\n"
        "    --help -h               Show this text.\n"
        "    --no-huge-pages         Memory need not be huge pages, and where COMMAND asks the kernel\n"
        "                            for some, it gets ordinary ones.\n"
        "    --quiet -q              Say errors only.\n"
        "    --threads-per-core N    CPUs of a core: enclaves get whole cores. Default: 2.\n"
        "    --verbose -v            Say what enclaves do; twice: every ioctl that fails.\n"
        "    --version               Show the version.\n"
        "\n";

static bool read_number(const char *name, const char *text, unsigned max, unsigned *ret_number)
{
        uint64_t number;

        if (!parse_u64(text, max, &number)) {
                fprintf(stderr, "ne-emulator: %s %s: a number up to %u is wanted\n", name, text, max);
                return false;
        }
        *ret_number = (unsigned)number;
        return true;
}

static bool read_accelerator(const char *text, enum enclave_accelerator *ret_accelerator)
{
        static const char *const names[] = {
                [ENCLAVE_ACCELERATOR_AUTO] = "auto",
                [ENCLAVE_ACCELERATOR_KVM] = "kvm",
                [ENCLAVE_ACCELERATOR_TCG] = "tcg",
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (strcmp(text, names[i]) == 0) {
                        *ret_accelerator = (enum enclave_accelerator)i;
                        return true;
                }
        }
        fprintf(stderr, "ne-emulator: --accel %s: one of auto, kvm, tcg\n", text);
        return false;
}

static enum options_result take(int option, struct options *options)
{
        bool good = true;

        switch (option) {
        case 'h':
                fputs(usage, stdout);
                fputs(help, stdout);
                return OPTIONS_SHOWN;
        case OPTION_VERSION:
                puts("ne-emulator (Coffer) " COFFER_VERSION);
                return OPTIONS_SHOWN;
        case 'q':
                options->level = LOG_LEVEL_ERROR;
                break;
        case 'v':
                options->level = options->level < LOG_LEVEL_INFO ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
                break;
        case OPTION_ACCEL:
                good = read_accelerator(optarg, &options->accelerator);
                break;
        case OPTION_CPUS:
                options->cpus = optarg;
                break;
        case OPTION_ENCLAVES:
                good = read_number("--enclaves", optarg, 1024, &options->enclaves_max);
                break;
        case OPTION_NO_HUGE_PAGES:
                options->no_huge_pages = true;
                break;
        case OPTION_THREADS:
                good = read_number("--threads-per-core", optarg, 8, &options->threads);
                break;
        default: /* getopt_long() has said what is wrong */
                good = false;
        }
        if (!good)
                fputs(usage, stderr);
        return good ? OPTIONS_RUN : OPTIONS_USAGE;
}

enum options_result options_parse(int argc, char **argv, struct options *ret_options)
{
        struct options options = {
                .cpus = OPTIONS_POOL, .threads = OPTIONS_THREADS, .level = LOG_LEVEL_WARNING};
        int option;

        /* "+": what follows the command is the command's. */
        while ((option = getopt_long(argc, argv, "+hqv", long_options, NULL)) != -1) {
                enum options_result result = take(option, &options);
                if (result != OPTIONS_RUN)
                        return result;
        }
        if (optind == argc) {
                fputs("ne-emulator: a command is wanted\n", stderr);
                fputs(usage, stderr);
                return OPTIONS_USAGE;
        }
        options.command = argv + optind;
        *ret_options = options;
        return OPTIONS_RUN;
}
