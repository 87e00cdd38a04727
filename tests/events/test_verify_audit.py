from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from base64 import b64encode
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from appliance.events import verify_audit as rules
from appliance.events.verify_audit import FIRST, Checkpoint, canonical, line_hash

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


def chain(count: int, start: str = FIRST) -> list[bytes]:
    lines, before = [], start
    for number in range(1, count + 1):
        entry = {"at": f"2026-11-22T03:00:{number:02}.000+00:00", "n": number, "what": "x", "before": before}
        lines.append(canonical(entry | {"whom": f"list {number}", "by": "amy"}) + b"\n")
        before = line_hash(lines[-1])
    return lines


def text(lines: list[bytes], key: Ed25519PrivateKey = KEY, made: str = "2026-11-22T03:01") -> str:
    head = line_hash(lines[-1]) if lines else FIRST
    public = key.public_key().public_bytes_raw()
    signed = rules.signed_text("A School", len(lines), head, made, public)
    return f"{signed}signature: {b64encode(key.sign(signed.encode())).decode()}\n"


def point(lines: list[bytes], key: Ed25519PrivateKey = KEY, made: str = "2026-11-22T03:01") -> Checkpoint:
    return rules.read_checkpoint(text(lines, key, made), f"{made}.txt")


WHOLE = chain(12)
DATA = b"".join(WHOLE)
POINTS = (point(WHOLE[:7], made="2026-11-22T03:00"), point(WHOLE))


def found(data: bytes, *points: Checkpoint) -> list[str]:
    return rules.verify(io.BytesIO(data), points or POINTS).findings


def test_a_whole_chain_is_whole() -> None:
    """A governor is not alarmed by what is in order."""
    assert found(DATA) == []
    assert rules.verify(io.BytesIO(DATA)).head == line_hash(WHOLE[-1])


@pytest.mark.slow
@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_every_edit_of_one_byte_is_found(place: int, change: int) -> None:
    """No byte of the record can be changed unseen, and the place is named to the line or its neighbour."""
    edited = bytearray(DATA)
    edited[place] ^= change
    told = found(bytes(edited))
    line = DATA[:place].count(b"\n") + 1
    assert any(f"line {at}" in text for text in told for at in (line, line + 1)) or (
        line == 12 and any("records 8 to 12" in text for text in told)
    )


@given(st.sampled_from(range(12)), st.integers(1, 5))
def test_every_deletion_is_found_and_named(start: int, many: int) -> None:
    """Records that were left out are named by their numbers, at the end by the checkpoint."""
    kept = WHOLE[:start] + WHOLE[start + many :]
    told = found(b"".join(kept))
    assert any("missing" in text and str(start + 1) in text for text in told) or "start is missing" in told[0]


@pytest.mark.slow
@given(st.permutations(range(12)))
def test_every_other_order_is_found(order: list[int]) -> None:
    """What happened first stays first."""
    data = b"".join(WHOLE[at] for at in order)
    assert bool(found(data)) is (order != list(range(12)))


@given(st.sampled_from(range(12)), st.sampled_from(range(12)))
def test_a_record_that_is_put_in_twice_is_found(which: int, where: int) -> None:
    """Nobody can be accused of one thing twice by a copied line."""
    assert found(b"".join([*WHOLE[:where], WHOLE[which], *WHOLE[where:]]))


def test_a_chain_made_anew_is_found_against_an_older_checkpoint() -> None:
    """Who rewrites all of it and signs it anew is found by what left the box before."""
    forged = [line.replace(b"amy", b"eve") for line in chain(12, start="1" * 64)]
    before, again = FIRST, []
    for line in forged:
        record = line.replace(line.split(b'"before":"')[1][:64], before.encode())
        again.append(record)
        before = line_hash(record)
    assert rules.check_chain(again).findings == []
    (told,) = found(b"".join(again), POINTS[0])
    assert "among records 1 to 7" in told


def test_a_new_key_is_found() -> None:
    """Re-signing with one's own key shows against the earlier checkpoint, and the fingerprint."""
    resigned = point(WHOLE, OTHER, made="2026-11-23T03:01")
    (told,) = found(DATA, POINTS[0], resigned)
    assert "another key" in told
    report = rules.verify(io.BytesIO(DATA), [resigned], [POINTS[0].fingerprint])
    assert "another key" in report.findings[0]


@pytest.mark.parametrize(("old", "new"), [("12", "11"), ("A School", "B School"), ("head: ", "head: 0")])
def test_a_changed_checkpoint_is_none(old: str, new: str) -> None:
    """What is printed and typed in again must be exact."""
    with pytest.raises(ValueError, match=r"changed|no audit"):
        rules.read_checkpoint(text(WHOLE).replace(old, new, 1), "x.txt")


def test_a_clock_that_was_set_back_is_a_note() -> None:
    """A flat battery is no forgery, and is told all the same."""
    lines = chain(2)
    later = canonical({"at": "2020", "n": 3, "before": line_hash(lines[-1])}) + b"\n"
    report = rules.check_chain([*lines, later])
    assert (report.findings, len(report.notes)) == ([], 1)


def test_the_tree_is_the_standards() -> None:
    """RFC 6962: known roots, so that any other program can prove one event."""
    leaves = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243")]
    assert rules.merkle_root([]).startswith("e3b0c44298fc1c14")
    assert rules.merkle_root(leaves[:1]).startswith("6e340b9cffb37a98")
    assert rules.merkle_root(leaves[:3]) == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    assert rules.merkle_root(
        [*leaves, bytes.fromhex("5051525354555657"), bytes.fromhex("606162636465666768696a6b6c6d6e6f")]
    ) == ("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")


@pytest.mark.slow
def test_the_verifier_runs_alone_on_an_export(tmp_path: Path) -> None:
    """A governor's computer has none of the gateway's code: one file, and an answer in the exit status."""
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("audit.jsonl", DATA)
        file.writestr("checkpoints/1.txt", text(WHOLE))
    alone = tmp_path / "verify_audit.py"
    alone.write_text(Path(rules.__file__).read_text())
    done = subprocess.run(
        [sys.executable, "-I", str(alone), str(archive)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "12 records; the chain is whole" in done.stdout


def test_what_it_cannot_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither an empty answer nor a traceback for a wrong file."""
    assert rules.main([str(tmp_path / "none")]) == rules.UNREADABLE
    (tmp_path / "audit.jsonl").write_bytes(DATA[:-1])
    (tmp_path / "checkpoint").write_text("hello")
    assert rules.main([str(tmp_path), "--checkpoint", str(tmp_path / "checkpoint")]) == rules.FOUND
    told = capsys.readouterr().out
    assert "line 12" in told
    assert "no audit checkpoint" in told


@pytest.mark.parametrize("encoding", ["7bit", "quoted-printable", "base64"])
def test_a_checkpoint_is_taken_from_a_mail_however_it_is_saved(encoding: str) -> None:
    """A governor saves the file or the mail, with Windows' line ends or not, and need not know which."""
    plain = text(WHOLE)
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = "Audit"
    mail.set_content("Keep this, please.\n")
    mail.add_attachment(plain, cte=encoding, filename="point.txt")
    alone = EmailMessage(policy=SMTP)
    alone.set_content(f"Here it is.\n\n{plain}", cte=encoding)
    for data in (plain.encode(), plain.replace("\n", "\r\n").encode(), bytes(mail), bytes(alone)):
        assert rules.read_checkpoint(rules.kept_text(data), "x").records == 12


@given(st.binary(max_size=400))
def test_whatever_is_given_for_a_checkpoint_is_told_in_words(data: bytes) -> None:
    """A wrong file is a sentence, and never a traceback, on a governor's own computer."""
    for each in (data, b"MIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\n" + data):
        with pytest.raises(ValueError, match="x: this is no audit checkpoint"):
            rules.read_checkpoint(rules.kept_text(each), "x")
