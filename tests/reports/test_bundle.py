"""Tests of bundles that leave the gateway: closed to others, harmless to whoever opens them."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import stat
import zipfile
from pathlib import Path

import pytest
import pyzipper
from hypothesis import given
from hypothesis import strategies as st

from appliance.reports.bundle import (
    ReportError,
    check_password,
    csv_text,
    lay_out,
    lock,
    new_password,
    write_new,
)

FILES = {"README.txt": b"hello", "accesses.csv": "Zoë".encode()}


def test_an_archive_opens_with_its_password_alone(tmp_path: Path) -> None:
    """S-69: what leaves is encrypted with AES-256, every file of it."""
    path = tmp_path / "case.zip"
    digest = lock(FILES, path, "correct horse battery")
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    with pyzipper.AESZipFile(path) as archive:
        assert all(info.wz_aes_strength == 3 for info in archive.infolist())
        for wrong in (None, b"", b"correct horse batterz"):
            archive.setpassword(wrong)
            with pytest.raises(RuntimeError):
                archive.read("README.txt")
        archive.setpassword(b"correct horse battery")
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
    assert b"hello" not in path.read_bytes()


def test_names_in_an_archive_tell_nothing_of_anybody(tmp_path: Path) -> None:
    """The list of an archive's files is not encrypted: it is the same for every child."""
    lock(FILES, tmp_path / "a.zip", new_password())
    assert zipfile.ZipFile(tmp_path / "a.zip").namelist() == list(FILES)


def test_nothing_that_is_there_is_written_over(tmp_path: Path) -> None:
    """A second export cannot destroy the first, nor follow a link that somebody laid."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    write_new(tmp_path / "there", b"1")
    for name in ("there", "link"):
        with pytest.raises(ReportError, match="already"):
            write_new(tmp_path / name, b"2")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_is_closed_to_others(tmp_path: Path) -> None:
    """A plain folder is for its owner alone."""
    lay_out(FILES, tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()} == {0o600}
    with pytest.raises(ReportError, match="already"):
        lay_out(FILES, tmp_path / "out")


def test_passwords_are_long_and_never_the_same() -> None:
    """An archive can be tried for years: a password has some 120 bits, or was typed and is not short."""
    made = {new_password() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"([a-z2-9]{5}-){4}[a-z2-9]{5}", each) for each in made)
    assert check_password("a" * 16)
    with pytest.raises(ReportError, match="at least 16"):
        check_password("a" * 15)


@pytest.mark.parametrize("cell", ["=cmd|'/c calc'!A0", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    """A pupil's search term must not run in the safeguarding lead's spreadsheet."""
    rows = list(csv.reader(io.StringIO(csv_text(["a"], [[cell]]).decode("utf-8-sig"), newline="")))
    assert rows[1] == [f"'{cell}"]


@pytest.mark.slow
@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_every_text_comes_back(cells: list[str]) -> None:
    """Any script, quotes and line ends stand in the table as they were recorded."""
    data = csv_text(["head"] * len(cells), [cells]).decode("utf-8-sig")
    found = list(csv.reader(io.StringIO(data, newline="")))[1] if any(cells) else cells
    clean = [cell.replace("\0", "") for cell in cells]
    if "".join(clean):
        assert [cell.removeprefix("'") for cell in found] == [cell.removeprefix("'") for cell in clean]


def test_half_a_character_breaks_no_export() -> None:
    """Text that no encoding takes is written visibly."""
    assert b"\\udc80" in csv_text(["a"], [["\udc80"]])
