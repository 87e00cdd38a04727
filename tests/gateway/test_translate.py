from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.net.http.http1 import read_request_head
from mitmproxy.test import tflow

from appliance.gateway.translate import Tunnel, hello_of, host_of, request_of
from appliance.model.request import Request, Wants
from appliance.model.url import Url, UrlRefusedError

CLIENT = "10.20.0.5"
SITE = host_of("site.example")
EXPLICIT = Tunnel(CLIENT)
REDIRECTED = Tunnel(CLIENT, destination=host_of("198.51.100.7"), port=80)


def tunnel(sni: str | None = "site.example", connect: str | None = "site.example", port: int = 443) -> Tunnel:
    """Return an encrypted tunnel, with the names that it was opened under."""
    return Tunnel(
        CLIENT,
        encrypted=True,
        sni=host_of(sni) if sni else None,
        sni_given=sni is not None,
        connect=host_of(connect) if connect else None,
        port=port,
    )


def flow_of(request: http.Request) -> http.HTTPFlow:
    flow = tflow.tflow()
    flow.request = request
    return flow


def h1(head: str, through: Tunnel = EXPLICIT) -> Request:
    """Read a request head as mitmproxy does, and translate it."""
    return request_of(
        flow_of(read_request_head(head.encode("utf-8", "surrogateescape").split(b"\n"))), through
    )


def h2(
    path: bytes, authority: bytes, host: bytes | None = None, through: Tunnel | None = None, **headers: str
) -> Request:
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    fields += [(b"host", host)] if host is not None else []
    made = http.Request(
        "site.example", 443, b"GET", b"https", authority, path, b"HTTP/2.0",
        http.Headers(fields), b"", None, 0.0, 0.0,
    )  # fmt: skip
    return request_of(flow_of(made), through or tunnel())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "through", "url"),
    [
        ("GET http://site.example/a?b=c HTTP/1.1\nHost: site.example", EXPLICIT, "http://site.example/a?b=c"),
        ("GET http://site.example/ HTTP/1.0", EXPLICIT, "http://site.example/"),
        ("GET http://SITE.example./ HTTP/1.1\nHost: Site.Example", EXPLICIT, "http://site.example/"),
        ("GET http://site.example:8080/ HTTP/1.1\nHost: site.example:8080", EXPLICIT, "http://site.example:8080/"),
        ("GET http://site.example:80/ HTTP/1.1\nHost: site.example", EXPLICIT, "http://site.example/"),
        ("GET https://site.example/ HTTP/1.1\nHost: site.example", EXPLICIT, "https://site.example/"),
        ("GET http://[2001:db8::7]:8080/ HTTP/1.1\nHost: [2001:db8::7]:8080", EXPLICIT, "http://[2001:db8::7]:8080/"),
        ("GET http://0x7f.1/ HTTP/1.1\nHost: 127.0.0.1", EXPLICIT, "http://127.0.0.1/"),
        ("GET http://xn--mnchen-3ya.example/ HTTP/1.1\nHost: münchen.example", EXPLICIT, "http://xn--mnchen-3ya.example/"),
        ("GET / HTTP/1.1\nHost: site.example", REDIRECTED, "http://site.example/"),
        ("GET / HTTP/1.1\nHost: s%69te.example", REDIRECTED, "http://site.example/"),
        ("GET / HTTP/1.1\nHost: site.example:81", REDIRECTED, "http://site.example/"),
        ("OPTIONS * HTTP/1.1\nHost: site.example", REDIRECTED, "http://site.example/"),
        ("GET http://site.example/a HTTP/1.1\nHost: site.example", REDIRECTED, "http://site.example/a"),
        ("GET /a#b HTTP/1.1\nHost: site.example", REDIRECTED, "http://site.example/a%23b"),
        ("GET /%2e%2e/a\\b HTTP/1.1\nHost: site.example", REDIRECTED, "http://site.example/a/b"),
        ("GET /ü HTTP/1.1\nHost: site.example", REDIRECTED, "http://site.example/%C3%BC"),
        ("GET / HTTP/1.1\nHost: site.example", tunnel(), "https://site.example/"),
        ("GET / HTTP/1.1\nHost: site.example:443", tunnel(), "https://site.example/"),
        ("GET / HTTP/1.1\nHost: site.example:444", tunnel(), "https://site.example/"),
        ("GET / HTTP/1.1\nHost: site.example", tunnel(port=8443), "https://site.example:8443/"),
        ("GET / HTTP/1.1\nHost: site.example", tunnel(sni=None, connect=None), "https://site.example/"),
    ],
)  # fmt: skip
def test_a_request_is_for_one_site(head: str, through: Tunnel, url: str) -> None:
    """Every honest spelling of a request becomes the address that a browser would show."""
    request = h1(head, through)
    assert (request.refused, str(request.url), request.client) == ("", url, CLIENT)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "through", "said"),
    [
        ("GET / HTTP/1.1\nHost: a.example\nHost: b.example", REDIRECTED, "more than one Host"),
        ("GET / HTTP/1.1\nHost: a.example, b.example", REDIRECTED, "no host name has"),
        ("GET / HTTP/1.1", REDIRECTED, "names no host"),
        ("GET / HTTP/1.1\nHost:", REDIRECTED, "names no host"),
        ("GET / HTTP/1.1\nHost: a.example\nX: one\n two", REDIRECTED, "folded"),
        ("GET / HTTP/1.1\nHost: a.example\nX: a\0b", REDIRECTED, "control characters"),
        ("GET / HTTP/1.1\nHost: user@a.example", REDIRECTED, "no host name has"),
        ("GET / HTTP/1.1\nHost: a.example/b", REDIRECTED, "no host name has"),
        ("GET / HTTP/1.1\nHost: a.example?b", REDIRECTED, "no host name has"),
        ("GET / HTTP/1.1\nHost: a.example\\b", REDIRECTED, "no host name has"),
        ("GET / HTTP/1.1\nHost: a.example:99999", REDIRECTED, "not an address"),
        ("GET / HTTP/1.1\nHost: a%00.example", REDIRECTED, "not an address"),
        ("GET / HTTP/1.1\nHost: \udcff\udcfe.example", REDIRECTED, "not an address"),
        ("GET / HTTP/1.1\nHost: [::1", REDIRECTED, "not an address"),
        ("GET / HTTP/1.1\nHost: 1.2.3.256", REDIRECTED, "not an address"),
        ("GET /a\0b HTTP/1.1\nHost: a.example", REDIRECTED, "control characters"),
        ("GET http://a.example/ HTTP/1.1\nHost: b.example", EXPLICIT, "mismatch"),
        ("GET http://a.example/ HTTP/1.1\nHost: a.example:8080", EXPLICIT, "mismatch"),
        ("GET http://a.example/ HTTP/1.1\nHost: b.example", REDIRECTED, "mismatch"),
        ("GET http://b.example/ HTTP/1.1\nHost: site.example", tunnel(), "mismatch"),
        ("GET / HTTP/1.1\nHost: b.example", tunnel(), "mismatch"),
        ("GET / HTTP/1.1\nHost: www.site.example", tunnel(), "mismatch"),
        ("PRI * HTTP/2.0", REDIRECTED, "HTTP/2 without encryption"),
    ],
)  # fmt: skip
def test_what_two_parties_could_read_differently_is_refused(head: str, through: Tunnel, said: str) -> None:
    """No request passes of which the filter reads one site and a server another (H25, H32)."""
    request = h1(head, through)
    assert said in request.refused
    assert request.refused.startswith("mismatch") == (said == "mismatch")


@pytest.mark.parametrize(
    ("authority", "host", "refused"),
    [
        (b"site.example", None, ""),
        (b"site.example:443", b"site.example", ""),
        (b"SITE.example.", b"site.example", ""),
        (b"", b"site.example", ""),
        (b"site.example", b"other.example", "mismatch: Host and :authority differ"),
        (b"other.example", None, "mismatch: the request and its encryption name different sites"),
        (b"user@site.example", None, "the host name holds characters that no host name has"),
        (b"site\n.example", None, "the host name holds characters that no host name has"),
        (b"", None, "the request names no host"),
    ],
)
def test_an_http2_request_has_one_name_too(authority: bytes, host: bytes | None, refused: str) -> None:
    """In HTTP/2 the name stands in two places as well, and both must agree with the encryption."""
    assert h2(b"/", authority, host).refused == refused


@pytest.mark.parametrize("path", [b"", b"site", b"/a b", b"/\x7f", b"http://other.example/"])
def test_an_http2_path_that_no_browser_sends_is_refused(path: bytes) -> None:
    """HTTP/2 carries any bytes as a path; only one that begins with a slash can be judged."""
    assert h2(path, b"site.example").refused


def test_every_name_of_the_connection_is_judged_as_well() -> None:
    """A blocked CONNECT target or network address counts, also when the request names another site."""
    within = Tunnel(CLIENT, connect=host_of("opened.example"), port=80, destination=host_of("198.51.100.7"))
    request = h1("GET / HTTP/1.1\nHost: site.example", within)
    assert [url.host for url in request.names] == ["opened.example"]
    assert request.destination == host_of("198.51.100.7")
    same = h1("GET / HTTP/1.1\nHost: site.example", tunnel())
    assert same.names == ()
    unlike = h1("GET / HTTP/1.1\nHost: site.example", tunnel(connect="opened.example"))
    assert [url.host for url in unlike.names] == ["opened.example"]


def test_an_address_of_64_kilobytes_is_answered() -> None:
    """A very long address is refused with a reason, and is not cut to something else that is allowed."""
    request = h1(f"GET http://site.example/{'a' * 65_536} HTTP/1.1\nHost: site.example")
    assert "longer than" in request.refused
    assert request.url == Url("http", "site.example", 80, "/", "")


def test_a_refused_request_is_recorded_under_the_name_it_came_by() -> None:
    """The record of a refused request shows where it went, as far as anything says so."""
    assert h1("GET / HTTP/1.1\nHost: other.example", tunnel()).url.host == "site.example"
    assert h1("GET / HTTP/1.1\nHost: a.example\nHost: b.example", REDIRECTED).url.host == "invalid"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("headers", "wants"),
    [
        ("", Wants.PAGE),
        ("Accept: */*", Wants.PAGE),
        ("Accept: text/html,image/png", Wants.PAGE),
        ("Accept: image/webp,*/*", Wants.IMAGE),
        ("Accept: text/css,*/*;q=0.1", Wants.STYLE),
        ("Accept: application/json", Wants.DATA),
        ("Sec-Fetch-Dest: document\nAccept: image/png", Wants.PAGE),
        ("Sec-Fetch-Dest: iframe", Wants.PAGE),
        ("Sec-Fetch-Dest: image", Wants.IMAGE),
        ("Sec-Fetch-Dest: script", Wants.SCRIPT),
        ("Sec-Fetch-Dest: style", Wants.STYLE),
        ("Sec-Fetch-Dest: empty", Wants.DATA),
        ("Sec-Fetch-Dest: video", Wants.DATA),
        ("Sec-Fetch-Dest: of-the-future\nAccept: text/html", Wants.PAGE),
        ("Upgrade: WebSocket\nSec-Fetch-Dest: empty", Wants.SOCKET),
    ],
)
def test_a_refusal_will_fit_what_the_browser_wants(headers: str, wants: Wants) -> None:
    """A blocked picture is answered with a picture and not with a page that nobody sees."""
    head = f"GET / HTTP/1.1\nHost: site.example\n{headers}".rstrip("\n")
    assert h1(head, REDIRECTED).wants is wants


raw = st.binary(max_size=40) | st.sampled_from(
    [
        b"site.example",
        b"xn--",
        b"xn--a\xff",
        b"[::",
        b"1.2.3.4.5",
        b"%00",
        b"\\",
        b"@",
        b"a:b:c",
        b".",
        b"0x",
        b"\r\n",
    ]
)
text = st.text(max_size=20) | st.sampled_from(
    ["site.example", "\udcff", "xn--zz--", "[", "::1", "0x7f.1", ""]
)
tunnels = st.sampled_from([EXPLICIT, REDIRECTED, tunnel(), tunnel(sni=None), tunnel(connect=None)])


requests = st.builds(
    http.Request,
    text,
    st.integers(-1, 70_000),
    raw | st.just(b"GET"),
    st.sampled_from([b"http", b"https", b"", b"ftp", b"\xff"]),
    raw,
    raw | st.just(b"/"),
    st.sampled_from([b"HTTP/1.1", b"HTTP/2.0"]),
    st.lists(st.tuples(raw | st.sampled_from([b"host", b"accept", b"upgrade"]), raw), max_size=4).map(
        http.Headers
    ),
    st.just(b""),
    st.none(),
    st.just(0.0),
    st.none(),
)


@pytest.mark.slow
@settings(max_examples=50)
@given(requests, tunnels)
def test_no_bytes_make_the_translation_fail(made: http.Request, through: Tunnel) -> None:
    """A pupil cannot provoke an exception with any header, path or name: all get an answer (H2)."""
    request = request_of(flow_of(made), through)
    str(request).encode()  # no lone surrogates: they would break the log later
    if not request.refused and through.sni is not None:
        assert request.url.host == through.sni.host
    assert isinstance(request.method, str)


@pytest.mark.slow
@settings(max_examples=50)
@given(text | st.binary(max_size=300).map(lambda value: value.decode("latin-1")))
def test_a_host_is_read_or_refused(value: str) -> None:
    """A CONNECT target or SNI of any bytes gives a host or a refusal, and never anything else."""
    try:
        url = host_of(value)
    except UrlRefusedError:
        return
    assert (url.path, url.query) == ("/", "")


@pytest.mark.parametrize(
    ("method", "scheme", "name"),
    [
        (b"GET /x HTTP/1.1\r\nHost: bets.example\r\n\r\nGET", b"https", b"a"),
        (b"GE T", b"https", b"a"),
        (b"", b"https", b"a"),
        (b"G\x00", b"https", b"a"),
        ("GÉT".encode(), b"https", b"a"),
        (b"GET", b"ftp", b"a"),
        (b"GET", b"https://x", b"a"),
        (b"GET", b"https", b"a b"),
        (b"GET", b"https", b"a\n"),
        (b"GET", b"https", b"a:b"),
        (b"GET", b"https", b""),
    ],
)
def test_what_http1_would_read_as_something_else_is_refused(
    method: bytes, scheme: bytes, name: bytes
) -> None:
    """HTTP/2 carries blanks and line ends; sent on, they would be a request that nobody judged (F8)."""
    made = http.Request(
        "site.example", 443, method, scheme, b"site.example", b"/", b"HTTP/2.0",
        http.Headers([(name, b"x")]), b"", None, 0.0, 0.0,
    )  # fmt: skip
    assert request_of(flow_of(made), tunnel()).refused


def test_names_of_the_tunnel_are_told_as_they_were_asked_for() -> None:
    """The record of a plain tunnel does not claim encryption, nor another port."""
    plain = Tunnel(CLIENT, connect=host_of("bets.example"), port=80)
    (name,) = h1("GET / HTTP/1.1\nHost: site.example", plain).names
    assert str(name) == "http://bets.example/"


def test_encryption_within_encryption_is_refused() -> None:
    """What is inside a second tunnel has names that nothing outside agrees with."""
    layered = tunnel()
    layered.layered = True
    assert hello_of("site.example", layered).refused
    assert h1("GET / HTTP/1.1\nHost: site.example", layered).refused


def test_a_host_is_kept_by_its_spelling_and_nothing_long_is() -> None:
    """The same few names are read once; a name of 16,000 dots that stands for a short one is not kept."""
    assert host_of("keep.example") is host_of("keep.example")
    long = "site" + "." * 16_000 + "example"
    assert host_of(long) == host_of("site.example")
    assert host_of(long) is not host_of(long)
