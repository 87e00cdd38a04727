"""What an address or a text says.

For: reading search terms and sites within sites out of addresses; later, pages and files.
In -> out: a Url or text -> findings.
May touch: nothing; pure.
Must not know: who asks, what is allowed, mitmproxy.
"""
