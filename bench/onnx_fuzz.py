"""Reads damaged models of ONNX: each must be refused with a DhcError, or read.

python -m bench.onnx_fuzz --count 1000000 --seed 0
python -m bench.onnx_fuzz --seed 0 --write 1234 model.onnx      the 1234th model

What is reported: another exception, more than 2 s of processor time, more than 500 MB of memory,
and the end of the process that reads. Ctrl-C ends it with the results so far. The same seed and
number always make the same model, with the same version of the package `onnx`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from bench.onnx_reading import Finding, Span, Work, damaged_model, read_models
from bench.onnx_seeds import seed_models
from bench.output import add_output, write_json

SPAN = 2000  # models that a process is given at once
PATIENCE = 60.0  # seconds without a sign of a process


@dataclass
class Report:
    """What has been found.

    Attributes:
        outcomes: How many models were read, refused, and reported.
        findings: By what identifies them: the first one, and how many there are.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[tuple[str, str], tuple[Finding, int]] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Counts a finding; new ones are printed."""
        first, count = self.findings.get(finding.key, (finding, 0))
        self.findings[finding.key] = (first, count + 1)
        self.outcomes[finding.kind] += 1
        if not count:
            print(f"{finding.number}: {finding.kind}: {finding.text} {finding.place}", flush=True)

    def content(self) -> list[dict[str, Any]]:
        """The findings as they are written."""
        return [asdict(first) | {"count": count} for first, count in self.findings.values()]


class _Reader:
    """A process that reads models, and what it is at."""

    def __init__(self, seed: int, spans: Iterator[Span]) -> None:
        self._seed, self._spans = seed, spans
        self._start(next(spans))

    def _start(self, span: Span) -> None:
        context = get_context("spawn")
        self.ours, theirs = context.Pipe()
        self._number = context.Value("q", span[0], lock=False)
        self._last = span[1]
        work = Work(self._seed, theirs, self._number)
        self._process: SpawnProcess = context.Process(target=read_models, args=(work,), daemon=True)
        self._process.start()
        theirs.close()
        self._seen, self._since = span[0], time.monotonic() + PATIENCE  # it reads the seeds first
        self.ours.send(span)

    def hear(self, report: Report) -> bool:
        """Takes in what the process says; returns whether it goes on."""
        try:
            message = self.ours.recv()
        except EOFError:
            return self._go_on(report, "crash", f"it ends with {self._exit_code()}")
        if isinstance(message, Finding):
            report.add(message)
            if message.kind != "memory":
                return True
            report.outcomes.update(self.ours.recv())  # what it has read before, and its last word
            return self._again()
        report.outcomes.update(message)
        return self._next()

    def watch(self, report: Report) -> bool:
        """Ends the process if it has stood still for too long; returns whether it goes on."""
        now = time.monotonic()
        if self._number.value != self._seen:
            self._seen, self._since = self._number.value, now
        if now - self._since < PATIENCE:
            return True
        self._process.kill()
        return self._go_on(report, "hang", f"it stands still for {PATIENCE:.0f} s")

    def _go_on(self, report: Report, kind: str, text: str) -> bool:
        report.add(Finding(self._number.value, kind, text, ""))
        return self._again()

    def _again(self) -> bool:
        """Starts a new process behind the model that the last one has read."""
        self._exit_code()
        span = (self._number.value + 1, self._last)
        if span[0] < span[1]:
            self._start(span)
            return True
        return self._restart_with(next(self._spans, None))

    def _restart_with(self, span: Span | None) -> bool:
        if span is None:
            return False
        self._start(span)
        return True

    def _next(self) -> bool:
        span = next(self._spans, None)
        self.ours.send(span)
        if span is not None:
            self._last = span[1]
        return span is not None

    def _exit_code(self) -> int | None:
        self._process.join()
        return self._process.exitcode


def run(seed: int, first: int, count: int, processes: int) -> Report:
    """Reads as many models as said, from the first number on."""
    numbers = range(first, first + count, SPAN)
    spans = iter([(start, min(start + SPAN, first + count)) for start in numbers])
    readers = [_Reader(seed, spans) for _ in range(min(processes, len(numbers)))]
    report = Report()
    try:
        _hear_all(readers, report)
    except KeyboardInterrupt:
        print(f"stopped; go on with --first {first + report.outcomes.total() // SPAN * SPAN}")
    return report


def _hear_all(readers: list[_Reader], report: Report) -> None:
    """Takes in what all processes say, until none is left."""
    begun, told = time.monotonic(), 0
    while readers:
        ready = connection.wait([each.ours for each in readers], timeout=5)
        spoken = [each for each in readers if each.ours in ready]
        readers = [
            each
            for each in readers
            if (each.hear(report) if each in spoken else each.watch(report))
        ]
        total = report.outcomes.total()
        if total - told >= 50_000:
            told = total
            print(f"{total} models, {total / (time.monotonic() - begun):.0f} a second", flush=True)


def _versions() -> dict[str, str]:
    packages = ("dhc", "onnx", "protobuf", "numpy")
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **found}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="how many models")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", nargs=2, metavar=("NUMBER", "FILE"), help="write one model")
    add_output(parser, "onnx_fuzz")
    return parser.parse_args()


def main() -> int:
    """Returns 0 if there is nothing to report."""
    arguments = _arguments()
    if arguments.write:
        number, file = arguments.write
        Path(file).write_bytes(damaged_model(seed_models(), arguments.seed, int(number)))
        return 0
    start = time.monotonic()
    report = run(arguments.seed, arguments.first, arguments.count, arguments.processes)
    seconds = time.monotonic() - start
    print(dict(report.outcomes), f"in {seconds:.0f} s")
    content = {
        "seed": arguments.seed, "first": arguments.first, "count": report.outcomes.total(),
        "seconds": round(seconds), "processes": arguments.processes, "versions": _versions(),
        "outcomes": dict(report.outcomes), "findings": report.content(),
    }  # fmt: skip
    write_json(arguments.output, content)
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
