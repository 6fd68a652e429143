/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/boot-image.h"

#include "lib/enclave/guest-config.h"
#include "lib/enclave/ramdisk-size.h"
#include "lib/enclave/state.h"
#include "lib/enclave/vmlinux.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/eif/eif.h"
#include "lib/eif/kernel.h"
#include "lib/eif/signature.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
        MIB = 1024 * 1024,
        KERNEL_INIT_SIZE_AT = 0x260,   /* le32, boot protocol 2.10: bytes that the kernel needs to unpack */
        KERNEL_MEMORY_MIN = 32 * MIB,  /* what we count for a kernel that says nothing, or nonsense */
        KERNEL_MEMORY_MAX = 256 * MIB, /* a size above it is nonsense */
        FIXED_MEMORY_MIB = 48,   /* tables, buffers, reserves of a running kernel, and a small workload */
        PER_CENT_FOR_TABLES = 2, /* one struct page of 64 bytes for each page of 4096, and a little */
        COPY_PIECE = 256 * 1024,
        RAMDISK_ALIGN = 4, /* the kernel wants an archive's first header aligned */
};

/* What the sink knows while the file streams by. */
struct copier {
        const struct eif *eif;
        int cancel_fd;
        int kernel_fd;
        int initrd_fd;
        uint64_t initrd_size;
        uint64_t unpacked;
        size_t section; /* of the ramdisk that `walk` is in */
        bool in_ramdisk;
        struct ramdisk_size walk;
        bool own_init;
        struct buf kernel_head;
        uint64_t kernel_size;
};

/* ---- copying while measuring ---- */

/* Images have gigabytes, and who interrupts doesn't want to wait for them. */
static int check_cancelled(int cancel_fd, struct error *err)
{
        struct pollfd cancel = {.fd = cancel_fd, .events = POLLIN};

        return poll(&cancel, 1, 0) > 0 ? error_set(err, -ECANCELED, "the start was interrupted") : 0;
}

/* -1: nothing is copied. */
static int write_copy(int fd, const void *p, size_t n)
{
        return fd < 0 ? 0 : fd_write_full(fd, p, n);
}

static int copy_error(int r, struct error *err)
{
        return error_errno(err, -r, "cannot copy the image into a temporary file (TMPDIR sets the folder)");
}

static int end_ramdisk(struct copier *copier)
{
        static const uint8_t zeros[RAMDISK_ALIGN] = {0};
        size_t pad = (RAMDISK_ALIGN - copier->initrd_size % RAMDISK_ALIGN) % RAMDISK_ALIGN;

        if (!copier->in_ramdisk)
                return 0;
        copier->in_ramdisk = false;
        copier->unpacked += ramdisk_size_unpacked(&copier->walk);
        copier->own_init |= copier->walk.seen;
        copier->initrd_size += pad;
        return write_copy(copier->initrd_fd, zeros, pad);
}

static int take_ramdisk(struct copier *copier, size_t section, struct view piece, struct error *err)
{
        int r = 0;

        if (!copier->in_ramdisk || copier->section != section) {
                if ((r = end_ramdisk(copier)) < 0)
                        return copy_error(r, err);
                copier->walk = ramdisk_size_new(GUEST_CONFIG_PATH);
                copier->section = section;
                copier->in_ramdisk = true;
        }
        ramdisk_size_feed(&copier->walk, piece);
        copier->initrd_size += piece.n;
        r = write_copy(copier->initrd_fd, piece.p, piece.n);
        return r < 0 ? copy_error(r, err) : 0;
}

static int take_kernel(struct copier *copier, struct view piece, struct error *err)
{
        size_t room = EIF_KERNEL_HEAD - copier->kernel_head.n;
        int r = buf_append(&copier->kernel_head, piece.p, piece.n < room ? piece.n : room);

        if (r < 0)
                return error_oom(err);
        copier->kernel_size += piece.n;
        r = write_copy(copier->kernel_fd, piece.p, piece.n);
        return r < 0 ? copy_error(r, err) : 0;
}

static int sink(void *user, size_t section, struct view piece, struct error *err)
{
        struct copier *copier = user;
        enum eif_section_type type = eif_header(copier->eif)->section[section].type;
        int r = check_cancelled(copier->cancel_fd, err);

        if (r < 0)
                return r;
        if (type == EIF_SECTION_KERNEL)
                return take_kernel(copier, piece, err);
        if (type == EIF_SECTION_RAMDISK)
                return take_ramdisk(copier, section, piece, err);
        return 0;
}

/* ---- what the small sections say ---- */

/* "PORT", "PORT-PORT", with "/tcp" or nothing behind: as make-img read it when it made the image. */
static bool parse_ports(const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
        char numbers[16];
        size_t n = strcspn(text, "/");

        if (n >= sizeof(numbers) || (text[n] && strcmp(text + n, "/tcp") != 0))
                return false;
        memcpy(numbers, text, n);
        numbers[n] = '\0';
        char *dash = strchr(numbers, '-');
        if (dash)
                *dash++ = '\0';
        return parse_u64(numbers, UINT16_MAX, ret_first) &&
               parse_u64(dash ? dash : numbers, UINT16_MAX, ret_last) && *ret_first > 0;
}

static void take_ports(const json_t *metadata, struct boot_image *image)
{
        const json_t *config = json_object_get(json_object_get(metadata, "DockerInfo"), "Config");
        json_t *ports = json_object_get(config, "ExposedPorts");
        const char *key;
        json_t *value;

        json_object_foreach (ports, key, value) {
                uint64_t port, last;
                if (!parse_ports(key, &port, &last))
                        continue;
                for (; port <= last && image->n_ports < ENCLAVE_PORTS_MAX; port++)
                        image->ports[image->n_ports++] = (uint16_t)port;
        }
}

/* Metadata isn't measured and is for people: what cannot be read there is simply not known. */
static void take_metadata(const struct eif_measured *measured, struct boot_image *image)
{
        struct view text = buf_view(&measured->metadata);
        cleanup_json json_t *metadata = json_loadb((const char *)text.p, text.n, 0, NULL);
        const char *name = json_string_value(json_object_get(metadata, "ImageName"));

        if (name && strlen(name) < sizeof(image->name))
                memcpy(image->name, name, strlen(name) + 1);
        take_ports(metadata, image);
}

static int take_cmdline(const struct eif_measured *measured, struct boot_image *image, struct error *err)
{
        struct view text = buf_view(&measured->cmdline);

        while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\0'))
                text.n--;
        if (view_has_nul(text))
                return error_set(err, -EBADMSG, "the command line has a NUL in it");
        image->cmdline = view_to_string(text);
        return image->cmdline ? 0 : error_oom(err);
}

static int take_signature(const struct eif_measured *measured, struct boot_image *image, struct error *err)
{
        cleanup_eif_signature struct eif_signature signature = {0};
        struct digest pcr8;
        int r = eif_verify_signature(measured, (int64_t)time(NULL), err);

        if (r == -ENODATA)
                return 0;
        if (r < 0 || (r = eif_signature_decode(buf_view(&measured->signature), &signature, err)) < 0 ||
            (r = eif_pcr8(signature.certificate, &pcr8)) < 0)
                return r;
        memcpy(image->pcr8, pcr8.bytes, ENCLAVE_PCR_SIZE);
        image->has_pcr8 = true;
        return 0;
}

static void take_pcrs(const struct eif_pcrs *pcrs, struct boot_image *image)
{
        memcpy(image->pcr0, pcrs->pcr0.bytes, ENCLAVE_PCR_SIZE);
        memcpy(image->pcr1, pcrs->pcr1.bytes, ENCLAVE_PCR_SIZE);
        memcpy(image->pcr2, pcrs->pcr2.bytes, ENCLAVE_PCR_SIZE);
}

static uint64_t kernel_memory(struct view head)
{
        struct view field;
        uint32_t size = 0;

        if (view_slice(head, KERNEL_INIT_SIZE_AT, 4, &field)) {
                struct cursor c = cursor_of(field);
                size = cursor_le32(&c);
        }
        return size >= KERNEL_MEMORY_MIN && size <= KERNEL_MEMORY_MAX ? size : KERNEL_MEMORY_MIN;
}

/* ---- all of it ---- */

/* What all images are asked once they were copied. */
static int take_copied(const struct eif *eif, struct copier *copier, const struct eif_measured *measured,
                       struct boot_image *image, struct error *err)
{
        int r = eif_kernel_check(buf_view(&copier->kernel_head), copier->kernel_size, eif_header(eif)->flags,
                                 err);

        if (r < 0 || (r = take_cmdline(measured, image, err)) < 0)
                return r;
        take_metadata(measured, image);
        take_pcrs(&measured->pcrs, image);
        image->kernel_memory = kernel_memory(buf_view(&copier->kernel_head));
        image->initrd_size = copier->initrd_size;
        image->unpacked_size = copier->unpacked;
        image->own_init = copier->own_init;
        return 0;
}

static int measure(const struct eif *eif, struct copier *copier, struct boot_image *image, struct error *err)
{
        cleanup_eif_measured struct eif_measured measured = {0};
        int r;

        if ((r = eif_measure(eif, sink, copier, &measured, err)) < 0)
                return r;
        if ((r = end_ramdisk(copier)) < 0)
                return copy_error(r, err);
        if ((r = eif_verify_crc(eif, &measured, err)) < 0 || (r = take_signature(&measured, image, err)) < 0)
                return r;
        return take_copied(eif, copier, &measured, image, err);
}

/* ---- a file of our own ---- */

/* Where a section's bytes are kept beside the copy, or NULL. */
static struct buf *kept_section(struct eif_measured *measured, enum eif_section_type type)
{
        return type == EIF_SECTION_CMDLINE    ? &measured->cmdline
               : type == EIF_SECTION_METADATA ? &measured->metadata
                                              : NULL;
}

static int copy_section(int fd, struct copier *copier, size_t index, struct eif_measured *measured,
                        uint8_t *piece, struct error *err)
{
        const struct eif_section *section = &eif_header(copier->eif)->section[index];
        struct buf *kept = kept_section(measured, section->type);
        uint64_t at = section->offset + EIF_SECTION_HEADER_SIZE, left = section->size;
        int r = 0;

        while (r == 0 && left > 0) {
                size_t n = left < COPY_PIECE ? (size_t)left : COPY_PIECE;
                if ((r = fd_pread_full(fd, piece, n, at)) < 0)
                        return copy_error(r, err);
                r = sink(copier, index, view_of(piece, n), err);
                if (r == 0 && kept && buf_append(kept, piece, n) < 0)
                        r = error_oom(err);
                at += n;
                left -= n;
        }
        return r;
}

static int copy_all(int fd, const struct eif_pcrs *pcrs, struct copier *copier, struct boot_image *image,
                    struct error *err)
{
        cleanup_eif_measured struct eif_measured measured = {
                .pcrs = *pcrs,
                .cmdline = buf_with_max(EIF_CMDLINE_MAX),
                .metadata = buf_with_max(EIF_METADATA_MAX),
        };
        cleanup_free uint8_t *piece = malloc(COPY_PIECE);
        int r = piece ? 0 : error_oom(err);

        for (size_t i = 0; r == 0 && i < eif_header(copier->eif)->n_sections; i++)
                r = copy_section(fd, copier, i, &measured, piece, err);
        if (r == 0 && (r = end_ramdisk(copier)) < 0)
                return copy_error(r, err);
        return r < 0 ? r : take_copied(copier->eif, copier, &measured, image, err);
}

static int check_architecture(const struct eif *eif, struct error *err)
{
        static const char *const names[] = {"x86_64", "aarch64"};
        bool arm = eif_header(eif)->flags & EIF_FLAG_AARCH64;
#if defined(__aarch64__)
        bool own = true;
#else
        bool own = false;
#endif
        if (arm == own)
                return 0;
        error_set(err, -ENOEXEC, "it is an image for %s, and this machine is %s", names[arm], names[own]);
        error_hint(
                err,
                "enclaves run on the machine's own processor; `qt enclave make-img --arch` makes images for "
                "another");
        return -ENOEXEC;
}

int boot_image_make_files(struct boot_image *image, struct error *err)
{
        struct {
                int *writer, *reader;
        } const files[] = {
                {&image->kernel_writer, &image->kernel_fd},
                {&image->initrd_writer, &image->initrd_fd},
                {&image->unpacked_writer, &image->unpacked_fd},
        };
        int r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files); i++)
                r = file_unnamed_with_reader(NULL, files[i].writer, files[i].reader, err);
        return r;
}

int boot_image_copy_whole(int fd, struct boot_image *image, struct error *err)
{
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "stat");
        if ((r = file_unnamed(NULL, &image->whole_fd, err)) < 0)
                return r;
        image->whole_size = (uint64_t)st.st_size;
        for (off_t at = 0; at < st.st_size;) {
                if ((r = check_cancelled(image->cancel_fd, err)) < 0)
                        return r;
                ssize_t n = sendfile(image->whole_fd, fd, &at, COPY_PIECE);
                if (n < 0 && errno != EINTR)
                        return copy_error(-errno, err);
                if (n == 0)
                        return error_set(err, -ENODATA, "it was cut while it was read");
        }
        return ftruncate(image->whole_fd, st.st_size) < 0 ? copy_error(-errno, err) : 0;
}

int boot_image_read(int fd, const struct eif_pcrs *pcrs, struct boot_image *image, struct error *err)
{
        cleanup_eif struct eif *eif = NULL;
        int r;

        if ((r = eif_open(fd, &eif, err)) < 0 || (r = check_architecture(eif, err)) < 0)
                return r;
        struct copier copier = {
                .eif = eif,
                .cancel_fd = image->cancel_fd,
                .kernel_fd = image->kernel_writer,
                .initrd_fd = image->initrd_writer,
                .kernel_head = buf_with_max(EIF_KERNEL_HEAD),
        };
        r = pcrs ? copy_all(fd, pcrs, &copier, image, err) : measure(eif, &copier, image, err);
        buf_done(&copier.kernel_head);
        if (r == 0 && image->initrd_size == 0) {
                fd_close_p(&image->initrd_fd);
                fd_close_p(&image->initrd_writer);
        }
        return r;
}

int boot_image_open_whole(int fd, struct boot_image *ret_image, struct error *err)
{
        cleanup_boot_image struct boot_image image = BOOT_IMAGE_NONE;
        int r;

        if ((r = boot_image_copy_whole(fd, &image, err)) < 0 ||
            (r = boot_image_read(image.whole_fd, NULL, &image, err)) < 0)
                return r;
        *ret_image = image;
        image = BOOT_IMAGE_NONE;
        return 0;
}

int boot_image_open(const char *path, struct boot_image *ret_image, struct error *err)
{
        cleanup_boot_image struct boot_image image = BOOT_IMAGE_NONE;
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        int r = fd < 0 ? error_errno(err, errno, "%s", path) : 0;

        if (r < 0)
                return r;
        if ((r = boot_image_make_files(&image, err)) < 0 ||
            (r = boot_image_read(fd, NULL, &image, err)) < 0) {
                error_wrap(err, "%s", path);
                return r;
        }
        *ret_image = image;
        image = BOOT_IMAGE_NONE;
        return 0;
}

int boot_image_unpack_kernel(struct boot_image *image, struct error *err)
{
        int r = vmlinux_unpack(image->kernel_fd, image->unpacked_writer, err);

        if (r == 0) {
                fd_close_p(&image->kernel_fd);
                fd_close_p(&image->kernel_writer);
                image->kernel_fd = take_fd(&image->unpacked_fd);
                image->kernel_writer = take_fd(&image->unpacked_writer);
        }
        /* What was unpacked in part takes room no longer. */
        fd_close_p(&image->unpacked_fd);
        fd_close_p(&image->unpacked_writer);
        return r;
}

/* What a file system can't do is no harm: the kernel writes these pages out when it needs their memory. */
static void give_back(int writer)
{
        struct stat st;

        if (writer >= 0 && fstat(writer, &st) == 0 && st.st_size > 0)
                (void)fallocate(writer, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                                st.st_size + st.st_blksize);
}

void boot_image_give_back(struct boot_image *image)
{
        give_back(image->kernel_writer);
        give_back(image->initrd_writer);
}

void boot_image_done(struct boot_image *image)
{
        fd_close_p(&image->kernel_writer);
        fd_close_p(&image->initrd_writer);
        fd_close_p(&image->unpacked_writer);
        fd_close_p(&image->kernel_fd);
        fd_close_p(&image->initrd_fd);
        fd_close_p(&image->unpacked_fd);
        fd_close_p(&image->whole_fd);
        free(take_pointer(&image->cmdline));
}

/*
 * While the kernel unpacks the ramdisks it holds both forms.  Its root is a tmpfs that takes at most half of
 * what is left when it is made, unless the command line asks for ramfs, which has no limit.  The rest was
 * measured with the distribution's kernel: what it needs beside its own code is well within FIXED_MEMORY_MIB.
 */
unsigned boot_image_min_mib(const struct boot_image *image)
{
        uint64_t unpacked = image->unpacked_size / MIB + 1;
        uint64_t root = boot_image_has_word(image, "rootfstype=ramfs") ? unpacked : 2 * unpacked;
        uint64_t mib = image->initrd_size / MIB + 1 + root + image->kernel_memory / MIB + FIXED_MEMORY_MIB;

        mib += mib * PER_CENT_FOR_TABLES / 100;
        return mib < UINT_MAX ? (unsigned)mib : UINT_MAX;
}

bool boot_image_has_word(const struct boot_image *image, const char *word)
{
        size_t n = strlen(word);

        for (const char *p = image->cmdline; p && *p; p += strcspn(p, " ")) {
                p += strspn(p, " ");
                if (strncmp(p, word, n) == 0 && (p[n] == ' ' || p[n] == '\0'))
                        return true;
        }
        return false;
}
