"""`slabhound diff`: what changed between two dumps of /proc/slabinfo, per cache, in slabdiff's lines."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from common.slabdiff import METRICS, compare_files

OPTIONS = ()


def add_arguments(parser: ArgumentParser) -> None:
    """The metric and the two dumps."""
    parser.add_argument(
        "metric",
        choices=list(METRICS),
        metavar="ac|al",
        help="count active (ac) or allocated (al) objects; may be spelled out",
    )
    parser.add_argument("old", metavar="OLD", help="the older dump; `-` is standard input, gzip and zstd are unpacked")
    parser.add_argument("new", metavar="NEW", help="the newer dump, or /proc/slabinfo itself")


def run(options: Namespace) -> int:
    """Prints a line for every cache whose bytes differ, ascending."""
    screen = options.screen
    screen.write(compare_files(METRICS[options.metric], options.old, options.new, stderr=screen.err).splitlines())
    return 0
