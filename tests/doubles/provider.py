"""A single sign-on that really runs: HTTPS on loopback, keys of its own, tokens signed with them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "school-gateway", "provider-secret-word"


@dataclass
class Provider:
    """The provider: what it says of whoever signs in, and what is wrong with it."""

    folder: Path
    port: int = 0
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}, private=True))
    published: list[dict[str, Any]] = field(default_factory=list)
    down: bool = False
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    scopes: tuple[str, ...] = ()
    refresh: set[str] = field(default_factory=set)
    refused: str = "invalid_grant"
    rotates: bool = True
    silent: bool = False

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self.port}/tenant/v2.0"

    @property
    def ca(self) -> Path:
        return self.folder / "provider-ca.pem"

    @property
    def secret_file(self) -> Path:
        return self.folder / "provider-secret"

    def sign_in(self, address: str) -> str:
        """Be the browser at the provider's page: sign in, and return the address that it is sent back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?code={code}&state={asked['state']}"

    def answer(self, path: str, form: dict[str, str], credentials: str) -> tuple[int, dict[str, Any]]:
        """Return what the back channel says."""
        self.asked.append(path)
        if self.down:
            return 503, {"error": "temporarily_unavailable"}
        if path.endswith("/.well-known/openid-configuration"):
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "scopes_supported": list(self.scopes),
            }
        if path.endswith("/keys"):
            return 200, {"keys": self.published or [self.key.as_dict(private=False)]}
        right = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if form.get("grant_type") == "refresh_token":
            return self.again(form.get("refresh_token", ""), signed=credentials == f"Basic {right}")
        sent = self.codes.pop(form.get("code", ""), {})
        proof = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if proof.decode().rstrip("=") != sent.get("code_challenge") or credentials != f"Basic {right}":
            return 400, {"error": "invalid_grant"}
        offline = self.given() if "offline_access" in sent.get("scope", "") else {}
        said = {"id_token": self.token(sent["nonce"]), "token_type": "Bearer", "access_token": "x"}
        return 200, said | offline

    def given(self) -> dict[str, str]:
        """Return a new refresh token."""
        token = f"refresh-{len(self.asked)}"
        self.refresh.add(token)
        return {"refresh_token": token}

    def again(self, token: str, *, signed: bool) -> tuple[int, dict[str, Any]]:
        """Return what a refresh token leads to; it counts once, where new ones are given each time."""
        if token not in self.refresh or not signed:
            return 400, {"error": self.refused}
        if self.rotates:
            self.refresh.remove(token)
        more = self.given() if self.rotates else {}
        return 200, {"access_token": "y"} | more | ({} if self.silent else {"id_token": self.token("")})

    def token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 300}
        claims |= {"nonce": nonce} if nonce else {}
        found = {name: value for name, value in (claims | self.claims).items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": self.key.kid} | self.header, found, self.key)


@contextlib.contextmanager
def provider(folder: Path) -> Iterator[Provider]:
    """Run a provider until the block ends."""
    made = Provider(folder)
    ca = trustme.CA()
    ca.cert_pem.write_to_path(made.ca)
    made.secret_file.write_text(SECRET, encoding="utf-8")
    made.secret_file.chmod(0o600)

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "/authorize?" in self.path:
                return self._page()
            return self._say({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
            if "/authorize?" in self.path:
                self.send_response(302)
                self.send_header("location", made.sign_in(self.path))
                return self.end_headers()
            return self._say({name: values[0] for name, values in parse_qs(body).items()})

        def _page(self) -> None:
            # For a browser of flesh and blood: it is asked, and goes back by a redirect after a form.
            body = b"<form method=post><button>It is me</button></form>"
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _say(self, form: dict[str, str]) -> None:
            status, found = made.answer(self.path, form, self.headers.get("authorization", ""))
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
