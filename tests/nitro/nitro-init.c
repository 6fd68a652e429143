/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nitro-init.c - an init for tests that does what AWS's own does, in its order, so that images for it can be
 * tried without it.  Not a line of it is theirs; the order is their published behaviour:
 *
 *     devtmpfs, console, nsm.ko if it is there; heartbeat 0xB7 to CID 3 port 9000, which must come back; /env
 *     and /cmd, one entry a line; /rootfs becomes /; devtmpfs, proc, tmpfs, devpts, sysfs, and a version 1
 *     hierarchy for each controller of control groups that /proc/cgroups has as enabled; the command, looked
 *     up in the default path whatever the environment says; its end is a restart of the machine.
 *
 * Any failure ends PID 1, which is a panic.  The one addition: kernels of distributions have vsock as
 * modules, and an image of this kind has no place for them.  They may be appended to this very file, each as
 * it is, and behind them a trailer: their sizes (8 bytes, big-endian, in load order), their number, and
 * MODULES_MAGIC.
 */
#include "lib/base/fd.h"

#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODULES_MAGIC UINT64_C(0x636f666665726b6f)

enum { PARENT_CID = 3, PORT = 9000, HEARTBEAT = 0xB7, LINES_MAX = 256, MODULES_MAX = 32, WORD = 8 };

static void die(const char *what)
{
        fprintf(stderr, "nitro-init: %s: %s\n", what, strerror(errno));
        _exit(1);
}

static void mount_at(const char *type, const char *path, const char *options)
{
        mkdir(path, 0755);
        if (mount(type, path, type, 0, options) < 0 && errno != EBUSY)
                die(path);
}

static void attach_console(void)
{
        int fd = open("/dev/console", O_RDWR);

        if (fd < 0)
                die("/dev/console");
        for (int i = 0; i < 3; i++)
                dup2(fd, i);
}

static void load_nsm(void)
{
        cleanup_fd int fd = open("/nsm.ko", O_RDONLY);

        if (fd < 0 && errno == ENOENT)
                return;
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
                die("nsm.ko");
        unlink("/nsm.ko");
        puts("nitro-init: nsm.ko is loaded");
}

/* ---- the addition ---- */

static uint64_t word_at(int fd, off_t at)
{
        uint8_t bytes[WORD];
        uint64_t value = 0;

        if (pread(fd, bytes, WORD, at) != WORD)
                die("/init");
        for (int i = 0; i < WORD; i++)
                value = value << 8 | bytes[i];
        return value;
}

static void load_module(int fd, off_t at, size_t size)
{
        cleanup_free char *image = malloc(size);

        if (!image || pread(fd, image, size, at) != (ssize_t)size ||
            syscall(SYS_init_module, image, size, "") < 0)
                die("a module of the kernel");
}

static void load_appended_modules(void)
{
        cleanup_fd int fd = open("/init", O_RDONLY);
        off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
        uint64_t sizes[MODULES_MAX];

        if (end < (off_t)2 * WORD)
                die("/init");
        if (word_at(fd, end - WORD) != MODULES_MAGIC)
                return;
        uint64_t n = word_at(fd, end - (off_t)2 * WORD);
        if (n > MODULES_MAX)
                die("too many modules");
        off_t at = end - (off_t)(2 + n) * WORD;
        for (uint64_t i = 0; i < n; i++)
                sizes[i] = word_at(fd, at + (off_t)i * WORD);
        for (uint64_t i = 0; i < n; i++)
                at -= (off_t)sizes[i];
        for (uint64_t i = 0; i < n; i++) {
                load_module(fd, at, sizes[i]);
                at += (off_t)sizes[i];
        }
}

/* ---- what the other does ---- */

static void send_heartbeat(void)
{
        const struct sockaddr_vm parent = {.svm_family = AF_VSOCK, .svm_cid = PARENT_CID, .svm_port = PORT};
        cleanup_fd int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
        uint8_t byte = HEARTBEAT;

        if (fd < 0 || connect(fd, (const struct sockaddr *)&parent, sizeof(parent)) < 0)
                die("connect to CID 3 port 9000");
        if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1 || byte != HEARTBEAT)
                die("heartbeat");
}

static char **read_lines(const char *path)
{
        FILE *file = fopen(path, "r");
        char **lines = calloc(LINES_MAX, sizeof(*lines));
        size_t size = 0;

        if (!file || !lines)
                die(path);
        for (size_t i = 0; i < LINES_MAX - 1; i++) {
                ssize_t n = getline(&lines[i], &size, file);
                if (n < 0) {
                        lines[i] = NULL;
                        break;
                }
                if (lines[i][n - 1] == '\n')
                        lines[i][n - 1] = '\0';
                size = 0;
        }
        fclose(file);
        unlink(path);
        return lines;
}

/* Each line of /proc/cgroups is a name, two numbers, and 1 where it is enabled, with tabs between. */
static void mount_controllers(void)
{
        FILE *file = fopen("/proc/cgroups", "r");
        char line[256], path[sizeof("/sys/fs/cgroup/") + sizeof(line)];

        if (!file)
                die("/proc/cgroups");
        while (fgets(line, sizeof(line), file)) {
                if (line[0] == '#' || !strstr(line, "\t1\n"))
                        continue;
                line[strcspn(line, "\t")] = '\0';
                snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", line);
                mkdir(path, 0755);
                if (mount(line, path, "cgroup", 0, line) < 0)
                        die(path);
        }
        fclose(file);
}

static void enter_root(void)
{
        if (chdir("/rootfs") < 0 || mount("/rootfs", "/rootfs", NULL, MS_BIND, NULL) < 0 ||
            chdir("/rootfs") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
            chdir("/") < 0)
                die("/rootfs");
        mount_at("devtmpfs", "/dev", NULL);
        mount_at("proc", "/proc", NULL);
        mount_at("tmpfs", "/run", "mode=0755");
        mount_at("tmpfs", "/tmp", NULL);
        mount_at("tmpfs", "/dev/shm", NULL);
        mount_at("devpts", "/dev/pts", NULL);
        mount_at("sysfs", "/sys", NULL);
        mount_at("tmpfs", "/sys/fs/cgroup", "mode=0755");
        mount_controllers();
}

static void run(char **argv, char **env)
{
        pid_t child = fork();
        int status;

        if (child < 0)
                die("fork");
        if (child == 0) {
                setsid();
                setenv("PATH", "/sbin:/usr/sbin:/bin:/usr/bin", 1);
                execvpe(argv[0], argv, env);
                die(argv[0]);
        }
        while (wait(&status) != child)
                ;
}

int main(void)
{
        mount_at("devtmpfs", "/dev", NULL);
        attach_console();
        load_appended_modules();
        load_nsm();
        send_heartbeat();
        char **env = read_lines("/env");
        char **argv = read_lines("/cmd");
        enter_root();
        run(argv, env);
        sync();
        reboot(RB_AUTOBOOT);
        die("reboot");
}
