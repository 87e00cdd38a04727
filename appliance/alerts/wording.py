"""What the messages say, in English that a safeguarding lead reads on a phone.

What lives only here: the sentences. They are made from the types of `redact` alone.
"""

from __future__ import annotations

from typing import NamedTuple

from appliance.alerts.redact import (
    Alarm,
    Checkpoint,
    Confirmation,
    Message,
    Notice,
    Pulse,
    Ready,
    Trouble,
    What,
)

_FOOT = "This message holds no personal details on purpose; they stay on the gateway."
_BEGINS = {What.ESCALATED: "Not acknowledged yet", What.HANDED: "Handed over to you"}
_TROUBLE = {
    "mail": "Mails with alerts cannot be delivered",
    "webhook": "A webhook does not take alerts",
    "syslog": "The syslog server cannot be reached",
    "nobody": "Alerts wait, because nobody who may be told has confirmed yet",
}
_CHANGES = {
    "closed": "One person has closed a site for the whole school",
    "returned": "A change of the policy was taken back without a person",
    "password": "Somebody has set the password of a person who decides about the policy",
}


_CLOSED = {
    "floor": (
        "The gate is closed: a statutory list is missing, broken or too old",
        "appliance lists status",
    ),
    "fault": ("The filter fails, and refuses what it cannot judge", "appliance log --flagged --since 1h"),
    "deadline": ("The filter is too slow, and refuses what it cannot judge in time", "appliance check"),
}


class Text(NamedTuple):
    """One message in words: a line, and what follows it."""

    subject: str
    body: str


def words(message: Message) -> Text:
    """Return a message in words."""
    if isinstance(message, Pulse):
        return _pulse(message)
    if isinstance(message, Confirmation):
        return _confirmation(message)
    if isinstance(message, Trouble):
        return _trouble(message)
    if isinstance(message, Alarm):
        return _alarm(message)
    if isinstance(message, Ready):
        return _ready(message)
    if isinstance(message, Checkpoint):
        return _checkpoint(message)
    return _notice(message)


def _notice(notice: Notice) -> Text:
    if notice.what is What.TEST:
        return Text(
            "Test of the school gateway's alerts",
            "This is a test: alerts reach you.\n\nNothing has happened, and nothing is to be done.\n",
        )
    severity = notice.severity.name.lower()
    begin = _BEGINS.get(notice.what, "Alert")
    lines = [
        f"Case:      {notice.case}",
        f"Severity:  {severity}",
        f"Theme:     {notice.theme}",
        f"Told at:   {notice.at:%Y-%m-%d %H:%M} UTC",
        "",
        *([f"Details:   {notice.link}", ""] if notice.link else []),
        "On the gateway:",
        f"    appliance alerts show {notice.case}",
        f"    appliance alerts ack {notice.case}",
        "",
    ]
    if notice.what is What.ESCALATED:
        lines.insert(0, "Nobody has acknowledged this case in time. Please look at it.\n")
    if notice.what is What.HANDED:
        lines.insert(0, "Somebody has handed this case over to you. Please look at it.\n")
    return Text(f"{begin}: {notice.case} {severity}, {notice.theme}", "\n".join([*lines, _FOOT, ""]))


def _pulse(pulse: Pulse) -> Text:
    lines = [
        "The school gateway's alerts are working.",
        "",
        f"Cases in the last 24 hours:  {pulse.episodes}",
        f"Not acknowledged:            {pulse.unacknowledged}",
        f"Could not be delivered:      {pulse.undelivered}",
        "",
        "If this message does not come one day, the alerts have stopped: tell your technician.",
        "",
    ]
    count = pulse.unacknowledged
    return Text(
        f"Daily sign of life: {count} not acknowledged" if count else "Daily sign of life", "\n".join(lines)
    )


def _confirmation(asked: Confirmation) -> Text:
    lines = ["The school gateway is to send safeguarding alerts to this address.", ""]
    if asked.link:
        lines += [
            "To say that they arrive, open this page from within the school and confirm:",
            "",
            asked.link,
            "",
        ]
        lines += ["Or let your technician type on the gateway:", ""]
    else:
        lines += ["To say that they arrive, let your technician type on the gateway:", ""]
    lines += [f"appliance alerts confirm {asked.token}", ""]
    lines += ["Until then no alert is sent here. If you did not expect this, do nothing.", ""]
    return Text("Please confirm that alerts reach you", "\n".join(lines))


def _alarm(alarm: Alarm) -> Text:
    what, look = _CLOSED[alarm.kind]
    if alarm.over:
        lines = ["Nothing has been refused for this reason for ten minutes.", "", f"It was: {what}."]
        lines += [
            "",
            f"Requests refused:  {alarm.count}",
            f"The last one:      {alarm.at:%Y-%m-%d %H:%M} UTC",
            "",
        ]
        return Text(f"Over: {what}", "\n".join(lines))
    lines = [f"{what}.", "", f"Since:  {alarm.at:%Y-%m-%d %H:%M} UTC", ""]
    lines += ["People find nothing but help lines open, or some of what they ask for closed.", ""]
    lines += [f"On the gateway: {look}", "", "This is told once; when it is over, that is told as well.", ""]
    return Text(what, "\n".join(lines))


def _ready(ready: Ready) -> Text:
    kind, _, which = ready.report.partition("-")
    if kind == "override":
        return _visited(which, ready.link)
    lines = [
        f"The {kind} report is there: {ready.report}",
        "",
        "It stays on the gateway, and is in no mail. Let your technician copy it by a safe way from the",
        "folder reports of the gateway's state, or make it anew there:",
        "",
        f"    appliance report {kind} --to FILE",
        "",
    ]
    return Text(f"The {kind} report is ready", "\n".join(lines))


def _visited(number: str, link: str) -> Text:
    lines = [
        f"Override {number}, which you have granted, has ended. The report of what was visited under it, and",
        "by whom, is there: please read it. It stays on the gateway, and is in no mail.",
        "",
    ]
    if link:
        lines += ["Here, from the school's network, with your name and password:", "", f"    {link}", ""]
        lines += ["If you have no password there, your technician can show it with you:", ""]
    else:
        where = "On the gateway, with the password of your account (or let your technician type it with you):"
        lines += [where, ""]
    purpose = "--by YOUR-NAME --purpose 'to see how it was used'"
    lines += [f"    appliance overrides show {number} --report {purpose}", ""]
    return Text(f"The report of override {number} is ready", "\n".join([*lines, _FOOT, ""]))


def _checkpoint(point: Checkpoint) -> Text:
    lines = [
        f"This says, signed, that the audit of the school gateway has {point.records} records, and how",
        "the last one is hashed. Please keep this mail, or the file in it, where nobody at the school can",
        "change it.",
        "",
        "With it you can show later that nothing from before it was changed, left out or cut off: ask for an",
        "export of the audit (appliance audit export), and run the program that you got when you began",
        "(appliance audit verifier) on a computer of your own. The file in this mail will do, or the whole",
        "mail as your program saves it:",
        "",
        "    python verify_audit.py EXPORT.zip --checkpoint THIS-FILE",
        "",
        "It names nobody, and says nothing of what was done.",
        "",
    ]
    return Text(f"Audit of the school gateway: {point.records} records", "\n".join(lines))


def _trouble(trouble: Trouble) -> Text:
    if (text := _CHANGES.get(trouble.channel)) is not None:
        lines = [f"{text}.", "", f"To be looked at by somebody else: {trouble.waiting}", ""]
        return Text(text, "\n".join([*lines, "On the gateway: appliance changes list", ""]))
    what = _TROUBLE[trouble.channel]
    return Text(
        what, f"{what}.\n\nMessages that wait: {trouble.waiting}\n\nOn the gateway: appliance alerts status\n"
    )
