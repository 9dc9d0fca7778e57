"""`slabhound report`: the outlier report from a server."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import TYPE_CHECKING

from common.commands.options import AT, GROUP, JSON, SERVER, TOKEN_FILE, WINDOW
from common.terminal.report import exit_status, render_report
from common.terminal.waiting import Waiting

if TYPE_CHECKING:
    import httpx

OPTIONS = (SERVER, WINDOW, AT, GROUP, JSON, TOKEN_FILE)

_LABEL = "waiting for the report"


def run(options: Namespace, *, transport: httpx.BaseTransport | None = None) -> int:
    """Prints the report. 1 when there are findings; else 2 when nothing could be judged; else 0."""
    from common.commands.client import Client  # noqa: PLC0415 - httpx is loaded only to be used
    from common.commands.series import SeriesOfFindings  # noqa: PLC0415 - as above, only when used

    with Client(options.server, options.token_file, transport=transport) as client, Waiting(options.screen, _LABEL):
        text = client.get_text("/outliers", {"window": options.window, "at": options.at, "group": options.group})
        report = json.loads(text)
        lines = [text]
        if not options.json:
            series = SeriesOfFindings(client, options.window, report["window"]["to"])
            lines = render_report(report, options.screen, series)
    options.screen.write(lines)
    return exit_status(report)
