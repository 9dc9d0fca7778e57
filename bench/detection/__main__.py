"""Measures detection: `python -m bench.detection [--seeds 4] [--minutes 2] [--output docs/detection.md]`."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import chain, islice
from pathlib import Path

from bench.detection.calibration import calibration_picture
from bench.detection.pages import page
from bench.detection.recordings import archives, recordings
from bench.detection.replay import Replay, replayed
from bench.detection.runs import Outcome, once
from bench.detection.scenarios import REPORTING, TUNING, Case, cases
from common.errors import SlabhoundError
from server.simulator.families import FAMILIES

Result = list[Outcome] | Replay
LATER = 5_000_000
"""By so much the seeds of `--replays` lie after the others."""


def work(case: Case) -> Result:
    return replayed(case) if case.replayed else once(case)


def run(wanted: Iterable[Case], processes: int, minutes: float) -> Iterator[Result]:
    """The results as they come; nothing new is begun after so many minutes."""
    until = time.monotonic() + 60 * minutes
    if processes == 1:
        for case in wanted:
            if time.monotonic() > until:
                return
            yield work(case)
        return
    with ProcessPoolExecutor(processes) as pool:
        left, running = iter(wanted), set[Future[Result]]()
        while True:
            room = processes + 1 - len(running) if time.monotonic() < until else 0
            running |= {pool.submit(work, case) for case in islice(left, room)}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for one in done:
                yield one.result()


def revision() -> str:
    """The commit checked out, `+` when there are changes on top; empty where git does not know."""
    try:
        command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.detection", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, metavar="N", help="at most so many seeds of every family")
    parser.add_argument("--minutes", type=float, default=2.0, metavar="M", help="begin nothing new after M minutes")
    parser.add_argument(
        "--replays", type=float, default=0.0, metavar="M", help="then replay healthy fleets for M minutes"
    )
    parser.add_argument("--processes", type=int, default=2, metavar="N")
    parser.add_argument("--families", default="", metavar="A,B", help="only these, and each of them replayed")
    parser.add_argument("--forms", default="", metavar="A,B", help='only these, such as "24 h at 1 min"')
    parser.add_argument("--only", choices=("once", "replays"), help="judge at the end only, or hourly only")
    parser.add_argument("--tuning", action="store_true", help="with the seeds for tuning, not those for reporting")
    parser.add_argument("--first", type=int, metavar="SEED", help="with seeds from here on, for a second run of others")
    parser.add_argument("--recordings", type=Path, metavar="DIR", help="recorded fleets: archives with a truth.json")
    parser.add_argument("--output", type=Path, metavar="FILE", help="instead of standard output")
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="write the calibration plot (SVG) here")
    options = parser.parse_args()
    try:
        recorded = archives(options.recordings) if options.recordings else []
    except SlabhoundError as error:
        sys.exit(f"{parser.prog}: --recordings: {error}")
    families, forms = ([name for name in text.split(",") if name] for text in (options.families, options.forms))
    first = options.first or (TUNING if options.tuning else REPORTING)
    wanted = cases(first, options.seeds, families, forms)
    if options.only:
        wanted = (case for case in wanted if case.replayed == (options.only == "replays"))
    healthy = [
        name for name, family in FAMILIES.items() if not family.leaks and not (families and name not in families)
    ]
    more = cases(first + LATER, options.seeds, healthy, ("none",))
    measured = revision()
    begun, outcomes, replays = time.monotonic(), list[Outcome](), list[Replay]()
    rounds = [(wanted, options.minutes)] + [(more, options.replays)] * (options.replays > 0)
    for result in chain.from_iterable(run(chosen, options.processes, minutes) for chosen, minutes in rounds):
        if isinstance(result, Replay):
            replays.append(result)
        else:
            outcomes += result
        if sys.stderr.isatty():
            done = f"\r{len(outcomes)} answers, {len(replays)} replays, {time.monotonic() - begun:.0f} s "
            print(done, end="", file=sys.stderr, flush=True)
    command = " ".join(["python -m bench.detection", *map(shlex.quote, sys.argv[1:])])
    text = page(outcomes, replays, list(recordings(recorded)), command, measured)
    if options.calibration:
        options.calibration.write_text(calibration_picture(outcomes, replays), encoding="utf-8")
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
