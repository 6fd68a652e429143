/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build-config.c - the image's configuration as enclave-init wants it.
 *
 * What a container engine does with it, the enclave does too: the command is Entrypoint followed by Cmd, the
 * user comes from the image's own passwd and group, a PATH is there.
 */
#include "lib/enclave/build-internal.h"
#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/enclave/guest-config.h"
#include "lib/image/user.h"

#include <signal.h>
#include <string.h>

/* What Docker gives a container whose image names no PATH. */
static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

enum { SIGNAL_MAX = 64 };

/* "SIGTERM", "TERM", "15", "SIGRTMIN+3". */
static bool parse_signal(const char *text, unsigned *ret_signal)
{
        uint64_t number;
        const char *name = string_starts_with(text, "SIG") ? text + 3 : text;

        if (!*text) {
                *ret_signal = SIGTERM;
                return true;
        }
        if (parse_u64(text, SIGNAL_MAX, &number)) {
                *ret_signal = (unsigned)number;
                return number > 0;
        }
        if (string_starts_with(name, "RTMIN") || string_starts_with(name, "RTMAX")) {
                /* The kernel's 34 and 64, as C libraries show them. */
                bool from_min = name[3] == 'I';
                char sign = name[5];
                uint64_t offset = 0;
                if (sign && (sign != (from_min ? '+' : '-') || !parse_u64(name + 6, 30, &offset)))
                        return false;
                *ret_signal = from_min ? 34 + (unsigned)offset : 64 - (unsigned)offset;
                return true;
        }
        for (int i = 1; i < NSIG; i++) {
                const char *known = sigabbrev_np(i);
                if (known && strcmp(known, name) == 0) {
                        *ret_signal = (unsigned)i;
                        return true;
                }
        }
        return false;
}

int build_check_config(const struct image_config *config, const struct architecture *architecture,
                       struct error *err)
{
        unsigned ignored;

        if (strcmp(config->os, "linux") != 0)
                return error_set(err, -EINVAL, "the image is for %s, an enclave runs linux",
                                 *config->os ? config->os : "an unnamed operating system");
        if (strcmp(config->architecture, architecture->name) != 0)
                return error_set(err, -EINVAL, "the image is for %s, this enclave is %s",
                                 *config->architecture ? config->architecture : "an unnamed architecture",
                                 architecture->name);
        if (!config->entrypoint[0] && !config->cmd[0])
                return error_set(
                        err, -EINVAL,
                        "the image has neither Entrypoint nor Cmd, so there is nothing to run; set one where "
                        "the image is made");
        if (!parse_signal(config->stop_signal, &ignored))
                return error_set(err, -EINVAL, "the image's StopSignal '%s' is no signal",
                                 config->stop_signal);
        return 0;
}

char *build_working_dir(const struct image_config *config)
{
        size_t size = strlen(config->working_dir) + 2;
        char *path = malloc(size);

        if (path)
                (void)path_clean(config->working_dir, path, size);
        return path;
}

static int add_command(const struct image_config *config, struct guest_config *guest, struct error *err)
{
        int r = 0;

        for (char **arg = config->entrypoint; r == 0 && *arg; arg++)
                r = guest_config_add_arg(guest, *arg, err);
        for (char **arg = config->cmd; r == 0 && *arg; arg++)
                r = guest_config_add_arg(guest, *arg, err);
        return r;
}

/* The value of an environment's variable, or NULL. */
static const char *variable(char *const *env, const char *name)
{
        size_t n = strlen(name);

        for (; *env; env++)
                if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
                        return *env + n + 1;
        return NULL;
}

const char *build_path_of(const struct image_config *config)
{
        const char *path = variable(config->env, "PATH");

        return path ? path : default_path;
}

bool build_has_variable(const struct image_config *config, const char *name)
{
        return variable(config->env, name) != NULL;
}

static int add_variable(struct guest_config *guest, const char *name, const char *value, struct error *err)
{
        cleanup_free char *entry = string_printf("%s=%s", name, value);

        return entry ? guest_config_add_env(guest, entry, err) : error_oom(err);
}

static int add_environment(const struct image_config *config, const struct image_user *user,
                           struct guest_config *guest, struct error *err)
{
        int r = build_has_variable(config, "PATH") ? 0 : add_variable(guest, "PATH", default_path, err);

        if (r == 0 && !build_has_variable(config, "HOME"))
                r = add_variable(guest, "HOME", user->home, err);
        for (char **entry = config->env; r == 0 && *entry; entry++)
                r = guest_config_add_env(guest, *entry, err);
        return r;
}

/* vsock carries streams: only TCP ports can be bridged. */
static int add_ports(const struct image_config *config, struct guest_config *guest, struct error *err)
{
        int r = 0;

        for (size_t i = 0; i < config->n_exposed_ports; i++) {
                const struct image_port *port = &config->exposed_ports[i];
                if (port->protocol != IMAGE_PROTOCOL_TCP)
                        continue;
                for (unsigned n = port->first; r == 0 && n <= port->last; n++)
                        r = guest_config_add_port(guest, (uint16_t)n, err);
        }
        return r;
}

static int add_user(const struct image_user *user, struct guest_config *guest, struct error *err)
{
        int r = 0;

        guest->uid = user->uid;
        guest->gid = user->gid;
        for (size_t i = 0; r == 0 && i < user->n_groups; i++)
                r = guest_config_add_group(guest, user->groups[i], err);
        return r;
}

int build_guest_config(const struct image_config *config, const struct image_tree *tree, struct buf *b,
                       struct error *err)
{
        cleanup_guest_config struct guest_config guest;
        cleanup_image_user struct image_user user = {0};
        cleanup_free char *cwd = build_working_dir(config);

        guest_config_init(&guest);
        if (!cwd)
                return error_oom(err);
        int r = image_user_resolve(tree, config->user, &user, err);
        if (r < 0) {
                error_wrap(err, "User '%s'", config->user);
                return r;
        }
        r = add_command(config, &guest, err);
        if (r == 0)
                r = add_environment(config, &user, &guest, err);
        if (r == 0)
                r = add_user(&user, &guest, err);
        if (r == 0)
                r = add_ports(config, &guest, err);
        if (r == 0)
                r = guest_config_set_cwd(&guest, cwd, err);
        parse_signal(config->stop_signal, &guest.stop_signal);
        return r < 0 ? r : guest_config_encode(&guest, b, err);
}
