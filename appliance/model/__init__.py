"""The words every room speaks.

For: one shared vocabulary, so that rooms need not import each other.
In -> out: plain values -> frozen values that cannot be wrong.
May touch: nothing; no clock, disk, network or log.
Must not know: any other room.
"""
