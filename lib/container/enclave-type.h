/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave-type.h - the kinds of enclave that a configuration can ask for: what of the host each needs, and
 * what of it a container of the kind gets.
 *
 *      type               needs one of             gets
 *      intelSgx           /dev/sgx_enclave         these, /dev/sgx_provision, /dev/sgx/provision and
 *                         /dev/sgx/enclave         /dev/gsgx as far as they are there; the folders
 *                         /dev/isgx                /var/run/aesmd and /var/run/epm
 *      AwsNitroEnclaves   /dev/nitro_enclaves      it
 *      Jailhouse          /dev/jailhouse           it
 *      vm                 nothing                  nothing
 *
 * Devices are misc devices (major 10).  One that config.json lists itself stays as it says, and so does a
 * mount. A simulated enclave needs and gets nothing.
 */
#pragma once

#include "lib/container/enclave-settings.h"

/* Fails where the machine can't have what `settings` asks for: -EINVAL (no such type), -ENODEV, with
 * what was looked for and how to do without.  `root` is put before each path: "" but in tests. */
int enclave_type_check(const struct enclave_settings *settings, const char *root, struct error *err);

/* True where the processes of such an enclave are another kernel's: control groups of this one neither hold
 * them nor freeze them. */
bool enclave_type_has_own_kernel(const char *name);

/* Adds the devices (with their rules) and mounts to `spec`. */
int enclave_type_equip(const struct enclave_settings *settings, const char *root, struct spec *spec,
                       struct arena *arena, struct error *err);

/* The PAL for a type that doesn't need to be told one, of the installation or the build tree that the running
 * program is of; *ret_path is on the heap.  -EINVAL where there is none. */
int enclave_type_own_pal(const char *type, char **ret_path, struct error *err);
