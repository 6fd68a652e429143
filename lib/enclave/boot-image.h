/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot-image.h - an enclave image file made ready to boot: checked, and copied so that nobody can change it
 * any more.
 *
 * Copy in, verify, use the copy: the kernel and the ramdisks are written into unlinked temporary files while
 * they are measured, and the machine boots those.
 *
 * The steps are apart, so that a process can give up its rights before the one that reads what others made:
 * boot_image_make_files() or boot_image_copy_whole() first, then boot_image_read(), which opens nothing.
 */
#pragma once

#include "lib/enclave/enclave.h"

struct boot_image {
        int kernel_fd;     /* read-only, at no name */
        int initrd_fd;     /* all ramdisks, one behind the other; -1 where there is none */
        int unpacked_fd;   /* until boot_image_unpack_kernel() */
        int kernel_writer; /* the same files, for boot_image_give_back() alone */
        int initrd_writer;
        int unpacked_writer;
        int whole_fd; /* boot_image_copy_whole(): the file; else -1 */
        /* As soon as this is readable, reading and copying end with -ECANCELED; -1: never.  Not owned. */
        int cancel_fd;
        uint64_t whole_size;
        char *cmdline;
        char name[ENCLAVE_NAME_MAX]; /* ImageName of the metadata, "" where it has none */
        uint16_t ports[ENCLAVE_PORTS_MAX];
        size_t n_ports;
        bool has_pcr8;
        uint8_t pcr0[ENCLAVE_PCR_SIZE];
        uint8_t pcr1[ENCLAVE_PCR_SIZE];
        uint8_t pcr2[ENCLAVE_PCR_SIZE];
        uint8_t pcr8[ENCLAVE_PCR_SIZE];
        uint64_t kernel_memory; /* bytes that the running kernel takes */
        uint64_t initrd_size;
        uint64_t unpacked_size; /* bytes of memory that the unpacked ramdisks take */
        bool own_init; /* there is what enclave-init reads: whoever runs it opens a control channel */
};

#define BOOT_IMAGE_NONE                                                                                      \
        ((struct boot_image){.kernel_fd = -1,                                                                \
                             .initrd_fd = -1,                                                                \
                             .unpacked_fd = -1,                                                              \
                             .kernel_writer = -1,                                                            \
                             .initrd_writer = -1,                                                            \
                             .unpacked_writer = -1,                                                          \
                             .whole_fd = -1,                                                                 \
                             .cancel_fd = -1})

struct eif_pcrs;

/* Makes the files of a fresh `image` that it is to be copied into. */
int boot_image_make_files(struct boot_image *image, struct error *err);

/* Instead, for machines that take whole image files: copies the regular file behind `fd`, as it is, into
 * whole_fd, which is then to be read. */
int boot_image_copy_whole(int fd, struct boot_image *image, struct error *err);

/* Checks the image file behind `fd`, which stays the caller's (structure, kernel, CRC, signature and its
 * certificate at the present time, architecture), and copies its parts where boot_image_make_files() was
 * called.  `pcrs` is NULL, or for a file that the caller has just written itself, unsigned and at no name, so
 * that nobody else can have changed it: what its writer measured; it is then not measured again.  -EBADMSG,
 * -EKEYREJECTED, -EKEYEXPIRED, -ENOEXEC (another architecture), or the system's. */
int boot_image_read(int fd, const struct eif_pcrs *pcrs, struct boot_image *image, struct error *err);

/* All of it: makes files and copies the file at `path`, which errors name.  *ret_image is to be released with
 * boot_image_done(). */
int boot_image_open(const char *path, struct boot_image *ret_image, struct error *err);

/* As boot_image_open(), by boot_image_copy_whole(). */
int boot_image_open_whole(int fd, struct boot_image *ret_image, struct error *err);

/* Replaces the kernel by the one that is packed in it, where that can be (vmlinux.h).  Opens nothing.  Once,
 * after boot_image_make_files().  -EOPNOTSUPP, -EBADMSG. */
int boot_image_unpack_kernel(struct boot_image *image, struct error *err);

/* Gives back the memory of kernel and ramdisks.  For when the machine runs: it has read them and will not
 * again, but keeps them mapped. */
void boot_image_give_back(struct boot_image *image);

/* Releases it. Safe on BOOT_IMAGE_NONE. */
void boot_image_done(struct boot_image *image);
#define cleanup_boot_image CLEANUP(boot_image_done)

/* The least memory (MiB) that this image boots with, a margin for the workload included. */
unsigned boot_image_min_mib(const struct boot_image *image);

/* True where the command line has exactly this word ("name=value"). */
bool boot_image_has_word(const struct boot_image *image, const char *word);
