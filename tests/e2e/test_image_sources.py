# SPDX-License-Identifier: Apache-2.0
"""lib/image against real and misbehaving sources, through build/lib/image/image-dump."""
import io
import json
import os
import subprocess
import tarfile

import pytest

import fake_servers as F
import images as I
from conftest import DEADLINE, need_program
from image_dump import ARM, CONFIG, GZIP, LAYERS, MIXED, TARS, authfile, dump, same  # noqa: F401

# --- configuration -------------------------------------------------------------------------------------------

def test_configuration_is_read(dump, tmp_path):
    config = dump("oci:" + I.write_oci_layout(str(tmp_path / "l"), MIXED))["config"]
    assert config["entrypoint"] == ["/bin/run"]
    assert config["cmd"] == ["--serve"]
    assert config["env"] == ["PATH=/bin", "A=b=c"]
    assert config["working_dir"] == "/data"
    assert config["user"] == "1000:1000"
    assert config["stop_signal"] == "SIGQUIT"
    assert config["ports"] == [[6379, 6379, 0]]
    assert config["labels"] == {"a": "b"}
    assert config["architecture"] == "amd64"


# --- a real registry -----------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def mixed_layout(tmp_path_factory):
    return I.write_oci_layout(str(tmp_path_factory.mktemp("mixed") / "layout"), MIXED)


def test_registry_by_tag_and_digest(dump, registry, mixed_layout):
    registry.push(mixed_layout, "latest", "team/app:1")
    result = dump(f"docker://{registry.host}/team/app:1")
    assert same(result, MIXED)
    assert result["name"] == f"{registry.host}/team/app:1"
    assert result["manifest_digest"] == MIXED.manifest_digest
    assert same(dump(f"docker://{registry.host}/team/app@{MIXED.manifest_digest}"), MIXED)
    assert same(dump(f"docker://{registry.host}/team/app:other@{MIXED.manifest_digest}"), MIXED)
    assert same(dump(f"{registry.host}/team/app:1"), MIXED)


def test_registry_docker_schema_2(dump, registry, tmp_path):
    registry.push(I.write_oci_layout(str(tmp_path / "l"), GZIP), "latest", "schema2:1", "--format=v2s2",
                  preserve=False)
    result = dump(f"docker://{registry.host}/schema2:1")
    assert result["layers"] == GZIP.diff_ids and result["manifest_digest"] != GZIP.manifest_digest


def test_registry_says_what_is_missing(dump, registry):
    text = dump.fails(f"docker://{registry.host}/nothing/here:1")
    assert text == (f"docker://{registry.host}/nothing/here:1: registry {registry.host}: the registry has no such "
                    "image or blob (manifest unknown)")


def test_password_registry(dump, password_registry, mixed_layout, tmp_path):
    password_registry.push(mixed_layout, "latest", "app:1")
    uri = f"docker://{password_registry.host}/app:1"
    text = dump.fails(uri)
    assert "denies access" in text and "it wants credentials; `docker login`" in text
    right = authfile(tmp_path / "right.json", password_registry.host, "alice", "correct horse:battery")
    assert same(dump("--authfile", right, uri), MIXED)
    assert same(dump(uri, REGISTRY_AUTH_FILE=str(right)), MIXED)
    authfile(tmp_path / "run/containers/auth.json", password_registry.host, "alice", "correct horse:battery")
    assert same(dump(uri, XDG_RUNTIME_DIR=str(tmp_path / "run")), MIXED)
    authfile(tmp_path / "docker/config.json", password_registry.host, "alice", "correct horse:battery")
    assert same(dump(uri, DOCKER_CONFIG=str(tmp_path / "docker")), MIXED)
    wrong = authfile(tmp_path / "wrong.json", password_registry.host, "alice", "guess")
    assert "the credentials may be wrong" in dump.fails("--authfile", wrong, uri)
    assert "missing.json: No such file" in dump.fails("--authfile", tmp_path / "missing.json", uri)


def test_skopeo_login_is_understood(dump, password_registry, mixed_layout, tmp_path):
    password_registry.push(mixed_layout, "latest", "app:1")
    subprocess.run([need_program("skopeo"), "login", "--authfile", tmp_path / "auth.json", "--tls-verify=false",
                    "-u", "alice", "--password-stdin", password_registry.host], check=True,
                   input=b"correct horse:battery", capture_output=True)
    assert same(dump("--authfile", tmp_path / "auth.json", f"docker://{password_registry.host}/app:1"), MIXED)


def test_multi_architecture_index(dump, registry, tmp_path):
    layout = tmp_path / "l"
    raw, digest, descriptor = I.index_of([MIXED, ARM])
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": "multi"}
    I.write_oci_layout(str(layout), [MIXED, ARM], index=[descriptor])
    I.write_blob(str(layout), raw)
    registry.push(layout, "multi", "multi:1", "--all")
    for uri in (f"docker://{registry.host}/multi:1", f"docker://{registry.host}/multi@{digest}", f"oci:{layout}:multi"):
        assert same(dump(uri), MIXED)
        result = dump("--arch", "arm64", uri)
        assert same(result, ARM)
        assert result["manifest_digest"] == ARM.manifest_digest
        assert dump.fails("--arch", "riscv64", uri).endswith(
            "no image for linux/riscv64; there is linux/amd64, linux/arm64")


# --- a registry that asks for tokens, redirects, and fails ---------------------------------------------------

@pytest.fixture
def fake():
    with F.fake_registry() as one:
        one.add("app:1", MIXED)
        one.uri = f"docker://{one.host}/app:1"
        yield one


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return F.make_certificate(str(tmp_path_factory.mktemp("tls")))


def test_anonymous_token(dump, fake):
    fake.token = "token-1"
    assert same(dump(fake.uri), MIXED)
    assert sum(r.path.startswith("/token") for r in fake.requests) == 1


def test_token_for_a_password(dump, fake, tmp_path):
    fake.token, fake.user = "token-1", ("alice", "secret")
    text = dump.fails(fake.uri)
    assert f"token server {fake.url}/token: answers with status 401 (wrong password)" in text
    assert same(dump("--authfile", authfile(tmp_path / "a", fake.host, *fake.user), fake.uri), MIXED)
    passwords = [r.path for r in fake.requests if r.headers.get("Authorization", "").startswith("Basic")]
    assert passwords and all(path.startswith("/token?") for path in passwords)


def test_token_for_an_identity_token(dump, fake, tmp_path):
    fake.token, fake.identity_token = "token-1", "refresh me"
    (tmp_path / "a").write_text(json.dumps({"auths": {fake.host: {"identitytoken": "refresh me"}}}))
    assert same(dump("--authfile", tmp_path / "a", fake.uri), MIXED)


def test_a_token_that_runs_out_is_renewed(dump, fake):
    fake.token, fake.token_uses = "token-1", 3
    assert same(dump(fake.uri), MIXED)
    assert fake.token == "token-2"
    assert sum(r.path.startswith("/token") for r in fake.requests) == 2


def test_endless_token_reply_is_refused(dump, fake):
    fake.token, fake.token_reply = "token-1", b" " * (1024 * 1024 + 1)
    assert "larger than the 1048576 bytes allowed" in dump.fails(fake.uri)


@pytest.mark.parametrize("reply, text", [
    (b"{}", "no token in the reply"),
    (b"hello", "not acceptable JSON"),
    (b'{"token":"a\\r\\nX: y"}', "a line break in the token"),
])
def test_senseless_token_reply(dump, fake, reply, text):
    fake.token, fake.token_reply = "token-1", reply
    assert text in dump.fails(fake.uri)


def test_authorization_stays_with_its_host(dump, fake):
    with F.fake_registry() as store:
        store.add("app:1", MIXED)
        fake.token, fake.redirect = "token-1", store.url
        assert same(dump(fake.uri), MIXED)
        assert len(store.requests) == 4
        assert not any("Authorization" in r.headers for r in store.requests)


def test_redirect_on_the_same_host_keeps_authorization(dump, fake):
    fake.token = "token-1"
    fake.failures.append([f"blobs/{MIXED.layer_digests[0]}", 307,
                          {"Location": f"{fake.url}/v2/elsewhere/blobs/{MIXED.layer_digests[0]}"}])
    assert same(dump(fake.uri), MIXED)
    elsewhere = [r for r in fake.requests if "elsewhere" in r.path]
    assert [r.headers["Authorization"] for r in elsewhere] == ["Bearer token-1"]


def test_a_redirects_target_cannot_ask_for_the_registrys_password(dump, fake, tmp_path):
    with F.fake_registry() as store:
        store.add("app:1", MIXED)
        store.token = "token-1"
        fake.user, fake.redirect = ("alice", "secret"), store.url
        text = dump.fails("--authfile", authfile(tmp_path / "a", fake.host, *fake.user), fake.uri)
        assert "denies access" in text
        assert [r.path.split("/")[3] for r in store.requests] == ["blobs"]
        assert "Authorization" not in store.requests[0].headers


def test_endless_redirects(dump, fake):
    fake.redirect = fake.url
    assert "redirects more than 5 times" in dump.fails(fake.uri)


@pytest.mark.parametrize("target, text", [
    ("http://192.0.2.1", "redirects to: http://192.0.2.1/v2/app/blobs/"),
    ("file:///etc", "neither http nor https"),
])
def test_redirects_into_the_open_are_refused(dump, fake, target, text):
    fake.redirect = target
    assert text in dump.fails(fake.uri)


def test_https_is_checked(dump, certificate):
    with F.fake_registry(tls=certificate) as fake:
        fake.add("app:1", MIXED)
        uri = f"docker://{fake.host}/app:1"
        text = dump.fails(uri)
        assert "certificate" in text and "SSL_CERT_FILE names other authorities" in text
        assert fake.requests == []
        assert same(dump(uri, SSL_CERT_FILE=certificate[0]), MIXED)
        assert same(dump("--insecure-registry", fake.host, uri), MIXED)


def test_no_way_from_https_to_http(dump, certificate):
    with F.fake_registry(tls=certificate) as fake, F.fake_registry() as store:
        fake.add("app:1", MIXED)
        store.add("app:1", MIXED)
        uri = f"docker://{fake.host}/app:1"
        fake.redirect = store.url
        for more in ([], ["--insecure-registry", "127.0.0.1"]):
            text = dump.fails(*more, uri, SSL_CERT_FILE=certificate[0])
            assert f"redirects from https to {store.url}/v2/app/blobs/" in text
        fake.redirect = None
        fake.token, fake.realm = "token-1", store.url + "/token"
        assert "for a token, which is not protected" in dump.fails(uri, SSL_CERT_FILE=certificate[0])
        assert store.requests == []


def test_wrong_blob_is_named(dump, fake):
    digest, blob = MIXED.layer_digests[1], MIXED.blobs[MIXED.layer_digests[1]]
    fake.wrong[digest] = blob[:-1] + bytes([blob[-1] ^ 1])
    text = dump.fails(fake.uri)
    assert text.startswith(f"{fake.uri}: layer 2 of 3 ({digest}): ")


def test_wrong_plain_blob_is_named(dump, fake):
    digest = MIXED.layer_digests[2]
    fake.wrong[digest] = b"\1" * len(MIXED.blobs[digest])
    text = dump.fails(fake.uri)
    assert text == (f"{fake.uri}: layer 3 of 3 ({digest}): the blob's digest is {I.sha256(fake.wrong[digest])}, "
                    f"but must be {digest}")


def test_wrong_configuration(dump, fake):
    digest = MIXED.config_digest
    fake.wrong[digest] = MIXED.blobs[digest].replace(b"1000", b"0000")
    assert f"image configuration {digest}: content does not match its digest" in dump.fails(fake.uri)


def test_wrong_manifest(dump, fake):
    digest = MIXED.manifest_digest
    fake.wrong[digest] = MIXED.blobs[digest] + b" "
    assert f"manifest {digest}: content does not match its digest" in dump.fails(f"docker://{fake.host}/app@{digest}")
    fake.digest_header = "sha256:" + "0" * 64
    assert "does not match the digest that the registry gives for it" in dump.fails(fake.uri)


def test_manifest_type_that_contradicts(dump, fake):
    fake.manifest_type = I.OCI_INDEX
    assert "contradicts its members" in dump.fails(fake.uri)


def test_oversized_manifest(dump, fake):
    fake.tags["app:1"] = (b"[" + b" " * (4 << 20) + b"]", I.OCI_MANIFEST)
    assert "larger than the 4194304 bytes allowed" in dump.fails(fake.uri)


def test_wrong_length_is_refused_before_the_body(dump, fake):
    digest = MIXED.layer_digests[0]
    fake.wrong[digest] = MIXED.blobs[digest] + b"more"
    size = len(MIXED.blobs[digest])
    assert f"offers {size + 4} bytes, but it must be {size}" in dump.fails(fake.uri)


@pytest.mark.parametrize("no_ranges", [False, True])
def test_broken_transfers_are_resumed(dump, fake, no_ranges):
    fake.no_ranges = no_ranges
    for digest in MIXED.layer_digests:
        fake.cut[digest] = [0, 70000, 100000]
    assert same(dump(fake.uri), MIXED)
    ranges = [r.headers.get("Range") for r in fake.requests if MIXED.layer_digests[0] in r.path]
    assert ranges[:2] == [None, None] and all(r.startswith("bytes=") for r in ranges[2:]) and len(ranges) == 4


def test_truncated_blob_fails_in_the_end(dump, fake):
    digest = MIXED.layer_digests[0]
    fake.cut[digest] = [1000, 0, 0, 0, 0, 0, 0, 0]
    text = dump.fails(fake.uri)
    assert text.startswith(f"{fake.uri}: layer 1 of 3 ({digest}): ")
    assert text.endswith("given up after 6 tries")
    assert len(fake.cut[digest]) == 2


def test_a_silent_server_is_given_up_and_asked_again(dump, fake):
    fake.stall[MIXED.layer_digests[0]] = DEADLINE
    assert same(dump("--stall-seconds", "1", fake.uri), MIXED)


@pytest.mark.parametrize("status", [429, 503])
def test_busy_registry_is_asked_again(dump, fake, status):
    fake.failures += [["blobs", status, {"Retry-After": "1"}], ["manifests", status, {}], ["manifests", status, {}]]
    assert same(dump(fake.uri), MIXED)
    assert fake.failures == []


def test_refused_connection(dump):
    with F.nobody() as host:
        assert f"registry {host}: Connection refused" in dump.fails(f"docker://{host}/app:1")


# --- layouts and archives, ours and made by others -----------------------------------------------------------

def test_layouts_and_archives(dump, tmp_path):
    layout = I.write_oci_layout(str(tmp_path / "l"), {"a": MIXED, "b": GZIP})
    archive = I.write_oci_archive(str(tmp_path / "l.tar"), {"a": MIXED, "b": GZIP})
    for prefix in ("oci:" + layout, "oci-archive:" + archive):
        assert same(dump(prefix + ":a"), MIXED)
        result = dump(prefix + ":b")
        assert same(result, GZIP)
        assert result["manifest_digest"] == GZIP.manifest_digest
        assert dump.fails(prefix).endswith("holds several images: a, b; name one of their tags")
        assert dump.fails(prefix + ":c").endswith('holds no image with tag "c"; there is a, b')
    subprocess.run(["gzip", "-k", archive], check=True)
    assert same(dump(f"oci-archive:{archive}.gz:a"), MIXED)
    assert "Not a directory; for a file write oci-archive:" in dump.fails("oci:" + archive)
    assert "Is a directory" in dump.fails("oci-archive:" + layout)


def test_layout_with_one_image_per_platform(dump, tmp_path):
    layout = I.write_oci_layout(str(tmp_path / "l"), [MIXED, ARM])
    assert same(dump("oci:" + layout), MIXED)
    assert same(dump("--arch", "arm64", "oci:" + layout), ARM)


def test_image_for_another_architecture(dump, tmp_path):
    layout = I.write_oci_layout(str(tmp_path / "l"), ARM)
    assert "the image is for linux/arm64, wanted is linux/amd64" in dump.fails("oci:" + layout)


@pytest.fixture(scope="session")
def skopeo_source(tmp_path_factory):
    return I.write_oci_layout(str(tmp_path_factory.mktemp("skopeo") / "layout"), GZIP)


@pytest.mark.parametrize("target, uri", [
    ("oci:{0}/x:tag", "oci:{0}/x:tag"),
    ("oci:{0}/x:tag", "oci:{0}/x"),
    ("oci-archive:{0}/x.tar:tag", "oci-archive:{0}/x.tar"),
    ("docker-archive:{0}/x.tar:team/app:1", "docker-archive:{0}/x.tar"),
    ("docker-archive:{0}/x.tar:team/app:1", "docker-archive:{0}/x.tar:team/app:1"),
])
def test_made_by_skopeo(dump, skopeo_source, tmp_path, target, uri):
    subprocess.run([need_program("skopeo"), "copy", "--insecure-policy", "--quiet", f"oci:{skopeo_source}:latest",
                    target.format(tmp_path)], check=True)
    result = dump(uri.format(tmp_path))
    assert result["layers"] == GZIP.diff_ids
    assert result["config"]["entrypoint"] == ["/bin/run"]


def test_made_by_umoci(dump, tmp_path):
    umoci = need_program("umoci")
    root = tmp_path / "root"
    root.mkdir()
    (root / "hello").write_text("hello\n")
    layout = tmp_path / "layout"
    for arguments in (["init", "--layout", layout], ["new", "--image", f"{layout}:tag"],
                      ["insert", "--rootless", "--image", f"{layout}:tag", root / "hello", "/hello"],
                      ["config", "--image", f"{layout}:tag", "--config.entrypoint", "/hello", "--config.user", "7:8"]):
        subprocess.run([umoci, *map(str, arguments)], check=True, capture_output=True)
    result = dump(f"oci:{layout}:tag")
    assert result["config"]["entrypoint"] == ["/hello"]
    assert result["config"]["user"] == "7:8"
    assert result["layers"] == result["config"]["diff_ids"] and len(result["layers"]) == 1


def test_docker_archive(dump, tmp_path):
    images = {"team/app:1": GZIP, "localhost:5000/other:2": ARM, None: MIXED}
    path = I.write_docker_archive(str(tmp_path / "d.tar"), images,
                                  {"team/app:1": TARS, "localhost:5000/other:2": TARS[:1], None: TARS}, links=True)
    with tarfile.open(path) as tar:
        assert sum(member.issym() for member in tar) == 4
    result = dump(f"docker-archive:{path}:team/app:1")
    assert same(result, GZIP)
    assert result["name"] == "docker.io/team/app:1" and result["manifest_digest"] is None
    assert same(dump("--arch", "arm64", f"docker-archive:{path}:localhost:5000/other:2"), ARM)
    assert same(dump(f"docker-archive:{path}:@2"), MIXED)
    assert dump.fails(f"docker-archive:{path}").endswith(
        "holds several images: team/app:1, localhost:5000/other:2, @2; name one of them")
    assert 'no image "docker.io/library/nope:latest"; there is team/app:1' in dump.fails(f"docker-archive:{path}:nope")


def test_a_sparse_member_does_not_fill_the_disk(dump, tmp_path):
    """Ten kilobytes that would be spooled as 16 GiB."""
    good = I.docker_archive_members({"a": GZIP}, {"a": TARS})
    manifest = json.loads(good["manifest.json"])[0]
    layer = manifest["Layers"][0]
    sparse = I.file("s", b"1\n0\n512\n".ljust(512, b"\0") + b"d" * 512,
                    pax={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(16 << 30),
                         "GNU.sparse.name": layer})
    config = I.file(manifest["Config"], good[manifest["Config"]])
    path = tmp_path / "sparse.tar"
    manifest["Layers"] = [layer] * 3
    path.write_bytes(I.layer_tar([I.file("manifest.json", I.json_bytes([manifest])), config, sparse]))
    assert "a sparse file with more bytes than the archive" in dump.fails(f"docker-archive:{path}")


def changed(members, **changes):
    """Members of a docker-archive with some replaced (None: left out)."""
    members = {**members, **{name.replace("__", "."): data for name, data in changes.items()}}
    return {name: data for name, data in members.items() if data is not None}


def test_bad_docker_archives(dump, tmp_path):
    good = I.docker_archive_members({"a": GZIP}, {"a": TARS})
    manifest = json.loads(good["manifest.json"])[0]
    layer = manifest["Layers"][1]
    config = manifest["Config"]
    folder = layer.split("/")[0]
    cases = [
        ({**good, layer: TARS[0]}, f"layer 2 of 3 ({GZIP.diff_ids[1]}): the uncompressed layer's digest (diff id) is"),
        ({**good, layer: I.compress(TARS[1], "gzip")[:-4]}, "gzip: ends in the middle"),
        ({**good, layer: "../../../etc/passwd"}, "a link to something outside the archive"),
        ({**good, layer: "layer.tar"}, "too many links"),
        ({k: v for k, v in good.items() if k != layer}, f"{folder}/layer.tar: not in the archive"),
        ({**good, config: good[config].replace(b"1000", b"0000")}, "content does not match its name"),
        (changed(good, manifest__json=None), "not an archive of `docker save`"),
        (changed(good, manifest__json=b"{}"), "manifest.json: not a JSON array"),
        (changed(good, manifest__json=I.json_bytes([{**manifest, "Layers": manifest["Layers"][:2]}])),
         "names 3 layers (diff_ids), but the manifest has 2"),
        (changed(good, manifest__json=None, repositories=b"{}"), "older than 1.10"),
    ]
    for number, (members, text) in enumerate(cases):
        path = I.write_tar(str(tmp_path / f"{number}.tar"), members)
        assert text in dump.fails("docker-archive:" + path)
    raw = (tmp_path / "0.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(raw[:300000])
    assert "not a readable tar archive: Truncated" in dump.fails(f"docker-archive:{tmp_path}/cut.tar")
    (tmp_path / "text").write_text("hello\n" * 200)
    assert "not a readable tar archive" in dump.fails(f"docker-archive:{tmp_path}/text")
    assert "No such file" in dump.fails(f"docker-archive:{tmp_path}/none")


def test_a_name_that_is_there_twice_cannot_be_read(dump, tmp_path):
    good = I.docker_archive_members({"a": GZIP}, {"a": TARS})
    path = I.write_tar(str(tmp_path / "twice.tar"), {**good, "./manifest.json": b"[]"})
    assert "manifest.json: is in the archive more than once" in dump.fails("docker-archive:" + path)


def test_bad_layouts(dump, tmp_path):
    layout = tmp_path / "l"
    blobs = layout / "blobs/sha256"
    uri = f"oci:{layout}"

    def damage(path, content):
        """Writes a good layout, then puts `content` at `path`; None removes it."""
        I.write_oci_layout(str(layout), MIXED)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        return dump.fails(uri)

    first = MIXED.layer_digests[0]
    blob = blobs / first.split(":")[1]
    assert f"layer 1 of 3 ({first}): blobs/sha256/{blob.name}: No such file" in damage(blob, None)
    size = len(MIXED.blobs[first])
    assert f"has {size - 9} bytes, but must have {size}" in damage(blob, MIXED.blobs[first][:-9])
    assert f"has more than the {size} bytes it must have" in damage(blob, MIXED.blobs[first] + b"x")
    config = blobs / MIXED.config_digest.split(":")[1]
    assert "image configuration" in damage(config, b"{}")
    assert "not an OCI image layout: oci-layout: No such file" in damage(layout / "oci-layout", None)
    assert "imageLayoutVersion is not 1.x" in damage(layout / "oci-layout", b'{"imageLayoutVersion":"2.0.0"}')
    assert "index.json: not acceptable JSON" in damage(layout / "index.json", b"{")
    assert "holds no image" in damage(layout / "index.json", b'{"schemaVersion":2,"manifests":[]}')


def test_a_fifo_in_the_place_of_a_blob_does_not_hang(dump, tmp_path):
    layout = I.write_oci_layout(str(tmp_path / "l"), MIXED)
    blob = tmp_path / "l/blobs/sha256" / MIXED.layer_digests[0].split(":")[1]
    blob.unlink()
    os.mkfifo(blob)
    assert "not a regular file" in dump.fails("oci:" + layout)


def test_wrong_diff_id_is_named(dump, tmp_path):
    lying = I.image(LAYERS, CONFIG)
    config = json.loads(json.dumps(lying.config))
    config["rootfs"]["diff_ids"][1] = I.sha256(b"something else")
    raw = I.json_bytes(config)
    manifest = {**lying.manifest, "config": {**lying.manifest["config"], "digest": I.sha256(raw), "size": len(raw)}}
    raw_manifest = I.json_bytes(manifest)
    blobs = {**lying.blobs, I.sha256(raw): raw, I.sha256(raw_manifest): raw_manifest}
    wrong = I.Image(blobs, manifest, I.sha256(raw_manifest), config, I.sha256(raw), lying.layer_digests,
                    config["rootfs"]["diff_ids"], "amd64")
    text = dump.fails("oci:" + I.write_oci_layout(str(tmp_path / "l"), wrong))
    assert (f"layer 2 of 3 ({lying.layer_digests[1]}): the uncompressed layer's digest (diff id) is "
            f"{lying.diff_ids[1]}, but must be {I.sha256(b'something else')}") in text


def test_indexes_that_nest_without_end(dump, tmp_path):
    layout = I.write_oci_layout(str(tmp_path / "l"), MIXED)
    raw, _, descriptor = I.index_of([MIXED])
    for depth in range(6):
        I.write_blob(layout, raw)
        if depth == 3:
            allowed = descriptor
        raw = I.json_bytes({"schemaVersion": 2, "mediaType": I.OCI_INDEX, "manifests": [descriptor]})
        descriptor = {"mediaType": I.OCI_INDEX, "digest": I.sha256(raw), "size": len(raw)}
    I.write_oci_layout(layout, MIXED, index=[allowed])
    assert same(dump("oci:" + layout), MIXED)
    I.write_blob(layout, raw)
    I.write_oci_layout(layout, MIXED, index=[descriptor])
    assert "indexes nest deeper than 4 levels" in dump.fails("oci:" + layout)


def test_media_type_that_lies_is_only_warned_of(dump, tmp_path):
    image = I.image(LAYERS, CONFIG, compression="gzip")
    image.manifest["layers"][0]["mediaType"] = I.OCI_LAYER + "+zstd"
    raw = I.json_bytes(image.manifest)
    image.manifest_digest = I.sha256(raw)
    image.blobs[image.manifest_digest] = raw
    done = dump.run("oci:" + I.write_oci_layout(str(tmp_path / "l"), image))
    assert done.returncode == 0
    assert "+zstd\" is gzip" in done.stderr


# --- limits and the spool ------------------------------------------------------------------------------------

def test_layer_limit(dump, tmp_path):
    layout = I.write_oci_layout(str(tmp_path / "l"), MIXED)
    text = dump.fails("--max-layer-size", "250000", f"oci:{layout}")
    assert "layer 2 of 3" in text and "more than 250000 bytes when uncompressed" in text


def test_spool_folder_that_does_not_exist(dump, tmp_path):
    layout = I.write_oci_layout(str(tmp_path / "l"), MIXED)
    for text in (dump.fails("oci:" + layout, TMPDIR=str(tmp_path / "none")),
                 dump.fails("--spool-dir", tmp_path / "none", "oci:" + layout)):
        assert f"{tmp_path}/none: cannot make a temporary file: No such file" in text
        assert "set TMPDIR to a folder with room" in text


def test_nothing_stays_in_the_spool_folder(dump, tmp_path):
    layout = I.write_oci_layout(str(tmp_path / "l"), MIXED)
    spool = tmp_path / "spool"
    spool.mkdir()
    assert same(dump("oci:" + layout, TMPDIR=str(spool)), MIXED)
    assert list(spool.iterdir()) == []


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="a sanitizer needs address space")
def test_memory_stays_bounded(dump, tmp_path):
    tar = I.layer_tar([I.file("zeros", bytes(300 << 20))])
    layout = I.write_oci_layout(str(tmp_path / "l"), I.image([], CONFIG, tars=[tar, tar], compression=["gzip", "none"]))
    done = subprocess.run([need_program("prlimit"), f"--as={200 << 20}", str(dump.program), f"oci:{layout}"],
                          capture_output=True, text=True, timeout=DEADLINE, env=dump.env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["layers"] == [I.sha256(tar)] * 2


def test_progress_is_told(dump, tmp_path):
    layout = I.write_oci_layout(str(tmp_path / "l"), MIXED)
    lines = dump.run("--progress", f"oci:{layout}").stderr.splitlines()
    total = sum(len(MIXED.blobs[digest]) for digest in MIXED.layer_digests)
    assert "progress: phase 0 layer 0/0 done 0/0" in lines
    assert lines[-1] == f"progress: phase 2 layer 3/3 done {total}/{total}"
    done = [int(line.split()[6].split("/")[0]) for line in lines if "phase 2" in line]
    assert done == sorted(done)


# --- the Docker engine ---------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def loaded_engine(docker_engine, tmp_path_factory):
    path = tmp_path_factory.mktemp("load") / "x.tar"
    docker_engine.load(I.write_docker_archive(str(path), {"team/app:1": GZIP}, {"team/app:1": TARS}))
    return docker_engine


def test_engine(dump, loaded_engine):
    for uri in ("docker-daemon:team/app:1", "team/app:1", "docker.io/team/app:1", f"docker-daemon:{GZIP.config_digest}"):
        result = dump(uri, DOCKER_HOST=loaded_engine.host)
        assert same(result, GZIP)
    assert dump("team/app:1", DOCKER_HOST=loaded_engine.host)["name"] == "docker.io/team/app:1"
    assert dump.fails("docker-daemon:nope", DOCKER_HOST=loaded_engine.host) == (
        "docker-daemon:nope: the Docker engine does not know the image")


def test_docker_save(dump, loaded_engine, tmp_path):
    path = tmp_path / "saved.tar"
    loaded_engine.docker("save", "-o", str(path), "team/app:1")
    assert same(dump(f"docker-archive:{path}"), GZIP)
    assert same(dump(f"docker-archive:{path}:team/app:1"), GZIP)


def test_the_engine_has_precedence_and_the_registry_comes_next(dump, loaded_engine, registry, mixed_layout):
    name = f"{registry.host}/precedence:1"
    registry.push(mixed_layout, "latest", "precedence:1")
    assert same(dump(name, DOCKER_HOST=loaded_engine.host), MIXED)
    loaded_engine.docker("tag", "team/app:1", name)
    assert same(dump(name, DOCKER_HOST=loaded_engine.host), GZIP)


def test_both_causes_are_told(dump, registry, tmp_path):
    text = dump.fails(f"{registry.host}/nothing:1", DOCKER_HOST=f"unix://{tmp_path}/none")
    assert "registry has no such image" in text
    assert f"the Docker engine at unix://{tmp_path}/none does not answer: No such file or directory" in text
    done = dump.run("--debug", f"{registry.host}/nothing:1", DOCKER_HOST=f"unix://{tmp_path}/none")
    assert "does not answer: No such file or directory; asking the registry" in done.stderr


def oci_in_tar(image):
    """What engines from 25 on export: an OCI layout with a manifest.json that points into it."""
    out = io.BytesIO()
    members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
               "index.json": I.json_bytes({"schemaVersion": 2, "manifests": [image.descriptor("latest")]})}
    for digest, blob in image.blobs.items():
        members["blobs/sha256/" + digest.split(":")[1]] = blob
    members["manifest.json"] = I.json_bytes([{
        "Config": "blobs/sha256/" + image.config_digest.split(":")[1], "RepoTags": ["app:latest"],
        "Layers": ["blobs/sha256/" + d.split(":")[1] for d in image.layer_digests]}])
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


APP = "docker.io/library/app:latest"


@pytest.fixture(params=["unix", "tcp"])
def fake_engine(request, tmp_path):
    with F.fake_engine(tmp_path / "engine.sock" if request.param == "unix" else None) as engine:
        engine.images[APP] = ("amd64", oci_in_tar(MIXED))
        yield engine


def test_newer_engine(dump, fake_engine):
    assert same(dump("docker-daemon:app", DOCKER_HOST=fake_engine.host), MIXED)
    assert [r.path for r in fake_engine.requests] == [f"/images/{APP}/json", f"/images/{APP}/get"]


def test_engine_has_another_architecture(dump, fake_engine):
    fake_engine.images[APP] = ("arm64", b"")
    assert dump.fails("docker-daemon:app", DOCKER_HOST=fake_engine.host) == (
        "docker-daemon:app: the Docker engine has it for linux/arm64 only, wanted is linux/amd64")


def test_engine_that_fails(dump, fake_engine):
    fake_engine.export_status = 500
    text = dump.fails("app", DOCKER_HOST=fake_engine.host)
    assert text == "app: export from the Docker engine: the Docker engine answers with status 500: export is broken"
    fake_engine.export_status, fake_engine.cut = 200, 10000
    assert dump.fails("app", DOCKER_HOST=fake_engine.host).startswith("app: export from the Docker engine: ")
    fake_engine.inspect_status = 500
    assert "engine is ill" in dump.fails("docker-daemon:app", DOCKER_HOST=fake_engine.host)


def test_unusable_docker_host(dump):
    assert "DOCKER_HOST=ssh://x: neither unix:// nor tcp://" in dump.fails("docker-daemon:app", DOCKER_HOST="ssh://x")


# --- names ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("uri, text", [
    ("Debian", "must be lower-case"),
    ("/some/file.tar", "for a file or folder write docker-archive:FILE"),
    ("oci:", "no file or folder is named"),
    ("docker://a:b:c", "not an image reference"),
])
def test_names_that_are_none(dump, uri, text):
    assert text in dump.fails(uri)
