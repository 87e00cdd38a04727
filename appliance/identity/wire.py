"""What a worker and the sign-in call the same: their socket, and what a worker tells of a client."""

from __future__ import annotations

SOCKET = "portal.sock"
"""The socket's name, in the folder of the database of people."""

ADDRESS = "x-gateway-client"
"""The header with the client's network address; only workers reach the socket, so only they set it."""

SCHEME = "x-gateway-scheme"
"""The header that says whether the client speaks https."""
