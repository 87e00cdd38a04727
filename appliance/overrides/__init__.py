"""What staff have opened for a lesson.

For: keeping each override from the wish to its end, and telling workers which are in force.
In -> out: a wish, a decision about it, a moment -> the grants in force; each step with who and when.
May touch: its database in the state folder, the clock, the audit trail that it is handed.
Must not know: lists, profiles' files, mitmproxy, who is signed in, what is opened by a grant (policy judges).
"""
