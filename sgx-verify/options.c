/* SPDX-License-Identifier: Apache-2.0 */
#include "sgx-verify/sgx-verify.h"

#include "lib/base/text.h"

#include <getopt.h>
#include <string.h>

enum {
        OPT_ACCEPT_TCB = 256,
        OPT_ACCEPT_TEST,
        OPT_ALLOW_DEBUG,
        OPT_CRL,
        OPT_MIN_SVN,
        OPT_MRENCLAVE,
        OPT_MRSIGNER,
        OPT_NO_TCB,
        OPT_PROD_ID,
        OPT_QE_IDENTITY,
        OPT_REPORT_DATA,
        OPT_ROOT,
        OPT_TCB_CHAIN,
        OPT_TCB_INFO,
};

static const struct option options[] = {
        {"accept-tcb", required_argument, NULL, OPT_ACCEPT_TCB},
        {"accept-test-quotes", no_argument, NULL, OPT_ACCEPT_TEST},
        {"allow-debug", no_argument, NULL, OPT_ALLOW_DEBUG},
        {"crl", required_argument, NULL, OPT_CRL},
        {"isv-prod-id", required_argument, NULL, OPT_PROD_ID},
        {"min-isv-svn", required_argument, NULL, OPT_MIN_SVN},
        {"mrenclave", required_argument, NULL, OPT_MRENCLAVE},
        {"mrsigner", required_argument, NULL, OPT_MRSIGNER},
        {"no-tcb", no_argument, NULL, OPT_NO_TCB},
        {"output", required_argument, NULL, 'o'},
        {"qe-identity", required_argument, NULL, OPT_QE_IDENTITY},
        {"report-data", required_argument, NULL, OPT_REPORT_DATA},
        {"root", required_argument, NULL, OPT_ROOT},
        {"tcb-chain", required_argument, NULL, OPT_TCB_CHAIN},
        {"tcb-info", required_argument, NULL, OPT_TCB_INFO},
        {NULL, 0, NULL, 0},
};

static bool take_hash(const char *text, uint8_t *bytes, const uint8_t **ret_wanted)
{
        *ret_wanted = bytes;
        return hex_decode(view_of_string(text), bytes, SGX_HASH_SIZE);
}

static bool take_report_data(const char *text, struct verify_options *o)
{
        size_t n = strlen(text) / 2;

        if (n == 0 || n > sizeof(o->report_data) || !hex_decode(view_of_string(text), o->report_data, n))
                return false;
        o->policy.report_data = view_of(o->report_data, n);
        return true;
}

static bool take_number(const char *text, int *ret_value)
{
        uint64_t value;

        if (!parse_u64(text, UINT16_MAX, &value))
                return false;
        *ret_value = (int)value;
        return true;
}

static bool take_crl(const char *path, struct verify_options *o)
{
        if (o->n_crls == CERTIFICATE_CRLS_MAX)
                return false;
        o->crls[o->n_crls++] = path;
        return true;
}

static bool take_tcb_status(const char *text, struct verify_options *o)
{
        enum tcb_status status;

        if (!tcb_status_parse(text, &status) || status == TCB_REVOKED)
                return false;
        o->policy.tcb.accepted |= 1U << status;
        return true;
}

/* The name of a file. False where the option has none. */
static bool take_file(int option, const char *path, struct verify_options *o)
{
        const char **files[] = {[OPT_QE_IDENTITY - OPT_ACCEPT_TCB] = &o->qe_identity,
                                [OPT_ROOT - OPT_ACCEPT_TCB] = &o->root,
                                [OPT_TCB_CHAIN - OPT_ACCEPT_TCB] = &o->tcb_chain,
                                [OPT_TCB_INFO - OPT_ACCEPT_TCB] = &o->tcb_info};
        size_t i = (size_t)(option - OPT_ACCEPT_TCB);

        if (option < OPT_ACCEPT_TCB || i >= ARRAY_SIZE(files) || !files[i])
                return false;
        *files[i] = path;
        return true;
}

/* An option's value; NULL, or what it must be. */
static const char *take_value(int option, const char *text, struct verify_options *o)
{
        switch (option) {
        case OPT_MRENCLAVE:
                return take_hash(text, o->mrenclave, &o->policy.mrenclave) ? NULL : "64 hex digits";
        case OPT_MRSIGNER:
                return take_hash(text, o->mrsigner, &o->policy.mrsigner) ? NULL : "64 hex digits";
        case OPT_REPORT_DATA:
                return take_report_data(text, o) ? NULL : "2 to 128 hex digits, two a byte";
        case OPT_PROD_ID:
                return take_number(text, &o->policy.isv_prod_id) ? NULL : "a number from 0 to 65535";
        case OPT_MIN_SVN:
                return take_number(text, &o->policy.min_isv_svn) ? NULL : "a number from 0 to 65535";
        case OPT_CRL:
                return take_crl(text, o) ? NULL : "given at most four times";
        case OPT_ACCEPT_TCB:
                return take_tcb_status(text, o) ? NULL : "a status of Intel's below Revoked, as OutOfDate";
        case 'o':
                return output_format_parse(text, &o->format) ? NULL
                                                             : "json, jsonc, none, table, tsv, yaml or yamlc";
        default:
                return take_file(option, text, o) ? NULL : "known";
        }
}

static bool take_flag(int option, struct verify_options *o)
{
        if (option == OPT_ACCEPT_TEST)
                o->policy.accept_test_quotes = true;
        else if (option == OPT_ALLOW_DEBUG)
                o->policy.allow_debug = true;
        else if (option == OPT_NO_TCB)
                o->policy.tcb.skip = true;
        else
                return false;
        return true;
}

/* NULL, or what is wrong with the options together. */
static const char *check_together(const struct verify_options *o)
{
        bool any = o->tcb_info || o->qe_identity || o->tcb_chain;

        if (any && !(o->tcb_info && o->qe_identity && o->tcb_chain))
                return "--tcb-info, --qe-identity and --tcb-chain go together";
        if (o->policy.tcb.skip && (any || o->policy.tcb.accepted))
                return "--no-tcb goes with none of --tcb-info, --qe-identity, --tcb-chain and --accept-tcb";
        return NULL;
}

int verify_options_parse(int argc, char **argv, struct verify_options *ret_options, char **ret_problem)
{
        struct verify_options *o = ret_options;
        int option, index = 0;

        *o = (struct verify_options){.format = OUTPUT_TABLE, .policy = {.isv_prod_id = -1}};
        opterr = 0;
        while ((option = getopt_long(argc, argv, ":o:", options, &index)) >= 0) {
                const char *must;

                if (option == '?' || option == ':') {
                        *ret_problem =
                                string_printf(option == ':' ? "%s needs a value" : "there is no option %s",
                                              argv[optind - 1]);
                        return VERIFY_USAGE;
                }
                must = take_flag(option, o) ? NULL : take_value(option, optarg, o);
                if (must) {
                        *ret_problem = string_printf("the value of --%s must be %s",
                                                     option == 'o' ? "output" : options[index].name, must);
                        return VERIFY_USAGE;
                }
        }
        if (optind + 1 != argc) {
                *ret_problem = string_printf("say which quote: one file");
                return VERIFY_USAGE;
        }
        o->path = argv[optind];
        const char *wrong = check_together(o);
        if (wrong)
                *ret_problem = string_printf("%s", wrong);
        return wrong ? VERIFY_USAGE : VERIFY_ACCEPTED;
}
