/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/launch.h"

#include "lib/enclave/state.h"

#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <sys/mman.h>
#include <unistd.h>

void launch_done(struct launch *launch)
{
        free(take_pointer(&launch->state_dir));
        free(take_pointer(&launch->cmdline));
}

int launch_write(const struct launch *launch, int *ret_fd, struct error *err)
{
        cleanup_json json_t *json =
                json_pack("{s:o, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:I}", "enclave",
                          state_to_json(&launch->info), "state_dir", launch->state_dir, "cmdline",
                          launch->cmdline, "nitro", launch->nitro, "kernel_vsock", launch->kernel_vsock,
                          "has_initrd", launch->has_initrd, "leashed", launch->leashed, "init_of_others",
                          launch->init_of_others, "timeout_ms", (json_int_t)launch->timeout_ms);
        cleanup_buf struct buf text = buf_with_max(STATE_JSON_MAX);

        /* The command line was checked for NULs; a path or command line that is no UTF-8 does not fit into
         * JSON. */
        if (!json)
                return error_set(err, -EINVAL, "the command line or the state folder's name is not UTF-8");
        int r = state_append_line(json, &text);
        if (r < 0)
                return error_errno(err, -r, "launch");
        cleanup_fd int fd = memfd_create("coffer-launch", MFD_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "launch");
        if ((r = fd_pwrite_full(fd, text.p, text.n, 0)) < 0)
                return error_errno(err, -r, "launch");
        *ret_fd = take_fd(&fd);
        return 0;
}

static int from_json(const json_t *json, struct launch *launch, struct error *err)
{
        const char *state_dir = json_string_value(json_object_get(json, "state_dir"));
        const char *cmdline = json_string_value(json_object_get(json, "cmdline"));
        json_int_t timeout = json_integer_value(json_object_get(json, "timeout_ms"));

        if (!state_dir || !cmdline || timeout < 1 || timeout > UINT_MAX)
                return error_set(err, -EBADMSG, "a launch without state_dir, cmdline or timeout_ms");
        launch->state_dir = string_printf("%s", state_dir);
        launch->cmdline = string_printf("%s", cmdline);
        if (!launch->state_dir || !launch->cmdline)
                return error_oom(err);
        launch->nitro = json_is_true(json_object_get(json, "nitro"));
        launch->kernel_vsock = json_is_true(json_object_get(json, "kernel_vsock"));
        launch->has_initrd = json_is_true(json_object_get(json, "has_initrd"));
        launch->leashed = json_is_true(json_object_get(json, "leashed"));
        launch->init_of_others = json_is_true(json_object_get(json, "init_of_others"));
        launch->timeout_ms = (unsigned)timeout;
        return state_from_json(json_object_get(json, "enclave"), &launch->info, err);
}

int launch_read(int fd, struct launch *ret_launch, struct error *err)
{
        cleanup_launch struct launch launch = LAUNCH_NONE;
        cleanup_json json_t *json = NULL;
        cleanup_free char *text = malloc(STATE_JSON_MAX);
        ssize_t n = text ? pread(fd, text, STATE_JSON_MAX, 0) : -1;
        int r;

        if (n < 0)
                return error_errno(err, errno, "launch");
        if ((r = state_parse_object(view_of(text, (size_t)n), &json, err)) < 0 ||
            (r = from_json(json, &launch, err)) < 0)
                return r;
        *ret_launch = launch;
        launch = LAUNCH_NONE;
        return 0;
}
