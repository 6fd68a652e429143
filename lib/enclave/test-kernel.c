/* SPDX-License-Identifier: Apache-2.0 */
/* test-kernel.c - kernel folders made up for the purpose: modules in load order, built-in ones, what is
 * refused. */
#include "lib/enclave/kernel.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DEP                                                                                                  \
        "kernel/drivers/virtio/virtio_mmio.ko: kernel/drivers/virtio/virtio.ko "                             \
        "kernel/drivers/virtio/virtio_ring.ko\n"                                                             \
        "kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko\n"                            \
        "kernel/drivers/virtio/virtio_ring.ko:\n"                                                            \
        "kernel/net/vsock.ko:\n"                                                                             \
        "kernel/net/vmw_vsock_virtio_transport.ko: kernel/net/vsock-common.ko kernel/net/vsock.ko "          \
        "kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko\n"

struct fixture {
        char folder[64];
        int fd;
};

static void put(struct fixture *f, const char *name, const char *content)
{
        assert_int_equal(file_write_atomic(f->fd, name, view_of_string(content), 0644, NULL), 0);
}

static void put_image(struct fixture *f, const char *name, const char *version)
{
        uint8_t image[1024] = {0};

        image[0x1fe] = 0x55;
        image[0x1ff] = 0xaa;
        memcpy(image + 0x202, (const uint8_t[]){'H', 'd', 'r', 'S'}, 4);
        image[0x20f] = version ? 0x01 : 0; /* 0x100 + 0x200 */
        image[0x211] = 1;                  /* loaded high */
        if (version)
                snprintf((char *)image + 0x300, 0x100, "%s", version);
        assert_int_equal(file_write_atomic(f->fd, name, view_of(image, sizeof(image)), 0644, NULL), 0);
}

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        memcpy(f->folder, "/tmp/test-kernel-XXXXXX", sizeof("/tmp/test-kernel-XXXXXX"));
        assert_non_null(mkdtemp(f->folder));
        f->fd = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(f->fd >= 0);
        put_image(f, "vmlinuz", "6.1.0-9-cloud-amd64 (someone) #1 SMP");
        put(f, "config", "#\n# generated\n# Linux/x86 6.1.192 Kernel Configuration\n#\n");
        put(f, "release", "6.1.0-9-cloud-amd64\n");
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        path_remove_tree(AT_FDCWD, f->folder, NULL);
        close(f->fd);
        free(f);
        return 0;
}

static void put_modules(struct fixture *f)
{
        static const char *const FOLDERS[] = {"modules", "modules/kernel", "modules/kernel/net",
                                              "modules/kernel/drivers", "modules/kernel/drivers/virtio"};

        for (size_t i = 0; i < ARRAY_SIZE(FOLDERS); i++)
                assert_int_equal(mkdirat(f->fd, FOLDERS[i], 0755), 0);
        put(f, "modules/modules.dep", DEP);
        put(f, "modules/kernel/net/vsock.ko", "vsock");
        put(f, "modules/kernel/net/vsock-common.ko", "common");
        put(f, "modules/kernel/net/vmw_vsock_virtio_transport.ko", "transport");
        put(f, "modules/kernel/drivers/virtio/virtio.ko", "virtio");
        put(f, "modules/kernel/drivers/virtio/virtio_ring.ko", "ring");
        put(f, "modules/kernel/drivers/virtio/virtio_mmio.ko", "mmio");
}

static void test_modules_come_in_load_order(void **state)
{
        static const char *const NAMES[] = {"00-virtio_ring.ko",  "01-virtio.ko",
                                            "02-virtio_mmio.ko",  "03-vsock.ko",
                                            "04-vsock-common.ko", "05-vmw_vsock_virtio_transport.ko"};
        static const char *const CONTENTS[] = {"ring", "virtio", "mmio", "vsock", "common", "transport"};
        struct fixture *f = *state;
        cleanup_kernel struct kernel kernel = KERNEL_NONE;
        struct error err = {0};

        put_modules(f);
        assert_int_equal(kernel_open(f->folder, architecture_find(NULL), &kernel, &err), 0);
        assert_string_equal(kernel.release, "6.1.0-9-cloud-amd64");
        assert_string_equal(kernel.operating_system, "Linux");
        assert_string_equal(kernel.version, "6.1.192");
        assert_int_equal(kernel.n_modules, ARRAY_SIZE(NAMES));
        for (size_t i = 0; i < kernel.n_modules; i++) {
                assert_string_equal(kernel.modules[i].name, NAMES[i]);
                assert_true(view_equal(buf_view(&kernel.modules[i].content), view_of_string(CONTENTS[i])));
        }
}

static void test_an_image_with_modules_beside_it_is_the_folder(void **state)
{
        struct fixture *f = *state;
        cleanup_kernel struct kernel kernel = KERNEL_NONE;
        cleanup_free char *path = path_join(f->folder, "vmlinuz");

        put_modules(f);
        assert_int_equal(kernel_open(path, architecture_find(NULL), &kernel, NULL), 0);
        assert_int_equal(kernel.n_modules, 6);
}

static void test_a_bare_image_has_all_built_in(void **state)
{
        struct fixture *f = *state;
        cleanup_kernel struct kernel kernel = KERNEL_NONE;
        cleanup_free char *path = path_join(f->folder, "bare");

        put_image(f, "bare", "6.6.79 (x) #1");
        assert_int_equal(kernel_open(path, architecture_find(NULL), &kernel, NULL), 0);
        assert_int_equal(kernel.n_modules, 0);
        assert_string_equal(kernel.release, "6.6.79");
        assert_string_equal(kernel.version, "6.6.79");
        assert_string_equal(kernel.operating_system, "Linux");
        assert_string_equal(kernel.image_path, path);
}

static void test_built_in_modules_are_skipped(void **state)
{
        struct fixture *f = *state;
        cleanup_kernel struct kernel kernel = KERNEL_NONE;

        put_modules(f);
        put(f, "modules/modules.dep", "kernel/net/vsock.ko:\n");
        put(f, "modules/modules.builtin",
            "kernel/drivers/virtio/virtio_mmio.ko\nkernel/net/vmw_vsock/vmw_vsock_virtio_transport.ko\n");
        assert_int_equal(kernel_open(f->folder, architecture_find(NULL), &kernel, NULL), 0);
        assert_int_equal(kernel.n_modules, 0);
}

static void assert_refused(struct fixture *f, const char *name, int code, const char *cause)
{
        struct kernel kernel;
        struct error err = {0};
        cleanup_free char *path = name ? path_join(f->folder, name) : strdup(f->folder);

        assert_int_equal(kernel_open(path, architecture_find(NULL), &kernel, &err), code);
        assert_non_null(strstr(error_text(&err), path));
        assert_non_null(strstr(error_text(&err), cause));
}

static void test_what_is_no_kernel_is_refused(void **state)
{
        struct fixture *f = *state;
        char elf[1024] = "\177ELF";

        assert_int_equal(file_write_atomic(f->fd, "vmlinux", view_of(elf, sizeof(elf)), 0644, NULL), 0);
        put(f, "short", "x");
        assert_refused(f, "vmlinux", -EBADMSG, "an ELF file, perhaps vmlinux; x86_64 needs a bzImage");
        assert_refused(f, "short", -EBADMSG, "x86_64 needs a bzImage");
        assert_refused(f, "nothing", -ENOENT, "cannot open");
        assert_int_equal(mkfifoat(f->fd, "fifo", 0600), 0);
        assert_refused(f, "fifo", -EBADMSG, "not a regular file; give a kernel image");
        put(f, "release", "5.0\n");
        assert_refused(f, NULL, -EINVAL, "release says 5.0, but the kernel image is 6.1.0-9-cloud-amd64");
        assert_int_equal(unlinkat(f->fd, "vmlinuz", 0), 0);
        assert_refused(f, NULL, -ENOENT, "cannot open vmlinuz in it");
        assert_int_equal(mkfifoat(f->fd, "vmlinuz", 0600), 0);
        assert_refused(f, NULL, -EBADMSG, "not a regular file");
}

static void test_missing_and_compressed_modules_are_refused(void **state)
{
        struct fixture *f = *state;

        put_modules(f);
        assert_int_equal(unlinkat(f->fd, "modules/kernel/net/vsock-common.ko", 0), 0);
        assert_refused(f, NULL, -ENOENT, "kernel/net/vsock-common.ko");
        put(f, "modules/modules.dep", "kernel/x/virtio_mmio.ko.xz:\n");
        assert_refused(f, NULL, -EOPNOTSUPP, "modules/kernel/x/virtio_mmio.ko.xz is compressed");
        put(f, "modules/modules.dep", "");
        assert_refused(f, NULL, -ENOENT, "module virtio_mmio is neither in modules/modules.dep");
        put(f, "modules/modules.builtin", "kernel/net/vsock.ko\n");
        assert_refused(f, NULL, -ENOENT, "module virtio_mmio is neither in modules/modules.dep");
}

static void test_what_is_no_module_is_refused(void **state)
{
        enum { LARGEST = 16 * 1024 * 1024 };
        static const char path[] = "modules/kernel/net/vsock.ko";
        struct fixture *f = *state;
        cleanup_kernel struct kernel kernel = KERNEL_NONE;

        put_modules(f);
        cleanup_fd int fd = openat(f->fd, path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(ftruncate(fd, LARGEST), 0);
        assert_int_equal(kernel_open(f->folder, architecture_find(NULL), &kernel, NULL), 0);
        assert_int_equal(ftruncate(fd, LARGEST + 1), 0);
        assert_refused(f, NULL, -EINVAL, "kernel/net/vsock.ko: not a file of at most 16777216 bytes");
        assert_int_equal(unlinkat(f->fd, path, 0), 0);
        assert_int_equal(mkfifoat(f->fd, path, 0600), 0);
        assert_refused(f, NULL, -EINVAL, "kernel/net/vsock.ko: not a file");
}

static void test_names_with_hyphens_are_those_with_underscores(void **state)
{
        struct fixture *f = *state;
        cleanup_kernel struct kernel kernel = KERNEL_NONE;

        put_modules(f);
        put(f, "modules/modules.dep", "kernel/net/vsock.ko:\n");
        put(f, "modules/modules.builtin",
            "kernel/drivers/virtio/virtio-mmio.ko\nkernel/net/vmw-vsock-virtio_transport.ko\n");
        assert_int_equal(kernel_open(f->folder, architecture_find(NULL), &kernel, NULL), 0);
}

static void test_so_many_modules_are_taken_and_no_more(void **state)
{
        enum { MOST = 32 };
        struct fixture *f = *state;

        put_modules(f);
        for (unsigned needed = MOST - 2; needed < MOST; needed++) {
                cleanup_kernel struct kernel kernel = KERNEL_NONE;
                cleanup_buf struct buf dep = buf_with_max(8192);
                assert_int_equal(buf_append_string(&dep, "kernel/drivers/virtio/virtio_mmio.ko:"), 0);
                for (unsigned i = 0; i < needed; i++) {
                        char name[32];
                        snprintf(name, sizeof(name), "m%u.ko", i);
                        assert_int_equal(buf_printf(&dep, " kernel/%s", name), 0);
                        cleanup_free char *file = string_printf("modules/kernel/%s", name);
                        put(f, file, "m");
                }
                buf_append_string(&dep, "\nkernel/net/vmw_vsock_virtio_transport.ko:\n");
                put(f, "modules/modules.dep", buf_string(&dep));
                if (needed < MOST - 1)
                        assert_int_equal(kernel_open(f->folder, architecture_find(NULL), &kernel, NULL), 0);
                else
                        assert_refused(f, NULL, -E2BIG, "vsock needs more than 32 modules");
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_modules_come_in_load_order, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_an_image_with_modules_beside_it_is_the_folder, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_a_bare_image_has_all_built_in, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_built_in_modules_are_skipped, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_is_no_kernel_is_refused, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_is_no_module_is_refused, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_names_with_hyphens_are_those_with_underscores, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_so_many_modules_are_taken_and_no_more, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_missing_and_compressed_modules_are_refused, set_up,
                                                tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
