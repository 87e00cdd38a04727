"""Changes of the policy that two people make.

For: proposals with a reason, who released or refused them, what they would change, and going back.
In -> out: a new version, entries and a reason -> a proposal; a release -> what is to be put in force.
May touch: its own database in the state folder; the audit trail that it is handed.
Must not know: how a request is judged, who somebody is, what a profile says.
"""
