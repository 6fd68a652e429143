# SPDX-License-Identifier: Apache-2.0
"""What config.json's process object, and the namespaces, make of the container's process."""
import os
import pathlib
import re
import subprocess
import sys
import time
import uuid

import pytest

from bundles import bundle, rune  # noqa: F401
from conftest import need_program, wait_for


def status_of(text, field):
    return re.search(rf"^{field}:\s*(.*)$", text, re.M).group(1)


def namespaces(pid):
    folder = pathlib.Path(f"/proc/{pid}/ns")
    return {name: os.readlink(folder / name) for name in os.listdir(folder) if not name.endswith("_for_children")}


# ---- the process object -----------------------------------------------------------------------------------------


def test_resource_limits(rune, bundle):
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                                 {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    limits = rune.output(bundle.args("cat", "/proc/self/limits"))
    assert re.search(r"^Max open files +100 +200 ", limits, re.M)
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M)


def test_a_limit_that_cannot_be_set_is_named(rune, bundle):
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 1 << 40}]
    result = rune.run(bundle.args("true"), check=False)
    assert result.returncode != 0
    assert "set rlimit RLIMIT_NOFILE to 10 (hard limit 1099511627776): Operation not permitted" in result.stderr
    assert len(result.stderr.splitlines()) == 1 and rune.status() is None


def test_scheduler_and_io_priority(rune, bundle):
    bundle.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 7}
    bundle.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}
    assert rune.output(bundle.args("ionice")).strip() == "best-effort: prio 6"
    fields = rune.output(bundle.args("cat", "/proc/self/stat"), "two").rpartition(")")[2].split()
    assert (fields[16], fields[38]) == ("7", "3")  # nice, policy: proc(5) fields 19 and 41


def test_oom_score(rune, bundle):
    bundle.process["oomScoreAdj"] = 333
    assert rune.output(bundle.args("cat", "/proc/self/oom_score_adj")) == "333\n"


def test_umask_is_the_given_or_022(rune, bundle):
    assert rune.output(bundle.shell("umask")) == "0022\n"
    bundle.process["user"]["umask"] = 0o077
    assert rune.output(bundle.shell("umask"), "two") == "0077\n"


def test_user_and_groups(rune, bundle):
    bundle.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [5, 7]}
    text = rune.output(bundle.args("cat", "/proc/self/status"))
    assert status_of(text, "Uid").split() == ["1000"] * 4 and status_of(text, "Gid").split() == ["1000"] * 4
    assert status_of(text, "Groups").split() == ["5", "7"]


def test_capabilities_of_a_user_are_permitted_and_ambient_as_given(rune, bundle):
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    for kind in ("bounding", "permitted", "effective", "inheritable", "ambient"):
        bundle.process["capabilities"][kind] = ["CAP_NET_BIND_SERVICE"]
    text = rune.output(bundle.args("cat", "/proc/self/status"))
    assert [int(status_of(text, f), 16) for f in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [1 << 10] * 5


def test_a_process_without_capabilities_has_none(rune, bundle):
    del bundle.process["capabilities"]
    text = rune.output(bundle.args("cat", "/proc/self/status"))
    assert {int(status_of(text, f), 16) for f in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}


@pytest.mark.parametrize("given", [True, False])
def test_no_new_privileges(rune, bundle, given):
    bundle.process["noNewPrivileges"] = given
    assert status_of(rune.output(bundle.args("cat", "/proc/self/status")), "NoNewPrivs") == str(int(given))


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_seccomp_filter_is_there_for_the_payload_alone(rune, bundle, no_new_privileges):
    """A filter that forbids what container-init itself needs on its way."""
    bundle.process["noNewPrivileges"] = no_new_privileges
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    forbidden = ["mkdir", "mkdirat", "openat2", "close_range", "sethostname", "mount", "unshare"]
    if no_new_privileges:
        forbidden += ["setresuid", "setresgid", "setgroups", "capset"]
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": forbidden, "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}
    result = rune.run(bundle.shell("grep Seccomp: /proc/self/status; mkdir /tmp/x; ls /proc/self/fd | wc -l"))
    assert result.stdout == "Seccomp:\t2\n4\n" and "Operation not permitted" in result.stderr


def test_personality(rune, bundle):
    bundle.linux["personality"] = {"domain": "LINUX32"}
    assert rune.output(bundle.args("uname", "-m")).strip() in ("i686", "armv8l")


def test_hostname_and_domainname(rune, bundle):
    bundle.config["hostname"], bundle.config["domainname"] = "box", "example"
    assert rune.output(bundle.args("cat", "/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname")) == \
        "box\nexample\n"


def test_home_is_that_of_the_users_passwd_entry(rune, bundle):
    assert rune.output(bundle.shell("echo $HOME")) == "/root\n"
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    assert rune.output(bundle.shell("echo $HOME"), "two") == "/home/user\n"
    bundle.process["user"] = {"uid": 4711, "gid": 1000}
    assert rune.output(bundle.shell("echo $HOME"), "three") == "/\n"
    bundle.process["env"].append("HOME=/given")
    assert rune.output(bundle.shell("echo $HOME"), "four") == "/given\n"


def test_of_variables_with_one_name_the_last_counts(rune, bundle):
    bundle.process["env"] += ["A=1", "B=2", "A=3"]
    assert rune.output(bundle.args("env")).splitlines()[-3:] == ["B=2", "A=3", "HOME=/root"]
    rune.start(bundle.args("sleep", "1000"))
    assert rune("exec", "--env", "A=4", "c", "sh", "-c", "echo $A; env | grep -c ^A=").stdout == "4\n1\n"


def test_sockets_of_a_service_manager_are_passed_on(rune, bundle):
    """LISTEN_FDS with our pid; the payload sees its own."""
    script = 'import os, sys; os.environ["LISTEN_PID"] = str(os.getpid()); os.execv(sys.argv[1], sys.argv[1:])'
    bundle.shell("echo $LISTEN_FDS $LISTEN_PID $$; cat <&3").write()
    socket = bundle.path / "socket"
    socket.write_text("through\n")
    command = [sys.executable, "-c", script, *rune.command("run", "--bundle", bundle.path, "c")]
    result = subprocess.run(["sh", "-c", f'exec "$@" 3<{socket}', "sh", *command], text=True, capture_output=True,
                            env={**os.environ, "LISTEN_FDS": "1"}, timeout=60)
    assert (result.stdout, result.stderr) == ("1 1 1\nthrough\n", "")


# ---- folder and command -----------------------------------------------------------------------------------------


def test_working_folder_is_made_and_is_inside(rune, bundle):
    bundle.config["root"]["readonly"] = False
    bundle.process["cwd"] = "/made/for/it"
    assert rune.output(bundle.args("pwd")) == "/made/for/it\n"
    assert (bundle.rootfs / "made/for/it").is_dir()
    os.symlink("/../../../../escaped", bundle.rootfs / "way-out")
    bundle.process["cwd"] = "/way-out/below"
    rune.run(bundle.args("pwd"), "two", check=False)
    assert not os.path.lexists("/escaped")


def test_working_folder_that_only_root_or_only_the_user_may_enter(rune, bundle):
    """runc's promise: root's rights first, and the user's where those don't do."""
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    bundle.process["cwd"] = "/root"
    (bundle.rootfs / "root").chmod(0o700)
    assert rune.output(bundle.args("/bin/pwd")) == "/root\n"


@pytest.mark.parametrize("command, text", [
    ("nosuch", 'exec: "nosuch": executable file not found in $PATH'),
    ("/no/such", 'exec: "/no/such": stat /no/such: no such file or directory'),
    ("/etc", 'exec: "/etc": is a directory: permission denied'),
    ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
    ("/etc/passwd/x", 'exec: "/etc/passwd/x": stat /etc/passwd/x: not a directory'),
])
def test_a_command_that_cannot_be_executed_fails_create_with_the_words_engines_look_for(rune, bundle, command, text):
    text = text.replace('"', '\\"')  # as the log has it
    result = rune.create(bundle.args(command), check=False)
    assert result.returncode != 0 and text in result.stderr and len(result.stderr.splitlines()) == 1
    assert rune.status() is None
    rune.start(bundle.args("sleep", "1000"))
    result = rune("exec", "c", command, check=False)
    assert result.returncode == 255 and text in result.stderr


def test_a_command_that_fails_only_as_it_is_executed_fails_start(rune, bundle):
    (bundle.rootfs / "bin/lost").write_text("#!/no/interpreter\n")
    (bundle.rootfs / "bin/lost").chmod(0o755)
    rune.create(bundle.args("lost"))
    result = rune("start", "c", check=False)
    assert result.returncode != 0 and "exec /bin/lost: no such file or directory" in result.stderr
    rune.wait_status("stopped")
    result = rune.run(bundle.args("lost"), "two", check=False)
    assert result.returncode != 0 and "exec /bin/lost: no such file or directory" in result.stderr
    assert rune.status("two") is None


def test_a_command_is_found_without_a_path(rune, bundle):
    bundle.process["env"] = []
    assert rune.output(bundle.args("echo", "found")) == "found\n"


# ---- namespaces -------------------------------------------------------------------------------------------------


def test_new_namespaces_are_new_and_the_others_ours(rune, bundle):
    bundle.without_namespace("ipc")
    bundle.namespace("time")
    bundle.linux["timeOffsets"] = {"boottime": {"secs": 1000000, "nanosecs": 5}, "monotonic": {"secs": 1000}}
    rune.start(bundle.args("sleep", "1000"))
    ours, theirs = namespaces("self"), namespaces(rune.state()["pid"])
    assert {name for name in ours if ours[name] == theirs[name]} == {"ipc", "user"}
    up = float(rune("exec", "c", "cat", "/proc/uptime").stdout.split()[0])
    assert abs(up - 1000000 - time.clock_gettime(time.CLOCK_BOOTTIME)) < 60
    inside = rune("exec", "c", "sh", "-c", "for n in cgroup ipc mnt net pid time user uts; do "
                  "echo $n $(readlink /proc/self/ns/$n); done").stdout
    assert dict(line.split() for line in inside.splitlines()) == \
        {name: theirs[name] for name in ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")}


def test_namespaces_by_path_are_joined(rune, bundle):
    rune.start(bundle.args("sleep", "1000"), "first")
    pid = rune.state("first")["pid"]
    for kind, name in (("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")):
        bundle.namespace(kind, f"/proc/{pid}/ns/{name}")
    del bundle.config["hostname"]
    bundle.linux["cgroupsPath"] += "-second"
    rune.start(bundle, "second")
    first, second = namespaces(pid), namespaces(rune.state("second")["pid"])
    assert {name for name in first if first[name] == second[name]} == {"net", "ipc", "uts", "pid", "user", "time"}
    # The second is a process of the first's PID namespace, and waits there for its own start.
    assert rune("exec", "second", "sh", "-c", "echo $(ps | grep -c '[s]leep 1000')").stdout == "2\n"


def test_a_mount_namespace_by_path_that_shares_nothing_with_ours(rune, bundle):
    other = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; exec sleep 1000"],
                             stdout=subprocess.PIPE)
    try:
        other.stdout.readline()
        bundle.namespace("mount", f"/proc/{other.pid}/ns/mnt")
        assert rune.output(bundle.args("ls", "/")).split() == sorted(p.name for p in bundle.rootfs.iterdir())
    finally:
        other.kill()
        other.wait()


def with_user_namespace(bundle):
    bundle.namespace("user")
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [
        {"containerID": 0, "hostID": 100000, "size": 65536}]
    for folder in (bundle.path, *bundle.path.parents):  # which pytest makes for root alone
        if folder.stat().st_mode & 0o001 == 0:
            folder.chmod(0o711)
    return bundle


def test_user_namespace(rune, bundle):
    bundle = with_user_namespace(bundle)
    bundle.process["user"] = {"uid": 5, "gid": 6, "additionalGids": [7]}
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
    rune.start(bundle.args("sleep", "1000"))
    text = pathlib.Path(f"/proc/{rune.state()['pid']}/status").read_text()
    assert (status_of(text, "Uid").split()[0], status_of(text, "Gid").split()[0]) == ("100005", "100006")
    assert status_of(text, "Groups").split() == ["100007"]
    result = rune("exec", "--user", "8:9", "c", "id")
    assert "uid=8" in result.stdout and "gid=9" in result.stdout
    text = rune("exec", "--user", "0:0", "c", "cat", "/proc/self/status").stdout
    assert int(status_of(text, "CapEff"), 16) == 0x20000420


def test_a_user_namespace_that_another_container_has(rune, bundle):
    bundle = with_user_namespace(bundle)
    rune.start(bundle.args("sleep", "1000"), "first")
    pid = rune.state("first")["pid"]
    for kind, name in (("user", "user"), ("network", "net")):
        bundle.namespace(kind, f"/proc/{pid}/ns/{name}")
    del bundle.linux["uidMappings"], bundle.linux["gidMappings"]
    bundle.linux["cgroupsPath"] += "-second"
    rune.start(bundle, "second")
    first, second = namespaces(pid), namespaces(rune.state("second")["pid"])
    assert {name for name in first if first[name] == second[name]} == {"net", "user", "time"}


def test_a_user_that_the_user_namespace_does_not_know(rune, bundle):
    bundle = with_user_namespace(bundle)
    bundle.process["user"] = {"uid": 70000, "gid": 0}
    result = rune.run(bundle.args("true"), check=False)
    assert result.returncode != 0 and "cannot setuid to unmapped uid 70000 in user namespace" in result.stderr


def test_session_keyring_is_the_containers(rune, bundle):
    """The host's session keyring isn't there to be read."""
    bundle.linux["maskedPaths"] = []
    rune.start(bundle.args("sleep", "1000"))
    keys = rune("exec", "c", "cat", "/proc/keys").stdout
    assert "_ses.c" in keys


SESSION_KEYRING = """
#include <linux/keyctl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
        char text[256];
        long keyring = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
        if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, keyring, text, sizeof(text)) < 0)
                return 1;
        printf("%ld %s\\n", keyring, text);
        return 0;
}
"""

# Joins the session keyring of a name (1), lets all others use it (5), and keeps it until its input ends.
KEYRING_OF_ANOTHER = """
import ctypes, sys
keyctl = lambda *args: ctypes.CDLL(None).syscall(int(sys.argv[1]), *args)
keyring = keyctl(1, sys.argv[2].encode())
print(keyring, keyctl(5, keyring, 0x3f3f3f3f), flush=True)
sys.stdin.read()
"""
KEYCTL_NUMBERS = {"x86_64": 250, "aarch64": 219}


def test_session_keyring_is_not_one_that_another_user_has_made(rune, bundle, tmp_path):
    """Who can guess an id would have what the container keeps in it."""
    (tmp_path / "keyring.c").write_text(SESSION_KEYRING)
    subprocess.run([need_program("cc"), "-static", "-o", bundle.rootfs / "bin/keyring", tmp_path / "keyring.c"],
                   check=True)
    name = uuid.uuid4().hex  # "c" is what other tests call theirs
    with subprocess.Popen([sys.executable, "-c", KEYRING_OF_ANOTHER, str(KEYCTL_NUMBERS[os.uname().machine]),
                           f"_ses.{name}"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=65534,
                          group=65534, extra_groups=[], cwd="/") as other:
        theirs, permitted = other.stdout.readline().split()
        assert permitted == "0"
        created = rune.create(bundle.args("sh", "-c", "keyring && sleep 1000"), name)
        rune("start", name)
        held = [wait_for((bundle.path / f"{name}.out").read_text, "its keyring"), rune("exec", name, "keyring").stdout]
        other.stdin.close()
    assert all(line.split()[1].startswith("keyring;0;") and line.split()[0] != theirs for line in held)
    assert name in created.stderr and "another user's" in created.stderr


# ---- exec -------------------------------------------------------------------------------------------------------


def test_exec_affinity(rune, bundle):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    bundle.process["execCPUAffinity"] = {"initial": "0-1", "final": "1"}
    rune.start(bundle.args("sleep", "1000"))
    text = rune("exec", "c", "cat", "/proc/self/status").stdout
    assert status_of(text, "Cpus_allowed_list") == "1"
