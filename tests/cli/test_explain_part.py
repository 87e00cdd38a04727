"""Tests of `explain --page`: what an override brings along with its page, and why something stays closed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from appliance import granting
from appliance.cli.explain_part import part_of
from appliance.cli.main import run_cli
from appliance.cli.setup import Setup
from appliance.model.category import Severity
from appliance.model.need import Need
from tests.overrides.making import wish

type Output = pytest.CaptureFixture[str]

PAGE = "https://video.example/film"


def lesson(state: Path) -> int:
    """Open a page whose answer has named three hosts, one of them worse, one closed again by staff."""
    granting.prepare(state)
    now = time.time()
    one = granting.store(state).request_and_grant(
        wish(now - 60, now + 3600, "gambling.example"), "teacher", by="mrs.jones", now=now - 60
    )
    learnt = granting.learnt(state)
    for host, refused in (("cdn.example", ""), ("worse.example", "it is more severe"), ("gone.example", "")):
        learnt.learn(one.number, [Need(host, "gambling.example", Severity.MEDIUM, now, refused)])
    learnt.close()
    granting.store(state).only_named(one.number, ["gone.example"], by="mrs.jones", now=now)
    return one.number


def asked(where: Setup, capsys: Output, host: str, *more: str) -> tuple[dict[str, Any], str]:
    capsys.readouterr()
    named = ("--as", "ks2", "--json", "--config", str(where.config))
    assert run_cli(["explain", f"https://{host}/x.css", *more, *named]) == 0
    told = capsys.readouterr()
    found: dict[str, Any] = json.loads(told.out)
    return found, told.err


@pytest.mark.parametrize(("page", "kind"), [("", "image"), ("http://[", "image"), ("http://[", None)])
def test_a_part_needs_a_page(page: str, kind: str | None) -> None:
    """A word that would change nothing is refused, not left out in silence."""
    with pytest.raises(Exception, match="--page"):
        part_of(page, kind)


def test_each_kind_is_asked_for_as_a_browser_does() -> None:
    """What `explain` says of a part is what the gateway says of the browser's own request."""
    assert part_of("", None) is None
    font, frame, plain = (part_of(PAGE, kind) for kind in ("font", "frame", None))
    assert font is not None
    assert frame is not None
    assert plain is not None
    assert (font.load.dest, font.load.mode, font.load.origin) == ("font", "cors", "video.example")
    assert (frame.load.dest, frame.load.document) == ("iframe", True)
    assert (plain.load.dest, plain.load.referer, plain.load.origin) == ("image", "video.example", "")


@pytest.mark.slow
def test_a_part_is_explained_as_the_gateway_would_judge_it(compiled: Setup, capsys: Output) -> None:
    """S-23, S-76: a technician sees why a style sheet is open on that page alone, and why another is not."""
    everybody = compiled.config.parent / "profiles" / "westways" / "roles.yaml"
    text = everybody.read_text(encoding="utf-8")
    everybody.write_text(text.replace("categories: [", "categories: [gambling, ", 1), encoding="utf-8")
    block = ["lists", "add", "block", "cdn.example", "--because", "So.", "--config", str(compiled.config)]
    number = lesson(compiled.state)
    page = ("--page", "https://gambling.example/")
    alone, _ = asked(compiled, capsys, "gambling.example")
    assert (alone["action"], alone["override"], alone["page"]) == ("allow", number, None)
    # What no list names is open anyway in this profile: the school closes it, which a teacher may not open.
    assert run_cli(block) == 0
    _, why = asked(compiled, capsys, "cdn.example", *page)
    assert "comes with the pages of override 1, but not as this, or not for them" in why
    edited = everybody.read_text(encoding="utf-8").replace("    unlisted: true", "    own_blocks: true", 1)
    everybody.write_text(edited, encoding="utf-8")
    part, why = asked(compiled, capsys, "cdn.example", *page, "--kind", "style")
    assert (part["action"], part["reason"], part["override"]) == ("allow", "override", number)
    assert part["page"] == "gambling.example"
    assert part["because"].startswith("A part of a page of gambling.example. Opened until ")
    assert "override" not in why
    assert asked(compiled, capsys, "cdn.example")[0]["action"] == "block"
    assert asked(compiled, capsys, "cdn.example", *page, "--kind", "frame")[0]["action"] == "block"
    for host, said in (
        ("worse.example", "stays closed: it is more"),
        ("gone.example", "closed gone.example again"),
    ):
        assert run_cli([*block[:3], host, *block[4:]]) == 0
        found, why = asked(compiled, capsys, host, *page)
        assert found["action"] == "block"
        assert said in why
    assert run_cli([*block[:3], "new.example", *block[4:]]) == 0
    assert "no page of override 1 has named new.example" in asked(compiled, capsys, "new.example", *page)[1]
    other = ("--page", "https://bbc.example/")
    assert "no override opens the page bbc.example" in asked(compiled, capsys, "cdn.example", *other)[1]
    capsys.readouterr()
    command = ["explain", "https://cdn.example/", *page, "--as", "ks2", "--config", str(compiled.config)]
    assert run_cli(command) == 0
    assert "part of   a page of gambling.example, and as nothing else" in capsys.readouterr().out
