# SPDX-License-Identifier: Apache-2.0
"""Registries, networks and proxies that fail: each fault has a test, and its message says what, where, why and what to
do.  The servers are fake_servers.py's, on loopback; names that aren't this machine's are reached through a fake proxy."""
import email.utils
import json
import os
import threading
import time

import pytest

import fake_servers as F
import images as I
from conftest import DEADLINE
from image_dump import CONFIG, LAYERS, MIXED, authfile, dump, same  # noqa: F401

FIRST = MIXED.layer_digests[0]
SIZE = len(MIXED.blobs[FIRST])


@pytest.fixture
def fake():
    with F.fake_registry() as one:
        one.add("app:1", MIXED)
        one.uri = f"docker://{one.host}/app:1"
        yield one


def asked_for(state, digest):
    """The requests for a blob or manifest."""
    return [r for r in state.requests if r.path.endswith(digest)]


def layer_fault(fake, digest, number, text):
    return f"{fake.uri}: layer {number} of 3 ({digest}): {text}"


# --- resuming ------------------------------------------------------------------------------------------------

def test_connections_that_are_reset_are_resumed(dump, fake):
    fake.reset[FIRST] = [0, 50000, 80000]
    assert same(dump(fake.uri), MIXED)
    assert len(asked_for(fake, FIRST)) == 4


def test_a_body_that_ends_early_without_a_length_is_resumed(dump, fake):
    fake.no_length[FIRST] = [60000, 40000]
    assert same(dump(fake.uri), MIXED)
    assert [r.headers.get("Range") for r in asked_for(fake, FIRST)] == [None, "bytes=60000-", "bytes=100000-"]


def test_a_server_that_refuses_ranges_is_asked_for_all_again(dump, fake):
    fake.cut[FIRST] = [70000]

    def refuse(handler):
        if "Range" in handler.headers:
            handler.error(416, "no ranges here")
            return True
        return False
    fake.before = refuse
    assert same(dump(fake.uri), MIXED)
    assert [r.headers.get("Range") for r in asked_for(fake, FIRST)] == [None, "bytes=70000-", None]


def test_a_server_that_refuses_ranges_and_breaks_off_again_is_resumed_from_where_the_sink_is(dump, fake):
    fake.cut[FIRST] = [70000, 30000, 90000]
    fake.no_ranges = True
    assert same(dump(fake.uri), MIXED)


@pytest.mark.parametrize("content_range, text", [
    (f"bytes 0-{SIZE - 1}/{SIZE}", "sent another range"),
    (f"bytes 70001-{SIZE - 1}/{SIZE}", "sent another range"),
    (f"bytes 70000-{SIZE - 1}/{SIZE + 1}", "sent another range"),
    (f"bytes 70000-{SIZE}/*", "sent another range"),
    ("bytes 9-1/10", 'does not say which (Content-Range "bytes 9-1/10")'),
    ("\x1b[31m", 'does not say which (Content-Range "?[31m'),
    ("", "does not say which"),
])
def test_another_range_than_asked_for_is_refused(dump, fake, content_range, text):
    fake.cut[FIRST] = [70000]

    def lie(handler):
        if "Range" in handler.headers:
            fake.content_range[FIRST] = content_range
        return False
    fake.before = lie
    message = dump.fails(fake.uri)
    assert message.startswith(layer_fault(fake, FIRST, 1, "")) and text in message
    assert len(asked_for(fake, FIRST)) == 2


def test_a_part_that_nobody_asked_for_is_refused(dump, fake):
    fake.content_range[FIRST] = f"bytes 0-{SIZE - 1}/{SIZE}"
    assert dump.fails(fake.uri) == layer_fault(fake, FIRST, 1, "sends a part where the whole was asked for")


def test_a_blob_that_changes_while_it_is_resumed_is_found(dump, fake):
    blob = MIXED.blobs[FIRST]
    fake.cut[FIRST] = [70000]

    def change(handler):
        if "Range" in handler.headers:
            fake.wrong[FIRST] = blob[:-5000] + bytes([blob[-5000] ^ 1]) + blob[-4999:]
        return False
    fake.before = change
    assert dump.fails(fake.uri).startswith(layer_fault(fake, FIRST, 1, ""))
    assert len(asked_for(fake, FIRST)) == 2


def test_a_real_registry_behind_a_link_that_breaks(dump, registry, tmp_path):
    registry.push(I.write_oci_layout(str(tmp_path / "l"), MIXED), "latest", "broken/link:1")
    # The first connection tries TLS; the next one brings manifest and configuration and a part of the first layer.
    cuts = [None, 60000, 90000, 30000]
    with F.cutter(registry.host, cuts) as host:
        done = dump.run("--debug", "--transfers", "1", f"docker://{host}/broken/link:1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["layers"] == MIXED.diff_ids
    # libcurl itself tries again where a connection that it kept is cut before the next reply begins.
    assert cuts == [] and 1 <= done.stderr.count("trying again") <= 3


# --- trying again --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(dump, fake, status):
    fake.failures += [["manifests", status, {}], [FIRST, status, {}], [FIRST, status, {}]]
    assert same(dump(fake.uri), MIXED)
    assert fake.failures == []


@pytest.mark.parametrize("status, text", [(400, "answers with status 400"), (403, "denies access"),
                                          (404, "has no such image or blob"), (501, "answers with status 501")])
def test_what_will_not_pass_is_not_tried_again(dump, fake, status, text):
    fake.failures += [[FIRST, status, {}]] * 9
    message = dump.fails(fake.uri)
    assert message.startswith(layer_fault(fake, FIRST, 1, f"the registry {text}")) and "failing on purpose" in message
    assert len(asked_for(fake, FIRST)) == 1


def test_tries_have_an_end_and_grow_apart(dump, fake):
    fake.failures += [[FIRST, 503, {}]] * 99
    text = dump.fails("--first-pause-ms", "60", fake.uri)
    assert text == layer_fault(fake, FIRST, 1, "the registry answers with status 503 (failing on purpose); "
                                               "given up after 6 tries")
    times = [r.time for r in asked_for(fake, FIRST)]
    assert len(times) == 6
    for n, (a, b) in enumerate(zip(times, times[1:])):
        assert b - a >= 0.060 * 2 ** n * 0.75


def waited(fake):
    """Seconds between the first two requests for a tag's manifest."""
    times = [r.time for r in asked_for(fake, "/1")]
    return times[1] - times[0]


def test_retry_after_in_seconds_is_honoured_and_told(dump, fake):
    fake.failures.append(["manifests", 429, {"Retry-After": "2"}])
    done = dump.run(fake.uri)
    assert done.returncode == 0
    assert waited(fake) >= 2
    assert f"{fake.host}: the registry says: too many requests (failing on purpose); trying again in 2 s" in done.stderr


def test_retry_after_as_a_date_is_honoured(dump, fake):
    def refuse(handler):
        fake.before = None
        handler.error(503, "later", Retry_After=email.utils.formatdate(time.time() + 3, usegmt=True))
        return True
    fake.before = refuse
    assert same(dump(fake.uri), MIXED)
    assert waited(fake) >= 1.5  # the date has whole seconds


@pytest.mark.parametrize("value", ["0", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-1"])
def test_retry_after_that_says_nothing_is_passed_over(dump, fake, value):
    fake.failures.append(["manifests", 429, {"Retry-After": value}])
    assert same(dump(fake.uri), MIXED)


@pytest.mark.parametrize("value, seconds", [("3600", "3600"), ("99999999999999999999", "2147483647")])
def test_a_registry_that_wants_more_than_two_minutes_is_given_up(dump, fake, value, seconds):
    fake.failures += [["manifests", 429, {"Retry-After": value}]] * 2
    assert dump.fails(fake.uri).endswith("the registry says: too many requests (failing on purpose); "
                                         f"it asks to be left alone for {seconds} s: try again then")
    assert len(fake.requests) == 1


def test_a_busy_token_server_is_asked_again(dump, fake):
    fake.token = "token-1"
    fake.failures += [["/token", 503, {}], ["/token", 429, {}]]
    assert same(dump(fake.uri), MIXED)


def test_a_slow_drip_is_given_up(dump, fake):
    fake.drip[FIRST] = (40, 0.1)
    text = dump.fails("--stall-seconds", "1", fake.uri)
    assert text == layer_fault(fake, FIRST, 1, "slower than 1024 bytes per second for 1 s; given up after 6 tries")
    ranges = [r.headers.get("Range") for r in asked_for(fake, FIRST)]
    assert ranges[0] is None and all(r.startswith("bytes=") for r in ranges[1:])


def test_a_server_that_does_not_answer_at_all_is_asked_again(dump, fake):
    def hang(handler):
        if FIRST not in handler.path:
            return False
        fake.before = None
        handler.close_connection = True
        handler.server.over.wait(DEADLINE)
        return True
    fake.before = hang
    assert same(dump("--stall-seconds", "1", fake.uri), MIXED)


# --- tokens that run out -------------------------------------------------------------------------------------

def test_a_token_that_runs_out_in_the_middle_of_a_blob_is_renewed_each_time(dump, fake):
    fake.token, fake.cut[FIRST] = "token-1", [60000, 50000, 40000]
    seen = set()

    def expire(handler):
        start = handler.headers.get("Range")
        if start and start not in seen:
            seen.add(start)
            fake.new_token()
        return False
    fake.before = expire
    # One transfer: another one could find its new token out of date twice, which is a refusal.
    assert same(dump("--transfers", "1", fake.uri), MIXED)
    assert len(seen) == 3 and fake.token == "token-4"


def test_transfers_share_a_renewed_token(dump, fake):
    """All three layers are asked for with a token that has run out; one renewal does for all."""
    fake.token = "token-1"
    arrived = threading.Barrier(3)

    def expire(handler):
        if handler.headers.get("Authorization") == "Bearer token-1" and any(
                digest in handler.path for digest in MIXED.layer_digests):
            if arrived.wait(DEADLINE) == 0:
                fake.new_token()
            arrived.wait(DEADLINE)
        return False
    fake.before = expire
    assert same(dump("--transfers", "3", fake.uri), MIXED)
    assert sum(r.path.startswith("/token") for r in fake.requests) == 2


def test_a_token_that_is_never_accepted(dump, fake):
    fake.token = "token-1"

    def refuse(handler):
        fake.new_token()
        return False
    fake.before = refuse
    assert "the registry denies access (token wanted); the credentials may be wrong" in dump.fails(fake.uri)
    assert len(fake.requests) == 3


def test_an_address_that_runs_out_is_asked_for_again(dump, fake):
    """What a redirect leads to is good for one transfer, as signed addresses are good for some minutes."""
    with F.fake_registry() as store:
        store.add("app:1", MIXED)
        fake.redirect, store.cut[FIRST] = store.url, [70000]

        def run_out(handler):
            if "Range" not in handler.headers:
                return False
            store.before = None
            handler.error(403, "signature has expired")
            return True
        store.before = run_out
        assert same(dump(fake.uri), MIXED)
        assert len(asked_for(store, FIRST)) == len(asked_for(fake, FIRST)) == 3


# --- where credentials go ------------------------------------------------------------------------------------

def test_another_port_is_another_host(dump, fake, tmp_path):
    fake.user = ("alice", "secret")
    with F.fake_registry() as store:
        store.add("app:1", MIXED)
        fake.redirect = store.url
        assert same(dump("--authfile", authfile(tmp_path / "a", fake.host, *fake.user), fake.uri), MIXED)
        assert store.requests and not any("Authorization" in r.headers for r in store.requests)


def test_a_token_server_somewhere_else_gets_no_password_over_plain_http(dump, fake, tmp_path):
    fake.token, fake.user, fake.realm = "token-1", ("alice", "secret"), "http://192.0.2.1/token"
    text = dump.fails("--authfile", authfile(tmp_path / "a", fake.host, *fake.user), fake.uri)
    assert "token server http://192.0.2.1/token: http://192.0.2.1/token: plain http is refused" in text


def test_addresses_in_descriptors_are_not_asked(dump, fake):
    with F.fake_registry() as store:
        store.add("app:1", MIXED)
        manifest = json.loads(json.dumps(MIXED.manifest))
        manifest["layers"][0]["urls"] = [f"{store.url}/v2/app/blobs/{FIRST}"]
        fake.tags["app:1"] = (I.json_bytes(manifest), I.OCI_MANIFEST)
        del fake.blobs[FIRST]
        fake.token = "token-1"
        assert layer_fault(fake, FIRST, 1, "the registry has no such image or blob") in dump.fails(fake.uri)
        assert store.requests == []


def test_the_end_of_a_redirect_is_named_where_it_fails(dump, fake):
    with F.nobody() as host:
        fake.redirect = f"http://{host}"
        assert dump.fails(fake.uri).endswith(f"http://{host}/v2/app/blobs/{MIXED.config_digest}, where it redirects to: "
                                             "Connection refused; given up after 6 tries")


def test_redirects_in_a_circle_between_hosts(dump, fake):
    with F.fake_registry() as other:
        fake.redirect, other.redirect = other.url, fake.url
        assert "redirects more than 5 times" in dump.fails(fake.uri)
        assert len(fake.requests) + len(other.requests) <= 7


# --- plain http, certificates --------------------------------------------------------------------------------

@pytest.fixture
def proxy():
    with F.fake_proxy() as one:
        yield one


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    names = ["DNS:registry.example", "DNS:registry.localhost", "DNS:token.example", "IP:127.0.0.1"]
    return F.make_certificate(str(tmp_path_factory.mktemp("tls")), names)


def test_plain_http_is_for_named_hosts_only(dump, fake, proxy):
    proxy.hosts["registry.example:80"] = proxy.hosts["registry.example:443"] = fake.host
    env = {"HTTP_PROXY": f"http://{proxy.host}", "HTTPS_PROXY": f"http://{proxy.host}"}
    uri = "docker://registry.example/app:1"
    for more in ([], ["--insecure-registry", "example"], ["--insecure-registry", "registry.example:5000"]):
        text = dump.fails(*more, uri, **env)
        assert text.startswith(f"{uri}: registry registry.example: ") and "name it with --insecure-registry" in text
    assert fake.requests == []
    assert same(dump("--insecure-registry", "registry.example", uri, **env), MIXED)
    assert same(dump("--insecure-registry", "x", "--insecure-registry", "registry.example:80", uri, **env), MIXED)


def test_an_insecure_registrys_token_server_is_another_host(dump, fake, proxy, tmp_path):
    proxy.hosts["registry.example:80"] = proxy.hosts["token.example:80"] = fake.host
    env = {"HTTP_PROXY": f"http://{proxy.host}", "HTTPS_PROXY": f"http://{proxy.host}"}
    fake.token, fake.user, fake.realm = "token-1", ("alice", "secret"), "http://token.example/token"
    options = ["--authfile", authfile(tmp_path / "a", "registry.example", *fake.user),
               "--insecure-registry", "registry.example:80"]
    proxy.hosts["registry.example:443"] = fake.host
    text = dump.fails(*options, "docker://registry.example/app:1", **env)
    assert "http://token.example/token: plain http is refused except with this machine and hosts named as" in text
    assert not any("Basic" in r.headers.get("Authorization", "") for r in fake.requests)
    assert same(dump(*options, "--insecure-registry", "token.example", "docker://registry.example/app:1", **env), MIXED)


def test_certificates_go_unchecked_with_named_hosts_only(dump, certificate):
    with F.fake_registry(tls=certificate) as fake:
        fake.add("app:1", MIXED)
        uri = f"docker://{fake.host}/app:1"
        for more in ([], ["--insecure-registry", "registry.example"], ["--insecure-registry", "127.0.0.1:1"]):
            assert "--ca-file further ones" in dump.fails(*more, uri)
        assert same(dump("--insecure-registry", fake.host, uri), MIXED)


def test_authorities_beside_the_systems(dump, certificate, tmp_path):
    with F.fake_registry(tls=certificate) as fake:
        fake.add("app:1", MIXED)
        uri = f"docker://{fake.host}/app:1"
        assert same(dump("--ca-file", certificate[0], uri), MIXED)
        folder = tmp_path / "home/.config/containers/certs.d" / fake.host
        folder.mkdir(parents=True)
        (folder / "any.crt").write_bytes(open(certificate[0], "rb").read().rstrip())
        assert same(dump(uri), MIXED)
        (folder / "any.crt").rename(folder / "any.txt")
        assert "certificate is not trusted" in dump.fails(uri)


def test_authorities_that_are_none(dump, certificate, tmp_path):
    (tmp_path / "x.pem").write_text("hello\n")
    uri = "docker://127.0.0.1:1/app:1"
    assert "x.pem: holds no certificate in PEM form" in dump.fails("--ca-file", tmp_path / "x.pem", uri)
    assert "y.pem: No such file" in dump.fails("--ca-file", tmp_path / "y.pem", uri)
    (tmp_path / "z.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with F.fake_registry(tls=certificate) as fake:
        text = dump.fails("--ca-file", tmp_path / "z.pem", f"docker://{fake.host}/app:1")
        assert "certificate" in text and fake.requests == []


def test_our_certificate_is_for_the_registry_alone(dump, certificate, tmp_path):
    ours = tmp_path / "ours"
    ours.mkdir()
    own = F.make_certificate(str(ours), ["DNS:client"])
    shown = {}

    def note(handler):
        shown.setdefault(handler.server.url, []).append(bool(handler.connection.getpeercert()))
        return False
    with F.fake_registry(tls=certificate, clients=own[0]) as fake, \
            F.fake_registry(tls=certificate, clients=own[0]) as store:
        for one in (fake, store):
            one.add("app:1", MIXED)
            one.before = note
        fake.redirect = store.url
        folder = tmp_path / "home/.config/containers/certs.d" / fake.host
        folder.mkdir(parents=True)
        (folder / "ours.cert").write_bytes(open(own[0], "rb").read())
        uri = f"docker://{fake.host}/app:1"
        assert "ours.key, the key of" in dump.fails("--ca-file", certificate[0], uri)
        (folder / "ours.key").write_bytes(open(own[1], "rb").read())
        assert same(dump("--ca-file", certificate[0], uri), MIXED)
        assert set(shown[fake.url]) == {True} and set(shown[store.url]) == {False}


# --- proxies -------------------------------------------------------------------------------------------------

@pytest.fixture
def proxied(certificate, proxy):
    """A registry by https that only the proxy can reach."""
    with F.fake_registry(tls=certificate) as one:
        one.add("app:1", MIXED)
        one.uri = "docker://registry.example/app:1"
        one.proxy = proxy
        one.env = {"HTTPS_PROXY": f"http://alice:s3cr3t@{proxy.host}", "SSL_CERT_FILE": certificate[0]}
        proxy.hosts["registry.example:443"] = one.host
        yield one


def test_a_proxy_sees_its_own_credentials_and_none_else(dump, proxied, tmp_path):
    proxied.proxy.user, proxied.user = ("alice", "s3cr3t"), ("bob", "registry's")
    path = authfile(tmp_path / "a", "registry.example", *proxied.user)
    assert same(dump("--authfile", path, proxied.uri, **proxied.env), MIXED)
    assert {(r.method, r.path) for r in proxied.proxy.requests} == {("CONNECT", "registry.example:443")}
    assert not any("Authorization" in r.headers for r in proxied.proxy.requests)
    assert not any("Proxy-Authorization" in r.headers for r in proxied.requests)


@pytest.mark.parametrize("status, text", [
    (407, "with status 407; it wants credentials, or other ones: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"),
    (403, "with status 403; NO_PROXY names the hosts to be reached without it"),
    (502, "with status 502; NO_PROXY names the hosts to be reached without it"),
])
def test_a_proxy_that_refuses_is_named_without_its_password(dump, proxied, status, text):
    if status == 407:
        proxied.proxy.user = ("alice", "another")
    else:
        proxied.proxy.refuse = status
    for more in ([], ["--debug"]):
        done = dump.run(*more, proxied.uri, **proxied.env)
        assert done.returncode == 1 and "s3cr3t" not in done.stderr and "alice" not in done.stderr
        assert done.stderr.splitlines()[-1] == (
            f"image-dump: {proxied.uri}: registry registry.example: the proxy http://{proxied.proxy.host} (HTTPS_PROXY) "
            f"refuses to connect, {text}")


def test_a_proxy_for_plain_http_that_wants_a_password(dump, fake, proxy):
    proxy.user, proxy.hosts["registry.example:80"] = ("alice", "s3cr3t"), fake.host
    text = dump.fails("--insecure-registry", "registry.example", "docker://registry.example/app:1",
                      HTTP_PROXY=f"http://{proxy.host}")
    assert "registry.example" in text
    done = dump.run("--insecure-registry", "registry.example", "docker://registry.example/app:1",
                    HTTP_PROXY=f"http://alice:wrong@{proxy.host}", HTTPS_PROXY="http://127.0.0.1:1")
    assert f"the proxy http://{proxy.host} (HTTP_PROXY) denies access; it wants credentials" in done.stderr
    assert "wrong" not in done.stderr


def test_a_proxy_that_is_not_there(dump, proxied):
    with F.nobody() as host:
        env = {**proxied.env, "HTTPS_PROXY": f"http://alice:s3cr3t@{host}"}
        assert dump.fails(proxied.uri, **env).endswith(f"the proxy http://{host} (HTTPS_PROXY): Connection refused")


def test_no_proxy_and_this_machine_are_reached_directly(dump, fake, proxied):
    uri = f"docker://registry.localhost:{proxied.host.split(':')[1]}/app:1"
    text = dump.fails(uri, **proxied.env)
    assert "refuses to connect, with status 502" in text
    before = len(proxied.proxy.requests)
    assert same(dump(uri, NO_PROXY="other,registry.localhost", **proxied.env), MIXED)
    assert same(dump(fake.uri, HTTP_PROXY=f"http://{proxied.proxy.host}", **proxied.env), MIXED)
    assert len(proxied.proxy.requests) == before


@pytest.mark.parametrize("value", ["ftp://alice:s3cr3t@127.0.0.1", "http://alice:s3cr3t@", "http://127.0.0.1:s3cr3t"])
def test_a_proxy_that_is_none(dump, value):
    text = dump.fails("docker://registry.example/app:1", HTTPS_PROXY=value)
    assert "HTTPS_PROXY" in text and "s3cr3t" not in text


# --- credential helpers --------------------------------------------------------------------------------------

def helper(folder, script):
    """A program docker-credential-test that notes that it ran; gives a PATH."""
    folder.mkdir(exist_ok=True)
    program = folder / "docker-credential-test"
    program.write_text(f"#!/bin/sh\ncat >>{folder}/ran\n{script}\n")
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize("members", [{"credHelpers": {"HOST": "test"}}, {"credsStore": "test", "auths": {"HOST": {}}}])
def test_helpers_are_run_where_that_was_asked_for(dump, fake, tmp_path, members):
    fake.user = ("alice", "secret")
    path = helper(tmp_path / "bin", """echo '{"ServerURL":"x","Username":"alice","Secret":"secret"}'""")
    config = tmp_path / "config.json"
    config.write_text(json.dumps(members).replace("HOST", fake.host))
    done = dump.run("--debug", "--authfile", config, fake.uri, PATH=path)
    assert done.returncode == 1 and not (tmp_path / "bin/ran").exists()
    assert "docker-credential-test, which is not asked; --credential-helpers lets it be run" in done.stderr
    assert same(dump("--credential-helpers", "--authfile", config, fake.uri, PATH=path), MIXED)
    assert (tmp_path / "bin/ran").read_text() == fake.host


def test_a_helper_that_has_nothing_leaves_it_to_the_file(dump, fake, tmp_path):
    fake.user = ("alice", "secret")
    path = helper(tmp_path / "bin", "echo credentials not found in native keychain; exit 1")
    config = authfile(tmp_path / "config.json", fake.host, *fake.user)
    config.write_text(json.dumps({**json.loads(config.read_text()), "credHelpers": {fake.host: "test"}}))
    assert same(dump("--credential-helpers", "--authfile", config, fake.uri, PATH=path), MIXED)


def test_a_helper_that_fails_is_named(dump, fake, tmp_path):
    fake.user = ("alice", "secret")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"credHelpers": {fake.host: "test"}}))
    path = helper(tmp_path / "bin", "echo the vault is sealed; exit 1")
    text = dump.fails("--credential-helpers", "--authfile", config, fake.uri, PATH=path)
    assert f"{config}: docker-credential-test: fails: the vault is sealed" in text
    text = dump.fails("--credential-helpers", "--authfile", config, fake.uri)
    assert "docker-credential-test" in text and "leave out --credential-helpers" in text


# --- sizes ---------------------------------------------------------------------------------------------------

def test_endless_headers(dump, fake):
    def flood(handler):
        handler.send_response(200)
        for number in range(10000):
            handler.send_header(f"X-{number}", "x" * 100)
        handler.end_headers()
        handler.close_connection = True
        return True
    fake.before = flood
    assert "sends more than 262144 bytes of headers" in dump.fails(fake.uri)


def test_a_configuration_that_is_too_large(dump, fake):
    config = b'{"x":"' + b"x" * (9 << 20) + b'"}'
    manifest = json.loads(json.dumps(MIXED.manifest))
    manifest["config"].update(digest=I.sha256(config), size=len(config))
    fake.blobs[I.sha256(config)] = config
    fake.tags["app:1"] = (I.json_bytes(manifest), I.OCI_MANIFEST)
    text = dump.fails(fake.uri)
    assert f"image configuration {I.sha256(config)}: {len(config)} bytes, more than the" in text
    assert asked_for(fake, I.sha256(config)) == []


def test_a_blob_that_goes_on_behind_its_end(dump, fake):
    fake.wrong[FIRST] = MIXED.blobs[FIRST] + b"x" * 100000
    fake.no_length[FIRST] = [SIZE + 100000]
    assert dump.fails(fake.uri) == layer_fault(fake, FIRST, 1, f"has more than the {SIZE} bytes it must have")


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_ratio_bombs(dump, fake, how):
    """A layer may grow 200-fold once it is large, and this one grows a thousandfold and more."""
    bomb = I.image([[I.file("zeros", bytes(32 << 20))]], CONFIG, compression=how)
    honest = I.image([[I.file("text", b"".join(b"%d\n" % n for n in range(2 << 20)))]], CONFIG, compression=how)
    fake.add("app:1", bomb)
    fake.add("app:2", honest)
    text = dump.fails("--ratio-floor", str(1 << 20), fake.uri)
    assert "grows more than 200-fold when uncompressed" in text
    assert same(dump("--ratio-floor", str(1 << 20), f"docker://{fake.host}/app:2"), honest)
    assert same(dump(fake.uri), bomb)


def test_the_images_limit_is_for_all_layers_together(dump, fake):
    sizes = [len(I.layer_tar(layer)) for layer in LAYERS]
    assert same(dump("--max-image-size", str(sum(sizes)), fake.uri), MIXED)
    text = dump.fails("--max-image-size", str(sum(sizes) - 1), fake.uri)
    assert f"the image's layers have more than {sum(sizes) - 1} bytes when uncompressed" in text


def test_too_many_layers(dump, fake):
    manifest = json.loads(json.dumps(MIXED.manifest))
    manifest["layers"] = manifest["layers"][:1] * 2000
    fake.tags["app:1"] = (I.json_bytes(manifest), I.OCI_MANIFEST)
    assert "2000 layers, more than the" in dump.fails(fake.uri)


def test_indexes_in_a_registry_that_nest_without_end(dump, fake):
    descriptor = MIXED.descriptor()
    for _ in range(7):
        raw = I.json_bytes({"schemaVersion": 2, "mediaType": I.OCI_INDEX, "manifests": [descriptor]})
        descriptor = {"mediaType": I.OCI_INDEX, "digest": I.sha256(raw), "size": len(raw)}
        fake.blobs[I.sha256(raw)], fake.media_types[I.sha256(raw)] = raw, I.OCI_INDEX
    fake.tags["app:1"] = (raw, I.OCI_INDEX)
    assert "indexes nest deeper than 4 levels" in dump.fails(fake.uri)


# --- what is said and what is sent ---------------------------------------------------------------------------

def test_a_web_page_in_between(dump, fake):
    def page(handler):
        handler.reply(200, b"<html>Log in to this network", Content_Type="text/html; charset=utf-8")
        return True
    fake.before = page
    assert "answers with a web page (text/html; charset=utf-8) where a manifest was asked for" in dump.fails(fake.uri)
    fake.before = lambda handler: FIRST in handler.path and page(handler)
    assert dump.fails(fake.uri) == layer_fault(
        fake, FIRST, 1, f"offers 28 bytes, but it must be {SIZE}; it is a web page: perhaps a login page or a proxy's is in "
                        "between")


def test_a_manifest_that_is_sent_as_something_else(dump, fake):
    raw, digest, descriptor = I.index_of([MIXED])
    fake.blobs[digest], fake.media_types[digest] = raw, descriptor["mediaType"]
    fake.tags["app:1"] = (raw, descriptor["mediaType"])
    assert same(dump(fake.uri), MIXED)
    fake.media_types[MIXED.manifest_digest] = I.DOCKER_MANIFEST
    text = dump.fails(fake.uri)
    assert f'is sent as "{I.DOCKER_MANIFEST}", but must be "{I.OCI_MANIFEST}"' in text
    fake.media_types[MIXED.manifest_digest] = "application/json"
    assert same(dump(fake.uri), MIXED)


def test_a_manifest_by_digest_that_is_sent_as_an_index(dump, fake):
    fake.media_types[MIXED.manifest_digest] = I.OCI_INDEX
    assert "contradicts its members" in dump.fails(f"docker://{fake.host}/app@{MIXED.manifest_digest}")


@pytest.mark.parametrize("length, text", [(SIZE - 1, "offers"), (SIZE + 1, "offers")])
def test_a_wrong_length_in_the_head(dump, fake, length, text):
    fake.lengths[FIRST] = length
    assert dump.fails(fake.uri) == layer_fault(fake, FIRST, 1, f"{text} {length} bytes, but it must be {SIZE}")


# --- several at a time ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("transfers", [1, 2, 4])
def test_as_many_transfers_as_were_asked_for(dump, fake, transfers):
    many = I.image([[I.file(f"f{n}", os.urandom(3000))] for n in range(8)], CONFIG)
    fake.add("app:1", many)
    lock, reached = threading.Condition(), []
    now = set()

    def count(handler):
        if not any(digest in handler.path for digest in many.layer_digests):
            return False
        with lock:
            now.add(handler.path)
            reached.append(len(now))
            lock.notify_all()
            # All that may come at once do, or the last ones are too few for it.
            if len(reached) <= 8 - 8 % transfers:
                assert lock.wait_for(lambda: max(reached) >= transfers, DEADLINE)
            now.remove(handler.path)
        return False
    fake.before = count
    assert same(dump("--transfers", transfers, fake.uri), many)
    assert max(reached) == transfers


def test_the_first_error_stops_the_others(dump, fake):
    """Layers 1 and 2 hang for as long as the server lives; layer 3 is wrong."""
    third = MIXED.layer_digests[2]
    fake.stall = {digest: 10 * DEADLINE for digest in MIXED.layer_digests[:2]}
    fake.wrong[third] = b"\1" * len(MIXED.blobs[third])
    assert layer_fault(fake, third, 3, "the blob's digest is") in dump.fails("--transfers", "3", fake.uri)


def test_a_layer_that_is_there_twice(dump, fake):
    tars = [I.layer_tar(LAYERS[0])] * 5
    twice = I.image([], CONFIG, tars=tars)
    fake.add("app:1", twice)
    assert same(dump(fake.uri), twice)


def test_an_image_without_layers(dump, fake):
    empty = I.image([], CONFIG)
    fake.add("app:1", empty)
    assert same(dump(fake.uri), empty)
