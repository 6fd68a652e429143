/* SPDX-License-Identifier: Apache-2.0 */
#include "pal/skeleton/skeleton.h"

#include "lib/base/fd.h"
#include "lib/sgx/loader.h"
#include "lib/sgx/report.h"
#include "lib/sgx/sim-cpu.h"
#include "lib/sgx/sim-device.h"
#include "pal/skeleton/files.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* The enclave's calls. */
enum { CALL_INIT = 0, CALL_REPORT = 1 };

static const uint64_t magic = 0xdeadfacedeadbeef;

/* The plug-in's one enclave; the interface has no handle that it could hang on. */
static struct {
        pthread_mutex_t lock; /* of all this, and of the one way into the enclave */
        bool made, simulating;
        struct sgx_enclave enclave;
} skeleton = {.lock = PTHREAD_MUTEX_INITIALIZER, .enclave = {.fd = -1}};

static _Thread_local struct error last_error;

struct error *skeleton_error(void)
{
        last_error = (struct error){0};
        return &last_error;
}

const char *skeleton_error_text(void)
{
        return last_error.code ? last_error.text : NULL;
}

static int parse_arguments(const char *args, struct skeleton_options *ret_options, struct error *err)
{
        struct skeleton_options o = {0};
        static const char spaces[] = " ,\t";

        for (args += strspn(args, spaces); *args; args += strspn(args, spaces)) {
                size_t n = strcspn(args, spaces);
                struct view word = view_of(args, n);

                if (view_equal(word, view_of_string("simulate")))
                        o.simulate = true;
                else if (view_equal(word, view_of_string("debug")))
                        o.debug = true;
                else if (view_equal(word, view_of_string("no-sgx-flc")))
                        o.token = true;
                else if (!view_equal(word, view_of_string("no-epm")))
                        return error_set(
                                err, -EINVAL,
                                "unknown argument \"%.*s\"; simulate, debug, no-sgx-flc and no-epm are known",
                                (int)(n < 64 ? n : 64), args);
                args += n;
        }
        *ret_options = o;
        return 0;
}

/* Once, where a user looks; and never silently. */
static void label(void)
{
        static const char text[] =
                "liberpal-skeleton: this enclave is simulated: no protection. Whoever can read this process' "
                "memory "
                "can read and change it, and its reports are worth nothing on another machine.\n";

        (void)fd_write_full(STDERR_FILENO, text, sizeof(text) - 1);
}

static int start_simulation(struct error *err)
{
        int r = skeleton.simulating ? 0 : sgx_sim_start(NULL, err);

        if (r == 0)
                skeleton.simulating = true;
        return r;
}

/* OpenSSL must not read a configuration of the container's, which can name libraries to load. */
static void quiet_openssl(void)
{
        OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

int skeleton_prepare(const struct pal_prepare_args *args)
{
        struct error *err = skeleton_error();
        struct skeleton_options o;
        int r = parse_arguments(args->args ? args->args : "", &o, err);

        if (r < 0 || !o.simulate)
                return r;
        quiet_openssl();
        pthread_mutex_lock(&skeleton.lock);
        r = start_simulation(err); /* here, since the root key is the host's */
        pthread_mutex_unlock(&skeleton.lock);
        if (r == 0 && args->annotate)
                (void)args->annotate(args->cookie, "enclave.sgx.simulated", "true");
        return r;
}

static int open_driver(const struct skeleton_options *o, struct sgx_load *load, struct error *err)
{
        load->simulated = o->simulate;
        load->os = o->simulate ? &sgx_os_simulated : &sgx_os_host;
        if (!o->simulate)
                return sgx_driver_find(load->os, &load->driver, &load->fd, err);
        /* A token can be passed only as the legacy driver takes it. */
        load->driver = o->token ? &sgx_driver_isgx : &sgx_driver_simulation;
        load->fd = load->os->open(load->os->user, load->driver->device, O_RDWR | O_CLOEXEC);
        return load->fd < 0 ? error_errno(err, errno, "cannot make the simulated device") : 0;
}

static void say_what_was_made(const struct sgx_load *load, const struct sgx_enclave *e)
{
        dprintf(STDERR_FILENO, "liberpal-skeleton: driver %s%s, enclave at %#llx, %#llx bytes\n",
                load->driver->name, load->simulated ? " (simulated)" : "", (unsigned long long)e->base,
                (unsigned long long)e->size);
}

static int make(const struct skeleton_options *o, struct error *err)
{
        cleanup_skeleton_files struct skeleton_files files = SKELETON_FILES_NONE;
        struct sgx_load load = {.fd = -1, .debug = o->debug};
        int r = open_driver(o, &load, err);

        if (r < 0)
                return r;
        r = skeleton_files_read(o->token || load.driver->needs_token, &files, err);
        if (r < 0) {
                load.os->close(load.os->user, load.fd);
                return r;
        }
        load.image = buf_view(&files.image);
        load.sigstruct = buf_view(&files.sigstruct);
        load.token = buf_view(&files.token);
        r = sgx_load(&load, &skeleton.enclave, err);
        if (r < 0) {
                error_wrap(err, "the enclave of encl.bin and encl.ss can't be built");
                return r == -ENOMEM ? r : -EINVAL;
        }
        if (o->debug)
                say_what_was_made(&load, &skeleton.enclave);
        return 0;
}

/* An enclave of a pool's.  Its mapping and its descriptor are ours from then on. */
static int adopt(const struct skeleton_options *o, int fd, uint64_t address, struct error *err)
{
        struct sgx_enclave e = {
                .fd = -1, .base = address, .os = o->simulate ? sgx_os_simulated : sgx_os_host};
        int r = 0;

        if (o->simulate)
                r = sgx_sim_attach(fd, &e.base, &e.size, err);
        if (r == 0 && (e.base != address || address == 0))
                r = error_set(err, -EINVAL, "the enclave of descriptor %d is not at %#llx", fd,
                              (unsigned long long)address);
        if (r < 0)
                return r;
        e.fd = fd;
        skeleton.enclave = e;
        return 0;
}

int skeleton_init(const char *args, int fd, uint64_t address)
{
        struct error *err = skeleton_error();
        struct skeleton_options o;
        int r = parse_arguments(args ? args : "", &o, err);

        if (r < 0)
                return r;
        quiet_openssl();
        pthread_mutex_lock(&skeleton.lock);
        if (skeleton.made)
                r = error_set(err, -EBUSY, "the enclave was made already");
        if (r == 0 && o.simulate)
                r = start_simulation(err);
        if (r == 0)
                r = fd >= 0 ? adopt(&o, fd, address, err) : make(&o, err);
        skeleton.made |= r == 0;
        pthread_mutex_unlock(&skeleton.lock);
        if (r == 0 && o.simulate)
                label();
        return r;
}

/* A call, by one thread at a time: the enclave has one TCS. */
static int call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t *ret_result, struct error *err)
{
        uint64_t (*ecall)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
        int r = 0;

        pthread_mutex_lock(&skeleton.lock);
        ecall = skeleton.simulating ? sgx_sim_ecall : sgx_ecall;
        if (!skeleton.made)
                r = error_set(err, -EINVAL, "there is no enclave; pal_init() makes it");
        else
                *ret_result = ecall(skeleton.enclave.base, number, a, b, c);
        pthread_mutex_unlock(&skeleton.lock);
        return r;
}

int skeleton_hello(int err_fd)
{
        static const char text[] = "Enclave runtime skeleton initialization succeeded\n";
        struct error *err = skeleton_error();
        uint64_t out = 0, result = 0;
        int r = call(CALL_INIT, (uintptr_t)&out, 0, 0, &result, err);

        if (r < 0)
                return r;
        if (out != magic)
                return error_set(err, -EIO, "the enclave answered %#llx instead of %#llx",
                                 (unsigned long long)out, (unsigned long long)magic);
        r = fd_write_full(err_fd, text, sizeof(text) - 1);
        return r < 0 ? error_errno(err, -r, "cannot write to the payload's stderr") : 0;
}

static int report_to(const uint8_t *targetinfo, uint8_t ret_report[static SGX_REPORT_SIZE], struct error *err)
{
        static const uint8_t data[SGX_REPORT_DATA_SIZE];
        uint64_t result = 0;
        int r = call(CALL_REPORT, (uintptr_t)targetinfo, (uintptr_t)data, (uintptr_t)ret_report, &result,
                     err);

        return r == 0 && result ? error_set(err, -EIO, "the enclave made no report") : r;
}

/* TARGETINFO of the enclave itself, by what a report to nobody says that it is. */
static int own_targetinfo(uint8_t ret_bytes[static SGX_TARGETINFO_SIZE], struct error *err)
{
        uint8_t bytes[SGX_REPORT_SIZE] = {0};
        struct sgx_targetinfo self = {0};
        struct sgx_report report;
        int r;

        memset(ret_bytes, 0, SGX_TARGETINFO_SIZE);
        r = report_to(ret_bytes, bytes, err);
        if (r < 0)
                return r;
        sgx_report_decode(bytes, &report);
        self.attributes = report.attributes;
        self.misc_select = report.misc_select;
        self.config_svn = report.config_svn;
        memcpy(self.mrenclave, report.mrenclave, sizeof(self.mrenclave));
        memcpy(self.config_id, report.config_id, sizeof(self.config_id));
        sgx_targetinfo_encode(&self, ret_bytes);
        return 0;
}

int skeleton_report(const void *targetinfo, int targetinfo_len, void *report, int *report_len)
{
        uint8_t target[SGX_TARGETINFO_SIZE], bytes[SGX_REPORT_SIZE] = {0};
        struct error *err = skeleton_error();
        int r = 0;

        if (!report || !report_len || *report_len < SGX_REPORT_SIZE)
                return error_set(err, -EINVAL, "a report needs room for %d bytes", SGX_REPORT_SIZE);
        if (targetinfo && targetinfo_len != SGX_TARGETINFO_SIZE)
                return error_set(err, -EINVAL, "a TARGETINFO of %d bytes instead of %d", targetinfo_len,
                                 SGX_TARGETINFO_SIZE);
        if (targetinfo)
                memcpy(target, targetinfo, sizeof(target));
        else
                r = own_targetinfo(target, err);
        if (r == 0)
                r = report_to(target, bytes, err);
        if (r < 0)
                return r;
        memcpy(report, bytes, sizeof(bytes));
        *report_len = sizeof(bytes);
        return 0;
}

int skeleton_destroy(void)
{
        (void)skeleton_error();
        pthread_mutex_lock(&skeleton.lock);
        if (skeleton.made)
                sgx_unload(&skeleton.enclave);
        skeleton.made = false;
        if (skeleton.simulating)
                sgx_sim_stop();
        skeleton.simulating = false;
        pthread_mutex_unlock(&skeleton.lock);
        return 0;
}
