/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/build-parts.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>

void build_parts_done(struct build_parts *parts)
{
        eif_writer_free(parts->writer);
        kernel_done(&parts->kernel);
        fd_close_p(&parts->init_fd);
        fd_close_p(&parts->nsm_fd);
        *parts = BUILD_PARTS_NONE;
}

static int open_parts(const char *kernel, const char *init, const struct architecture *architecture,
                      struct build_parts *parts, struct error *err)
{
        struct stat st;
        int r = kernel_open(kernel, architecture, &parts->kernel, err);

        if (r < 0)
                return r;
        parts->init_fd = open(init, O_RDONLY | O_CLOEXEC);
        if (parts->init_fd < 0 || fstat(parts->init_fd, &st) < 0)
                return error_errno(err, errno, "%s", init);
        if (!S_ISREG(st.st_mode))
                return error_set(err, -EINVAL, "%s is no regular file", init);
        parts->init_size = (uint64_t)st.st_size;
        parts->architecture = architecture;
        r = architecture_check_elf(architecture, parts->init_fd, err);
        if (r < 0)
                error_wrap(err, "%s", init);
        return r;
}

int build_parts_open(const char *kernel, const char *init, const struct architecture *architecture,
                     struct build_parts *ret_parts, struct error *err)
{
        cleanup_build_parts struct build_parts parts = BUILD_PARTS_NONE;
        int r = open_parts(kernel, init, architecture, &parts, err);

        if (r < 0)
                return r;
        *ret_parts = parts;
        parts = BUILD_PARTS_NONE;
        return 0;
}

static int sink_write(void *user, const void *p, size_t n, struct error *err)
{
        struct build_parts *parts = user;

        return eif_writer_write(parts->writer, p, n, err);
}

static int sink_copy(void *user, int fd, uint64_t offset, uint64_t n, struct error *err)
{
        struct build_parts *parts = user;

        return eif_writer_copy(parts->writer, fd, offset, n, err);
}

int build_parts_ramdisk(struct build_parts *parts, struct ramdisk **ret_ramdisk, struct error *err)
{
        const struct ramdisk_sink sink = {.write = sink_write, .copy = sink_copy, .user = parts};
        int r = eif_writer_section(parts->writer, EIF_SECTION_RAMDISK, err);

        return r < 0 ? r : ramdisk_new(&sink, ret_ramdisk, err);
}

static int write_bootstrap(struct build_parts *parts, struct error *err)
{
        const struct ramdisk_attr folder = {.mode = 0755}, program = {.mode = 0755}, file = {.mode = 0644};
        cleanup_ramdisk struct ramdisk *ramdisk = NULL;
        int r = build_parts_ramdisk(parts, &ramdisk, err);

        if (r == 0)
                r = ramdisk_add_dir(ramdisk, "dev", &folder, err);
        if (r == 0)
                r = ramdisk_add_file_fd(ramdisk, "init", &program, parts->init_fd, 0, parts->init_size, err);
        if (r == 0 && parts->nsm_fd >= 0)
                r = ramdisk_add_file_fd(ramdisk, "nsm.ko", &program, parts->nsm_fd, 0, parts->nsm_size, err);
        if (r == 0 && parts->kernel.n_modules > 0)
                r = ramdisk_add_dir(ramdisk, "modules", &folder, err);
        for (size_t i = 0; r == 0 && i < parts->kernel.n_modules; i++) {
                char path[512];
                snprintf(path, sizeof(path), "modules/%s", parts->kernel.modules[i].name);
                r = ramdisk_add_file(ramdisk, path, &file, buf_view(&parts->kernel.modules[i].content), err);
        }
        return r < 0 ? r : ramdisk_finish(ramdisk, err);
}

static int write_text(struct build_parts *parts, enum eif_section_type type, struct view text,
                      struct error *err)
{
        int r = eif_writer_section(parts->writer, type, err);

        return r < 0 ? r : eif_writer_write(parts->writer, text.p, text.n, err);
}

/* The head of an Image whose text_offset has to be written in: code0, code1, text_offset. */
static int write_mended_head(struct build_parts *parts, uint64_t *ret_n, struct error *err)
{
        uint8_t head[2 * sizeof(uint64_t)];
        int r = fd_pread_full(parts->kernel.image_fd, head, sizeof(head), 0);

        if (r < 0)
                return error_errno(err, -r, "%s", parts->kernel.image_path);
        for (size_t i = 0; i < sizeof(uint64_t); i++)
                head[sizeof(uint64_t) + i] = (uint8_t)(parts->kernel.text_offset >> 8 * i);
        *ret_n = sizeof(head);
        return eif_writer_write(parts->writer, head, sizeof(head), err);
}

static int write_kernel(struct build_parts *parts, struct error *err)
{
        uint64_t written = 0;
        struct stat st;
        int r = eif_writer_section(parts->writer, EIF_SECTION_KERNEL, err);

        if (r == 0 && fstat(parts->kernel.image_fd, &st) < 0)
                r = error_errno(err, errno, "%s", parts->kernel.image_path);
        if (r == 0 && parts->kernel.text_offset > 0)
                r = write_mended_head(parts, &written, err);
        return r < 0 ? r
                     : eif_writer_copy(parts->writer, parts->kernel.image_fd, written,
                                       (uint64_t)st.st_size - written, err);
}

int build_parts_begin(struct build_parts *parts, int fd, const char *cmdline, struct view metadata,
                      struct error *err)
{
        int r = eif_writer_new(fd, parts->architecture->eif_flags, &parts->writer, err);

        if (r == 0)
                r = write_kernel(parts, err);
        if (r == 0)
                r = write_text(parts, EIF_SECTION_CMDLINE,
                               view_of_string(cmdline ? cmdline : parts->architecture->cmdline), err);
        if (r == 0)
                r = write_text(parts, EIF_SECTION_METADATA, metadata, err);
        return r < 0 ? r : write_bootstrap(parts, err);
}
