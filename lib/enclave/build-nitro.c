/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/build-nitro.h"

#include "lib/base/text.h"
#include "lib/enclave/build-internal.h"
#include "lib/enclave/guest-config.h"
#include "lib/image/user.h"

#include <string.h>
#include <sys/stat.h>

void nitro_texts_done(struct nitro_texts *texts)
{
        buf_done(&texts->cmd);
        buf_done(&texts->env);
}

static int add_line(struct buf *b, const char *what, const char *entry, struct error *err)
{
        if (strchr(entry, '\n'))
                return error_set(err, -EINVAL,
                                 "%s has a line break in it, where AWS's init would end it: '%.40s...'", what,
                                 entry);
        if (buf_append_string(b, entry) < 0 || buf_append_byte(b, '\n') < 0)
                return b->failed == -E2BIG ? error_set(err, -E2BIG, "%s: more than %d bytes in all", what,
                                                       GUEST_CONFIG_MAX)
                                           : error_oom(err);
        return 0;
}

/* ---- the command's path -------------------------------------------------------------------------------- */

/* 0 where `path` can be executed in the image. */
static int check_program(const struct image_tree *tree, const char *path, struct error *err)
{
        const struct image_inode *inode;
        int r = image_tree_lookup(tree, path, &inode, err);

        if (r < 0)
                return r;
        if (!S_ISREG(inode->mode) || !(inode->mode & 0111))
                return error_set(err, -EACCES, "%s: no file that can be executed", path);
        return 0;
}

/* A name without a slash, in the folders of the image's PATH. */
static int find_in_path(const struct image_tree *tree, const char *name, const char *path, char **ret_program,
                        struct error *err)
{
        for (const char *folder = path; *folder;) {
                size_t n = strcspn(folder, ":");
                cleanup_free char *program = string_printf("%.*s/%s", (int)n, folder, name);
                if (!program)
                        return error_oom(err);
                if (*program == '/' && check_program(tree, program, NULL) == 0) {
                        *ret_program = take_pointer(&program);
                        return 0;
                }
                folder += n + (folder[n] == ':');
        }
        return error_set(err, -ENOENT, "%s: not in the image, in none of the folders of its PATH (%s)", name,
                         path);
}

static int find_program(const struct image_config *config, const struct image_tree *tree, const char *name,
                        char **ret_program, struct error *err)
{
        if (!strchr(name, '/'))
                return find_in_path(tree, name, build_path_of(config), ret_program, err);
        cleanup_free char *cwd = build_working_dir(config);
        cleanup_free char *program = !cwd           ? NULL
                                     : *name == '/' ? string_printf("%s", name)
                                                    : string_printf("%s/%s", cwd[1] ? cwd : "", name);
        if (!program)
                return error_oom(err);
        int r = check_program(tree, program, err);
        if (r == 0)
                *ret_program = take_pointer(&program);
        return r;
}

static int make_command(const struct image_config *config, const struct image_tree *tree, struct buf *b,
                        struct error *err)
{
        char *const *lists[] = {config->entrypoint, config->cmd};
        cleanup_free char *program = NULL;
        int r = find_program(config, tree, config->entrypoint[0] ? config->entrypoint[0] : config->cmd[0],
                             &program, err);

        if (r == 0)
                r = add_line(b, "the command", program, err);
        bool first = true;
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++) {
                for (char *const *arg = lists[i]; r == 0 && *arg; arg++) {
                        if (!first)
                                r = add_line(b, "an argument", *arg, err);
                        first = false;
                }
        }
        return r;
}

static int add_variable(struct buf *b, const char *entry, struct error *err)
{
        cleanup_free char *name = strndup(entry, strcspn(entry, "="));

        return name ? add_line(b, name, entry, err) : error_oom(err);
}

/* As a container engine has it for root. */
static int make_environment(const struct image_config *config, struct buf *b, struct error *err)
{
        cleanup_free char *path = string_printf("PATH=%s", build_path_of(config));
        int r = path ? 0 : error_oom(err);

        if (r == 0 && !build_has_variable(config, "PATH"))
                r = add_variable(b, path, err);
        if (r == 0 && !build_has_variable(config, "HOME"))
                r = add_variable(b, "HOME=/root", err);
        for (char **entry = config->env; r == 0 && *entry; entry++)
                r = add_variable(b, *entry, err);
        return r;
}

/* ---- what can't be kept -------------------------------------------------------------------------------- */

/* An image_tree_visit_fn. */
static int count_xattrs(void *user, const char *path, const struct image_inode *inode, struct error *err)
{
        size_t *n = user;

        (void)path;
        (void)err;
        if (inode->n_xattrs > 0)
                ++*n;
        return 0;
}

static int warn(const struct image_config *config, const struct image_tree *tree, const struct log *log,
                struct error *err)
{
        cleanup_image_user struct image_user user = {0};
        cleanup_free char *cwd = build_working_dir(config);
        size_t n_xattrs = 0;
        int r = image_tree_walk(tree, count_xattrs, &n_xattrs, err);

        if (r < 0)
                return r;
        if (!cwd)
                return error_oom(err);
        if (image_user_resolve(tree, config->user, &user, NULL) < 0 || user.uid != 0)
                log_warning(log, "User '%s' is not kept: AWS's init runs the command as root", config->user);
        if (strcmp(cwd, "/") != 0)
                log_warning(log, "WorkingDir '%s' is not kept: AWS's init runs the command in /", cwd);
        if (n_xattrs > 0)
                log_warning(
                        log,
                        "extended attributes, such as file capabilities, are not kept: %zu files have some",
                        n_xattrs);
        if (config->n_exposed_ports > 0)
                log_info(
                        log,
                        "ExposedPorts are for people only: AWS's init connects no ports, the workload has to "
                        "use vsock itself");
        return 0;
}

int nitro_texts_make(const struct image_config *config, const struct image_tree *tree, const struct log *log,
                     struct nitro_texts *ret_texts, struct error *err)
{
        int r;

        *ret_texts = (struct nitro_texts){.cmd = buf_with_max(GUEST_CONFIG_MAX),
                                          .env = buf_with_max(GUEST_CONFIG_MAX)};
        if ((r = make_command(config, tree, &ret_texts->cmd, err)) < 0 ||
            (r = make_environment(config, &ret_texts->env, err)) < 0)
                return r;
        return warn(config, tree, log, err);
}
