/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/program.h"

#include "lib/base/fd.h"
#include "lib/base/view.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

const char *program_environment(char *const *env, const char *name)
{
        size_t n = strlen(name);

        for (; env && *env; env++) {
                if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
                        return *env + n + 1;
        }
        return NULL;
}

/* --- what is missing --- */

static void copy_path(struct view path, char *ret_path, size_t size)
{
        size_t n = path.n < size - 1 ? path.n : size - 1;

        if (n)
                memcpy(ret_path, path.p, n);
        ret_path[n] = '\0';
}

/* "#! /bin/sh -e" */
static void script_interpreter(struct view head, char *ret_path, size_t size)
{
        size_t start = 2;
        size_t end;

        while (start < head.n && (head.p[start] == ' ' || head.p[start] == '\t'))
                start++;
        for (end = start; end < head.n && !strchr(" \t\n", head.p[end]); end++)
                ;
        copy_path(view_of(head.p + start, end - start), ret_path, size);
}

/* ELF files of this machine's class and byte order only; others can't be executed anyway. */
static void elf_interpreter(int fd, char *ret_path, size_t size)
{
        char path[PATH_MAX];
        Elf64_Ehdr header;
        Elf64_Phdr segment;

        if (fd_pread_full(fd, &header, sizeof(header), 0) < 0 || header.e_ident[EI_CLASS] != ELFCLASS64)
                return;
        for (unsigned int i = 0; i < header.e_phnum; i++) {
                uint64_t at = header.e_phoff + (uint64_t)i * sizeof(segment);
                if (at > INT64_MAX || fd_pread_full(fd, &segment, sizeof(segment), at) < 0)
                        return;
                if (segment.p_type != PT_INTERP)
                        continue;
                if (segment.p_filesz >= sizeof(path) || segment.p_offset > INT64_MAX ||
                    fd_pread_full(fd, path, segment.p_filesz, segment.p_offset) < 0)
                        return;
                copy_path(view_of(path, strnlen(path, segment.p_filesz)), ret_path, size);
                return;
        }
}

void program_interpreter(const char *path, char *ret_path, size_t size)
{
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        uint8_t head[256];
        ssize_t n = fd >= 0 ? pread(fd, head, sizeof(head), 0) : -1;

        ret_path[0] = '\0';
        if (n > 2 && memcmp(head, "#!", 2) == 0)
                script_interpreter(view_of(head, (size_t)n), ret_path, size);
        else if (n > SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0)
                elf_interpreter(fd, ret_path, size);
}

/* --- execution --- */

/* Executes `path`.  Returns only on failure, with *f set, or left alone where there is no such file. */
static void execute_file(const char *path, char *const *argv, char *const *env, struct failure *f)
{
        char interpreter[GUEST_PATH_MAX + 1];

        execve(path, argv, env);
        int errnum = errno;
        if (errnum != ENOENT && errnum != ENOTDIR) {
                failure_set(f, errnum, path, "execute the command");
                return;
        }
        if (access(path, F_OK) < 0)
                return;
        program_interpreter(path, interpreter, sizeof(interpreter));
        failure_set(f, errnum, interpreter, "execute %.150s: the image lacks its interpreter", path);
}

/* Tries each folder of `search`.  As shells do, the first file that can't be executed is what is told, and
 * the search goes on behind one that isn't permitted. */
static void execute_from(const char *search, char *const *argv, char *const *env, struct failure *f)
{
        for (;;) {
                char path[PATH_MAX];
                struct failure one = {0};
                size_t n = strcspn(search, ":");
                int written = snprintf(path, sizeof(path), "%.*s%s%s", (int)n, search, n ? "/" : "", argv[0]);

                if (written > 0 && (size_t)written < sizeof(path))
                        execute_file(path, argv, env, &one);
                if (one.errnum && !f->errnum)
                        *f = one;
                if ((one.errnum && one.errnum != EACCES) || search[n] == '\0')
                        return;
                search += n + 1;
        }
}

int program_execute(char *const *argv, char *const *env, struct failure *f)
{
        const char *search = program_environment(env, "PATH");

        if (*argv[0] == '\0')
                return failure_set(f, ENOENT, NULL, "execute the command: its name is empty");
        f->errnum = 0;
        if (strchr(argv[0], '/')) {
                execute_file(argv[0], argv, env, f);
                return f->errnum ? -f->errnum : failure_set(f, ENOENT, argv[0], "execute the command");
        }
        if (!search)
                search = PROGRAM_DEFAULT_PATH;
        execute_from(search, argv, env, f);
        return f->errnum ? -f->errnum
                         : failure_set(f, ENOENT, argv[0], "find the command in PATH %.190s", search);
}
