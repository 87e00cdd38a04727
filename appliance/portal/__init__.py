"""The sign-in that people see.

For: showing who is asked to sign in a page for their age, and letting in whoever may come in.
In -> out: a form, from the device whose address a worker tells -> a session, or a page that says what to do.
May touch: Starlette, uvicorn, Jinja2; the accounts through identity; a socket in the state folder.
Must not know: mitmproxy, lists, policy, events.
"""
