/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sgx-test-quoter - the simulated quoting enclave as a process: a report on standard input, the test quote on
 * standard output.  `rune attest` starts it for enclaves that are simulated; it is apart from `rune`, which
 * has no cryptography in it.
 */
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/sgx/keys.h"
#include "lib/sgx/quote.h"
#include "lib/sgx/sim-qe.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int make(struct view report, struct buf *quote, struct error *err)
{
        struct sgx_root root;
        bool shared;
        int r = sgx_root_load(&root, &shared, err);

        if (r < 0)
                return r;
        r = sgx_sim_quote(&root, report.p, time(NULL), quote, err);
        if (r < 0 && !shared)
                error_hint(err, "no key is shared with the enclave: neither /run/coffer nor "
                                "$XDG_RUNTIME_DIR/coffer can be written");
        explicit_bzero(&root, sizeof(root));
        return r;
}

static int run(struct error *err)
{
        cleanup_buf struct buf report = buf_with_max(SGX_REPORT_SIZE), quote = buf_with_max(SGX_QUOTE_MAX);
        int r = file_read_fd(STDIN_FILENO, SGX_REPORT_SIZE, &report);

        if (r < 0 || report.n != SGX_REPORT_SIZE)
                return error_set(err, -EBADMSG, "standard input is no report, which has %d bytes",
                                 SGX_REPORT_SIZE);
        r = make(buf_view(&report), &quote, err);
        if (r < 0)
                return r;
        r = fd_write_full(STDOUT_FILENO, quote.p, quote.n);
        return r < 0 ? error_errno(err, -r, "standard output") : 0;
}

int main(void)
{
        struct error err = {0};

        if (run(&err) == 0)
                return 0;
        fprintf(stderr, "%s\n", error_text(&err));
        return 1;
}
