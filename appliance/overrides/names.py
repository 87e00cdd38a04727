"""What can be wrong with an override, and the words for it.

What lives only here: the one sentence for everything that cannot be opened. It is the same for what a
statutory list names, what a profile rates illegal and what a role may not open, so that nobody learns from
it what is on a list.
"""

from __future__ import annotations

from appliance.config.problems import InWordsError
from appliance.model.words import said, visible

LEAST_WORDS = 4
LONGEST_REASON = 500
"""Characters of a reason: a sentence or three, and no essay in every row of the log."""

LONGEST_SUBJECT = 60


class OverrideError(InWordsError):
    """Something about an override cannot be done; the text says what and what to do next."""


class NoOverrideError(OverrideError):
    """There is no such override, or none for whoever asks."""


def sentence(text: str, what: str = "reason") -> str:
    """Return a reason as it is kept: at least a sentence. OverrideError where it is none."""
    words = visible(text)
    letters = sum(any(mark.isalpha() for mark in word) for word in words.split())
    if letters < LEAST_WORDS:
        raise OverrideError(
            f"the {what} must be a sentence of at least {LEAST_WORDS} words: what is it needed for?"
        )
    if len(words) > LONGEST_REASON:
        raise OverrideError(f"the {what} is longer than {LONGEST_REASON} characters; say it shorter")
    return words


def short(text: str, what: str = "subject") -> str:
    """Return a lesson or subject as it is kept. OverrideError where there is none."""
    words = visible(text)
    if not any(mark.isalnum() for mark in words):
        raise OverrideError(f"the {what} is missing: which lesson is it for, such as 'Year 5 history'?")
    if len(words) > LONGEST_SUBJECT:
        raise OverrideError(f"the {what} is longer than {LONGEST_SUBJECT} characters; say it shorter")
    return words


def purpose_of(text: str) -> str:
    """Return why somebody looks at a report as the audit keeps it. OverrideError where nothing is said."""
    words = said(text)[:LONGEST_REASON]
    if not words:
        raise OverrideError("say in a few words why you look; it is kept in the audit")
    return words
