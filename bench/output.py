"""Where results go: an option of every script."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench.machine import kind

RESULTS = Path(__file__).resolve().parent / "results"


def add_output(parser: argparse.ArgumentParser, script: str) -> None:
    """Adds `--output [FILE]`; without a file it is the one in results/ for this kind of machine."""
    default = RESULTS / f"{script}-{kind()}.json"
    help = f"write JSON, to results/{default.name} if no file is named"
    parser.add_argument("--output", type=Path, nargs="?", const=default, metavar="FILE", help=help)


def write_json(path: Path | None, content: object) -> None:
    """Writes results if they were asked for."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")
