# SPDX-License-Identifier: Apache-2.0
"""The C sources of a tree, as the gates see them."""

import pathlib
import re
import sys

PROGRAM_FOLDERS = ("guest", "supervisor", "qt", "rune", "pal", "cmld", "control", "agent", "keybroker", "ne-emulator",
                   "sgx-sign", "sgx-emulator", "sgx-verify")


def c_files(root, *suffixes):
    """Every C file below lib/, the program folders and tests/, sorted; paths relative to root."""
    root = pathlib.Path(root)
    found = []
    for folder in ("include", "lib", "tests", *PROGRAM_FOLDERS):
        for path in (root / folder).rglob("*"):
            if path.suffix in (suffixes or (".c", ".h")) and path.is_file():
                found.append(path.relative_to(root))
    return sorted(found)


def strip_comments(text):
    """The text with comments and string contents blanked, line numbers kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token[0] + " " * (len(token) - 2) + token[0]
        return re.sub(r"[^\n]", " ", token)

    return pattern.sub(blank, text)


def report(problems):
    """Prints the problems and gives the exit status."""
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def root_from_argv():
    """The tree to check: the first argument, or the current folder."""
    return pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
