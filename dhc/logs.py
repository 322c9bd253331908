"""What dhc says while it works: one logger named `dhc`, shown on standard error."""

from __future__ import annotations

import logging
import sys

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)

log = logging.getLogger("dhc")
_shown: list[logging.Handler] = []


def show_logs(verbosity: int) -> None:
    """Shows warnings; with 1 also what happens and how long it takes, with 2 also details.

    On a terminal rich colours the lines. A second call replaces what the first has set.
    """
    while _shown:
        log.removeHandler(_shown.pop())
    handler = _rich_handler() if sys.stderr.isatty() else _plain_handler()
    _shown.append(handler)
    log.addHandler(handler)
    log.setLevel(LEVELS[min(verbosity, len(LEVELS) - 1)])


def _plain_handler() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain())
    return handler


def _rich_handler() -> logging.Handler:
    from rich.console import Console
    from rich.logging import RichHandler

    console = Console(stderr=True)
    return RichHandler(console=console, show_path=False, show_time=False)


class _Plain(logging.Formatter):
    """Lines that begin like those of diagnostics, such as `warning: ...`."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {super().format(record)}"
