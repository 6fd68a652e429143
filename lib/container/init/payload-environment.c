/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/payload.h"

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/container/init/in-root.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A longer /etc/passwd is read up to here. */
enum { PASSWD_MAX = 1024 * 1024 };

/* A variable and its place, for the sort. */
struct variable {
        char *text;
        size_t n_name;
        size_t place;
};

static int compare_names(const struct variable *a, const struct variable *b)
{
        size_t n = a->n_name < b->n_name ? a->n_name : b->n_name;
        int order = memcmp(a->text, b->text, n);

        return order ? order : (a->n_name > b->n_name) - (a->n_name < b->n_name);
}

static int compare_variables(const void *pa, const void *pb)
{
        const struct variable *a = pa, *b = pb;
        int order = compare_names(a, b);

        return order ? order : (a->place > b->place) - (a->place < b->place);
}

/* Copies `env` to ret_env, of variables with one name the last only, and keeps their order. */
static int copy_last_of_each(const struct spec_strings *env, char **ret_env)
{
        cleanup_free struct variable *sorted = calloc(env->n + 1, sizeof(*sorted));
        cleanup_free bool *dropped = calloc(env->n + 1, sizeof(*dropped));
        size_t n = 0;

        if (!sorted || !dropped)
                return -ENOMEM;
        for (size_t i = 0; i < env->n; i++)
                sorted[i] = (struct variable){env->items[i], strcspn(env->items[i], "="), i};
        qsort(sorted, env->n, sizeof(*sorted), compare_variables);
        for (size_t i = 0; i + 1 < env->n; i++)
                dropped[sorted[i].place] = compare_names(&sorted[i], &sorted[i + 1]) == 0;
        for (size_t i = 0; i < env->n; i++)
                if (!dropped[i] && strcmp(env->items[i], "HOME=") != 0)
                        ret_env[n++] = env->items[i];
        ret_env[n] = NULL;
        return 0;
}

/* Appends the file's bytes; nothing where it can't be read, which is no error: nobody has to be in it.  The
 * image may have made it a link to one of our descriptors, through which are the host's files. */
static void read_passwd(struct buf *b)
{
        struct stat st;
        char chunk[4096];
        cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

        if (root < 0 || in_root_open(root, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd, NULL) < 0 ||
            fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return;
        for (;;) {
                ssize_t n = read(fd, chunk, sizeof(chunk));
                if (n <= 0 || buf_append(b, chunk, (size_t)n) < 0)
                        return;
        }
}

/* Of "name:password:uid:gid:comment:home:shell" the home, where uid is the one; else an empty view. */
static struct view home_in_line(struct view line, uint64_t uid)
{
        struct cursor c = cursor_of(line);
        char text[12] = "";
        uint64_t value;

        cursor_until(&c, ':');
        cursor_until(&c, ':');
        struct view digits = cursor_until(&c, ':');
        if (digits.n >= sizeof(text))
                return view_of(NULL, 0);
        if (digits.n > 0)
                memcpy(text, digits.p, digits.n);
        cursor_until(&c, ':');
        cursor_until(&c, ':');
        struct view home = cursor_until(&c, ':');
        if (!cursor_ok(&c) || !parse_u64(text, UINT32_MAX, &value) || value != uid || view_has_nul(home))
                return view_of(NULL, 0);
        return home;
}

static char *home_of(uint32_t uid)
{
        cleanup_buf struct buf passwd = buf_with_max(PASSWD_MAX);

        read_passwd(&passwd);
        struct cursor c = cursor_of(buf_view(&passwd));
        while (!cursor_at_end(&c) && cursor_ok(&c)) {
                struct cursor before = c;
                struct view line = cursor_until(&c, '\n');
                if (!cursor_ok(&c))
                        line = cursor_rest(&before);
                struct view home = home_in_line(line, uid);
                if (home.n > 0)
                        return string_printf("HOME=%.*s", (int)home.n, (const char *)home.p);
        }
        return strdup("HOME=/");
}

static bool has(char *const *env, const char *name)
{
        for (; *env; env++)
                if (string_starts_with(*env, name))
                        return true;
        return false;
}

int payload_environment(const struct spec_process *process, struct payload *payload, struct error *err)
{
        char **env = payload->env = calloc(process->env.n + 3, sizeof(*env));
        size_t n = 0;

        if (!env || copy_last_of_each(&process->env, env) < 0)
                return error_oom(err);
        while (env[n])
                n++;
        if (!has(env, "HOME=")) {
                env[n++] = payload->home = home_of(process->uid);
                if (!payload->home)
                        return error_oom(err);
        }
        if (has(env, "LISTEN_FDS=") && !has(env, "LISTEN_PID=")) {
                env[n++] = payload->listen_pid = string_printf("LISTEN_PID=%d", (int)getpid());
                if (!payload->listen_pid)
                        return error_oom(err);
        }
        return 0;
}
