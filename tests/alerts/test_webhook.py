"""Messages to a web address: their forms, their signature, and what an answer means."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.alerts.options import WebhookSettings
from appliance.alerts.outbox import Letter
from appliance.alerts.redact import Alarm, Notice, Pulse, Trouble, What
from appliance.alerts.ways import WayError
from appliance.alerts.webhook import Webhook, payload, signature
from appliance.model.category import Severity
from appliance.model.secret import Secret
from tests.doubles.alerts import MONDAY

NOTICE = Notice(What.ALERT, "A-00012", Severity.HIGH, "Bullying & <abuse>", MONDAY, "")
LETTER = Letter(1, "n", What.ALERT, "webhook", "hook", 0, NOTICE)


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((dict(self.headers.items()), body))  # type: ignore[attr-defined] # ours, below
        self.send_response(self.server.status)  # type: ignore[attr-defined] # ours, below
        self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's signature
        """Say nothing."""


@contextmanager
def hook(status: int = 204) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Handler)
    server.got, server.status = [], status  # type: ignore[attr-defined] # for the handler
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", server.got  # type: ignore[attr-defined] # as above
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_a_message_is_signed_with_its_time(tmp_path: Path) -> None:
    """Whoever listens knows that it is ours, of now, and unchanged."""
    secret = tmp_path / "secret"
    secret.write_text("shared\n")
    secret.chmod(0o600)
    with hook() as (url, got):
        await Webhook(WebhookSettings(name="hook", url=url, secret_file=secret), lambda: 1_000.5).send(LETTER)
    ((headers, body),) = got
    expected = hmac.new(b"shared", b"1000." + body, hashlib.sha256).hexdigest()
    assert headers["x-gateway-signature"] == f"v1={expected}" == signature(Secret("shared"), 1_000, body)
    assert headers["x-gateway-timestamp"] == "1000"
    assert headers["x-gateway-id"] == LETTER.digest
    assert json.loads(body)["case"] == "A-00012"


@contextmanager
def dripping(answer: bytes) -> Iterator[str]:
    """Serve an answer without end: what it begins with, and then a byte every few milliseconds."""
    ended = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            one, _ = listener.accept()
            with one:
                one.sendall(answer)
                while not ended.wait(0.005):
                    one.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        finally:
            ended.set()
            thread.join()


async def test_an_answer_without_end_holds_up_nobody() -> None:
    """Six hooks that drip were as many threads as there are: the keeper read no log and told nobody more."""
    with dripping(b"HTTP/1.1 200 OK\r\nx: ") as url:
        way = Webhook(WebhookSettings(name="hook", url=url, timeout_seconds=0.05))
        with pytest.raises(WayError, match="did not answer within"):
            await way.send(LETTER)
        for _ in range(50):
            with pytest.raises(WayError, match="still hangs"):
                await way.send(LETTER)
        assert sum(thread.name == "webhook hook" for thread in threading.enumerate()) == 1
    with dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n") as url:
        await Webhook(WebhookSettings(name="hook", url=url, timeout_seconds=5)).send(LETTER)


@pytest.mark.slow
@pytest.mark.parametrize("status", [301, 400, 404, 429, 500])
async def test_anything_but_a_yes_is_tried_again(status: int) -> None:
    """A redirect is not followed: it could lead anywhere."""
    with hook(status) as (url, got):
        with pytest.raises(WayError, match=f"hook answered {status}"):
            await Webhook(WebhookSettings(name="hook", url=url)).send(LETTER)
        assert len(got) == 1


async def test_an_address_that_holds_a_secret_is_not_told() -> None:
    """Teams and Slack put the key into the address, and errors stand in the log."""
    with pytest.raises(WayError) as caught:
        await Webhook(WebhookSettings(name="hook", url="http://127.0.0.1:1/very-secret")).send(LETTER)
    assert "very-secret" not in str(caught.value)


def test_each_form_is_what_the_other_side_reads() -> None:
    """Teams takes a card, Slack a text with its three marks escaped, Alertmanager labels."""
    text = json.dumps(payload(LETTER, "teams"))
    assert "AdaptiveCard" in text
    assert "A-00012" in text
    slack = payload(LETTER, "slack")
    assert isinstance(slack, dict)
    assert slack["text"].startswith("*Alert: A-00012 high, Bullying &amp; &lt;abuse&gt;*")
    alarm = replace(LETTER, what=What.TROUBLE, message=Trouble(MONDAY, "mail", 3))
    alarms = payload(alarm, "alertmanager")
    assert isinstance(alarms, list)
    one = alarms[0]
    assert one["labels"] == {"alertname": "SchoolGatewayAlerts", "severity": "critical", "channel": "mail"}
    assert one["startsAt"] == "2026-11-23T10:15:00+00:00"
    assert payload(replace(LETTER, what=What.TROUBLE, message=Trouble(MONDAY, "mail", 3)), "json") == {
        "id": LETTER.digest,
        "what": "trouble",
        "at": "2026-11-23T10:15:00+00:00",
        "channel": "mail",
        "waiting": 3,
    }
    pulse = payload(replace(LETTER, what=What.HEARTBEAT, message=Pulse(MONDAY, 1, 2, 3)), "json")
    assert isinstance(pulse, dict)
    assert pulse["unacknowledged"] == 2


def test_alertmanager_knows_the_end_of_an_alarm_by_its_labels() -> None:
    """An alarm that is over must go out on the technician's board, and be no second one."""
    began, over = (
        payload(
            replace(LETTER, what=What.ALARM, message=Alarm(MONDAY, "floor", 7, over=ends)), "alertmanager"
        )
        for ends in (False, True)
    )
    assert isinstance(began, list)
    assert isinstance(over, list)
    assert began[0]["labels"] == over[0]["labels"]
    assert ("startsAt" in began[0], "endsAt" in over[0], "startsAt" in over[0]) == (True, True, False)
    plain = payload(replace(LETTER, message=Alarm(MONDAY, "fault", 7, over=True)), "json")
    assert isinstance(plain, dict)
    assert (plain["kind"], plain["refused"], plain["over"]) == ("fault", 7, True)
