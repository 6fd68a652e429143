/* SPDX-License-Identifier: Apache-2.0 */
#include "sgx-sign/sgx-sign.h"

#include "lib/base/file.h"
#include "lib/sgx/image.h"
#include "lib/sgx/signing-key.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { SIGSTRUCT_MODE = 0644, HEX = 16, TM_YEAR_0 = 1900 };

/* A number with its place, as an option sets it. */
struct number {
        char option;
        const char *name;
        uint64_t max;
        uint64_t value;
};

/* In the order of `defaults`. */
enum { PRODUCT_ID, SVN, ATTRIBUTES, ATTRIBUTE_MASK, XFRM, XFRM_MASK, MISC, MISC_MASK, DATE, N_NUMBERS };

static const struct number defaults[N_NUMBERS] = {
        [PRODUCT_ID] = {'n', "--product-id", UINT16_MAX, 0},
        [SVN] = {'s', "--svn", UINT16_MAX, 0},
        [ATTRIBUTES] = {'a', "--attributes", UINT64_MAX, SGX_ATTRIBUTE_MODE64 | SGX_ATTRIBUTE_DEBUG},
        [ATTRIBUTE_MASK] = {'A', "--attribute-mask", UINT64_MAX, ~SGX_ATTRIBUTE_DEBUG},
        [XFRM] = {'x', "--xfrm", UINT64_MAX, SGX_XFRM_LEGACY},
        [XFRM_MASK] = {'X', "--xfrm-mask", UINT64_MAX, UINT64_MAX},
        [MISC] = {'m', "--misc", UINT32_MAX, 0},
        [MISC_MASK] = {'M', "--misc-mask", UINT32_MAX, UINT32_MAX},
        [DATE] = {'d', "--date", UINT32_MAX, 0},
};

struct arguments {
        const char *key, *output, *enclave;
        bool product, debug_sigstruct;
        struct number numbers[N_NUMBERS];
};

/* Decimal, or hexadecimal behind 0x; a date's digits are read as hexadecimal, which is how SIGSTRUCT has
 * them. */
static bool parse_number(const char *text, struct number *n)
{
        bool is_date = n->option == 'd';
        char *end;
        uint64_t value;

        if (*text < '0' || *text > '9' || (is_date && strlen(text) != sizeof("YYYYMMDD") - 1))
                return false;
        errno = 0;
        value = strtoull(text, &end, is_date ? HEX : strncmp(text, "0x", 2) == 0 ? HEX : 10);
        if (errno || *end || value > n->max)
                return false;
        n->value = value;
        return true;
}

static int take_number(struct arguments *a, int option, const char *text)
{
        for (size_t i = 0; i < N_NUMBERS; i++)
                if (a->numbers[i].option == option)
                        return parse_number(text, &a->numbers[i])
                                       ? SIGN_OK
                                       : sign_usage("%s: '%s' is no number that fits there",
                                                    a->numbers[i].name, text);
        return sign_usage("an option that sign doesn't have, or without its value");
}

static int parse(int argc, char **argv, struct arguments *ret_a)
{
        static const struct option options[] = {
                {"key", required_argument, NULL, 'k'},
                {"output", required_argument, NULL, 'o'},
                {"product", no_argument, NULL, 'N'},
                {"debug-sigstruct", no_argument, NULL, 'D'},
                {"product-id", required_argument, NULL, 'n'},
                {"svn", required_argument, NULL, 's'},
                {"attributes", required_argument, NULL, 'a'},
                {"attribute-mask", required_argument, NULL, 'A'},
                {"xfrm", required_argument, NULL, 'x'},
                {"xfrm-mask", required_argument, NULL, 'X'},
                {"misc", required_argument, NULL, 'm'},
                {"misc-mask", required_argument, NULL, 'M'},
                {"date", required_argument, NULL, 'd'},
                {NULL, 0, NULL, 0},
        };
        int option, status = SIGN_OK;

        opterr = 0;
        while (status == SIGN_OK &&
               (option = getopt_long(argc, argv, "k:o:NDn:s:a:A:x:X:m:M:d:", options, NULL)) >= 0)
                switch (option) {
                case 'k':
                        ret_a->key = optarg;
                        break;
                case 'o':
                        ret_a->output = optarg;
                        break;
                case 'N':
                        ret_a->product = true;
                        break;
                case 'D':
                        ret_a->debug_sigstruct = true;
                        break;
                default:
                        status = take_number(ret_a, option, optarg);
                }
        if (status != SIGN_OK)
                return status;
        if (!ret_a->key || !ret_a->output || optind + 1 != argc)
                return sign_usage("sign needs --key, --output and one enclave");
        ret_a->enclave = argv[optind];
        return SIGN_OK;
}

/* Today in UTC, as the digits that SIGSTRUCT has: 0x20261130. */
static uint32_t today(void)
{
        time_t now = time(NULL);
        struct tm tm;
        char text[sizeof("YYYYMMDD")];

        if (!gmtime_r(&now, &tm) || tm.tm_year + TM_YEAR_0 > 9999)
                return 0;
        strftime(text, sizeof(text), "%Y%m%d", &tm);
        return (uint32_t)strtoul(text, NULL, HEX);
}

static struct sgx_sigstruct fields_of(const struct arguments *a)
{
        const struct number *n = a->numbers;
        struct sgx_sigstruct s = {
                .debug = a->debug_sigstruct,
                .date = n[DATE].value ? (uint32_t)n[DATE].value : today(),
                .misc_select = (uint32_t)n[MISC].value,
                .misc_mask = (uint32_t)n[MISC_MASK].value,
                .attributes = {n[ATTRIBUTES].value, n[XFRM].value},
                .attribute_mask = {n[ATTRIBUTE_MASK].value, n[XFRM_MASK].value},
                .isv_prod_id = (uint16_t)n[PRODUCT_ID].value,
                .isv_svn = (uint16_t)n[SVN].value,
        };

        /* Without the mask, the loader could turn debugging on in a product. */
        if (a->product) {
                s.attributes.flags &= ~SGX_ATTRIBUTE_DEBUG;
                s.attribute_mask.flags |= SGX_ATTRIBUTE_DEBUG;
        }
        return s;
}

static int read_key(const char *path, struct sgx_signing_key **ret_key, struct error *err)
{
        cleanup_buf struct buf pem = buf_with_max(SIGN_KEY_MAX);
        int r = file_read(AT_FDCWD, path, SIGN_KEY_MAX, &pem, err);

        if (r < 0)
                return r;
        r = sgx_signing_key_parse(buf_view(&pem), ret_key, err);
        explicit_bzero(pem.p, pem.n);
        if (r < 0)
                error_wrap(err, "%s", path);
        return r;
}

static int measure(const struct arguments *a, struct sgx_sigstruct *s, struct error *err)
{
        cleanup_buf struct buf file = buf_with_max(SGX_IMAGE_MAX);
        struct sgx_image image;
        int r = file_read(AT_FDCWD, a->enclave, SGX_IMAGE_MAX, &file, err);

        if (r < 0)
                return r;
        r = sgx_image_open(buf_view(&file), s->attributes.xfrm, s->misc_select, &image, err);
        if (r == 0 && sgx_image_measure(&image, s->mrenclave) < 0)
                r = error_oom(err);
        return r < 0 ? error_wrap(err, "%s", a->enclave), r : 0;
}

int sign_command(int argc, char **argv)
{
        cleanup_sgx_signing_key struct sgx_signing_key *key = NULL;
        struct arguments a = {0};
        uint8_t bytes[SGX_SIGSTRUCT_SIZE];
        struct sgx_sigstruct s;
        struct error err = {0};
        int r;

        memcpy(a.numbers, defaults, sizeof(defaults));
        r = parse(argc, argv, &a);
        if (r != SIGN_OK)
                return r;
        s = fields_of(&a);
        r = read_key(a.key, &key, &err);
        if (r == 0)
                r = measure(&a, &s, &err);
        if (r == 0)
                r = sgx_signing_key_sign(key, &s, &err);
        sgx_sigstruct_encode(&s, bytes);
        if (r == 0)
                r = file_write_atomic(AT_FDCWD, a.output, view_of(bytes, sizeof(bytes)), SIGSTRUCT_MODE,
                                      &err);
        return r < 0 ? sign_failed(&err) : SIGN_OK;
}
