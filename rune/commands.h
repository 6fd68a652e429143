/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.h - one file for each.
 */
#pragma once

#include "rune/rune.h"

extern const struct command rune_attest, rune_checkpoint, rune_create, rune_delete, rune_events, rune_exec,
        rune_features, rune_kill, rune_list, rune_pause, rune_ps, rune_restore, rune_resume, rune_run,
        rune_spec, rune_start, rune_state, rune_update;
