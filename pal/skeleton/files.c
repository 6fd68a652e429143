/* SPDX-License-Identifier: Apache-2.0 */
#include "pal/skeleton/files.h"

#include "lib/base/file.h"

#include <fcntl.h>

static int read_one(const char *name, struct buf *b, const char *hint, struct error *err)
{
        int r = file_read(AT_FDCWD, name, b->max, b, err);

        if (r == -ENOENT) {
                error_wrap(err, "the working folder has no %s", name);
                error_hint(err, "%s", hint);
        }
        return r == -EFBIG ? -EINVAL : r;
}

int skeleton_files_read(bool with_token, struct skeleton_files *files, struct error *err)
{
        int r = read_one("encl.bin", &files->image, "copy it into the image, in its WORKDIR", err);

        if (r == 0)
                r = read_one("encl.ss", &files->sigstruct, "copy it into the image, in its WORKDIR", err);
        if (r == 0 && with_token)
                r = read_one(
                        "encl.token", &files->token,
                        "this machine has no flexible launch control: it wants a launch token, made on it",
                        err);
        /* To the loader, no bytes mean that none is wanted. */
        if (r == 0 && with_token && files->token.n == 0)
                r = error_set(err, -EINVAL, "encl.token: a launch token of 0 bytes instead of %d",
                              SGX_TOKEN_SIZE);
        return r;
}

void skeleton_files_done(struct skeleton_files *files)
{
        buf_done(&files->image);
        buf_done(&files->sigstruct);
        buf_done(&files->token);
}
