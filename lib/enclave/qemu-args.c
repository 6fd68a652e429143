/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/qemu-args.h"

#include "lib/base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

enum { ARGS_MAX = 64, LOCAL_TIMER_KHZ = 1000 * 1000 };

struct args {
        char **argv;
        size_t n;
        bool failed;
};

static void add(struct args *args, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct args *args, const char *format, ...)
{
        char *text = NULL;
        va_list list;

        va_start(list, format);
        if (args->n + 1 >= ARGS_MAX || vasprintf(&text, format, list) < 0)
                args->failed = true;
        else
                args->argv[args->n++] = text;
        va_end(list);
}

/*
 * microvm brings what a Linux guest needs and little else: virtio-mmio slots, a serial line, a clock.
 *   acpi=on                  the guest finds the virtio slots in ACPI tables and can power off
 *   auto-kernel-cmdline=off  the kernel's command line is what was measured: QEMU may add nothing to it
 *   tb-size=32               MiB of translated code that an emulated machine keeps; without it the cache
 *                            grows to twice that during a boot and stays
 *   x-option-roms=off        QEMU loads the kernel by qboot, without option ROMs
 *   erms=off,fsrm=off        programs then copy in words: an emulated `rep movsb` takes a step for each byte
 */
static void add_machine(struct args *args, const struct machine_spec *spec)
{
        bool kvm = spec->isolation == ENCLAVE_ISOLATION_KVM;

        add(args, "-M");
        add(args,
            "microvm,rtc=on,acpi=on,isa-serial=on,auto-kernel-cmdline=off,x-option-roms=off,"
            "memory-backend=m0%s",
            kvm ? ",pit=off,pic=off" : "");
        add(args, "-accel");
        add(args, "%s", kvm ? "kvm" : "tcg,thread=multi,tb-size=32");
        add(args, "-cpu");
        add(args, "%s", kvm ? "host" : "max,erms=off,fsrm=off");
        add(args, "-smp");
        add(args, "%u", spec->cpus);
        add(args, "-m");
        add(args, "%uM", spec->mem_mib);
        /* Shared, because a vhost-user device reads and writes the guest's memory from its own process; in no
         * core dump, and merged with nobody's pages, by which others could tell what is in them. */
        add(args, "-object");
        add(args, "memory-backend-memfd,id=m0,size=%uM,share=on,dump=off,merge=off", spec->mem_mib);
}

static void add_devices(struct args *args, const struct machine_spec *spec)
{
        add(args, "-chardev");
        add(args, "socket,id=console,fd=%d", QEMU_FD_CONSOLE);
        add(args, "-serial");
        add(args, "chardev:console");
        add(args, "-chardev");
        add(args, "socket,id=qmp,fd=%d", QEMU_FD_QMP);
        add(args, "-mon");
        add(args, "chardev=qmp,mode=control");
        if (spec->kernel_vsock) {
                add(args, "-device");
                add(args, "vhost-vsock-device,guest-cid=%" PRIu32 ",vhostfd=%d", spec->cid, QEMU_FD_VSOCK);
        } else {
                add(args, "-chardev");
                add(args, "socket,id=vsock,fd=%d", QEMU_FD_VSOCK);
                add(args, "-device");
                add(args, "vhost-user-vsock-device,chardev=vsock");
        }
}

/*
 * The command line is the measured one.  There is one exception, and only under emulation, where nothing
 * vouches for measurements anyway: the frequencies of the time-stamp counter and of local timers, which
 * count nanoseconds here.  This machine has no clock but the counter, and a kernel that is not told its
 * frequency measures it against a timer; when this host is busy, that fails, and the kernel then waits for
 * ever.  For local timers it waits a tenth of a second; our own kernel takes our word
 * (guest/kernel-clocks.c).  Under KVM the guest asks the hypervisor.
 */
static void add_guest(struct args *args, const struct machine_spec *spec)
{
        add(args, "-kernel");
        add(args, "/proc/self/fd/%d", QEMU_FD_KERNEL);
        if (spec->initrd_fd >= 0) {
                add(args, "-initrd");
                add(args, "/proc/self/fd/%d", QEMU_FD_INITRD);
        }
        add(args, "-append");
        if (spec->tsc_khz > 0 && !strstr(spec->cmdline, "tsc_early_khz="))
                add(args, "%s tsc_early_khz=%u tsc=reliable coffer.constant_tsc coffer.lapic_khz=%u",
                    spec->cmdline, spec->tsc_khz, LOCAL_TIMER_KHZ);
        else
                add(args, "%s", spec->cmdline);
}

int qemu_args_build(const struct machine_spec *spec, char ***ret_argv, struct error *err)
{
        struct args args = {.argv = calloc(ARGS_MAX, sizeof(*args.argv))};

        if (!args.argv)
                return error_oom(err);
        add(&args, QEMU_PROGRAM);
        add(&args, "-name");
        add(&args, "enclave-%" PRIu32, spec->id);
        add(&args, "-nodefaults");
        add(&args, "-no-user-config");
        add(&args, "-display");
        add(&args, "none");
        add(&args, "-no-reboot");
        add(&args, "-sandbox");
        add(&args, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
        add_machine(&args, spec);
        add_devices(&args, spec);
        add_guest(&args, spec);
        if (args.failed) {
                qemu_args_free(args.argv);
                return error_oom(err);
        }
        *ret_argv = args.argv;
        return 0;
}

void qemu_args_free(char **argv)
{
        for (size_t i = 0; argv && argv[i]; i++)
                free(argv[i]);
        free(argv);
}
