/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/init.h"
#include "lib/container/runelet/enclave-process.h"
#include "lib/container/runelet/last-words.h"
#include "lib/container/runelet/runelet.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/container/sync.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int runelet_tell(const struct runelet *runelet, enum plan_message message, const char *text,
                 struct error *err)
{
        if (runelet->report_fd < 0)
                return 0;
        int r = runelet->report_is_fifo ? sync_write_fifo(runelet->report_fd, message, text)
                                        : sync_send(runelet->report_fd, message, text, -1);
        return r < 0 ? error_errno(err, -r, "tell rune of the enclave") : 0;
}

int runelet_tell_call(const struct runelet *runelet, const char *call, struct error *err)
{
        cleanup_free char *text = string_printf("PAL %s: %s", runelet->plan->enclave->settings->pal, call);

        return text ? runelet_tell(runelet, PLAN_CALL, text, err) : error_oom(err);
}

/* ---- in the host's namespaces -------------------------------------------------------------------------- */

static int annotate(void *cookie, const char *key, const char *value)
{
        const struct runelet *runelet = cookie;
        cleanup_free char *text = NULL;

        if (!key || !value || !*key || strchr(key, '='))
                return -EINVAL;
        text = string_printf("%s=%s", key, value);
        if (!text)
                return -ENOMEM;
        return strlen(text) < PLAN_MESSAGE_MAX ? runelet_tell(runelet, PLAN_ANNOTATION, text, NULL) : -E2BIG;
}

static int prepare_pal(struct runelet *runelet, struct error *err)
{
        const struct plan *plan = runelet->plan;
        const struct plan_enclave *enclave = plan->enclave;
        struct pal_prepare_args args = {
                .size = sizeof(args),
                .args = enclave->settings->args,
                .log_level = enclave->settings->log_level,
                .id = plan->id,
                .bundle = plan->bundle,
                .config = enclave->config,
                .config_size = enclave->config_size,
                .rootfs_fd = plan->rootfs_fd,
                .annotate = annotate,
                .cookie = runelet,
        };

        if (!runelet->pal.prepare)
                return 0;
        int r = runelet_tell_call(runelet, "pal_prepare", err);
        if (r < 0)
                return r;
        r = runelet->pal.prepare(&args);
        return r != 0 ? pal_failed(&runelet->pal, "pal_prepare", r, err) : 0;
}

static int prepare(void *user, const struct plan *plan, struct error *err)
{
        struct runelet *runelet = user;
        int r = runelet_tell_call(runelet, "its loading", err);

        if (r == 0)
                r = last_words_prepare(err);
        if (r == 0)
                r = pal_load(plan->enclave->settings->pal, &runelet->pal, err);
        if (r == 0)
                r = prepare_pal(runelet, err);
        if (r == 0)
                r = runelet_tell(runelet, PLAN_PREPARED, NULL, err);
        return r < 0 ? r : sync_wait_go(plan->sync_fd, err);
}

/* ---- in the container ---------------------------------------------------------------------------------- */

/* The program need not be in the container: it may be known to the enclave alone. */
static int find_program(const struct plan *plan, struct payload *payload, struct error *err)
{
        const struct spec_strings *args = &plan->process->args;

        if (args->n == 0)
                return error_set(err, -EINVAL, "config.json gives no process.args for the enclave");
        if (payload_find(plan->process, payload, NULL) < 0 && !payload->path)
                payload->path = strdup(args->items[0]);
        return payload->path ? 0 : error_oom(err);
}

static int init_pal(struct runelet *runelet, struct error *err)
{
        const struct enclave_settings *settings = runelet->plan->enclave->settings;
        const struct pal_attr_v1 v1 = {settings->args, settings->log_level};
        const struct pal_attr_v3 v3 = {
                .args = settings->args, .log_level = settings->log_level, .fd = -1, .addr = 0};
        int r = runelet_tell_call(runelet, "pal_init", err);

        if (r < 0)
                return r;
        r = runelet->pal.version == 3 ? runelet->pal.init.v3(&v3) : runelet->pal.init.v1(&v1);
        return r != 0 ? pal_failed(&runelet->pal, "pal_init", r, err) : 0;
}

static int make_ready(void *user, const struct plan *plan, struct payload *payload, struct error *err)
{
        int r = find_program(plan, payload, err);

        return r < 0 ? r : init_pal(user, err);
}

/* Each is closed once: by the second time its number may be the PAL's. */
static int drop(void *user, const struct plan *plan, const int *keep, size_t n, struct error *err)
{
        struct runelet *runelet = user;
        size_t left = 0;

        (void)plan;
        (void)err;
        for (size_t i = 0; i < runelet->n_listed; i++) {
                bool kept = false;
                for (size_t k = 0; k < n; k++)
                        kept = kept || keep[k] == runelet->listed[i];
                if (kept)
                        runelet->listed[left++] = runelet->listed[i];
                else
                        close(runelet->listed[i]);
        }
        runelet->n_listed = left;
        return 0;
}

static int execute(void *user, const struct plan *plan, const struct payload *payload, int report_fd,
                   struct error *err)
{
        struct runelet *runelet = user;

        runelet->report_fd = report_fd;
        runelet->report_is_fifo = plan->exec_fifo_fd >= 0;
        if (runelet->report_is_fifo)
                last_words_to_fifo(report_fd);
        return enclave_process_run(runelet, payload, err);
}

const struct init_program runelet_enclave = {
        .prepare = prepare,
        .make_ready = make_ready,
        .drop = drop,
        .execute = execute,
};
