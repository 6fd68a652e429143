/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/show.h"

pid_t show_pid(const struct container_info *info)
{
        return info->status == CONTAINER_STOPPED ? 0 : info->state.pid;
}

/* Members that a state file of ours always has may still be missing while it is created. */
static const char *text_of(const char *text)
{
        return text ? text : "";
}

json_t *show_container(const struct container_info *info)
{
        const struct container_state *state = &info->state;
        json_t *shown =
                json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s}", "ociVersion", text_of(state->version), "id",
                          text_of(state->id), "pid", (int)show_pid(info), "status",
                          container_status_name(info->status), "bundle", text_of(state->bundle), "rootfs",
                          text_of(state->rootfs), "created", state->created);
        int r = shown ? 0 : -1;

        if (r == 0 && json_object_size(state->annotations) > 0)
                r = json_object_set(shown, "annotations", state->annotations);
        if (r == 0)
                r = json_object_set_new(shown, "owner", json_string(text_of(state->owner)));
        if (r == 0)
                return shown;
        json_decref(shown);
        return NULL;
}
