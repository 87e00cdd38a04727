"""The option with which somebody says why.

What lives only here: that both words which people try are taken, wherever a change, a list or an override is
decided on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_WORDS = ("because", "reason")


def why(text: str, word: str = "because", *, required: bool = False) -> Callable[[Any], Any]:
    """Return the option; `word` is shown first and names the argument, `text` is its line in the help."""
    words = [f"--{each}" for each in sorted(_WORDS, key=lambda each: each != word)]
    more: dict[str, Any] = {"required": True} if required else {"default": ""}
    return click.option(*words, word, metavar="TEXT", help=text, **more)
