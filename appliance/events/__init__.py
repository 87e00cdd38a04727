"""The log: what was asked, by whom as far as known, what the gateway answered; and the audit of who did what.

For: the school's record of accesses; what is flagged is on the disk before the pupil sees the answer.
In -> out: `model.event` values -> rows in STATE/events.sqlite3, typed records out of it; deeds -> the audit.
May touch: that database, STATE/audit, STATE/spill, STATE/floor-hits.ring, the clock for its own deadlines.
Must not know: what a decision means, who may read it, any other room.
"""
