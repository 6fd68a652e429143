# SPDX-License-Identifier: Apache-2.0
"""Each gate passes this tree and fails on one planted defect: a gate that cannot fail guards nothing."""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"

DEFECTS = [
    ("layers", "lib/base/a.c", '#include "lib/eif/eif.h"\n', "lib/base may not include lib/eif"),
    ("layers", "qt/a.c", '#include "guest/init.h"\n', "qt may not include guest"),
    ("layers", "lib/eif/a.c", '#include "eif.h"\n', "by its path from the root"),
    ("lengths", "lib/base/a.c", "int f(void)\n{\n" + "        g();\n" * 100 + "}\n", "function of 102 lines"),
    ("lengths", "lib/base/a.c", "int x;\n" * 1001, "over the limit of 1000"),
    ("lengths", "lib/base/a.c", "/* " + "x" * 110 + " */\n", "116 columns"),
    ("contracts", "lib/base/a.h", "/* Says. */\n\nint f(int a,\n      int b);\n", "f() has no contract"),
    ("contracts", "lib/base/a.h", "static inline int f(void)\n{\n        return 0;\n}\n", "f() has no contract"),
    ("banned", "lib/base/a.c", "void f(char *a) { strcpy(a, \"x\"); }\n", "strcpy() is banned"),
    ("banned", "lib/base/a.c", "/* TO" + "DO: later */\n", "finish it"),
]


@pytest.mark.parametrize("gate,path,text,message", DEFECTS, ids=[f"{d[0]}-{d[3][:24]}" for d in DEFECTS])
def test_gate_fails_on_a_planted_defect(tmp_path, gate, path, text, message):
    target = tmp_path / path
    target.parent.mkdir(parents=True)
    target.write_text(SPDX + text)
    result = subprocess.run([ROOT / "tools/gates" / f"check-{gate}", tmp_path], capture_output=True, text=True)
    assert result.returncode == 1
    assert message in result.stdout


def test_row_of_getters_shares_one_contract(tmp_path):
    target = tmp_path / "lib/base/a.h"
    target.parent.mkdir(parents=True)
    target.write_text(SPDX + "/* Both say. */\nint f(void);\nint g(int a,\n      int b);\n")
    result = subprocess.run([ROOT / "tools/gates/check-contracts", tmp_path], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "")


def test_words_in_comments_and_strings_are_not_calls(tmp_path):
    target = tmp_path / "lib/base/a.c"
    target.parent.mkdir(parents=True)
    target.write_text(SPDX + '/* strcpy(a, b) */\nconst char *s = "system(x)";\nint r = my_system(1);\n')
    result = subprocess.run([ROOT / "tools/gates/check-banned", tmp_path], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "")
