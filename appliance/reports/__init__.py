"""Reports: figures as pages and paper, and bundles that may leave the gateway.

For: the safeguarding team each week, governors each term, a case or a person's own data on request.
In -> out: counts and rows that others have read -> HTML with charts, PDF, CSV, an encrypted archive.
May touch: the file that it was told to write; fonts of the system.
Must not know: where a figure comes from, who may see it, the clock, any other room.
"""
