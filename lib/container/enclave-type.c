/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/enclave-type.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"
#include "lib/container/pal-path.h"
#include "lib/container/spec-parse.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
        MISC_MAJOR = 10,
        PATHS_MAX = 8,
};

static const struct type {
        const char *name;
        const char *hardware;           /* for people */
        const char *needed[PATHS_MAX];  /* one of them */
        const char *devices[PATHS_MAX]; /* that the container gets */
        const char *mounts[PATHS_MAX];
        const char *instead; /* how to do without */
        const char *pal;     /* file name of the PAL that there is one of, or NULL */
        const char *built;   /* its folder below a build tree */
        bool own_kernel;
} types[] = {
        {.name = "intelSgx",
         .hardware = "SGX device",
         .needed = {"/dev/sgx_enclave", "/dev/sgx/enclave", "/dev/isgx"},
         .devices = {"/dev/sgx_enclave", "/dev/sgx/enclave", "/dev/sgx_provision", "/dev/sgx/provision",
                     "/dev/isgx", "/dev/gsgx"},
         .mounts = {"/var/run/aesmd", "/var/run/epm"},
         .instead = "to run it without protection, add \"simulate\" to ENCLAVE_RUNTIME_ARGS or set "
                    "ENCLAVE_SIMULATE (annotation enclave.simulate) to \"true\""},
        {.name = "AwsNitroEnclaves",
         .hardware = "Nitro Enclaves device",
         .needed = {"/dev/nitro_enclaves"},
         .devices = {"/dev/nitro_enclaves"},
         .own_kernel = true,
         .instead = "ne-emulator(1) gives one to the programs that it runs, without protection"},
        {.name = "Jailhouse",
         .hardware = "Jailhouse device",
         .needed = {"/dev/jailhouse"},
         .devices = {"/dev/jailhouse"},
         .own_kernel = true,
         .instead = "load its driver"},
        {.name = "vm", .own_kernel = true, .pal = "libpal_vm.so", .built = "pal/vm"},
};

static const struct type *find(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                if (strcmp(types[i].name, name) == 0)
                        return &types[i];
        return NULL;
}

bool enclave_type_has_own_kernel(const char *name)
{
        const struct type *type = find(name);

        return type && type->own_kernel;
}

/* True, and *ret_st set, where there is such a misc device, be it behind a link. */
static bool is_device(const char *root, const char *path, struct stat *ret_st)
{
        cleanup_free char *full = string_printf("%s%s", root, path);

        return full && stat(full, ret_st) == 0 && S_ISCHR(ret_st->st_mode) &&
               major(ret_st->st_rdev) == MISC_MAJOR;
}

static int no_hardware(const struct type *type, struct error *err)
{
        char places[256] = "";

        for (size_t i = 0; i < PATHS_MAX && type->needed[i]; i++) {
                size_t n = strlen(places);
                (void)snprintf(places + n, sizeof(places) - n, "%s%s", n ? ", " : "", type->needed[i]);
        }
        (void)error_set(err, -ENODEV, "enclave type \"%s\": this machine has no %s (looked for %s)",
                        type->name, type->hardware, places);
        error_hint(err, "%s", type->instead);
        return -ENODEV;
}

int enclave_type_check(const struct enclave_settings *settings, const char *root, struct error *err)
{
        const struct type *type = find(settings->type);
        struct stat st;

        if (!type)
                return error_set(err, -EINVAL,
                                 "Enclave hardware type (%s) is not supported; there are intelSgx, "
                                 "AwsNitroEnclaves, Jailhouse and vm",
                                 settings->type);
        if (settings->simulate || !type->needed[0])
                return 0;
        for (size_t i = 0; i < PATHS_MAX && type->needed[i]; i++)
                if (is_device(root, type->needed[i], &st))
                        return 0;
        return no_hardware(type, err);
}

/* ---- what the container gets --------------------------------------------------------------------------- */

static bool has_device(const struct spec_linux *linux, const char *path)
{
        for (size_t i = 0; i < linux->n_devices; i++)
                if (strcmp(linux->devices[i].path, path) == 0)
                        return true;
        return false;
}

static bool has_mount(const struct spec *spec, const char *destination)
{
        for (size_t i = 0; i < spec->n_mounts; i++)
                if (strcmp(spec->mounts[i].destination, destination) == 0)
                        return true;
        return false;
}

/* A copy of `n` items with room for one more behind them. */
static void *extended(struct arena *arena, const void *items, size_t n, size_t size)
{
        uint8_t *copy = arena_alloc(arena, n + 1, size);

        if (copy && n > 0)
                memcpy(copy, items, n * size);
        return copy;
}

static int add_device(struct spec_linux *linux, const char *path, const struct stat *st, struct arena *arena,
                      struct error *err)
{
        struct spec_resources *resources = &linux->resources;
        struct spec_device *devices =
                extended(arena, linux->devices, linux->n_devices, sizeof(*linux->devices));
        struct spec_device_rule *rules =
                extended(arena, resources->devices, resources->n_devices, sizeof(*resources->devices));

        if (!devices || !rules)
                return error_oom(err);
        devices[linux->n_devices++] = (struct spec_device){.path = path,
                                                           .type = S_IFCHR,
                                                           .major = major(st->st_rdev),
                                                           .minor = minor(st->st_rdev),
                                                           .mode = st->st_mode & 0777};
        rules[resources->n_devices++] =
                (struct spec_device_rule){.allow = true,
                                          .type = 'c',
                                          .major = {.set = true, .value = major(st->st_rdev)},
                                          .minor = {.set = true, .value = minor(st->st_rdev)},
                                          .access = SPEC_ACCESS_READ | SPEC_ACCESS_WRITE | SPEC_ACCESS_MKNOD};
        linux->devices = devices;
        resources->devices = rules;
        return 0;
}

static int add_mount(struct spec *spec, const char *path, struct arena *arena, struct error *err)
{
        struct spec_mount *mounts = extended(arena, spec->mounts, spec->n_mounts, sizeof(*spec->mounts));

        if (!mounts)
                return error_oom(err);
        struct spec_mount *mount = &mounts[spec->n_mounts++];
        *mount = (struct spec_mount){.destination = path, .source = path};
        mount->type = arena_string(arena, "bind");
        spec->mounts = mounts;
        int r = spec_parse_mount_option("rbind", arena, mount, err);
        if (r == 0)
                r = spec_parse_mount_option("rprivate", arena, mount, err);
        return r < 0 || mount->type ? r : error_oom(err);
}

/* A path that container-init reads must lie in the arena, as rune's own memory is not there. */
static const char *kept(struct arena *arena, const char *path)
{
        return arena_string(arena, path);
}

static int equip_devices(const struct type *type, const char *root, struct spec *spec, struct arena *arena,
                         struct error *err)
{
        struct stat st;
        int r = 0;

        for (size_t i = 0; i < PATHS_MAX && type->devices[i] && r == 0; i++) {
                if (has_device(&spec->linux, type->devices[i]) || !is_device(root, type->devices[i], &st))
                        continue;
                const char *path = kept(arena, type->devices[i]);
                r = path ? add_device(&spec->linux, path, &st, arena, err) : error_oom(err);
        }
        return r;
}

int enclave_type_equip(const struct enclave_settings *settings, const char *root, struct spec *spec,
                       struct arena *arena, struct error *err)
{
        const struct type *type = find(settings->type);

        if (!type || settings->simulate)
                return 0;
        int r = equip_devices(type, root, spec, arena, err);
        for (size_t i = 0; i < PATHS_MAX && type->mounts[i] && r == 0; i++) {
                cleanup_free char *full = string_printf("%s%s", root, type->mounts[i]);
                struct stat st;
                if (!full)
                        return error_oom(err);
                if (stat(full, &st) < 0 || !S_ISDIR(st.st_mode) || has_mount(spec, type->mounts[i]))
                        continue;
                const char *path = kept(arena, type->mounts[i]);
                r = path ? add_mount(spec, path, arena, err) : error_oom(err);
        }
        return r;
}

/* ---- PALs of ours -------------------------------------------------------------------------------------- */

static bool offer(char *taken_path, char **ret_path)
{
        cleanup_free char *path = taken_path;

        if (!path || access(path, F_OK) < 0)
                return false;
        *ret_path = take_pointer(&path);
        return true;
}

int enclave_type_own_pal(const char *name, char **ret_path, struct error *err)
{
        const struct type *type = find(name);
        cleanup_free char *prefix = type && type->pal ? pal_path_prefix() : NULL;

        if (prefix && (offer(string_printf("%s/lib/coffer/%s", prefix, type->pal), ret_path) ||
                       offer(string_printf("%s/%s/%s", prefix, type->built, type->pal), ret_path)))
                return 0;
        (void)error_set(err, -EINVAL, "enclave runtime path is not configured");
        error_hint(err,
                   "name the PAL for \"%s\" in ENCLAVE_RUNTIME_PATH or in the annotation "
                   "enclave.runtime.path",
                   name);
        return -EINVAL;
}
