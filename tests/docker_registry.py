"""A registry of one tiny image, on this machine, that does what a test tells it to.

It speaks the part of the OCI distribution specification that `docker pull` uses; an engine on the same machine
talks plain HTTP to addresses of 127.0.0.0/8.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import secrets
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Registry:
    """What it holds, and how it behaves."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []
        self._refusal: tuple[int, str, str] | None = None
        self._blobs: dict[str, tuple[str, bytes]] = {}
        #: Set while layers are handed out.
        self.flows = threading.Event()
        self.flows.set()
        self._put_image()

    def name(self, tag: str = "1") -> str:
        """A reference that an engine on this machine can pull."""
        return f"127.0.0.1:{self.port}/charger:{tag}"

    def refuses(self, status: int, code: str, message: str) -> None:
        """Every request is answered so, as registries word it."""
        self._refusal = (status, code, message)

    def holds_back(self) -> None:
        """Layers are not handed out until `flows` is set."""
        self.flows.clear()

    def _put_image(self) -> None:
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as archive:
            # Different each time, so that the engine has never seen the layer.
            content = secrets.token_bytes(64)
            entry = tarfile.TarInfo("simulator")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        diff = hashlib.sha256(plain.getvalue()).hexdigest()
        layer = self._put(_LAYER, gzip.compress(plain.getvalue()))
        config = self._put(
            _CONFIG,
            json.dumps(
                {
                    "architecture": "amd64",
                    "os": "linux",
                    "config": {"Cmd": ["/simulator"]},
                    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff}"]},
                }
            ).encode(),
        )
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": [layer]}
        body = json.dumps(manifest).encode()
        self._put(_MANIFEST, body)
        self._blobs["1"] = (_MANIFEST, body)

    def _put(self, kind: str, content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._blobs[digest] = (kind, content)
        return {"mediaType": kind, "size": len(content), "digest": digest}

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type, body."""
        self.asked.append(path)
        if self._refusal is not None:
            status, code, message = self._refusal
            problem = {"errors": [{"code": code, "message": message}]}
            return status, "application/json", json.dumps(problem).encode()
        if path == "/v2/":
            return 200, "application/json", b"{}"
        kind, content = self._blobs.get(path.rsplit("/", 1)[-1], ("", b""))
        if not content:
            problem = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
            return 404, "application/json", json.dumps(problem).encode()
        if kind == _LAYER:
            self.flows.wait(60)
        return 200, kind, content


@contextmanager
def run_registry() -> Iterator[Registry]:
    """A registry on a free port."""
    registries: list[Registry] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, kind, content = registries[0].answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            if status == 200 and "/manifests/" in self.path:
                self.send_header(
                    "Docker-Content-Digest", f"sha256:{hashlib.sha256(content).hexdigest()}"
                )
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Tests look at `asked`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registries.append(Registry(server.server_address[1]))
    thread = threading.Thread(target=server.serve_forever, name="registry")
    thread.start()
    try:
        yield registries[0]
    finally:
        registries[0].flows.set()
        server.shutdown()
        thread.join()
        server.server_close()
