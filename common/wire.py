"""The wire format as pydantic models: checks snapshots at the front door, once, and describes them to OpenAPI."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, NamedTuple, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from common.errors import MalformedError, SnapshotError, UnknownLayoutError
from common.names import MAX_GROUP, MAX_TEXT, NODE_PATTERN, NODE_RULE
from common.slabinfo import MAX_COUNT
from common.snapshot import DATA_COLUMNS, LAYOUT_COLUMNS, Caches, Memory, Snapshot
from common.times import parse_time

__all__ = [
    "MAX_BATCH",
    "MAX_CACHES",
    "WireCaches",
    "WireHead",
    "WireMemory",
    "WireSnapshot",
    "check_caches",
    "load_batch",
    "load_lines",
    "load_snapshot",
    "plain_message",
    "pointer",
    "snapshot_of",
]

# The wire format's other bounds (see common.names); a refusal names the bound.
MAX_BATCH = 10_000
"""Snapshots in one request."""
MAX_CACHES = 10_000
"""Rows of one snapshot."""
MAX_ALIASES = 1_000
"""Aliases of one cache."""
MAX_LABELS = 64
MAX_SECONDS = 1e10
"""About 317 years: an uptime or interval beyond is a mistake."""
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
"""No control characters: they would forge lines of a dump or drive a terminal."""
LAYOUT_PATTERN = r"^[A-Za-z0-9:_-]{1,128}$"
"""Any hash: one that this version would not make is unknown, not wrong, and its sender is asked for the full form."""
_PATTERNS: dict[Any, str] = {
    NODE_PATTERN: NODE_RULE,
    PRINTABLE: "control characters are not allowed",
    LAYOUT_PATTERN: "a layout's hash is 1 to 128 letters, digits and `:_-`",
}
MAX_ERRORS_PER_SNAPSHOT = 8
"""Refusals shown of one snapshot; every bad snapshot is listed."""

LayoutLookup = Callable[[str], Caches | None]
"""The layout columns of a hash (data columns empty), None when it was never seen."""


def _seconds(value: object) -> float:
    """Epoch seconds of a JSON time: an RFC 3339 string, or a number, which shells like to put in quotes."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        text = f"{value:.6f}" if abs(value) < 1e15 else repr(value)
    else:
        raise PydanticCustomError("time", "Input should be an RFC 3339 time with an offset, or epoch seconds")
    try:
        return parse_time(text)
    except ValueError as error:
        # Braces would be read as placeholders.
        raise PydanticCustomError("time", "{reason}", {"reason": str(error)}) from None


Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT, pattern=PRINTABLE)]
CacheName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT, pattern=PRINTABLE)]
Aliases = Annotated[list[CacheName], Field(max_length=MAX_ALIASES)]
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
Time = Annotated[
    float,
    BeforeValidator(_seconds),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number", "minimum": 0}]}),
]


class _Wire(BaseModel):
    """No number may come as a string nor as a boolean; unknown fields are ignored: later versions only add fields."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class WireMemory(_Wire):
    """Figures of /proc/meminfo."""

    total: Count | None = Field(None, description="MemTotal in bytes.")
    available: Count | None = Field(None, description="MemAvailable in bytes.")
    slab_reclaimable: Count | None = Field(None, description="SReclaimable in bytes.")
    slab_unreclaimable: Count | None = Field(None, description="SUnreclaim in bytes.")


class WireCaches(_Wire):
    """The rows of /proc/slabinfo as parallel lists in the kernel's order; a name may repeat.

    Required: name, active_objs, num_objs, obj_size; or layout, active_objs, num_objs.
    """

    layout: Annotated[str, StringConstraints(pattern=LAYOUT_PATTERN)] | None = Field(
        None,
        description="Hash in place of name, obj_size, objs_per_slab, pages_per_slab, reclaimable and "
        "aliases, once the server has seen these in full.",
    )
    name: list[CacheName] | None = Field(
        None, max_length=MAX_CACHES, description="Names of the caches, as the kernel gives them."
    )
    active_objs: list[Count] | None = Field(None, max_length=MAX_CACHES, description="Objects in use, a count.")
    num_objs: list[Count] | None = Field(
        None, max_length=MAX_CACHES, description="Objects that fit into the slabs allocated, a count."
    )
    obj_size: list[Count] | None = Field(None, max_length=MAX_CACHES, description="Size of one object in bytes.")
    objs_per_slab: list[Count | None] | None = Field(
        None, max_length=MAX_CACHES, description="Objects in one slab, a count."
    )
    pages_per_slab: list[Count | None] | None = Field(
        None, max_length=MAX_CACHES, description="Pages (of page_size bytes) in one slab, a count."
    )
    active_slabs: list[Count | None] | None = Field(
        None, max_length=MAX_CACHES, description="Slabs with objects in use, a count."
    )
    num_slabs: list[Count | None] | None = Field(None, max_length=MAX_CACHES, description="Slabs allocated, a count.")
    reclaimable: list[bool | None] | None = Field(
        None, max_length=MAX_CACHES, description="Whether the kernel can shrink the cache: its reclaim_account flag."
    )
    aliases: list[Aliases | None] | None = Field(
        None, max_length=MAX_CACHES, description="Names of other caches that the kernel merged into this one."
    )

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        """Which columns are there, and that they are parallel."""
        if self.layout is not None:
            both = [name for name in LAYOUT_COLUMNS if getattr(self, name) is not None]
            wrong = [(name, "give either layout or this column, not both") for name in both]
            required: tuple[str, ...] = ("active_objs", "num_objs")
        else:
            wrong, required = [], ("name", "active_objs", "num_objs", "obj_size")
        wrong += [(name, "Field required") for name in required if getattr(self, name) is None]
        if not wrong:
            of = "active_objs" if self.layout is not None else "name"
            wrong = _length_errors(self, len(getattr(self, of)), of)
        if wrong:
            raise PydanticCustomError("columns", "columns do not fit", {"columns": wrong})
        return self


class WireHead(_Wire):
    """A snapshot without its caches."""

    schema_version: Annotated[int, Field(ge=1)] = Field(description="Version of this format, a number: 1.")
    node: Annotated[str, StringConstraints(pattern=NODE_PATTERN)] = Field(
        description="Name of the node: a letter or digit, then up to 252 letters, digits and `._:-`."
    )
    taken_at: Time = Field(description="When the dump was read, by the node's clock: RFC 3339, or epoch seconds.")
    group: Annotated[str, StringConstraints(min_length=1, max_length=MAX_GROUP, pattern=PRINTABLE)] | None = Field(
        None, description="Name of the group of nodes that ought to behave alike; `default` when absent."
    )
    labels: Annotated[dict[Text, Text], Field(max_length=MAX_LABELS)] | None = Field(
        None, description="Free text by name, for people to look at."
    )
    interval_seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS)] | None = Field(
        None, description="Seconds to the next snapshot, as the sender plans it."
    )
    boot_id: Text | None = Field(None, description="Identity of the boot: /proc/sys/kernel/random/boot_id, text.")
    uptime_seconds: Seconds | None = Field(None, description="Seconds since boot.")
    kernel: Text | None = Field(None, description="Kernel release (uname -r), text.")
    machine: Text | None = Field(None, description="Hardware name (uname -m), text.")
    cpus: Count | None = Field(None, description="CPUs online, a count.")
    page_size: Count | None = Field(None, description="Bytes of one page.")
    memory: WireMemory | None = Field(None, description="The node's memory in bytes.")
    read_seconds: Seconds | None = Field(None, description="Seconds that reading /proc/slabinfo took.")


class WireSnapshot(WireHead):
    """What one kernel said of all its slab caches at one instant."""

    caches: WireCaches = Field(description="The slab caches, as parallel lists.")


_ONE = TypeAdapter(WireSnapshot)
_MANY = TypeAdapter(Annotated[list[WireSnapshot], Field(max_length=MAX_BATCH)])


def _no_layout(_layout: str) -> Caches | None:
    return None


def load_snapshot(data: bytes | bytearray | str | Mapping[str, Any], *, resolve: LayoutLookup = _no_layout) -> Snapshot:
    """One snapshot from JSON text, or from what json.loads made of it.

    Raises MalformedError when it is not JSON, SnapshotError (with pointers) when it breaks the format,
    UnknownLayoutError when `resolve` does not know its layout.
    """
    try:
        wire = _ONE.validate_python(data) if isinstance(data, Mapping) else _ONE.validate_json(data)
    except ValidationError as error:
        raise _snapshot_error(_pointers(error, ())) from None
    return _finish([wire], resolve, batch=False)[0]


def load_batch(data: bytes | bytearray | str, *, resolve: LayoutLookup = _no_layout) -> list[Snapshot]:
    """Snapshots from a JSON array, all or none. Raises as load_snapshot; pointers begin with the index."""
    try:
        wires = _MANY.validate_json(data)
    except ValidationError as error:
        raise _snapshot_error(_pointers(error, ())) from None
    return _finish(wires, resolve, batch=True)


def load_lines(lines: Iterable[bytes], *, resolve: LayoutLookup = _no_layout) -> list[Snapshot]:
    """Snapshots from one JSON object a line (blank lines are skipped and not counted), all or none.

    A line that is not JSON is a bad index like any other, so this raises no MalformedError.
    """
    wires: list[WireSnapshot] = []
    errors: list[_Found] = []
    for index, line in enumerate(line for line in lines if line.strip()):
        if index == MAX_BATCH:
            errors.append(_Found("", f"at most {MAX_BATCH} snapshots in one request", "too_long"))
            break
        try:
            wires.append(_ONE.validate_json(line))
        except ValidationError as error:
            errors += _pointers(error, (index,))
    if errors:
        raise _snapshot_error(errors)
    return _finish(wires, resolve, batch=True)


def check_caches(caches: Caches) -> None:
    """Holds rows that came another way to the same bounds. Raises SnapshotError."""
    columns = {name: getattr(caches, name) for name in (*LAYOUT_COLUMNS, *DATA_COLUMNS)}
    try:
        WireCaches.model_validate(columns)
    except ValidationError as error:
        raise _snapshot_error(_pointers(error, ())) from None


def pointer(path: Iterable[str | int]) -> str:
    """RFC 6901: `/caches/name/3`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


class _Found(NamedTuple):
    pointer: str
    detail: str
    type: str


def plain_message(detail: Mapping[str, Any]) -> str:
    """One of pydantic's errors as a sentence; it would show a regular expression."""
    message: str = detail["msg"]
    return _PATTERNS.get(detail.get("ctx", {}).get("pattern"), message.removeprefix("Value error, "))


def _pointers(error: ValidationError, prefix: tuple[int, ...]) -> list[_Found]:
    """A few errors of every bad snapshot."""
    shown: dict[object, int] = {}
    found = []
    for detail in error.errors(include_url=False, include_input=False):
        # pydantic marks a bad key of `labels` with a part of its own.
        path = (*prefix, *(part for part in detail["loc"] if part != "[key]"))
        columns = detail["ctx"]["columns"] if detail["type"] == "columns" else ()
        each = [_Found(pointer((*path, name)), wrong, "columns") for name, wrong in columns]
        index = path[0] if path and isinstance(path[0], int) else None
        for one in each or [_Found(pointer(path), plain_message(detail), detail["type"])]:
            shown[index] = shown.get(index, 0) + 1
            if shown[index] <= MAX_ERRORS_PER_SNAPSHOT:
                found.append(one)
    return found


def _snapshot_error(found: list[_Found]) -> SnapshotError:
    at, detail, kind = found[0]
    if kind == "json_invalid" and not at:
        return MalformedError(detail)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    message = f"{at}: {detail}{more}" if at else f"{detail}{more}"
    return SnapshotError(" ".join(message.split()), tuple((one.pointer, one.detail) for one in found))


def _length_errors(caches: WireCaches, length: int, of: str) -> list[tuple[str, str]]:
    return [
        (name, f"has {len(column)} entries, {of} has {length}: the lists are parallel")
        for name in (*LAYOUT_COLUMNS, *DATA_COLUMNS)
        if (column := getattr(caches, name)) is not None and len(column) != length
    ]


def _finish(wires: list[WireSnapshot], resolve: LayoutLookup, *, batch: bool) -> list[Snapshot]:
    """Puts the layouts in their place and gives plain data."""
    errors: list[_Found] = []
    unknown: dict[str, None] = {}
    snapshots = []
    for index, wire in enumerate(wires):
        layout = None
        if wire.caches.layout is not None:
            layout = resolve(wire.caches.layout)
            if layout is None:
                unknown[wire.caches.layout] = None
                continue
            path: tuple[str | int, ...] = (index, "caches") if batch else ("caches",)
            wrong = _length_errors(wire.caches, len(layout.name), "the layout")
            errors += [_Found(pointer((*path, name)), detail, "columns") for name, detail in wrong]
        snapshots.append(_snapshot(wire, layout))
    if errors:
        raise _snapshot_error(errors)
    if unknown:
        raise UnknownLayoutError(tuple(unknown))
    return snapshots


def _snapshot(wire: WireSnapshot, layout: Caches | None) -> Snapshot:
    columns = wire.caches
    geometry: Any = layout or columns
    caches = Caches(
        name=geometry.name,
        active_objs=columns.active_objs or [],
        num_objs=columns.num_objs or [],
        obj_size=geometry.obj_size,
        objs_per_slab=geometry.objs_per_slab,
        pages_per_slab=geometry.pages_per_slab,
        active_slabs=columns.active_slabs,
        num_slabs=columns.num_slabs,
        reclaimable=geometry.reclaimable,
        aliases=geometry.aliases,
    )
    return snapshot_of(wire, caches)


def snapshot_of(head: WireHead, caches: Caches) -> Snapshot:
    """Both as plain data."""
    return Snapshot(
        node=head.node,
        taken_at=head.taken_at,
        caches=caches,
        group=head.group or "default",
        labels=head.labels or {},
        interval_seconds=head.interval_seconds,
        boot_id=head.boot_id,
        uptime_seconds=head.uptime_seconds,
        kernel=head.kernel,
        machine=head.machine,
        cpus=head.cpus,
        page_size=head.page_size,
        memory=_memory(head.memory),
        read_seconds=head.read_seconds,
    )


def _memory(wire: WireMemory | None) -> Memory | None:
    if wire is None:
        return None
    return Memory(wire.total, wire.available, wire.slab_reclaimable, wire.slab_unreclaimable)
