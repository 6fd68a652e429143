/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/spec-mount-options.h"

#include "lib/base/cleanup.h"
#include "lib/container/spec-parse.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

enum kind {
        NOTHING,
        SET,         /* flag of mount(2) */
        CLEAR,       /* its opposite */
        PROPAGATION, /* MS_SHARED and so on: the last one counts */
        TREE_SET,    /* attribute of mount_setattr(2), for the whole tree */
        TREE_CLEAR,
        FEATURE, /* enum spec_mount_feature */
};

/* In the order of strcmp(3). */
static const struct option {
        const char *name;
        enum kind kind;
        uint64_t value;
} options[] = {
        {"async", CLEAR, MS_SYNCHRONOUS},
        {"atime", CLEAR, MS_NOATIME},
        {"bind", FEATURE, SPEC_MOUNT_BIND},
        {"copy-symlink", FEATURE, SPEC_MOUNT_COPY_SYMLINK},
        {"defaults", NOTHING, 0},
        {"dest-nofollow", FEATURE, SPEC_MOUNT_DEST_NOFOLLOW},
        {"dev", CLEAR, MS_NODEV},
        {"diratime", CLEAR, MS_NODIRATIME},
        {"dirsync", SET, MS_DIRSYNC},
        {"exec", CLEAR, MS_NOEXEC},
        {"idmap", FEATURE, SPEC_MOUNT_IDMAP},
        {"iversion", SET, MS_I_VERSION},
        {"lazytime", SET, MS_LAZYTIME},
        {"loud", CLEAR, MS_SILENT},
        {"mand", SET, MS_MANDLOCK},
        {"noatime", SET, MS_NOATIME},
        {"nodev", SET, MS_NODEV},
        {"nodiratime", SET, MS_NODIRATIME},
        {"noexec", SET, MS_NOEXEC},
        {"noiversion", CLEAR, MS_I_VERSION},
        {"nolazytime", CLEAR, MS_LAZYTIME},
        {"nomand", CLEAR, MS_MANDLOCK},
        {"norelatime", CLEAR, MS_RELATIME},
        {"nostrictatime", CLEAR, MS_STRICTATIME},
        {"nosuid", SET, MS_NOSUID},
        {"nosymfollow", SET, MS_NOSYMFOLLOW},
        {"private", PROPAGATION, MS_PRIVATE},
        {"ratime", TREE_CLEAR, MOUNT_ATTR_NOATIME},
        {"rbind", FEATURE, SPEC_MOUNT_BIND | SPEC_MOUNT_RECURSIVE},
        {"rdev", TREE_CLEAR, MOUNT_ATTR_NODEV},
        {"rdiratime", TREE_CLEAR, MOUNT_ATTR_NODIRATIME},
        {"relatime", SET, MS_RELATIME},
        {"remount", FEATURE, SPEC_MOUNT_REMOUNT},
        {"rexec", TREE_CLEAR, MOUNT_ATTR_NOEXEC},
        {"ridmap", FEATURE, SPEC_MOUNT_RIDMAP},
        {"rnoatime", TREE_SET, MOUNT_ATTR_NOATIME},
        {"rnodev", TREE_SET, MOUNT_ATTR_NODEV},
        {"rnodiratime", TREE_SET, MOUNT_ATTR_NODIRATIME},
        {"rnoexec", TREE_SET, MOUNT_ATTR_NOEXEC},
        {"rnorelatime", TREE_CLEAR, MOUNT_ATTR_RELATIME},
        {"rnostrictatime", TREE_CLEAR, MOUNT_ATTR_STRICTATIME},
        {"rnosuid", TREE_SET, MOUNT_ATTR_NOSUID},
        {"rnosymfollow", TREE_SET, MOUNT_ATTR_NOSYMFOLLOW},
        {"ro", SET, MS_RDONLY},
        {"rprivate", PROPAGATION, MS_PRIVATE | MS_REC},
        {"rrelatime", TREE_SET, MOUNT_ATTR_RELATIME},
        {"rro", TREE_SET, MOUNT_ATTR_RDONLY},
        {"rrw", TREE_CLEAR, MOUNT_ATTR_RDONLY},
        {"rshared", PROPAGATION, MS_SHARED | MS_REC},
        {"rslave", PROPAGATION, MS_SLAVE | MS_REC},
        {"rstrictatime", TREE_SET, MOUNT_ATTR_STRICTATIME},
        {"rsuid", TREE_CLEAR, MOUNT_ATTR_NOSUID},
        {"rsymfollow", TREE_CLEAR, MOUNT_ATTR_NOSYMFOLLOW},
        {"runbindable", PROPAGATION, MS_UNBINDABLE | MS_REC},
        {"rw", CLEAR, MS_RDONLY},
        {"shared", PROPAGATION, MS_SHARED},
        {"silent", SET, MS_SILENT},
        {"slave", PROPAGATION, MS_SLAVE},
        {"src-nofollow", FEATURE, SPEC_MOUNT_SRC_NOFOLLOW},
        {"strictatime", SET, MS_STRICTATIME},
        {"suid", CLEAR, MS_NOSUID},
        {"symfollow", CLEAR, MS_NOSYMFOLLOW},
        {"sync", SET, MS_SYNCHRONOUS},
        {"tmpcopyup", FEATURE, SPEC_MOUNT_TMPCOPYUP},
        {"unbindable", PROPAGATION, MS_UNBINDABLE},
};

const char *spec_mount_option_name(size_t index)
{
        return index < ARRAY_SIZE(options) ? options[index].name : NULL;
}

static int compare(const void *name, const void *option)
{
        return strcmp(name, ((const struct option *)option)->name);
}

/* The access time settings are the values of one field, not bits: changing one means naming the field in
 * attr_clr (mount_setattr(2)). "relatime" is the value 0, to which clearing the others leads, too. */
static void set_tree_attribute(struct spec_mount *mount, const struct option *option)
{
        bool is_atime = (option->value & MOUNT_ATTR__ATIME) == option->value;
        uint64_t field = is_atime ? MOUNT_ATTR__ATIME : option->value;

        if (option->kind == TREE_SET) {
                mount->rec_attr_set = (mount->rec_attr_set & ~field) | option->value;
                mount->rec_attr_clr &= ~field;
        } else {
                mount->rec_attr_set &= ~option->value;
                mount->rec_attr_clr |= option->value;
        }
        if (is_atime)
                mount->rec_attr_clr |= field;
}

static int append_data(const char *option, struct arena *arena, struct spec_mount *mount, struct error *err)
{
        mount->data =
                mount->data ? arena_printf(arena, "%s,%s", mount->data, option) : arena_string(arena, option);
        return mount->data ? 0 : error_oom(err);
}

int spec_parse_mount_option(const char *option, struct arena *arena, struct spec_mount *mount,
                            struct error *err)
{
        const struct option *known = bsearch(option, options, ARRAY_SIZE(options), sizeof(*known), compare);

        if (!*option)
                return error_set(err, -EINVAL, "a mount option can't be empty");
        if (!known)
                return append_data(option, arena, mount, err);
        switch (known->kind) {
        case NOTHING:
                break;
        case SET:
                mount->flags |= known->value;
                mount->clear_flags &= ~known->value;
                break;
        case CLEAR:
                mount->flags &= ~known->value;
                mount->clear_flags |= known->value;
                break;
        case PROPAGATION:
                mount->propagation = known->value;
                break;
        case TREE_SET:
        case TREE_CLEAR:
                set_tree_attribute(mount, known);
                break;
        case FEATURE:
                mount->features |= (unsigned)known->value;
                break;
        }
        return 0;
}
