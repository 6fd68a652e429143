/* SPDX-License-Identifier: Apache-2.0 */
/* user.c - an image's `User`, resolved in its own passwd and group. */
#include "lib/image/user.h"

#include "lib/base/array.h"
#include "lib/base/text.h"
#include "lib/base/view.h"

#include <string.h>

#define PASSWD_PATH "/etc/passwd"
#define GROUP_PATH  "/etc/group"

enum {
        FILE_MAX = 4 * 1024 * 1024,
        GROUPS_MAX = 1024, /* more than the enclave's configuration takes would be of no use */
        LINE_FIELDS = 7,
};

#define ID_MAX (UINT32_MAX - 1) /* the last value means "no id" to the kernel */

/* The two halves of `User`; `group` is NULL where none is given. */
struct user_spec {
        char *user;
        char *group;
};

static void user_spec_done(struct user_spec *spec)
{
        free(spec->user);
}

static int user_spec_init(struct user_spec *ret_spec, const char *text, struct error *err)
{
        struct user_spec spec = {.user = strdup(text ?: "")};

        if (!spec.user)
                return error_oom(err);
        char *colon = strchr(spec.user, ':');
        if (colon) {
                *colon = '\0';
                if (colon[1])
                        spec.group = colon + 1;
        }
        *ret_spec = spec;
        return 0;
}

/* A whole decimal number, however large. */
static bool is_number(const char *text)
{
        return *text && text[strspn(text, "0123456789")] == '\0';
}

static bool view_to_id(struct view v, uint32_t *ret_id)
{
        uint64_t id = 0;

        if (!v.n || v.n > 10)
                return false;
        for (size_t i = 0; i < v.n; i++) {
                if (v.p[i] < '0' || v.p[i] > '9')
                        return false;
                id = id * 10 + (v.p[i] - '0');
        }
        if (id > ID_MAX)
                return false;
        *ret_id = (uint32_t)id;
        return true;
}

static int parse_id(const char *what, const char *text, uint32_t *ret_id, struct error *err)
{
        uint64_t id;

        if (!parse_u64(text, ID_MAX, &id))
                return error_set(err, -EINVAL, "the image's %s %s is not between 0 and %u", what, text,
                                 ID_MAX);
        *ret_id = (uint32_t)id;
        return 0;
}

/* A file of the image.  A missing one is as an empty one. */
static int read_optional(const struct image_tree *tree, const char *path, struct buf *ret_content,
                         struct error *err)
{
        struct error why = {0};
        int r = image_tree_read_file(tree, path, FILE_MAX, ret_content, &why);

        if (r == -ENOENT || r == -ENOTDIR) {
                *ret_content = buf_with_max(FILE_MAX);
                return 0;
        }
        if (r < 0)
                return error_set(err, r, "%s", error_text(&why));
        return 0;
}

/* The next line cut at its colons; false at the end. *ret_n is the number of fields, at most LINE_FIELDS. */
static bool next_line(struct cursor *c, struct view *ret_fields, size_t *ret_n)
{
        while (!cursor_at_end(c)) {
                struct cursor before = *c;
                struct view line = cursor_until(c, '\n');
                if (!cursor_ok(c)) { /* the last line has no newline */
                        *c = before;
                        line = cursor_take(c, before.v.n - before.at);
                }
                if (!line.n || line.p[0] == '#')
                        continue;
                size_t n = 0;
                size_t start = 0;
                for (size_t i = 0; i <= line.n && n < LINE_FIELDS; i++)
                        if (i == line.n || line.p[i] == ':') {
                                ret_fields[n++] = view_of(line.p + start, i - start);
                                start = i + 1;
                        }
                *ret_n = n;
                return true;
        }
        return false;
}

static bool view_is(struct view v, const char *text)
{
        return view_equal(v, view_of_string(text));
}

/* What was found about the user. `name` is empty where no entry was. */
struct passwd_match {
        uint32_t uid;
        uint32_t gid;
        struct view name;
        struct view home;
};

/* The first entry of that name, or of that id. */
static bool find_user(struct view passwd, const char *user, struct passwd_match *ret_match)
{
        struct cursor c = cursor_of(passwd);
        struct view f[LINE_FIELDS];
        struct passwd_match m;
        uint64_t id = 0;
        bool number = is_number(user) && parse_u64(user, ID_MAX, &id);
        size_t n;

        while (next_line(&c, f, &n)) {
                if (n < 4 || !f[0].n || !view_to_id(f[2], &m.uid) || !view_to_id(f[3], &m.gid))
                        continue;
                if (!view_is(f[0], user) && !(number && id == m.uid))
                        continue;
                m.name = f[0];
                m.home = n > 5 ? f[5] : view_of(NULL, 0);
                *ret_match = m;
                return true;
        }
        return false;
}

static int resolve_user(struct view passwd, const char *user, struct passwd_match *ret_match,
                        struct error *err)
{
        struct passwd_match m = {0};

        if (!*user)
                user = "0";
        if (!find_user(passwd, user, &m)) {
                if (!is_number(user))
                        return error_set(err, -ENOENT, "user %s is not in the image's " PASSWD_PATH, user);
                int r = parse_id("user id", user, &m.uid, err);
                if (r < 0)
                        return r;
        }
        *ret_match = m;
        return 0;
}

/* The group that was asked for by name or number. */
static int resolve_group(struct view groups, const char *group, uint32_t *ret_gid, struct error *err)
{
        struct cursor c = cursor_of(groups);
        struct view f[LINE_FIELDS];
        size_t n;

        while (next_line(&c, f, &n)) {
                uint32_t gid;
                if (n < 3 || !f[0].n || !view_to_id(f[2], &gid) || !view_is(f[0], group))
                        continue;
                *ret_gid = gid;
                return 0;
        }
        if (!is_number(group))
                return error_set(err, -ENOENT, "group %s is not in the image's " GROUP_PATH, group);
        return parse_id("group id", group, ret_gid, err);
}

static bool list_names(struct view list, struct view name)
{
        size_t start = 0;

        for (size_t i = 0; i <= list.n; i++)
                if (i == list.n || list.p[i] == ',') {
                        if (view_equal(view_of(list.p + start, i - start), name))
                                return true;
                        start = i + 1;
                }
        return false;
}

static int add_group(struct image_user *user, uint32_t gid, struct error *err)
{
        for (size_t i = 0; i < user->n_groups; i++)
                if (user->groups[i] == gid)
                        return 0;
        if (user->n_groups == GROUPS_MAX)
                return error_set(err, -E2BIG, "the image's user is in more than %d groups", (int)GROUPS_MAX);
        if (array_grow(&user->groups, user->n_groups, sizeof(*user->groups)) < 0)
                return error_oom(err);
        user->groups[user->n_groups++] = gid;
        return 0;
}

/* The groups that list the user. */
static int find_groups(struct view groups, struct view name, struct image_user *user, struct error *err)
{
        struct cursor c = cursor_of(groups);
        struct view f[LINE_FIELDS];
        size_t n;

        while (name.n && next_line(&c, f, &n)) {
                uint32_t gid;
                if (n < 4 || !f[0].n || !view_to_id(f[2], &gid) || !list_names(f[3], name))
                        continue;
                int r = add_group(user, gid, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int resolve_spec(struct view passwd, struct view groups, const struct user_spec *spec,
                        struct image_user *user, struct error *err)
{
        struct passwd_match m = {0};
        int r = resolve_user(passwd, spec->user, &m, err);

        if (r < 0)
                return r;
        user->uid = m.uid;
        user->gid = m.gid;
        user->home = m.home.n && !view_has_nul(m.home) ? view_to_string(m.home) : strdup("/");
        if (!user->home)
                return error_oom(err);
        return spec->group ? resolve_group(groups, spec->group, &user->gid, err)
                           : find_groups(groups, m.name, user, err);
}

int image_user_resolve(const struct image_tree *tree, const char *user, struct image_user *ret_user,
                       struct error *err)
{
        cleanup_buf struct buf passwd = buf_with_max(0);
        cleanup_buf struct buf groups = buf_with_max(0);
        struct user_spec spec = {0};
        struct image_user found = {0};
        int r = read_optional(tree, PASSWD_PATH, &passwd, err);

        if (r == 0)
                r = read_optional(tree, GROUP_PATH, &groups, err);
        if (r < 0)
                return r;
        r = user_spec_init(&spec, user, err);
        if (r < 0)
                return r;
        r = resolve_spec(buf_view(&passwd), buf_view(&groups), &spec, &found, err);
        user_spec_done(&spec);
        if (r < 0) {
                image_user_done(&found);
                return r;
        }
        *ret_user = found;
        return 0;
}

void image_user_done(struct image_user *user)
{
        free(user->groups);
        free(user->home);
        *user = (struct image_user){0};
}
