/* SPDX-License-Identifier: Apache-2.0 */
#include "sgx-sign/sgx-sign.h"

#include "lib/base/cleanup.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
        "Usage: sgx-sign COMMAND [OPTIONS] FILE\n"
        "\n"
        "Signs Intel SGX enclaves, and shows their signatures.\n"
        "\n"
        "Commands:\n"
        "  sign   measure a flat enclave file and sign it\n"
        "  show   print what a signature (SIGSTRUCT) says\n"
        "  key    make a signing key: RSA-3072 with exponent 3\n"
        "\n"
        "Options:\n"
        "  -h, --help                show this\n"
        "      --version             show the version\n"
        "\n"
        "Options of sign:\n"
        "  -k, --key FILE            sign with this private key (PEM)\n"
        "  -o, --output FILE         write the signature (1808 bytes) there\n"
        "  -N, --product             forbid debugging, by attributes and mask\n"
        "  -D, --debug-sigstruct     mark the signature as one for debugging only\n"
        "  -n, --product-id NUMBER   ISVPRODID, 0 unless given\n"
        "  -s, --svn NUMBER          ISVSVN, the security version, 0 unless given\n"
        "  -a, --attributes NUMBER   ATTRIBUTES.FLAGS, 0x6 (64 bit, debugging) unless given\n"
        "  -A, --attribute-mask NUMBER\n"
        "                            which of them must be so, all but debugging unless given\n"
        "  -x, --xfrm NUMBER         ATTRIBUTES.XFRM, 0x3 unless given\n"
        "  -X, --xfrm-mask NUMBER    which of it must be so, all unless given\n"
        "  -m, --misc NUMBER         MISCSELECT, 0 unless given\n"
        "  -M, --misc-mask NUMBER    which of it must be so, all unless given\n"
        "  -d, --date YYYYMMDD       of the signature, today unless given\n"
        "\n"
        "Options of show:\n"
        "  -j, --json                print JSON\n"
        "\n"
        "See man sgx-sign.\n";

int sign_usage(const char *format, ...)
{
        va_list args;

        fputs("sgx-sign: ", stderr);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputs("\nTry: sgx-sign --help\n", stderr);
        return SIGN_USAGE;
}

int sign_failed(const struct error *err)
{
        fprintf(stderr, "sgx-sign: %s\n", error_text(err));
        return SIGN_FAILED;
}

static int print(const char *text)
{
        struct error err = {0};

        if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
                return SIGN_OK;
        error_errno(&err, errno, "cannot write to stdout");
        return sign_failed(&err);
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                int (*run)(int argc, char **argv);
        } commands[] = {{"sign", sign_command}, {"show", show_command}, {"key", key_command}};

        sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        for (int i = 1; i < argc; i++) {
                if (strcmp(argv[i], "--") == 0)
                        break;
                if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
                        return print(help);
        }
        if (argc < 2)
                return sign_usage("say what to do: sign, show or key");
        if (strcmp(argv[1], "--version") == 0)
                return print("sgx-sign (Coffer) " COFFER_VERSION "\n");
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                if (strcmp(argv[1], commands[i].name) == 0)
                        return commands[i].run(argc - 1, argv + 1);
        return sign_usage("'%s' is no command; there are sign, show and key", argv[1]);
}
