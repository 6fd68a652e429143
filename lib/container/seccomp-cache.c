/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp-cache.c - programs by what they were made of.
 *
 * Theory of operation.  An entry is a file, named by a 64-bit hash of the key, that holds
 *
 *      struct entry_header, the whole key, the instructions
 *
 * in the machine's own byte order: it never leaves the machine, and an entry of another kind has another
 * key.  The hash only finds an entry; what makes it the right one is that its key is equal byte by byte.
 * The check sum finds damage (a full disk, a crash), it doesn't protect: what protects is that folder and
 * file belong to us and that nobody else may write to them.  Entries appear whole, by rename, and aren't
 * synced: after a crash the check sum tells.
 */
#include "lib/container/seccomp-internal.h"

#include "lib/base/fd.h"
#include "lib/base/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <seccomp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Changes with everything that makes another program of the same rules, and with the layout of entries. */
enum { FORMAT_VERSION = 1 };

/* Entries that are kept, and the most that are looked at when it comes to which goes. */
enum { ENTRIES_MAX = 64, ENTRIES_SEEN_MAX = 1024 };

/* Name of an entry, with its NUL; behind the name of a temporary. */
enum { NAME_SIZE = 24, TEMPORARY_SIZE = 48 };

struct entry_header {
        char magic[8];
        uint64_t check; /* of all that follows */
        uint64_t key_size;
        uint32_t instructions;
        uint32_t flags;
};

static const char magic[8] = "RUNEBPF";

/* ---- key ----------------------------------------------------------------------------------------------- */

static void put_u32(struct buf *key, uint32_t value)
{
        buf_append(key, &value, sizeof(value));
}

static void put_u64(struct buf *key, uint64_t value)
{
        buf_append(key, &value, sizeof(value));
}

/* Strings end with their NUL, and come in counted rows: no two rows look alike. */
static void put_string(struct buf *key, const char *s)
{
        buf_append(key, s, strlen(s) + 1);
}

static void put_rule(struct buf *key, const struct spec_seccomp_rule *rule)
{
        put_u32(key, rule->action);
        put_u64(key, rule->names.n);
        put_u64(key, rule->n_args);
        for (size_t i = 0; i < rule->n_args; i++) {
                put_u32(key, rule->args[i].index);
                put_u32(key, (uint32_t)rule->args[i].op);
                put_u64(key, rule->args[i].value);
                put_u64(key, rule->args[i].value_two);
        }
        for (size_t i = 0; i < rule->names.n; i++)
                put_string(key, rule->names.items[i]);
}

int seccomp_cache_key(const struct spec_seccomp *seccomp, struct buf *key)
{
        struct utsname name;

        put_u32(key, FORMAT_VERSION);
        put_u32(key, SCMP_VER_MAJOR << 16 | SCMP_VER_MINOR << 8 | SCMP_VER_MICRO);
        /* What was checked against one kernel isn't true of another. */
        if (uname(&name) < 0)
                return -errno;
        put_string(key, name.release);
        put_string(key, name.machine);
        put_u32(key, seccomp->default_action);
        put_u32(key, seccomp->flags_given ? seccomp->flags : UINT32_MAX);
        /* A program without a way for its listener isn't made. */
        put_u32(key, seccomp->listener_path && *seccomp->listener_path);
        put_u64(key, seccomp->n_architectures);
        for (size_t i = 0; i < seccomp->n_architectures; i++)
                put_u32(key, seccomp->architectures[i]);
        put_u64(key, seccomp->n_rules);
        for (size_t i = 0; i < seccomp->n_rules; i++)
                put_rule(key, &seccomp->rules[i]);
        return key->failed;
}

/* Eight bytes at a time, each step a bijection of the state (xor, odd factor, xor-shift): every change of one
 * word shows. */
static uint64_t hash_bytes(const uint8_t *p, size_t n)
{
        uint64_t h = 0x9e3779b97f4a7c15u ^ n;
        uint64_t word;

        for (; n >= sizeof(word); p += sizeof(word), n -= sizeof(word)) {
                memcpy(&word, p, sizeof(word));
                h = (h ^ word) * 0xff51afd7ed558ccdu;
                h ^= h >> 32;
        }
        word = 0;
        if (n)
                memcpy(&word, p, n);
        h = (h ^ word) * 0xc4ceb9fe1a85ec53u;
        return h ^ h >> 29;
}

static void entry_name(struct view key, char ret_name[NAME_SIZE])
{
        static const char digits[] = "0123456789abcdef";
        uint64_t h = hash_bytes(key.p, key.n);

        for (int i = 0; i < 16; i++)
                ret_name[i] = digits[h >> (60 - 4 * i) & 15];
        ret_name[16] = 0;
}

/* ---- load ---------------------------------------------------------------------------------------------- */

/* Ours, and nobody else's to write. */
static bool trusted(int fd, mode_t type, struct stat *ret_st)
{
        return fstat(fd, ret_st) == 0 && (ret_st->st_mode & S_IFMT) == type && ret_st->st_uid == geteuid() &&
               (ret_st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int open_folder(const char *folder)
{
        struct stat st;

        cleanup_fd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        return trusted(fd, S_IFDIR, &st) ? take_fd(&fd) : -EPERM;
}

/* The header of an entry of this size, where everything in it is as it must be. */
static bool entry_valid(const uint8_t *entry, size_t size, struct view key, struct entry_header *ret_header)
{
        struct entry_header header;
        const size_t unchecked = offsetof(struct entry_header, key_size);

        if (size < sizeof(header))
                return false;
        memcpy(&header, entry, sizeof(header));
        if (memcmp(header.magic, magic, sizeof(magic)) != 0 || header.key_size != key.n ||
            header.instructions == 0 || header.instructions > BPF_MAXINSNS ||
            size != sizeof(header) + key.n + header.instructions * sizeof(struct sock_filter))
                return false;
        if (memcmp(entry + sizeof(header), key.p, key.n) != 0 ||
            header.check != hash_bytes(entry + unchecked, size - unchecked))
                return false;
        *ret_header = header;
        return true;
}

int seccomp_cache_load(const char *folder, struct view key, struct arena *arena,
                       struct plan_seccomp *ret_program)
{
        char name[NAME_SIZE];
        struct stat st;
        struct entry_header header;

        cleanup_fd int folder_fd = open_folder(folder);
        if (folder_fd < 0)
                return 0;
        entry_name(key, name);
        cleanup_fd int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 || !trusted(fd, S_IFREG, &st) ||
            (size_t)st.st_size > sizeof(header) + key.n + BPF_MAXINSNS * sizeof(struct sock_filter))
                return 0;
        size_t size = (size_t)st.st_size;
        cleanup_free uint8_t *entry = malloc(size ? size : 1);
        if (!entry)
                return -ENOMEM;
        if (fd_read_full(fd, entry, size) < 0 || !entry_valid(entry, size, key, &header))
                return 0;
        struct sock_filter *filter = arena_alloc(arena, header.instructions, sizeof(*filter));
        if (!filter)
                return -ENOMEM;
        memcpy(filter, entry + sizeof(header) + key.n, header.instructions * sizeof(*filter));
        *ret_program =
                (struct plan_seccomp){.filter = filter, .n = header.instructions, .flags = header.flags};
        return 1;
}

/* ---- store --------------------------------------------------------------------------------------------- */

struct entry_age {
        char name[TEMPORARY_SIZE];
        struct timespec time;
};

static int by_age(const void *a, const void *b)
{
        const struct entry_age *left = a, *right = b;

        if (left->time.tv_sec != right->time.tv_sec)
                return left->time.tv_sec < right->time.tv_sec ? -1 : 1;
        return (left->time.tv_nsec > right->time.tv_nsec) - (left->time.tv_nsec < right->time.tv_nsec);
}

/* Removes the oldest until there is room for one more: what a killed writer left grows old like the rest. */
static void make_room(int folder)
{
        size_t n = 0;

        int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        if (!dir) {
                fd_close_p(&copy);
                return;
        }
        cleanup_free struct entry_age *entries = calloc(ENTRIES_SEEN_MAX, sizeof(*entries));
        if (!entries)
                return;
        for (struct dirent *entry = readdir(dir); entry && n < ENTRIES_SEEN_MAX; entry = readdir(dir)) {
                struct stat st;
                if (strlen(entry->d_name) >= TEMPORARY_SIZE || entry->d_name[0] == '.' ||
                    fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                memcpy(entries[n].name, entry->d_name, strlen(entry->d_name) + 1);
                entries[n++].time = st.st_mtim;
        }
        if (n < ENTRIES_MAX)
                return;
        qsort(entries, n, sizeof(*entries), by_age);
        for (size_t i = 0; i <= n - ENTRIES_MAX; i++)
                unlinkat(folder, entries[i].name, 0);
}

static int make_entry(struct view key, const struct seccomp_program *program, struct buf *entry)
{
        struct entry_header header = {
                .key_size = key.n, .instructions = (uint32_t)program->n, .flags = program->flags};
        const size_t unchecked = offsetof(struct entry_header, key_size);

        memcpy(header.magic, magic, sizeof(magic));
        buf_append(entry, &header, sizeof(header));
        buf_append_view(entry, key);
        int r = buf_append(entry, program->filter, program->n * sizeof(*program->filter));
        if (r < 0)
                return r;
        header.check = hash_bytes(entry->p + unchecked, entry->n - unchecked);
        memcpy(entry->p, &header, sizeof(header));
        return 0;
}

static int write_entry(int folder, const char *name, struct view content, struct error *err)
{
        char temporary[TEMPORARY_SIZE];

        int n = snprintf(temporary, sizeof(temporary), "%s.%d", name, (int)getpid());
        if (n < 0 || (size_t)n >= sizeof(temporary))
                return error_set(err, -ENAMETOOLONG, "temporary name");
        cleanup_fd int fd =
                openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return error_errno(err, errno, "make %s", temporary);
        int r = fd_write_full(fd, content.p, content.n);
        if (r == 0 && renameat(folder, temporary, folder, name) < 0)
                r = -errno;
        if (r == 0)
                return 0;
        unlinkat(folder, temporary, 0);
        return error_errno(err, -r, "write %s", name);
}

int seccomp_cache_store(const char *folder, struct view key, const struct seccomp_program *program,
                        struct error *err)
{
        char name[NAME_SIZE];
        cleanup_buf struct buf entry =
                buf_with_max(sizeof(struct entry_header) + key.n + BPF_MAXINSNS * sizeof(struct sock_filter));

        int r = path_make_dirs(folder, 0700, err);
        if (r < 0)
                return r;
        cleanup_fd int fd = open_folder(folder);
        if (fd < 0)
                return error_errno(err, -fd, "%s", folder);
        r = make_entry(key, program, &entry);
        if (r < 0)
                return error_errno(err, -r, "entry");
        make_room(fd);
        entry_name(key, name);
        r = write_entry(fd, name, buf_view(&entry), err);
        return r < 0 ? error_wrap(err, "%s", folder), r : 0;
}
