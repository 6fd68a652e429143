# SPDX-License-Identifier: Apache-2.0
"""Servers that misbehave on demand: a registry with token authentication, and a Docker engine.

Each runs in a thread of the test, on loopback or a Unix socket, and remembers what it was asked.
"""
import base64
import contextlib
import http.server
import json
import os
import re
import select
import socket
import socketserver
import ssl
import subprocess
import struct
import threading
import time
import urllib.parse

import images as I


class Request:
    def __init__(self, method, path, headers, body=b""):
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.time = time.monotonic()


class FakeRegistry:
    """Serves images; the attributes say how it misbehaves."""

    def __init__(self):
        self.tags = {}            # "name:tag" -> (bytes, media type)
        self.blobs = {}           # digest -> bytes
        self.media_types = {}     # digest of a manifest -> media type
        self.requests = []        # every Request
        self.token = None         # a string: Bearer authentication with it
        self.user = None          # (user, password) that the token server (or, without token, we) ask for
        self.identity_token = None
        self.realm = None         # another token server's URL
        self.token_reply = None   # raw bytes instead of the token
        self.token_uses = None    # so many requests until a token has run out
        self.redirect = None      # blobs are at this URL prefix
        self.wrong = {}           # digest -> bytes given instead
        self.lengths = {}         # digest -> wrong Content-Length
        self.cut = {}             # digest -> list of byte counts after which transfers are cut, in turn
        self.stall = {}           # digest -> seconds of silence in the middle, once
        self.no_ranges = False
        self.failures = []        # [path pattern, status, headers], each once
        self.digest_header = None
        self.manifest_type = None
        self.before = None        # called with each request's handler; true: it has answered
        self.content_range = {}   # digest -> Content-Range instead of the right one
        self.reset = {}           # digest -> list of byte counts after which connections are reset, in turn
        self.drip = {}            # digest -> (bytes, seconds between them)
        self.no_length = {}       # digest -> list of byte counts: no Content-Length, and the end comes there, in turn
        self.turn = threading.Lock()  # of those that are served at a time only one takes what comes once

    def add(self, name, image):
        """Publishes an Image (or several, as an index) as name:tag."""
        many = image if isinstance(image, list) else [image]
        for one in many:
            self.blobs.update(one.blobs)
            self.media_types[one.manifest_digest] = one.manifest["mediaType"]
        if isinstance(image, list):
            raw, digest, descriptor = I.index_of(image)
            self.blobs[digest], self.media_types[digest] = raw, descriptor["mediaType"]
            self.tags[name] = (raw, descriptor["mediaType"])
        else:
            self.tags[name] = (image.blobs[image.manifest_digest], image.manifest["mediaType"])

    def new_token(self):
        self.token = "token-%d" % (int(self.token.rsplit("-", 1)[1]) + 1)

    def take_failure(self, path):
        with self.turn:
            found = next((failure for failure in self.failures if re.search(failure[0], path)), None)
            if found:
                self.failures.remove(found)
            return found

    def take_count(self, counts, digest):
        """The next of a blob's byte counts, or None."""
        with self.turn:
            return counts[digest].pop(0) if counts.get(digest) else None

    def use_token(self):
        """The token that this request must have."""
        with self.turn:
            if self.token_uses == 0:
                self.token_uses = None
                self.new_token()
            elif self.token_uses is not None:
                self.token_uses -= 1
            return self.token


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def error(self, status, message, **headers):
        body = json.dumps({"errors": [{"code": "TEST", "message": message}]}).encode()
        self.reply(status, body, Content_Type="application/json", **headers)

    def do_GET(self):
        self.handle_request("GET")

    def do_POST(self):
        self.handle_request("POST")

    def handle_request(self, method):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.state.requests.append(Request(method, self.path, dict(self.headers), body))
        try:
            self.serve(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class RegistryHandler(Handler):
    def serve(self, body):
        state = self.server.state
        if state.before and state.before(self):
            return None
        if failure := state.take_failure(self.path):
            return self.error(failure[1], "failing on purpose", **failure[2])
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/token":
            return self.give_token(urllib.parse.parse_qs(url.query or body.decode()))
        if not self.authorized():
            return None
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/(.+)", url.path)
        if not match:
            return self.error(404, "no such route")
        name, kind, what = match.groups()
        return self.give_manifest(name, what) if kind == "manifests" else self.give_blob(what)

    def basic_is_right(self):
        state = self.server.state
        wanted = "Basic " + base64.b64encode(":".join(state.user).encode()).decode()
        return self.headers.get("Authorization") == wanted

    def authorized(self):
        state = self.server.state
        if state.token:
            if self.headers.get("Authorization") == "Bearer " + state.use_token():
                return True
            realm = state.realm or self.server.url + "/token"
            self.error(401, "token wanted",
                       WWW_Authenticate=f'Bearer realm="{realm}",service="fake",scope="repository:app:pull"')
            return False
        if state.user and not self.basic_is_right():
            self.error(401, "password wanted", WWW_Authenticate='Basic realm="fake"')
            return False
        return True

    def give_token(self, query):
        state = self.server.state
        if state.token_reply is not None:
            return self.reply(200, state.token_reply)
        if state.identity_token:
            if self.command != "POST" or query.get("refresh_token") != [state.identity_token]:
                return self.error(401, "wrong refresh token")
            return self.reply(200, json.dumps({"access_token": state.token}).encode())
        if state.user and not self.basic_is_right():
            return self.error(401, "wrong password")
        if query.get("service") != ["fake"] or query.get("scope") != ["repository:app:pull"]:
            return self.error(400, "wrong service or scope")
        return self.reply(200, json.dumps({"token": state.token, "expires_in": 60}).encode())

    def give_manifest(self, name, what):
        state = self.server.state
        if what.startswith("sha256:"):
            raw, media_type = state.blobs.get(what), state.media_types.get(what, I.OCI_MANIFEST)
        else:
            raw, media_type = state.tags.get(f"{name}:{what}", (None, None))
        if raw is None:
            return self.error(404, "manifest unknown")
        raw = state.wrong.get(what, raw)
        return self.reply(200, raw, Content_Type=state.manifest_type or media_type,
                          Docker_Content_Digest=state.digest_header or I.sha256(raw))

    def give_blob(self, digest):
        state = self.server.state
        if state.redirect:
            return self.reply(307, Location=state.redirect + self.path)
        if digest not in state.blobs:
            return self.error(404, "blob unknown")
        blob = state.wrong.get(digest, state.blobs[digest])
        status, headers = 200, {}
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(match.group(1)) if match and not state.no_ranges else 0
        if match and not state.no_ranges:
            status = 206
            headers["Content_Range"] = f"bytes {start}-{len(blob) - 1}/{len(blob)}"
        if digest in state.content_range:
            status, headers = 206, {"Content_Range": state.content_range[digest]}
        return self.send_blob(digest, status, blob[start:], headers)

    def send_blob(self, digest, status, part, headers):
        """In the way that the state has for it."""
        state = self.server.state
        length = str(state.lengths.get(digest, len(part)))
        if (count := state.take_count(state.cut, digest)) is not None:
            self.close_connection = True
            return self.reply(status, part[:count], Content_Length=length, **headers)
        if (count := state.take_count(state.reset, digest)) is not None:
            self.reply(status, part[:count], Content_Length=length, **headers)
            return self.break_off()
        if (count := state.take_count(state.no_length, digest)) is not None:
            self.close_connection = True
            return self.reply(status, part[:count], Content_Length=None, **headers)
        if digest in state.drip:
            return self.send_drops(status, part, state.drip[digest], Content_Length=length, **headers)
        if digest in state.stall:
            seconds = state.stall.pop(digest)
            self.reply(status, part[:len(part) // 2], Content_Length=length, **headers)
            self.wfile.flush()
            self.close_connection = True
            return self.server.over.wait(seconds)
        return self.reply(status, part, Content_Length=length, **headers)

    def send_drops(self, status, part, drip, **headers):
        """A few bytes at a time, until the client goes away."""
        self.close_connection = True
        self.reply(status, b"", **headers)
        for at in range(0, len(part), drip[0]):
            self.wfile.write(part[at:at + drip[0]])
            self.wfile.flush()
            if self.server.over.wait(drip[1]):
                return

    def break_off(self):
        """Ends the connection with a reset instead of an orderly end."""
        self.wfile.flush()
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that went away is part of these tests


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass

    def get_request(self):
        request, _ = super().get_request()
        return request, ("local", 0)


@contextlib.contextmanager
def running(server, state):
    server.state = state
    server.over = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def fake_registry(state=None, tls=None, clients=None):
    """Runs a FakeRegistry; yields it with .host and .url set.  tls: (certificate file, key file).  clients: a file with
    the authorities of clients' certificates, of which one is asked for, but not insisted on."""
    state = state or FakeRegistry()
    server = Server(("127.0.0.1", 0), RegistryHandler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        if clients:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(clients)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    state.host = "127.0.0.1:%d" % server.server_address[1]
    state.url = server.url = ("https://" if tls else "http://") + state.host
    with running(server, state):
        yield state


@contextlib.contextmanager
def nobody():
    """An address of this machine, "127.0.0.1:port", that refuses connections: its port is taken, so that no server of
    another test gets it, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield "127.0.0.1:%d" % taken.getsockname()[1]


def make_certificate(folder, names=("IP:127.0.0.1",)):
    """A self-signed certificate for 127.0.0.1 or other names: (certificate file, key file)."""
    certificate, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=" + ",".join(names)], check=True, capture_output=True)
    return certificate, key


class FakeProxy:
    """A proxy for which every name is on this machine."""

    def __init__(self):
        self.hosts = {}       # "name:port" -> a server's "127.0.0.1:port"
        self.requests = []
        self.user = None      # (user, password) that it asks for
        self.refuse = None    # a status instead of a connection


class ProxyHandler(Handler):
    def do_CONNECT(self):
        self.handle_request("CONNECT")

    def serve(self, body):
        state = self.server.state
        wanted = state.user and "Basic " + base64.b64encode(":".join(state.user).encode()).decode()
        if wanted and self.headers.get("Proxy-Authorization") != wanted:
            return self.reply(407, b"", Proxy_Authenticate='Basic realm="proxy"')
        if state.refuse:
            return self.reply(state.refuse, b"")
        url = urllib.parse.urlsplit(self.path)
        target = self.path if self.command == "CONNECT" else f"{url.hostname}:{url.port or 80}"
        if target not in state.hosts:
            return self.reply(502, b"")
        host, port = state.hosts[target].split(":")
        with socket.create_connection((host, int(port))) as server:
            if self.command == "CONNECT":
                self.reply(200, b"", Content_Length=None)
            else:
                path = url.path + ("?" + url.query if url.query else "")
                lines = [f"{self.command} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in self.headers.items()),
                         "Connection: close", "", ""]
                server.sendall("\r\n".join(lines).encode())
            self.wfile.flush()
            self.close_connection = True
            self.pass_on(server)

    def pass_on(self, server):
        both = [self.connection, server]
        while not self.server.over.is_set():
            for ready in select.select(both, [], [], 0.1)[0]:
                data = ready.recv(65536)
                if not data:
                    return
                both[1 - both.index(ready)].sendall(data)


@contextlib.contextmanager
def fake_proxy():
    """Runs a FakeProxy; yields it with .host set."""
    state = FakeProxy()
    server = Server(("127.0.0.1", 0), ProxyHandler)
    state.host = "127.0.0.1:%d" % server.server_address[1]
    with running(server, state):
        yield state


class Cutter(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Passes connections on to a server; resets those that have brought `.limits` bytes from it, in turn."""
    daemon_threads = True

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            limit = self.server.state.pop(0) if self.server.state else None
            with socket.create_connection(self.server.target) as server:
                both = [self.request, server]
                while not self.server.over.is_set():
                    for ready in select.select(both, [], [], 0.1)[0]:
                        data = ready.recv(65536)
                        if not data:
                            return
                        if limit is not None and ready is server:
                            limit -= len(data)
                            if limit < 0:
                                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                                return
                        both[1 - both.index(ready)].sendall(data)


@contextlib.contextmanager
def cutter(target, limits):
    """Runs a Cutter before `target` ("127.0.0.1:port"); yields its own address."""
    server = Cutter(("127.0.0.1", 0), Cutter.Handler)
    host, port = target.split(":")
    server.target = (host, int(port))
    with running(server, limits):
        yield "127.0.0.1:%d" % server.server_address[1]


class FakeEngine:
    """A Docker engine of which only the two calls that matter exist."""

    def __init__(self):
        self.images = {}  # name -> (architecture, bytes of its `docker save`)
        self.requests = []
        self.inspect_status = 200
        self.export_status = 200
        self.cut = None  # bytes after which an export ends


class EngineHandler(Handler):
    def serve(self, body):
        state = self.server.state
        match = re.fullmatch(r"/images/(.+)/(json|get)", self.path)
        if not match or match.group(1) not in state.images:
            return self.reply(404, b'{"message":"No such image"}', Content_Type="application/json")
        architecture, tar = state.images[match.group(1)]
        if match.group(2) == "json":
            body = json.dumps({"Id": "sha256:" + "0" * 64, "Os": "linux", "Architecture": architecture}).encode()
            if state.inspect_status != 200:
                body = b'{"message":"engine is ill"}'
            return self.reply(state.inspect_status, body)
        if state.export_status != 200:
            return self.reply(state.export_status, b'{"message":"export is broken"}')
        return self.give_chunked(tar)

    def give_chunked(self, tar):
        """As the engine does: chunked, without a length."""
        state = self.server.state
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(tar), 5000):
            if state.cut is not None and at >= state.cut:
                self.close_connection = True
                return
            piece = tar[at:at + 5000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


@contextlib.contextmanager
def fake_engine(path=None):
    """Runs a FakeEngine on a Unix socket, or without `path` on TCP; yields it with .host set to DOCKER_HOST."""
    state = FakeEngine()
    if path:
        server, state.host = UnixServer(str(path), EngineHandler), f"unix://{path}"
    else:
        server = Server(("127.0.0.1", 0), EngineHandler)
        state.host = "tcp://127.0.0.1:%d" % server.server_address[1]
    with running(server, state):
        yield state
