/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs.h - the rows of the table of commands. Each lies in a file of its own.
 */
#pragma once

#include "qt/cli.h"

#define QT_ENCLAVE_ID_MAX UINT32_MAX

/* The command's name, arguments, help and function. */
extern const struct cli_command qt_enclave_console;
extern const struct cli_command qt_enclave_forward;
extern const struct cli_command qt_enclave_make_img;
extern const struct cli_command qt_enclave_query;
extern const struct cli_command qt_enclave_query_eif;
extern const struct cli_command qt_enclave_sign_eif;
extern const struct cli_command qt_enclave_start;
extern const struct cli_command qt_enclave_stop;
