/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/mounts.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/container/init/in-root.h"
#include "lib/container/init/mount-calls.h"
#include "lib/container/init/procfs.h"
#include "lib/container/sync.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* MS_* that say what is done, and not what the mount is like. */
static const unsigned long operation_flags = MS_BIND | MS_REC | MS_REMOUNT;

enum label {
        LABEL_NONE,    /* the file system has its own */
        LABEL_CONTEXT, /* by the option context= */
        LABEL_ROOT,    /* on the root of the file system alone */
};

/* What is known of a type of file system. */
struct kind {
        const char *type;
        enum label label;
        bool by_context;        /* tree.h */
        bool plain_destination; /* programs trust what is there: no symlink may lead to it */
        /* What is mounted of the host instead where a user namespace doesn't own what the fresh file system
         * would show: "/sys" without a network namespace; or NULL. */
        const char *instead;
};

static const struct kind kinds[] = {
        {"proc", LABEL_NONE, true, true, NULL},
        {"sysfs", LABEL_NONE, true, true, "/sys"},
        {"tmpfs", LABEL_CONTEXT, true, false, NULL},
        {"devpts", LABEL_CONTEXT, true, false, NULL},
        {"mqueue", LABEL_ROOT, true, false, "/dev/mqueue"},
        {"cgroup", LABEL_CONTEXT, true, false, NULL},
        {"cgroup2", LABEL_CONTEXT, true, false, NULL},
};

static const struct kind other_kind = {NULL, LABEL_CONTEXT, false, false, NULL};

static const struct kind *kind_of(const char *type)
{
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (strcmp(kinds[i].type, type) == 0)
                        return &kinds[i];
        return &other_kind;
}

static bool is_bind(const struct spec_mount *mount)
{
        return mount->features & SPEC_MOUNT_BIND;
}

static const char *type_of(const struct spec_mount *mount)
{
        return is_bind(mount) ? "bind" : mount->type ?: "";
}

/* ---- source and destination ---------------------------------------------------------------------------- */

int mount_open_source(const char *path, bool no_follow, int *ret_fd, struct error *err)
{
        int fd = open(path, O_PATH | O_CLOEXEC | (no_follow ? O_NOFOLLOW : 0));

        if (fd < 0)
                return error_errno(err, errno, "open bind source \"%s\"", path);
        *ret_fd = fd;
        return 0;
}

/* Recreates a symlink.  It is success where it is there already. */
static int copy_symlink(struct rootfs *rootfs, const struct spec_mount *mount, int source, struct error *err)
{
        char text[PATH_MAX], present[PATH_MAX];
        cleanup_fd int folder = -1;
        const char *name;

        ssize_t n = readlinkat(source, "", text, sizeof(text) - 1);
        if (n < 0)
                return error_errno(err, errno, "read symlink \"%s\"", mount->source);
        text[n] = '\0';
        int r = in_root_make_parent(rootfs->fd, mount->destination, &folder, &name, err);
        if (r < 0)
                return r;
        if (symlinkat(text, folder, name) == 0)
                return 0;
        if (errno != EEXIST)
                return error_errno(err, errno, "make symlink");
        ssize_t m = readlinkat(folder, name, present, sizeof(present));
        if (m == n && memcmp(present, text, (size_t)n) == 0)
                return 0;
        return error_set(err, -EEXIST, "it exists, and is no symlink to \"%s\"", text);
}

/* A file of procfs and the like isn't hidden behind a symlink by mistake. */
static int open_destination_itself(struct rootfs *rootfs, const char *path, int *ret_fd, struct error *err)
{
        return in_root_open(rootfs->fd, path, O_PATH | O_NOFOLLOW, ret_fd, err);
}

/* Procfs and sysfs go onto a folder that the path says, or nowhere (CVE-2023-27561, CVE-2023-28642). */
static int open_plain_destination(struct rootfs *rootfs, const struct spec_mount *mount, const char *path,
                                  int *ret_fd, struct error *err)
{
        cleanup_fd int fd = -1;
        int r = in_root_open_plain(rootfs->fd, path, O_PATH | O_DIRECTORY, &fd, err);

        if (r == -ENOENT) {
                r = in_root_make_folder(rootfs->fd, path, &fd, err);
                fd_close_p(&fd);
                if (r == 0)
                        r = in_root_open_plain(rootfs->fd, path, O_PATH | O_DIRECTORY, &fd, err);
        }
        if (r == -ELOOP || r == -ENOTDIR)
                return error_set(err, r, "filesystem \"%s\" must be mounted on ordinary directory",
                                 type_of(mount));
        if (r < 0)
                return r;
        *ret_fd = take_fd(&fd);
        return 0;
}

/* That of a tmpfs, which depends on whether it is there already. */
static int open_or_make_folder(struct rootfs *rootfs, const char *path, bool *ret_made, int *ret_fd,
                               struct error *err)
{
        int r = in_root_open(rootfs->fd, path, O_PATH, ret_fd, err);
        bool made = r == -ENOENT;

        if (made)
                r = in_root_make_folder(rootfs->fd, path, ret_fd, err);
        if (r == 0)
                *ret_made = made;
        return r;
}

/* Opens the destination, made where it isn't there: a folder, or a file for what is no folder. */
static int open_destination(struct rootfs *rootfs, const struct spec_mount *mount, const char *path,
                            int source, bool *ret_made, int *ret_fd, struct error *err)
{
        struct stat st = {.st_mode = S_IFDIR};

        *ret_made = false;

        if (kind_of(type_of(mount))->plain_destination)
                return open_plain_destination(rootfs, mount, path, ret_fd, err);
        if (mount->features & SPEC_MOUNT_DEST_NOFOLLOW)
                return open_destination_itself(rootfs, path, ret_fd, err);
        if (strcmp(type_of(mount), "tmpfs") == 0)
                return open_or_make_folder(rootfs, path, ret_made, ret_fd, err);
        if (source >= 0 && fstat(source, &st) < 0) {
                int code = errno;
                /* FUSE tells nobody but the user that it is mounted for, and may be mounted all the same.
                 * What to make can't be known then, but what is there will do. */
                if (code == EACCES && in_root_open(rootfs->fd, path, O_PATH, ret_fd, NULL) == 0)
                        return 0;
                return error_errno(err, code, "%s", mount->source ?: "source");
        }
        if (S_ISDIR(st.st_mode))
                return in_root_make_folder(rootfs->fd, path, ret_fd, err);
        return in_root_make_file(rootfs->fd, path, ret_fd, err);
}

/* ---- one mount ----------------------------------------------------------------------------------------- */

int mounts_readonly_later(struct rootfs *rootfs, int tree, struct error *err)
{
        if (rootfs->n_late_readonly == ARRAY_SIZE(rootfs->late_readonly))
                return tree_set_readonly(rootfs, tree, 0, err);
        int fd = fcntl(tree, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return error_errno(err, errno, "duplicate a descriptor");
        rootfs->late_readonly[rootfs->n_late_readonly++] = fd;
        return 0;
}

/* True where files, nodes or mounts are yet to be made in it. */
static bool is_filled_later(const struct spec_mount *mount)
{
        const char *path = mount->destination + strspn(mount->destination, "/");

        if (strcmp(type_of(mount), "tmpfs") == 0)
                return true;
        return string_starts_with(path, "dev") && path[3 + strspn(path + 3, "/")] == '\0';
}

/* The host's sysfs comes with its control groups, which are not to be written to either (CVE-2023-25809).
 * Where the kernel can't make them read-only all at once, they are hidden. */
static int make_all_readonly(const struct tree_place *place, int tree, struct error *err)
{
        const struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
        const struct tree_file_system empty = {.type = "tmpfs",
                                               .flags = MS_RDONLY,
                                               .options = "nr_blocks=1,nr_inodes=1",
                                               .by_context = true};
        cleanup_fd int groups = -1, hidden = -1;
        char path[PATH_MAX];
        int r = mount_call_setattr(tree, AT_RECURSIVE, &attr);

        if (!mount_call_missing(r))
                return r < 0 ? error_errno(err, -r, "make it read-only") : 0;
        int n = snprintf(path, sizeof(path), "%s/fs/cgroup", place->path);
        if (n < 0 || (size_t)n >= sizeof(path))
                return error_errno(err, ENAMETOOLONG, "destination");
        r = in_root_open(place->rootfs->fd, path, O_PATH | O_DIRECTORY, &groups, err);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        const struct tree_place inner = {.rootfs = place->rootfs, .path = path, .fd = groups};
        return tree_mount(&inner, &empty, &hidden, err);
}

/* The host's own in place of a file system that our user namespace may not have. */
static int mount_instead(const struct tree_place *place, const struct kind *kind,
                         const struct spec_mount *mount, int *ret_tree, struct error *err)
{
        cleanup_fd int source = -1, tree = -1;
        int r = mount_open_source(kind->instead, false, &source, err);

        if (r == 0)
                r = tree_bind(place, source, AT_RECURSIVE, &tree, err);
        if (r == 0)
                r = tree_set_flags(place->rootfs, tree, mount->flags & ~operation_flags, mount->clear_flags,
                                   err);
        if (r == 0 && mount->flags & MS_RDONLY)
                r = make_all_readonly(place, tree, err);
        if (r < 0)
                return r;
        *ret_tree = take_fd(&tree);
        return 0;
}

/* "mode=0755,": a tmpfs is to look like the folder that it hides, but for what its options say.  Leaves
 * `text` alone where they say it. */
static int tmpfs_options(const struct tree_place *place, const char *data, char *text, size_t size)
{
        struct stat st;

        /* What was made for it looks like nothing in particular: the kernel's own 1777 then. */
        if (place->made || (data && (string_starts_with(data, "mode=") || strstr(data, ",mode="))))
                return 0;
        if (fstat(place->fd, &st) < 0)
                return -errno;
        int n = snprintf(text, size, "mode=%04o%s%s", (unsigned)st.st_mode & 07777, data ? "," : "",
                         data ?: "");
        return n < 0 || (size_t)n >= size ? -E2BIG : 0;
}

/* Labels the root of a file system that doesn't know the option. */
static int label_root(const struct rootfs *rootfs, int tree, const char *label, struct error *err)
{
        char path[32];

        (void)snprintf(path, sizeof(path), "self/fd/%d", tree);
        if (fchdir(rootfs->proc_fd) < 0 ||
            setxattr(path, "security.selinux", label, strlen(label) + 1, 0) < 0)
                return error_errno(err, errno, "label it \"%s\"", label);
        return 0;
}

/* True where something is still to be done to the mount itself. */
static bool needs_tree(const struct spec_mount *mount, const struct kind *kind, const char *label)
{
        return !kind->by_context || (kind->label == LABEL_ROOT && label) || mount->propagation ||
               mount->rec_attr_set || mount->rec_attr_clr || mount->features & SPEC_MOUNT_TMPCOPYUP ||
               (mount->flags & MS_RDONLY && is_filled_later(mount));
}

/* *ret_tree stays as it is where nothing needs it. */
static int make_file_system(const struct rootfs *rootfs, const struct spec_mount *mount,
                            const struct tree_place *place, int *ret_tree, struct error *err)
{
        const struct kind *kind = kind_of(mount->type);
        const char *label = rootfs->label;
        struct tree_file_system fs = {
                .type = mount->type,
                .source = mount->source,
                .flags = mount->flags & ~operation_flags & ~(is_filled_later(mount) ? MS_RDONLY : 0UL),
                .options = mount->data,
                .context = kind->label == LABEL_CONTEXT ? label : NULL,
                .by_context = kind->by_context,
        };
        char options[4096] = "";

        if (strcmp(mount->type, "tmpfs") == 0) {
                int r = tmpfs_options(place, mount->data, options, sizeof(options));
                if (r < 0)
                        return error_errno(err, -r, "options");
                if (options[0])
                        fs.options = options;
        }
        if (!needs_tree(mount, kind, label) && tree_mount_folder(place, &fs) == 0)
                return 0;
        /* A failure comes again, with all that there is to say about it. */
        int r = tree_mount(place, &fs, ret_tree, err);
        if (r == -EPERM && kind->instead)
                return mount_instead(place, kind, mount, ret_tree, err);
        if (r < 0)
                return r;
        return kind->label == LABEL_ROOT && label ? label_root(rootfs, *ret_tree, label, err) : 0;
}

static int make_bind(const struct rootfs *rootfs, const struct spec_mount *mount,
                     const struct tree_place *place, int source, int *ret_tree, struct error *err)
{
        unsigned recursive = mount->features & SPEC_MOUNT_RECURSIVE ? AT_RECURSIVE : 0;
        unsigned long set = mount->flags & ~operation_flags & ~(is_filled_later(mount) ? MS_RDONLY : 0UL);
        cleanup_fd int tree = -1;

        int r = tree_bind(place, source, recursive, &tree, err);
        /* Without a word on flags the mount keeps those of its source. */
        if (r == 0 && (set || mount->clear_flags))
                r = tree_set_flags(rootfs, tree, set, mount->clear_flags, err);
        if (r < 0)
                return r;
        *ret_tree = take_fd(&tree);
        return 0;
}

/* What only rune can open or map.  *ret_tree is -1 where the path is to be tried. */
static int ask_for_tree(const struct rootfs *rootfs, size_t i, int *ret_tree, struct error *err)
{
        cleanup_fd int namespace = openat(rootfs->proc_fd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
        struct sync_message answer;
        char number[24];

        if (namespace < 0)
                return error_errno(err, errno, "open the mount namespace");
        (void)snprintf(number, sizeof(number), "%zu", i);
        int r = sync_send(rootfs->plan->sync_fd, PLAN_WANT_TREE, number, namespace);
        if (r < 0)
                return error_errno(err, -r, "ask rune for the source");
        r = sync_receive(rootfs->plan->sync_fd, &answer, err);
        if (r < 0)
                return r;
        if (answer.type != PLAN_GO) {
                fd_close_p(&answer.fd);
                return error_set(err, -EBADMSG, "expected a source, got message '%c'", answer.type);
        }
        *ret_tree = answer.fd;
        return 0;
}

/* A tree that rune has made ready: bind mounts that are id-mapped, or that only it can reach. */
static int make_prepared(const struct rootfs *rootfs, const struct spec_mount *mount,
                         const struct tree_place *place, int tree, struct error *err)
{
        unsigned long set = mount->flags & ~operation_flags;
        int r = tree_attach(place, tree, err);

        if (r == 0 && (set || mount->clear_flags))
                r = tree_set_flags(rootfs, tree, set, mount->clear_flags, err);
        return r;
}

static int make_tree(struct rootfs *rootfs, const struct spec_mount *mount, const struct tree_place *place,
                     int source, int *ret_tree, struct error *err)
{
        if (is_bind(mount))
                return make_bind(rootfs, mount, place, source, ret_tree, err);
        if (!mount->type)
                return error_set(err, -EINVAL, "a mount needs a type, or the option \"bind\"");
        if (strcmp(mount->type, "cgroup") == 0)
                return mount_cgroup(rootfs, mount, place, ret_tree, err);
        return make_file_system(rootfs, mount, place, ret_tree, err);
}

/* What is left once the mount is in its place. */
static int finish(struct rootfs *rootfs, const struct spec_mount *mount, const struct tree_place *place,
                  int tree, struct error *err)
{
        int r = 0;

        if (mount->features & SPEC_MOUNT_TMPCOPYUP)
                r = strcmp(type_of(mount), "tmpfs") == 0
                            ? mount_copy_up(place->fd, tree, err)
                            : error_set(err, -EINVAL, "tmpcopyup is for tmpfs alone");
        if (r == 0 && mount->propagation)
                r = tree_set_propagation(rootfs, tree, mount->propagation, err);
        if (r == 0 && (mount->rec_attr_set || mount->rec_attr_clr))
                r = tree_set_attributes(tree, mount->rec_attr_set, mount->rec_attr_clr, err);
        if (r == 0 && mount->flags & MS_RDONLY && is_filled_later(mount))
                r = mounts_readonly_later(rootfs, tree, err);
        return r;
}

/* "remount" changes the file system that is there, with "bind" the mount alone. */
static int remount(struct rootfs *rootfs, const struct spec_mount *mount, struct error *err)
{
        cleanup_fd int fd = -1;
        int r = in_root_open(rootfs->fd, mount->destination, O_PATH, &fd, err);

        if (r < 0)
                return r;
        if (is_bind(mount))
                return tree_set_flags(rootfs, fd, mount->flags & ~operation_flags, mount->clear_flags, err);
        r = tree_mount_by_descriptor(rootfs, -1, mount->source, fd, mount->type, mount->flags | MS_REMOUNT,
                                     mount->data);
        return r < 0 ? error_errno(err, -r, "remount") : 0;
}

/* The destination without slashes behind it: they mean nothing, not even for a file. */
static int trim_destination(const struct spec_mount *mount, char ret_path[PATH_MAX], struct error *err)
{
        size_t n = strlen(mount->destination);

        while (n > 1 && mount->destination[n - 1] == '/')
                n--;
        if (n >= PATH_MAX)
                return error_errno(err, ENAMETOOLONG, "destination");
        memcpy(ret_path, mount->destination, n);
        ret_path[n] = '\0';
        return 0;
}

static int make(struct rootfs *rootfs, const struct spec_mount *mount, int prepared, struct error *err)
{
        char path[PATH_MAX];
        cleanup_fd int source = -1, destination = -1, tree = -1;
        const bool no_follow = mount->features & (SPEC_MOUNT_SRC_NOFOLLOW | SPEC_MOUNT_COPY_SYMLINK);
        struct stat st;
        bool made = false;
        int r = trim_destination(mount, path, err);

        if (r < 0)
                return r;
        if (mount->features & SPEC_MOUNT_REMOUNT)
                return remount(rootfs, mount, err);
        if (is_bind(mount) && prepared < 0)
                r = mount_open_source(mount->source ?: "", no_follow, &source, err);
        if (r == 0 && mount->features & SPEC_MOUNT_COPY_SYMLINK && source >= 0 && fstat(source, &st) == 0 &&
            S_ISLNK(st.st_mode))
                return copy_symlink(rootfs, mount, source, err);
        const int from = prepared >= 0 ? prepared : source;
        if (r == 0)
                r = open_destination(rootfs, mount, path, from, &made, &destination, err);
        if (r < 0)
                return r;
        const struct tree_place place = {.rootfs = rootfs, .path = path, .fd = destination, .made = made};
        r = procfs_check_destination(&place, type_of(mount), from, err);
        if (r < 0)
                return r;
        if (prepared >= 0)
                r = make_prepared(rootfs, mount, &place, prepared, err);
        else
                r = make_tree(rootfs, mount, &place, source, &tree, err);
        return r < 0 ? r : finish(rootfs, mount, &place, prepared >= 0 ? prepared : tree, err);
}

int mounts_make(struct rootfs *rootfs, size_t i, struct error *err)
{
        const struct plan *plan = rootfs->plan;
        const struct spec_mount *mount = &plan->spec->mounts[i];
        cleanup_fd int prepared = -1;
        int r = plan->mounts && plan->mounts[i].by_rune ? ask_for_tree(rootfs, i, &prepared, err) : 0;

        if (r == 0)
                r = make(rootfs, mount, prepared, err);
        if (r < 0)
                error_wrap(err, "error mounting \"%s\" to rootfs at \"%s\"", mount->source ?: type_of(mount),
                           mount->destination);
        return r;
}
