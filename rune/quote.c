/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/quote.h"

#include "lib/sgx/quote.h"
#include "lib/sgx/sim-qe.h"
#include "rune/test-quote.h"

#include <string.h>

/* A report for `target` (empty: the enclave itself), which must be SGX'. */
static int get_report(const struct rune *rune, const char *id, struct view target, struct buf *ret_bytes,
                      struct sgx_report *ret_report, struct error *err)
{
        int r = container_report(&rune->engine, id, target, ret_bytes, err);

        if (r < 0)
                return r;
        if (ret_bytes->n != SGX_REPORT_SIZE)
                return error_set(err, -EBADMSG, "the PAL's report has %zu bytes; one of SGX has %d",
                                 ret_bytes->n, SGX_REPORT_SIZE);
        sgx_report_decode(ret_bytes->p, ret_report);
        return 0;
}

/* A report to a quoting enclave, which must be of the kind that the first one was. */
static int report_for(const struct rune *rune, const char *id,
                      const uint8_t target[static SGX_TARGETINFO_SIZE], bool simulated, struct buf *ret_bytes,
                      struct error *err)
{
        struct sgx_report report;
        int r = get_report(rune, id, view_of(target, SGX_TARGETINFO_SIZE), ret_bytes, &report, err);

        if (r == 0 && sgx_report_is_simulated(&report) != simulated)
                r = error_set(err, -EBADMSG,
                              "the PAL gave a report of a simulated enclave and one of a real one, in turn");
        return r;
}

static int quote_of_simulation(const struct rune *rune, const char *id, struct buf *ret_quote,
                               struct error *err)
{
        static const char warning[] = "simulated: a test quote, evidence of nothing";
        cleanup_buf struct buf report = buf_with_max(SGX_REPORT_SIZE);
        uint8_t target[SGX_TARGETINFO_SIZE];
        struct sgx_targetinfo self;
        int r;

        sgx_sim_qe_target(&self);
        sgx_targetinfo_encode(&self, target);
        r = report_for(rune, id, target, true, &report, err);
        if (r == 0)
                r = test_quote(buf_view(&report), ret_quote, err);
        if (r < 0)
                return r;
        messages_say(&rune->messages, LOG_LEVEL_WARNING, warning);
        if (rune->messages.fd >= 0)
                fprintf(stderr, "%s: %s\n", rune->name, warning);
        return 0;
}

static int quote_of_machine(const struct rune *rune, const struct aesmd *service, const char *id,
                            struct buf *ret_quote, struct error *err)
{
        cleanup_buf struct buf report = buf_with_max(SGX_REPORT_SIZE);
        uint8_t target[SGX_TARGETINFO_SIZE];
        int r = aesmd_target(service, target, err);

        if (r == 0)
                r = report_for(rune, id, target, false, &report, err);
        return r == 0 ? aesmd_quote(service, report.p, ret_quote, err) : r;
}

int rune_quote(const struct rune *rune, const struct aesmd *service, const char *id, struct buf *ret_quote,
               struct error *err)
{
        cleanup_buf struct buf bytes = buf_with_max(SGX_REPORT_SIZE);
        struct sgx_report report;
        int r = get_report(rune, id, view_of(NULL, 0), &bytes, &report, err);

        if (r < 0)
                return r;
        return sgx_report_is_simulated(&report) ? quote_of_simulation(rune, id, ret_quote, err)
                                                : quote_of_machine(rune, service, id, ret_quote, err);
}
