/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/sgx/keys.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOT_SIZE = SGX_KEY_SIZE + SGX_HASH_SIZE, FOLDER_MODE = 0700, KEY_MODE = 0600 };

static int random_bytes(uint8_t ret_bytes[static ROOT_SIZE])
{
        return getrandom(ret_bytes, ROOT_SIZE, 0) == ROOT_SIZE ? 0 : -EIO;
}

/* Reads the key, which is taken only where nobody else could have put it there. */
static int read_key(int folder, const char *name, uint8_t ret_bytes[static ROOT_SIZE])
{
        cleanup_fd int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        struct stat st;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
                return -EPERM;
        return fd_read_full(fd, ret_bytes, ROOT_SIZE);
}

/* Makes the key under a name of its own and links it into place, so that of two who start at once one
 * wins and both use its key, and nobody reads half of one. */
static int make_key(int folder, const char *name)
{
        uint8_t bytes[ROOT_SIZE];
        char path[sizeof("/proc/self/fd/") + 12];
        cleanup_fd int fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, KEY_MODE);
        int r;

        if (fd < 0)
                return -errno;
        r = random_bytes(bytes);
        if (r == 0)
                r = fd_write_full(fd, bytes, sizeof(bytes));
        explicit_bzero(bytes, sizeof(bytes));
        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (linkat(AT_FDCWD, path, folder, name, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST)
                return -errno;
        return 0;
}

static int key_in(const char *path, uint8_t ret_bytes[static ROOT_SIZE])
{
        static const char name[] = "sgx-simulation.key";
        cleanup_fd int folder = -1;
        int r = path_make_dirs(path, FOLDER_MODE, NULL);

        if (r < 0)
                return r;
        folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
                return -errno;
        r = read_key(folder, name, ret_bytes);
        if (r == -ENOENT)
                r = make_key(folder, name);
        return r < 0 ? r : read_key(folder, name, ret_bytes);
}

/* Of the folders of running state, root's and the user's.  A user is root, too, in a user namespace of the
 * user's own, and the key must be the one from outside: what can't be used as root's is the user's. */
static int shared_key(uint8_t ret_bytes[static ROOT_SIZE])
{
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        cleanup_free char *users = runtime && runtime[0] == '/' ? path_join(runtime, "coffer") : NULL;
        int r = geteuid() == 0 ? key_in("/run/coffer", ret_bytes) : -EACCES;

        return r < 0 && users ? key_in(users, ret_bytes) : r;
}

int sgx_root_load(struct sgx_root *ret_root, bool *ret_shared, struct error *err)
{
        uint8_t bytes[ROOT_SIZE];
        bool shared = shared_key(bytes) == 0;

        if (!shared && random_bytes(bytes) < 0)
                return error_errno(err, EIO, "cannot get random bytes for the simulated CPU's key");
        memcpy(ret_root->key, bytes, SGX_KEY_SIZE);
        memcpy(ret_root->report_key_id, bytes + SGX_KEY_SIZE, SGX_HASH_SIZE);
        explicit_bzero(bytes, sizeof(bytes));
        *ret_shared = shared;
        return 0;
}
