"""The front door.

For: carrying requests between pupils and the web, and acting on each decision.
In -> out: client connections -> judged requests upstream, or an answer of our own.
May touch: sockets, the school's CA; the only room that knows mitmproxy.
Must not know: how a decision is made, where the record is kept.
"""
