/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim-epc.h - the memory of simulated enclaves, as the simulated device and the simulated CPU share it.
 *
 * An enclave is a memory file: a head page, the EPCM (one entry for each page of ELRANGE), the sites of
 * rewritten instructions (sim-rewrite.h; one bit for each byte), the pages.
 * Whoever inherits the descriptor, or a fork, has the same enclave, as with the kernel's driver.  Two
 * mappings of it exist: `epc`, readable and writable, by which we work; and the enclave's own at its
 * ELRANGE, whose rights are those that the EPCM and the program's mmap(2) both give, and none for pages
 * that only the CPU may touch.
 *
 * The registry of a process is fixed in size and read without a lock, since signal handlers read it.  It is
 * the one mutable global here: a CPU has no caller that could pass it in.
 */
#pragma once

#include "lib/crypto/hash.h"
#include "lib/sgx/layout.h"

#include <stdatomic.h>
#include <sys/types.h>

enum { SIM_ENCLAVES_MAX = 64 };

/* What the CPU knows about a page. */
struct sim_epcm {
        uint8_t valid;
        uint8_t type;           /* enum sgx_page_type */
        uint8_t state;          /* SGX_PAGE_R, _W, _X, _PENDING, _MODIFIED, _PR */
        atomic_uchar busy;      /* a TCS that a thread is in */
        atomic_uchar rewritten; /* some of its sites are set */
};

/* The head page of the memory file. */
struct sim_head {
        struct sgx_secs secs;
        uint32_t initialised;
        uint32_t provision; /* the key for provisioning was asked for, by the ioctl for it */
};

struct sim_enclave {
        int fd;
        ino_t inode; /* names it, whatever number a descriptor of it has */
        bool created;
        bool closed;
        uint64_t base, size;
        struct sim_head *head;
        struct sim_epcm *epcm;
        uint8_t *sites;
        uint8_t *epc;
        uint8_t *mapped; /* for each page: SIM_MAPPED and the rights that the program's mmap(2) gave */
        off_t sites_offset, pages_offset;
        size_t file_size;
        struct hash measurement;
        /* What the program mapped before ECREATE, as the legacy driver wants it: address, bytes, rights. */
        uint64_t early;
        size_t early_size;
        int early_prot;
};

enum { SIM_MAPPED = 0x80 };

/* A fresh, empty enclave, in the registry.  NULL and errno. */
struct sim_enclave *sim_enclave_new(void);

/* Takes an enclave over that another process made, by its descriptor, which stays the caller's.  NULL and
 * errno. */
struct sim_enclave *sim_enclave_attach(int fd);

/* Gives it its memory, by secs.  0 or -errno. */
int sim_enclave_create(struct sim_enclave *e, const struct sgx_secs *secs);

/* Takes it out of the registry and frees it, mappings by the program excepted. */
void sim_enclave_free(struct sim_enclave *e);

/* The enclave whose descriptor fd is, or whose ELRANGE has the address; NULL where none is.  The second
 * may be called by a signal handler. */
struct sim_enclave *sim_enclave_by_fd(int fd);
struct sim_enclave *sim_enclave_at(uint64_t address);

/* n bytes of the enclave from a linear address, where all are in valid pages that have these rights
 * (SGX_PAGE_R, _W) and are not the CPU's own; else NULL. */
void *sim_enclave_bytes(struct sim_enclave *e, uint64_t address, size_t n, uint8_t rights);

/* Gives the program's mapping of pages [from, to) the rights that they have now.  0 or -errno. */
int sim_enclave_protect(struct sim_enclave *e, size_t from, size_t to);
