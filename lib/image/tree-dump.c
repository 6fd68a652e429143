/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree-dump.c - for tests: merges the plain tars named on the command line, bottom to top.
 *
 *     tree-dump cpio LAYER...          the ramdisk on stdout: rootfs/... and enclave/xattrs
 *     tree-dump list LAYER...          one line of JSON for each name, bytes as code points 0 to 255
 *     tree-dump user USER LAYER...     "uid gid home group..." of an image's User
 *     tree-dump stats LAYER...         counts, and peak memory in KiB, with the ramdisk made and dropped
 */
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/image/ramdisk.h"
#include "lib/image/tree.h"
#include "lib/image/user.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static int write_stdout(void *user, const void *p, size_t n, struct error *err)
{
        (void)user;
        int r = fd_write_full(STDOUT_FILENO, p, n);
        return r < 0 ? error_errno(err, -r, "cannot write") : 0;
}

static int drop(void *user, const void *p, size_t n, struct error *err)
{
        (void)user;
        (void)p;
        (void)n;
        (void)err;
        return 0;
}

static int write_ramdisk(struct image_tree *tree, const struct ramdisk_sink *sink, uint64_t *ret_size,
                         struct error *err)
{
        const struct ramdisk_attr folder = {.mode = 0755};
        cleanup_ramdisk struct ramdisk *ramdisk = NULL;
        int r = ramdisk_new(sink, &ramdisk, err);

        if (r == 0)
                r = image_tree_add_mount_points(tree, err);
        if (r == 0)
                r = ramdisk_add_tree(ramdisk, tree, "rootfs", NULL, NULL, err);
        if (r == 0)
                r = ramdisk_add_dir(ramdisk, "enclave", &folder, err);
        if (r == 0)
                r = ramdisk_add_xattrs(ramdisk, tree, "enclave/xattrs", err);
        if (r == 0)
                r = ramdisk_finish(ramdisk, err);
        if (r == 0)
                *ret_size = ramdisk_size(ramdisk);
        return r;
}

static int dump_cpio(struct image_tree *tree, struct error *err)
{
        const struct ramdisk_sink sink = {.write = write_stdout};
        uint64_t size;

        return write_ramdisk(tree, &sink, &size, err);
}

static void print_string(const char *key, const char *text)
{
        printf("\"%s\":\"", key);
        for (; *text; text++) {
                unsigned char c = (unsigned char)*text;
                if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
                        printf("\\u%04x", c);
                else
                        putchar(c);
        }
        putchar('"');
}

static void print_xattrs(const struct image_inode *inode)
{
        printf(",\"xattrs\":[");
        for (size_t i = 0; i < inode->n_xattrs; i++) {
                const struct image_xattr *x = &inode->xattrs[i];
                printf("%s{", i ? "," : "");
                print_string("name", x->name);
                printf(",\"value\":\"");
                for (size_t k = 0; k < x->size; k++)
                        printf("%02x", x->value[k]);
                printf("\"}");
        }
        putchar(']');
}

static int print_node(void *user, const char *path, const struct image_inode *inode, struct error *err)
{
        (void)user;
        (void)err;
        putchar('{');
        print_string("path", path);
        printf(",\"mode\":%u,\"uid\":%u,\"gid\":%u,\"links\":%u,\"major\":%u,\"minor\":%u", inode->mode,
               inode->uid, inode->gid, inode->n_links, inode->rdev_major, inode->rdev_minor);
        printf(",\"mtime\":%" PRId64 ",\"nsec\":%u,\"size\":%" PRIu64 ",\"inode\":\"%p\",", inode->mtime,
               inode->mtime_nsec, inode->size, (const void *)inode);
        print_string("target", inode->target ?: "");
        printf(",\"extents\":[");
        for (size_t i = 0; i < inode->n_extents; i++) {
                const struct image_extent *e = &inode->extents[i];
                printf("%s[%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", i ? "," : "", e->offset, e->length, e->at);
        }
        putchar(']');
        print_xattrs(inode);
        puts("}");
        return 0;
}

static int dump_list(struct image_tree *tree, struct error *err)
{
        return image_tree_walk(tree, print_node, NULL, err);
}

/* Peak resident memory of this program.  getrusage(2) would include what ran before exec. */
static int peak_kib(uint64_t *ret_kib, struct error *err)
{
        cleanup_buf struct buf status = buf_with_max(0);
        int r = file_read(AT_FDCWD, "/proc/self/status", 65536, &status, err);

        if (r < 0)
                return r;
        const char *line = strstr(buf_string(&status), "VmHWM:");
        *ret_kib = line ? strtoull(line + strlen("VmHWM:"), NULL, 10) : 0;
        return 0;
}

static int dump_stats(struct image_tree *tree, struct error *err)
{
        const struct ramdisk_sink sink = {.write = drop};
        uint64_t size = 0;
        uint64_t peak = 0;
        int r = write_ramdisk(tree, &sink, &size, err);

        if (r == 0)
                r = peak_kib(&peak, err);
        if (r < 0)
                return r;
        struct image_tree_stats stats = image_tree_stats(tree);
        printf("{\"nodes\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"memory\":%" PRIu64 ",\"layers\":%u",
               stats.n_nodes, stats.n_bytes, stats.memory, stats.n_layers);
        printf(",\"ramdisk\":%" PRIu64 ",\"peak_kib\":%" PRIu64 "}\n", size, peak);
        return 0;
}

static int dump_user(const struct image_tree *tree, const char *name, struct error *err)
{
        cleanup_image_user struct image_user user = {0};
        int r = image_user_resolve(tree, name, &user, err);

        if (r < 0)
                return r;
        printf("%u %u %s", user.uid, user.gid, user.home);
        for (size_t i = 0; i < user.n_groups; i++)
                printf(" %u", user.groups[i]);
        putchar('\n');
        return 0;
}

static int apply_layers(struct image_tree *tree, char **paths, int n, struct error *err)
{
        for (int i = 0; i < n; i++) {
                cleanup_fd int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        return error_errno(err, errno, "%s", paths[i]);
                int r = image_tree_apply_layer(tree, fd, (unsigned)i + 1, paths[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static const struct {
        const char *name;
        int (*dump)(struct image_tree *tree, struct error *err);
} verbs[] = {{"cpio", dump_cpio}, {"list", dump_list}, {"stats", dump_stats}};

static int run(int argc, char **argv, struct error *err)
{
        cleanup_image_tree struct image_tree *tree = NULL;
        bool user = argc > 2 && strcmp(argv[1], "user") == 0;
        int first = user ? 3 : 2;
        int r = image_tree_new(&tree, err);

        if (r == 0)
                r = apply_layers(tree, argv + first, argc - first, err);
        if (r < 0)
                return r;
        if (user)
                return dump_user(tree, argv[2], err);
        for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
                if (strcmp(argv[1], verbs[i].name) == 0)
                        return verbs[i].dump(tree, err);
        return error_set(err, -EINVAL, "no verb %s", argv[1]);
}

int main(int argc, char **argv)
{
        struct error err = {0};

        if (argc < 2) {
                fprintf(stderr, "usage: tree-dump cpio|list|stats|user USER [LAYER...]\n");
                return 2;
        }
        if (run(argc, argv, &err) < 0) {
                fprintf(stderr, "tree-dump: %s\n", error_text(&err));
                return 1;
        }
        return fflush(stdout) == 0 ? 0 : 1;
}
