/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "rune/commands.h"
#include "rune/quote.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>

/* A report has 432 bytes, a quote some thousands. */
enum { REPORT_MAX = 65536, TIMEOUT_MAX = 3600 /* seconds */ };

struct attest_values {
        bool is_ra;
        const char *quote_type;
        const char *spid;
        const char *subscription_key;
        const char *report_file;
        const char *target_file;
        const char *aesmd_socket;
        struct optional_i64 timeout;
};

static const struct option options[] = {
        {.name = "reportFile",
         OPTION_TEXT_IN(struct attest_values, report_file),
         .metavar = "FILE",
         .summary = "file that gets the report's bytes, instead of hex digits on standard output"},
        {.name = "targetInfo",
         OPTION_TEXT_IN(struct attest_values, target_file),
         .metavar = "FILE",
         .summary = "whom the report is for (SGX: 512 bytes of TARGETINFO), instead of the enclave itself"},
        {.name = "isRA",
         OPTION_FLAG_IN(struct attest_values, is_ra),
         .summary = "a quote, for others than this machine, instead of a local report"},
        {.name = "quote-type",
         OPTION_TEXT_IN(struct attest_values, quote_type),
         .metavar = "TYPE",
         .summary = "ecdsa",
         .default_text = "ecdsa"},
        {.name = "aesmd-socket",
         OPTION_TEXT_IN(struct attest_values, aesmd_socket),
         .metavar = "PATH",
         .summary = "where the machine's quoting service listens",
         .default_text = AESMD_SOCKET},
        {.name = "timeout",
         OPTION_INTEGER_IN(struct attest_values, timeout),
         .metavar = "SECONDS",
         .summary = "how long each answer of the quoting service may take",
         .default_text = "60"},
        {.name = "spid",
         OPTION_TEXT_IN(struct attest_values, spid),
         .metavar = "SPID",
         .hidden = true,
         .summary = "taken for compatibility"},
        {.name = "subscription-key",
         OPTION_TEXT_IN(struct attest_values, subscription_key),
         .metavar = "KEY",
         .hidden = true,
         .summary = "taken for compatibility"},
};

static int check_quote(const struct attest_values *values, struct error *err)
{
        const char *type = values->quote_type ? values->quote_type : "ecdsa";

        if (strncasecmp(type, "epid", 4) == 0)
                return error_set(err, -EOPNOTSUPP,
                                 "attestation by EPID needs a service of Intel's that has ended; use "
                                 "--quote-type ecdsa");
        if (strcasecmp(type, "ecdsa") != 0)
                return error_set(err, -EINVAL, "invalid value \"%s\" for --quote-type: it takes ecdsa", type);
        if (values->is_ra && values->target_file)
                return error_set(err, -EINVAL,
                                 "--targetInfo goes with a local report: a quote's report is for the quoting "
                                 "enclave");
        return 0;
}

/* The machine's service, as the options have it. */
static int service_of(const struct attest_values *values, struct aesmd *ret_service, struct error *err)
{
        int64_t seconds = values->timeout.set ? values->timeout.value : AESMD_TIMEOUT;

        if (seconds < 1 || seconds > TIMEOUT_MAX)
                return error_set(err, -EINVAL, "invalid value %lld for --timeout: it takes 1 to %d seconds",
                                 (long long)seconds, TIMEOUT_MAX);
        *ret_service = (struct aesmd){.path = values->aesmd_socket ? values->aesmd_socket : AESMD_SOCKET,
                                      .timeout_ms = (uint32_t)seconds * 1000};
        return 0;
}

static int read_target(const char *path, struct buf *ret_target, struct error *err)
{
        return path ? file_read(AT_FDCWD, path, REPORT_MAX, ret_target, err) : 0;
}

static int print_report(struct view report, struct error *err)
{
        cleanup_free char *hex = malloc(2 * report.n + 2);

        if (!hex)
                return error_oom(err);
        hex_encode(report.p, report.n, hex);
        hex[2 * report.n] = '\n';
        return rune_print(view_of(hex, 2 * report.n + 1), err);
}

static int check(const void *values, const struct operands *operands, struct error *err)
{
        struct aesmd service;
        int r = check_quote(values, err);

        (void)operands;
        return r < 0 ? r : service_of(values, &service, err);
}

static int run(struct rune *rune, const void *given, const struct operands *operands, int *ret_status,
               struct error *err)
{
        const struct attest_values *values = given;
        cleanup_buf struct buf target = {0}, report = buf_with_max(REPORT_MAX);
        struct aesmd service = {.path = NULL};
        int r = read_target(values->target_file, &target, err);

        (void)ret_status;
        if (r == 0)
                r = service_of(values, &service, err);
        if (r == 0 && values->is_ra)
                r = rune_quote(rune, &service, operands->items[0], &report, err);
        else if (r == 0)
                r = container_report(&rune->engine, operands->items[0], buf_view(&target), &report, err);
        if (r < 0)
                return r;
        return values->report_file
                       ? file_write_atomic(AT_FDCWD, values->report_file, buf_view(&report), 0644, err)
                       : print_report(buf_view(&report), err);
}

const struct command rune_attest = {
        .name = "attest",
        .summary = "get a report of an enclave",
        .usage = "<container-id>",
        .description =
                "Asks the container's PAL, of version 3, for a report: what runs there, as its "
                "hardware has it.  With --isRA the report is quoted, by the machine's quoting service, or "
                "for a simulated enclave by the simulation's, as a test.",
        .options = {.options = options, .n = ARRAY_SIZE(options)},
        .values_size = sizeof(struct attest_values),
        .min_operands = 1,
        .max_operands = 1,
        .check = check,
        .run = run,
};
