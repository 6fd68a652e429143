/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drivers against a fake one at the boundary of open, ioctl and mmap: the simulated device, which checks
 * what the kernel's would, behind checks of what it can't see (how it was opened, whether the source of a
 * page may be executed, reserved bytes of arguments) and failures on demand.
 */
#include "lib/sgx/driver-abi.h"
#include "lib/sgx/little-endian.h"
#include "lib/sgx/sim-cpu.h"
#include "lib/sgx/sim-device.h"
#include "lib/sgx/test-enclave.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

struct fake {
        const char *only;        /* the one device that is there */
        unsigned int interrupts; /* as many ADD_PAGES calls end early, without a page, by a signal */
        int fail_open;           /* errno, or 0 */
        int init_result;         /* of EINIT, instead of the real thing; 0: the real thing */
        unsigned int n_created, n_added, n_initialised;
        bool mapped_before_create;
};

/* Whether the mapping at an address may be made executable: VM_MAYEXEC, "me" in smaps. */
static bool may_execute(uint64_t address)
{
        FILE *f = fopen("/proc/self/smaps", "re");
        char line[512];
        bool inside = false, result = false;

        while (f && fgets(line, sizeof(line), f)) {
                char *end;
                uint64_t from = strtoull(line, &end, 16);

                if (end > line && *end == '-')
                        inside = address >= from && address < strtoull(end + 1, NULL, 16);
                else if (inside && strncmp(line, "VmFlags:", 8) == 0)
                        result = strstr(line, " me") != NULL;
        }
        if (f)
                fclose(f);
        return result;
}

static int fake_open(void *user, const char *path, int flags)
{
        struct fake *fake = user;

        assert_true((flags & O_ACCMODE) == O_RDWR);
        assert_true(flags & O_CLOEXEC);
        if (strcmp(path, fake->only) != 0) {
                errno = ENOENT;
                return -1;
        }
        if (fake->fail_open) {
                errno = fake->fail_open;
                return -1;
        }
        return sgx_os_simulated.open(NULL, path, flags);
}

static void check_secs(const struct sgx_enclave_create *arg)
{
        struct sgx_secs secs;
        const uint8_t *page = (const uint8_t *)(uintptr_t)arg->src;

        assert_int_equal(arg->src % SGX_PAGE_SIZE, 0);
        assert_int_equal(sgx_secs_decode(page, &secs, NULL), 0);
        assert_int_equal(secs.size & (secs.size - 1), 0);
        assert_int_equal(secs.base % secs.size, 0);
        assert_int_equal(secs.attributes.flags & SGX_ATTRIBUTE_INIT, 0);
        for (size_t i = 64; i < 96; i++) /* MRENCLAVE is the CPU's */
                assert_int_equal(page[i], 0);
}

static void check_page(uint64_t source, uint64_t secinfo, uint64_t offset)
{
        uint64_t flags = get_le((const uint8_t *)(uintptr_t)secinfo, 8);

        assert_int_equal(source % SGX_PAGE_SIZE, 0);
        assert_int_equal(secinfo % SGX_SECINFO_SIZE, 0);
        assert_int_equal(offset % SGX_PAGE_SIZE, 0);
        assert_true(may_execute(source));
        if (flags >> 8 == SGX_TYPE_TCS)
                assert_int_equal(flags & SGX_PAGE_RWX, 0);
        else if (flags & SGX_PAGE_W)
                assert_true(flags & SGX_PAGE_R);
}

static int fake_add(struct fake *fake, int fd, unsigned long request, struct sgx_enclave_add_pages *arg)
{
        check_page(arg->src, arg->secinfo, arg->offset);
        assert_int_equal(arg->flags, SGX_PAGE_MEASURE);
        assert_int_equal(arg->count, 0);
        if (fake->interrupts) {
                fake->interrupts--;
                errno = EINTR;
                return -1;
        }
        fake->n_added++;
        return sgx_os_simulated.ioctl(NULL, fd, request, arg);
}

static int fake_init(struct fake *fake, int fd, unsigned long request, void *arg)
{
        fake->n_initialised++;
        if (fake->init_result < 0) {
                errno = -fake->init_result;
                return -1;
        }
        return fake->init_result ? fake->init_result : sgx_os_simulated.ioctl(NULL, fd, request, arg);
}

static int fake_ioctl(void *user, int fd, unsigned long request, void *argument)
{
        struct fake *fake = user;
        struct isgx_add_page *page = argument;

        switch (request) {
        case SGX_IOC_ENCLAVE_CREATE:
                fake->n_created++;
                check_secs(argument);
                if (strcmp(fake->only, "/dev/isgx") == 0)
                        assert_true(fake->mapped_before_create);
                return sgx_os_simulated.ioctl(NULL, fd, request, argument);
        case SGX_IOC_ENCLAVE_ADD_PAGES:
                return fake_add(fake, fd, request, argument);
        case ISGX_ADD_PAGE:
                check_page(page->source, page->secinfo, page->address);
                assert_int_equal(page->measure_mask, 0xffff);
                fake->n_added++;
                return sgx_os_simulated.ioctl(NULL, fd, request, argument);
        case SGX_IOC_ENCLAVE_INIT:
        case ISGX_INIT:
                return fake_init(fake, fd, request, argument);
        default:
                fail_msg("ioctl %#lx", request);
                return -1;
        }
}

static void *fake_mmap(void *user, void *address, size_t size, int prot, int flags, int fd, off_t offset)
{
        struct fake *fake = user;

        assert_int_equal(flags, MAP_SHARED | MAP_FIXED);
        fake->mapped_before_create |= fake->n_created == 0;
        return sgx_os_simulated.mmap(NULL, address, size, prot, flags, fd, offset);
}

static struct sgx_os os_of(struct fake *fake)
{
        struct sgx_os os = sgx_os_simulated;

        os.open = fake_open;
        os.ioctl = fake_ioctl;
        os.mmap = fake_mmap;
        os.user = fake;
        return os;
}

static const struct {
        const struct sgx_driver *driver;
        const char *device;
} all[] = {
        {&sgx_driver_in_tree, "/dev/sgx_enclave"},
        {&sgx_driver_dcap, "/dev/sgx/enclave"},
        {&sgx_driver_isgx, "/dev/isgx"},
};

static int make_key(void **state)
{
        return sgx_signing_key_generate((struct sgx_signing_key **)state, NULL);
}

static int free_key(void **state)
{
        sgx_signing_key_free(*state);
        return 0;
}

static void each_driver_is_given_what_it_checks(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                struct fake fake = {.only = all[i].device};
                struct sgx_os os = os_of(&fake);
                struct sgx_enclave e;
                struct error err = {0};
                int code;

                assert_int_equal(sgx_sim_start(NULL, &err), 0);
                if (test_enclave_make(all[i].driver, &os, *state, NULL, &e, &code, &err) < 0)
                        fail_msg("%s: %s", all[i].device, error_text(&err));
                assert_int_equal(fake.n_created, 1);
                assert_int_equal(fake.n_added, TEST_PAGES);
                assert_int_equal(sgx_ecall(test_enclave_page(&e, TEST_TCS_A), TEST_DIVIDE, 42, 6, 0), 7);
                sgx_unload(&e);
                sgx_sim_stop();
        }
}

static void the_device_that_is_there_is_found(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                struct fake fake = {.only = all[i].device};
                struct sgx_os os = os_of(&fake);
                const struct sgx_driver *driver;
                int fd;

                assert_int_equal(sgx_driver_find(&os, &driver, &fd, NULL), 0);
                assert_ptr_equal(driver, all[i].driver);
                os.close(NULL, fd);
        }
}

static void a_machine_without_a_device_says_how_to_simulate(void **state)
{
        struct fake fake = {.only = "/nowhere"};
        struct sgx_os os = os_of(&fake);
        const struct sgx_driver *driver;
        struct error err = {0};
        int fd;
        (void)state;

        assert_int_equal(sgx_driver_find(&os, &driver, &fd, &err), -ENODEV);
        assert_non_null(strstr(err.text, "simulate"));
        fake.only = "/dev/sgx_enclave";
        fake.fail_open = EACCES;
        assert_int_equal(sgx_driver_find(&os, &driver, &fd, &err), -EACCES);
        assert_non_null(strstr(err.text, "/dev/sgx_enclave"));
}

static void signals_while_pages_are_added_do_no_harm(void **state)
{
        struct fake fake = {.only = "/dev/sgx_enclave", .interrupts = 5};
        struct sgx_os os = os_of(&fake);
        struct sgx_enclave e;
        int code;

        assert_int_equal(test_enclave_make(&sgx_driver_in_tree, &os, *state, NULL, &e, &code, NULL), 0);
        assert_int_equal(fake.n_added, TEST_PAGES);
        sgx_unload(&e);
}

static void a_refusal_is_told_as_the_driver_tells_it(void **state)
{
        struct fake fake = {.only = "/dev/sgx_enclave", .init_result = -EPERM};
        struct sgx_os os = os_of(&fake);
        struct sgx_enclave e;
        struct error err = {0};
        int code;

        assert_int_equal(test_enclave_make(&sgx_driver_in_tree, &os, *state, NULL, &e, &code, &err), -EPERM);
        assert_int_equal(code, -1);
        fake = (struct fake){.only = "/dev/isgx", .init_result = SGX_INVALID_EINITTOKEN};
        assert_int_equal(test_enclave_make(&sgx_driver_isgx, &os, *state, NULL, &e, &code, &err), -EPERM);
        assert_int_equal(code, SGX_INVALID_EINITTOKEN);
        assert_non_null(strstr(err.text, "SGX_INVALID_EINITTOKEN"));
}

static void spoil_measurement(struct sgx_sigstruct *s)
{
        s->mrenclave[0] ^= 1;
}

static void the_device_refuses_what_was_not_signed(void **state)
{
        struct sgx_enclave e;
        struct error why;
        int code;

        assert_int_equal(test_enclave_make(&sgx_driver_simulation, &sgx_os_simulated, *state,
                                           spoil_measurement, &e, &code, NULL),
                         -EPERM);
        sgx_sim_last_einit(&code, &why);
        assert_int_equal(code, SGX_INVALID_SIGNATURE);
}

/* Arguments that no loader of ours gives. */
static void the_device_refuses_what_the_kernel_does(void **state)
{
        static uint8_t page[SGX_PAGE_SIZE] __attribute__((aligned(SGX_PAGE_SIZE)));
        static uint8_t secinfo[SGX_SECINFO_SIZE] __attribute__((aligned(SGX_SECINFO_SIZE)));
        struct sgx_enclave_create create = {.src = (uintptr_t)page};
        struct sgx_enclave_add_pages add = {
                .src = (uintptr_t)page, .length = SGX_PAGE_SIZE, .secinfo = (uintptr_t)secinfo};
        struct sgx_secs secs = {.size = 3 * SGX_PAGE_SIZE,
                                .ssa_frame_pages = 1,
                                .attributes = {SGX_ATTRIBUTE_MODE64, SGX_XFRM_LEGACY}};
        const struct sgx_os *os = &sgx_os_simulated;
        int fd = os->open(NULL, "/dev/sgx_enclave", O_RDWR | O_CLOEXEC);
        (void)state;

        assert_true(fd >= 0);
        sgx_secs_encode(&secs, page);
        assert_int_equal(os->ioctl(NULL, fd, SGX_IOC_ENCLAVE_CREATE, &create), -1); /* no power of two */
        assert_int_equal(errno, EINVAL);
        secs.size = 4 * SGX_PAGE_SIZE;
        secs.base = SGX_PAGE_SIZE;
        sgx_secs_encode(&secs, page);
        assert_int_equal(os->ioctl(NULL, fd, SGX_IOC_ENCLAVE_CREATE, &create), -1); /* not aligned */
        assert_int_equal(os->ioctl(NULL, fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add), -1); /* before it was made */
        secs.base = 0x100000000;
        sgx_secs_encode(&secs, page);
        assert_int_equal(os->ioctl(NULL, fd, SGX_IOC_ENCLAVE_CREATE, &create), 0);
        assert_int_equal(os->ioctl(NULL, fd, SGX_IOC_ENCLAVE_CREATE, &create), -1); /* twice */
        memset(page, 0, sizeof(page));
        sgx_secinfo_encode(SGX_SECINFO_FLAGS(SGX_TYPE_REG, SGX_PAGE_W), secinfo);
        assert_int_equal(os->ioctl(NULL, fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add), -1); /* W without R */
        assert_int_equal(errno, EINVAL);
        sgx_secinfo_encode(SGX_SECINFO_FLAGS(SGX_TYPE_TCS, SGX_PAGE_R), secinfo);
        assert_int_equal(os->ioctl(NULL, fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add), -1); /* a TCS with rights */
        sgx_secinfo_encode(SGX_SECINFO_FLAGS(SGX_TYPE_REG, SGX_PAGE_R), secinfo);
        secinfo[63] = 1;
        assert_int_equal(os->ioctl(NULL, fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add), -1); /* reserved */
        secinfo[63] = 0;
        add.offset = secs.size;
        assert_int_equal(os->ioctl(NULL, fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add), -1); /* behind the end */
        add.offset = 0;
        add.src++;
        assert_int_equal(os->ioctl(NULL, fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add), -1); /* not aligned */
        add.src = 0x1000;
        assert_int_equal(os->ioctl(NULL, fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add), -1); /* nothing there */
        assert_int_equal(errno, EFAULT);
        add.src = (uintptr_t)page;
        assert_int_equal(os->ioctl(NULL, fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add), 0);
        assert_int_equal(add.count, SGX_PAGE_SIZE);
        assert_int_equal(os->ioctl(NULL, fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add), -1); /* twice */
        assert_int_equal(errno, EBUSY);
        assert_int_equal(os->ioctl(NULL, fd, _IO(0x12, 1), NULL), -1);
        assert_int_equal(errno, ENOTTY);
        os->close(NULL, fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_driver_is_given_what_it_checks),
                cmocka_unit_test(the_device_that_is_there_is_found),
                cmocka_unit_test(a_machine_without_a_device_says_how_to_simulate),
                cmocka_unit_test(signals_while_pages_are_added_do_no_harm),
                cmocka_unit_test(a_refusal_is_told_as_the_driver_tells_it),
                cmocka_unit_test(the_device_refuses_what_was_not_signed),
                cmocka_unit_test(the_device_refuses_what_the_kernel_does),
        };

        return cmocka_run_group_tests(tests, make_key, free_key);
}
