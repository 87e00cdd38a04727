"""Every line is accounted for."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.lists.formats import Format, NotAListError
from appliance.lists.formats_csv import ColumnError
from appliance.lists.reading import MOST_REPORTED, Account, Reader
from appliance.lists.suffixes import PublicSuffixes

SUFFIXES = PublicSuffixes(["com", "uk", "ac.uk", "blogspot.com", "*.ck", "!www.ck"])


def _read(
    text: str, kind: Format = Format.AUTO, *, means: bool = False
) -> tuple[list[str], Account, list[str]]:
    keys, problems = io.StringIO(), io.StringIO()
    reader = Reader(keys, problems, means_suffixes=means, suffixes=SUFFIXES)
    reader.read("list", iter(text.splitlines(keepends=True)), kind)
    return keys.getvalue().split(), reader.account, problems.getvalue().splitlines()


@pytest.mark.parametrize(
    "line", ["com", "COM", "com.", "*.com", ".ac.uk", "http://com/", "blogspot.com", "foo.ck", "xn"]
)
def test_poison_lines_are_quarantined(line: str) -> None:
    """`com` on a line of its own blocks nothing, in whatever spelling, and is reported with its place."""
    keys, account, problems = _read(f"a.example\n{line}\n", Format.DOMAINS)
    assert keys == ["elpmaxe.a."]
    assert (account.lines, account.used, account.quarantined) == (2, 1, 1)
    assert problems[0].startswith("list:2: quarantined: a public suffix")


def test_a_list_may_mean_its_suffixes() -> None:
    """A list of dynamic DNS providers means blogspot.com; even it cannot mean com."""
    keys, account, _ = _read("blogspot.com\nac.uk\nfoo.ck\ncom\n", means=True)
    assert keys == ["moc.topsgolb.", "ku.ca.", "kc.oof."]
    assert account.quarantined == 1


def test_a_line_costs_a_line() -> None:
    """Rubbish between entries stops nothing; each line is used, or counted with a reason."""
    text = "a.example\n\n# c\n<x>\na b\nb\0.example\nb.example"
    keys, account, problems = _read(text, Format.DOMAINS)
    assert keys == ["elpmaxe.a.", "elpmaxe.b."]
    assert (account.lines, account.used, account.comments) == (7, 2, 2)
    assert (account.skipped, account.quarantined) == (1, 2)
    assert account.balanced
    assert len(problems) == 3


def test_partly_bad_lines_are_used_and_reported() -> None:
    """One bad name in a hosts line does not cost its neighbours."""
    keys, account, problems = _read("0.0.0.0 a.example com b.example\n", Format.HOSTS)
    assert keys == ["elpmaxe.a.", "elpmaxe.b."]
    assert (account.used, account.quarantined, account.balanced) == (1, 0, True)
    assert "in part" in problems[0]


def test_expressions_go_through_a_linear_engine() -> None:
    """A regular expression that re2 cannot take is reported, never run by another engine."""
    keys, account, problems = _read("ok.*x\n(a)\\1\n(\n", Format.EXPRESSIONS)
    assert keys == ["~ok.*x"]
    assert account.quarantined == 2
    assert "bounded running time" in problems[0]


def test_exceptions_are_kept_apart() -> None:
    """What a list takes back is marked, so that it is not blocked by mistake."""
    assert _read("||a.example^\n@@||b.a.example^\n")[0] == ["elpmaxe.a.", "@@elpmaxe.a.b."]


@pytest.mark.slow
def test_reports_are_bounded() -> None:
    """A list of nothing but rubbish cannot fill the disk with its own report."""
    _, account, problems = _read("com\n" * (MOST_REPORTED + 50), Format.DOMAINS)
    assert account.quarantined == MOST_REPORTED + 50
    assert len(problems) == MOST_REPORTED


def test_reports_cannot_steer_a_terminal() -> None:
    """What is repeated of a bad line is escaped and cut."""
    _, _, problems = _read("\x1b[31m<x>" + "y" * 500 + "\n", Format.DOMAINS)
    assert "\x1b" not in problems[0]
    assert len(problems[0]) < 300


def test_web_page_is_refused() -> None:
    """An error page in place of a list is refused whole."""
    with pytest.raises(NotAListError):
        _read("<html>\n<body>Moved</body>\n")


@pytest.mark.slow
@settings(max_examples=40)
@given(st.text(), st.sampled_from(sorted(Format)))
def test_the_account_balances(text: str, kind: Format) -> None:
    """Used, comments, skipped and quarantined add up to the lines, whatever the file holds."""
    try:
        _, account, _ = _read(text, kind)
    except (NotAListError, ColumnError):
        return
    assert account.balanced
    assert account.lines == len(text.splitlines())


LINES = st.sampled_from(
    [
        *(
            "com",
            "a.ck",
            "b.uk",
            "xn--a.example",
            "xn--mnchen-3ya.example",
            "A.example",
            "192.0.2.1",
            " b.example",
        ),
        *(
            "#c",
            "",
            "é.example",
            f"{'a.' * 130}example",
            "a..example",
            "-.example",
            "a.example",
            "b_-.example",
        ),
    ]
)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.lists(LINES, max_size=6))
def test_a_batch_is_read_as_its_lines_are(lines: list[str]) -> None:
    """Looking at many lines at once neither loses nor adds one, whatever stands between the plain ones."""
    whole = _read_domains(lines)
    each = [_read_domains([line]) for line in lines]
    assert sorted(whole[0]) == sorted(key for keys, _, _ in each for key in keys)
    assert whole[1].balanced
    for name in ("lines", "used", "comments", "skipped", "quarantined", "entries"):
        assert getattr(whole[1], name) == sum(getattr(account, name) for _, account, _ in each)
    assert [told.split(":", 2)[2] for told in whole[2]] == [
        told.split(":", 2)[2] for _, _, problems in each for told in problems
    ]


def _read_domains(lines: list[str]) -> tuple[list[str], Account, list[str]]:
    keys, problems = io.StringIO(), io.StringIO()
    reader = Reader(keys, problems, suffixes=SUFFIXES)
    reader.read("list", iter(lines), Format.DOMAINS)
    return keys.getvalue().split(), reader.account, problems.getvalue().splitlines()
