"""The school gateway: filtering and monitoring at the network's edge.

The rooms, in the order in which one request meets them:

gateway      the front door; the only room that knows mitmproxy
identity     an address and its credentials -> a Person, and how sure we are
lists        millions of names; one question: which lists name this?
policy       pure: what is known + profile + now -> Decision
overrides    what staff have opened for a lesson: who, what, for whom, why, until when
inspection   pure: text and bytes -> findings
changes      proposals, their impact, who released them
events       the log: store, queries, retention; the audit trail
alerts       which flagged accesses reach whom, and what they may read there
metrics      Prometheus; told by the two hallways below
reports      figures as pages and paper; bundles that may leave the gateway, encrypted

filtering    hallway: what happens to one request, in order
recording    hallway: what happens to one event, in order
keeping      hallway: what happens to a flagged event afterwards, in order
handling     hallway: what happens when somebody works on a case, in order
granted      hallway: what becomes of an override for whoever granted it, in order
config       YAML in; typed values, or readable problems, out
model        the words every room speaks; frozen, no I/O
settings     deploy/appliance.yaml as one typed tree
assembly     the one place that chooses real things and joins rooms
cli          one file a verb
"""

__version__ = "0.1.0"
