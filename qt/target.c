/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/target.h"
#include "lib/base/path.h"
#include "qt/qt.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void *wait_for_signal(void *user)
{
        struct target *target = user;
        int signal;

        while (sigwait(&target->signals, &signal) != 0)
                ;
        /* Never unlocked: nobody may rename a file that is gone. */
        pthread_mutex_lock(&target->lock);
        progress_clear(target->progress);
        if (target->file.temporary)
                unlinkat(target->file.dirfd, target->file.temporary, 0);
        _exit(QT_FAILED);
}

static int hold_up_signals(struct target *target, struct error *err)
{
        sigemptyset(&target->signals);
        sigaddset(&target->signals, SIGINT);
        sigaddset(&target->signals, SIGTERM);
        sigaddset(&target->signals, SIGHUP);
        int r = pthread_sigmask(SIG_BLOCK, &target->signals, NULL);
        return r == 0 ? 0 : error_errno(err, r, "cannot watch for signals");
}

/* A link is neither replaced, for it may be the system's (/dev/stdout), nor followed, for it may be
 * somebody else's. */
static int check_path(const char *path, struct error *err)
{
        struct stat st;

        if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
                return error_set(err, -ELOOP, "%s is a symbolic link; name the file itself", path);
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
                return error_set(err, -EISDIR, "%s is a directory; name a file in it", path);
        return 0;
}

int target_begin(struct target *target, const char *path, struct progress *progress, struct error *err)
{
        *target = (struct target){
                .file = ATOMIC_FILE_NONE, .progress = progress, .lock = PTHREAD_MUTEX_INITIALIZER};
        int r = check_path(path, err);
        if (r == 0)
                r = hold_up_signals(target, err);
        if (r < 0)
                return r;
        r = atomic_file_begin(AT_FDCWD, path, 0644, &target->file, err);
        if (r == -ENOENT)
                error_hint(err, "the folder of a new file must be there");
        return r;
}

int target_watch(struct target *target, struct error *err)
{
        pthread_t thread = 0;
        int r = pthread_create(&thread, NULL, wait_for_signal, target);

        if (r != 0)
                return error_errno(err, r, "cannot watch for signals");
        pthread_detach(thread);
        return 0;
}

int target_commit(struct target *target, struct error *err)
{
        pthread_mutex_lock(&target->lock);
        int r = atomic_file_commit(&target->file, err);
        pthread_mutex_unlock(&target->lock);
        return r;
}

void target_abort(struct target *target)
{
        pthread_mutex_lock(&target->lock);
        atomic_file_abort(&target->file);
        pthread_mutex_unlock(&target->lock);
}
