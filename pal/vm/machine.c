/* SPDX-License-Identifier: Apache-2.0 */
#include "pal/vm/machine.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/enclave/build-folder.h"
#include "lib/enclave/host.h"
#include "lib/enclave/install.h"
#include "lib/enclave/leash.h"
#include "lib/enclave/service-protocol.h"

#include "pal/vm/affinity.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Waiting for init: it has said that it serves when we connect. */
enum { ANSWER_MS = 60 * 1000 };

/* Between the end of the connection and the supervisor's word of why. */
enum { END_MS = 5000 };

/* No machine that runs enclaves has more memory to unpack files into. */
static const uint64_t ROOT_MAX = UINT64_C(1) << 40;

/* What starts us may have no environment at all, and machines are looked for in this one. */
static const char DEFAULT_PATH[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static void machine_done_p(struct machine *machine)
{
        machine_done(machine);
}
#define cleanup_machine CLEANUP(machine_done_p)

void machine_done(struct machine *machine)
{
        struct enclave_info info;

        client_free(machine->client);
        if (machine->leash_fd >= 0 && leash_stop(machine->leash_fd, 0, NULL) == 0)
                (void)leash_wait(machine->leash_fd, &info, NULL);
        fd_close_p(&machine->leash_fd);
        fd_close_p(&machine->console_fd);
        *machine = MACHINE_NONE;
}

/* Whoever watches the machine hears of its end a little later than whoever is connected to it. */
void machine_explain_end(const struct machine *machine, struct error *err)
{
        struct pollfd leash = {.fd = machine->leash_fd, .events = POLLIN};
        struct enclave_info info;
        struct error why = {0};

        if (poll(&leash, 1, END_MS) != 1)
                return;
        if (leash_wait(machine->leash_fd, &info, &why) < 0)
                error_set(err, -EIO, "the enclave has ended: %s", error_text(&why));
        else if (info.state == ENCLAVE_FAILED)
                error_set(err, -EIO, "the enclave has ended: %s", info.reason);
}

/* ---- parts --------------------------------------------------------------------------------------------- */

/* The parts of Coffer that belong to this very plug-in. */
static int find_part(enum install_part part, char **ret_path, struct error *err)
{
        Dl_info self;

        if (dladdr((const void *)machine_done, &self) == 0 || !self.dli_fname)
                return install_find(part, ret_path, err);
        return install_find_beside(self.dli_fname, part, ret_path, err);
}

/* ---- starting ------------------------------------------------------------------------------------------ */

/* More CPUs than there are make a machine slower. */
static unsigned choose_cpus(const struct args *args, const struct translated *translated)
{
        unsigned there = host_cpus();

        if (args->cpus > 0)
                return args->cpus;
        if (translated->cpus > 0)
                return translated->cpus < there ? translated->cpus : there;
        return ENCLAVE_CPUS_DEFAULT < there ? ENCLAVE_CPUS_DEFAULT : there;
}

static void choose_memory(const struct args *args, const struct translated *translated,
                          struct enclave_start_options *options)
{
        options->mem_mib = ENCLAVE_MEM_DEFAULT;
        options->mem_grows = true;
        if (args->mem_mib > 0 || translated->mem_mib > 0) {
                options->mem_mib = args->mem_mib > 0 ? args->mem_mib : translated->mem_mib;
                options->mem_name = args->mem_mib > 0 ? "memory" : "memory limit of";
                options->mem_grows = false;
        }
}

/* `options` says what is started, and is completed. */
static int start(struct enclave_start_options options, const struct args *args,
                 const struct translated *translated, const struct log *log, struct enclaves *enclaves,
                 struct machine *machine, struct error *err)
{
        cleanup_free char *supervisor = NULL;
        cpu_set_t before;
        int r = find_part(INSTALL_SUPERVISOR, &supervisor, err);

        if (r < 0)
                return r;
        options.supervisor = supervisor;
        options.cpus = choose_cpus(args, translated);
        options.debug_mode = args->debug;
        options.log = log;
        options.ret_leash_fd = &machine->leash_fd;
        choose_memory(args, translated, &options);
        r = affinity_set(translated->host_cpus, &before, err);
        if (r < 0)
                return r;
        r = enclave_start(enclaves, &options, &machine->info, err);
        affinity_restore(&before);
        if (r == 0 && args->debug)
                r = enclave_console_open(enclaves, machine->info.id, &machine->console_fd, err);
        return r;
}

static int open_registry(struct enclaves **ret_enclaves, struct error *err)
{
        if (setenv("PATH", DEFAULT_PATH, 0) < 0)
                return error_oom(err);
        return enclaves_open(NULL, ret_enclaves, err);
}

/* ---- an image of its own ------------------------------------------------------------------------------- */

static int open_image(const struct pal_prepare_args *prepare, const char *path, int *ret_fd,
                      struct error *err)
{
        cleanup_fd int fd = -1;
        struct stat st;
        int r = path_open_in_root(prepare->rootfs_fd, path, O_RDONLY | O_NONBLOCK, 0, &fd, NULL);

        if (r < 0 && path[0] == '/')
                fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return error_set(err, -ENOENT,
                                 "image %s: it is neither in the container's root nor on the host%s", path,
                                 path[0] == '/' ? "" : ", where its path would have to be absolute");
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return error_set(err, -EINVAL, "image %s: it is no regular file", path);
        *ret_fd = take_fd(&fd);
        return 0;
}

int machine_start_image(const struct pal_prepare_args *prepare, const struct args *args,
                        const struct translated *translated, const struct log *log,
                        struct machine *ret_machine, struct error *err)
{
        struct enclave_start_options options = ENCLAVE_START_DEFAULTS;
        cleanup_machine struct machine machine = MACHINE_NONE;
        cleanup_enclaves struct enclaves *enclaves = NULL;
        cleanup_fd int fd = -1;
        char path[64];
        int r = open_image(prepare, args->image, &fd, err);

        if (r == 0)
                r = open_registry(&enclaves, err);
        if (r < 0)
                return r;
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        options.eif = path;
        r = start(options, args, translated, log, enclaves, &machine, err);
        if (r < 0) {
                error_wrap(err, "image %s", args->image);
                return r;
        }
        *ret_machine = machine;
        machine = MACHINE_NONE;
        return 0;
}

/* ---- the container's root ------------------------------------------------------------------------------ */

static int build(const struct pal_prepare_args *prepare, const struct translated *translated, int fd,
                 struct eif_pcrs *ret_pcrs, struct error *err)
{
        cleanup_free char *kernel = NULL;
        cleanup_free char *init = NULL;
        int r = find_part(INSTALL_KERNEL, &kernel, err);

        if (r == 0)
                r = find_part(INSTALL_INIT, &init, err);
        if (r < 0)
                return r;
        const struct enclave_build_folder_options options = {
                .kernel = kernel,
                .init = init,
                .name = prepare->id,
                .build_time = (int64_t)time(NULL),
                .root_fd = prepare->rootfs_fd,
                .copy_fds = translated->copies,
                .n_copies = translated->n_copies,
                .folder = {.uids = translated->uids,
                           .n_uids = translated->n_uids,
                           .gids = translated->gids,
                           .n_gids = translated->n_gids,
                           .max_bytes = ROOT_MAX},
        };
        r = enclave_build_folder(&options, fd, ret_pcrs, err);
        if (r < 0)
                error_wrap(err, "the container's root can't become an enclave");
        return r;
}

static int connect_service(struct enclaves *enclaves, struct machine *machine, struct error *err)
{
        int fd;
        int r = enclave_connect(enclaves, machine->info.id, SERVICE_PORT, &fd, err);

        return r < 0 ? r : client_new(fd, ANSWER_MS, &machine->client, err);
}

int machine_start_root(const struct pal_prepare_args *prepare, const struct args *args,
                       const struct translated *translated, const struct log *log,
                       struct machine *ret_machine, struct error *err)
{
        struct enclave_start_options options = ENCLAVE_START_DEFAULTS;
        cleanup_machine struct machine machine = MACHINE_NONE;
        cleanup_enclaves struct enclaves *enclaves = NULL;
        cleanup_fd int fd = memfd_create("coffer-root", MFD_CLOEXEC);
        struct eif_pcrs pcrs;
        int r = fd < 0 ? error_errno(err, errno, "a file in memory") : open_registry(&enclaves, err);

        if (r == 0)
                r = build(prepare, translated, fd, &pcrs, err);
        if (r < 0)
                return r;
        options.eif = options.name = prepare->id;
        options.built_fd = fd;
        options.built_pcrs = &pcrs;
        options.own_vsock = true;
        r = start(options, args, translated, log, enclaves, &machine, err);
        fd_close_p(&fd);
        if (r == 0)
                r = connect_service(enclaves, &machine, err);
        if (r == 0)
                r = client_set_up(machine.client, &translated->container, err);
        if (r < 0)
                return r;
        *ret_machine = machine;
        machine = MACHINE_NONE;
        return 0;
}
