/* SPDX-License-Identifier: Apache-2.0 */
#include "sgx-verify/sgx-verify.h"

#include "lib/attest/collateral.h"
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/crypto/openssl-internal.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT_MAX = 64 * 1024 };

static const char help[] =
        "Usage: sgx-verify [OPTIONS] QUOTE\n"
        "\n"
        "Says whether a quote of an Intel SGX enclave is genuine, and of which enclave.\n"
        "\n"
        "Options:\n"
        "  -h, --help                show this\n"
        "      --version             show the version\n"
        "  -o, --output FORMAT       json, jsonc, none, table, tsv, yaml or yamlc; table unless given\n"
        "\n"
        "What the enclave must be:\n"
        "      --mrenclave HEX       this measurement\n"
        "      --mrsigner HEX        signed by this signer\n"
        "      --isv-prod-id NUMBER  this product of its signer\n"
        "      --min-isv-svn NUMBER  this security version or a later one\n"
        "      --report-data HEX     these bytes in REPORTDATA, then zeros\n"
        "      --allow-debug         it may be one that can be debugged\n"
        "\n"
        "What its platform must be:\n"
        "      --root FILE           trust this root certificate (PEM) instead of Intel's\n"
        "      --crl FILE            certificates that were revoked, one list for each issuer\n"
        "      --tcb-info FILE       how current platforms are, as Intel publishes it\n"
        "      --qe-identity FILE    what the quoting enclave must be, likewise\n"
        "      --tcb-chain FILE      the certificates (PEM) that both are signed by\n"
        "      --accept-tcb STATUS   take this status beside UpToDate\n"
        "      --no-tcb              take a platform whose TCB is not checked\n"
        "      --accept-test-quotes  also quotes of simulated enclaves, evidence of nothing\n"
        "\n"
        "See man sgx-verify.\n";

static int fail(const char *text)
{
        fprintf(stderr, "sgx-verify: %s\n", text);
        return VERIFY_REFUSED;
}

static int usage(char *text)
{
        fprintf(stderr, "sgx-verify: %s\nTry: sgx-verify --help\n", text ? text : "out of memory");
        free(text);
        return VERIFY_USAGE;
}

static int print(const char *text)
{
        if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
                return VERIFY_ACCEPTED;
        return fail("cannot write to stdout");
}

static int read_root(struct verify_options *o, struct error *err)
{
        cleanup_certificate struct certificate *root = NULL;
        int r = o->root ? certificate_read(AT_FDCWD, o->root, &root, err) : 0;

        if (r < 0 || !o->root)
                return r;
        r = p256_point(certificate_pkey(root), o->root_key, err);
        if (r < 0)
                error_wrap(err, "%s", o->root);
        o->policy.root_key = o->root_key;
        return r;
}

static int read_crls(const struct verify_options *o, struct crl *ret_crls[CERTIFICATE_CRLS_MAX],
                     struct error *err)
{
        for (size_t i = 0; i < o->n_crls; i++) {
                cleanup_buf struct buf file = {0};
                int r = file_read(AT_FDCWD, o->crls[i], CRL_FILE_MAX, &file, err);

                if (r < 0)
                        return r;
                r = crl_parse(buf_view(&file), &ret_crls[i], err);
                if (r < 0)
                        return error_wrap(err, "%s", o->crls[i]), r;
        }
        return 0;
}

/* Files of collateral, and the documents in them. */
struct collateral {
        struct buf tcb_info, qe_identity, chain;
        struct tcb_documents documents;
};

static void collateral_done(struct collateral *c)
{
        buf_done(&c->tcb_info);
        buf_done(&c->qe_identity);
        buf_done(&c->chain);
}

static int read_collateral(struct verify_options *o, struct collateral *c, struct error *err)
{
        int r = o->tcb_info ? file_read(AT_FDCWD, o->tcb_info, COLLATERAL_MAX, &c->tcb_info, err) : 0;

        if (r < 0 || !o->tcb_info)
                return r;
        r = file_read(AT_FDCWD, o->qe_identity, COLLATERAL_MAX, &c->qe_identity, err);
        if (r == 0)
                r = file_read(AT_FDCWD, o->tcb_chain, PEM_FILE_MAX, &c->chain, err);
        c->documents = (struct tcb_documents){.tcb_info = buf_view(&c->tcb_info),
                                              .qe_identity = buf_view(&c->qe_identity),
                                              .signing_chain = buf_view(&c->chain)};
        o->policy.tcb.documents = &c->documents;
        return r;
}

/* What a person can do about a refusal. */
static void hint(const struct verify_options *o, struct view quote, struct error *err)
{
        struct quote_policy all = o->policy;
        struct quote_verdict verdict;

        all.accept_test_quotes = true;
        if (!o->policy.accept_test_quotes && quote_verify(quote, &all, &verdict, NULL) == 0)
                error_hint(err, "for tests there is --accept-test-quotes");
        all = o->policy;
        all.allow_debug = true;
        if (!o->policy.allow_debug && quote_verify(quote, &all, &verdict, NULL) == 0)
                error_hint(err, "to take it nevertheless there is --allow-debug");
        all = o->policy;
        all.tcb.skip = true;
        if (!o->policy.tcb.skip && !o->tcb_info && quote_verify(quote, &all, &verdict, NULL) == 0)
                error_hint(err, "to take it nevertheless there is --no-tcb");
}

static int verify(struct verify_options *o, struct crl **crls, struct error *err)
{
        cleanup_buf struct buf file = {0}, text = buf_with_max(OUTPUT_MAX);
        CLEANUP(collateral_done) struct collateral collateral = {.tcb_info = {0}};
        struct quote_verdict verdict;
        int r = read_root(o, err);

        if (r == 0)
                r = read_crls(o, crls, err);
        if (r == 0)
                r = read_collateral(o, &collateral, err);
        if (r == 0)
                r = file_read(AT_FDCWD, o->path, SGX_QUOTE_MAX, &file, err);
        if (r < 0)
                return r;
        o->policy.crls = crls;
        o->policy.n_crls = o->n_crls;
        o->policy.now = time(NULL);
        r = quote_verify(buf_view(&file), &o->policy, &verdict, err);
        if (r < 0) {
                error_wrap(err, "%s is refused", o->path);
                hint(o, buf_view(&file), err);
                return r;
        }
        r = verify_print(o, &verdict, &text, err);
        if (r == 0)
                r = fd_write_full(STDOUT_FILENO, text.p, text.n);
        return r;
}

int main(int argc, char **argv)
{
        struct crl *crls[CERTIFICATE_CRLS_MAX] = {NULL};
        struct verify_options o;
        struct error err = {0};
        char *problem = NULL;
        int r;

        sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
                if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
                        return print(help);
                if (strcmp(argv[i], "--version") == 0)
                        return print("sgx-verify (Coffer) " COFFER_VERSION "\n");
        }
        if (verify_options_parse(argc, argv, &o, &problem) != VERIFY_ACCEPTED)
                return usage(problem);
        r = verify(&o, crls, &err);
        for (size_t i = 0; i < CERTIFICATE_CRLS_MAX; i++)
                crl_free(crls[i]);
        return r < 0 ? fail(error_text(&err)) : VERIFY_ACCEPTED;
}
