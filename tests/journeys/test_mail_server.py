"""Alerts through a real mail server: Debian's postfix, with TLS, into a real mailbox."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from appliance.alerts.mail import Mailer
from appliance.alerts.options import MailSettings
from appliance.alerts.outbox import Letter
from appliance.alerts.redact import Notice, What
from appliance.alerts.ways import RefusedError, WayError
from appliance.model.category import Severity
from tests.doubles.alerts import DSL, MONDAY
from tests.journeys.postfix import Postfix, running
from tests.journeys.running import until

CA = trustme.CA()
NOTICE = Notice(What.ALERT, "A-00012", Severity.HIGH, "Self-harm and suicide", MONDAY, "")
LETTER = Letter(1, "alert|12|3|mail|dsl", What.ALERT, "mail", DSL, 0, NOTICE)


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    with running(CA) as server:
        yield server


@pytest.mark.slow
async def test_a_mail_goes_through_a_real_server(postfix: Postfix, tmp_path: Path) -> None:
    """What a school has is no library of ours: it arrives, once, whole; what it refuses is understood."""
    roots = tmp_path / "roots.pem"
    CA.cert_pem.write_to_path(str(roots))
    values = {"server": "127.0.0.1", "port": postfix.port, "sender": "gateway@school.example"}
    mailer = Mailer(MailSettings.model_validate({**values, "roots": roots}))
    await mailer.send(LETTER)
    until(postfix.mails, "the mail lies in the mailbox")
    (mail,) = postfix.mails()
    assert mail["Subject"] == "Alert: A-00012 high, Self-harm and suicide"
    assert mail["Message-ID"] == f"<{LETTER.digest}@school.example>"
    assert "ESMTPS" in mail["Received"]
    with pytest.raises(RefusedError, match="550"):
        await mailer.send(replace(LETTER, address="nobody@school.example"))
    with pytest.raises(RefusedError, match="nothing is sent anywhere"):
        await mailer.send(replace(LETTER, address="dsl@elsewhere.example"))
    with pytest.raises(WayError, match="450") as later:
        await mailer.send(replace(LETTER, address="busy@school.example"))
    assert not isinstance(later.value, RefusedError)
    with pytest.raises(WayError, match="certificate"):
        await Mailer(MailSettings.model_validate(values)).send(LETTER)
    assert len(postfix.mails()) == 1
