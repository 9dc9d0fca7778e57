"""One row of /proc/slabinfo read with care: every number that is certain, None for what was cut off.

The columns of a row are counted from its first free-standing colon to the left, because a name may hold blanks and
digits (`eventpoll pwq`, `buffer 3`). Such a name is believed only where the row is aligned as the kernel's
`%-17s %6lu %6lu %6u %4u %4d` aligns it; otherwise a blank that slipped into a number would pass as part of a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from common.errors import SlabinfoError
from common.slabinfo import MAX_COUNT

__all__ = ["Row", "Shape", "read_row"]

_HEAD = {
    1: ("active_objs", "num_objs", "obj_size", "active_slabs", "num_slabs", "pages_per_slab"),
    2: ("active_objs", "num_objs", "obj_size", "objs_per_slab", "pages_per_slab"),
}
"""The numbers before the first colon, by the version's first digit."""
KERNEL_NAMES = {"obj_size": "objsize", "objs_per_slab": "objperslab", "pages_per_slab": "pagesperslab"}
"""What the kernel's own header calls a column, where it differs."""
_WIDTHS = (6, 6, 6, 4, 4, 4)
_COLON = re.compile(r"(?:^|\s):(?=\s|$)")


@dataclass(slots=True)
class Row:
    """One row; `values` by the names of Caches, None what is not certain."""

    name: str
    values: dict[str, int | None]
    family: int | None
    """1 for versions 1.1 and 1.2, 2 for 2.0 and 2.1; None where a row cut off does not tell."""
    aligned: bool
    """Name and numbers stand as the kernel's format puts them."""


class Shape:
    """A text cut at its free-standing colons: name and numbers, then the parts behind.

    A wrapped row's lines are joined by newlines, so that no alignment is seen across them.
    """

    __slots__ = ("head", "numbers", "parts", "raw", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        found = _COLON.search(text, 1)  # a name may be a colon
        self.head = text[: found.start()] if found else text
        tokens = self.head.split()
        self.numbers = 0
        for token in reversed(tokens[1:]):
            if not _is_number(token):
                break
            self.numbers += 1
        self.raw = _COLON.split(text[found.start() :])[1:] if found else []
        self.parts = [_part(part.split()) for part in self.raw]

    @property
    def marked(self) -> bool:
        """Names a part that only rows of 2.x have."""
        return any(word in ("tunables", "slabdata") and numbers for word, numbers in self.parts)

    @property
    def complete(self) -> bool:
        """Nothing that we read is missing."""
        if self.parts and self.parts[0][0]:
            return len(self.parts) > 1 and len(self.parts[1][1]) >= 3
        return self.numbers >= 6


def _is_number(token: str) -> bool:
    return token.isascii() and token.isdigit()


def _part(tokens: list[str]) -> tuple[str, list[str]]:
    """The keyword (put together where a terminal broke it) and what follows."""
    count = next((index for index, token in enumerate(tokens) if token[0].isdigit()), len(tokens))
    return "".join(tokens[:count]), tokens[count:]


def read_row(shape: Shape, line: int, family: int | None, *, collapsed: bool = False, ended: bool = True) -> Row | None:
    """The row; None where the text is no row, or lacks too much of one to say anything certain.

    `line` is for messages; `family` is what the text's version line says.
    `collapsed`: the text has no two blanks in a row anywhere. `ended`: the last number can't have been cut.
    Raises SlabinfoError for a row whose numbers are not certain.
    """
    parts = shape.parts
    own = _family(shape, line)
    if own and family and own != family:
        raise SlabinfoError(line, "row", f"the columns of version {family}.x", shape.text)
    family = own or family
    if shape.numbers < len(_HEAD[family or 2]):
        if shape.marked:
            raise _bad_head(shape, line)
        return None
    if family is None:
        family = _family_by_alignment(shape)
    fields = _HEAD[family or 2]
    name, *tokens = shape.head.rsplit(None, len(fields))
    aligned = _aligned(shape.head, name, tokens)
    if not _certain_name(name, aligned=aligned, marked=bool(parts), collapsed=collapsed):
        columns = " ".join(KERNEL_NAMES.get(field, field) for field in _HEAD[2])
        raise SlabinfoError(line, "name", f"a name, then {columns}", shape.head.strip())
    values: dict[str, int | None] = {
        field: _number(token, line, field) for field, token in zip(fields, tokens, strict=True)
    }
    if family == 2 and parts:
        values |= _slabdata(shape, line, collapsed=collapsed)
    elif family == 1 and any(word for word, _ in parts):
        raise SlabinfoError(line, "statistics", "numbers", shape.text[len(shape.head) :].strip())
    elif not parts and not (family == 1 and ended):
        values["pages_per_slab"] = None
    if family is None:  # cut after five numbers: the fourth and fifth mean different things in 1.x and 2.x
        values["objs_per_slab"] = None
    return Row(name, values, family, aligned)


def _family(shape: Shape, line: int) -> int | None:
    """What the first part says; None where it was cut off."""
    if not shape.parts or shape.parts[0] == ("", []):
        return None
    word, numbers = shape.parts[0]
    if not word:
        return 1 if shape.numbers >= 6 else None
    if word == "tunables" or ("tunables".startswith(word) and not numbers and len(shape.parts) == 1):
        return 2
    if shape.numbers >= 5 and numbers:
        raise SlabinfoError(line, "tunables", "the word `tunables`", word)
    return None


def _family_by_alignment(shape: Shape) -> int | None:
    for family, fields in ((1, _HEAD[1]), (2, _HEAD[2])):
        if shape.numbers >= len(fields):
            name, *tokens = shape.head.rsplit(None, len(fields))
            if _aligned(shape.head, name, tokens):
                return family if family == 1 or shape.parts else None
    return None


def _aligned(head: str, name: str, tokens: list[str]) -> bool:
    """As the kernel aligns it, which pads a name by bytes; text that was re-encoded may be padded by characters."""
    numbers = "".join(f" {token:>{width}}" for token, width in zip(tokens, _WIDTHS, strict=False))
    padding = {" " * max(0, 17 - length) for length in (len(name), len(name.encode("utf-8", "replace")))}
    return any(head.rstrip() == name + blanks + numbers for blanks in padding)


def _certain_name(name: str, *, aligned: bool, marked: bool, collapsed: bool) -> bool:
    """Whether it is certain where the name ends; `marked`: the numbers end at a colon."""
    words = name.split()
    if _is_number(words[-1]):  # it may be part of the first number
        return aligned and len(name) < 17 and name == " ".join(words)
    return aligned or (marked and (collapsed or len(words) == 1))


def _bad_head(shape: Shape, line: int) -> SlabinfoError:
    tokens = shape.head.split()
    for field, token in zip(_HEAD[2], tokens[-5:], strict=False):
        if len(tokens) > 5 and not _is_number(token):
            return SlabinfoError(line, KERNEL_NAMES.get(field, field), "a whole number", token)
    return SlabinfoError(line, "row", "a name and five numbers before `: tunables`", shape.head.strip() or shape.text)


def _number(token: str, line: int, field: str) -> int:
    field = KERNEL_NAMES.get(field, field)
    if not _is_number(token) or (len(token) > 1 and token[0] == "0"):
        raise SlabinfoError(line, field, "a whole number", token)
    if len(token) > 19 or int(token) > MAX_COUNT:
        raise SlabinfoError(line, field, f"a number up to {MAX_COUNT}", token)
    return int(token)


def _slabdata(shape: Shape, line: int, *, collapsed: bool) -> dict[str, int | None]:
    """active_slabs and num_slabs behind the tunables; None what was cut off, or might have been."""
    parts = shape.parts
    numbers = [_number(token, line, "tunables") for token in parts[0][1]]
    if len(numbers) > 3 or (len(numbers) < 3 and len(parts) > 1):
        raise SlabinfoError(line, "tunables", "three numbers", " ".join(map(str, numbers)))
    if len(parts) == 1:
        return {}
    word, tokens = parts[1]
    cut = len(parts) == 2
    if word != "slabdata" and not (cut and not tokens and "slabdata".startswith(word)):
        raise SlabinfoError(line, "slabdata", "the word `slabdata`", word or " ".join(tokens))
    counts = [
        _number(token, line, field)
        for field, token in zip(("active_slabs", "num_slabs", "sharedavail"), tokens, strict=False)
    ]
    if len(tokens) > 3 or (len(tokens) < 3 and not cut):
        raise SlabinfoError(line, "slabdata", "active_slabs num_slabs sharedavail", " ".join(tokens))
    raw = shape.raw[1].rstrip()
    aligned = raw.endswith("".join(f" {token:>6}" for token in tokens))
    if cut and (len(tokens) < 3 or not (aligned or (collapsed and raw.endswith(" ".join(tokens))))):
        return {}  # a break within a number, or two run together, might look the same
    return {"active_slabs": counts[0], "num_slabs": counts[1]}
