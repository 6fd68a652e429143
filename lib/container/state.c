/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/state.h"

#include "lib/base/array.h"
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/container/cgroup-control.h"
#include "lib/container/process.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        ID_MAX = 1024,
        /* Annotations are the larger part of a state; they come from a config.json of at most 16 MiB. */
        STATE_MAX = 32 * 1024 * 1024,
};

bool container_id_valid(const char *id)
{
        static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
        size_t n = strlen(id);

        return n > 0 && n <= ID_MAX && id[0] != '.' && strspn(id, alphabet) == n;
}

static int check_id(const char *id, struct error *err)
{
        if (container_id_valid(id))
                return 0;
        if (!*id)
                return error_set(err, -EINVAL, "container id cannot be empty");
        return error_set(err, -EINVAL,
                         "invalid container id format: \"%s\"; letters, digits and _ + - . can be in it", id);
}

static int no_such_container(const char *id, struct error *err)
{
        return error_set(err, -ENOENT, "container \"%s\" does not exist", id);
}

/* The usual folder is the host's root's: other users, and who must not write there, need one of their own. */
static int hint_root(int r, struct error *err)
{
        if (r == -EACCES || r == -EPERM || r == -EROFS)
                error_hint(err, "set XDG_RUNTIME_DIR, or give --root a folder of this user's own");
        return r;
}

static int refused(int errnum, const char *root, const char *id, struct error *err)
{
        return hint_root(error_errno(err, errnum, "%s%s%s", root, *id ? "/" : "", id), err);
}

/* Only the root of all states is made with its parents; its own mode keeps others out. */
static int open_root_for_new(const char *root, int *ret_fd, struct error *err)
{
        int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT) {
                int r = path_make_dirs(root, 0700, err);
                if (r < 0)
                        return hint_root(r, err);
                fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        }
        if (fd < 0)
                return refused(errno, root, "", err);
        *ret_fd = fd;
        return 0;
}

int state_reserve(const char *root, const char *id, int *ret_folder, struct error *err)
{
        cleanup_fd int root_fd = -1, folder = -1;
        int r = check_id(id, err);

        if (r == 0)
                r = open_root_for_new(root, &root_fd, err);
        if (r < 0)
                return r;
        /* Others may pass through: the root of a user namespace must reach the files meant for it. */
        if (mkdirat(root_fd, id, 0711) < 0) {
                if (errno == EEXIST)
                        return error_set(err, -EEXIST, "container with given ID already exists: \"%s\"", id);
                return refused(errno, root, id, err);
        }
        folder = openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder < 0) {
                r = refused(errno, root, id, err);
                (void)unlinkat(root_fd, id, AT_REMOVEDIR);
                return r;
        }
        r = state_lock(folder, NULL);
        if (r < 0)
                return error_set(err, r, "%s/%s was removed while it was being made", root, id);
        *ret_folder = take_fd(&folder);
        return 0;
}

int state_open(const char *root, const char *id, int *ret_folder, struct error *err)
{
        cleanup_fd int root_fd = -1;
        int r = check_id(id, err);

        if (r < 0)
                return r;
        root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return errno == ENOENT ? no_such_container(id, err) : refused(errno, root, "", err);
        int folder = openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder < 0)
                return errno == ENOENT ? no_such_container(id, err) : refused(errno, root, id, err);
        *ret_folder = folder;
        return 0;
}

int state_lock(int folder, struct error *err)
{
        struct stat st;
        int r;

        do
                r = flock(folder, LOCK_EX);
        while (r < 0 && errno == EINTR);
        if (r < 0 || fstat(folder, &st) < 0)
                return error_errno(err, errno, "can't lock the container's state");
        if (st.st_nlink == 0)
                return error_set(err, -ENOENT, "the container does not exist any more");
        return 0;
}

/* ---- state.json ---------------------------------------------------------------------------------------- */

/* A string member, copied; NULL where it is missing or memory ran out. */
static char *member_string(const json_t *object, const char *key)
{
        const char *s = json_string_value(json_object_get(object, key));

        return s ? strdup(s) : NULL;
}

static json_t *member_reference(const json_t *object, const char *key)
{
        json_t *value = json_object_get(object, key);

        return json_is_object(value) ? json_incref(value) : NULL;
}

static int decode(const json_t *object, struct container_state *state)
{
        const char *created = json_string_value(json_object_get(object, "created"));
        json_int_t pid = json_integer_value(json_object_get(object, "pid"));
        json_int_t start_time = json_integer_value(json_object_get(object, "startTime"));

        state->id = member_string(object, "id");
        state->version = member_string(object, "ociVersion");
        state->bundle = member_string(object, "bundle");
        state->rootfs = member_string(object, "rootfs");
        state->owner = member_string(object, "owner");
        state->annotations = member_reference(object, "annotations");
        state->cgroup = member_reference(object, "cgroup");
        state->extra = member_reference(object, "extra");
        state->shared_pids = json_is_true(json_object_get(object, "sharedPids"));
        state->poststart = json_is_true(json_object_get(object, "poststart"));
        state->poststop = json_is_true(json_object_get(object, "poststop"));
        if (!state->id || !state->version || !state->bundle || !created ||
            strlen(created) >= sizeof(state->created) || pid < 0 || pid > INT32_MAX || start_time < 0)
                return -EBADMSG;
        (void)stpcpy(state->created, created);
        state->pid = (pid_t)pid;
        state->start_time = (uint64_t)start_time;
        return 0;
}

int state_read(int folder, struct container_state *ret_state, struct error *err)
{
        cleanup_buf struct buf text = {0};
        cleanup_container_state struct container_state state = {0};

        int r = file_read(folder, STATE_FILE, STATE_MAX, &text, err);
        if (r < 0)
                return r;
        json_t *object = json_loadb((const char *)text.p, text.n, 0, NULL);
        r = object ? decode(object, &state) : -EBADMSG;
        json_decref(object);
        if (r < 0)
                return error_set(err, r,
                                 "the container's state file is damaged; `delete --force` removes it");
        *ret_state = state;
        state = (struct container_state){0};
        return 0;
}

static json_t *encode(const struct container_state *state)
{
        return json_pack("{ss ss ss ss* ss* sI sI ss sb sb sb sO* sO* sO*}", "id", state->id, "ociVersion",
                         state->version, "bundle", state->bundle, "rootfs", state->rootfs, "owner",
                         state->owner, "pid", (json_int_t)state->pid, "startTime",
                         (json_int_t)state->start_time, "created", state->created, "sharedPids",
                         (int)state->shared_pids, "poststart", (int)state->poststart, "poststop",
                         (int)state->poststop, "annotations", state->annotations, "cgroup", state->cgroup,
                         "extra", state->extra);
}

static int append_json(const char *text, size_t n, void *user)
{
        return buf_append(user, text, n);
}

static int write_file(int folder, const char *name, struct view content)
{
        cleanup_fd int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

        return fd < 0 ? -errno : fd_write_full(fd, content.p, content.n);
}

int state_write(int folder, const struct container_state *state, struct error *err)
{
        cleanup_buf struct buf text = buf_with_max(STATE_MAX);
        json_t *object = encode(state);
        int r = object ? json_dump_callback(object, append_json, &text, JSON_COMPACT) : -1;

        json_decref(object);
        if (r < 0)
                return error_oom(err);
        /* Whoever writes it holds the lock, so the temporary name is ours. */
        r = write_file(folder, STATE_FILE ".new", buf_view(&text));
        if (r == 0 && renameat(folder, STATE_FILE ".new", folder, STATE_FILE) < 0)
                r = -errno;
        return r < 0 ? error_errno(err, -r, "can't write the container's state") : 0;
}

int state_remove(const char *root, const char *id, struct error *err)
{
        cleanup_fd int root_fd = -1, folder = -1;
        static const char *const usual[] = {STATE_FIFO, STATE_CONFIG, STATE_FILE};
        int r = check_id(id, err);

        if (r < 0)
                return r;
        root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return errno == ENOENT ? 0 : error_errno(err, errno, "%s", root);
        folder = openat(root_fd, id, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder < 0)
                return errno == ENOENT ? 0 : error_errno(err, errno, "%s/%s", root, id);
        for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
                (void)unlinkat(folder, usual[i], 0);
        if (unlinkat(root_fd, id, AT_REMOVEDIR) == 0)
                return 0;
        return path_remove_tree(root_fd, id, err);
}

/* ---- all of them --------------------------------------------------------------------------------------- */

static int compare_strings(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_strings(char **strings, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(strings[i]);
        free(strings);
}

static int append_string(char ***strings, size_t *n, const char *s)
{
        if (array_grow(strings, *n, sizeof(**strings)) < 0)
                return -ENOMEM;
        char *copy = s ? strdup(s) : NULL;
        if (s && !copy)
                return -ENOMEM;
        (*strings)[*n] = copy;
        *n += 1;
        return 0;
}

int state_ids(const char *root, char ***ret_ids, struct error *err)
{
        cleanup_dir DIR *dir = opendir(root);
        char **ids = NULL;
        size_t n = 0;
        int r = 0;

        if (!dir && errno != ENOENT)
                return refused(errno, root, "", err);
        while (dir && r == 0) {
                const struct dirent *entry = readdir(dir);
                if (!entry)
                        break;
                if (container_id_valid(entry->d_name) &&
                    (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN))
                        r = append_string(&ids, &n, entry->d_name);
        }
        if (r == 0 && n > 0)
                qsort(ids, n, sizeof(*ids), compare_strings);
        if (r == 0)
                r = append_string(&ids, &n, NULL);
        if (r < 0) {
                free_strings(ids, n);
                return error_oom(err);
        }
        *ret_ids = ids;
        return 0;
}

/* ---- status -------------------------------------------------------------------------------------------- */

/* A start that was killed may leave the fifo of a container that runs: what its process executes tells.
 * container-init has no name in any file system, so its link ends with " (deleted)". */
static bool still_container_init(pid_t pid)
{
        char path[32], target[256];

        (void)snprintf(path, sizeof(path), "/proc/%d/exe", pid);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return true; /* not ours to read: believe the fifo */
        target[n] = '\0';
        return string_ends_with(target, " (deleted)");
}

static int is_paused(const struct container_state *state, bool *ret_paused, struct error *err)
{
        cleanup_cgroup struct cgroup *cgroup = NULL;

        *ret_paused = false;
        if (!state->cgroup)
                return 0;
        int r = cgroup_from_json(state->cgroup, NULL, &cgroup, err);
        if (r < 0)
                return r;
        /* Where there is no freezer nothing can be frozen. */
        (void)cgroup_is_frozen(cgroup, ret_paused, NULL);
        return 0;
}

int state_status(int folder, const struct container_state *state, enum container_status *ret_status,
                 struct error *err)
{
        bool paused;

        if (!process_is(state->pid, state->start_time)) {
                *ret_status = CONTAINER_STOPPED;
                return 0;
        }
        if (faccessat(folder, STATE_FIFO, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
            still_container_init(state->pid)) {
                *ret_status = CONTAINER_CREATED;
        } else if (faccessat(folder, STATE_FIFO_UNMADE, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
                *ret_status = CONTAINER_CREATING;
                return 0;
        } else {
                *ret_status = CONTAINER_RUNNING;
        }
        int r = is_paused(state, &paused, err);
        if (r == 0 && paused)
                *ret_status = CONTAINER_PAUSED;
        return r;
}

const char *container_status_name(enum container_status status)
{
        static const char *const names[] = {
                [CONTAINER_CREATING] = "creating", [CONTAINER_CREATED] = "created",
                [CONTAINER_RUNNING] = "running",   [CONTAINER_PAUSED] = "paused",
                [CONTAINER_STOPPED] = "stopped",
        };

        return names[status];
}

json_t *state_to_oci(const struct container_state *state, enum container_status status)
{
        json_int_t pid = status == CONTAINER_STOPPED ? 0 : state->pid;

        return json_pack("{ss ss ss sI ss sO*}", "ociVersion", state->version, "id", state->id, "status",
                         container_status_name(status), "pid", pid, "bundle", state->bundle, "annotations",
                         state->annotations);
}

char *state_to_text(const struct container_state *state, enum container_status status)
{
        json_t *object = state_to_oci(state, status);
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

        json_decref(object);
        return text;
}

void container_state_done(struct container_state *state)
{
        free(state->id);
        free(state->version);
        free(state->bundle);
        free(state->rootfs);
        free(state->owner);
        json_decref(state->annotations);
        json_decref(state->cgroup);
        json_decref(state->extra);
        *state = (struct container_state){0};
}
