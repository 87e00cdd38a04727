"""What staff have opened for a lesson.

For: keeping each override from the wish to its end and the report of it; telling workers which are in force.
In -> out: a wish, a decision, a moment, what the log counted -> the grants in force, each step, the report.
May touch: its database in the state folder, the clock, the audit trail that it is handed.
Must not know: lists, profiles' files, mitmproxy, who is signed in, what is opened by a grant (policy judges).
"""
