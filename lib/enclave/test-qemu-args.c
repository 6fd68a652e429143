/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/enclave/qemu-args.h"

#include <string.h>

static struct machine_spec sample(void)
{
        return (struct machine_spec){
                .id = 7,
                .cid = 9,
                .cpus = 3,
                .mem_mib = 300,
                .isolation = ENCLAVE_ISOLATION_KVM,
                .cmdline = "console=ttyS0 -evil,option",
                .kernel_fd = 50,
                .initrd_fd = 51,
                .console_fd = 52,
                .vsock_fd = 53,
        };
}

/* The argument behind `option`, or NULL. */
static const char *value_of(char **argv, const char *option)
{
        for (size_t i = 0; argv[i]; i++) {
                if (strcmp(argv[i], option) == 0)
                        return argv[i + 1];
        }
        return NULL;
}

static bool has(char **argv, const char *argument)
{
        for (size_t i = 0; argv[i]; i++) {
                if (strcmp(argv[i], argument) == 0)
                        return true;
        }
        return false;
}

static void test_kvm_machine_with_our_device(void **state)
{
        struct machine_spec spec = sample();
        cleanup_qemu_args char **argv = NULL;

        (void)state;
        assert_int_equal(qemu_args_build(&spec, &argv, NULL), 0);
        assert_string_equal(value_of(argv, "-accel"), "kvm");
        assert_string_equal(value_of(argv, "-cpu"), "host");
        assert_string_equal(value_of(argv, "-smp"), "3");
        assert_string_equal(value_of(argv, "-m"), "300M");
        assert_string_equal(value_of(argv, "-object"),
                            "memory-backend-memfd,id=m0,size=300M,share=on,dump=off,merge=off");
        assert_string_equal(value_of(argv, "-device"), "vhost-user-vsock-device,chardev=vsock");
        assert_true(has(argv, "socket,id=vsock,fd=7"));
        assert_string_equal(value_of(argv, "-kernel"), "/proc/self/fd/3");
        assert_string_equal(value_of(argv, "-initrd"), "/proc/self/fd/4");
}

static void test_emulated_machine_with_the_kernels_vsock(void **state)
{
        struct machine_spec spec = sample();
        cleanup_qemu_args char **argv = NULL;

        (void)state;
        spec.isolation = ENCLAVE_ISOLATION_EMULATED;
        spec.kernel_vsock = true;
        assert_int_equal(qemu_args_build(&spec, &argv, NULL), 0);
        assert_string_equal(value_of(argv, "-accel"), "tcg,thread=multi,tb-size=32");
        assert_string_equal(value_of(argv, "-cpu"), "max,erms=off,fsrm=off");
        assert_string_equal(value_of(argv, "-device"), "vhost-vsock-device,guest-cid=9,vhostfd=7");
        assert_false(has(argv, "socket,id=vsock,fd=7"));
}

static void test_command_line_is_the_measured_one(void **state)
{
        struct machine_spec spec = sample();
        cleanup_qemu_args char **argv = NULL;

        (void)state;
        assert_int_equal(qemu_args_build(&spec, &argv, NULL), 0);
        assert_string_equal(value_of(argv, "-append"), spec.cmdline);
        assert_non_null(strstr(value_of(argv, "-M"), "auto-kernel-cmdline=off"));
}

static void test_emulated_guest_is_told_its_clock_once(void **state)
{
        struct machine_spec spec = sample();
        cleanup_qemu_args char **argv = NULL, **again = NULL;

        (void)state;
        spec.isolation = ENCLAVE_ISOLATION_EMULATED;
        spec.tsc_khz = 2400000;
        assert_int_equal(qemu_args_build(&spec, &argv, NULL), 0);
        assert_string_equal(value_of(argv, "-append"),
                            "console=ttyS0 -evil,option tsc_early_khz=2400000 "
                            "tsc=reliable coffer.constant_tsc coffer.lapic_khz=1000000");
        spec.cmdline = "tsc_early_khz=1 quiet";
        assert_int_equal(qemu_args_build(&spec, &again, NULL), 0);
        assert_string_equal(value_of(again, "-append"), spec.cmdline);
}

static void test_image_without_ramdisk_has_none(void **state)
{
        struct machine_spec spec = sample();
        cleanup_qemu_args char **argv = NULL;

        (void)state;
        spec.initrd_fd = -1;
        assert_int_equal(qemu_args_build(&spec, &argv, NULL), 0);
        assert_null(value_of(argv, "-initrd"));
}

static void test_qemu_is_sandboxed_and_has_nothing_by_default(void **state)
{
        struct machine_spec spec = sample();
        cleanup_qemu_args char **argv = NULL;

        (void)state;
        assert_int_equal(qemu_args_build(&spec, &argv, NULL), 0);
        assert_string_equal(value_of(argv, "-sandbox"),
                            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
        assert_true(has(argv, "-nodefaults"));
        assert_true(has(argv, "-no-user-config"));
        assert_true(has(argv, "-no-reboot"));
        assert_string_equal(value_of(argv, "-display"), "none");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kvm_machine_with_our_device),
                cmocka_unit_test(test_emulated_machine_with_the_kernels_vsock),
                cmocka_unit_test(test_command_line_is_the_measured_one),
                cmocka_unit_test(test_emulated_guest_is_told_its_clock_once),
                cmocka_unit_test(test_image_without_ramdisk_has_none),
                cmocka_unit_test(test_qemu_is_sandboxed_and_has_nothing_by_default),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
