"""`slabhound import PATH...`: sends dumps on disk to a server as history; doing it twice does no harm."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING, Any

from common.commands.options import JSON, PATHS_HELP, SERVER, TOKEN_FILE
from common.dumps import Tally, read_inputs
from common.errors import InputError, ServerError
from common.snapshot import Snapshot
from common.terminal.progress import Progress
from common.terminal.text import escape
from common.terminal.units import count, counted
from common.times import format_duration, format_time

if TYPE_CHECKING:
    import httpx

    from common.commands.upload import Outcome, Uploader

OPTIONS = (SERVER, JSON, TOKEN_FILE)

_REASONS = 5


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", nargs="+", help=PATHS_HELP)


def run(options: Namespace, *, transport: httpx.BaseTransport | None = None) -> int:
    """Sends everything and says what became of it: 0 when all of it is stored, 1 when some was skipped or refused.

    Raises InputError for a path that cannot be used, after what came before it is stored; ServerError.
    """
    from common.commands.client import Client  # noqa: PLC0415 - httpx is loaded only to be used
    from common.commands.upload import Uploader  # noqa: PLC0415 - as above, only when used

    tally = Tally()
    failure: InputError | None = None
    times: list[float] = []
    with Client(options.server, options.token_file, transport=transport) as client:
        uploader = Uploader(client)
        with Progress(options.screen, "importing") as progress, _telling_how_far(uploader):

            def reach(done: float, total: float) -> None:
                progress.reach(done, total, _sent(uploader))

            try:
                for given in read_inputs(options.path, load_line=bytes.strip, tally=tally, progress=reach):
                    if isinstance(given, Snapshot):
                        times.append(given.taken_at)
                        uploader.add(given)
                    else:
                        uploader.add(given, tally.line)
            except InputError as error:
                failure = error
            uploader.finish()
    outcome = uploader.outcome
    if failure and not tally.snapshots:
        raise failure
    if options.json:
        options.screen.write([json.dumps(_as_json(outcome, tally))])
    else:
        elsewhere = "" if options.server == SERVER.default else f" --server {options.server}"
        options.screen.write(_as_text(outcome, tally, times, elsewhere))
    if failure:
        raise failure
    return 1 if outcome.refused or tally.skipped else 0


@contextmanager
def _telling_how_far(uploader: Uploader) -> Iterator[None]:
    try:
        yield
    except ServerError as error:
        if uploader.outcome.stored + uploader.outcome.duplicates:
            raise ServerError(f"{error} ({_sent(uploader)} before; another import goes on from there)") from None
        raise


def _sent(uploader: Uploader) -> str:
    outcome = uploader.outcome
    return f"{count(outcome.stored + outcome.duplicates)} snapshots sent"


def _as_json(outcome: Outcome, tally: Tally) -> dict[str, Any]:
    return {
        "stored": outcome.stored,
        "duplicates": outcome.duplicates,
        "refused": outcome.refused,
        "skipped": tally.skipped,
        "reasons": [*outcome.reasons, *tally.reasons],
    }


def _as_text(outcome: Outcome, tally: Tally, times: list[float], elsewhere: str) -> list[str]:
    parts = [f"{counted(outcome.stored, 'snapshot')} stored", f"{count(outcome.duplicates)} were there already"]
    if outcome.refused:
        parts.append(f"{count(outcome.refused)} refused by the server")
    if tally.skipped:
        parts.append(f"{counted(tally.skipped, 'input')} skipped")
    reasons = [*_first_few(outcome.reasons, outcome.refused), *_first_few(tally.reasons, tally.skipped)]
    lines = [", ".join(parts), *(f"  {escape(reason)}" for reason in reasons)]
    if times and outcome.stored + outcome.duplicates:
        newest, minutes = max(times), ceil((max(times) - min(times)) / 60) or 1
        window = format_duration(minutes * 60)
        lines.append(f"look at them: slabhound report{elsewhere} --at {format_time(newest)} --window {window}")
    return lines


def _first_few(reasons: list[str], total: int) -> list[str]:
    shown = reasons[:_REASONS]
    return [*shown, f"and {count(total - len(shown))} more"] if total > len(shown) else shown
