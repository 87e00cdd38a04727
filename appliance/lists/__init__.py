"""Millions of names, and one question: which lists name this address.

For: list files in, one shared table out; the statutory lists held as keyed hashes only.
In -> out: a `Url` -> `Known`; a list file or folder -> a compiled table and an account of every line.
May touch: the state folder, the blocklists folder; YAML through config.
Must not know: profiles, persons, requests, any other room.
"""
