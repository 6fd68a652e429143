/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/network.h"

#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void raise_loopback(const struct log *log)
{
        /* The addresses come with it. */
        cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq request = {.ifr_name = "lo"};

        if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
                goto failed;
        request.ifr_flags |= IFF_UP | IFF_RUNNING;
        if (ioctl(fd, SIOCSIFFLAGS, &request) == 0)
                return;
failed:
        log_warning(log, "cannot bring the loopback up: %s", strerror(errno));
}

static void write_setting(const char *path, const char *value)
{
        cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd >= 0)
                fd_write_full(fd, value, strlen(value));
}

/* Writes `content` where there is no file, or an empty one. */
static void provide_file(const char *path, const char *content, const struct log *log)
{
        cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_NOCTTY | O_CLOEXEC, 0644);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0) {
                log_warning(log, "cannot write %s: %s", path, strerror(errno));
                return;
        }
        if (S_ISREG(st.st_mode) && st.st_size == 0)
                fd_write_full(fd, content, strlen(content));
}

void network_set_up(const struct log *log)
{
        raise_loopback(log);
        write_setting("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
}

void network_set_name(const char *hostname, const struct log *log)
{
        cleanup_free char *hosts = string_printf("127.0.0.1\tlocalhost\n"
                                                 "::1\tlocalhost ip6-localhost ip6-loopback\n"
                                                 "127.0.1.1\t%s\n",
                                                 hostname);
        cleanup_free char *name = string_printf("%s\n", hostname);

        if (sethostname(hostname, strlen(hostname)) < 0)
                log_warning(log, "cannot set the host name: %s", strerror(errno));
        if (!hosts || !name)
                return;
        provide_file("/etc/hosts", hosts, log);
        provide_file("/etc/hostname", name, log);
        provide_file("/etc/resolv.conf", "# An enclave has no name server.\noptions timeout:1 attempts:1\n",
                     log);
}
