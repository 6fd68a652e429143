# SPDX-License-Identifier: Apache-2.0
"""What a container leaves on a host: asked of the kernel, not of the runtime."""

import glob
import os
import pathlib


# Hierarchies of v1 and hybrid hosts lie one folder deeper than the one of v2.
BASES = [path for path in ("/sys/fs/cgroup", *glob.glob("/sys/fs/cgroup/*")) if os.path.exists(path + "/cgroup.procs")]


def below(folder, depth=3):
    """The groups below a group, as deep as containers' groups are made by tests."""
    try:
        names = [entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return names + [path for name in names if depth > 1 for path in below(name, depth - 1)]


def control_groups(word):
    """Control groups of any hierarchy with `word` in their name."""
    return [path for base in BASES for path in below(base) if word in path]


def mounts(word):
    """Mounts of this namespace that mention `word`."""
    return [line for line in os.fsdecode(pathlib.Path("/proc/self/mountinfo").read_bytes()).splitlines() if word in line]


def processes(word):
    """Processes in a control group with `word` in its name, or with it on their command line.  Zombies hold nothing:
    when they go is the affair of whatever reaps orphans here."""
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            group, line, stat = (os.fsdecode(pathlib.Path(entry.path, name).read_bytes())
                                 for name in ("cgroup", "cmdline", "stat"))
        except (FileNotFoundError, ProcessLookupError):
            continue
        state = stat.rpartition(")")[2].split()[0]
        if word in group + line and state != "Z":
            found.append(f"{entry.name} ({state}): {group + line!r}")
    return found


def of(word, root):
    """Everything that is still there of containers with `word` in their id, whose states are below `root`."""
    root = pathlib.Path(root)
    states = [str(path) for path in root.iterdir() if word in path.name] if root.exists() else []
    return states + control_groups(word) + mounts(word) + processes(word)
