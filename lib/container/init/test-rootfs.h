/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-rootfs.h - a container's root file system, made in a child of a test.
 *
 * Each test is a function that runs as the first process of new mount, PID, IPC, UTS and network namespaces,
 * and says what it found by expect().  run_cases() runs each of them once as it is, and once for every set of
 * system calls that an older kernel lacks: those are denied by a seccomp filter, so that the ways around
 * them are tested by the very same expectations.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/init/rootfs.h"

#include <stdbool.h>
#include <stddef.h>

/* What a case has for its container. */
struct box {
        char folder[64]; /* fresh, on the host; the rootfs is its "rootfs" */
        char rootfs[80];
        struct spec spec;
        struct plan plan;
        struct rootfs root;
        struct spec_mount mounts[24];
        const char *denied; /* name of what is denied, or NULL */
        bool has_setattr;   /* mount_setattr(2) is there */
};

struct box_case {
        const char *name;
        void (*run)(struct box *box);
        unsigned long namespaces; /* CLONE_NEW*, added to the usual ones; in a user namespace 0 is 0 */
        unsigned long without;    /* of the usual ones */
};

/* Ends the case as failed, with the text, where `condition` is false. */
void expect(bool condition, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* expect() that a call's result is 0, with its error. */
void expect_ok(int r, const struct error *err, const char *what);

/* Adds a mount to the specification; what isn't given is to be set in the result. */
struct spec_mount *box_mount(struct box *box, const char *destination, const char *type, const char *source);

/* Adds a path, or any string, to a list. */
void box_path(struct spec_strings *strings, const char *path);

/* The mounts, devices, masked and read-only paths of the usual template. */
void box_default(struct box *box);

/* rootfs_open() and rootfs_mount(), which must succeed. */
void box_build(struct box *box);

/* box_build(), rootfs_enter(), rootfs_seal(). */
void box_enter(struct box *box);

/* Makes a folder or a file (with `content`), a symlink, below box->folder. */
void box_folder(const struct box *box, const char *path);
void box_file(const struct box *box, const char *path, const char *content);
void box_link(const struct box *box, const char *path, const char *target);

/* The line of mountinfo of the last mount at `path`, without its two ids, in a static buffer; "" where none
 * is. */
const char *mount_line(const char *path);

/* True where that line has `text`. */
bool line_has(const char *path, const char *text);

/* True where the file's content begins with `content`. */
bool file_has(const char *path, const char *content);

/* Runs all cases in all ways; the number that failed. */
int run_cases(const struct box_case *cases, size_t n);
