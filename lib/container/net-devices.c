/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net-devices.c - rtnetlink, as much as it takes to move a device.
 *
 * Theory of operation.  A device loses its addresses as it changes namespaces, so they are read first; it is
 * taken down, so that nothing uses it half moved; name and namespace change in one request, after a look
 * whether the name is free.  Then a socket that was made inside the namespace gives it its addresses again
 * and brings it up.  A socket belongs to the namespace in which it was made, wherever its process goes later.
 */
#include "lib/container/net-devices.h"

#include "lib/base/array.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

enum { REQUEST_SIZE = 512, REPLY_SIZE = 32768, ADDRESS_SIZE = 16 };

/* Addresses that one device may bring along. */
enum { ADDRESSES_MAX = 4096 };

struct request {
        struct nlmsghdr header;
        uint8_t body[REQUEST_SIZE];
};

struct address {
        uint8_t family, prefix;
        uint8_t size; /* bytes of each of those below */
        bool has_local, has_broadcast;
        uint8_t address[ADDRESS_SIZE], local[ADDRESS_SIZE], broadcast[ADDRESS_SIZE];
};

struct addresses {
        struct address *items;
        size_t n;
};

static void addresses_done(struct addresses *addresses)
{
        free(addresses->items);
}
#define cleanup_addresses CLEANUP(addresses_done)

static void begin(struct request *request, uint16_t type, uint16_t flags, const void *body, size_t n)
{
        *request = (struct request){.header = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(n),
                                               .nlmsg_type = type,
                                               .nlmsg_flags = NLM_F_REQUEST | flags,
                                               .nlmsg_seq = 1}};
        memcpy(request->body, body, n);
}

/* Everything that is put in is small and counted: it fits. */
static void put(struct request *request, uint16_t type, const void *value, size_t n)
{
        size_t at = NLMSG_ALIGN(request->header.nlmsg_len);
        struct rtattr attribute = {.rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(n)};

        if (at + RTA_SPACE(n) > sizeof(*request))
                return;
        memcpy((uint8_t *)request + at, &attribute, sizeof(attribute));
        memcpy((uint8_t *)request + at + RTA_LENGTH(0), value, n);
        request->header.nlmsg_len = (uint32_t)(at + RTA_LENGTH(n));
}

static int open_route(void)
{
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

        return fd < 0 ? -errno : fd;
}

/* Sends, and takes the answer's verdict: 0 or -errno. */
static int execute(int socket, struct request *request)
{
        uint8_t reply[REPLY_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
        struct nlmsghdr header;
        int code;

        request->header.nlmsg_flags |= NLM_F_ACK;
        if (send(socket, request, request->header.nlmsg_len, 0) < 0)
                return -errno;
        ssize_t n = recv(socket, reply, sizeof(reply), 0);
        if (n < 0)
                return -errno;
        if ((size_t)n < NLMSG_LENGTH(sizeof(code)))
                return -EBADMSG;
        memcpy(&header, reply, sizeof(header));
        memcpy(&code, reply + NLMSG_HDRLEN, sizeof(code));
        return header.nlmsg_type == NLMSG_ERROR ? code : -EBADMSG;
}

/* ---- addresses ----------------------------------------------------------------------------------------- */

static void take_attribute(struct address *address, uint16_t type, const uint8_t *value, size_t n)
{
        if (n > ADDRESS_SIZE)
                return;
        if (type == IFA_ADDRESS) {
                memcpy(address->address, value, n);
                address->size = (uint8_t)n;
        } else if (type == IFA_LOCAL) {
                memcpy(address->local, value, n);
                address->has_local = true;
        } else if (type == IFA_BROADCAST) {
                memcpy(address->broadcast, value, n);
                address->has_broadcast = true;
        }
}

/* One RTM_NEWADDR, where it is about the device and worth to be kept. */
static int note_address(struct addresses *list, const uint8_t *message, size_t n, unsigned index)
{
        struct ifaddrmsg body;
        struct address address = {0};

        if (n < NLMSG_LENGTH(sizeof(body)))
                return -EBADMSG;
        memcpy(&body, message + NLMSG_HDRLEN, sizeof(body));
        uint32_t flags = body.ifa_flags;
        if (body.ifa_index != index)
                return 0;
        for (size_t at = NLMSG_SPACE(sizeof(body)); at + sizeof(struct rtattr) <= n;) {
                struct rtattr attribute;
                memcpy(&attribute, message + at, sizeof(attribute));
                if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > n - at)
                        return -EBADMSG;
                size_t size = attribute.rta_len - RTA_LENGTH(0);
                const uint8_t *value = message + at + RTA_LENGTH(0);
                if (attribute.rta_type == IFA_FLAGS && size == sizeof(flags))
                        memcpy(&flags, value, sizeof(flags));
                take_attribute(&address, attribute.rta_type, value, size);
                at += RTA_ALIGN(attribute.rta_len);
        }
        if (!(flags & IFA_F_PERMANENT) || body.ifa_scope != RT_SCOPE_UNIVERSE || !address.size)
                return 0;
        address.family = body.ifa_family;
        address.prefix = body.ifa_prefixlen;
        if (list->n == ADDRESSES_MAX)
                return -E2BIG;
        int r = array_grow(&list->items, list->n, sizeof(*list->items));
        if (r == 0)
                list->items[list->n++] = address;
        return r;
}

/* The messages of one datagram: 0, 1 behind the last, or -errno. */
static int note_addresses(struct addresses *list, const uint8_t *reply, size_t n, unsigned index)
{
        for (size_t at = 0; n - at >= sizeof(struct nlmsghdr);) {
                struct nlmsghdr header;
                int code = 0;
                memcpy(&header, reply + at, sizeof(header));
                if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > n - at)
                        return -EBADMSG;
                if (header.nlmsg_type == NLMSG_DONE)
                        return 1;
                if (header.nlmsg_type == NLMSG_ERROR && header.nlmsg_len >= NLMSG_LENGTH(sizeof(code)))
                        memcpy(&code, reply + at + NLMSG_HDRLEN, sizeof(code));
                if (header.nlmsg_type == NLMSG_ERROR)
                        return code < 0 ? code : -EBADMSG;
                int r = header.nlmsg_type == RTM_NEWADDR
                                ? note_address(list, reply + at, header.nlmsg_len, index)
                                : 0;
                if (r < 0)
                        return r;
                if (NLMSG_ALIGN(header.nlmsg_len) >= n - at)
                        return 0;
                at += NLMSG_ALIGN(header.nlmsg_len);
        }
        return 0;
}

static int list_addresses(int socket, unsigned index, struct addresses *list)
{
        uint8_t reply[REPLY_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
        const struct ifaddrmsg body = {.ifa_family = AF_UNSPEC};
        struct request request;
        int r = 0;

        begin(&request, RTM_GETADDR, NLM_F_DUMP, &body, sizeof(body));
        if (send(socket, &request, request.header.nlmsg_len, 0) < 0)
                return -errno;
        while (r == 0) {
                ssize_t n = recv(socket, reply, sizeof(reply), 0);
                if (n < 0)
                        return -errno;
                r = note_addresses(list, reply, (size_t)n, index);
        }
        return r < 0 ? r : 0;
}

static int add_address(int socket, unsigned index, const struct address *address)
{
        const struct ifaddrmsg body = {.ifa_family = address->family,
                                       .ifa_prefixlen = address->prefix,
                                       .ifa_scope = RT_SCOPE_UNIVERSE,
                                       .ifa_index = index};
        struct request request;

        begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof(body));
        put(&request, IFA_ADDRESS, address->address, address->size);
        if (address->has_local || address->family == AF_INET)
                put(&request, IFA_LOCAL, address->has_local ? address->local : address->address,
                    address->size);
        if (address->has_broadcast)
                put(&request, IFA_BROADCAST, address->broadcast, address->size);
        return execute(socket, &request);
}

/* ---- devices ------------------------------------------------------------------------------------------- */

static int set_up(int socket, unsigned index, bool up)
{
        const struct ifinfomsg body = {
                .ifi_index = (int)index, .ifi_flags = up ? IFF_UP : 0, .ifi_change = IFF_UP};
        struct request request;

        begin(&request, RTM_NEWLINK, 0, &body, sizeof(body));
        return execute(socket, &request);
}

static int move(int socket, unsigned index, const char *name, int netns_fd)
{
        const struct ifinfomsg body = {.ifi_index = (int)index};
        const uint32_t fd = (uint32_t)netns_fd;
        struct request request;

        begin(&request, RTM_NEWLINK, 0, &body, sizeof(body));
        put(&request, IFLA_IFNAME, name, strlen(name) + 1);
        put(&request, IFLA_NET_NS_FD, &fd, sizeof(fd));
        return execute(socket, &request);
}

/* A device's number may change with the namespace. */
static int find_index(int socket, const char *name, unsigned *ret_index)
{
        uint8_t reply[REPLY_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
        const struct ifinfomsg body = {.ifi_family = AF_UNSPEC};
        struct nlmsghdr header;
        struct ifinfomsg found;
        struct request request;
        int code;

        begin(&request, RTM_GETLINK, 0, &body, sizeof(body));
        put(&request, IFLA_IFNAME, name, strlen(name) + 1);
        if (send(socket, &request, request.header.nlmsg_len, 0) < 0)
                return -errno;
        ssize_t n = recv(socket, reply, sizeof(reply), 0);
        if (n < 0)
                return -errno;
        if ((size_t)n < NLMSG_LENGTH(sizeof(found)))
                return -EBADMSG;
        memcpy(&header, reply, sizeof(header));
        memcpy(&code, reply + NLMSG_HDRLEN, sizeof(code));
        memcpy(&found, reply + NLMSG_HDRLEN, sizeof(found));
        if (header.nlmsg_type == NLMSG_ERROR)
                return code < 0 ? code : -EBADMSG;
        if (header.nlmsg_type != RTM_NEWLINK || found.ifi_index <= 0)
                return -EBADMSG;
        *ret_index = (unsigned)found.ifi_index;
        return 0;
}

static int settle(int inside, const char *name, const struct addresses *addresses, struct error *err)
{
        unsigned index;

        int r = find_index(inside, name, &index);
        if (r < 0)
                return error_errno(err, -r, "find it in the container as %s", name);
        for (size_t i = 0; i < addresses->n; i++) {
                r = add_address(inside, index, &addresses->items[i]);
                if (r < 0)
                        return error_errno(err, -r, "give it address %zu of %zu again", i + 1, addresses->n);
        }
        r = set_up(inside, index, true);
        return r < 0 ? error_errno(err, -r, "bring it up in the container") : 0;
}

static int move_one(int outside, int inside, const struct spec_net_device *device, int netns_fd,
                    struct error *err)
{
        const char *name = device->name && *device->name ? device->name : device->host_name;
        cleanup_addresses struct addresses addresses = {0};
        unsigned index, taken;

        if (strlen(name) >= IFNAMSIZ || strlen(device->host_name) >= IFNAMSIZ)
                return error_set(err, -ENAMETOOLONG, "a name of a device has up to %d characters",
                                 IFNAMSIZ - 1);
        int r = find_index(outside, device->host_name, &index);
        if (r < 0)
                return error_errno(err, -r, "find it on the host");
        /* The kernel may move a device before it finds that the name is taken. */
        if (find_index(inside, name, &taken) == 0)
                return error_set(err, -EEXIST, "the container has a device %s already", name);
        r = list_addresses(outside, index, &addresses);
        if (r < 0)
                return error_errno(err, -r, "ask for its addresses");
        r = set_up(outside, index, false);
        if (r < 0)
                return error_errno(err, -r, "take it down");
        r = move(outside, index, name, netns_fd);
        if (r < 0)
                return error_errno(err, -r, "move it into the container as %s", name);
        return settle(inside, name, &addresses, err);
}

/* A socket of another namespace. */
static int open_route_in(int netns_fd, int *ret_fd, struct error *err)
{
        cleanup_fd int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

        if (own < 0)
                return error_errno(err, errno, "open our network namespace");
        if (setns(netns_fd, CLONE_NEWNET) < 0)
                return error_errno(err, errno, "enter the container's network namespace");
        int fd = open_route();
        if (setns(own, CLONE_NEWNET) < 0) {
                int code = errno;
                fd_close_p(&fd);
                return error_errno(err, code, "return from the container's network namespace");
        }
        if (fd < 0)
                return error_errno(err, -fd, "netlink socket");
        *ret_fd = fd;
        return 0;
}

int net_devices_move(const struct spec_net_device *devices, size_t n, int netns_fd, struct error *err)
{
        cleanup_fd int outside = -1, inside = -1;

        if (n == 0)
                return 0;
        outside = open_route();
        if (outside < 0)
                return error_errno(err, -outside, "netlink socket");
        int r = open_route_in(netns_fd, &inside, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                r = move_one(outside, inside, &devices[i], netns_fd, err);
                if (r < 0) {
                        error_wrap(err, "network device %s", devices[i].host_name);
                        return r;
                }
        }
        return 0;
}
