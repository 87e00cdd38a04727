"""Blocked requests as the pages meet them, and a reader of what a page is made of."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

from appliance.gateway.pages import Answer, Context, Pages
from appliance.model.category import Category, Risk, Severity
from appliance.model.decision import Action, Decision, Reason
from appliance.model.profile import Audience
from appliance.model.request import Wants

HOST = "www.lucky-sevens.example"
GAMBLING = Category("gambling", "Gambling sites", Severity.LOW, Risk.COMMERCE, "gambling", "betting games")
SELF_HARM = Category("self_harm", "Self-harm", Severity.HIGH, Risk.CONTENT, "self-harm", "people being hurt")
CSAM = Category("csam", "CSAM", Severity.CRITICAL, Risk.CONTENT, "a", "b", floor=True)


@cache
def pages() -> Pages:
    """Return the real pages, read once: they are what a child sees when all else fails."""
    return Pages()


def context(
    reason: Reason = Reason.UNACCEPTABLE, audience: Audience = Audience.KS2, **changes: object
) -> Context:
    because = "Betting is for adults (W:472)."
    decision = Decision(
        Action.BLOCK,
        reason,
        because,
        "ks2",
        "gambling",
        rule="profiles/westways/ks2.yaml:14",
        list="ut1-gambling",
        list_version="2026-11-20",
        floor=reason is Reason.FLOOR,
        policy_version="sha256:0123456789abcdef",
    )
    base = Context(
        decision,
        GAMBLING,
        audience,
        Wants.PAGE,
        HOST,
        "7KQ4-M2XD",
        "Westways School",
        "Key Stage 2",
        "/review",
        "tok",
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # the tests name real fields


def floor(audience: Audience, category: str = "csam", **changes: object) -> Context:
    base = context(Reason.FLOOR, audience, **changes)
    return replace(base, decision=replace(base.decision, category=category), category=None)


def text(answer: Answer) -> str:
    return answer.body.decode("utf-8")


class Skeleton(HTMLParser):
    """The elements and attribute names of a page, without any text or value."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]


def skeleton(answer: Answer) -> Skeleton:
    return Skeleton(text(answer))
