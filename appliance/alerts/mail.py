"""Alerts by mail: one message to one address, over an encrypted and verified connection.

What lives only here: aiosmtplib, and what a mail server's answer means. The Message-ID follows from what is
said and to whom: a mail that is sent again because its acceptance was not heard is the same mail.
"""

from __future__ import annotations

import ssl
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime

import aiosmtplib

from appliance.alerts.options import MailSettings
from appliance.alerts.outbox import Letter
from appliance.alerts.redact import Checkpoint, What
from appliance.alerts.ways import RefusedError, WayError, read_secret
from appliance.alerts.wording import words


def compose(letter: Letter, sender: str) -> EmailMessage:
    """Return the mail, with everything that a mail needs; the recipient is its only address."""
    text = words(letter.message)
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["Subject"] = text.subject
    mail["From"] = sender
    mail["To"] = letter.address
    mail["Date"] = format_datetime(letter.message.at)
    mail["Message-ID"] = f"<{letter.digest}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    if letter.what in (What.ALERT, What.ESCALATED, What.HANDED):
        mail["X-Priority"] = "1"
    mail.set_content(text.body)
    if isinstance(letter.message, Checkpoint):
        # As bytes, which arrive as they are: a line end that changed on the way would be no fault of anybody.
        point = letter.message
        mail.add_attachment(
            point.text.encode(),
            maintype="text",
            subtype="plain",
            params={"charset": "utf-8"},
            filename=f"checkpoint-{point.records:09}.txt",
        )
    return mail


class Mailer:
    """The way to the school's mail server."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    async def send(self, letter: Letter) -> None:
        """Return when the server has taken it; RefusedError when it never will, WayError when not now."""
        try:
            await self._send(letter)
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _judged(error.recipients[0].code, error.recipients[0].message, "recipient") from error
        except aiosmtplib.SMTPDataError as error:
            raise _judged(error.code, error.message, "message") from error
        except aiosmtplib.SMTPResponseException as error:
            # The greeting, the sign-in or our sender: a technician can put it right, so it is tried again.
            raise WayError(f"the mail server said {error.code} {_line(error.message)}") from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise WayError(_line(str(error) or type(error).__name__)) from error

    async def _send(self, letter: Letter) -> None:
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.server,
            port=settings.port,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=None if settings.security == "none" else _context(settings),
            # Our own idea of a name: the library would ask the DNS, which may be what is broken.
            local_hostname=settings.sender.rpartition("@")[2],
            timeout=settings.timeout_seconds,
        )
        try:
            await client.connect()
            if settings.user is not None and settings.password_file is not None:
                await client.login(settings.user, read_secret(settings.password_file).reveal())
            mail = compose(letter, settings.sender)
            await client.sendmail(settings.sender, [letter.address], bytes(mail))
        finally:
            # The server has taken it or not by now: how the parting goes changes nothing.
            client.close()


def _context(settings: MailSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(settings.roots) if settings.roots else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _judged(code: int, message: str, what: str) -> WayError:
    text = f"the mail server refused the {what}: {code} {_line(message)}"
    return RefusedError(text) if code >= 500 else WayError(text)  # noqa: PLR2004 - RFC 5321: 5yz is for good


def _line(text: str) -> str:
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())[:200]
