/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/container/spec-template.h"
#include "rune/commands.h"

#include <fcntl.h>
#include <unistd.h>

enum { TEMPLATE_MAX = 1024 * 1024 };

struct spec_values {
        const char *bundle;
        bool rootless;
};

static const struct option options[] = {
        {.name = "bundle",
         .letter = 'b',
         OPTION_TEXT_IN(struct spec_values, bundle),
         .metavar = "DIR",
         .summary = "folder that it goes to",
         .default_text = "."},
        {.name = "rootless",
         OPTION_FLAG_IN(struct spec_values, rootless),
         .summary = "for a container that its user runs without being root"},
};

/* A file that is there stays as it is. */
static int write_new(const char *path, struct view content, struct error *err)
{
        cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);

        if (fd < 0 && errno == EEXIST)
                return error_set(err, -EEXIST, "File %s exists. Remove it first", path);
        if (fd < 0)
                return error_errno(err, errno, "%s", path);
        int r = fd_write_full(fd, content.p, content.n);
        if (r < 0) {
                (void)unlink(path);
                return error_errno(err, -r, "%s", path);
        }
        return 0;
}

static int run(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
               struct error *err)
{
        const struct spec_values *v = values;
        cleanup_buf struct buf text = buf_with_max(TEMPLATE_MAX);
        cleanup_free char *path = path_join(v->bundle && *v->bundle ? v->bundle : ".", "config.json");
        int r = v->rootless ? spec_write_rootless_template(geteuid(), getegid(), &text)
                            : spec_write_template(&text);

        (void)rune;
        (void)operands;
        (void)ret_status;
        if (r < 0 || !path)
                return error_oom(err);
        return write_new(v->bundle && *v->bundle ? path : "config.json", buf_view(&text), err);
}

const struct command rune_spec = {
        .name = "spec",
        .summary = "write a config.json to start from",
        .usage = "",
        .description = "The container that it describes runs a shell in the bundle's folder rootfs.  A file "
                       "that is\n"
                       "there is never overwritten.",
        .options = {.options = options, .n = ARRAY_SIZE(options)},
        .values_size = sizeof(struct spec_values),
        .run = run,
};
