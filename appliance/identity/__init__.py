"""Who is asking.

For: turning an address, a sign-in or a device into a Person, saying how sure we are, and who may be here.
In -> out: a client address -> model.person.Person; names, passwords and pictures -> accounts and sessions.
May touch: its own database; the audit trail that it is handed; the kernel's table of neighbours.
Must not know: lists, policy, events, mitmproxy, web pages.
"""
