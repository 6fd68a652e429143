/* SPDX-License-Identifier: Apache-2.0 */
/*  Theory of operation.  There are two listening sockets: the vsock port, and an abstract Unix socket at
 * which one asks for copies of both.  All who wait have both, and both live as long as anybody does; so
 * there is no owner that could die, and no moment between two owners in which an enclave finds nobody.
 *
 * A heartbeat for somebody else is told by a datagram to an abstract name made of the CID.  Whom such names
 * and copies belong to is checked by the kernel's credentials: another user could lie, and is not believed.
 *
 * Abstract names are looked up in the network namespace that a socket was made in, not in the caller's:
 * every socket that a name is used with is made in nitro_heartbeat_new().
 */
#include "lib/enclave/nitro-heartbeat.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/enclave/guest-protocol.h"
#include "lib/enclave/nitro.h"
#include "lib/vsock/client.h"

#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
        CALLERS_MAX = 16, /* enclaves whose byte is waited for at a time */
        RETRY_US = 20 * 1000,
        BACKLOG = 64,
        SHARED = 2,
        ANSWER_MS = 500, /* what another process may take to share */
};

/* What epoll tells which socket it is. */
enum { TAG_PORT = CALLERS_MAX, TAG_SHARING, TAG_TOLD };

struct caller {
        int fd; /* -1: none */
        uint32_t cid;
};

struct nitro_heartbeat {
        ino_t device;
        int epoll_fd;
        int port_fd;    /* vsock */
        int sharing_fd; /* listens for those who want copies */
        int asking_fd;  /* to ask another who waits; -1 once it was used */
        int told_fd;    /* datagrams, from and to others who wait */
        uint32_t cid;   /* 0: not known yet */
        bool came;
        struct caller callers[CALLERS_MAX];
};

/* ---- names ---- */

/* Each device has a vsock of its own, under an emulator a machine may have several: its inode is in the
 * name. */
static socklen_t make_name(ino_t device, const char *what, uint32_t number, struct sockaddr_un *ret_name)
{
        *ret_name = (struct sockaddr_un){.sun_family = AF_UNIX};
        int n = snprintf(ret_name->sun_path + 1, sizeof(ret_name->sun_path) - 1, "coffer-nitro-%ju-%s-%u",
                         (uintmax_t)device, what, number);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static bool is_trusted(uid_t uid)
{
        return uid == 0 || uid == geteuid();
}

/* ---- sharing the port ---- */

/* The two descriptors in an answer. -EAGAIN: there are none. */
static int receive_copies(int fd, int ret_fds[SHARED])
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(SHARED * sizeof(int))];
        } control = {0};
        char byte;
        struct iovec part = {.iov_base = &byte, .iov_len = 1};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};
        struct pollfd wait = {.fd = fd, .events = POLLIN};

        if (poll(&wait, 1, ANSWER_MS) != 1 || recvmsg(fd, &message, MSG_CMSG_CLOEXEC) != 1)
                return -EAGAIN;
        const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(SHARED * sizeof(int)))
                return -EAGAIN;
        memcpy(ret_fds, CMSG_DATA(header), SHARED * sizeof(int));
        return 0;
}

/* Replaces both sockets by those of another who waits. -EAGAIN: nobody does, or not any more. */
static int ask_for_copies(struct nitro_heartbeat *heartbeat)
{
        struct sockaddr_un name;
        socklen_t n = make_name(heartbeat->device, "share", 0, &name), size = sizeof(struct ucred);
        struct ucred owner;
        int fds[SHARED];

        if (heartbeat->asking_fd < 0)
                heartbeat->asking_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(heartbeat->asking_fd, (const struct sockaddr *)&name, n) < 0)
                return -EAGAIN;
        cleanup_fd int fd = take_fd(&heartbeat->asking_fd);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &owner, &size) < 0 || !is_trusted(owner.uid))
                return -EACCES;
        int r = receive_copies(fd, fds);
        if (r < 0)
                return r;
        fd_close_p(&heartbeat->port_fd);
        fd_close_p(&heartbeat->sharing_fd);
        heartbeat->port_fd = fds[0];
        heartbeat->sharing_fd = fds[1];
        return 0;
}

static void give_copies(const struct nitro_heartbeat *heartbeat)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(SHARED * sizeof(int))];
        } control = {0};
        char byte = 0;
        struct iovec part = {.iov_base = &byte, .iov_len = 1};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};
        const int fds[SHARED] = {heartbeat->port_fd, heartbeat->sharing_fd};
        socklen_t size = sizeof(struct ucred);
        struct ucred asker;
        cleanup_fd int fd = accept4(heartbeat->sharing_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &asker, &size) < 0 || !is_trusted(asker.uid))
                return;
        control.header = (struct cmsghdr){
                .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(fds))};
        memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
        (void)sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Listens on both sockets: the first who waits.  -EADDRINUSE: somebody else does. */
static int listen_on_both(const struct nitro_heartbeat *heartbeat, struct error *err)
{
        struct sockaddr_un name;
        socklen_t n = make_name(heartbeat->device, "share", 0, &name);
        uint64_t deadline = clock_ms() + ANSWER_MS;
        int r = vsock_listen_on(heartbeat->port_fd, GUEST_HEARTBEAT_PORT, err);

        if (r < 0)
                return r;
        /* The last who had both closes one after the other. */
        while ((r = bind(heartbeat->sharing_fd, (const struct sockaddr *)&name, n)) < 0 &&
               errno == EADDRINUSE && clock_ms() < deadline)
                clock_sleep_us(RETRY_US);
        if (r < 0 || listen(heartbeat->sharing_fd, BACKLOG) < 0)
                return error_set(err, -EBUSY, "the name under which vsock port %d is shared: %s",
                                 GUEST_HEARTBEAT_PORT, strerror(errno));
        return 0;
}

static int take_part(struct nitro_heartbeat *heartbeat, int timeout_ms, struct error *err)
{
        uint64_t deadline = clock_ms() + (uint64_t)timeout_ms;

        for (;;) {
                int r = listen_on_both(heartbeat, err);
                if (r != -EADDRINUSE)
                        return r;
                r = ask_for_copies(heartbeat);
                if (r == 0)
                        return 0;
                if (r != -EAGAIN || clock_ms() >= deadline)
                        return error_set(
                                err, -EADDRINUSE,
                                "another program has vsock port %d, on which enclaves say that they are "
                                "alive; it may be starting one: try again",
                                GUEST_HEARTBEAT_PORT);
                clock_sleep_us(RETRY_US);
        }
}

/* ---- life ---- */

static int watch(const struct nitro_heartbeat *heartbeat, int fd, uint32_t tag)
{
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};

        return epoll_ctl(heartbeat->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int nitro_heartbeat_new(struct nitro_heartbeat **ret_heartbeat, struct error *err)
{
        cleanup_nitro_heartbeat struct nitro_heartbeat *heartbeat = calloc(1, sizeof(*heartbeat));
        const int yes = 1, flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
        struct stat st;

        if (!heartbeat)
                return error_oom(err);
        for (size_t i = 0; i < CALLERS_MAX; i++)
                heartbeat->callers[i].fd = -1;
        heartbeat->device = stat(NITRO_DEVICE, &st) == 0 ? st.st_ino : 0;
        heartbeat->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        heartbeat->port_fd = socket(AF_VSOCK, SOCK_STREAM | flags, 0);
        heartbeat->sharing_fd = socket(AF_UNIX, SOCK_STREAM | flags, 0);
        heartbeat->asking_fd = socket(AF_UNIX, SOCK_STREAM | flags, 0);
        heartbeat->told_fd = socket(AF_UNIX, SOCK_DGRAM | flags, 0);
        if (heartbeat->port_fd < 0)
                return error_set(err, -EAFNOSUPPORT,
                                 "this kernel has no AF_VSOCK; `modprobe vsock` may help");
        if (heartbeat->epoll_fd < 0 || heartbeat->sharing_fd < 0 || heartbeat->asking_fd < 0 ||
            heartbeat->told_fd < 0 ||
            setsockopt(heartbeat->told_fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0)
                return error_errno(err, errno, "heartbeat");
        *ret_heartbeat = take_pointer(&heartbeat);
        return 0;
}

void nitro_heartbeat_free(struct nitro_heartbeat *heartbeat)
{
        if (!heartbeat)
                return;
        for (size_t i = 0; i < CALLERS_MAX; i++)
                fd_close_p(&heartbeat->callers[i].fd);
        fd_close_p(&heartbeat->port_fd);
        fd_close_p(&heartbeat->sharing_fd);
        fd_close_p(&heartbeat->asking_fd);
        fd_close_p(&heartbeat->told_fd);
        fd_close_p(&heartbeat->epoll_fd);
        free(heartbeat);
}

int nitro_heartbeat_begin(struct nitro_heartbeat *heartbeat, uint32_t cid, int timeout_ms, struct error *err)
{
        struct sockaddr_un name;
        socklen_t n = make_name(heartbeat->device, "alive", cid, &name);

        if (bind(heartbeat->told_fd, (const struct sockaddr *)&name, n) < 0)
                return errno == EADDRINUSE
                               ? error_set(err, -EADDRINUSE, "CID %u is in use by another enclave", cid)
                               : error_errno(err, errno, "heartbeat");
        heartbeat->cid = cid;
        int r = take_part(heartbeat, timeout_ms, err);
        if (r < 0)
                return r;
        if ((r = watch(heartbeat, heartbeat->port_fd, TAG_PORT)) < 0 ||
            (r = watch(heartbeat, heartbeat->sharing_fd, TAG_SHARING)) < 0 ||
            (r = watch(heartbeat, heartbeat->told_fd, TAG_TOLD)) < 0)
                return error_errno(err, -r, "heartbeat");
        return 0;
}

int nitro_heartbeat_fd(const struct nitro_heartbeat *heartbeat)
{
        return heartbeat->epoll_fd;
}

/* ---- what comes ---- */

/* The enclave with this CID is alive: ours, or somebody's who is told. */
static void announce(struct nitro_heartbeat *heartbeat, uint32_t cid)
{
        struct sockaddr_un name;
        socklen_t n = make_name(heartbeat->device, "alive", cid, &name);
        const uint8_t byte = GUEST_HEARTBEAT_BYTE;

        if (cid == heartbeat->cid)
                heartbeat->came = true;
        else
                (void)sendto(heartbeat->told_fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL,
                             (const struct sockaddr *)&name, n);
}

/* Where a caller is kept; NULL: there is no room.  An init calls once: where an enclave calls again its first
 * call is given up, so that it can't take the room of others. */
static struct caller *find_place(struct nitro_heartbeat *heartbeat, uint32_t cid)
{
        struct caller *place = NULL;

        for (size_t i = 0; i < CALLERS_MAX; i++) {
                struct caller *caller = &heartbeat->callers[i];
                if (caller->fd < 0) {
                        place = place ? place : caller;
                } else if (caller->cid == cid) {
                        fd_close_p(&caller->fd);
                        return caller;
                }
        }
        return place;
}

static void take_caller(struct nitro_heartbeat *heartbeat)
{
        struct sockaddr_vm peer = {.svm_family = AF_UNSPEC};
        socklen_t n = sizeof(peer);
        cleanup_fd int fd =
                accept4(heartbeat->port_fd, (struct sockaddr *)&peer, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
                return;
        /* Where there are too many, this one is closed; an init that is refused says so and gives up. */
        struct caller *caller = find_place(heartbeat, peer.svm_cid);
        if (caller && watch(heartbeat, fd, (uint32_t)(caller - heartbeat->callers)) == 0)
                *caller = (struct caller){.fd = take_fd(&fd), .cid = peer.svm_cid};
}

static void hear_caller(struct nitro_heartbeat *heartbeat, struct caller *caller)
{
        uint8_t byte = 0;
        ssize_t n = recv(caller->fd, &byte, 1, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        bool good = n == 1 && byte == GUEST_HEARTBEAT_BYTE &&
                    send(caller->fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
        fd_close_p(&caller->fd);
        if (good)
                announce(heartbeat, caller->cid);
}

/* Somebody else has heard an enclave. */
static void hear_word(struct nitro_heartbeat *heartbeat)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(struct ucred))];
        } control = {0};
        uint8_t byte = 0;
        struct iovec part = {.iov_base = &byte, .iov_len = 1};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};
        struct ucred sender = {.uid = (uid_t)-1};

        if (recvmsg(heartbeat->told_fd, &message, MSG_DONTWAIT) != 1 || byte != GUEST_HEARTBEAT_BYTE)
                return;
        const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header && header->cmsg_type == SCM_CREDENTIALS)
                memcpy(&sender, CMSG_DATA(header), sizeof(sender));
        if (is_trusted(sender.uid))
                heartbeat->came = true;
}

int nitro_heartbeat_service(struct nitro_heartbeat *heartbeat)
{
        struct epoll_event events[CALLERS_MAX];
        int n = epoll_wait(heartbeat->epoll_fd, events, CALLERS_MAX, 0);

        if (n < 0 && errno != EINTR)
                return -errno;
        for (int i = 0; i < n; i++) {
                uint32_t tag = events[i].data.u32;
                if (tag < CALLERS_MAX)
                        hear_caller(heartbeat, &heartbeat->callers[tag]);
                else if (tag == TAG_PORT)
                        take_caller(heartbeat);
                else if (tag == TAG_SHARING)
                        give_copies(heartbeat);
                else
                        hear_word(heartbeat);
        }
        return heartbeat->came;
}
