"""Names and requests made by dice, the same on every machine.

What lives only here: what a million listed names look like, and which requests a school's day is made of.
No name of a real site is among them, so nothing here depends on a list from outside.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from appliance.model.request import Request
from appliance.model.url import parse_host, parse_url

CATEGORIES = ("advertising", "gambling", "games_noneducational", "malware", "news", "pornography", "sports")
"""What the made names are about: some of it blocked for pupils, some of it not."""
URL_CATEGORY = "forums"
URLS_PER_HOST = 3
CLINICS = ("bench-health.example",)
"""Sites about health, whose encryption a gateway leaves alone."""

_SEED = 20261121
_ENDS = ("com", "net", "org", "co.uk", "info", "de", "fr", "ru", "xyz", "online", "shop", "io")
_SYLLABLES = tuple(start + vowel for start in "bcdfghjklmnprstvwz" for vowel in "aeiou")
_SUBS = ("www", "cdn", "m", "static", "img", "api", "a1", "edge", "eu-west", "blog")
_ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4")


@dataclass(frozen=True, slots=True)
class Made:
    """Names that the made lists hold, `urls` with their paths, and names that no list holds."""

    listed: tuple[str, ...]
    urls: tuple[str, ...]
    unlisted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a mix, and which kind it is."""

    kind: str
    request: Request


def made(count: int, unlisted: int = 60_000) -> Made:
    """Return `count` listed names, one URL host for each fifty of them, and `unlisted` others."""
    dice = random.Random(_SEED)
    hosts = count // 50
    names = list(_names(dice, count + hosts + unlisted))
    listed, rest = names[:count], names[count:]
    urls = [f"{host}{_path(dice)}" for host in rest[:hosts] for _ in range(dice.randint(1, URLS_PER_HOST))]
    return Made(tuple(listed), tuple(urls), tuple(rest[hosts:]))


def of_category(found: Made, category: str) -> Sequence[str]:
    """Return the listed names that are about `category`."""
    return found.listed[CATEGORIES.index(category) :: len(CATEGORIES)]


def requests(found: Made, count: int, seed: int = 1) -> list[Asked]:
    """Return `count` requests of all kinds, each with a host that no other has, as far as they last."""
    dice = random.Random(_SEED + seed)
    kinds = _kinds(found, dice)
    names, weights = list(kinds), [_WEIGHTS[name] for name in kinds]
    return [Asked(name, _request(dice, next(kinds[name]))) for name in dice.choices(names, weights, k=count)]


_WEIGHTS = {
    "listed": 20,
    "below listed": 15,
    "unlisted": 40,
    "listed URL": 5,
    "other URL there": 5,
    "floor's host": 3,
    "by number": 2,
    "address within": 5,
    "long address": 5,
}
"""How many of a hundred requests are of a kind. Real traffic has fewer of the dear ones."""


def _kinds(found: Made, dice: random.Random) -> dict[str, Iterator[str]]:
    listed, unlisted = _endless(dice, found.listed), _endless(dice, found.unlisted)
    urls = _endless(dice, found.urls)

    def each(make: Callable[[], str]) -> Iterator[str]:
        while True:
            yield make()

    return {
        "listed": each(lambda: next(listed) + _path(dice)),
        "below listed": each(lambda: f"{_below(dice)}.{next(listed)}{_path(dice)}"),
        "unlisted": each(lambda: next(unlisted) + _path(dice)),
        "listed URL": each(lambda: f"{next(urls)}/page.html?x={dice.randrange(999)}"),
        "other URL there": each(lambda: f"{next(urls).partition('/')[0]}/a{_path(dice)}?q=1&r=%20%2541"),
        "floor's host": each(lambda: f"{_word(dice, 3)}.floor-test.example/listed{_path(dice)}?item=2"),
        "by number": each(lambda: ".".join(str(dice.randint(11, 120)) for _ in range(4)) + _path(dice)),
        "address within": each(lambda: f"{next(unlisted)}/go?url=https%3A%2F%2F{next(listed)}%2Fx"),
        "long address": each(lambda: f"{next(unlisted)}{_path(dice)}?{_word(dice, 600)}=%41%42"),
    }


def _request(dice: random.Random, text: str) -> Request:
    # A redirected connection has a destination as well; a request through a tunnel has none.
    number = ".".join(str(dice.randint(11, 120)) for _ in range(4))
    destination = parse_host(number) if dice.random() < 1 / 4 else None
    return Request(parse_url(f"https://{text}"), client=dice.choice(_ADDRESSES), destination=destination)


def _endless(dice: random.Random, values: Sequence[str]) -> Iterator[str]:
    order = dice.sample(range(len(values)), min(len(values), 200_000))
    while True:
        yield from (values[at] for at in order)


def _names(dice: random.Random, count: int) -> Iterator[str]:
    seen: set[str] = set()
    while len(seen) < count:
        sub = f"{dice.choice(_SUBS)}." if dice.random() < 1 / 5 else ""
        name = (
            f"{sub}{_word(dice, dice.randint(2, 5))}{dice.choice(('', '', '-24', '7'))}.{dice.choice(_ENDS)}"
        )
        if name not in seen:
            seen.add(name)
            yield name


def _below(dice: random.Random) -> str:
    return ".".join(dice.choice(_SUBS) + str(dice.randrange(1000)) for _ in range(dice.randint(1, 6)))


def _path(dice: random.Random) -> str:
    return "/" + "/".join(_word(dice, dice.randint(1, 3)) for _ in range(dice.randint(1, 4)))


def _word(dice: random.Random, syllables: int) -> str:
    return "".join(dice.choices(_SYLLABLES, k=syllables))
