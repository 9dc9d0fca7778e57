"""What the parser reads: every version and oddity the kernel prints, and what it says of text it cannot read."""

from __future__ import annotations

import pytest

from common.errors import SlabinfoError
from common.slabinfo import HEADER, MAX_COUNT, format_slabinfo, parse
from common.snapshot import Caches
from tests.common.rows import SlabRow, slab_rows

V21 = f"slabinfo - version: 2.1\n{HEADER}\n"


def row(name: str, active: int, total: int, size: int, per: int, pages: int, slabs: int) -> str:
    return (
        f"{name:<17} {active:6} {total:6} {size:6} {per:4} {pages:4} : tunables    0    0    0"
        f" : slabdata {slabs:6} {slabs:6}      0\n"
    )


DENTRY = row("dentry", 121970, 125454, 192, 21, 1, 5974)
KMALLOC = row("kmalloc-512", 700, 736, 512, 16, 2, 46)
READ = [SlabRow("dentry", 121970, 125454, 192, 21, 1, 5974, 5974), SlabRow("kmalloc-512", 700, 736, 512, 16, 2, 46, 46)]


def test_an_intact_dump_of_today() -> None:
    found = parse(V21 + DENTRY + KMALLOC)
    assert (found.version, slab_rows(found), found.skipped) == ("2.1", READ, [])
    assert found.caches is found.caches
    assert found.caches.reclaimable is None


@pytest.mark.parametrize(
    "text",
    [
        (V21 + DENTRY + KMALLOC).removesuffix("\n"),
        (V21 + DENTRY + KMALLOC).replace("\n", "\r\n"),
        (V21 + DENTRY + KMALLOC).replace("\n", "   \n"),
        V21.replace("2.1", "2.0") + DENTRY + KMALLOC,
        V21.replace("sharedavail", "share") + DENTRY + KMALLOC,
        V21.replace("<limit> <batchcount>", "<batchcount> <limit>") + DENTRY + KMALLOC,
        V21.splitlines()[0] + "\n" + DENTRY + KMALLOC,
        V21.splitlines()[1] + "\n" + DENTRY + KMALLOC,
        DENTRY + KMALLOC,
        V21 + DENTRY + "\n" + KMALLOC + "\n\n",
        V21 + DENTRY.replace(" ", "\t") + KMALLOC,
        "\ufeff".join(["", V21 + DENTRY + KMALLOC]).removeprefix("\ufeff"),
    ],
    ids=[
        "no final newline",
        "CRLF",
        "trailing blanks",
        "2.0",
        "header ends <share>",
        "2.0 header order",
        "no header",
        "no version line",
        "rows only",
        "blank lines",
        "tabs",
        "plain",
    ],
)
def test_forms_of_the_same_dump(text: str) -> None:
    assert slab_rows(parse(text)) == READ


def test_slab_has_tunables_and_more_slabs_than_active_ones() -> None:
    text = V21 + (
        "dentry_cache      1867436 1867643    208   19    1 : tunables  120   60    8 : slabdata  98297  98300    204\n"
    )
    assert slab_rows(parse(text)) == [SlabRow("dentry_cache", 1867436, 1867643, 208, 19, 1, 98297, 98300)]


@pytest.mark.parametrize("tabs", [" ", " \t\t\t\t"])
def test_statistics_of_2_x(tabs: str) -> None:
    text = (V21 + DENTRY + KMALLOC).replace("version: 2.1", "version: 2.1 (statistics)")
    tail = f" : globalstat   12{tabs}   3    4    5    0    0    0    0    0 : cpustat   7597     19   7534      1"
    text = text.replace("sharedavail>", "sharedavail> : globalstat <listallocs> : cpustat <allochit> <allocmiss>")
    text = text.replace("      0\n", f"      0{tail}\n")
    assert slab_rows(parse(text)) == READ


def test_version_1_1_has_slab_counts_and_no_objs_per_slab() -> None:
    found = parse("slabinfo - version: 1.1\nkmem_cache            59     68    112    2    3    1\n")
    assert found.version == "1.1"
    assert slab_rows(found) == [SlabRow("kmem_cache", 59, 68, 112, None, 1, 2, 3)]
    assert found.caches.objs_per_slab is None


@pytest.mark.parametrize(
    ("version", "tail"),
    [
        ("1.1 (SMP)", " :  124   62"),
        ("1.1 (statistics)", " :     58      58     3    0    0"),
        ("1.1 (statistics) (SMP)", " :     58      58     3    0    0 :  124   62 :     10     11     12     13"),
        ("1.2", " :  248  124"),
        ("1.2 (statistics)", " :   32   16 :    385   66985   824  205    0    2   43 :  25251   5266  30169    320"),
    ],
)
def test_the_other_1_x_forms(version: str, tail: str) -> None:
    found = parse(f"slabinfo - version: {version}\nfile lock cache        9     40     96    1    1    1{tail}\n")
    assert found.version == version[:3]
    assert slab_rows(found) == [SlabRow("file lock cache", 9, 40, 96, None, 1, 1, 1)]


def test_1_2_without_a_version_line() -> None:
    found = parse(
        "unix_sock              3     18    416    2    2    1 :  120   60\n"
        "eventpoll pwq          0      0     36    0    0    1 :  248  124\n"
    )
    assert found.version is None
    assert [r.name for r in slab_rows(found)] == ["unix_sock", "eventpoll pwq"]
    assert found.caches.num_slabs == [2, 0]


@pytest.mark.parametrize(
    "name",
    [
        "eventpoll pwq",
        "file lock cache",
        "buffer 3",
        "biovec-(256)",
        "size-32(DMA)",
        "gfs2_glock(aspace)",
        "raid5/md0",
        "slab^odd",
        "nf_conntrack_ffffffff818b9000",
        "kmalloc-reclaimable-4194304",
        "dentry(123:foo.service)",
        ":a-0000256",
        "slab-[16]",
        "9p-fcall-cache",
        "Größe",
        "123",
        "größe der seite",
    ],
)
@pytest.mark.parametrize("other", ["", KMALLOC])
def test_names(name: str, other: str) -> None:
    caches = Caches([name], [3], [40], [96], [42], [1], [1], [1])
    found = parse(format_slabinfo(caches) + other)
    assert slab_rows(found)[0] == SlabRow(name, 3, 40, 96, 42, 1, 1, 1)
    assert found.skipped == []


def test_rows_of_one_name_stay_rows() -> None:
    text = (
        V21
        + row("zspage", 1, 2, 56, 73, 1, 1)
        + row("zs_handle", 5, 6, 8, 512, 1, 1)
        + row("zspage", 3, 4, 56, 73, 1, 1)
    )
    assert [(r.name, r.active_objs) for r in slab_rows(parse(text))] == [("zspage", 1), ("zs_handle", 5), ("zspage", 3)]


def test_several_dumps_in_one_text_give_all_rows() -> None:
    assert slab_rows(parse(V21 + DENTRY + "\n" + V21 + KMALLOC)) == READ


def test_shrinker_parts_on_some_rows() -> None:
    text = DENTRY.rstrip() + " : shrinker stat 57946368 28877600\n" + KMALLOC
    assert slab_rows(parse(text)) == READ


def test_impossible_rows_are_kept_as_the_kernel_printed_them() -> None:
    text = (
        V21
        + "kmem_cache           112    111    256   16    1 : tunables   10   20   30 : slabdata     17     18     19\n"
    )
    assert slab_rows(parse(text)) == [SlabRow("kmem_cache", 112, 111, 256, 16, 1, 17, 18)]


def test_the_largest_numbers() -> None:
    text = V21 + row("dentry", MAX_COUNT, MAX_COUNT, 192, 21, 1, MAX_COUNT)
    assert slab_rows(parse(text))[0].num_objs == MAX_COUNT


@pytest.mark.parametrize("number", [str(MAX_COUNT + 1), "9" * 5000])
@pytest.mark.parametrize("head", [V21, "", "> "])
def test_larger_numbers_are_refused(number: str, head: str) -> None:
    line = head.count("\n") + 1
    text = head + KMALLOC.replace("736", number)
    with pytest.raises(SlabinfoError) as caught:
        parse(text)
    if len(number) < 100:
        assert (caught.value.line, caught.value.field, caught.value.found) == (line, "num_objs", number)


def test_a_name_with_control_characters_is_shown_escaped() -> None:
    assert slab_rows(parse(V21 + row("a\x1b[31mb", 1, 2, 8, 512, 1, 1)))[0].name == "a\\x1b[31mb"
    assert slab_rows(parse(V21 + row("a\udcffb", 1, 2, 8, 512, 1, 1)))[0].name == "a\\udcffb"


@pytest.mark.parametrize(
    ("text", "line", "field", "expected"),
    [
        ("", 1, "text", "the rows of /proc/slabinfo"),
        ("\n\n  \n", 1, "text", "the rows of /proc/slabinfo"),
        (V21, 1, "text", "the rows of /proc/slabinfo"),
        ("dentry\n" * 100_001, 100_001, "text", "at most 100000 lines"),
        ("hello\n", 1, "text", "the rows of /proc/slabinfo"),
        ("slabinfo - version: 2.2\n" + DENTRY, 1, "version", "1.1, 1.2, 2.0 or 2.1"),
        ("slabinfo - version: 1.1\n" + DENTRY, 2, "row", "the columns of version 1.x"),
        (V21 + DENTRY.replace("125454", "12545x"), 3, "num_objs", "a whole number"),
        (V21 + DENTRY.replace("125454", "-12545"), 3, "num_objs", "a whole number"),
        (V21 + DENTRY.replace("125454", "0x1eae"), 3, "num_objs", "a whole number"),
        (V21 + DENTRY.replace("125454", "١٢٥٤٥٤"), 3, "num_objs", "a whole number"),
        (V21 + DENTRY.replace(" 125454", "125454"), 3, "row", "a name and five numbers before `: tunables`"),
        (V21 + DENTRY.replace("slabdata", "sIabdata"), 3, "slabdata", "the word `slabdata`"),
        (V21 + DENTRY.replace("5974 ", "59 74 ", 1), 3, "slabdata", "active_slabs num_slabs sharedavail"),
        (V21 + DENTRY.replace("tunables    0", "tunables 1    0"), 3, "tunables", "three numbers"),
        (V21 + DENTRY + "kmalloc-192   12   13\n" + KMALLOC, 4, "row", "a name and at least five numbers"),
        (
            V21.replace("<objperslab> <pagesperslab>", "<num_pool> <objperslab>") + DENTRY,
            2,
            "header",
            "active_objs num_objs objsize objperslab pagesperslab",
        ),
        (
            " Active / Total Objects (% used)    : 7 / 8 (90%)\n",
            1,
            "text",
            "the text of /proc/slabinfo, not of slabtop",
        ),
        (
            "Name        Objects Objsize    Space Slabs/Part/Cpu  O/S O %Fr  %Ef Flg\ninode_cache  2471 528 1.4M\n",
            1,
            "text",
            "the text of /proc/slabinfo, not of the slabinfo tool",
        ),
    ],
)
def test_what_is_refused_is_told_by_line_and_field(text: str, line: int, field: str, expected: str) -> None:
    with pytest.raises(SlabinfoError) as caught:
        parse(text)
    error = caught.value
    assert (error.line, error.field, error.expected) == (line, field, expected)
    assert "\n" not in str(error)


CUT = {
    "pagesperslab": SlabRow("dentry", 121970, 125454, 192, 21),
    "objperslab and on, version unknown": SlabRow("dentry", 121970, 125454, 192),
    "tunables": SlabRow("dentry", 121970, 125454, 192, 21, 1),
    "slabdata": SlabRow("dentry", 121970, 125454, 192, 21, 1),
    "sharedavail": SlabRow("dentry", 121970, 125454, 192, 21, 1),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (V21 + DENTRY[:48] + "\n" + KMALLOC, CUT["pagesperslab"]),
        (DENTRY.partition(" :")[0] + "\n", CUT["objperslab and on, version unknown"]),
        (DENTRY.partition(" : slab")[0], CUT["tunables"]),
        (DENTRY.partition(" : slab")[0] + "\n" + KMALLOC, CUT["tunables"]),
        (V21 + DENTRY.partition("5974 ")[0] + "59", CUT["slabdata"]),
        (V21 + DENTRY.rpartition("  0")[0], CUT["sharedavail"]),
    ],
)
def test_a_row_cut_off_keeps_what_is_certain(text: str, expected: SlabRow) -> None:
    assert slab_rows(parse(text))[0] == expected


@pytest.mark.parametrize("kept", [3, 12, 20])
def test_a_text_cut_off_in_its_first_row_is_at_fault_there(kept: int) -> None:
    with pytest.raises(SlabinfoError, match=r"^line 3: "):
        parse(V21 + DENTRY[:kept])


def test_a_text_cut_off_lists_what_is_lost() -> None:
    found = parse(V21 + DENTRY + KMALLOC[:31])
    assert (slab_rows(found), found.skipped) == (READ[:1], [(4, f"row cut off: {KMALLOC[:31]}")])
    found = parse(DENTRY[3:] + KMALLOC)
    assert (slab_rows(found), found.skipped) == (READ[1:], [(1, f"row cut off: {DENTRY[3:63]}")])


def test_prose_between_rows_is_listed() -> None:
    found = parse(f"Before:\n{DENTRY}$ uptime\n24\n{KMALLOC}")
    assert slab_rows(found) == READ
    assert found.skipped == [(1, "no row: Before:"), (3, "no row: $ uptime"), (4, "no row: 24")]


def test_numbers_run_together_are_refused_or_unknown() -> None:
    wide = row("dentry", 12345678, 12345679, 192, 21, 1, 1234567)
    with pytest.raises(SlabinfoError):
        parse(wide.replace("12345678 ", "12345678"))
    assert parse("> " + wide.replace("1234567 1234567 ", "12345671234567 ")).caches.num_slabs is None


def test_format_prints_what_the_kernel_prints() -> None:
    caches = Caches(
        ["dentry", "kmalloc-512"], [121970, 700], [125454, 736], [192, 512], [21, 16], [1, 2], [5974, 46], [5974, 46]
    )
    assert format_slabinfo(caches) == V21 + DENTRY + KMALLOC
    assert format_slabinfo(Caches(["größe"], [1], [2], [8])).endswith(
        "\ngröße                1      2      8    0    0 : tunables    0    0    0 : slabdata      0      0      0\n"
    )
