/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock-test-guest.c - PID 1 of the guest that the vsock device is tested with.  Static, alone in its
 * ramdisk: loads the kernel modules in /modules in the order of their names, then serves the ports below, a
 * process per connection. Says "guest: ready" on the console when all of them listen.
 *
 * Run on the parent, it prints the frequency of the CPU's time stamp counter in kHz, for the kernel's
 * tsc_early_khz=: a kernel in an emulated microvm on a busy machine often fails to measure that, and then
 * hangs.
 */
#include "lib/base/kernel-modules.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

enum { CHUNK = 64 * 1024 };

/* Whole writes; false where the other end is gone. */
static int put(int fd, const char *p, size_t n)
{
        while (n > 0) {
                ssize_t done = write(fd, p, n);
                if (done <= 0)
                        return 0;
                p += done;
                n -= (size_t)done;
        }
        return 1;
}

/* One line, without its newline; false where it does not come. */
static int get_line(int fd, char *line, size_t size)
{
        for (size_t n = 0; n < size && read(fd, line + n, 1) == 1; n++) {
                if (line[n] == '\n') {
                        line[n] = '\0';
                        return 1;
                }
        }
        return 0;
}

/* Port 5000: sends back what comes. */
static void serve_echo(int fd)
{
        static char chunk[CHUNK];
        ssize_t n;

        while ((n = read(fd, chunk, sizeof(chunk))) > 0)
                if (!put(fd, chunk, (size_t)n))
                        return;
}

/* Port 5001: takes everything, then says how many bytes that was. */
static void serve_sink(int fd)
{
        static char chunk[CHUNK];
        unsigned long long total = 0;
        ssize_t n;

        while ((n = read(fd, chunk, sizeof(chunk))) > 0)
                total += (unsigned long long)n;
        int length = snprintf(chunk, sizeof(chunk), "%llu\n", total);
        put(fd, chunk, (size_t)length);
}

/* Port 5002: gets "<bytes>" in a line and sends that many. */
static void serve_source(int fd)
{
        static char chunk[CHUNK];
        char line[64];

        if (!get_line(fd, line, sizeof(line)))
                return;
        for (unsigned long long left = strtoull(line, NULL, 10); left > 0;) {
                size_t n = left < sizeof(chunk) ? (size_t)left : sizeof(chunk);
                if (!put(fd, chunk, n))
                        return;
                left -= n;
        }
}

/* Carries bytes one way until the end, which it passes on. */
static void carry(int from, int to)
{
        static char chunk[CHUNK];
        ssize_t n;

        while ((n = read(from, chunk, sizeof(chunk))) > 0)
                if (!put(to, chunk, (size_t)n))
                        break;
        shutdown(to, SHUT_WR);
}

/* Port 5003: gets "<CID> <port>" in a line, dials that, says "ok" or why not, and joins both streams. */
static void serve_dial(int fd)
{
        struct sockaddr_vm address = {.svm_family = AF_VSOCK};
        char line[64], *port;

        if (!get_line(fd, line, sizeof(line)))
                return;
        address.svm_cid = (unsigned)strtoul(line, &port, 10);
        address.svm_port = (unsigned)strtoul(port, NULL, 10);
        int out = socket(AF_VSOCK, SOCK_STREAM, 0);
        if (connect(out, (struct sockaddr *)&address, sizeof(address)) < 0) {
                dprintf(fd, "%s\n", strerror(errno));
                return;
        }
        dprintf(fd, "ok\n");
        if (fork() == 0) {
                carry(out, fd);
                _exit(0);
        }
        carry(fd, out);
}

/* Port 5004: switches the machine off. */
static void serve_off(int fd)
{
        (void)fd;
        reboot(RB_AUTOBOOT);
}

static const struct service {
        unsigned port;
        void (*serve)(int fd); /* NULL: the connection is closed at once */
} services[] = {{5000, serve_echo}, {5001, serve_sink}, {5002, serve_source},
                {5003, serve_dial}, {5004, serve_off},  {5005, NULL}};

enum { SERVICES = sizeof(services) / sizeof(services[0]) };

static void die(const char *what)
{
        fprintf(stderr, "guest: %s: %s\n", what, strerror(errno));
        reboot(RB_AUTOBOOT);
        exit(1);
}

static void load_modules(void)
{
        char name[NAME_MAX + 1];

        errno = -kernel_modules_load("/modules", name);
        if (errno != 0)
                die(name);
}

static int listen_on(unsigned port)
{
        struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};

        int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 128) < 0)
                die("listen");
        return fd;
}

static void accept_on(const struct service *service, int listener)
{
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
                return;
        if (service->serve && fork() == 0) {
                service->serve(fd);
                _exit(0);
        }
        close(fd);
}

static int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC_RAW, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int print_tsc_khz(void)
{
        int64_t start = now_ns();
        uint64_t ticks = __builtin_ia32_rdtsc();

        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        ticks = __builtin_ia32_rdtsc() - ticks;
        printf("%llu\n", (unsigned long long)(ticks * 1000000 / (uint64_t)(now_ns() - start)));
        return 0;
}

int main(void)
{
        struct pollfd listeners[SERVICES];

        if (getpid() != 1)
                return print_tsc_khz();
        mkdir("/dev", 0755);
        if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) == 0) {
                int console = open("/dev/console", O_RDWR);
                for (int i = 0; i < 3; i++)
                        dup2(console, i);
        }
        /* The kernel reaps. */
        sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        load_modules();
        for (int i = 0; i < SERVICES; i++)
                listeners[i] = (struct pollfd){.fd = listen_on(services[i].port), .events = POLLIN};
        printf("guest: ready\n");
        fflush(stdout);
        for (;;) {
                poll(listeners, SERVICES, -1);
                for (int i = 0; i < SERVICES; i++)
                        if (listeners[i].revents)
                                accept_on(&services[i], listeners[i].fd);
        }
}
