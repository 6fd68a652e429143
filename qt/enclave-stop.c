/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/enclave.h"
#include "lib/enclave/registry.h"
#include "lib/format/json.h"
#include "qt/confine.h"
#include "qt/qt.h"
#include "qt/verbs.h"

#include <stdlib.h>

enum { ARG_ALL, ARG_ENCLAVE_ID, ARGS };

/* What was stopped, as a sentence each and as JSON. */
struct report {
        struct buf sentences;
        json_t *array;
};

static void report_done(struct report *report)
{
        buf_done(&report->sentences);
        json_decref(report->array);
}

static int stop_one(struct enclaves *enclaves, uint32_t id, struct report *report, struct error *err)
{
        int r = enclave_stop(enclaves, id, ENCLAVE_GRACE_MS, err);

        if (r < 0)
                return r;
        buf_printf(&report->sentences, "stop %u success\n", id);
        return json_array_append_new(report->array, json_pack("{s:I, s:b}", "EnclaveID", (json_int_t)id,
                                                              "Terminated", 1)) < 0
                       ? error_oom(err)
                       : 0;
}

/* Goes on where one cannot be stopped, and tells the last error. One that ended meanwhile is no error. */
static int stop_all(const struct qt *qt, struct enclaves *enclaves, struct report *report, struct error *err)
{
        cleanup_free struct enclave_info *infos = NULL;
        size_t n = 0;
        int r = enclave_list(enclaves, &infos, &n, err), result = r;

        for (size_t i = 0; r == 0 && i < n; i++) {
                struct error one = {0};
                int stopped = stop_one(enclaves, infos[i].id, report, &one);
                if (stopped == 0 || stopped == -ENOENT)
                        continue;
                log_error(&qt->log, "%s", error_text(&one));
                result = error_set(err, stopped, "not all enclaves could be stopped");
        }
        return result;
}

static int print_report(const struct qt *qt, const struct report *report)
{
        if (qt->plain)
                return qt_print_text(qt, buf_string(&report->sentences));
        return qt_print_result(qt, qt_given(qt, ARG_ALL) ? report->array : json_array_get(report->array, 0));
}

static int run(void *context, const struct cli_parsed *parsed)
{
        const struct qt *qt = context;
        CLEANUP(report_done)
        struct report report = {.sentences = buf_with_max(1 << 20), .array = json_array()};
        cleanup_enclaves struct enclaves *enclaves = NULL;
        struct error err = {0};

        (void)parsed;
        if (qt_given(qt, ARG_ALL) == qt_given(qt, ARG_ENCLAVE_ID))
                return qt_usage(qt, "%s",
                                qt_given(qt, ARG_ALL)
                                        ? "argument --all: not allowed with argument --enclave-id"
                                        : "one of the arguments --enclave-id --all is required");
        int r = enclaves_open(NULL, &enclaves, &err);
        if (r == 0)
                r = confine_client(registry_path(enclaves), &err);
        if (r == 0 && qt_given(qt, ARG_ALL))
                r = stop_all(qt, enclaves, &report, &err);
        else if (r == 0)
                r = stop_one(enclaves, (uint32_t)qt_number(qt, ARG_ENCLAVE_ID), &report, &err);
        int status = r == 0 || report.sentences.n ? print_report(qt, &report) : QT_OK;
        return r < 0 ? qt_fail(qt, &err) : status;
}

static const struct cli_argument arguments[ARGS] = {
        [ARG_ALL] = {.name = "--all", .summary = "Stop all enclaves instead of one."},
        [ARG_ENCLAVE_ID] = {.name = "--enclave-id",
                            .metavar = "ENCLAVE_ID",
                            .kind = CLI_NUMBER,
                            .max = QT_ENCLAVE_ID_MAX,
                            .summary = "The enclave to stop. Required unless --all is given."},
};

static const struct cli_example examples[] = {
        {"Given an enclave-id to stop an enclave", "qt enclave stop --enclave-id [ENCLAVE-ID]"},
        {"Stop all enclaves", "qt enclave stop --all"},
};

const struct cli_command qt_enclave_stop = {
        .name = "stop",
        .summary = "Stop an enclave via the enclave-id.",
        .arguments = arguments,
        .n_arguments = ARGS,
        .examples = examples,
        .n_examples = ARRAY_SIZE(examples),
        .run = run,
};
