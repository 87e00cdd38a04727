"""What the keeper's process runs, from start to end: the log read, alerts sent, a sign of life each day.

What lives only here: which real things alerts work with, and how often each is looked at. Whatever fails is
told, and tried again a moment later; nothing that a worker does waits for any of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime

from appliance import afterwards, assembly, auditing, handling, releasing, summing, watching
from appliance.alerts import cases, ladder, outbox, recipients
from appliance.alerts.book import Book
from appliance.alerts.delivery import Delivery, Ways
from appliance.alerts.episodes import Means
from appliance.alerts.ladder import Directory
from appliance.alerts.status import Standing, standing
from appliance.alerts.ways import Way
from appliance.changes.notices import EMERGENCY, PASSWORD
from appliance.config.problems import InWordsError
from appliance.events.errors import EventsError
from appliance.events.following import Following
from appliance.events.holds import held
from appliance.events.leap import leapt
from appliance.gateway.wording import upset_messages
from appliance.identity.sessions import SCHOOL_ZONE
from appliance.keeping import Keeping, Telling
from appliance.metrics import Metrics
from appliance.model.profile import Policy
from appliance.policy.schedule import within
from appliance.reporting import log_to_stderr
from appliance.settings import Settings
from appliance.starter import watch_starter

LOOK_SECONDS = 0.25
"""How often it is asked whether the log has changed: one look at a shared number."""

_SEND_SECONDS, _COUNT_SECONDS, _ASK_SECONDS, _TIDY_SECONDS = 0.25, 5.0, 10.0, 3_600.0
_REPORT_SECONDS, _ENDED_SECONDS = 300.0, 2.0
_PAUSE_SECONDS = 1.0
_LEAST_KEPT_DAYS = 30

logger = logging.getLogger(__name__)


def keep(settings: Settings) -> None:
    """Turn what is flagged into alerts until SIGTERM or the end of standard input; OSError, AlertsError."""
    log_to_stderr()
    Book(settings.state).prepare()
    try:
        handling.settle(settings.state)
    except (InWordsError, OSError) as error:  # whoever takes the next step in a case does it
        logger.warning("the audit does not say yet which steps in cases were rolled back: %s", error)
    asyncio.run(Keeper(settings).run())


def directory(settings: Settings) -> Directory:
    """Return who can be told, and by which ways."""
    alerts = settings.alerts
    others = [(outbox.WEBHOOK, one.name) for one in alerts.webhooks if one.format != "alertmanager"]
    if alerts.syslog is not None:
        others.append((outbox.SYSLOG, outbox.SYSLOG))
    alarms = tuple((outbox.WEBHOOK, one.name) for one in alerts.webhooks if one.format == "alertmanager")
    return Directory(alerts.roles, alerts.technicians, tuple(others), alarms)


def link(settings: Settings) -> str:
    """Return what the reference of a case is put behind in a message; empty where there is no such page."""
    given, pages = settings.alerts.link, settings.alerts.pages
    if given:
        return f"{given.rstrip('/')}/"
    return f"{pages.address}/cases/" if pages is not None else ""


def confirmation_page(settings: Settings) -> str:
    """Return what the secret of a question is put behind; empty where no page takes the answer."""
    pages = settings.alerts.pages
    return f"{pages.address}/confirm/" if pages is not None else ""


def ways(settings: Settings) -> Ways:
    """Return every way of the settings by which somebody can be told."""
    from appliance.alerts.mail import Mailer  # noqa: PLC0415 - a command that only looks needs none of these
    from appliance.alerts.syslog import Syslog  # noqa: PLC0415 - the same
    from appliance.alerts.webhook import Webhook  # noqa: PLC0415 - the same

    alerts = settings.alerts
    found: dict[tuple[str, str], Way] = {(outbox.WEBHOOK, one.name): Webhook(one) for one in alerts.webhooks}
    if alerts.mail is not None:
        found[outbox.MAIL, ""] = Mailer(alerts.mail)
    if alerts.syslog is not None:
        found[outbox.SYSLOG, outbox.SYSLOG] = Syslog(alerts.syslog)
    return found


class Keeper:
    """The process beside the workers that tells the safeguarding lead."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._store = assembly.snapshots(settings)
        self._policy = self._store.open(self._store.current())
        self._book = Book(settings.state)
        self._directory = directory(settings)
        self._metrics = Metrics(settings.state / "metrics")
        self._following = Following(settings.state)
        telling = Telling(self._directory, settings.alerts.deliver)
        upset = upset_messages()
        self._keeping = Keeping(self._following, self._book, self._means, telling, upset, clock)
        self._delivery = Delivery(
            self._book, ways(settings), self._directory, link(settings), self._metrics, clock
        )
        self._wake = asyncio.Event()
        self._behind = True

    async def run(self) -> None:
        """Work until told to end, or until whoever started this has gone."""
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, told.set)
        watching = watch_starter(told.set)
        tasks = [asyncio.create_task(task) for task in self._work()]
        try:
            await told.wait()
        finally:
            watching()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._following.close()

    def _work(self) -> list[Coroutine[None, None, None]]:
        work = [
            _again("flagged accesses", self._look, 0.0),
            _again("the state of alerts", self._count, _COUNT_SECONDS),
            _again("old cases", self._tidy, _TIDY_SECONDS),
            _again("reports", self._report, 0.0),
            _again("reports of overrides", self._report_overrides, _ENDED_SECONDS),
            _again("old reports of overrides", self._forget_overrides, _TIDY_SECONDS),
            watching.watch_policy(self._store, self._policy.version, self._use),
        ]
        if self._settings.alerts.deliver:
            work.append(_again("changes that somebody else is to look at", self._announce, _SEND_SECONDS * 4))
            work.append(_again("checkpoints for governors", self._mail_checkpoints, _SEND_SECONDS * 8))
            work.append(_again("alerts that wait", self._send, 0.0))
            work.append(_again("confirmations and the sign of life", self._ask, _ASK_SECONDS))
        return work

    def _use(self, policy: Policy) -> None:
        # What was told stays told; from now on the new rules are asked, also of episodes that go on.
        self._policy = policy

    def _means(self) -> Means:
        chosen = self._policy.sets[self._settings.school.set]
        return Means(chosen.alerts, within)

    async def _look(self) -> None:
        # Remembered until it was looked at: a look that fails (somebody holds the book) must not wait for the
        # log to change again, which can be tomorrow.
        self._behind |= await self._following.changed() or self._following.spills()
        while self._behind:
            self._behind = await self._keeping.look()
            self._wake.set()
        self._metrics.alerts_looked(self._clock())
        await asyncio.sleep(LOOK_SECONDS)

    async def _send(self) -> None:
        if await self._keeping.tell():
            self._wake.set()
        await self._delivery.begin()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), 4 * _SEND_SECONDS)
        self._wake.clear()

    async def _announce(self) -> None:
        if await asyncio.to_thread(announce_changes, self._settings, self._book, self._clock()):
            self._wake.set()

    async def _ask(self) -> None:
        now = self._clock()

        def ask() -> None:
            with self._book.writing() as db:
                recipients.ask(db, self._directory.addresses, confirmation_page(self._settings), now)
                local = datetime.fromtimestamp(now, SCHOOL_ZONE)
                at = self._settings.alerts.heartbeat
                if at is not None and f"{local:%H:%M}" >= at.rjust(5, "0"):
                    ladder.heartbeat(db, self._directory, f"{local:%Y-%m-%d}", now)

        await asyncio.to_thread(ask)

    async def _count(self) -> None:
        found = await asyncio.to_thread(self._standing)
        self._metrics.know(rules=[one.rule for one in found.precision])
        self._metrics.alerts_standing(
            waiting=found.waiting,
            oldest=found.oldest,
            undelivered=found.undelivered,
            without_recipient=found.without_recipient,
            unacknowledged=found.unacknowledged,
        )
        for one in found.precision:
            self._metrics.alert_answers(one.rule, one.useful, one.useless)

    def _standing(self) -> Standing:
        with self._book.reading() as db:
            return standing(db, self._directory, self._clock())

    async def _tidy(self) -> None:
        await forget_cases(self._settings, self._book, self._clock())

    async def _report(self) -> None:
        await asyncio.sleep(_REPORT_SECONDS)  # first of all: whoever starts anew has alerts to see to
        now = datetime.fromtimestamp(self._clock(), UTC)
        for made in await asyncio.to_thread(summing.make_due, self._settings, self._policy, now):
            logger.info("%s is there, made by %s", made.path.name, made.printer)

    async def _report_overrides(self) -> None:
        # First what was made before: a log that cannot be read now keeps nobody else's report back.
        if await asyncio.to_thread(afterwards.tell, self._settings, self._book, self._clock()):
            self._wake.set()
        await asyncio.to_thread(afterwards.make_due, self._settings.state, self._clock())

    async def _mail_checkpoints(self) -> None:
        if await asyncio.to_thread(auditing.mail_checkpoints, self._settings, self._book, self._clock()):
            self._wake.set()

    async def _forget_overrides(self) -> None:
        if await leapt(self._settings.state, datetime.fromtimestamp(self._clock(), UTC)):
            return
        await asyncio.to_thread(afterwards.forget, self._settings, self._clock())


async def forget_cases(settings: Settings, book: Book, now: float) -> None:
    """Remove the cases that are past their days: as long as the log keeps the name of whoever was flagged.

    What is on hold stays (S-60, DP-2), and all of it for a day after the clock has leapt ahead. AlertsError,
    EventsError.
    """
    if await leapt(settings.state, datetime.fromtimestamp(now, UTC)):
        return
    days = max(_LEAST_KEPT_DAYS, settings.retention.keep["name"].flagged_days)
    try:
        names = frozenset(f"name {name}" for name in await held(settings.state))
    except EventsError as error:
        logger.warning("old cases stay for now: %s", error)
        return

    def forget() -> None:
        with book.writing() as db:
            cases.forget(db, now, days * 86_400.0, names)

    await asyncio.to_thread(forget)


def announce_changes(settings: Settings, book: Book, now: float) -> int:
    """Give what one person or the gateway did alone to what sends it; return how many.

    ChangeError, AlertsError. The mail of whoever did it is left out. What is put in twice is there once.
    """
    notices = releasing.notices(settings)
    if not (found := notices.untold()):
        return 0
    waiting, addresses = notices.count(), settings.changes.addresses
    with book.writing() as db:
        for notice in found:
            to = [mail for name, mail in addresses.items() if name.casefold() != notice.by.casefold()]
            what = {EMERGENCY: "closed", PASSWORD: "password"}.get(notice.kind, "returned")
            people = to if addresses else settings.alerts.technicians
            ladder.announce(db, directory(settings), people, what, notice.number, waiting, now)
    notices.told([notice.number for notice in found])
    return len(found)


async def _again(what: str, work: Callable[[], Awaitable[None]], pause: float) -> None:
    # For ever: a log or a book that cannot be had just now is asked again, and said once in a while.
    told = 0.0
    while True:
        try:
            await work()
            await asyncio.sleep(pause)
        except InWordsError as error:
            if time.monotonic() - told > 60:  # noqa: PLR2004 - a line a minute
                logger.warning("%s: %s", what, error)
                told = time.monotonic()
            await asyncio.sleep(_PAUSE_SECONDS)
        except Exception:
            logger.exception("%s: a fault of the keeper; it goes on", what)
            await asyncio.sleep(_PAUSE_SECONDS)
