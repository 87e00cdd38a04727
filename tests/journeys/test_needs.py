"""What a page that was opened for a lesson needs of other sites, in a real browser: whole, and no more."""

from __future__ import annotations

import base64
import contextlib
import json
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.journeys.lab import BOTH, Got, Lab, Via, built
from tests.journeys.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SITE, PARTS, OTHERS, WORSE = "unlisted.example", "parts.example", "others.example", "gambling.example"
"""The lesson's site; where its parts are; a site that it does not name; one that it names and is worse."""
WHY = ("--subject", "Year R", "--reason", "We look at one picture book.", "--by", "mrs.jones")
FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf")

PAGE = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Lesson</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="https://{PARTS}/files/style.css"></head>
<body><h1>A picture book</h1>
<p>It has <a href="https://{OTHERS}/files/lesson.html">a link</a> as well.</p>
<img id="picture" src="//{PARTS}/files/picture.png" width="120" height="120" alt="A blue square">
<img id="worse" src="https://{WORSE}/files/picture.png" alt="not shown">
<video id="film" src="https://{PARTS}/files/film.webm" width="160" height="120" muted preload="auto"></video>
</body></html>"""
STYLE = """@font-face { font-family: Lesson; src: url(lesson.ttf); }
body { font-family: Lesson; background: #fff8e0 url(picture.png) no-repeat right top; margin: 2em; }
h1 { color: rgb(1, 102, 3); }"""
WHOLE = """async () => {
  const film = document.getElementById('film'), picture = document.getElementById('picture');
  await document.fonts.ready;
  return {
    styled: getComputedStyle(document.querySelector('h1')).color === 'rgb(1, 102, 3)',
    font: [...document.fonts].map(one => one.status).join(),
    picture: picture.naturalWidth, film: film.videoWidth,
    worse: document.getElementById('worse').naturalWidth,
  };
}"""
RECORD = """() => new Promise(done => {
  const canvas = document.createElement('canvas'), pieces = [];
  canvas.width = 160; canvas.height = 120;
  const brush = canvas.getContext('2d');
  const film = new MediaRecorder(canvas.captureStream(25), {mimeType: 'video/webm'});
  const timer = setInterval(() => {
    brush.fillStyle = `hsl(${Date.now() % 360} 80% 50%)`;
    brush.fillRect(0, 0, 160, 120);
  }, 40);
  film.ondataavailable = event => pieces.push(event.data);
  film.onstop = async () => {
    clearInterval(timer);
    const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
    done(btoa(String.fromCharCode(...bytes)));
  };
  film.start(); setTimeout(() => film.stop(), 600);
})"""
"""Makes a short film: Chromium can, and nothing else here."""


def png(size: int = 24) -> bytes:
    """Return a blue square."""

    def piece(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x20\x60\xc0" * size) * size
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + piece(b"IHDR", head)
        + piece(b"IDAT", zlib.compress(rows))
        + piece(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A primary school with two workers, a teacher, and a site whose parts lie at another one."""
    folder = tmp_path_factory.mktemp("needs")
    with built(folder) as made:
        done = made.gateway.ask("people", "add", "mrs.jones", "--kind", "staff", "--group", "staff")
        assert done.returncode == 0, done.stderr
        files = made.origin.folder / "files"
        files.mkdir()
        (files / "lesson.html").write_text(PAGE)
        (files / "style.css").write_text(STYLE)
        (files / "picture.png").write_bytes(png())
        (files / "lesson.ttf").write_bytes(FONT.read_bytes())
        made.sit_at("eyfs")
        with made.chromium(folder) as browser:
            (files / "film.webm").write_bytes(base64.b64decode(browser.new_page().evaluate(RECORD)))
        yield made


@pytest.fixture
def number(lab: Lab) -> Iterator[str]:
    """An override for the lesson's site alone; it ends with the test."""
    yield from granted(lab)


def granted(lab: Lab, *more: str) -> Iterator[str]:
    done = lab.gateway.ask("overrides", "grant", SITE, "--for", "eyfs", "--minutes", "20", *WHY, *more)
    assert done.returncode == 0, done.stderr
    until(lambda: all(get(lab, SITE).status == 200 for _ in range(6)), "it is open in every worker", 10)
    made = done.stderr.split()[1].rstrip(":")
    yield made
    lab.gateway.ask("overrides", "revoke", made, "--by", "mrs.jones")
    until(lambda: all(get(lab, SITE).status == 403 for _ in range(6)), "it is closed in every worker", 10)


def get(lab: Lab, host: str, *more: str, path: str = "/files/picture.png", via: Via = Via.PROXY) -> Got:
    return lab.curl(f"https://{host}{path}", *more, who="eyfs", via=via)


def as_part(dest: str = "image", referer: str = SITE, mode: str = "no-cors") -> list[str]:
    """Return what a browser says of a part of a page, for curl."""
    fields = {"Sec-Fetch-Dest": dest, "Sec-Fetch-Mode": mode, "Sec-Fetch-Site": "cross-site"}
    fields["Referer"] = f"https://{referer}/"
    return [item for name, value in fields.items() for item in ("-H", f"{name}: {value}")]


def learn(lab: Lab) -> None:
    """Let somebody of the class load the page."""
    assert get(lab, SITE, path="/files/lesson.html").status == 200


def opened(browser: Browser, host: str = SITE) -> Page:
    page = browser.new_page(viewport={"width": 640, "height": 480})
    page.goto(f"https://{host}/files/lesson.html", wait_until="load")
    return page


@pytest.mark.parametrize("via", BOTH)
def test_a_page_of_a_lesson_is_whole_and_its_parts_open_nothing_else(
    lab: Lab, via: Via, tmp_path: Path
) -> None:
    """S-23: style, font, picture and film of another closed site come with it at once; no page does."""
    for made in granted(lab):
        with lab.chromium(tmp_path, via) as browser:
            page = opened(browser)
            page.wait_for_function("document.getElementById('film').readyState >= 2")
            page.screenshot(path=tmp_path / "whole.png")
            found = page.evaluate(WHOLE)
            assert found | {"worse": 0} == {
                "styled": True,
                "font": "loaded",
                "picture": 24,
                "film": 160,
                "worse": 0,
            }
            for host in (PARTS, OTHERS, WORSE):
                answer = page.goto(f"https://{host}/files/picture.png")
                assert answer is not None
                assert answer.status == 403, host
            assert page.locator("h1").is_visible()
            page.screenshot(path=tmp_path / "closed.png")
        shown = json.loads(lab.gateway.ask("overrides", "show", made, "--json").stdout)
        states = {need["site"]: need["state"] for need in shown["needs"]}
        assert states == {PARTS: "open as a part of it", WORSE: "closed"}
        row = lab.gateway.logged(lambda row: row["host"] == PARTS and row["action"] == "allow", "a part")
        assert row["rule"] == f"override {made}"
        assert row["because"].startswith(f"A part of a page of {SITE}. Opened until")
    with lab.chromium(tmp_path, via) as browser:
        assert browser.new_page().goto(f"https://{SITE}/files/lesson.html").status == 403  # type: ignore[union-attr]  # it answers
    for _ in range(4):
        assert get(lab, PARTS, *as_part(), via=via).status == 403
    assert lab.origin.packets_to_blocked() == 0


@pytest.mark.parametrize("via", BOTH)
def test_whoever_forges_what_a_browser_says_gets_parts_and_no_page(lab: Lab, number: str, via: Via) -> None:
    """A pupil with curl, within the lesson: nothing before the page has named it, and never a document."""
    assert get(lab, PARTS, *as_part(), via=via).status == 403, "nobody has loaded the page"
    learn(lab)
    for _ in range(6):
        assert get(lab, PARTS, *as_part(), via=via).status == 200, "every worker knows at once"
    assert get(lab, OTHERS, *as_part(), via=via).status == 403
    assert get(lab, WORSE, *as_part(), via=via).status == 403
    assert get(lab, PARTS, *as_part("document", mode="navigate"), via=via).status == 403
    assert get(lab, PARTS, *as_part(referer=OTHERS), via=via).status == 403
    assert get(lab, PARTS, *as_part(), "-X", "POST", "-d", "words", via=via).status == 403
    assert get(lab, PARTS, via=via).status == 403
    page = get(lab, PARTS, *as_part("empty", mode="cors"), path="/files/lesson.html", via=via)
    assert (page.status, page.body) == (403, "")
    row = lab.gateway.logged(lambda row: row["because"].startswith("What came back is a page"), "a page")
    assert (row["host"], row["action"], row["status"]) == (PARTS, "block", 403)
    assert lab.curl(f"https://{PARTS}/files/picture.png", *as_part(), who="ks1", via=via).status == 403
    plain = lab.curl(f"http://{PARTS}/files/picture.png", "-e", f"http://{SITE}/", who="eyfs", via=via)
    assert plain.status == 200, "without encryption the Referer says it"
    assert lab.curl(f"http://{PARTS}/files/picture.png", who="eyfs", via=via).status == 403
    assert lab.origin.packets_to_blocked() == 0
    report = json.loads(
        lab.gateway.ask("overrides", "show", number, "--report", "--purpose", "a test", "--json").stdout
    )
    assert (PARTS, f"part of {SITE}") in {(visit["site"], visit["as"]) for visit in report["visited"]}


def test_what_was_granted_by_name_alone_brings_nothing(lab: Lab) -> None:
    """A granter who wants nothing to come along gets just that, on the short way."""
    for made in granted(lab, "--only-named"):
        learn(lab)
        assert get(lab, PARTS, *as_part()).status == 403
        assert json.loads(lab.gateway.ask("overrides", "show", made, "--json").stdout)["needs"] == []


def test_what_staff_take_out_is_closed_within_a_second_and_cut(lab: Lab, number: str) -> None:
    """A film that runs when its host is taken out ends, as it would with the override."""
    learn(lab)
    film = lab.origin.folder / "files" / "long.webm"
    with film.open("wb") as file:
        file.truncate(256 << 20)
    fields = [f"{field}: {value}" for field, value in _fields(as_part("video"))]
    head = "\r\n".join([f"GET /files/long.webm HTTP/1.1\r\nHost: {PARTS}", *fields, "", ""])
    wire = lab.dial("eyfs")
    wire.sendall(f"CONNECT {PARTS}:443 HTTP/1.1\r\nHost: {PARTS}:443\r\n\r\n".encode())
    assert b"200" in wire.recv(4096)
    secure = lab.trusting("http/1.1").wrap_socket(wire, server_hostname=PARTS)
    secure.settimeout(20)
    secure.sendall(head.encode())
    assert b" 200 " in secure.recv(4096)
    done = lab.gateway.ask("overrides", "only-named", number, PARTS, "--by", "mrs.jones")
    assert done.returncode == 0, done.stderr
    until(lambda: all(get(lab, PARTS, *as_part()).status == 403 for _ in range(4)), "it is closed", 10)
    got, began = 0, time.monotonic()
    with contextlib.suppress(OSError):
        while chunk := secure.recv(1 << 20):
            got += len(chunk)
            assert time.monotonic() - began < 20
    secure.close()
    assert got < 64 << 20, "what waited for a slow reader, and not the film"
    assert get(lab, SITE).status == 200
    learn(lab)
    assert get(lab, PARTS, *as_part()).status == 403, "the page brings it back no more"


def _fields(options: list[str]) -> Iterator[tuple[str, str]]:
    for text in options[1::2]:
        name, _, value = text.partition(": ")
        yield name, value
