/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/registry.h"

#include "lib/enclave/remains.h"
#include "lib/enclave/state.h"

#include "lib/base/array.h"
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/base/user.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct enclaves {
        char *path;
        int dirfd;
        int live_fd;  /* enclaves/ */
        int ended_fd; /* ended/ */
};

#define ENTRY_LOCK  "lock"
#define ENTRY_STATE "state.json"

enum { ID_TEXT_MAX = 11, FILE_NAME_MAX = 64 };

void registry_entry_done(struct registry_entry *entry)
{
        fd_close_p(&entry->dirfd);
        fd_close_p(&entry->lock_fd);
}

/* ---- the folder ---- */

static char *default_path(void)
{
        const char *path = getenv("COFFER_STATE_DIR");

        if (path && path[0])
                return string_printf("%s", path);
        path = getenv("XDG_RUNTIME_DIR");
        /* Root of a user namespace that somebody made for himself has that user's folders. */
        if (!user_is_host_root() && path && path[0] == '/')
                return string_printf("%s/coffer", path);
        if (geteuid() == 0)
                return string_printf("/run/coffer");
        return string_printf("/tmp/coffer-%u", geteuid());
}

/* Opens the folder `name`, made where missing, that must be ours alone to write. */
static int open_own_folder(int dirfd, const char *name, const char *shown, int *ret_fd, struct error *err)
{
        struct stat st;

        if (mkdirat(dirfd, name, 0700) < 0 && errno != EEXIST) {
                int r = error_errno(err, errno, "%s: cannot make the folder", shown);
                error_hint(err, "COFFER_STATE_DIR names another folder for running enclaves");
                return r;
        }
        cleanup_fd int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "%s", shown);
        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "%s", shown);
        if (st.st_uid != geteuid())
                return error_set(err, -EPERM, "%s belongs to user %u, not to user %u; set COFFER_STATE_DIR",
                                 shown, st.st_uid, geteuid());
        if (st.st_mode & 022)
                return error_set(err, -EPERM, "%s can be written by others; chmod 0700 it", shown);
        *ret_fd = take_fd(&fd);
        return 0;
}

/* A folder in the registry's. */
static int open_part(struct enclaves *enclaves, const char *name, int *ret_fd, struct error *err)
{
        cleanup_free char *shown = string_printf("%s/%s", enclaves->path, name);

        return shown ? open_own_folder(enclaves->dirfd, name, shown, ret_fd, err) : error_oom(err);
}

/* Makes the folders above the registry's: those the system lacks, such as a fresh /run. */
static int make_parents(const char *path, struct error *err)
{
        cleanup_free char *parent = string_printf("%s", path);

        if (!parent)
                return error_oom(err);
        char *slash = strrchr(parent, '/');
        if (!slash || slash == parent)
                return 0;
        *slash = '\0';
        int r = path_make_dirs(parent, 0755, err);
        if (r < 0)
                error_hint(err, "COFFER_STATE_DIR names another folder for running enclaves");
        return r;
}

static int absolute_path(const char *state_dir, char **ret_path, struct error *err)
{
        cleanup_free char *path = state_dir ? string_printf("%s", state_dir) : default_path();

        if (!path)
                return error_oom(err);
        while (strlen(path) > 1 && string_ends_with(path, "/"))
                path[strlen(path) - 1] = '\0';
        if (path[0] != '/') {
                cleanup_free char *cwd = getcwd(NULL, 0);
                char *joined = cwd ? path_join(cwd, path) : NULL;
                if (!joined)
                        return error_errno(err, errno, "%s", path);
                free(path);
                path = joined;
        }
        *ret_path = take_pointer(&path);
        return 0;
}

/* States and what a supervisor is told are JSON, in which no other name has a place. */
static int check_path(const char *path, struct error *err)
{
        cleanup_json json_t *json = json_string(path);
        cleanup_buf struct buf shown = buf_with_max(ERROR_TEXT_MAX);

        if (json)
                return 0;
        (void)text_append_printable(view_of_string(path), "", &shown);
        error_set(err, -EINVAL, "%s: the name of the folder for running enclaves is not UTF-8",
                  buf_string(&shown));
        error_hint(err, "set COFFER_STATE_DIR to a folder whose name is");
        return -EINVAL;
}

int enclaves_open(const char *state_dir, struct enclaves **ret_enclaves, struct error *err)
{
        struct enclaves *enclaves = malloc(sizeof(*enclaves));
        int r;

        if (!enclaves)
                return error_oom(err);
        *enclaves = (struct enclaves){.dirfd = -1, .live_fd = -1, .ended_fd = -1};
        if ((r = absolute_path(state_dir, &enclaves->path, err)) < 0 ||
            (r = check_path(enclaves->path, err)) < 0 || (r = make_parents(enclaves->path, err)) < 0 ||
            (r = open_own_folder(AT_FDCWD, enclaves->path, enclaves->path, &enclaves->dirfd, err)) < 0 ||
            (r = open_part(enclaves, "enclaves", &enclaves->live_fd, err)) < 0 ||
            (r = open_part(enclaves, "ended", &enclaves->ended_fd, err)) < 0) {
                enclaves_free(enclaves);
                return r;
        }
        *ret_enclaves = enclaves;
        return 0;
}

void enclaves_free(struct enclaves *enclaves)
{
        if (!enclaves)
                return;
        fd_close_p(&enclaves->dirfd);
        fd_close_p(&enclaves->live_fd);
        fd_close_p(&enclaves->ended_fd);
        free(enclaves->path);
        free(enclaves);
}

const char *registry_path(const struct enclaves *enclaves)
{
        return enclaves->path;
}

/* ---- reading ---- */

static void id_text(uint32_t id, char ret_text[static ID_TEXT_MAX])
{
        snprintf(ret_text, ID_TEXT_MAX, "%" PRIu32, id);
}

static void record_name(uint32_t id, const char *kind, char ret_name[static FILE_NAME_MAX])
{
        snprintf(ret_name, FILE_NAME_MAX, "%" PRIu32 ".%s", id, kind);
}

static int no_enclave(uint32_t id, struct error *err)
{
        return error_set(err, -ENOENT,
                         "there is no enclave %" PRIu32 "; `qt enclave query` shows those that are", id);
}

static int read_state(int dirfd, const char *name, struct enclave_info *ret_info, struct error *err)
{
        cleanup_buf struct buf text = buf_with_max(STATE_JSON_MAX);
        cleanup_json json_t *json = NULL;
        int r = file_read(dirfd, name, STATE_JSON_MAX, &text, err);

        if (r == 0)
                r = state_parse_object(buf_view(&text), &json, err);
        if (r == 0)
                r = state_from_json(json, ret_info, err);
        return r < 0 && r != -ENOENT ? (error_wrap(err, "%s", name), r) : r;
}

/* True while a supervisor (or a starter on its way to one) holds the entry.  What can't be told, as when
 * descriptors ran out, counts as held: an entry that is removed takes its enclave with it. */
static bool entry_is_live(int entry_dirfd)
{
        cleanup_fd int fd = openat(entry_dirfd, ENTRY_LOCK, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? errno != ENOENT : flock(fd, LOCK_SH | LOCK_NB) < 0;
}

bool registry_entry_is_live(int entry_dirfd)
{
        struct stat st;

        /* A retired one is a folder without a name, whose lock may be held for a moment more. */
        return fstat(entry_dirfd, &st) == 0 && st.st_nlink > 0 && entry_is_live(entry_dirfd);
}

/* Opens the folder of an entry. -ENOENT. */
static int open_entry(struct enclaves *enclaves, uint32_t id, int *ret_fd, struct error *err)
{
        char name[ID_TEXT_MAX];

        id_text(id, name);
        int fd = openat(enclaves->live_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? no_enclave(id, err) : error_errno(err, errno, "enclave %s", name);
        *ret_fd = fd;
        return 0;
}

/* ---- removing; all of this under the registry's lock ---- */

static int lock_registry(struct enclaves *enclaves, int *ret_fd, struct error *err)
{
        int r = file_lock(enclaves->dirfd, "lock", ret_fd, err);

        return r < 0 ? (error_wrap(err, "%s", enclaves->path), r) : 0;
}

static int remove_entry(struct enclaves *enclaves, uint32_t id, struct error *err)
{
        char name[ID_TEXT_MAX];
        char dead[FILE_NAME_MAX];

        id_text(id, name);
        snprintf(dead, sizeof(dead), ".dead-%" PRIu32, id);
        int r = path_remove_tree(enclaves->live_fd, dead, err);
        if (r < 0)
                return r;
        if (renameat(enclaves->live_fd, name, enclaves->live_fd, dead) < 0)
                return errno == ENOENT ? 0
                                       : error_errno(err, errno, "enclave %s: cannot remove its entry", name);
        return path_remove_tree(enclaves->live_fd, dead, err);
}

static void remove_record(struct enclaves *enclaves, uint32_t id)
{
        char name[FILE_NAME_MAX];

        record_name(id, "json", name);
        unlinkat(enclaves->ended_fd, name, 0);
        record_name(id, "console", name);
        unlinkat(enclaves->ended_fd, name, 0);
}

static int write_json(int dirfd, const char *name, const struct enclave_info *info, struct error *err)
{
        cleanup_buf struct buf text = buf_with_max(STATE_JSON_MAX);
        cleanup_json json_t *json = state_to_json(info);

        if (!json || state_append_line(json, &text) < 0)
                return error_oom(err);
        return file_write_atomic(dirfd, name, buf_view(&text), 0600, err);
}

static int write_record(struct enclaves *enclaves, const struct enclave_info *info, struct view console,
                        struct error *err)
{
        struct enclave_info record = *info;
        char name[FILE_NAME_MAX];
        int r = 0;

        record.pid = 0;
        record.vsock_path[0] = '\0';
        remove_record(enclaves, info->id);
        record_name(info->id, "console", name);
        if (console.n > 0)
                r = file_write_atomic(enclaves->ended_fd, name, console, 0600, err);
        record_name(info->id, "json", name);
        return r < 0 ? r : write_json(enclaves->ended_fd, name, &record, err);
}

/* Removes the entry if its supervisor has died, and leaves a record of that. */
static void clean_stale(struct enclaves *enclaves, uint32_t id)
{
        cleanup_fd int fd = -1;
        struct enclave_info info;
        struct error err = {0};

        /* Looked at again, now that nobody else can come or go. */
        if (open_entry(enclaves, id, &fd, &err) < 0 || entry_is_live(fd))
                return;
        if (read_state(fd, ENTRY_STATE, &info, &err) == 0 && info.state != ENCLAVE_STARTING) {
                info.state = ENCLAVE_FAILED;
                snprintf(info.reason, sizeof(info.reason),
                         "its supervisor (process %d) was killed, and the machine with it", (int)info.pid);
                (void)write_record(enclaves, &info, view_of(NULL, 0), &err);
        }
        (void)remove_entry(enclaves, id, &err);
}

/* ---- finding ---- */

/* Reads a live entry. -ENOENT; -ESTALE where its supervisor has died and clean_stale() should be called. */
static int read_live(struct enclaves *enclaves, uint32_t id, struct enclave_info *ret_info, int *ret_dirfd,
                     struct error *err)
{
        cleanup_fd int fd = -1;
        int r = open_entry(enclaves, id, &fd, err);

        if (r < 0)
                return r;
        if (!entry_is_live(fd))
                return error_set(err, -ESTALE, "the supervisor of enclave %" PRIu32 " has died", id);
        /* Between our look and now it may have been retired: its folder is then empty. */
        if ((r = read_state(fd, ENTRY_STATE, ret_info, err)) < 0)
                return r == -ENOENT ? no_enclave(id, err) : r;
        *ret_dirfd = take_fd(&fd);
        return 0;
}

/* What a walk over the entries has found. */
struct scan {
        struct enclave_info *live;
        size_t n_live;
        uint32_t *stale;
        size_t n_stale;
        bool remains; /* of killed processes, or of some that are at work */
};

static void scan_done(struct scan *scan)
{
        free(scan->live);
        free(scan->stale);
        *scan = (struct scan){0};
}
#define cleanup_scan CLEANUP(scan_done)

static int scan_add(struct enclaves *enclaves, uint32_t id, struct scan *scan, struct error *err)
{
        cleanup_fd int fd = -1;
        struct enclave_info info;
        int r = read_live(enclaves, id, &info, &fd, err);

        if (r == 0) {
                if (array_grow(&scan->live, scan->n_live, sizeof(*scan->live)) < 0)
                        return error_oom(err);
                scan->live[scan->n_live++] = info;
        } else if (r == -ESTALE) {
                if (array_grow(&scan->stale, scan->n_stale, sizeof(*scan->stale)) < 0)
                        return error_oom(err);
                scan->stale[scan->n_stale++] = id;
        }
        return r == -ENOENT || r == -ESTALE ? 0 : r;
}

static int compare_infos(const void *a, const void *b)
{
        uint32_t left = ((const struct enclave_info *)a)->id, right = ((const struct enclave_info *)b)->id;

        return left < right ? -1 : left > right;
}

static int scan_entries(struct enclaves *enclaves, struct scan *scan, struct error *err)
{
        int fd = openat(enclaves->live_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        int r = 0;

        if (!dir) {
                r = error_errno(err, errno, "%s", enclaves->path);
                fd_close_p(&fd);
                return r;
        }
        for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
                uint64_t id;
                if (parse_u64(entry->d_name, UINT32_MAX, &id))
                        r = scan_add(enclaves, (uint32_t)id, scan, err);
        }
        scan->remains = remains_are_in(enclaves->live_fd) || remains_are_in(enclaves->ended_fd);
        if (scan->n_live > 1)
                qsort(scan->live, scan->n_live, sizeof(*scan->live), compare_infos);
        return r;
}

static void clean_all_stale(struct enclaves *enclaves, const struct scan *scan)
{
        for (size_t i = 0; i < scan->n_stale; i++)
                clean_stale(enclaves, scan->stale[i]);
        if (scan->remains) {
                remains_remove(enclaves->live_fd);
                remains_remove(enclaves->ended_fd);
        }
}

int enclave_list(struct enclaves *enclaves, struct enclave_info **ret_infos, size_t *ret_n, struct error *err)
{
        cleanup_scan struct scan scan = {0};
        int r = scan_entries(enclaves, &scan, err);

        if (r == 0 && (scan.n_stale > 0 || scan.remains)) {
                cleanup_fd int lock = -1;
                if ((r = lock_registry(enclaves, &lock, err)) == 0)
                        clean_all_stale(enclaves, &scan);
        }
        if (r < 0)
                return r;
        *ret_infos = take_pointer(&scan.live);
        *ret_n = scan.n_live;
        return 0;
}

static int find_live(struct enclaves *enclaves, uint32_t id, struct enclave_info *ret_info, int *ret_dirfd,
                     struct error *err)
{
        int r = read_live(enclaves, id, ret_info, ret_dirfd, err);

        if (r == -ESTALE) {
                cleanup_fd int lock = -1;
                if ((r = lock_registry(enclaves, &lock, err)) < 0)
                        return r;
                clean_stale(enclaves, id);
                r = read_live(enclaves, id, ret_info, ret_dirfd, err);
        }
        return r;
}

int registry_find(struct enclaves *enclaves, uint32_t id, struct enclave_info *ret_info, int *ret_dirfd,
                  struct error *err)
{
        char name[FILE_NAME_MAX];
        int r = find_live(enclaves, id, ret_info, ret_dirfd, err);

        if (r != -ENOENT)
                return r;
        record_name(id, "json", name);
        r = read_state(enclaves->ended_fd, name, ret_info, err);
        if (r < 0)
                return r == -ENOENT ? no_enclave(id, err) : r;
        *ret_dirfd = -1;
        return 0;
}

int enclave_find(struct enclaves *enclaves, uint32_t id, struct enclave_info *ret_info, struct error *err)
{
        cleanup_fd int fd = -1;

        return registry_find(enclaves, id, ret_info, &fd, err);
}

int registry_open_console(struct enclaves *enclaves, uint32_t id, int *ret_fd, struct error *err)
{
        char name[FILE_NAME_MAX];

        record_name(id, "console", name);
        int fd = openat(enclaves->ended_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "the console of enclave %" PRIu32, id);
        *ret_fd = fd;
        return 0;
}

/* ---- entries come and go ---- */

static int choose_cid(const struct enclave_info *live, size_t n, struct enclave_info *info,
                      registry_claim_fn claim, void *user, struct error *err)
{
        bool wanted = info->cid != 0;
        int r;

        for (uint32_t cid = wanted ? info->cid : ENCLAVE_CID_MIN; cid <= ENCLAVE_CID_MAX; cid++) {
                const struct enclave_info *taken = NULL;
                for (size_t i = 0; i < n && !taken; i++)
                        taken = live[i].cid == cid ? &live[i] : NULL;
                if (taken && wanted)
                        return error_set(err, -EADDRINUSE,
                                         "--cid %" PRIu32 ": CID %" PRIu32 " is in use by enclave %" PRIu32,
                                         cid, cid, taken->id);
                if (taken)
                        continue;
                r = claim ? claim(cid, user, err) : 0;
                if (r == -EADDRINUSE && !wanted)
                        continue;
                if (r == 0)
                        info->cid = cid;
                return r;
        }
        return error_set(err, -ENOSPC, "all CIDs are in use");
}

/* Names a CID that would do, for somebody whose choice was taken. */
static void hint_free_cid(const struct enclave_info *live, size_t n, struct error *err)
{
        struct enclave_info free_one = {0};

        if (choose_cid(live, n, &free_one, NULL, NULL, NULL) == 0)
                error_hint(err, "%" PRIu32 " is free", free_one.cid);
}

/* Opens, locks and publishes an entry whose folder was just made. */
static int fill_entry(struct enclaves *enclaves, const char *name, const struct enclave_info *info,
                      struct registry_entry *entry, struct error *err)
{
        int r;

        entry->dirfd = openat(enclaves->live_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = entry->dirfd < 0 ? error_errno(err, errno, "open")
                             : file_lock(entry->dirfd, ENTRY_LOCK, &entry->lock_fd, err);
        return r < 0 ? r : registry_publish(entry->dirfd, info, err);
}

/* Nothing is left of it where it fails. */
static int make_entry(struct enclaves *enclaves, struct enclave_info *info, bool bridged,
                      struct registry_entry *ret_entry, struct error *err)
{
        struct registry_entry entry = REGISTRY_ENTRY_NONE;
        char name[ID_TEXT_MAX];

        id_text(info->id, name);
        if (bridged && snprintf(info->vsock_path, sizeof(info->vsock_path), "%s/enclaves/%s/%s",
                                enclaves->path, name, REGISTRY_VSOCK_SOCKET) >= (int)sizeof(info->vsock_path))
                return error_set(err, -ENAMETOOLONG, "%s: too long a path", enclaves->path);
        /* What is there already isn't ours to remove. */
        if (mkdirat(enclaves->live_fd, name, 0700) < 0)
                return error_errno(err, errno, "%s/enclaves/%s", enclaves->path, name);
        int r = fill_entry(enclaves, name, info, &entry, err);
        if (r < 0) {
                error_wrap(err, "%s/enclaves/%s", enclaves->path, name);
                registry_entry_done(&entry);
                (void)remove_entry(enclaves, info->id, NULL);
                return r;
        }
        entry.id = info->id;
        entry.cid = info->cid;
        remove_record(enclaves, info->id);
        *ret_entry = entry;
        return 0;
}

int registry_reserve(struct enclaves *enclaves, struct enclave_info *info, bool bridged,
                     registry_claim_fn claim, void *user, struct registry_entry *ret_entry, struct error *err)
{
        cleanup_fd int lock = -1;
        cleanup_scan struct scan scan = {0};
        struct enclave_info chosen = *info;
        int r;

        if ((r = lock_registry(enclaves, &lock, err)) < 0 || (r = scan_entries(enclaves, &scan, err)) < 0)
                return r;
        clean_all_stale(enclaves, &scan);
        if ((r = choose_cid(scan.live, scan.n_live, &chosen, claim, user, err)) < 0) {
                if (r == -EADDRINUSE)
                        hint_free_cid(scan.live, scan.n_live, err);
                return r;
        }
        chosen.id = 0;
        for (size_t i = 0; i < scan.n_live && scan.live[i].id == chosen.id; i++)
                chosen.id++;
        if ((r = make_entry(enclaves, &chosen, bridged, ret_entry, err)) < 0)
                return r;
        *info = chosen;
        return 0;
}

int registry_publish(int entry_dirfd, const struct enclave_info *info, struct error *err)
{
        return write_json(entry_dirfd, ENTRY_STATE, info, err);
}

int registry_retire(struct enclaves *enclaves, uint32_t id, const struct enclave_info *record,
                    struct view console, struct error *err)
{
        cleanup_fd int lock = -1;
        int r = lock_registry(enclaves, &lock, err);

        if (r < 0)
                return r;
        int written = record ? write_record(enclaves, record, console, err) : 0;
        r = remove_entry(enclaves, id, written < 0 ? NULL : err);
        return written < 0 ? written : r;
}

int registry_forget(struct enclaves *enclaves, uint32_t id, struct error *err)
{
        cleanup_fd int lock = -1;
        char name[FILE_NAME_MAX];
        int r = lock_registry(enclaves, &lock, err);

        if (r < 0)
                return r;
        record_name(id, "json", name);
        if (faccessat(enclaves->ended_fd, name, F_OK, 0) < 0)
                return no_enclave(id, err);
        remove_record(enclaves, id);
        return 0;
}
