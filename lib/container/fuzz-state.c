/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-state.c - a hostile state file: what can be read of it can be shown, and written again. */
#include "lib/base/fd.h"
#include "lib/container/state.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_state(int folder, const uint8_t *data, size_t size)
{
        cleanup_fd int fd = openat(folder, STATE_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0 || fd_write_full(fd, data, size) < 0)
                abort();
}

static void use(int folder, const struct container_state *state)
{
        cleanup_container_state struct container_state again = {0};
        struct error err;

        for (int status = CONTAINER_CREATING; status <= CONTAINER_STOPPED; status++) {
                json_t *object = state_to_oci(state, status);
                if (!object)
                        abort();
                json_decref(object);
        }
        if (state_write(folder, state, &err) < 0 || state_read(folder, &again, &err) < 0)
                abort();
        if (strcmp(state->id, again.id) != 0 || state->pid != again.pid ||
            state->start_time != again.start_time ||
            !json_equal(state->cgroup, again.cgroup) != !state->cgroup)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_container_state struct container_state state = {0};
        char path[] = "/tmp/fuzz-state-XXXXXX";
        struct error err;

        if (!mkdtemp(path))
                abort();
        cleanup_fd int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
                abort();
        write_state(folder, data, size);
        if (state_read(folder, &state, &err) == 0)
                use(folder, &state);
        (void)unlinkat(folder, STATE_FILE, 0);
        if (rmdir(path) < 0)
                abort();
        return 0;
}
