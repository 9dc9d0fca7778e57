"""Tables, text and colours."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from common.terminal.colour import paint
from common.terminal.screen import Screen
from common.terminal.table import Cell, Column, table
from common.terminal.text import cells, cut, escape, pad, wrap


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def screen(width: int = 100, **environ: str) -> Screen:
    return Screen(io.StringIO(), io.StringIO(), {"COLUMNS": str(width), **environ})


COLUMNS = (Column("node", least=6), Column("bytes", right=True), Column("cache", least=8))


def test_numbers_stand_to_the_right() -> None:
    lines = table(COLUMNS, [["lvs1", "5 B", "dentry"], ["lvs2", "1,000 B", "inode"]], screen())
    assert lines == ["node    bytes  cache", "lvs1      5 B  dentry", "lvs2  1,000 B  inode"]


def test_the_widest_columns_are_cut_to_fit() -> None:
    lines = table(COLUMNS, [["n" * 30, "5 B", "c" * 60]], screen(50))
    assert max(map(len, lines)) <= 50
    assert lines[1].endswith("…")
    assert "5 B" in lines[1]


def test_no_column_is_cut_below_its_least() -> None:
    lines = table(COLUMNS, [["n" * 30, "5" * 30, "c" * 60]], screen(40))
    assert lines[1] == f"nnnnn…  {'5' * 30}  ccccccc…"


def test_a_picture_is_drawn_smaller_and_never_cut() -> None:
    columns = (Column("node", least=6), Column("over time", least=4, drawn=24))
    rows: list[list[Cell]] = [["n" * 30, (lambda width: f"<{'-' * (width - 2)}>", "warn")]]
    for width, drawn in ((100, 24), (40, 19)):
        assert table(columns, rows, screen(width))[1].endswith(f"  <{'-' * (drawn - 2)}>")
    assert len(table(columns, rows, screen(40))[1]) == 40


def test_wide_characters_count_double() -> None:
    lines = table(COLUMNS, [["日本", "1", "x"], ["abcd", "2", "x"]], screen())
    assert cells(lines[1]) == cells(lines[2])


def test_names_cannot_drive_the_terminal() -> None:
    lines = table(COLUMNS, [["a\x1b[31m\n\u202e", "1", "x"]], screen())
    assert "\\x1b[31m\\n\\u202e" in lines[1]
    assert len(lines) == 2
    assert escape("a\udcff\u2028b") == "a\\udcff\\u2028b"
    assert escape("biovec-(256) é 日") == "biovec-(256) é 日"


def test_colour_only_where_it_is_seen() -> None:
    row: list[Cell] = [("lvs1", "alarm"), "1", "x"]
    assert "\x1b" not in table(COLUMNS, [row], screen())[1]
    on = Screen(Terminal(), Terminal(), {"TERM": "xterm"})
    assert table(COLUMNS, [row], on)[1].startswith("\x1b[1;31mlvs1\x1b[0m  ")
    assert not Screen(Terminal(), Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}).colour
    assert not Screen(Terminal(), Terminal(), {"TERM": "dumb"}).colour
    assert not Screen(Terminal(), Terminal(), {}).colour
    assert paint("x", None, colour=True) == "x"


def test_width_is_the_terminal_s_or_100() -> None:
    assert Screen(io.StringIO(), io.StringIO(), {}).width == 100
    assert screen(120).width == 120
    assert screen(3).width == 40
    assert Screen(io.StringIO(), io.StringIO(), {"COLUMNS": "wide"}).width == 100


def test_an_encoding_without_blocks_is_noticed() -> None:
    assert not Screen(io.TextIOWrapper(io.BytesIO(), "latin-1"), io.StringIO(), {}).unicode
    assert Screen(io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO(), {}).unicode
    assert cut("abcdef", 4, unicode=False) == "abc~"


@given(st.text(max_size=40), st.integers(1, 30))
def test_cut_and_pad_keep_to_the_width(text: str, width: int) -> None:
    assert cells(cut(escape(text), width)) <= width
    assert cells(pad(cut(escape(text), width), width)) == width


@given(st.text(max_size=200), st.integers(4, 60))
def test_wrap_keeps_to_the_width_and_loses_nothing(text: str, width: int) -> None:
    lines = wrap(escape(text), width, "  ")
    assert all(cells(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(escape(text).split())
