# SPDX-License-Identifier: Apache-2.0
"""What the three shells offer behind `qt`, asked of the shells themselves."""
import os
import pty
import re
import select
import subprocess

import pytest

from conftest import need_program, wait_for

BASH = r'''
. "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
compopt() { :; }
_qt
printf '%s\n' "${COMPREPLY[@]}"
'''


@pytest.fixture(scope="module")
def qt_dir(build_dir):
    path = build_dir / "qt"
    if not (path / "qt.bash").exists():
        pytest.skip("qt is not built")
    return path


@pytest.fixture
def fake_qt(qt_dir, tmp_path):
    """A folder with the completions and a qt that knows three enclaves."""
    for name in ("qt.bash", "qt.fish", "_qt"):
        (tmp_path / name).write_bytes((qt_dir / name).read_bytes())
    program = tmp_path / "qt"
    program.write_text("#!/bin/sh\ncase $* in\n\"enclave query --query [].EnclaveID --output tsv --only-show-errors\")\n"
                       "printf '0\\n1\\n12\\n' ;;\n*) echo \"qt $*: not expected\" >&2; exit 1 ;;\nesac\n")
    program.chmod(0o755)
    (tmp_path / "files").mkdir()
    for name in ("redis.eif", "key.pem"):
        (tmp_path / "files" / name).touch()
    return tmp_path


def offered_by_bash(folder, words):
    result = subprocess.run(["bash", "-c", BASH, "bash", folder / "qt.bash", str(folder / "qt"), *words], check=True,
                            capture_output=True, text=True, cwd=folder / "files", env=shell_env(folder))
    assert result.stderr == ""
    return result.stdout.split()


def shell_env(folder):
    return {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8"}


def offered_by_fish(folder, words):
    line = " ".join(["qt", *words])
    result = subprocess.run(["fish", "--no-config", "-c", f"source {folder}/qt.fish; complete -C {line!r}"], check=True,
                            capture_output=True, text=True, cwd=folder / "files", env=shell_env(folder))
    assert result.stderr == ""
    return [one.split("\t")[0] for one in result.stdout.splitlines()]


class Zsh:
    """An interactive zsh on a terminal of its own: completion works nowhere else."""

    def __init__(self, folder):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder / "files")
            os.execve(need_program("zsh"), ["zsh", "-f", "-i"], shell_env(folder))
        self.output = ""
        self.say(f"PS1=; stty cols 240 -echo; fpath=({folder} $fpath); autoload -U compinit; compinit -D -u; "
                 "unsetopt zle_bracketed_paste; bindkey '^X' list-choices; LISTMAX=0; echo READY-$((1+1))")
        self.expect("READY-2")

    def say(self, text, end="\n"):
        os.write(self.fd, (text + end).encode())

    def expect(self, mark):
        """What was written before `mark`."""
        def found():
            if select.select([self.fd], [], [], 0)[0]:
                self.output += os.read(self.fd, 4096).decode(errors="replace")
            return mark in self.output
        try:
            wait_for(found, mark)
        except TimeoutError:
            pytest.fail(f"no {mark!r} in {self.output!r}")
        before, _, self.output = self.output.partition(mark)
        return before

    def offered(self, words):
        line = " ".join(["qt", *words])
        self.say(line, end="\x18")
        listed = self.expect("\r\n" + line)  # below the list the line is shown again
        self.say("\x15echo DONE-$((1+1))")
        self.expect("DONE-2")
        text = listed.partition("\r\r\n")[2].replace("\r", "")
        return {word for one in text.split("\n") for word in re.sub(r" +-- .*", "", one).split()}

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


CASES = [
    ([""], {"enclave"}),
    (["enclave", "st"], {"start", "stop"}),
    (["enclave", "query"], {"query", "query-eif"}),
    (["enclave", "start", "--at"], {"--attach-console"}),
    (["enclave", "make-img", "--sign"], {"--signing-certificate"}),
    (["enclave", "stop", "--enclave-id", ""], {"0", "1", "12"}),
    (["enclave", "query", "--output", "t"], {"table", "tsv"}),
    (["enclave", "query", "-o", "ts"], {"tsv"}),
    (["enclave", "start", "--eif", "re"], {"redis.eif"}),
    (["enclave", "sign-eif", "--private-key", "k"], {"key.pem"}),
    (["enclave", "start", "--mem", ""], set()),
    (["enclave", "start", "--eif", "redis.eif", "--deb"], {"--debug", "--debug-mode"}),
    (["enclave", "make-img", "--docker-uri", "docker-"], {"docker-archive:", "docker-daemon:"}),
]


@pytest.mark.parametrize("shell", ["bash", "fish"])
@pytest.mark.parametrize("words, expected", CASES, ids=lambda x: " ".join(x) if isinstance(x, list) else "")
def test_offers(fake_qt, shell, words, expected):
    need_program(shell)
    found = set({"bash": offered_by_bash, "fish": offered_by_fish}[shell](fake_qt, words))
    found -= {"--help", "--version"} if words == [""] else set()
    assert found == expected


def test_offers_of_zsh(fake_qt):
    need_program("zsh")
    zsh = Zsh(fake_qt)
    try:
        for words, expected in CASES:
            if len(expected) > 1:  # it lists only where there is a choice
                assert zsh.offered(words) == expected, words
    finally:
        zsh.close()


def test_bash_understands_values_behind_an_equals_sign_and_a_colon(fake_qt):
    assert set(offered_by_bash(fake_qt, ["enclave", "query", "--output", "=", "ta"])) == {"table"}
    assert set(offered_by_bash(fake_qt, ["enclave", "stop", "--enclave-id", "="])) == {"0", "1", "12"}
    assert set(offered_by_bash(fake_qt, ["enclave", "make-img", "--docker-uri", "oci-archive", ":", "re"])) == {"redis.eif"}
    assert set(offered_by_bash(fake_qt, ["enclave", "start", "--eif", "=", "redis.eif", "--wa"])) == {"--wait"}


def test_every_option_of_every_command_is_offered(qt_dir, fake_qt):
    """The completion is made from the table, so what help shows is what is offered."""
    text = subprocess.run([qt_dir / "qt", "enclave", "--help"], check=True, capture_output=True, text=True).stdout
    for command in re.findall(r"^    ([a-z-]+) +: ", text.split("Commands:")[1].split("\n\n")[0], re.M):
        help_text = subprocess.run([qt_dir / "qt", "enclave", command, "--help"], check=True, capture_output=True,
                                   text=True).stdout
        shown = set(re.findall(r"^    (--[a-z-]+)", help_text, re.M))
        for offer in (offered_by_bash, offered_by_fish):
            assert set(offer(fake_qt, ["enclave", command, "--"])) == shown, command
