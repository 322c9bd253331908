"""Printing for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dhc.runtime.reporting.files import json_text

PLAIN_WIDTH = 110  # of tables that go to a file or another program


def print_json(value: object) -> None:
    """Prints one JSON value; what JSON has no number for, such as NaN, is null."""
    print(json_text(value))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table; columns whose cells are all numbers are aligned right."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for position, column in enumerate(columns):
        numeric = all(_is_number(row[position]) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    console.print(table)


def quantity(value: float, unit: str = "") -> str:
    """Returns a number with a decimal prefix, such as `3.63 G`."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.2f} {prefix}{unit}"
    return f"{value:.0f} {unit}".strip()


def _is_number(text: str) -> bool:
    return bool(text) and text[0] in "+-0123456789."
