"""The pages that people sign in to: the sign-in for the web, for staff the pages of cases and overrides.

For: showing who is asked to sign in a page for their age, and whoever a case is for what it is about.
In -> out: a form, and the device it comes from -> a session, a page, a step of a case.
May touch: Starlette, uvicorn, Jinja2; identity; cases by handling, overrides by granted; its own socket.
Must not know: mitmproxy, lists, policy, how cases and events are stored.
"""
