"""Alerts over HTTPS: our own JSON, signed; what Teams, Slack and Alertmanager read.

What lives only here: the form of each, the signature, and that whoever answers drop by drop holds up nobody
else: a time limit of the library begins anew with each byte. The signature is an HMAC-SHA256 over the time, a
dot and the body: whoever has the secret knows that the message is ours, and not an old one sent again.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import urllib3

from appliance.alerts.options import WebhookSettings
from appliance.alerts.outbox import Letter
from appliance.alerts.redact import Alarm, Confirmation, Notice, Pulse, Trouble
from appliance.alerts.ways import WayError, read_secret
from appliance.alerts.wording import words
from appliance.model.secret import Secret

_OK = range(200, 300)


def payload(letter: Letter, form: str) -> object:
    """Return what is sent, in the form that the other side reads."""
    text = words(letter.message)
    if form == "teams":
        return _teams(text.subject, text.body)
    if form == "slack":
        escaped = f"*{text.subject}*\n{text.body}"
        for mark, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            escaped = escaped.replace(mark, entity)
        return {"text": escaped}
    if form == "alertmanager":
        return [_alarm(letter)]
    return {"id": letter.digest, "what": letter.what.value, **_fields(letter)}


def signature(secret: Secret, timestamp: int, body: bytes) -> str:
    """Return the value of the header that shows whose message it is, and of when."""
    made = hmac.new(secret.reveal().encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1={made.hexdigest()}"


class Webhook:
    """The way to one address."""

    def __init__(self, settings: WebhookSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._working: threading.Thread | None = None
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=1, retries=False)

    async def send(self, letter: Letter) -> None:
        """Return when the other side has taken it; WayError when not, or not within the time of the settings.

        In a thread of its own: one that hangs must take none from those that read the log and the book.
        """
        name, limit = self._settings.name, self._settings.timeout_seconds
        if self._working is not None and self._working.is_alive():
            raise WayError(f"the webhook {name} still hangs in the try before")
        ended = concurrent.futures.Future[None]()
        self._working = threading.Thread(
            target=self._settle, args=(letter, ended), name=f"webhook {name}", daemon=True
        )
        self._working.start()
        try:
            await asyncio.wait_for(asyncio.wrap_future(ended), limit)
        except TimeoutError:
            raise WayError(f"the webhook {name} did not answer within {limit:g} s") from None

    def _settle(self, letter: Letter, ended: concurrent.futures.Future[None]) -> None:
        if not ended.set_running_or_notify_cancel():
            return
        try:
            self._post(letter)
        except Exception as error:  # noqa: BLE001 - told where it was asked for
            ended.set_exception(error)
        else:
            ended.set_result(None)

    def _post(self, letter: Letter) -> None:
        body = json.dumps(payload(letter, self._settings.format), ensure_ascii=True).encode()
        headers = {"content-type": "application/json", "x-gateway-id": letter.digest}
        if self._settings.secret_file is not None:
            moment = int(self._clock())
            headers["x-gateway-timestamp"] = str(moment)
            headers["x-gateway-signature"] = signature(read_secret(self._settings.secret_file), moment, body)
        timeout = urllib3.Timeout(total=self._settings.timeout_seconds)
        try:
            answer = self._pool.request(
                "POST",
                self._settings.url,
                body=body,
                headers=headers,
                timeout=timeout,
                redirect=False,
                preload_content=False,
            )
            answer.close()  # its status is all we ask for, however much it has to say
        except urllib3.exceptions.HTTPError as error:
            # The address may hold a secret of its own, and these errors name it: only their kind is told.
            raise WayError(
                f"the webhook {self._settings.name} cannot be reached ({type(error).__name__})"
            ) from None
        if answer.status not in _OK:
            raise WayError(f"the webhook {self._settings.name} answered {answer.status}")


def _fields(letter: Letter) -> dict[str, Any]:
    message = letter.message
    at = message.at.isoformat(timespec="seconds")
    if isinstance(message, Notice):
        severity = message.severity.name.lower()
        return {
            "case": message.case,
            "severity": severity,
            "theme": message.theme,
            "at": at,
            "link": message.link,
        }
    if isinstance(message, Pulse):
        numbers = ("episodes", "unacknowledged", "undelivered")
        return {"at": at, **{name: getattr(message, name) for name in numbers}}
    if isinstance(message, Trouble):
        return {"at": at, "channel": message.channel, "waiting": message.waiting}
    if isinstance(message, Alarm):
        return {"at": at, "kind": message.kind, "refused": message.count, "over": message.over}
    return {"at": at}


def _teams(title: str, body: str) -> object:
    blocks = [
        {"type": "TextBlock", "text": title, "weight": "Bolder", "wrap": True},
        {"type": "TextBlock", "text": body, "wrap": True},
    ]
    card = {"type": "AdaptiveCard", "version": "1.4", "body": blocks}
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "content": card}]}


def _alarm(letter: Letter) -> dict[str, Any]:
    message = letter.message
    channel = message.channel if isinstance(message, Trouble) else letter.what.value
    labels = {"alertname": "SchoolGatewayAlerts", "severity": "critical", "channel": channel}
    if isinstance(message, Alarm):
        # The same labels at both ends, by which Alertmanager knows what is over.
        labels = {"alertname": "SchoolGatewayClosed", "severity": "critical", "kind": message.kind}
    text = "" if isinstance(message, Confirmation) else words(message).subject
    moment = message.at.isoformat(timespec="seconds")
    ends = {"endsAt": moment} if isinstance(message, Alarm) and message.over else {"startsAt": moment}
    return {"labels": labels, "annotations": {"summary": text}, **ends}
