/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/file.h"

#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* A read takes what room there is, and new room is made only where little is left: memory that is asked for
 * but never written costs nothing, and memory that has to move costs a fault for each of its pages. */
enum { READ_CHUNK = 65536, READ_LEAST = 1024 };

static int make_room(struct buf *b)
{
        size_t most = b->max - b->n, room = b->p ? b->capacity - b->n : 0;

        if (room >= (most < READ_LEAST ? most : READ_LEAST))
                return 0;
        return buf_reserve(b, most < READ_CHUNK ? most : READ_CHUNK);
}

static int read_to_end(int fd, size_t max, struct buf *b)
{
        /* The ceiling gets one byte of slack, so that "too large" is seen and not cut off. */
        b->max = max + 1;
        for (;;) {
                int r = make_room(b);
                if (r < 0)
                        return r;
                size_t room = (b->capacity < b->max ? b->capacity : b->max) - b->n;
                ssize_t n = read(fd, b->p + b->n, room);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return 0;
                b->n += (size_t)n;
                b->p[b->n] = 0;
                if (b->n > max)
                        return -EFBIG;
        }
}

int file_read_fd(int fd, size_t max, struct buf *ret_b)
{
        int r = read_to_end(fd, max, ret_b);

        ret_b->max = max;
        return r;
}

int file_read(int dirfd, const char *path, size_t max, struct buf *ret_b, struct error *err)
{
        cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, errno, "%s", path);
        if (S_ISDIR(st.st_mode))
                return error_errno(err, EISDIR, "%s", path);
        if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
                return error_set(err, -EINVAL, "%s: not a regular file", path);

        int r = file_read_fd(fd, max, ret_b);
        if (r == -EFBIG)
                return error_set(err, r, "%s: larger than the limit of %zu bytes", path, max);
        if (r < 0)
                return error_errno(err, -r, "%s", path);
        return 0;
}

static char *temporary_name(const char *name)
{
        uint64_t random;
        char hex[2 * sizeof(random) + 1];

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return NULL;
        hex_encode(&random, sizeof(random), hex);
        /* A name near NAME_MAX would not fit with our additions; its start identifies it well enough. */
        return string_printf(".%.200s.%s.tmp", name, hex);
}

int atomic_file_begin(int dirfd, const char *path, mode_t mode, struct atomic_file *ret_f, struct error *err)
{
        cleanup_fd int folder = -1;
        const char *name;
        struct stat st;

        int r = path_open_parent(dirfd, path, &folder, &name, err);
        if (r < 0)
                return r;
        if (fstatat(folder, name, &st, 0) == 0 && !S_ISREG(st.st_mode))
                return error_set(err, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL,
                                 "%s: exists and is not a regular file", path);

        cleanup_free char *target = strdup(name);
        cleanup_free char *temporary = temporary_name(name);
        if (!target || !temporary)
                return error_oom(err);
        int fd = openat(folder, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd < 0)
                return error_errno(err, errno, "%s", path);
        *ret_f = (struct atomic_file){.fd = fd,
                                      .dirfd = take_fd(&folder),
                                      .name = take_pointer(&target),
                                      .temporary = take_pointer(&temporary)};
        return 0;
}

static void atomic_file_release(struct atomic_file *f)
{
        fd_close_p(&f->fd);
        fd_close_p(&f->dirfd);
        free(f->name);
        free(f->temporary);
        *f = ATOMIC_FILE_NONE;
}

int atomic_file_commit(struct atomic_file *f, struct error *err)
{
        if (fsync(f->fd) < 0 || renameat(f->dirfd, f->temporary, f->dirfd, f->name) < 0) {
                int r = error_errno(err, errno, "%s", f->name);
                atomic_file_abort(f);
                return r;
        }
        atomic_file_release(f);
        return 0;
}

void atomic_file_abort(struct atomic_file *f)
{
        if (f->temporary)
                (void)unlinkat(f->dirfd, f->temporary, 0);
        atomic_file_release(f);
}

int file_write_atomic(int dirfd, const char *path, struct view content, mode_t mode, struct error *err)
{
        cleanup_atomic_file struct atomic_file f = ATOMIC_FILE_NONE;
        int r = atomic_file_begin(dirfd, path, mode, &f, err);

        if (r < 0)
                return r;
        r = fd_write_full(f.fd, content.p, content.n);
        if (r < 0)
                return error_errno(err, -r, "%s", path);
        return atomic_file_commit(&f, err);
}

int file_lock(int dirfd, const char *path, int *ret_fd, struct error *err)
{
        cleanup_fd int fd = openat(dirfd, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        int r;

        if (fd < 0)
                return error_errno(err, errno, "%s", path);
        do
                r = flock(fd, LOCK_EX);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return error_errno(err, errno, "%s: lock", path);
        *ret_fd = take_fd(&fd);
        return 0;
}

/* For file systems without O_TMPFILE: a name for an instant. */
static int open_named(const char *folder, int *ret_fd)
{
        cleanup_free char *path = path_join(folder, "coffer.XXXXXX");

        if (!path)
                return -ENOMEM;
        int fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        unlink(path);
        *ret_fd = fd;
        return 0;
}

int file_unnamed(const char *folder, int *ret_fd, struct error *err)
{
        if (!folder)
                folder = getenv("TMPDIR");
        if (!folder || !*folder)
                folder = "/var/tmp";
        int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0) {
                int r = open_named(folder, &fd);
                if (r < 0) {
                        error_errno(err, -r, "%s: cannot make a temporary file", folder);
                        if (r != -EMFILE && r != -ENFILE)
                                error_hint(err, "set TMPDIR to a folder with room");
                        return r;
                }
        }
        *ret_fd = fd;
        return 0;
}

int file_unnamed_with_reader(const char *folder, int *ret_writer, int *ret_reader, struct error *err)
{
        cleanup_fd int writer = -1;
        char path[64];
        int r = file_unnamed(folder, &writer, err);

        if (r < 0)
                return r;
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", writer);
        if (fchmod(writer, 0444) < 0)
                return error_errno(err, errno, "temporary file");
        int reader = open(path, O_RDONLY | O_CLOEXEC);
        if (reader < 0)
                return error_errno(err, errno, "temporary file");
        *ret_writer = take_fd(&writer);
        *ret_reader = reader;
        return 0;
}
