"""The pages that people sign in to: the sign-in for the web, and the pages of cases for staff.

For: showing who is asked to sign in a page for their age, and whoever a case is for what it is about.
In -> out: a form, and the device it comes from -> a session, a page, a step of a case.
May touch: Starlette, uvicorn, Jinja2; accounts through identity, cases through handling; a socket of its own.
Must not know: mitmproxy, lists, policy, how cases and events are stored.
"""
