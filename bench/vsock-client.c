/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock-client PEER WHAT COUNT [STREAMS] - the parent's side of bench/vsock: drives the services of
 * lib/vsock/vsock-test-guest.c and prints one figure.
 *
 * PEER is a CID (the kernel's vsock) or the path of our device's Unix socket.  WHAT is
 *     in        COUNT MiB to the guest in writes of 64 KiB, over STREAMS connections at once: MiB/s
 *     out       COUNT MiB from the guest likewise: MiB/s
 *     trip      COUNT times 64 bytes there and back: microseconds each
 *     connect   COUNT connections, one after the other: connections/s
 */
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/vsock/client.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
        ECHO = 5000,
        SINK = 5001,
        SOURCE = 5002,
        CLOSING = 5005,
        CHUNK = 64 * 1024,
        TRIP = 64,
        STREAMS_MAX = 64
};

static char chunk[CHUNK];

struct job {
        struct vsock_endpoint peer;
        uint64_t count;
        unsigned streams;
};

static int dial(const struct job *job, uint32_t port)
{
        struct error err = {0};
        int fd;

        if (vsock_connect(&job->peer, port, 60 * 1000, &fd, &err) < 0) {
                fprintf(stderr, "vsock-client: %s\n", error_text(&err));
                _exit(1);
        }
        return fd;
}

static void fail(const char *what)
{
        perror(what);
        _exit(1);
}

static void send_in(int fd, uint64_t bytes)
{
        char answer[64] = "";

        for (uint64_t left = bytes; left > 0;) {
                ssize_t n = write(fd, chunk, left < CHUNK ? left : CHUNK);
                if (n <= 0)
                        fail("write");
                left -= (uint64_t)n;
        }
        (void)shutdown(fd, SHUT_WR);
        if (read(fd, answer, sizeof(answer) - 1) <= 0 || strtoull(answer, NULL, 10) != bytes)
                fail("not all bytes arrived");
}

static void take_out(int fd, uint64_t bytes)
{
        uint64_t got = 0;
        ssize_t n;

        dprintf(fd, "%llu\n", (unsigned long long)bytes);
        while ((n = read(fd, chunk, CHUNK)) > 0)
                got += (uint64_t)n;
        if (got != bytes)
                fail("not all bytes arrived");
}

static double seconds_since(uint64_t start)
{
        return (double)(clock_ms() - start + 1) / 1000;
}

/* Seconds for `transfer` of an equal share over each stream, connections made before. */
static double in_parallel(const struct job *job, uint32_t port, void (*transfer)(int fd, uint64_t bytes))
{
        const uint64_t share = job->count * 1024 * 1024 / job->streams;
        int fds[STREAMS_MAX];

        for (unsigned i = 0; i < job->streams; i++)
                fds[i] = dial(job, port);
        uint64_t start = clock_ms();
        for (unsigned i = 0; i < job->streams; i++) {
                if (fork() == 0) {
                        transfer(fds[i], share);
                        _exit(0);
                }
        }
        for (unsigned i = 0; i < job->streams; i++) {
                int status = 0;
                if (wait(&status) < 0 || status != 0)
                        fail("a stream failed");
        }
        return seconds_since(start);
}

static double throughput(const struct job *job, uint32_t port, void (*transfer)(int fd, uint64_t bytes))
{
        return (double)job->count / in_parallel(job, port, transfer);
}

static double round_trip(const struct job *job)
{
        int fd = dial(job, ECHO);
        uint64_t start = clock_ms();

        for (uint64_t i = 0; i < job->count; i++) {
                if (write(fd, chunk, TRIP) != TRIP || recv(fd, chunk, TRIP, MSG_WAITALL) != TRIP)
                        fail("round trip");
        }
        return seconds_since(start) * 1e6 / (double)job->count;
}

static double connections(const struct job *job)
{
        uint64_t start = clock_ms();

        for (uint64_t i = 0; i < job->count; i++)
                close(dial(job, CLOSING));
        return (double)job->count / seconds_since(start);
}

static bool measure(const char *what, const struct job *job, double *ret_figure)
{
        if (strcmp(what, "in") == 0)
                *ret_figure = throughput(job, SINK, send_in);
        else if (strcmp(what, "out") == 0)
                *ret_figure = throughput(job, SOURCE, take_out);
        else if (strcmp(what, "trip") == 0)
                *ret_figure = round_trip(job);
        else if (strcmp(what, "connect") == 0)
                *ret_figure = connections(job);
        else
                return false;
        return true;
}

int main(int argc, char **argv)
{
        struct job job = {.peer.name = "guest", .streams = 1};
        uint64_t cid = 0, streams = 1;
        double figure;

        if (argc < 4 || argc > 5 || !parse_u64(argv[3], UINT32_MAX, &job.count) || job.count == 0 ||
            (argc == 5 && (!parse_u64(argv[4], STREAMS_MAX, &streams) || streams == 0))) {
                fprintf(stderr, "usage: vsock-client CID|SOCKET in|out|trip|connect COUNT [STREAMS]\n");
                return 2;
        }
        job.streams = (unsigned)streams;
        if (parse_u64(argv[1], UINT32_MAX, &cid))
                job.peer.cid = (uint32_t)cid;
        else
                job.peer.bridge = argv[1];
        if (!measure(argv[2], &job, &figure)) {
                fprintf(stderr, "vsock-client: no measurement is called '%s'\n", argv[2]);
                return 2;
        }
        printf("%.1f\n", figure);
        return 0;
}
