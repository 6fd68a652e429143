/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-replay.c - the main() of a fuzz target in ordinary builds: feeds every file named on the command line,
 * and every file in each folder named there, to LLVMFuzzerTestOneInput.  So a find becomes a permanent test.
 */
#include "lib/base/file.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 64 * 1024 * 1024 };

static int replay_file(int dirfd, const char *name)
{
        struct error err = {0};
        cleanup_buf struct buf content = buf_with_max(INPUT_MAX);

        if (file_read(dirfd, name, INPUT_MAX, &content, &err) < 0) {
                fprintf(stderr, "fuzz-replay: %s\n", error_text(&err));
                return -1;
        }
        /* An exact heap copy, so that the address sanitizer sees a read of one byte too many. */
        cleanup_free uint8_t *exact = malloc(content.n ? content.n : 1);
        if (!exact)
                return -1;
        if (content.n)
                memcpy(exact, content.p, content.n);
        LLVMFuzzerTestOneInput(exact, content.n);
        return 1;
}

static int replay_folder(const char *path)
{
        cleanup_dir DIR *dir = opendir(path);
        int count = 0;

        if (!dir) {
                fprintf(stderr, "fuzz-replay: %s: %s\n", path, strerror(errno));
                return -1;
        }
        for (struct dirent *entry; (entry = readdir(dir));) {
                struct stat st;
                if (fstatat(dirfd(dir), entry->d_name, &st, 0) < 0 || !S_ISREG(st.st_mode))
                        continue;
                if (replay_file(dirfd(dir), entry->d_name) < 0)
                        return -1;
                count++;
        }
        return count;
}

int main(int argc, char **argv)
{
        int count = 0;

        for (int i = 1; i < argc; i++) {
                struct stat st;
                int n = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ? replay_folder(argv[i])
                                                                       : replay_file(AT_FDCWD, argv[i]);
                if (n < 0)
                        return 1;
                count += n;
        }
        printf("%d inputs replayed\n", count);
        return count > 0 ? 0 : 1;
}
