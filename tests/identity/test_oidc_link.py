from __future__ import annotations

from pathlib import Path

import pytest

from appliance.identity.oidc_link import Link, _object
from appliance.identity.outside import UnreachableError
from tests.doubles.provider import provider

URL = "https://login.example/token"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"[]"),
        (200, b"<html>"),
        (200, b""),
        (500, b"{}"),
        (302, b"{}"),
        (200, b'{"a": "' + b"x" * 300_000),
    ],
)
def test_only_a_json_object_is_an_answer(status: int, body: bytes) -> None:
    """A provider's error page, a redirect or an endless answer is none, and says so in words."""
    with pytest.raises(UnreachableError) as error:
        _object(URL, status, body)
    assert f"{URL} answers {status}" in error.value.detail


@pytest.mark.slow
def test_nothing_goes_out_without_encryption() -> None:
    """A code and a secret are never sent over plain HTTP, whatever a document says."""
    with pytest.raises(UnreachableError, match="cannot be asked"):
        Link(None).post("http://login.example/token", {"code": "x"}, {})


@pytest.mark.slow
def test_the_back_channel_speaks_to_a_real_server(tmp_path: Path) -> None:
    """Verified with the provider's own CA, and with no other."""
    with provider(tmp_path) as there:
        assert Link(there.ca).get(f"{there.issuer}/keys")["keys"]
        with pytest.raises(UnreachableError):
            Link(None).get(f"{there.issuer}/keys")
