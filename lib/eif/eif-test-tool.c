/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eif-test-tool.c - lib/eif on the command line, for end-to-end tests that compare it with readers of others.
 *
 *     eif-test-tool write OUT [aarch64] [kernel=FILE] [cmdline=FILE] [metadata=FILE]
 *                         [ramdisk=FILE]... [sign=CERT,KEY]
 *     eif-test-tool describe FILE [SECONDS]      the moment at which certificates must be valid
 *
 * Exit status 0, 1 with the error on stderr, 2 where called wrongly.
 */
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/crypto/private-key.h"
#include "lib/eif/describe.h"
#include "lib/eif/writer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const struct {
        const char *prefix;
        enum eif_section_type type;
} kinds[] = {
        {"kernel=", EIF_SECTION_KERNEL},
        {"cmdline=", EIF_SECTION_CMDLINE},
        {"metadata=", EIF_SECTION_METADATA},
        {"ramdisk=", EIF_SECTION_RAMDISK},
};

static int add_file(struct eif_writer *w, enum eif_section_type type, const char *path, struct error *err)
{
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        int r;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, errno, "%s", path);
        r = eif_writer_section(w, type, err);
        return r < 0 ? r : eif_writer_copy(w, fd, 0, (uint64_t)st.st_size, err);
}

static int add_sections(struct eif_writer *w, char **args, struct error *err)
{
        int r = 0;

        for (; r == 0 && *args; args++)
                for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                        if (r == 0 && string_starts_with(*args, kinds[i].prefix))
                                r = add_file(w, kinds[i].type, *args + strlen(kinds[i].prefix), err);
        return r;
}

static int finish(struct eif_writer *w, const char *pair, struct error *err)
{
        cleanup_certificate struct certificate *certificate = NULL;
        cleanup_private_key struct private_key *key = NULL;
        cleanup_free char *path = strdup(pair);
        char *comma = path ? strchr(path, ',') : NULL;
        struct eif_pcrs pcrs;
        int r;

        if (!comma)
                return eif_writer_finish(w, NULL, &pcrs, err);
        *comma = '\0';
        r = certificate_read(AT_FDCWD, path, &certificate, err);
        if (r == 0)
                r = private_key_read(AT_FDCWD, comma + 1, &key, err);
        if (r == 0)
                r = private_key_match(key, certificate, err);
        if (r == 0)
                r = eif_writer_finish(w, &(struct eif_signer){.certificate = certificate, .key = key}, &pcrs,
                                      err);
        return r;
}

static int write_file(char **args, struct error *err)
{
        cleanup_fd int fd = open(args[0], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        cleanup_eif_writer struct eif_writer *w = NULL;
        const char *pair = "";
        uint16_t flags = 0;
        int r;

        if (fd < 0)
                return error_errno(err, errno, "%s", args[0]);
        for (char **a = args + 1; *a; a++) {
                if (strcmp(*a, "aarch64") == 0)
                        flags = EIF_FLAG_AARCH64;
                if (string_starts_with(*a, "sign="))
                        pair = *a + strlen("sign=");
        }
        r = eif_writer_new(fd, flags, &w, err);
        if (r == 0)
                r = add_sections(w, args + 1, err);
        return r < 0 ? r : finish(w, pair, err);
}

static int describe_file(char **args, struct error *err)
{
        cleanup_fd int fd = open(args[0], O_RDONLY | O_CLOEXEC);
        cleanup_eif struct eif *eif = NULL;
        cleanup_eif_measured struct eif_measured m = {0};
        uint64_t now = (uint64_t)time(NULL);
        json_t *object = NULL;
        int r;

        if (fd < 0)
                return error_errno(err, errno, "%s", args[0]);
        if (args[1] && !parse_u64(args[1], INT64_MAX, &now))
                return error_set(err, -EINVAL, "%s: not a number of seconds", args[1]);
        r = eif_open(fd, &eif, err);
        if (r == 0)
                r = eif_measure(eif, NULL, NULL, &m, err);
        if (r == 0)
                r = eif_describe(eif, &m, (int64_t)now, &object, err);
        if (r < 0) {
                error_wrap(err, "%s", args[0]);
                return r;
        }
        json_dumpf(object, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(object);
        return 0;
}

int main(int argc, char **argv)
{
        bool writing = argc >= 3 && strcmp(argv[1], "write") == 0;
        struct error err = {0};

        if (!writing && !(argc >= 3 && strcmp(argv[1], "describe") == 0))
                return 2;
        if ((writing ? write_file(argv + 2, &err) : describe_file(argv + 2, &err)) == 0)
                return 0;
        fprintf(stderr, "eif-test-tool: %s\n", error_text(&err));
        return 1;
}
