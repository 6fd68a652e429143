/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libsgx-emulator.so: what sgx-emulator puts before a program's C library, so that /dev/sgx_enclave is there.
 *
 * Theory of operation.  An enclave is memory of the program's, entered by its threads and left by their
 * signals; so an emulator has to be in the program.  (From outside, by ptrace or seccomp's notifications,
 * each page and each ENCLU would be two changes of process, and the program would see the other one.)  The
 * functions below stand before those of the C library of the same names; where an enclave is meant they go
 * to the simulation (lib/sgx), else to the kernel.  The simulation itself calls some of them, too: `busy`
 * sends those on.
 *
 * getauxval(AT_SYSINFO_EHDR) gives an image of ours instead of the kernel's vDSO, with
 * __vdso_sgx_enter_enclave() in it and nothing else; who looks for other functions there falls back to
 * system calls, as with a kernel that lacks them.  The C library itself doesn't ask this way.
 */
/* With it the headers give open() and others the names of their twins, which stand here, too. */
#undef _FILE_OFFSET_BITS

#include "lib/sgx/sim-cpu.h"
#include "lib/sgx/sim-device.h"
#include "sgx-emulator/vdso-image.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* They have prototypes in the C library's headers, some as macros or with other types; these are the
 * binary ones. */
int open64(const char *path, int flags, ...);
int openat64(int folder, const char *path, int flags, ...);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
void *mmap64(void *address, size_t size, int prot, int flags, int fd, off_t offset);

enum { SGX_IOCTLS = 0xa4, DEVICE_MAJOR = 10, DEVICE_MINOR = 125, DEVICE_MODE = 0666 };

static _Thread_local bool busy __attribute__((tls_model("initial-exec")));
static uint64_t vdso_address; /* of our image, once it is mapped */

/* Entered where a device is touched, so that programs that don't care pay nothing. */
static void start(void)
{
        struct view image = vdso_image();
        int64_t *table;
        struct sgx_sim_vdso vdso = {0};
        struct error err = {0};
        uint8_t *p;

        p = mmap(NULL, image.n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p != MAP_FAILED) {
                memcpy(p, image.p, image.n);
                table = (int64_t *)(void *)(p + ((const Elf64_Ehdr *)(const void *)p)->e_entry);
                table[2] = (int64_t)(uintptr_t)sgx_sim_gate;
                mprotect(p, image.n, PROT_READ | PROT_EXEC);
                vdso_address = (uint64_t)(uintptr_t)p;
                vdso.enclu = (uint64_t)(uintptr_t)table + (uint64_t)table[0];
                vdso.fixup = (uint64_t)(uintptr_t)table + (uint64_t)table[1];
        }
        if (p == MAP_FAILED || sgx_sim_start(&vdso, &err) < 0) {
                dprintf(STDERR_FILENO, "sgx-emulator: cannot start: %s\n", error_text(&err));
                _exit(1);
        }
}

__attribute__((constructor)) static void constructor(void)
{
        busy = true;
        start();
        busy = false;
}

static bool is_device(const char *path)
{
        return strcmp(path, "/dev/sgx_enclave") == 0 || strcmp(path, "/dev/sgx/enclave") == 0 ||
               strcmp(path, "/dev/isgx") == 0;
}

static bool is_provision(const char *path)
{
        return strcmp(path, "/dev/sgx_provision") == 0 || strcmp(path, "/dev/sgx/provision") == 0;
}

static int open_any(int folder, const char *path, int flags, mode_t mode)
{
        int fd;

        if (busy || !path || !is_device(path))
                return (int)syscall(SYS_openat, folder,
                                    path && !busy && is_provision(path) ? "/dev/null" : path, flags, mode);
        busy = true;
        fd = sgx_os_simulated.open(NULL, path, flags);
        busy = false;
        return fd;
}

/* The mode is there only where a file may be made. */
#define MODE_OF(flags)                                                                                       \
        ({                                                                                                   \
                mode_t mode_ = 0;                                                                            \
                if ((flags) & (O_CREAT | O_TMPFILE)) {                                                       \
                        va_list args_;                                                                       \
                        va_start(args_, flags);                                                              \
                        mode_ = va_arg(args_, mode_t);                                                       \
                        va_end(args_);                                                                       \
                }                                                                                            \
                mode_;                                                                                       \
        })

int open(const char *path, int flags, ...)
{
        return open_any(AT_FDCWD, path, flags, MODE_OF(flags));
}

int open64(const char *path, int flags, ...)
{
        return open_any(AT_FDCWD, path, flags, MODE_OF(flags));
}

int openat(int folder, const char *path, int flags, ...)
{
        return open_any(folder, path, flags, MODE_OF(flags));
}

int openat64(int folder, const char *path, int flags, ...)
{
        return open_any(folder, path, flags, MODE_OF(flags));
}

/* What open() becomes in programs that are built with _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags)
{
        return open_any(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
        return open_any(AT_FDCWD, path, flags, 0);
}

int access(const char *path, int mode)
{
        return !busy && is_device(path) ? 0 : (int)syscall(SYS_access, path, mode);
}

int stat(const char *restrict path, struct stat *restrict ret_st)
{
        if (busy || !is_device(path))
                return (int)syscall(SYS_newfstatat, AT_FDCWD, path, ret_st, 0);
        *ret_st = (struct stat){.st_mode = S_IFCHR | DEVICE_MODE,
                                .st_rdev = makedev(DEVICE_MAJOR, DEVICE_MINOR)};
        return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
        va_list args;
        void *argument;
        int r;

        va_start(args, request);
        argument = va_arg(args, void *);
        va_end(args);
        if (busy || _IOC_TYPE(request) != SGX_IOCTLS || !sgx_sim_is_enclave(fd))
                return (int)syscall(SYS_ioctl, fd, request, argument);
        busy = true;
        r = sgx_os_simulated.ioctl(NULL, fd, request, argument);
        busy = false;
        return r;
}

static void *map_any(void *address, size_t size, int prot, int flags, int fd, off_t offset)
{
        void *p;

        if (busy || fd < 0 || flags & MAP_ANONYMOUS || !sgx_sim_is_enclave(fd))
                return (void *)syscall(SYS_mmap, address, size, prot, flags, fd, offset);
        busy = true;
        p = sgx_os_simulated.mmap(NULL, address, size, prot, flags, fd, offset);
        busy = false;
        return p;
}

void *mmap(void *address, size_t size, int prot, int flags, int fd, off_t offset)
{
        return map_any(address, size, prot, flags, fd, offset);
}

void *mmap64(void *address, size_t size, int prot, int flags, int fd, off_t offset)
{
        return map_any(address, size, prot, flags, fd, offset);
}

int munmap(void *address, size_t size)
{
        int r;

        if (busy)
                return (int)syscall(SYS_munmap, address, size);
        busy = true;
        r = sgx_os_simulated.munmap(NULL, address, size);
        busy = false;
        return r;
}

int mprotect(void *address, size_t size, int prot)
{
        int r = -ENOENT;

        if (!busy) {
                busy = true;
                r = sgx_sim_mprotect(address, size, prot);
                busy = false;
        }
        if (r == -ENOENT)
                return (int)syscall(SYS_mprotect, address, size, prot);
        errno = r < 0 ? -r : errno;
        return r < 0 ? -1 : 0;
}

int close(int fd)
{
        int r;

        if (busy || !sgx_sim_is_enclave(fd))
                return (int)syscall(SYS_close, fd);
        busy = true;
        r = sgx_os_simulated.close(NULL, fd);
        busy = false;
        return r;
}

/* The program's handlers of exceptions come behind ours. */
int sigaction(int sig, const struct sigaction *restrict action, struct sigaction *restrict ret_old)
{
        static int (*next)(int, const struct sigaction *, struct sigaction *);

        if (!busy && sgx_sim_sigaction(sig, action, ret_old) == 0)
                return 0;
        if (!next)
                next = (int (*)(int, const struct sigaction *, struct sigaction *))dlsym(RTLD_NEXT,
                                                                                         "sigaction");
        return next(sig, action, ret_old);
}

/* signal(2), by another name here: sigaction() is what this project uses. */
sighandler_t preload_signal(int sig, sighandler_t handler) __asm__("signal");

sighandler_t preload_signal(int sig, sighandler_t handler)
{
        struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;

        return sigaction(sig, &action, &old) < 0 ? SIG_ERR : old.sa_handler;
}

unsigned long getauxval(unsigned long type)
{
        static unsigned long (*next)(unsigned long);

        if (type == AT_SYSINFO_EHDR && vdso_address && !busy)
                return vdso_address;
        if (!next)
                next = (unsigned long (*)(unsigned long))dlsym(RTLD_NEXT, "getauxval");
        return next(type);
}
