/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ne-sample.c - a program for Nitro Enclaves that knows nothing of Coffer: the flow that the driver's own
 * documentation shows (Linux, Documentation/virt/ne_overview.rst), by its ABI alone.
 *
 *     ne-sample EIF MEM_MIB VCPUS [debug] [cid=N] [port=N] [hold]
 *
 * creates an enclave, loads the image, starts it, waits for its heartbeat on vsock 3:9000; with port=, sends
 * "PING\n" to that port in the enclave and prints what comes back; with debug, prints the console; then polls
 * until the enclave has ended, or with hold closes it.  Each step is a line on standard output.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nitro_enclaves.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        PAGE = 2 * 1024 * 1024,
        MIB = 1024 * 1024,
        HEARTBEAT_PORT = 9000,
        HEARTBEAT = 0xb7,
        BOOT_MS = 120 * 1000,
        CONSOLE_PORT_BASE = 10000,
};

struct sample {
        unsigned long mem_mib, vcpus, cid, port;
        bool debug, hold;
        int fd;
};

static _Noreturn void fail(const char *what)
{
        fprintf(stderr, "ne-sample: %s: errno %d\n", what, errno);
        exit(1);
}

static void say(const char *text)
{
        puts(text);
        fflush(stdout);
}

/* Loads the image at the offset that the driver says, over as many regions as it takes. */
static void load(const struct sample *sample, const char *path)
{
        struct ne_image_load_info info = {.flags = NE_EIF_IMAGE};
        size_t size = sample->mem_mib * MIB;
        struct stat st;
        int image = open(path, O_RDONLY | O_CLOEXEC);

        if (image < 0 || fstat(image, &st) < 0)
                fail(path);
        if (ioctl(sample->fd, NE_GET_IMAGE_LOAD_INFO, &info) < 0)
                fail("NE_GET_IMAGE_LOAD_INFO");
        uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (21 << MAP_HUGE_SHIFT), -1, 0);
        if (memory == MAP_FAILED)
                fail("mmap of huge pages");
        if (info.memory_offset + (size_t)st.st_size > size) {
                errno = ENOSPC;
                fail("the image");
        }
        for (off_t done = 0; done < st.st_size;) {
                ssize_t n = read(image, memory + info.memory_offset + done, (size_t)(st.st_size - done));
                if (n <= 0)
                        fail("read the image");
                done += n;
        }
        close(image);
        for (size_t at = 0; at < size; at += PAGE) {
                struct ne_user_memory_region region = {.memory_size = PAGE,
                                                       .userspace_addr = (uint64_t)(uintptr_t)(memory + at)};
                if (ioctl(sample->fd, NE_SET_USER_MEMORY_REGION, &region) < 0)
                        fail("NE_SET_USER_MEMORY_REGION");
        }
}

static void add_vcpus(const struct sample *sample)
{
        for (unsigned long i = 0; i < sample->vcpus; i++) {
                uint32_t cpu = 0;
                if (ioctl(sample->fd, NE_ADD_VCPU, &cpu) < 0)
                        fail("NE_ADD_VCPU");
                printf("vcpu %u\n", cpu);
        }
}

static int listen_for_heartbeat(void)
{
        struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = 3, .svm_port = HEARTBEAT_PORT};
        int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
                fail("listen on vsock 3:9000");
        return fd;
}

static void start(struct sample *sample)
{
        struct ne_enclave_start_info info = {
                .flags = sample->debug ? NE_ENCLAVE_DEBUG_MODE : NE_ENCLAVE_PRODUCTION_MODE,
                .enclave_cid = sample->cid,
        };

        if (ioctl(sample->fd, NE_START_ENCLAVE, &info) < 0)
                fail("NE_START_ENCLAVE");
        sample->cid = info.enclave_cid;
        printf("cid %lu\n", sample->cid);
        fflush(stdout);
}

static void wait_for_heartbeat(const struct sample *sample, int listener)
{
        struct pollfd fds[] = {{.fd = listener, .events = POLLIN}, {.fd = sample->fd, .events = POLLIN}};
        struct sockaddr_vm peer;
        socklen_t n = sizeof(peer);
        uint8_t byte = 0;

        if (poll(fds, 2, BOOT_MS) <= 0 || !(fds[0].revents & POLLIN)) {
                errno = fds[1].revents ? ESHUTDOWN : ETIMEDOUT;
                fail("heartbeat");
        }
        int fd = accept(listener, (struct sockaddr *)&peer, &n);
        if (fd < 0 || read(fd, &byte, 1) != 1 || byte != HEARTBEAT || write(fd, &byte, 1) != 1)
                fail("heartbeat");
        if (peer.svm_family != AF_VSOCK || peer.svm_cid != sample->cid) {
                errno = EPROTO;
                fail("heartbeat of another enclave");
        }
        close(fd);
        say("heartbeat");
}

static int dial(unsigned long cid, unsigned long port)
{
        struct sockaddr_vm address = {
                .svm_family = AF_VSOCK, .svm_cid = (unsigned)cid, .svm_port = (unsigned)port};

        for (int tries = 0; tries < 600; tries++) {
                int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (fd < 0)
                        fail("socket");
                if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
                        return fd;
                close(fd);
                if (errno != ECONNRESET)
                        break;
                (void)poll(NULL, 0, 100);
        }
        return -1;
}

static void copy_out(int fd)
{
        char piece[4096];
        ssize_t n;

        while ((n = read(fd, piece, sizeof(piece))) > 0)
                fwrite(piece, 1, (size_t)n, stdout);
        fflush(stdout);
}

static void ping(const struct sample *sample)
{
        int fd = dial(sample->cid, sample->port);

        if (fd < 0 || write(fd, "PING\n", 5) != 5)
                fail("ping");
        shutdown(fd, SHUT_WR);
        copy_out(fd);
        close(fd);
}

static void wait_for_end(const struct sample *sample)
{
        struct pollfd end = {.fd = sample->fd, .events = POLLIN};

        if (sample->debug) {
                int console = dial(0, sample->cid + CONSOLE_PORT_BASE);
                if (console < 0)
                        fail("console");
                copy_out(console);
        }
        if (poll(&end, 1, -1) != 1)
                fail("poll");
        printf("revents %#x\n", (unsigned)end.revents);
}

static void read_words(struct sample *sample, char **words)
{
        for (; *words; words++) {
                if (strcmp(*words, "debug") == 0)
                        sample->debug = true;
                else if (strcmp(*words, "hold") == 0)
                        sample->hold = true;
                else if (strncmp(*words, "cid=", 4) == 0)
                        sample->cid = strtoul(*words + 4, NULL, 10);
                else if (strncmp(*words, "port=", 5) == 0)
                        sample->port = strtoul(*words + 5, NULL, 10);
        }
}

int main(int argc, char **argv)
{
        struct sample sample = {.cid = 0};
        uint64_t slot = 0;

        if (argc < 4)
                return 2;
        sample.mem_mib = strtoul(argv[2], NULL, 10);
        sample.vcpus = strtoul(argv[3], NULL, 10);
        read_words(&sample, argv + 4);
        int device = open("/dev/nitro_enclaves", O_RDWR | O_CLOEXEC);
        if (device < 0)
                fail("/dev/nitro_enclaves");
        sample.fd = ioctl(device, NE_CREATE_VM, &slot);
        if (sample.fd < 0)
                fail("NE_CREATE_VM");
        close(device);
        load(&sample, argv[1]);
        add_vcpus(&sample);
        int listener = listen_for_heartbeat();
        start(&sample);
        wait_for_heartbeat(&sample, listener);
        close(listener);
        if (sample.port)
                ping(&sample);
        if (sample.hold)
                say("holding");
        else
                wait_for_end(&sample);
        return 0;
}
