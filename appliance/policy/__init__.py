"""What is allowed, and why.

For: judging what the lists know of a site by a profile, at a moment, for a person; the floor first.
In -> out: Known + Person + now + Profile -> one Decision that carries its reason.
May touch: nothing; pure. `now` is an argument.
Must not know: clock, disk, network, log, lists' files, mitmproxy.
"""
