"""The log: what was asked, by whom as far as known, and what the gateway answered.

For: the school's record of accesses; what is flagged is on the disk before the pupil sees the answer.
In -> out: `model.event` values -> rows in STATE/events.sqlite3, typed records out of it.
May touch: that database, STATE/spill, STATE/floor-hits.ring, the clock for its own deadlines.
Must not know: what a decision means, who may read it, any other room.
"""
