"""Fetching, from a real server over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.lists.fetch import Ask, Fetcher, FetchError
from appliance.model.secret import Secret
from tests.doubles.feeds import FeedServer

LIST = "".join(f"site{number}.example\n" for number in range(5000)).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeedServer]:
    made = FeedServer(tmp_path_factory.mktemp("feeds"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _fresh(server: FeedServer) -> None:
    server.pages.clear()
    server.asked.clear()


def _ask(server: FeedServer, path: str = "/list", **more: Any) -> Ask:
    return Ask(server.url(path), ca_file=server.ca_file, **more)


@pytest.mark.slow
def test_a_list_comes_whole_and_is_not_fetched_twice(server: FeedServer, tmp_path: Path) -> None:
    """The bytes are the server's, and with its ETag the next question costs an empty answer."""
    server.serve("/list", LIST, headers={"Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"})
    file, told = tmp_path / "list", list[tuple[int, int]]()
    answer = Fetcher().to_file(_ask(server), file, lambda done, whole: told.append((done, whole)))
    assert file.read_bytes() == LIST
    assert told[-1] == (len(LIST), len(LIST))
    assert answer.dated == 1795255200.0
    again = Fetcher().to_file(_ask(server, etag=answer.etag), tmp_path / "again")
    assert again.same
    assert not (tmp_path / "again").exists()


@pytest.mark.slow
def test_a_broken_download_goes_on_where_it_broke(server: FeedServer, tmp_path: Path) -> None:
    """A school on a thin line does not fetch the first half again, and If-Range keeps two editions apart."""
    file = tmp_path / "list"
    server.serve("/list", LIST, cut=40_000)
    with pytest.raises(FetchError):
        Fetcher().to_file(_ask(server), file)
    assert 0 < file.stat().st_size <= 40_000
    kept = file.stat().st_size
    server.serve("/list", LIST)
    Fetcher().to_file(_ask(server), file)
    assert file.read_bytes() == LIST
    assert server.asked[-1][1]["range"] == f"bytes={kept}-"


@pytest.mark.slow
@pytest.mark.parametrize("ranges", [True, False])
def test_half_of_one_edition_never_meets_half_of_another(
    server: FeedServer, tmp_path: Path, *, ranges: bool
) -> None:
    """When the list has changed meanwhile, or the server knows no ranges, it is fetched from the start."""
    file = tmp_path / "list"
    server.serve("/list", LIST, cut=40_000)
    with pytest.raises(FetchError):
        Fetcher().to_file(_ask(server), file)
    other = LIST.replace(b"site", b"page")
    server.serve("/list", other, ranges=ranges)
    Fetcher().to_file(_ask(server), file)
    assert file.read_bytes() == other


@pytest.mark.slow
def test_a_range_that_is_not_there_starts_anew(server: FeedServer, tmp_path: Path) -> None:
    """A server that answers 416 is asked once more from the beginning."""
    file = tmp_path / "list"
    server.serve("/list", LIST, cut=40_000)
    with pytest.raises(FetchError):
        Fetcher().to_file(_ask(server), file)
    server.serve("/list", b"", status=416)
    with pytest.raises(FetchError, match="416"):
        Fetcher().to_file(_ask(server), file)
    assert "range" not in server.asked[-1][1]


@pytest.mark.parametrize("chunked", [True, False])
def test_half_a_list_is_no_list(server: FeedServer, *, chunked: bool) -> None:
    """A connection that ends early is an error, with and without a length, never a shorter list."""
    server.serve("/list", LIST, cut=1000, chunked=chunked)
    with pytest.raises(FetchError):
        Fetcher().to_memory(_ask(server))


@pytest.mark.slow
@pytest.mark.parametrize("status", [403, 404, 410, 500, 502, 503])
def test_an_error_page_is_no_list(server: FeedServer, tmp_path: Path, status: int) -> None:
    """Whatever a failing server sends is not written, and its status is told."""
    server.serve("/list", b"oh.example\n", status=status)
    with pytest.raises(FetchError, match=str(status)):
        Fetcher().to_file(_ask(server), tmp_path / "list")
    assert not (tmp_path / "list").exists()


@pytest.mark.slow
def test_too_large_is_broken_off(server: FeedServer, tmp_path: Path) -> None:
    """An announced size and a stream without end are both stopped, and nothing is kept of them."""
    for chunked in (False, True):
        server.serve("/list", LIST, chunked=chunked)
        with pytest.raises(FetchError, match="larger"):
            Fetcher().to_file(_ask(server, most_bytes=10_000), tmp_path / "list")
    assert not (tmp_path / "list").exists()


@pytest.mark.slow
def test_a_server_that_drips_is_left(server: FeedServer) -> None:
    """A byte now and then keeps no updater busy for hours."""
    server.serve("/list", LIST, slow=0.01)
    with pytest.raises(FetchError, match=r"not finished after 0\.05 seconds"):
        Fetcher().to_memory(_ask(server, most_seconds=0.05))


@pytest.mark.slow
def test_only_a_server_that_proves_itself_is_heard(server: FeedServer) -> None:
    """Without the mirror's own authority its certificate is not believed; nothing can switch that off."""
    server.serve("/list", LIST)
    with pytest.raises(FetchError, match="could not prove who it is"):
        Fetcher().to_memory(Ask(server.url("/list")))
    with pytest.raises(FetchError, match="could not prove who it is"):
        Fetcher().to_memory(
            Ask(server.url("/list").replace("localhost", "127.0.0.1"), ca_file=server.ca_file)
        )
    assert server.asked == []


@pytest.mark.slow
@pytest.mark.parametrize("target", ["http://localhost/list", "file:///etc/passwd", "ftp://localhost/list"])
def test_a_redirect_leads_to_https_alone(server: FeedServer, target: str) -> None:
    """Nobody in between turns a download into one in the clear, or into a file of this machine."""
    server.serve("/list", b"", status=302, headers={"Location": target})
    with pytest.raises(FetchError, match="https"):
        Fetcher().to_memory(_ask(server))


@pytest.mark.slow
def test_redirects_are_followed_but_not_for_ever(server: FeedServer) -> None:
    """A moved list is found, and a circle ends."""
    server.serve("/list", b"", status=301, headers={"Location": "/new"})
    server.serve("/new", LIST)
    assert Fetcher().to_memory(_ask(server))[1] == LIST
    server.serve("/new", b"", status=301, headers={"Location": "/list"})
    with pytest.raises(FetchError, match="redirects"):
        Fetcher().to_memory(_ask(server))


@pytest.mark.slow
def test_a_password_goes_to_its_own_server_only(server: FeedServer) -> None:
    """Where a supplier redirects to another server, that one does not learn the secret."""
    other = server.url("/new").replace("localhost", "127.0.0.1")
    server.serve("/list", b"", status=302, headers={"Location": other})
    with pytest.raises(FetchError) as caught:
        Fetcher().to_memory(_ask(server, token=Secret("hush")))
    assert server.asked[0][1]["authorization"] == "Bearer hush"
    assert len(server.asked) == 1
    assert "hush" not in str(caught.value)
    server.serve("/list", LIST)
    Fetcher().to_memory(_ask(server, user="school", password=Secret("hush")))
    assert server.asked[-1][1]["authorization"] == "Basic c2Nob29sOmh1c2g="


@pytest.mark.slow
def test_nobody_there_is_told_in_words() -> None:
    """A refused connection and a name that does not exist end with a sentence."""
    for url in ("https://127.0.0.1:9/x", "https://nowhere.invalid/x"):
        with pytest.raises(FetchError):
            Fetcher().to_memory(Ask(url))


def test_an_odd_date_is_no_date(server: FeedServer) -> None:
    """A server that writes its date wrongly does not make the list look fresh."""
    server.serve("/list", LIST, headers={"Last-Modified": "yesterday"})
    assert Fetcher().to_memory(_ask(server))[0].dated is None
