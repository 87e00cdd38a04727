"""What processes do when files change while they run: lists, a published policy, the technician's edits.

What lives only here: how often is looked, that an edit is taken up once its files keep still, and how one
that is not in force is told.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from appliance.config.problems import ProblemsError
from appliance.config.snapshots import HeldError, Snapshots
from appliance.lists.lists import Lists
from appliance.model.profile import Policy
from appliance.model.stage import Stage

POLL_SECONDS = 0.1
"""How often processes look whether a policy or a list has changed: in force within a second."""

RETRY_SECONDS = 2.0
"""How long a process waits before it reads a published policy again that it could not read."""


async def watch_lists(lists: Lists, changed: Callable[[], None]) -> None:
    """Keep `lists` on the newest table for ever, and tell when they have changed."""
    while True:
        await asyncio.sleep(POLL_SECONDS)
        if lists.refresh():
            changed()


async def watch_policy(store: Snapshots, version: str, use: Callable[[Policy], None]) -> None:
    """Put each newly published policy in force, for ever; `version` is the one that is in force now."""
    while True:
        await asyncio.sleep(POLL_SECONDS)
        try:
            if (published := store.current()) == version:
                continue
            # In a thread, so that reading does not hold up requests.
            policy = await asyncio.to_thread(store.open, published)
        except (ProblemsError, OSError, ValueError):
            # A copy that cannot be read leaves the policy in force; the supervisor publishes only what it
            # could read itself.
            await asyncio.sleep(RETRY_SECONDS)
        else:
            use(policy)
            version = policy.version


async def watch_stage(store: Snapshots, use: Callable[[tuple[Stage, Policy] | None], None]) -> None:
    """Let the policy that counts for some people first count for them, for ever, from the first moment on.

    A copy that cannot be read leaves everybody as they were.
    """
    seen = ""
    while True:
        try:
            if (text := store.stage_text()) != seen:
                use(await asyncio.to_thread(store.staged))
                seen = text
        except (ProblemsError, OSError, ValueError):
            await asyncio.sleep(RETRY_SECONDS)
        await asyncio.sleep(POLL_SECONDS)


async def watch_edits(
    store: Snapshots, changed: Callable[[Policy], None], broken: Callable[[ProblemsError | OSError], None]
) -> None:
    """Publish each good edit of the technician's files, for ever.

    A bad edit is told once, and changes nothing.
    """
    failed = False
    seen: object = None  # so that an edit made while the gateway started is seen as well
    while True:
        await asyncio.sleep(POLL_SECONDS)
        signature = store.signature()
        if signature == seen:
            continue
        # An editor may still be writing: wait until the files have kept still.
        await asyncio.sleep(POLL_SECONDS)
        if store.signature() != signature:
            continue
        seen = signature
        before = store.current()
        try:
            policy = await asyncio.to_thread(store.publish)
        except (ProblemsError, OSError) as error:
            failed = True
            broken(error)
        else:
            # A broken edit that was taken back is news as well: the alarm must end.
            if failed or policy.version != before:
                changed(policy)
            failed = False


def tell_problems(error: ProblemsError | OSError) -> None:
    """Print what is wrong with an edit, or for what it waits, on stderr."""
    why = f"What is wrong:\n{error}"
    if isinstance(error, HeldError):
        why = error.problems[0].message
    sys.stderr.write(f"appliance: the edit is not in force; the policy from before stays. {why}\n")
    sys.stderr.flush()
