/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/test-rootfs.h"

#include "lib/base/array.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sets of calls that kernels, or the filters of other containers, lack. */
static const struct denial {
        const char *name;
        int code;
        int calls[8];
} denials[] = {
        {"nothing", 0, {0}},
        {"openat2", ENOSYS, {SYS_openat2}},
        {"mount_setattr", ENOSYS, {SYS_mount_setattr}},
        {"fsopen", ENOSYS, {SYS_fsopen}},
        {"move_mount", ENOSYS, {SYS_move_mount}},
        {"open_tree", ENOSYS, {SYS_open_tree}},
        {"all by ENOSYS",
         ENOSYS,
         {SYS_openat2, SYS_mount_setattr, SYS_fsopen, SYS_fsmount, SYS_fsconfig, SYS_move_mount,
          SYS_open_tree}},
        {"all by EPERM",
         EPERM,
         {SYS_openat2, SYS_mount_setattr, SYS_fsopen, SYS_fsmount, SYS_fsconfig, SYS_move_mount,
          SYS_open_tree}},
};

static const unsigned long usual_namespaces =
        CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;

/* The host's /proc: a container of a test need not have one. */
static int host_proc = -1;

void expect(bool condition, const char *format, ...)
{
        va_list args;

        if (condition)
                return;
        va_start(args, format);
        (void)vfprintf(stderr, format, args);
        va_end(args);
        (void)fputc('\n', stderr);
        _exit(1);
}

void expect_ok(int r, const struct error *err, const char *what)
{
        expect(r == 0, "%s: %s (%d)", what, error_text(err), r);
}

struct spec_mount *box_mount(struct box *box, const char *destination, const char *type, const char *source)
{
        struct spec_mount *mount = &box->mounts[box->spec.n_mounts++];

        expect(box->spec.n_mounts <= ARRAY_SIZE(box->mounts), "too many mounts");
        *mount = (struct spec_mount){.destination = destination, .type = type, .source = source};
        if (strcmp(type, "bind") == 0)
                mount->features = SPEC_MOUNT_BIND;
        box->spec.mounts = box->mounts;
        return mount;
}

void box_path(struct spec_strings *strings, const char *path)
{
        expect(array_grow(&strings->items, strings->n, sizeof(char *)) == 0, "out of memory");
        strings->items[strings->n++] = strdup(path);
}

void box_default(struct box *box)
{
        static const char *const masked[] = {
                "/proc/acpi",          "/proc/asound",     "/proc/kcore",       "/proc/keys",
                "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
                "/sys/firmware",       "/proc/scsi",
        };
        static const char *const readonly[] = {
                "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
        };

        box_mount(box, "/proc", "proc", "proc");
        struct spec_mount *mount = box_mount(box, "/dev", "tmpfs", "tmpfs");
        mount->flags = MS_NOSUID | MS_STRICTATIME;
        mount->data = "mode=755,size=65536k";
        mount = box_mount(box, "/dev/pts", "devpts", "devpts");
        mount->flags = MS_NOSUID | MS_NOEXEC;
        mount->data = "newinstance,ptmxmode=0666,mode=0620,gid=5";
        mount = box_mount(box, "/dev/shm", "tmpfs", "shm");
        mount->flags = MS_NOSUID | MS_NOEXEC | MS_NODEV;
        mount->data = "mode=1777,size=65536k";
        mount = box_mount(box, "/dev/mqueue", "mqueue", "mqueue");
        mount->flags = MS_NOSUID | MS_NOEXEC | MS_NODEV;
        mount = box_mount(box, "/sys", "sysfs", "sysfs");
        mount->flags = MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY;
        for (size_t i = 0; i < ARRAY_SIZE(masked); i++)
                box_path(&box->spec.linux.masked_paths, masked[i]);
        for (size_t i = 0; i < ARRAY_SIZE(readonly); i++)
                box_path(&box->spec.linux.readonly_paths, readonly[i]);
        box->spec.rootfs_readonly = true;
}

void box_build(struct box *box)
{
        struct error err = {0};

        expect_ok(rootfs_open(&box->plan, &box->root, &err), &err, "rootfs_open");
        expect_ok(rootfs_mount(&box->root, &err), &err, "rootfs_mount");
}

void box_enter(struct box *box)
{
        struct error err = {0};

        box_build(box);
        expect_ok(rootfs_enter(&box->root, &err), &err, "rootfs_enter");
        expect_ok(rootfs_seal(&box->root, &err), &err, "rootfs_seal");
}

void box_folder(const struct box *box, const char *path)
{
        cleanup_free char *full = path_join(box->folder, path);
        struct error err = {0};

        expect_ok(path_make_dirs(full, 0755, &err), &err, "make folder");
}

void box_file(const struct box *box, const char *path, const char *content)
{
        cleanup_free char *full = path_join(box->folder, path);
        cleanup_fd int fd = open(full, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

        expect(fd >= 0 && fd_write_full(fd, content, strlen(content)) == 0, "write %s", full);
}

void box_link(const struct box *box, const char *path, const char *target)
{
        cleanup_free char *full = path_join(box->folder, path);

        expect(symlink(target, full) == 0, "symlink %s", full);
}

const char *mount_line(const char *path)
{
        static char found[1024];
        char line[1024];
        int fd = openat(host_proc, "self/mountinfo", O_RDONLY | O_CLOEXEC);
        cleanup_file FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;

        expect(f != NULL, "no mountinfo");
        found[0] = '\0';
        while (fgets(line, sizeof(line), f)) {
                char where[512];
                int at;
                if (sscanf(line, "%*d %*d %n%*s %*s %511s", &at, where) == 1 && strcmp(where, path) == 0)
                        (void)snprintf(found, sizeof(found), "%s", line + at);
        }
        return found;
}

bool line_has(const char *path, const char *text)
{
        return strstr(mount_line(path), text) != NULL;
}

bool file_has(const char *path, const char *content)
{
        char text[256] = "";
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

        return fd >= 0 && read(fd, text, sizeof(text) - 1) >= 0 && string_starts_with(text, content);
}

/* Has the calls of the set fail with its errno. */
static void deny(const struct denial *denial)
{
        struct sock_filter filter[32] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        };
        unsigned short n = 1;

        for (size_t i = 0; i < ARRAY_SIZE(denial->calls) && denial->calls[i]; i++) {
                filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                           (unsigned)denial->calls[i], 0, 1);
                filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
                                                           SECCOMP_RET_ERRNO | (unsigned)denial->code);
        }
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        const struct sock_fprog program = {.len = n, .filter = filter};
        expect(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
}

static void make_box(struct box *box)
{
        (void)snprintf(box->folder, sizeof(box->folder), "/tmp/test-rootfs-XXXXXX");
        expect(mkdtemp(box->folder) != NULL, "mkdtemp");
        (void)snprintf(box->rootfs, sizeof(box->rootfs), "%s/rootfs", box->folder);
        expect(mkdir(box->rootfs, 0755) == 0, "mkdir");
        box->spec.rootfs = box->rootfs;
        box->spec.linux.namespaces[SPEC_NAMESPACE_MOUNT].given = true;
        box->plan.spec = &box->spec;
        box->plan.id = "test";
        box->plan.host_proc_fd = open("/proc", O_PATH | O_CLOEXEC);
        host_proc = box->plan.host_proc_fd;
        box->plan.rootfs_fd = open(box->rootfs, O_PATH | O_CLOEXEC);
        box->root.fd = -1;
}

/* Lets the child go on, once its ids are mapped. */
static void map_ids(const struct box_case *which, pid_t pid, int go)
{
        static const char *const files[] = {"uid_map", "gid_map"};

        for (size_t i = 0; i < ARRAY_SIZE(files) && which->namespaces & CLONE_NEWUSER; i++) {
                char path[64];
                (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, files[i]);
                cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
                expect(fd >= 0 && write(fd, "0 0 100000", 10) == 10, "write %s", path);
        }
        expect(write(go, "", 1) == 1, "write to the child");
}

static bool run_one(const struct box_case *which, const struct denial *denial)
{
        struct box box = {.denied = denial->code ? denial->name : NULL, .has_setattr = true};
        struct error err = {0};

        for (size_t i = 0; i < ARRAY_SIZE(denial->calls); i++)
                if (denial->calls[i] == SYS_mount_setattr)
                        box.has_setattr = false;
        make_box(&box);
        (void)fflush(NULL);
        unsigned long namespaces = (usual_namespaces & ~which->without) | which->namespaces;
        int go[2];
        expect(pipe2(go, O_CLOEXEC) == 0, "pipe");
        pid_t pid = (pid_t)syscall(SYS_clone, namespaces | SIGCHLD, 0, 0, 0, 0);
        if (pid == 0) {
                char byte;
                prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
                expect(read(go[0], &byte, 1) == 1, "read from the parent");
                if (denial->code)
                        deny(denial);
                umask(0);
                which->run(&box);
                rootfs_done(&box.root);
                /* Not by exit(): what the parent has in its buffers is the parent's. */
                _exit(0);
        }
        if (pid > 0)
                map_ids(which, pid, go[1]);
        close(go[0]);
        close(go[1]);
        int status = -1;
        bool ended = pid > 0 && waitpid(pid, &status, 0) == pid;
        close(box.plan.host_proc_fd);
        close(box.plan.rootfs_fd);
        /* The namespace is gone with all its mounts, or this would remove what was mounted. */
        if (path_remove_tree(AT_FDCWD, box.folder, &err) < 0)
                (void)fprintf(stderr, "%s\n", error_text(&err));
        if (ended && status == 0)
                return true;
        (void)fprintf(stderr, "FAILED: %s, with %s denied (status 0x%x)\n", which->name, denial->name,
                      status);
        return false;
}

int run_cases(const struct box_case *cases, size_t n)
{
        int failed = 0;

        for (size_t i = 0; i < n; i++)
                for (size_t d = 0; d < ARRAY_SIZE(denials); d++)
                        failed += !run_one(&cases[i], &denials[d]);
        return failed;
}
