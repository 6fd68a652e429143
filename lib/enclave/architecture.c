/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/architecture.h"

#include "lib/base/view.h"
#include "lib/eif/eif.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

/*
 *   console=               the serial line that the supervisor reads; on arm64 an 8250 (Nitro) or a PL011
 *                          (QEMU)
 *   quiet loglevel=4       each line on it costs time, and belongs to the workload
 *   reboot=t panic=-1      the end, orderly or not, is a reset at once, on which the monitor ends the machine
 *   pci=off                there is no PCI bus
 *   cryptomgr.notests      the self-tests of the kernel's ciphers take a sixth of the boot
 *   random.trust_cpu=on    random numbers are ready when the workload starts: there is no other source then
 *   coffer.parent_cid=2    where enclave-init finds its parent; a host may use the kernel's vhost-vsock
 *
 * AWS's, from its blobs: i8042.* is for the keyboard controller, by which its kernel ends the machine
 * (reboot=k).
 */
static const struct architecture architectures[] = {
        {.name = "amd64",
         .eif_flags = 0,
         .elf_machine = EM_X86_64,
         .cmdline = "console=ttyS0 quiet loglevel=4 reboot=t panic=-1 pci=off cryptomgr.notests "
                    "random.trust_cpu=on coffer.parent_cid=2",
         .nitro_kernel = "bzImage",
         .nitro_cmdline = "reboot=k panic=30 pci=off nomodules console=ttyS0 i8042.noaux i8042.nomux "
                          "i8042.nopnp i8042.dumbkbd random.trust_cpu=on"},
        {.name = "arm64",
         .eif_flags = EIF_FLAG_AARCH64,
         .elf_machine = EM_AARCH64,
         .cmdline = "console=ttyS0 console=ttyAMA0 quiet loglevel=4 panic=-1 pci=off cryptomgr.notests "
                    "random.trust_cpu=on coffer.parent_cid=2",
         .nitro_kernel = "Image",
         .nitro_cmdline = "reboot=k panic=30 pci=off nomodules console=ttyS0 random.trust_cpu=on "
                          "root=/dev/ram0"},
};

const struct architecture *architecture_find(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(architectures); i++)
                if (strcmp(architectures[i].name, name ? name : "amd64") == 0)
                        return &architectures[i];
        return NULL;
}

static const char *machine_name(uint16_t machine)
{
        for (size_t i = 0; i < ARRAY_SIZE(architectures); i++)
                if (architectures[i].elf_machine == machine)
                        return architectures[i].name;
        return "another architecture";
}

int architecture_check_elf(const struct architecture *architecture, int fd, struct error *err)
{
        uint8_t head[sizeof(Elf64_Ehdr)] = {0};
        struct view field;

        if (pread(fd, head, sizeof(head), 0) != sizeof(head) || memcmp(head, ELFMAG, SELFMAG) != 0 ||
            head[EI_CLASS] != ELFCLASS64 || head[EI_DATA] != ELFDATA2LSB ||
            !view_slice(view_of(head, sizeof(head)), offsetof(Elf64_Ehdr, e_machine), 2, &field))
                return error_set(err, -ENOEXEC, "is no ELF file of 64 bits");
        struct cursor c = cursor_of(field);
        uint16_t machine = cursor_le16(&c);
        if (machine == architecture->elf_machine)
                return 0;
        return error_set(err, -ENOEXEC, "is for %s, but the image for %s", machine_name(machine),
                         architecture->name);
}
