/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - the emulator's command line.
 */
#pragma once

#include "lib/base/log.h"
#include "lib/enclave/enclave.h"

#include <stdbool.h>
#include <stdint.h>

/* The machine that is pretended: this many CPUs of each core, and these in the pool. */
#define OPTIONS_POOL    "2-65"
#define OPTIONS_THREADS 2

struct options {
        const char *cpus;
        unsigned threads;
        unsigned enclaves_max; /* 0: no limit */
        bool no_huge_pages;
        enum enclave_accelerator accelerator;
        enum log_level level;
        char **command; /* ended by NULL; part of argv */
};

enum options_result {
        OPTIONS_RUN,
        OPTIONS_SHOWN, /* help or version, on standard output */
        OPTIONS_USAGE, /* wrong; a message is on standard error */
};

/* Reads argv. */
enum options_result options_parse(int argc, char **argv, struct options *ret_options);
