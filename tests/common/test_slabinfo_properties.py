"""Whatever happens to a dump on its way, the parser gives the kernel's numbers or none: never others, never a crash."""

from __future__ import annotations

import re
import string
import textwrap
from collections.abc import Callable

from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.errors import SlabinfoError
from common.slabinfo import HEADER, MAX_COUNT, format_slabinfo, parse
from common.snapshot import Caches
from tests.common.rows import SlabRow, slab_rows

settings.register_profile("slabinfo", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("slabinfo")

WORD = st.text(string.ascii_letters + string.digits + "_-()/.^:", min_size=1, max_size=24)
PLAIN = WORD.filter(lambda word: word[0].isalpha() and word not in {"slabdata", "tunables", "globalstat", "cpustat"})
SPACED = st.lists(PLAIN | st.integers(0, 99).map(str), min_size=1, max_size=3).map(" ".join)
ANY = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=30).filter(lambda name: name != "#")
COUNT = st.integers(0, 30) | st.integers(0, 10**6) | st.integers(0, MAX_COUNT)
USUAL = st.integers(0, 30) | st.integers(0, 10**6)
SMALL = st.integers(0, 1024)


def rows_of(names: st.SearchStrategy[str], counts: st.SearchStrategy[int] = COUNT) -> st.SearchStrategy[list[SlabRow]]:
    row = st.builds(SlabRow, names, counts, counts, st.integers(1, 10**6), SMALL, SMALL, counts, counts)
    return st.lists(row, min_size=1, max_size=8)


def caches_of(rows: list[SlabRow]) -> Caches:
    return Caches(*(list(column) for column in zip(*rows, strict=True)))


def dump(rows: list[SlabRow]) -> str:
    return format_slabinfo(caches_of(rows))


def old_dump(rows: list[SlabRow]) -> str:
    """Version 1.1; the rows' objs_per_slab is lost."""
    form = "{0:<17} {1:6} {2:6} {3:6} {6:4} {7:4} {5:4}\n"
    return "slabinfo - version: 1.1\n" + "".join(form.format(*row) for row in rows)


def agrees(found: SlabRow, true: SlabRow) -> bool:
    return found.name == true.name and all(f is None or f == t for f, t in zip(found, true, strict=True))


def read(text: str) -> list[SlabRow] | None:
    """The rows; None when the text was refused."""
    try:
        return slab_rows(parse(text))
    except SlabinfoError as error:
        said = str(error)
    assert "\n" not in said
    assert said.startswith("line ")
    return None


def assert_nothing_wrong(text: str, true: list[SlabRow], *, names: bool = True) -> list[SlabRow]:
    """Rows that are read are the kernel's, in its order; gives them. Without `names` these may be damaged."""
    found = read(text) or []
    rest = iter(true)
    for row in found:
        assert any(agrees(row if names else row._replace(name=one.name), one) for one in rest), (row, true)
    return found


@given(rows_of(ANY | PLAIN | SPACED.filter(lambda name: len(name) < 17)))
@example([SlabRow("buffer 3", 10, 20, 30, 40, 1, 2, 2)])
@example([SlabRow("a  b", 10, 20, 30, 40, 1, 2, 2)])
def test_what_is_formatted_is_read_back(rows: list[SlabRow]) -> None:
    assert slab_rows(parse(dump(rows))) == rows
    assert slab_rows(parse(dump(rows).removesuffix("\n"))) == rows


@given(rows_of(PLAIN | SPACED.filter(lambda name: len(name) < 17)))
def test_old_dumps_are_read_back(rows: list[SlabRow]) -> None:
    assert slab_rows(parse(old_dump(rows))) == [row._replace(objs_per_slab=None) for row in rows]


@given(st.text())
@example("slabinfo - version: 2.1\n")
@example(": : :")
@example("a : tunables 1 : slabdata 1")
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    assert_readable(text)


PIECES = [
    *("slabinfo - version: 2.1\n", "slabinfo - version: 1.1\n", HEADER, "\n", " ", "  ", "\t", " : ", ":", "tunables"),
    *("slabdata", "globalstat", "dentry", "buffer 3", "> ", "**", "[ 1.5] ", "#", "\0", "\udcff", "\x85", "²", "٣"),
    *("0", "7", "125454", "-1", "99999999999999999999", "1.5", "0x10"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_scrambled_dumps_are_read_or_refused(text: str) -> None:
    assert_readable(text)


def assert_readable(text: str) -> None:
    found = read(text)
    assert found is None or found
    for row in found or []:
        assert row.name.isprintable()
        assert all(value is None or 0 <= value <= MAX_COUNT for value in row[1:])


def each_line(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: "".join(f"{change(line)}\n" for line in text.splitlines())


def wrapped(width: int) -> Callable[[str], str]:
    return each_line(
        lambda line: "\n".join(
            textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False, replace_whitespace=False)
        )
    )


def hard_wrapped(width: int) -> Callable[[str], str]:
    return each_line(lambda line: "\n".join(line[at : at + width] for at in range(0, len(line), width)))


HARMLESS: dict[str, Callable[[str], str]] = {
    "quoted": each_line(lambda line: f"> {line}"),
    "quoted twice": each_line(lambda line: f">> {line}"),
    "quoted and indented": each_line(lambda line: f"  > > {line}"),
    "indented": each_line(lambda line: f"    {line}"),
    "tab": each_line(lambda line: f"\t{line}"),
    "dmesg": each_line(lambda line: f"[  178.502533] {line}"),
    "dmesg with its caller": each_line(lambda line: f"[  178.502533][    T1] {line}"),
    "grep -H": each_line(lambda line: f"/proc/slabinfo:{line}"),
    "dmesg -T": each_line(lambda line: f"[Mon Nov 23 18:42:15 2026] {line}"),
    "syslog": each_line(lambda line: f"Nov  3 18:42:15 lvs1 kernel: [  178.502533] {line}"),
    "journal": each_line(lambda line: f"2026-11-23T18:42:15+0000 lvs1 kernel: {line}"),
    "bold": each_line(lambda line: f"**{line}**"),
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "wrapped": wrapped(72),
    "wrapped at 80": wrapped(80),
    "wrapped, then quoted": lambda text: HARMLESS["quoted"](wrapped(72)(text)),
    "collapsed": lambda text: re.sub(" +", " ", text),
    "without its head": lambda text: text.split("\n", 2)[2],
    "prose around": lambda text: f"Hi all,\n\nafter a day:\n{text}\nAny idea?\n-- \nMe\n",
    "prompts around": lambda text: f"root@lvs1:~# cat /proc/slabinfo\n{text}root@lvs1:~# \n",
}


@given(damage=st.sampled_from(sorted(HARMLESS)), rows=rows_of(PLAIN, USUAL))
@settings(max_examples=300)
def test_harmless_damage_changes_nothing(damage: str, rows: list[SlabRow]) -> None:
    assert slab_rows(parse(HARMLESS[damage](dump(rows)))) == rows


@given(damage=st.sampled_from(sorted(HARMLESS)), rows=rows_of(SPACED | ANY), old=st.booleans())
@settings(max_examples=300)
def test_harmless_damage_never_gives_other_numbers(damage: str, rows: list[SlabRow], *, old: bool) -> None:
    # A name that looks like a quote or a prefix loses it; that is no number.
    rows = [row for row in rows if row.name[0] not in ">|*#[" and row.name != ":"]
    if rows:
        assert_nothing_wrong(HARMLESS[damage]((old_dump if old else dump)(rows)), rows)


@given(rows=rows_of(PLAIN | SPACED), old=st.booleans(), width=st.integers(8, 130), hard=st.booleans())
def test_wrapping_never_gives_other_numbers(rows: list[SlabRow], *, old: bool, width: int, hard: bool) -> None:
    text = (old_dump if old else dump)(rows)
    assert_nothing_wrong((hard_wrapped if hard else wrapped)(width)(text), rows)


@given(rows=rows_of(PLAIN | SPACED), old=st.booleans(), width=st.integers(8, 130))
def test_cut_lines_never_give_other_numbers(rows: list[SlabRow], *, old: bool, width: int) -> None:
    text = (old_dump if old else dump)(rows)
    assert_nothing_wrong(each_line(lambda line: line[:width])(text), rows)


@given(rows=rows_of(PLAIN | SPACED), old=st.booleans(), headless=st.booleans(), data=st.data())
def test_a_cut_text_never_gives_other_numbers(
    rows: list[SlabRow], data: st.DataObject, *, old: bool, headless: bool
) -> None:
    text = (old_dump if old else dump)(rows)
    if headless:
        text = text.split("\n", 1 if old else 2)[-1]
    assert_nothing_wrong(text[: data.draw(st.integers(0, len(text)))], rows)


@given(rows=rows_of(PLAIN | SPACED), old=st.booleans(), stray=st.sampled_from([" ", "\n", "\n> ", ""]), data=st.data())
def test_a_stray_blank_or_newline_never_gives_other_numbers(
    rows: list[SlabRow], stray: str, data: st.DataObject, *, old: bool
) -> None:
    text = (old_dump if old else dump)(rows)
    at = data.draw(st.integers(text.index(rows[0].name) + len(rows[0].name), len(text)))
    if stray:
        damaged = text[:at] + stray + text[at:]
    elif text[at - 1] in " \n":
        damaged = text[: at - 1] + text[at:]
    else:
        return
    assert len(assert_nothing_wrong(damaged, rows, names=False)) <= len(rows)
