/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec-parse.h - config.json and its parts, from text to spec.h.
 *
 * Text is a stranger's.  An error names the place as a JSON path, what is wrong, and what would be right:
 * "config.json: .linux.namespaces[2].type: invalid namespace "nett"; one of user pid ...".  Properties that
 * the specification doesn't have are ignored, as it demands; any 1.x version is accepted.  What is
 * well-formed and can't be carried out here is no business of the parser, nor what several properties must
 * not say together: whoever makes a container asks spec_validate() (spec-validate.h), too.
 */
#pragma once

#include "lib/base/log.h"
#include "lib/base/view.h"
#include "lib/container/arena.h"
#include "lib/container/spec.h"

/* Ceiling for config.json, and for every text below: 16 MiB. */
enum { SPEC_TEXT_MAX = 16 * 1024 * 1024 };

/* Parses config.json.  `bundle` is the bundle's absolute path, to which relative paths are joined.
 * Everything in *ret_spec is allocated from `arena`.  Warnings (an unknown capability) go to `log`.
 * -EINVAL with the JSON path where it doesn't follow the specification, -ENOMEM, -E2BIG. */
int spec_parse(struct view text, const char *bundle, struct arena *arena, const struct log *log,
               struct spec **ret_spec, struct error *err);

/* Parses a process object alone, as `exec --process FILE` takes it.  Capabilities that this kernel doesn't
 * know are dropped; what we ourselves lack stays, for it isn't known whose user namespace it is for
 * (spec-capabilities.h). */
int spec_parse_process(struct view text, struct arena *arena, const struct log *log,
                       struct spec_process **ret_process, struct error *err);

/* Parses a resources object alone, as `update --resources FILE` takes it. */
int spec_parse_resources(struct view text, struct arena *arena, const struct log *log,
                         struct spec_resources **ret_resources, struct error *err);

/* Takes one of `mounts[].options` into the mount.  What isn't known is data for the file system; later
 * options win.  -EINVAL where it is empty, -ENOMEM. */
int spec_parse_mount_option(const char *option, struct arena *arena, struct spec_mount *mount,
                            struct error *err);

/* The number of a capability by name ("CAP_SYS_ADMIN" or "SYS_ADMIN", any case), or -1. */
int spec_capability_number(const char *name);

/* A signal by number ("9") or name ("KILL", "SIGKILL", "RTMIN+3"), or -1. */
int spec_signal_number(const char *text);
