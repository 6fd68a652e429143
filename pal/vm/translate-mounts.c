/* SPDX-License-Identifier: Apache-2.0 */
#include "pal/vm/translate-mounts.h"

#include "lib/base/array.h"
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { FILE_MAX = 1024 * 1024, SHM_SIZE = 64 * 1024 * 1024 /* engines' default */ };

/* Engines bind these into every container, from files that they made for it. */
static const char *const ENGINE_FILES[] = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf",
                                           "/run/.containerenv"};

static const char *const KERNEL_TYPES[] = {"proc", "tmpfs", "sysfs", "mqueue", "devpts", "cgroup", "cgroup2"};

/* Where a user, or one who shares namespaces, can't have the kernel's file systems mounted, engines bind the
 * host's.  The enclave has its own. */
static const struct {
        const char *path, *type;
} HOSTS_KERNEL_MOUNTS[] = {
        {"/proc", "proc"}, {"/sys", "sysfs"}, {"/sys/fs/cgroup", "cgroup2"}, {"/dev/mqueue", "mqueue"}};

static bool is_one_of(const char *text, const char *const *list, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (strcmp(text, list[i]) == 0)
                        return true;
        }
        return false;
}

static int add_mount(struct translated *translated, const struct spec_mount *mount, const char *type,
                     const char *source, const char *data, struct error *err)
{
        struct service_container *container = &translated->container;
        const struct service_mount member = {.flags = mount->flags,
                                             .type = type,
                                             .source = source,
                                             .destination = mount->destination,
                                             .data = data};

        if (array_grow(&container->mounts, container->n_mounts, sizeof(member)) < 0)
                return error_oom(err);
        container->mounts[container->n_mounts++] = member;
        return 0;
}

static int read_content(const char *path, struct arena *arena, struct service_file *ret_file,
                        struct error *err)
{
        cleanup_buf struct buf content = buf_with_max(FILE_MAX);
        int r = file_read(AT_FDCWD, path, FILE_MAX, &content, err);
        struct stat st;

        if (r < 0)
                return r;
        char *copy = arena_string_of(arena, buf_view(&content));
        if (!copy)
                return error_oom(err);
        ret_file->content = view_of(copy, content.n);
        ret_file->mode = stat(path, &st) == 0 ? st.st_mode & 0777 : 0644;
        return 0;
}

static int add_file(struct translated *translated, const struct spec_mount *mount, struct arena *arena,
                    struct error *err)
{
        struct service_container *container = &translated->container;
        struct service_file file = {.path = mount->destination};
        int r = read_content(mount->source, arena, &file, err);

        if (r < 0)
                return r;
        if (array_grow(&container->files, container->n_files, sizeof(file)) < 0)
                return error_oom(err);
        container->files[container->n_files++] = file;
        if (!(mount->flags & MS_RDONLY))
                return 0;
        if (array_grow(&container->readonly_paths, container->n_readonly_paths, sizeof(file.path)) < 0)
                return error_oom(err);
        container->readonly_paths[container->n_readonly_paths++] = file.path;
        return 0;
}

/* /dev/shm shared with the host would be memory that the host reads: the enclave has one of its own, as large
 * as that. */
static int add_shm(struct translated *translated, const struct spec_mount *mount, struct arena *arena,
                   struct error *err)
{
        struct spec_mount own = *mount;
        uint64_t size = SHM_SIZE;
        struct statfs fs;

        own.flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (mount->flags & MS_RDONLY);
        if (statfs(mount->source, &fs) == 0 && fs.f_type == TMPFS_MAGIC && fs.f_blocks > 0)
                size = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize;
        const char *data = arena_printf(arena, "mode=1777,size=%" PRIu64, size);
        return data ? add_mount(translated, &own, "tmpfs", "shm", data, err) : error_oom(err);
}

static const char *type_of_hosts_kernel_mount(const struct spec_mount *mount)
{
        for (size_t i = 0; i < ARRAY_SIZE(HOSTS_KERNEL_MOUNTS); i++) {
                if (strcmp(mount->destination, HOSTS_KERNEL_MOUNTS[i].path) == 0 &&
                    strcmp(mount->source, HOSTS_KERNEL_MOUNTS[i].path) == 0)
                        return HOSTS_KERNEL_MOUNTS[i].type;
        }
        return NULL;
}

static int add_copy(const struct spec *spec, struct translated *translated, const struct spec_mount *mount,
                    struct arena *arena, struct error *err)
{
        if (!translate_allows(spec, "enclave.vm.allow-host-mounts"))
                return error_set(
                        err, -ENOTSUP,
                        "mount of %s on %s: files of the host can't be shared with an enclave; the "
                        "annotation enclave.vm.allow-host-mounts=true has them copied in when it starts",
                        mount->source, mount->destination);
        if (translated->n_copies >= TRANSLATE_COPIES_MAX)
                return error_set(err, -E2BIG, "more than %d mounts to copy", TRANSLATE_COPIES_MAX);
        const char *index = arena_printf(arena, "%zu", translated->n_copies);
        int fd = open(mount->source, O_PATH | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "mount of %s on %s", mount->source, mount->destination);
        translated->copies[translated->n_copies++] = fd;
        return index ? add_mount(translated, mount, SERVICE_MOUNT_COPIED, index, "", err) : error_oom(err);
}

static int add_bind(const struct spec *spec, struct translated *translated, const struct spec_mount *mount,
                    struct arena *arena, struct error *err)
{
        if (!mount->source)
                return error_set(err, -EINVAL, "mount on %s: a bind mount without a source",
                                 mount->destination);
        if (is_one_of(mount->destination, ENGINE_FILES, ARRAY_SIZE(ENGINE_FILES)))
                return add_file(translated, mount, arena, err);
        if (strcmp(mount->destination, "/dev/shm") == 0)
                return add_shm(translated, mount, arena, err);
        const char *type = type_of_hosts_kernel_mount(mount);
        if (type)
                return add_mount(translated, mount, type, type, "", err);
        return add_copy(spec, translated, mount, arena, err);
}

/* A tmpfs with the folder's content: the folder itself, which is in memory as all files of the enclave are. A
 * size of its own it can't have. */
static int add_copyup(struct translated *translated, const struct spec_mount *mount,
                      const struct translate_policy *policy, struct error *err)
{
        int r = 0;

        if (mount->data && *mount->data)
                r = translate_refuse(policy, err, "mount on %s: tmpcopyup with \"%s\"", mount->destination,
                                     mount->data);
        return r < 0 ? r : add_mount(translated, mount, SERVICE_MOUNT_OWN, "", "", err);
}

static int add(const struct spec *spec, struct translated *translated, const struct spec_mount *mount,
               struct arena *arena, const struct translate_policy *policy, struct error *err)
{
        const unsigned impossible = SPEC_MOUNT_IDMAP | SPEC_MOUNT_RIDMAP | SPEC_MOUNT_REMOUNT |
                                    SPEC_MOUNT_COPY_SYMLINK | SPEC_MOUNT_SRC_NOFOLLOW |
                                    SPEC_MOUNT_DEST_NOFOLLOW;
        bool has_maps = mount->uid_mappings.n > 0 || mount->gid_mappings.n > 0;
        int r = 0;

        if (mount->destination[0] != '/')
                return error_set(err, -EINVAL, "mount on %s: an enclave takes absolute paths only",
                                 mount->destination);
        if (mount->features & impossible || has_maps || mount->rec_attr_set || mount->rec_attr_clr)
                r = translate_refuse(policy, err,
                                     "mount on %s: remounts, id-mapped and recursively attributed "
                                     "mounts, and those that treat links in their own way",
                                     mount->destination);
        if (r < 0)
                return r;
        if (mount->features & SPEC_MOUNT_TMPCOPYUP)
                return add_copyup(translated, mount, policy, err);
        if (mount->features & SPEC_MOUNT_BIND)
                return add_bind(spec, translated, mount, arena, err);
        if (!mount->type || !is_one_of(mount->type, KERNEL_TYPES, ARRAY_SIZE(KERNEL_TYPES)))
                return translate_refuse(policy, err, "mount of type %s on %s",
                                        mount->type ? mount->type : "(none)", mount->destination);
        return add_mount(translated, mount, mount->type, mount->source ? mount->source : mount->type,
                         mount->data ? mount->data : "", err);
}

int translate_mounts(const struct spec *spec, struct arena *arena, const struct translate_policy *policy,
                     struct translated *translated, struct error *err)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < spec->n_mounts; i++)
                r = add(spec, translated, &spec->mounts[i], arena, policy, err);
        return r;
}
