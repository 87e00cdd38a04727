"""Which flagged accesses reach whom, once, and what they may read there.

For: telling the safeguarding lead of what matters, within a minute, without a flood and without losing one.
In -> out: `model.alerting` sightings and rules -> episodes, and redacted notices by mail, webhook and syslog.
May touch: STATE/alerts, the mail server, webhooks and syslog of the settings, the clock for retries.
Must not know: addresses, hosts or search terms of what was seen; the event log; any other room.
"""
