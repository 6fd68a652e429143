/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/create-options.h"

#include <limits.h>

const struct option create_options[CREATE_OPTIONS] = {
        {.name = "bundle",
         .letter = 'b',
         OPTION_TEXT_IN(struct create_values, bundle),
         .metavar = "DIR",
         .summary = "folder of config.json",
         .default_text = "."},
        {.name = "console-socket",
         OPTION_TEXT_IN(struct create_values, console_socket),
         .metavar = "SOCKET",
         .summary = "Unix socket that gets the terminal's master descriptor"},
        {.name = "pidfd-socket",
         OPTION_TEXT_IN(struct create_values, pidfd_socket),
         .metavar = "SOCKET",
         .summary = "Unix socket that gets a pidfd of the container's first process"},
        {.name = "pid-file",
         OPTION_TEXT_IN(struct create_values, pid_file),
         .metavar = "FILE",
         .summary = "file that gets the id of the container's first process"},
        {.name = "no-subreaper",
         OPTION_FLAG_IN(struct create_values, no_subreaper),
         .summary = "taken for compatibility: it changes nothing"},
        {.name = "no-pivot",
         OPTION_FLAG_IN(struct create_values, no_pivot),
         .summary = "move the root and chroot instead of pivot_root, for a root on a ramdisk"},
        {.name = "no-new-keyring",
         OPTION_FLAG_IN(struct create_values, no_new_keyring),
         .summary = "keep the caller's session keyring"},
        {.name = "preserve-fds",
         OPTION_INTEGER_IN(struct create_values, preserve_fds),
         .metavar = "N",
         .summary = "hand over N more descriptors, from 3 or behind those of LISTEN_FDS",
         .default_text = "0"},
};

const char create_description[] =
        "What is run, and how, is in the bundle's config.json (OCI runtime-spec 1.0 to 1.3); `rune spec`\n"
        "writes one to start from.  The id must be unique below --root; it has letters, digits and any of\n"
        "_ + - . and doesn't begin with a dot.";

int preserve_fds_of(struct optional_i64 given, size_t *ret_n, struct error *err)
{
        if (given.set && (given.value < 0 || given.value > INT_MAX / 2))
                return error_set(err, -EINVAL,
                                 "invalid value %lld for --preserve-fds: it takes a number of descriptors",
                                 (long long)given.value);
        *ret_n = given.set ? (size_t)given.value : 0;
        return 0;
}

int create_check(const void *values, const struct operands *operands, struct error *err)
{
        const struct create_values *v = values;
        size_t preserve_fds;

        (void)operands;
        return preserve_fds_of(v->preserve_fds, &preserve_fds, err);
}

int create_request_of(const struct create_values *values, const char *id, struct create_request *ret_request,
                      struct error *err)
{
        size_t preserve_fds;
        int r = preserve_fds_of(values->preserve_fds, &preserve_fds, err);

        if (r < 0)
                return r;
        *ret_request = (struct create_request){
                .id = id,
                .bundle = values->bundle && *values->bundle ? values->bundle : ".",
                .pid_file = values->pid_file,
                .console_socket = values->console_socket,
                .pidfd_socket = values->pidfd_socket,
                .no_pivot = values->no_pivot,
                .no_new_keyring = values->no_new_keyring,
                .preserve_fds = preserve_fds,
        };
        return 0;
}
