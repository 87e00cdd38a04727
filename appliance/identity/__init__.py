"""Who is asking.

For: turning an address, later credentials and devices, into a Person, and saying how sure we are.
In -> out: a client address -> model.person.Person.
May touch: nothing yet; directories and RADIUS come with sign-in.
Must not know: lists, policy, mitmproxy.
"""
