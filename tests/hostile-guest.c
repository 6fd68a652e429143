/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile-guest.c - PID 1 of a guest that is out to harm its parent, for tests/e2e/test_hostile_guest.py. 
 * Static, in place of enclave-init: it starts as that does, as far as its supervisor can tell, then runs
 * the attacks that the kernel's command line names (hostile=ports,console), a process each, for ever. 
 * None of them ever gives way to SHUTDOWN.
 */
#include "lib/base/kernel-modules.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

enum {
        HEARTBEAT_PORT = 9000,
        HEARTBEAT_BYTE = 0xb7,
        HELD_PORT = 6000,   /* the test listens there and holds what comes */
        UNREAD_PORT = 6001, /* ... and reads nothing */
        CONNECTIONS = 10000,
        STREAMS = 8,
        PIECE = 64 * 1024,
        CONNECT_SECONDS = 5,
};

static const unsigned control_base = 0xc0ff0000;
static unsigned own_cid;
static char piece[PIECE];

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
        va_list list;

        va_start(list, format);
        printf("hostile: ");
        vprintf(format, list);
        printf("\n");
        va_end(list);
        fflush(stdout);
}

/* Numbers that look like any; each process has its own row of them. */
static unsigned chance(void)
{
        static unsigned long long state = 0x9e3779b97f4a7c15ull;

        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return (unsigned)(state >> 16);
}

/* ---- as an init ---- */

static void die(const char *what)
{
        say("%s: %s", what, strerror(errno));
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

static void open_console(void)
{
        mkdir("/dev", 0755);
        mkdir("/proc", 0755);
        mount("proc", "/proc", "proc", 0, NULL);
        if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) < 0)
                return;
        int console = open("/dev/console", O_RDWR);
        for (int i = 0; i < 3; i++)
                dup2(console, i);
}

/* Connected, or -1. */
static int dial(unsigned cid, unsigned port)
{
        struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
        struct timeval patience = {.tv_sec = CONNECT_SECONDS};
        int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

        setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &patience, sizeof(patience));
        if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
                return fd;
        close(fd);
        return -1;
}

static bool send_frame(int fd, unsigned char type, uint32_t value)
{
        unsigned char frame[9] = {type,
                                  0,
                                  0,
                                  0,
                                  4,
                                  (unsigned char)(value >> 24),
                                  (unsigned char)(value >> 16),
                                  (unsigned char)(value >> 8),
                                  (unsigned char)value};

        return write(fd, frame, sizeof(frame)) == sizeof(frame);
}

/* Until the test listens: an attack that nobody meets is none. */
static void wait_for_listener(unsigned port)
{
        const struct timespec pause = {.tv_nsec = 10L * 1000 * 1000};
        int fd;

        while ((fd = dial(2, port)) < 0)
                nanosleep(&pause, NULL);
        close(fd);
}

/* What a supervisor wants to see before it takes an enclave for started. */
static int start_as_init_does(void)
{
        unsigned char beat = HEARTBEAT_BYTE;
        int vsock = open("/dev/vsock", O_RDONLY);

        if (vsock < 0 || ioctl(vsock, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &own_cid) < 0)
                die("/dev/vsock");
        int control = dial(2, control_base ^ own_cid);
        int heartbeat = dial(2, HEARTBEAT_PORT);
        if (control < 0 || heartbeat < 0 || write(heartbeat, &beat, 1) != 1 || read(heartbeat, &beat, 1) != 1)
                die("the supervisor");
        close(heartbeat);
        if (!send_frame(control, 1, 1) || !send_frame(control, 2, 7))
                die("the supervisor");
        return control;
}

/* ---- attacks; none of them returns ---- */

static void wait_for_ever(void)
{
        for (;;)
                pause();
}

/* Garbage on every port that the parent could have, the supervisor's own first. */
static void attack_ports(int control)
{
        unsigned rounds = 0;

        (void)control;
        for (unsigned port = 0;; port++) {
                const unsigned ports[] = {HEARTBEAT_PORT, control_base ^ own_cid,
                                          control_base ^ (own_cid + 1), port, chance()};
                for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
                        int fd = dial(2 + chance() % 2, ports[i]);
                        if (fd < 0)
                                continue;
                        (void)!write(fd, piece + chance() % 1024, (size_t)(chance() % 4096));
                        if (chance() % 2)
                                shutdown(fd, SHUT_WR);
                        close(fd);
                }
                if (++rounds % 100 == 0)
                        say("%u rounds of garbage", rounds);
        }
}

/* Connections that say nothing, as many as there can be, and then one more again and again. */
static void attack_connections(int control)
{
        struct rlimit limit = {CONNECTIONS + 100, CONNECTIONS + 100};
        unsigned open_now = 0;

        (void)control;
        setrlimit(RLIMIT_NOFILE, &limit);
        for (unsigned i = 0; i < CONNECTIONS; i++) {
                const unsigned ports[] = {HELD_PORT, HELD_PORT, HEARTBEAT_PORT, control_base ^ own_cid};
                open_now += dial(2, ports[i % 4]) >= 0;
        }
        say("%u of %d connections were taken", open_now, CONNECTIONS);
        for (;;) {
                int fd = dial(2, HELD_PORT);
                if (fd >= 0)
                        close(fd);
        }
}

/* Streams that nobody reads. */
static void attack_streams(int control)
{
        (void)control;
        for (int i = 0; i < STREAMS; i++) {
                int fd = dial(2, UNREAD_PORT);
                if (fd < 0 || fork() != 0)
                        continue;
                while (write(fd, piece, sizeof(piece)) > 0)
                        ;
                wait_for_ever();
        }
        say("%d streams are full", STREAMS);
        wait_for_ever();
}

/* Connections that come and go. */
static void attack_churn(int control)
{
        (void)control;
        for (unsigned n = 1;; n++) {
                close(dial(2, n % 2 ? HEARTBEAT_PORT : HELD_PORT));
                if (n % 1000 == 0)
                        say("%u connections came and went", n);
        }
}

/* Said again and again: of a flood the parent keeps the end only. */
static void attack_console(int control)
{
        (void)control;
        for (unsigned n = 1;; n++) {
                (void)!write(STDOUT_FILENO, piece, sizeof(piece));
                say("%u pieces of noise", n);
        }
}

/* STARTED, which init has no business to say again, one after the other. */
static void attack_messages(int control)
{
        for (uint32_t n = 1; send_frame(control, 2, n); n = n % INT32_MAX + 1) {
                if (n % 10000 == 0)
                        say("%u messages were taken", n);
        }
        say("the parent takes no more messages");
        wait_for_ever();
}

/* The beginning of a message that never ends, and then no message at all. */
static void attack_protocol(int control)
{
        const unsigned char begun[] = {5, 0, 0, 0x10, 0};

        (void)!write(control, begun, sizeof(begun));
        (void)!write(control, piece, 100);
        say("half a message");
        for (;;)
                (void)!write(control, piece, sizeof(piece));
}

static const struct attack {
        const char *name;
        void (*run)(int control);
} attacks[] = {
        {"ports", attack_ports},       {"connections", attack_connections}, {"streams", attack_streams},
        {"churn", attack_churn},       {"console", attack_console},         {"messages", attack_messages},
        {"protocol", attack_protocol},
};

/* ---- the machine ---- */

static void fill_with_noise(void)
{
        for (size_t i = 0; i < sizeof(piece); i++)
                piece[i] = (char)chance();
}

/* The value of hostile= on the command line. */
static char *chosen_attacks(char *line, size_t size)
{
        int fd = open("/proc/cmdline", O_RDONLY);
        ssize_t n = read(fd, line, size - 1);

        close(fd);
        line[n > 0 ? n : 0] = '\0';
        char *chosen = strstr(line, "hostile=");
        if (!chosen)
                return line + strlen(line);
        chosen += strlen("hostile=");
        chosen[strcspn(chosen, " \n")] = '\0';
        return chosen;
}

int main(void)
{
        char line[4096], *rest = NULL;

        open_console();
        load_modules();
        fill_with_noise();
        sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        wait_for_listener(HELD_PORT);
        wait_for_listener(UNREAD_PORT);
        int control = start_as_init_does();
        say("started");
        for (char *name = strtok_r(chosen_attacks(line, sizeof(line)), ",", &rest); name;
             name = strtok_r(NULL, ",", &rest)) {
                for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
                        if (strcmp(attacks[i].name, name) == 0 && fork() == 0) {
                                attacks[i].run(control);
                                _exit(0);
                        }
                }
        }
        wait_for_ever();
}
