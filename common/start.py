"""Where the program `slabhound` begins: Ctrl-C before a command has begun is no traceback either."""

from __future__ import annotations

__all__ = ["main"]


def main() -> int:
    """As common.cli.main, which is loaded here."""
    try:
        from common.cli import main as run  # noqa: PLC0415 - inside, or the interpreter itself would say it
    except KeyboardInterrupt:
        return 130
    return run()
