"""A server of lists, over real TLS, that can be told to behave badly."""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme


@dataclass
class Page:
    """What a path answers. `cut` ends the connection after so many bytes, `slow` waits between bytes."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    slow: float = 0.0
    ranges: bool = True
    chunked: bool = False

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:16]}"'


class FeedServer:
    """Serves `pages` by path and keeps the headers of each request in `asked`."""

    def __init__(self, folder: Path) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        authority = trustme.CA()
        self.ca_file = folder / "feeds-ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def url(self, path: str) -> str:
        return f"https://localhost:{self._server.server_port}{path}"

    def serve(self, path: str, body: bytes | str, **more: Any) -> str:
        """Answer `path` with `body` from now on, and return its address."""
        self.pages[path] = Page(body.encode() if isinstance(body, str) else body, **more)
        return self.url(path)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    owner: FeedServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.owner.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        page = self.owner.pages.get(self.path, Page(b"gone", 404))
        body, status, headers = page.body, page.status, dict(page.headers)
        if status == 200:
            headers.setdefault("ETag", page.etag)
            if self.headers.get("If-None-Match") == headers["ETag"]:
                status, body = 304, b""
            wanted = self.headers.get("Range", "")
            if status == 200 and page.ranges and wanted and self.headers.get("If-Range") == headers["ETag"]:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                status, headers["Content-Range"] = 206, f"bytes {start}-{len(body) - 1}/{len(body)}"
                body = body[start:]
        self.send_response(status)
        if page.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif status != 304:
            headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._send(page, body)

    def _send(self, page: Page, body: bytes) -> None:
        if page.chunked:
            body = b"%x\r\n%s\r\n%s" % (len(body), body, b"" if page.cut is not None else b"0\r\n\r\n")
        try:
            if page.slow:
                for at in range(len(body)):
                    self.wfile.write(body[at : at + 1])
                    time.sleep(page.slow)
            else:
                self.wfile.write(body if page.cut is None else body[: page.cut])
        except OSError:
            self.close_connection = True  # the client has had enough
        if page.cut is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's signature
        """Say nothing."""
