/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.c - find a guest kernel's image, its name, and the modules that give it vsock.
 *
 * Theory of operation.  A distribution's kernel keeps virtio and vsock in modules.  The two that matter are
 * ROOTS; what they need stands in modules.dep (depmod(8)), one line per module:
 *
 *     kernel/x/root.ko: kernel/x/needed-last.ko kernel/x/needed-first.ko
 *
 * The list is transitive, and to be loaded from its end.  Loading the roots' lists in turn, each module once,
 * is the load order.  A root that isn't in modules.dep must be in modules.builtin.  The same kernel gives the
 * same list.
 */
#include "lib/enclave/kernel.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/eif/eif.h"
#include "lib/eif/kernel.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        INDEX_MAX = 16 * 1024 * 1024,  /* modules.dep, modules.builtin */
        MODULE_MAX = 16 * 1024 * 1024, /* one module */
        CONFIG_MAX = 4 * 1024 * 1024,
        RELEASE_MAX = 256,
        MODULES_MAX = 32,
        ARM_TEXT_OFFSET = 8, /* in an Image's header (Documentation/arch/arm64/booting.rst) */
        TEXT_OFFSET = 2 * 1024 * 1024,
};

/* What enclave-init needs before it can talk: virtio devices of microvm machines, and vsock on them. */
static const char *const ROOTS[] = {"virtio_mmio", "vmw_vsock_virtio_transport"};

void kernel_done(struct kernel *kernel)
{
        if (!kernel)
                return;
        fd_close_p(&kernel->image_fd);
        free(kernel->image_path);
        free(kernel->release);
        free(kernel->operating_system);
        free(kernel->version);
        for (size_t i = 0; i < kernel->n_modules; i++) {
                free(kernel->modules[i].name);
                buf_done(&kernel->modules[i].content);
        }
        free(kernel->modules);
        *kernel = KERNEL_NONE;
}

/* --- the image --- */

/*
 * Newer arm64 kernels have a text_offset of 0 and may lie at any multiple of 2 MiB, but enclave hypervisors
 * don't load such ones.  A text_offset of 2 MiB says that they want to lie there: the kernel that AWS ships
 * has it written in, and so has what goes into an image.
 */
static void mend_text_offset(uint8_t *head, size_t n, struct kernel *kernel)
{
        static const uint8_t zero[8];

        if (n < ARM_TEXT_OFFSET + sizeof(zero) || memcmp(head + ARM_TEXT_OFFSET, zero, sizeof(zero)) != 0)
                return;
        kernel->text_offset = TEXT_OFFSET;
        for (size_t i = 0; i < sizeof(zero); i++)
                head[ARM_TEXT_OFFSET + i] = (uint8_t)((uint64_t)TEXT_OFFSET >> 8 * i);
}

/* Checks that the image is one that the architecture boots; the release is what it says of itself, ""
 * where it says nothing. */
static int check_image(const struct architecture *architecture, struct kernel *kernel, struct error *err)
{
        cleanup_free uint8_t *head = malloc(EIF_KERNEL_HEAD);

        if (!head)
                return error_oom(err);
        ssize_t n = pread(kernel->image_fd, head, EIF_KERNEL_HEAD, 0);
        if (n < 0)
                return error_errno(err, errno, "cannot read it");
        struct stat st;
        if (fstat(kernel->image_fd, &st) < 0)
                return error_errno(err, errno, "cannot read it");
        if (architecture->eif_flags & EIF_FLAG_AARCH64)
                mend_text_offset(head, (size_t)n, kernel);
        int r = eif_kernel_check(view_of(head, (size_t)n), (uint64_t)st.st_size, architecture->eif_flags,
                                 err);
        if (r < 0)
                return r;
        char *release = eif_kernel_release(view_of(head, (size_t)n));
        kernel->release = release ? release : strdup("");
        return kernel->release ? 0 : error_oom(err);
}

/* --- its name --- */

/* "# Linux/x86 6.1.192 Kernel Configuration", the third line of a kernel's configuration: the words before
 * and behind the slash's word, as the metadata of enclave images has them. */
static int parse_config_title(struct view config, struct kernel *kernel)
{
        struct cursor c = cursor_of(config);

        cursor_until(&c, '\n');
        cursor_until(&c, '\n');
        struct cursor line = cursor_of(cursor_until(&c, '\n'));
        struct view hash = cursor_until(&line, ' ');
        struct view system = cursor_until(&line, '/');
        cursor_until(&line, ' ');
        struct view version = cursor_until(&line, ' ');
        if (!cursor_ok(&line) || !view_equal(hash, view_of_string("#")) || !system.n || !version.n)
                return -EBADMSG;
        kernel->operating_system = view_to_string(system);
        kernel->version = view_to_string(version);
        return kernel->operating_system && kernel->version ? 0 : -ENOMEM;
}

/* Fills in operating_system and version from the configuration of this name in `folder`, else from the
 * release. */
static int name_kernel(int folder, const char *name, struct kernel *kernel, struct error *err)
{
        cleanup_buf struct buf config = buf_with_max(CONFIG_MAX);
        int r = -EBADMSG;

        if (folder >= 0 && faccessat(folder, name, F_OK, 0) == 0) {
                r = file_read(folder, name, CONFIG_MAX, &config, err);
                if (r < 0)
                        return r;
                r = parse_config_title(buf_view(&config), kernel);
        }
        if (r == -EBADMSG) {
                kernel->operating_system = strdup("Linux");
                kernel->version = strdup(kernel->release);
                r = kernel->operating_system && kernel->version ? 0 : -ENOMEM;
        }
        return r < 0 ? error_oom(err) : 0;
}

/* Replaces the release by what the folder's file `release` says, where there is one. */
static int read_release(int folder, struct kernel *kernel, struct error *err)
{
        cleanup_buf struct buf content = buf_with_max(RELEASE_MAX);

        if (faccessat(folder, "release", F_OK, 0) < 0)
                return 0;
        int r = file_read(folder, "release", RELEASE_MAX, &content, err);
        if (r < 0)
                return r;
        cleanup_free char *release = strndup(buf_string(&content), strcspn(buf_string(&content), " \n"));
        if (!release)
                return error_oom(err);
        if (*kernel->release && strcmp(release, kernel->release) != 0)
                return error_set(err, -EINVAL, "release says %s, but the kernel image is %s", release,
                                 kernel->release);
        free(kernel->release);
        kernel->release = take_pointer(&release);
        return 0;
}

/* --- its modules --- */

struct module_index {
        int modules;        /* the folder */
        struct buf dep;     /* modules.dep */
        struct buf builtin; /* modules.builtin */
};

static void module_index_done(struct module_index *index)
{
        buf_done(&index->dep);
        buf_done(&index->builtin);
}

/* The module's name in "a/b/vmw_x.ko" or "a/b/vmw-x.ko.xz": the file's, up to ".ko". */
static struct view module_name(struct view path)
{
        size_t start = path.n;
        size_t n = 0;

        while (start > 0 && path.p[start - 1] != '/')
                start--;
        while (start + n < path.n && path.p[start + n] != '.')
                n++;
        return view_of(path.p + start, n);
}

/* The kernel treats '-' and '_' in module names alike. */
static bool same_module(struct view path, const char *name)
{
        struct view v = module_name(path);

        if (v.n != strlen(name))
                return false;
        for (size_t i = 0; i < v.n; i++) {
                char a = v.p[i] == '-' ? '_' : (char)v.p[i];
                char b = name[i] == '-' ? '_' : name[i];
                if (a != b)
                        return false;
        }
        return true;
}

/* The line of modules.dep for `name`: *ret_path before the colon, *ret_needs behind it. */
static bool find_in_dep(struct view dep, const char *name, struct view *ret_path, struct view *ret_needs)
{
        struct cursor lines = cursor_of(dep);

        for (;;) {
                struct cursor line = cursor_of(cursor_until(&lines, '\n'));
                if (!cursor_ok(&lines))
                        return false;
                struct view path = cursor_until(&line, ':');
                if (cursor_ok(&line) && same_module(path, name)) {
                        *ret_path = path;
                        *ret_needs = cursor_rest(&line);
                        return true;
                }
        }
}

static bool is_builtin(struct view builtin, const char *name)
{
        struct cursor lines = cursor_of(builtin);

        for (;;) {
                struct view line = cursor_until(&lines, '\n');
                if (!cursor_ok(&lines))
                        return false;
                if (same_module(line, name))
                        return true;
        }
}

static bool have_module(const struct kernel *kernel, struct view name)
{
        for (size_t i = 0; i < kernel->n_modules; i++) {
                /* Behind "NN-", before ".ko". */
                if (view_equal(module_name(view_of_string(kernel->modules[i].name + 3)), name))
                        return true;
        }
        return false;
}

static int read_module(int modules, const char *path, struct kernel_module *module, struct error *err)
{
        cleanup_fd int fd = -1;
        struct stat st;
        int r = path_open_in_root(modules, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, err);

        if (r < 0)
                return r;
        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "%s", path);
        if (!S_ISREG(st.st_mode) || st.st_size > MODULE_MAX)
                return error_set(err, -EINVAL, "%s: not a file of at most %d bytes", path, MODULE_MAX);
        module->content = buf_with_max(MODULE_MAX);
        r = buf_reserve(&module->content, (size_t)st.st_size);
        if (r < 0)
                return error_oom(err);
        r = fd_read_full(fd, module->content.p, (size_t)st.st_size);
        if (r < 0)
                return error_errno(err, -r, "%s", path);
        module->content.n = (size_t)st.st_size;
        return 0;
}

/* Appends the module at `path` (in the modules folder) to the kernel's, unless it is there. */
static int add_module(int modules, struct view path, struct kernel *kernel, struct error *err)
{
        struct view name = module_name(path);

        if (have_module(kernel, name))
                return 0;
        cleanup_free char *file = view_to_string(path);
        if (!file)
                return error_oom(err);
        if (!string_ends_with(file, ".ko")) {
                error_set(err, -EOPNOTSUPP, "modules/%s is compressed", file);
                error_hint(
                        err,
                        "unpack the modules and run depmod, or give a kernel with virtio and vsock built in");
                return -EOPNOTSUPP;
        }
        if (kernel->n_modules >= MODULES_MAX)
                return error_set(err, -E2BIG, "vsock needs more than %d modules", MODULES_MAX);

        struct kernel_module *module = &kernel->modules[kernel->n_modules];
        module->name = string_printf("%02zu-%.*s.ko", kernel->n_modules, (int)name.n, (const char *)name.p);
        if (!module->name)
                return error_oom(err);
        kernel->n_modules++; /* from here on kernel_done() frees it */
        return read_module(modules, file, module, err);
}

/* Adds what `needs` lists, from its end. */
static int add_needed(int modules, struct view needs, struct kernel *kernel, struct error *err)
{
        size_t end = needs.n;

        while (end > 0) {
                size_t start = end;
                while (start > 0 && needs.p[start - 1] != ' ')
                        start--;
                if (end > start) {
                        int r = add_module(modules, view_of(needs.p + start, end - start), kernel, err);
                        if (r < 0)
                                return r;
                }
                end = start > 0 ? start - 1 : 0;
        }
        return 0;
}

static int add_root(const struct module_index *index, const char *root, struct kernel *kernel,
                    struct error *err)
{
        struct view path;
        struct view needs;

        if (!find_in_dep(buf_view(&index->dep), root, &path, &needs)) {
                if (is_builtin(buf_view(&index->builtin), root))
                        return 0;
                error_set(err, -ENOENT,
                          "module %s is neither in modules/modules.dep nor in modules/modules.builtin", root);
                error_hint(err, "an enclave can't be reached without it");
                return -ENOENT;
        }
        int r = add_needed(index->modules, needs, kernel, err);
        return r < 0 ? r : add_module(index->modules, path, kernel, err);
}

static int read_modules(int folder, struct kernel *kernel, struct error *err)
{
        cleanup_fd int modules = openat(folder, "modules", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CLEANUP(module_index_done)
        struct module_index index = {
                .modules = modules, .dep = buf_with_max(INDEX_MAX), .builtin = buf_with_max(INDEX_MAX)};

        if (modules < 0 && errno == ENOENT)
                return 0; /* all is built in */
        if (modules < 0)
                return error_errno(err, errno, "modules");
        int r = file_read(modules, "modules.dep", INDEX_MAX, &index.dep, err);
        if (r < 0) {
                error_wrap(err, "modules");
                return r;
        }
        if (faccessat(modules, "modules.builtin", F_OK, 0) == 0)
                r = file_read(modules, "modules.builtin", INDEX_MAX, &index.builtin, err);
        kernel->modules = calloc(MODULES_MAX, sizeof(*kernel->modules));
        if (!kernel->modules)
                return error_oom(err);
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(ROOTS); i++)
                r = add_root(&index, ROOTS[i], kernel, err);
        return r;
}

/* --- opening --- */

/* Opens the image at `path`, or vmlinuz in the folder `path`.  *ret_folder is that folder, or the image's
 * where it has modules/ in it; -1 for a bare image. */
static int open_image(const char *path, struct kernel *kernel, int *ret_folder, struct error *err)
{
        cleanup_fd int folder = -1;
        /* What is no file must not make us wait for its other end. */
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, errno, "cannot open");
        if (S_ISDIR(st.st_mode)) {
                folder = take_fd(&fd);
                fd = openat(folder, "vmlinuz", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
                if (fd < 0) {
                        int r = error_errno(err, errno, "cannot open vmlinuz in it");
                        error_hint(err, "give a bzImage, or a folder as fetch-kernel makes it");
                        return r;
                }
                kernel->image_path = path_join(path, "vmlinuz");
        } else {
                cleanup_free char *parent = strndup(path, (size_t)(path_basename(path) - path));
                if (!parent)
                        return error_oom(err);
                folder = open(*parent ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (folder >= 0 && faccessat(folder, "modules/modules.dep", F_OK, 0) < 0)
                        fd_close_p(&folder);
                kernel->image_path = strdup(path);
        }
        if (!kernel->image_path)
                return error_oom(err);
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return error_set(err, -EBADMSG,
                                 "not a regular file; give a kernel image, or a folder with one");
        kernel->image_fd = take_fd(&fd);
        *ret_folder = take_fd(&folder);
        return 0;
}

static int fill_kernel(const char *path, const struct architecture *architecture, struct kernel *kernel,
                       struct error *err)
{
        cleanup_fd int folder = -1;
        int r = open_image(path, kernel, &folder, err);

        if (r == 0)
                r = check_image(architecture, kernel, err);
        if (r == 0 && folder >= 0)
                r = read_release(folder, kernel, err);
        if (r == 0)
                r = name_kernel(folder, "config", kernel, err);
        if (r == 0 && folder >= 0)
                r = read_modules(folder, kernel, err);
        return r;
}

int kernel_open(const char *path, const struct architecture *architecture, struct kernel *ret_kernel,
                struct error *err)
{
        cleanup_kernel struct kernel kernel = KERNEL_NONE;
        int r = fill_kernel(path, architecture, &kernel, err);

        if (r < 0) {
                error_wrap(err, "kernel %s", path);
                return r;
        }
        *ret_kernel = kernel;
        kernel = KERNEL_NONE;
        return 0;
}

static int fill_bare(int folder, const char *image, const char *config,
                     const struct architecture *architecture, struct kernel *kernel, struct error *err)
{
        struct stat st;
        int r;

        kernel->image_fd = openat(folder, image, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        kernel->image_path = strdup(image);
        if (kernel->image_fd < 0 || fstat(kernel->image_fd, &st) < 0)
                return error_errno(err, errno, "cannot open");
        if (!kernel->image_path)
                return error_oom(err);
        if (!S_ISREG(st.st_mode))
                return error_set(err, -EBADMSG, "not a regular file");
        r = check_image(architecture, kernel, err);
        return r < 0 ? r : name_kernel(folder, config, kernel, err);
}

int kernel_open_bare(int folder, const char *image, const char *config,
                     const struct architecture *architecture, struct kernel *ret_kernel, struct error *err)
{
        cleanup_kernel struct kernel kernel = KERNEL_NONE;
        int r = fill_bare(folder, image, config, architecture, &kernel, err);

        if (r < 0)
                return r;
        *ret_kernel = kernel;
        kernel = KERNEL_NONE;
        return 0;
}
