"""Layers to play with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from mitmproxy.proxy.layers.http import HTTPMode

from appliance.gateway.layers import GatewayHttpLayer
from tests.gateway.playbook import HOOKS, SITE, Hook, Play, client_context


@pytest.fixture
def play() -> Iterator[Callable[..., Play]]:
    with ExitStack() as stack:

        def start(mode: HTTPMode = HTTPMode.transparent, alpn: bytes | None = None, **hooks: Hook) -> Play:
            context = stack.enter_context(client_context(alpn, SITE))
            return Play(GatewayHttpLayer(context, mode), context, {**HOOKS, **hooks})

        yield start
