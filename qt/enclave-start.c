/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/fd.h"
#include "lib/enclave/enclave.h"
#include "lib/enclave/install.h"
#include "lib/enclave/registry.h"
#include "lib/format/json.h"
#include "qt/confine.h"
#include "qt/enclave-json.h"
#include "qt/qt.h"
#include "qt/verbs.h"
#include "qt/watch.h"

#include <stdio.h>

enum { ARG_ATTACH_CONSOLE, ARG_CID, ARG_CPUS, ARG_DEBUG_MODE, ARG_EIF, ARG_MEM, ARG_WAIT, ARGS };

/* Limits that only catch slips of the keyboard: what a machine really has is the library's business. */
#define CPUS_MAX 4096
#define MEM_MAX  UINT32_MAX

/* The image, its metadata and its signature are others'. */
static int confine(void *user, struct error *err)
{
        return confine_starter(registry_path(user), err);
}

static int start(const struct qt *qt, struct enclaves *enclaves, int interrupt, struct enclave_info *ret_info,
                 struct error *err)
{
        struct enclave_start_options options = ENCLAVE_START_DEFAULTS;
        cleanup_free char *supervisor = NULL;

        int r = install_find(INSTALL_SUPERVISOR, &supervisor, err);
        if (r < 0)
                return r;
        options.eif = qt_text(qt, ARG_EIF);
        options.supervisor = supervisor;
        options.has_cid = qt_given(qt, ARG_CID);
        options.cid = (uint32_t)qt_number(qt, ARG_CID);
        options.cpus = (unsigned)qt_number(qt, ARG_CPUS);
        options.mem_mib = (unsigned)qt_number(qt, ARG_MEM);
        options.debug_mode = qt_given(qt, ARG_DEBUG_MODE) || qt_given(qt, ARG_ATTACH_CONSOLE);
        options.cancel_fd = interrupt;
        options.log = &qt->log;
        options.confine = confine;
        options.confine_user = enclaves;
        r = enclave_start(enclaves, &options, ret_info, err);
        if (r == -EBADMSG)
                error_hint(
                        err,
                        "`qt enclave make-img` makes enclave images, `qt enclave query-eif` looks into them");
        return r;
}

/* QingTian's sentence. It is for people, so it stays out of stdout. */
static void announce(const struct qt *qt, const struct enclave_info *info)
{
        if (!qt->quiet)
                fprintf(stderr,
                        "Started enclave with EnclaveID : %u, EnclaveCID : %u, NumberOfCPUs : %u, MemoryMiB "
                        ": %u, "
                        "LaunchMode : %s\n",
                        info->id, info->cid, info->cpus, info->mem_mib,
                        info->debug_mode ? "debug" : "normal");
}

/* The console until it ends. */
static int attach(struct enclaves *enclaves, uint32_t id, int interrupt, struct error *err)
{
        cleanup_fd int console = -1;
        int r = enclave_console_open(enclaves, id, &console, err);

        return r < 0 ? r : watch_console(console, interrupt, err);
}

/* The workload's status as a shell has it. */
static int wait_for_end(const struct qt *qt, struct enclaves *enclaves, uint32_t id, int interrupt)
{
        struct enclave_info info;
        struct error err = {0};
        int r = enclave_wait(enclaves, id, interrupt, &info, &err);

        if (r == -ECANCELED)
                error_set(&err, r,
                          "interrupted; enclave %u still runs: end it with `qt enclave stop --enclave-id %u`",
                          id, id);
        if (r < 0)
                return qt_fail(qt, &err);
        if (info.state == ENCLAVE_EXITED && info.exit_status == ENCLAVE_EXIT_UNKNOWN)
                error_set(&err, -EIO,
                          "enclave %u has ended; how its workload did is not known, since the image's init "
                          "isn't "
                          "Coffer's and tells nobody",
                          id);
        else if (info.state == ENCLAVE_EXITED)
                return info.exit_status;
        else
                error_set(&err, -EIO, "enclave %u failed: %s", id, info.reason);
        return qt_fail(qt, &err);
}

static int run(void *context, const struct cli_parsed *parsed)
{
        const struct qt *qt = context;
        cleanup_enclaves struct enclaves *enclaves = NULL;
        cleanup_fd int interrupt = -1;
        struct enclave_info info;
        struct error err = {0};

        (void)parsed;
        int r = watch_interrupt(&interrupt, &err);
        if (r == 0)
                r = enclaves_open(NULL, &enclaves, &err);
        if (r == 0)
                r = start(qt, enclaves, interrupt, &info, &err);
        if (r < 0)
                return qt_fail(qt, &err);
        announce(qt, &info);
        cleanup_json json_t *result = enclave_json(&info);
        int status = qt_print_result(qt, result);

        if (qt_given(qt, ARG_ATTACH_CONSOLE)) {
                r = attach(enclaves, info.id, interrupt, &err);
                if (r < 0 && r != -ECANCELED && r != -EPIPE)
                        status = qt_fail(qt, &err);
                if (r == -ECANCELED)
                        return qt_given(qt, ARG_WAIT) ? QT_FAILED : status;
        }
        return qt_given(qt, ARG_WAIT) ? wait_for_end(qt, enclaves, info.id, interrupt) : status;
}

static const struct cli_argument arguments[ARGS] = {
        [ARG_ATTACH_CONSOLE] =
                {.name = "--attach-console",
                 .summary = "Show the console until it ends or Ctrl-C, which leaves the enclave running. "
                            "Implies --debug-mode."},
        [ARG_CID] = {.name = "--cid",
                     .metavar = "CID",
                     .kind = CLI_NUMBER,
                     .min = ENCLAVE_CID_MIN,
                     .max = ENCLAVE_CID_MAX,
                     .default_text = "the lowest free from 4",
                     .summary = "Context identifier of the enclave's vsock, 4 to 4294967294."},
        [ARG_CPUS] = {.name = "--cpus",
                      .metavar = "CPUS",
                      .kind = CLI_NUMBER,
                      .min = 1,
                      .max = CPUS_MAX,
                      .default_text = "2",
                      .summary = "Number of vCPUs."},
        [ARG_DEBUG_MODE] =
                {.name = "--debug-mode",
                 .summary =
                         "Keep the console for `qt enclave console`. The enclave's PCRs are then all zero."},
        [ARG_EIF] = {.name = "--eif",
                     .metavar = "EIF",
                     .kind = CLI_TEXT,
                     .required = true,
                     .summary = "The enclave image file to start."},
        [ARG_MEM] = {.name = "--mem",
                     .metavar = "MEM",
                     .kind = CLI_NUMBER,
                     .min = 1,
                     .max = MEM_MAX,
                     .default_text = "1024",
                     .summary = "Memory in MiB."},
        [ARG_WAIT] = {.name = "--wait",
                      .summary = "Wait until the workload ends and exit with its status, or 128 plus the "
                                 "number of the "
                                 "signal that ended it."},
};

static const struct cli_example examples[] = {
        {"Given an eif image, an unused cid, the number of cpus and memory needed",
         "qt enclave start  [--cpus CPUS] [--mem MEM] --eif EIF [--cid CID]"},
        {"Run a job in an enclave and get its exit status", "qt enclave start --eif EIF --wait"},
};

const struct cli_command qt_enclave_start = {
        .name = "start",
        .summary = "Start an enclave via an eif image.",
        .arguments = arguments,
        .n_arguments = ARGS,
        .examples = examples,
        .n_examples = ARRAY_SIZE(examples),
        .run = run,
};
