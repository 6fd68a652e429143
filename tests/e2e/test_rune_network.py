# SPDX-License-Identifier: Apache-2.0
"""Network devices of the host that become a container's, in a network namespace that the test makes."""

import subprocess
import uuid

import pytest

from bundles import bundle, rune  # noqa: F401


@pytest.fixture
def host(rune):  # noqa: F811
    """rune in a network namespace of its own, the "host", with a pair of devices."""
    name = f"rune{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    plain = rune.command
    rune.command = lambda *args: ["/usr/bin/nsenter", f"--net=/run/netns/{name}", *plain(*args)]
    try:
        ip(name, "link", "add", "host0", "type", "veth", "peer", "name", "host1")
        ip(name, "address", "add", "10.77.0.1/24", "dev", "host0")
        ip(name, "link", "set", "host0", "address", "02:00:00:00:00:07", "mtu", "1400")
        yield name
    finally:
        rune.clear()
        subprocess.run(["ip", "netns", "delete", name], check=True)


def ip(namespace, *args):
    return subprocess.run(["ip", "-netns", namespace, *args], check=True, capture_output=True, text=True).stdout


def test_a_device_moves_with_name_address_and_mtu(rune, bundle, host):  # noqa: F811
    bundle.linux["netDevices"] = {"host0": {"name": "eth7"}}
    seen = rune.output(bundle.shell("ip addr show eth7"))
    assert "10.77.0.1/24" in seen and "02:00:00:00:00:07" in seen and "mtu 1400" in seen and "UP" in seen
    assert "host0" not in ip(host, "link")


def test_a_device_keeps_its_name_where_none_is_given(rune, bundle, host):  # noqa: F811
    bundle.linux["netDevices"] = {"host0": {}}
    assert "10.77.0.1/24" in rune.output(bundle.shell("ip addr show host0"))
    assert "host0" not in ip(host, "link")


def test_a_device_is_there_for_the_hooks(rune, bundle, host, tmp_path):  # noqa: F811
    bundle.linux["netDevices"] = {"host0": {"name": "eth7"}}
    seen = tmp_path / "seen"
    bundle.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": [
        "sh", "-c", f"pid=$(jq .pid); nsenter --net=/proc/$pid/ns/net ip link show eth7 > {seen}"],
        "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}]}
    rune.run(bundle.args("true"))
    assert "eth7" in seen.read_text()


def test_a_device_that_is_not_there_fails_the_create_and_leaves_nothing(rune, bundle, host):  # noqa: F811
    bundle.linux["netDevices"] = {"nowhere0": {}}
    result = rune.run(bundle.args("true"), check=False)
    assert result.returncode == 1
    assert "nowhere0" in result.stderr
    assert rune.status() is None


def test_the_loopback_device_of_a_new_network_is_on(rune, bundle):  # noqa: F811
    assert "inet 127.0.0.1/8" in rune.output(bundle.shell("ip addr show lo"))


def test_the_loopback_device_of_a_network_that_was_there_stays_as_it_is(rune, bundle, host):  # noqa: F811
    bundle.namespace("network", f"/run/netns/{host}")
    assert "<LOOPBACK>" in rune.output(bundle.shell("ip addr show lo"))
