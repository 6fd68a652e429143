/* SPDX-License-Identifier: Apache-2.0 */
#include "ne-emulator/call.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>

int call_receive(int listener, struct call *ret_call)
{
        /* Room for what a later kernel may write behind the members that we know. */
        union {
                struct seccomp_notif notification;
                uint8_t bytes[1024];
        } room;

        memset(&room, 0, sizeof(room));
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &room) < 0)
                return -errno;
        *ret_call = (struct call){
                .listener = listener,
                .id = room.notification.id,
                .tid = (pid_t)room.notification.pid,
                .nr = room.notification.data.nr,
        };
        for (size_t i = 0; i < CALL_ARGUMENTS; i++)
                ret_call->args[i] = room.notification.data.args[i];
        return 0;
}

bool call_is_wanted(const struct call *call)
{
        uint64_t id = call->id;

        return ioctl(call->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

static int answer(const struct call *call, int64_t value, int errnum, uint32_t flags)
{
        union {
                struct seccomp_notif_resp response;
                uint8_t bytes[256];
        } room;

        memset(&room, 0, sizeof(room));
        room.response =
                (struct seccomp_notif_resp){.id = call->id, .val = value, .error = -errnum, .flags = flags};
        return ioctl(call->listener, SECCOMP_IOCTL_NOTIF_SEND, &room) < 0 ? -errno : 0;
}

int call_return(const struct call *call, int64_t value)
{
        return answer(call, value, 0, 0);
}

int call_fail(const struct call *call, int errnum)
{
        return answer(call, 0, errnum, 0);
}

void call_continue(const struct call *call)
{
        (void)answer(call, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

int call_give_fd(const struct call *call, int fd, bool close_on_exec)
{
        struct seccomp_notif_addfd add = {
                .id = call->id,
                .flags = SECCOMP_ADDFD_FLAG_SEND,
                .srcfd = (uint32_t)fd,
                .newfd_flags = close_on_exec ? O_CLOEXEC : 0,
        };

        return ioctl(call->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? -errno : 0;
}
