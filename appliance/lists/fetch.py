"""Fetches a feed over HTTPS: verified, bounded in size and time, and taken up again where it broke off.

What lives only here: HTTP. Redirects lead to https alone and carry no password to another server.
An answer that was cut short, took too long, grew too large or is an error is never a list.
"""

from __future__ import annotations

import contextlib
import json
import re
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, SSLError

from appliance.config.problems import InWordsError
from appliance.lists.paths import make_folder, open_owned
from appliance.model.secret import Secret

CHUNK = 64 * 1024
_CONNECT_SECONDS, _SILENCE_SECONDS = 20.0, 60.0
_MOST_REDIRECTS = 5
_OK, _PARTIAL, _SAME, _RANGE = 200, 206, 304, 416
_REDIRECTS = frozenset([301, 302, 303, 307, 308])
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_MEGABYTE = 1 << 20

type Progress = Callable[[int, int], None]
"""Is told how many bytes there are so far, and how many there will be (0: not known)."""


class FetchError(InWordsError):
    """The feed could not be fetched whole; the message says why, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What to fetch. `etag` and `modified` are of the edition in force, so that it is not sent again."""

    url: str
    ca_file: Path | None = None
    user: str = ""
    password: Secret | None = None
    token: Secret | None = None
    etag: str = ""
    modified: str = ""
    most_bytes: int = 200 * _MEGABYTE
    most_seconds: float = 1800.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came. `same` means that the edition in force is still the newest; nothing was written then."""

    same: bool
    etag: str = ""
    modified: str = ""

    @property
    def dated(self) -> float | None:
        """The source's own date in seconds since 1970, where the server says it."""
        try:
            return parsedate_to_datetime(self.modified).timestamp()
        except ValueError:
            return None


@dataclass(slots=True)
class _Part:
    """A download that is under way, or was broken off."""

    path: Path
    etag: str = ""
    modified: str = ""
    url: str = ""
    size: int = field(default=0)

    @property
    def _note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    @classmethod
    def open(cls, path: Path, url: str) -> _Part:
        """Return what is left of the last try from the same address, if it can be gone on with."""
        part = cls(path, url=url)
        with contextlib.suppress(OSError, ValueError, TypeError):
            known = json.loads(part._note.read_text("utf-8"))
            if known["url"] == url and (known["etag"] or known["modified"]):
                part.etag, part.modified = str(known["etag"]), str(known["modified"])
                part.size = path.stat().st_size
        return part

    def begin(self, etag: str, modified: str) -> None:
        self.etag, self.modified = etag, modified
        note = {name: value for name, value in asdict(self).items() if name in {"url", "etag", "modified"}}
        with open_owned(self._note, "w", encoding="utf-8") as file:
            file.write(json.dumps(note))

    def forget(self) -> None:
        self.etag = self.modified = ""
        self.size = 0
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def done(self) -> None:
        self._note.unlink(missing_ok=True)


class Fetcher:
    """Fetches feeds; `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    def to_file(self, ask: Ask, path: Path, progress: Progress | None = None) -> Answer:
        """Fetch into `path`, going on from what is there of the same edition; raises `FetchError`."""
        make_folder(path.parent)
        part = _Part.open(path, ask.url)
        try:
            answer = self._into_file(ask, part, progress)
        except _CannotResumeError:
            part.forget()
            answer = self._into_file(ask, part, progress)
        if not answer.same:
            part.done()
        return answer

    def to_memory(self, ask: Ask, progress: Progress | None = None) -> tuple[Answer, bytes]:
        """Fetch into memory alone; raises `FetchError`."""
        held = bytearray()
        with self._answer(ask, {}) as response:
            if response.status == _SAME:
                return Answer(same=True), b""
            _demand(response, _OK)
            for chunk in self._chunks(ask, response, 0, progress):
                held += chunk
            return _told(response), bytes(held)

    def _into_file(self, ask: Ask, part: _Part, progress: Progress | None) -> Answer:
        headers = {}
        if part.size:
            headers = {"Range": f"bytes={part.size}-", "If-Range": part.etag or part.modified}
        with self._answer(ask, headers) as response:
            if response.status == _SAME:
                return Answer(same=True)
            if response.status == _RANGE and part.size:
                raise _CannotResumeError
            at = _resumed_at(response, part)
            if at == 0:
                part.forget()
                part.begin(
                    _strong(response.headers.get("ETag", "")), response.headers.get("Last-Modified", "")
                )
            try:
                with open_owned(part.path, "ab" if at else "wb") as file:
                    self._write(ask, response, file, at, progress)
            except (OSError, HTTPError, FetchError) as error:
                if isinstance(error, _TooLargeError) or not (part.etag or part.modified):
                    part.forget()  # the rest could be another edition's
                raise
            return _told(response)

    def _write(
        self,
        ask: Ask,
        response: urllib3.BaseHTTPResponse,
        file: IO[bytes],
        at: int,
        progress: Progress | None,
    ) -> None:
        for chunk in self._chunks(ask, response, at, progress):
            file.write(chunk)
        file.flush()

    @contextlib.contextmanager
    def _answer(self, ask: Ask, headers: dict[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """Yield the answer after redirects; raises `FetchError` for whatever is wrong on the way."""
        url = ask.url
        with contextlib.ExitStack() as stack:
            pool = stack.enter_context(urllib3.PoolManager(ssl_context=_context(ask), retries=False))
            try:
                for _ in range(_MOST_REDIRECTS + 1):
                    response = pool.request(
                        "GET",
                        url,
                        headers=_headers(ask, url) | headers,
                        redirect=False,
                        preload_content=False,
                        decode_content=False,
                        timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_SILENCE_SECONDS),
                    )
                    stack.callback(response.close)
                    if response.status not in _REDIRECTS:
                        yield response
                        return
                    url = _redirected(url, response)
            except SSLError as error:
                raise FetchError(f"{_server(url)} could not prove who it is ({_short(error)})") from None
            except HTTPError as error:
                raise FetchError(f"{_server(url)}: {_short(error)}") from None
        raise FetchError(f"more than {_MOST_REDIRECTS} redirects")

    def _chunks(
        self, ask: Ask, response: urllib3.BaseHTTPResponse, at: int, progress: Progress | None
    ) -> Iterator[bytes]:
        """Yield the body piece by piece, within the limits, and see to it that it is whole."""
        length = _length(response)
        total, end = at, self._clock() + ask.most_seconds
        if length is not None and at + length > ask.most_bytes:
            raise _TooLargeError(f"larger than the {ask.most_bytes // _MEGABYTE} MB that are allowed")
        # read1 returns what has come; read would wait for a slow server to fill its buffer, for hours.
        while chunk := response.read1(CHUNK, decode_content=False):
            total += len(chunk)
            if total > ask.most_bytes:
                raise _TooLargeError(f"larger than the {ask.most_bytes // _MEGABYTE} MB that are allowed")
            if self._clock() > end:
                raise FetchError(f"not finished after {ask.most_seconds:g} seconds")
            yield chunk
            if progress:
                progress(total, at + length if length is not None else 0)
        if length is not None and total - at != length:
            raise FetchError(f"cut short: {total - at} of {length} bytes came")


class _TooLargeError(FetchError):
    """What is there is not worth going on with."""


class _CannotResumeError(Exception):
    """The server has no such range: what is there is not the beginning of what it has."""


def _context(ask: Ask) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ask.ca_file) if ask.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise FetchError(f"{ask.ca_file}: no usable certificate authority ({error})") from None


def _headers(ask: Ask, url: str) -> dict[str, str]:
    headers = {"User-Agent": "appliance-lists", "Accept-Encoding": "identity"}
    if ask.etag:
        headers["If-None-Match"] = ask.etag
    if ask.modified:
        headers["If-Modified-Since"] = ask.modified
    if urlsplit(url).netloc == urlsplit(ask.url).netloc:
        if ask.token:
            headers["Authorization"] = f"Bearer {ask.token.reveal()}"
        elif ask.password:
            headers |= urllib3.make_headers(basic_auth=f"{ask.user}:{ask.password.reveal()}")
    return headers


def _redirected(url: str, response: urllib3.BaseHTTPResponse) -> str:
    target = urljoin(url, response.headers.get("Location", ""))
    if urlsplit(target).scheme != "https":
        raise FetchError("redirected to something that is not https; that is never followed")
    return target


def _resumed_at(response: urllib3.BaseHTTPResponse, part: _Part) -> int:
    """Return from which byte the answer goes on; raises where it is no answer to what was asked."""
    if response.status != _PARTIAL:
        _demand(response, _OK)
        return 0
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    same = response.headers.get("ETag", part.etag) == part.etag
    if not part.size or found is None or int(found[1]) != part.size or not same:
        raise _CannotResumeError if part.size else FetchError("a part came that was not asked for")
    return part.size


def _demand(response: urllib3.BaseHTTPResponse, status: int) -> None:
    if response.status != status:
        raise FetchError(f"the server answered {response.status} {response.reason or ''}".rstrip())


def _told(response: urllib3.BaseHTTPResponse) -> Answer:
    headers = response.headers
    return Answer(same=False, etag=headers.get("ETag", ""), modified=headers.get("Last-Modified", ""))


def _strong(etag: str) -> str:
    return "" if etag.startswith("W/") else etag  # a weak one does not promise the same bytes


def _length(response: urllib3.BaseHTTPResponse) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdigit() else None


def _server(url: str) -> str:
    return urlsplit(url).hostname or "the server"


def _short(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return type(error).__name__ if len(str(reason)) > 200 else str(reason)  # noqa: PLR2004 - a line of text
