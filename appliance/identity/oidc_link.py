"""The back channel to the single sign-on: JSON over verified TLS, with limits.

What lives only here: how it is fetched. Nothing is redirected, nothing is larger than it may be, nobody waits
longer than some seconds.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

from appliance.identity.outside import UnreachableError

SECONDS = 5.0
_MOST = 256 * 1024
_GOOD, _BAD_REQUEST = 200, 400


class RefusedByError(UnreachableError):
    """The provider answered that it does not do this; `code` is its own short word (RFC 6749, 5.2)."""

    def __init__(self, detail: str, code: str) -> None:
        super().__init__(detail)
        self.code = code


class Channel(Protocol):
    """What the single sign-on needs of its back channel."""

    def get(self, url: str) -> dict[str, Any]:
        """Return the JSON object at an address; UnreachableError."""

    def post(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        """Send a form, and return the JSON object that answers it; UnreachableError, RefusedByError."""


class Link:
    """The back channel itself."""

    def __init__(self, ca_file: Path | None) -> None:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False, timeout=SECONDS)

    def get(self, url: str) -> dict[str, Any]:
        """Return the JSON object at an address; UnreachableError."""
        return self._asked("GET", url, None, {})

    def post(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        """Send a form, and return the JSON object that answers it; UnreachableError."""
        return self._asked("POST", url, dict(fields), headers)

    def _asked(
        self, method: str, url: str, fields: dict[str, str] | None, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        if not url.startswith("https://"):
            raise UnreachableError(f"{url} is not https")
        told = {"accept": "application/json", **headers}
        if fields is not None:
            told["content-type"] = "application/x-www-form-urlencoded"
        try:
            answer = self._pool.request(
                method,
                url,
                body=None if fields is None else urlencode(fields),
                headers=told,
                redirect=False,
                preload_content=False,
            )
            body = answer.read(_MOST + 1)
            answer.release_conn()
        except (HTTPError, OSError) as error:
            raise UnreachableError(f"{url}: {error}") from error
        return _object(url, answer.status, body)


def _object(url: str, status: int, body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body) if len(body) <= _MOST else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UnreachableError(f"{url} answers {status}, and no JSON object")
    if status != _GOOD:
        # What went wrong, in the provider's own short word; never what was sent.
        code = str(found.get("error", ""))[:80]
        said = f"{url} answers {status}: {code!a}"
        raise RefusedByError(said, code) if status == _BAD_REQUEST else UnreachableError(said)
    return found
