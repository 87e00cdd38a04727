"""Personal data planted into everything that alerts are made from, and the search for it in all that leaves.

Names, hosts and search terms in many scripts, with HTML, with line ends that would inject a header: each
holds a word that occurs nowhere else, which must not come out in any form.
"""

from __future__ import annotations

import base64
import json
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from urllib.parse import quote

from appliance.alerts import episodes, ladder, outbox
from appliance.alerts.book import Book
from appliance.alerts.episodes import Means
from appliance.alerts.ladder import Directory
from appliance.alerts.mail import compose
from appliance.alerts.outbox import Letter
from appliance.alerts.syslog import line
from appliance.alerts.webhook import payload
from appliance.events.following import Following
from appliance.events.record import from_access
from appliance.keeping import Keeping, Telling
from appliance.metrics import Metrics
from appliance.model.category import Severity
from appliance.model.event import Access
from appliance.model.person import Confidence, Person
from appliance.policy.schedule import within
from tests.doubles.alerts import DIRECTORY, DSL, book, rules
from tests.doubles.events import BLOCKED, FLOOR, START

ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz",
    "абвгдежзиклмнопрстуфхцчшэюя",
    "αβγδεζηθικλμνξοπρστυφχψω",
    "אבגדהוזחטיכלמנסעפצקרשת",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "अआइईउऊएऐओऔकखगघचछजझटठडढणतथदध",
    "あいうえおかきくけこさしすせそたちつてと",
    "的一是不了人我在有他这为之大来以个中上们",
    "가나다라마바사아자차카타파하거너더러머버",
)
SHAPES = (
    "{}",
    "<b>{}</b>",
    "<script>alert('{}')</script>",
    "{}\r\nBcc: {}@evil.example",
    "{}\nSubject: {}",
    "{}\r\n\r\n<html>{}",
    "=?utf-8?b?{}?=",
    "{{{{ {} }}}} ${{{}}} %s",
    '"{}] [x@1 y="{}',
    "\u202e{}\u2066",
    "{}\x00\x1b[31m",
)
CATEGORIES = ("self_harm", "gambling", "filter_bypass", "drugs")


@dataclass(frozen=True)
class Found:
    """What was rendered and searched, and each planted word that came out with where it did."""

    rendered: int
    leaks: tuple[str, ...]


def word(dice: random.Random) -> str:
    """Return a word of ten letters of one script, which occurs nowhere else."""
    return "".join(dice.choices(dice.choice(ALPHABETS), k=10))


def planted(dice: random.Random, number: int) -> tuple[Access, tuple[str, ...]]:
    """Return one flagged access, and the words that are planted in it."""
    words = tuple(word(dice) for _ in range(5))
    name, device, client, host, term = (dice.choice(SHAPES).replace("{}", one) for one in words)
    decision = (
        FLOOR
        if number % 97 == 0
        else replace(BLOCKED, category=dice.choice(CATEGORIES), severity=Severity.HIGH)
    )
    person = Person("ks2", "network", Confidence.CERTAIN, name if number % 3 else "", device)
    at = START + timedelta(seconds=number)
    url = f"https://{host}/?q={term}"
    return Access(f"REF-{number}", at, person, client, host, url, "GET", decision, search_term=term), words


def search(folder: Path, least: int, seed: int = 7) -> Found:
    """Let planted accesses become messages until `least` texts were rendered and searched."""
    dice = random.Random(seed)
    made = book(folder, DSL)
    directory = Directory(DIRECTORY.roles, (), (("webhook", "hook"), ("syslog", "syslog")))
    means = Means(rules(), within)
    keeping = Keeping(
        Following(folder), Book(folder), lambda: means, Telling(directory, deliver=True), frozenset()
    )
    rendered, leaks, number = 0, list[str](), 0
    while rendered < least:
        accesses = [planted(dice, number + step) for step in range(200)]
        number += len(accesses)
        words = [form for _, theirs in accesses for one in theirs for form in forms(one)]
        texts: list[str] = []
        with made.writing() as db:
            for text in _texts(db, keeping, means, directory, [access for access, _ in accesses]):
                rendered += 1
                texts.append(text)
            # One search for all of them: each word in each text would take all night.
            everything = "\n".join(texts)
            leaks += [one for one in words if one in everything]
    metrics = Metrics()
    metrics.know(rules=["harm"])
    for one in (word(dice) for _ in range(50)):
        metrics.alert_failed(one)
        metrics.alert_answers(one, 1, 1)
        leaks += [one for _ in "1" if one in metrics.text()]
    return Found(rendered, tuple(leaks))


def _texts(
    db: sqlite3.Connection, keeping: Keeping, means: Means, directory: Directory, accesses: list[Access]
) -> Iterator[str]:
    seen = [one for access in accesses if (one := keeping.sighting(from_access(access))) is not None]
    episodes.take(db, seen, means, datetime.now(UTC))
    moment = accesses[-1].at.timestamp()
    ladder.tell(db, directory, moment)
    ladder.heartbeat(db, directory, accesses[0].reference, moment)
    ladder.trouble(db, directory, "mail", moment)
    for letter in outbox.due(db, 1e12, "https://school.example/cases/", 100_000):
        outbox.sent(db, letter, moment)
        yield from render(letter)
    db.execute("DELETE FROM duty")


def render(letter: Letter) -> Iterator[str]:
    """Yield everything that can leave of one message: mail, subject, each webhook, syslog, log line."""
    raw = bytes(compose(replace(letter, address=DSL), "gateway@school.example"))
    mail = message_from_bytes(raw, policy=default)
    assert mail.get_all("To") == [DSL]
    assert mail.get_all("Bcc") is None
    assert len(mail.get_all("Subject", [])) == 1
    yield raw.decode()
    yield f"{mail['Subject']} {mail.get_content()}"
    for form in ("json", "teams", "slack", "alertmanager"):
        yield json.dumps(payload(letter, form), ensure_ascii=False)
    text = line(letter).decode()
    assert "\n" not in text
    yield text
    yield repr(letter)


def forms(planted_word: str) -> tuple[str, ...]:
    """Return a word as it is, and as an address, a number or a mail would spell it."""
    data = planted_word.encode()
    return planted_word, quote(planted_word), data.hex(), base64.b64encode(data)[:-2].decode()
