# SPDX-License-Identifier: Apache-2.0
"""`qt enclave` where there is /dev/nitro_enclaves: under ne-emulator."""
import textwrap

import pytest

from enclaves import ImageFolder, Qt, shell
from test_ne_emulator import PONG, Emulator


@pytest.fixture(scope="session")
def made(build_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return ImageFolder(Qt(build_dir, folder / "state"), folder)


@pytest.fixture(scope="session")
def pong(made):
    return made.eif("pong", shell("echo ready; " + PONG, ExposedPorts={"7000/tcp": {}}))


@pytest.fixture(scope="session")
def short(made):
    return made.eif("short", shell("echo hello from inside; exit 5"))


class Shell:
    """Scripts under an emulator, in which $QT is `qt enclave` with a state folder of its own."""

    def __init__(self, build, folder):
        self.emulator, self.folder = Emulator(build), folder
        self.head = f"export COFFER_STATE_DIR={folder}/state; QT='{build}/qt/qt enclave'\n"

    def run(self, script, **rest):
        process = self.emulator.run("sh", "-c", self.head + textwrap.dedent(script), cwd=self.folder, **rest)
        return process.out, process.err


@pytest.fixture
def nitro(build_dir, tmp_path):
    return Shell(build_dir, tmp_path)


def test_a_job_runs_and_its_status_comes_out(nitro, short):
    out, err = nitro.run(f"$QT start --eif {short} --mem 256 --wait >info; echo $?; grep Isolation info; $QT query")
    assert out.split() == ["5", '"Isolation":', '"emulated",', "[]"], err
    assert "ne-emulator" in err


def test_an_enclave_is_seen_reached_and_stopped(nitro, pong):
    out, err = nitro.run(f"""
        $QT start --eif {pong} --mem 256 --debug-mode --cid 33 >info || exit
        grep -c EnclaveCID.*33 info
        $QT console --enclave-id 0 >console &
        $QT forward --enclave-id 0 0:7000 2>forwarded & forward=$!
        until grep -q : forwarded; do sleep 0.1; done
        port=$(sed 's/[^:]*:\\([0-9]*\\).*/\\1/; q' forwarded)
        until echo PING | busybox nc -w 5 127.0.0.1 $port >answer && grep PONG answer; do sleep 0.2; done
        until grep -q ready console; do sleep 0.1; done
        $QT stop --enclave-id 0
        kill $forward
        wait
        grep -c ready console
        """)
    assert out.split("\n")[:4] == ["1", "PONG", "stop 0 success", "1"], err


def test_several_start_at_once(nitro, pong):
    out, err = nitro.run(f"""
        for i in 1 2 3 4; do $QT start --eif {pong} --mem 256 >info$i & pids="$pids $!"; done
        for pid in $pids; do wait $pid; echo $?; done
        $QT query | grep -c EnclaveID
        for i in 0 1 2 3; do $QT stop --enclave-id $i; done
        """)
    assert out.split("\n")[:5] == ["0", "0", "0", "0", "4"], err
    assert out.count("success") == 4


def test_numbers_that_the_driver_refuses_are_told_in_words(nitro, pong):
    _, err = nitro.run(f"$QT start --eif {pong} --mem 255; $QT start --eif {pong} --mem 256 --cpus 3; "
                       f"$QT start --eif {pong} --mem 64")
    assert "an even number of at least 64 MiB" in err and "whole cores" in err and "needs at least" in err
