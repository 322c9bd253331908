"""Compilation: how long from a .dhm file to a program, and from a .dhx file to a result.

Each measurement is a fresh process with a cache of its own: empty for the cold compilation, and as
that one left it for the warm opening.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.machine import describe, print_description
from bench.output import add_output, write_json
from dhc.commands.report import print_table

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "models"
Findings = dict[str, float]


def repeat(model: str, file: Path, size: int, threads: int, count: int) -> dict[str, Findings]:
    """Measures cold and warm several times; returns the medians."""
    found: dict[str, list[Findings]] = {"cold": [], "warm": []}
    for _ in range(count):
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "DHC_CACHE": str(Path(folder) / "cache")}
            artifact = str(Path(folder) / "model.dhx")
            entry = (str(file), model, str(size), str(threads))
            found["cold"].append(_fresh(("cold", artifact, *entry), environment))
            found["warm"].append(_fresh(("warm", artifact), environment))
    return {name: medians(each) for name, each in found.items()}


def medians(found: Sequence[Mapping[str, float]]) -> Findings:
    """Returns the median of each value."""
    return {name: statistics.median(each[name] for each in found) for name in found[0]}


def _fresh(arguments: Sequence[str], environment: Mapping[str, str]) -> Findings:
    """Runs fresh.py; adds the seconds from its start to its end."""
    command = [sys.executable, "-P", str(HERE / "fresh.py"), *arguments]
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - start
    found: Findings = json.loads(done.stdout)
    return {**found, "process_s": seconds}


def print_findings(found: Mapping[str, Findings]) -> None:
    """Prints what was found, one line for each value."""
    for title, values in found.items():
        print_table(
            title, ("what", "value"), [[name, _text(name, x)] for name, x in values.items()]
        )


def _text(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return f"{value / 2**20:.1f} MiB"
    if name.endswith("_s"):
        return f"{value * 1e3:.1f} ms"
    return f"{value:.0f}"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.compile_time", description=__doc__)
    parser.add_argument("--file", type=Path, default=MODELS / "resnet.dhm")
    parser.add_argument("--model", default="ResNet18")
    parser.add_argument("--size", type=int, default=224, help="height and width")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=5)
    add_output(parser, "compile_time")
    return parser.parse_args(arguments)


def main() -> int:
    """Measures and prints."""
    options = parse(sys.argv[1:])
    machine = describe(options.threads)
    print_description(machine)
    found = repeat(options.model, options.file, options.size, options.threads, options.repeats)
    print_findings(found)
    write_json(options.output, {"machine": machine, "repeats": options.repeats, **found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
