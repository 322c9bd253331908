"""Writes which of ONNX's own conformance tests dhc gets right, and why it refuses the others.

The table lies in results/onnx-conformance.md. Whatever takes longer than ten minutes is wrong.

python -m bench.onnx_conformance
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.machine import versions
from bench.options import some_of
from bench.output import RESULTS
from dhc.errors import DhcError
from dhc.onnx.versions import OPSETS
from tests.onnx.test_suite import (
    LIGHT,
    STORED,
    Case,
    cases_of_nodes,
    check,
    light_case,
    stored_cases,
)

FILE = RESULTS / "onnx-conformance.md"
TARGETS = ("reference", "cpu", "opencl")
LIMIT = 600  # seconds for one case
MANY = 4  # operators, whose names are left out
PACKAGES = ("onnx", "numpy", "llvmlite", "pyopencl", "pocl-binary-distribution")
OUTCOMES = ("right", "refused", "wrong")
_NODE = re.compile(r"The node(?: '[^']*')? of (\w+) \(version \d+\) cannot be read: (.*)\.")
_NAMED = re.compile(r"\b(input|layer|device|tensor) '[^']*'", re.IGNORECASE)
_OUTER = "of what it is made of: "


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        case: Its name.
        kind: One of `OUTCOMES`.
        operator: What was refused; empty where it was not.
        reason: Why it is not right.
    """

    case: str
    kind: str
    operator: str = ""
    reason: str = ""


Suites = dict[str, Sequence[Case]]
Found = dict[str, list[Outcome]]
"""The outcomes of each suite."""


# ---- running ---------------------------------------------------------------------------------


def suites() -> Suites:
    """Returns all cases: those of single nodes, and those of whole models."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nodes = list(cases_of_nodes(collect_testcases(None)))
    stored = {kind: list(stored_cases(kind)) for kind in STORED}
    return {"node": nodes, **stored, "light": [light_case(file) for file in LIGHT]}


def run(found: Suites, target: str) -> Found:
    """Runs all cases on a target."""
    return {name: [outcome(case, target) for case in cases] for name, cases in found.items()}


def outcome(case: Case, target: str) -> Outcome:
    """Runs a case on a target."""
    try:
        with limited(LIMIT):
            check(case, target)
    except DhcError as error:
        found = sorted({node.op_type for node in case.model.graph.node})
        operators = ", ".join(found) if len(found) < MANY else "several"
        return Outcome(case.name, "refused", *reason_of(error, operators))
    except Exception as error:
        return Outcome(case.name, "wrong", reason=f"{type(error).__name__}: {error}")
    return Outcome(case.name, "right")


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Ends what takes longer, where the system can.

    Raises:
        TimeoutError: if it does.
    """

    def end(*_: object) -> None:
        raise TimeoutError(f"it takes more than {seconds} seconds")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def reason_of(error: DhcError, operators: str) -> tuple[str, str]:
    """Returns the operator that is refused, and why, without the names of one model.

    Args:
        error: What dhc says.
        operators: Those of the model, if the error names none.
    """
    text = error.diagnostics[0].message
    match = _NODE.fullmatch(text)
    if match is None:
        return operators, _NAMED.sub(r"\1", re.sub("^'[^']*'", "A value", text)).rstrip(".")
    operator, reason = match.groups()
    while inner := _NODE.match(reason.removeprefix(_OUTER) + "."):
        reason = inner[2]
    return operator, reason.rstrip(".")


# ---- writing ---------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Returns the lines of a table."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |" for row in lines]


def counts(found: Mapping[str, Found]) -> list[str]:
    """Returns the table of how many cases of each suite are what on each target."""
    rows = []
    for suite in next(iter(found.values())):
        for target, outcomes in found.items():
            kinds = Counter(each.kind for each in outcomes[suite])
            rows.append((suite, target, len(outcomes[suite]), *(kinds[kind] for kind in OUTCOMES)))
    return table(("suite", "target", "cases", *OUTCOMES), rows)


def refusals(found: Found) -> list[str]:
    """Returns the table of what is not right, by reason and operator."""
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for outcomes in found.values():
        for each in outcomes:
            if each.kind != "right":
                group = groups[each.kind, each.reason, each.operator]
                group.append(each.case.removeprefix("test_"))
    rows = [
        (f"WRONG: {reason}" if kind == "wrong" else reason, operator, len(names), ", ".join(names))
        for (kind, reason, operator), names in sorted(groups.items())
    ]
    return table(("reason", "operator", "cases", "names"), rows)


def beyond(found: Found, reference: Found) -> Found:
    """Returns what is right on the reference backend and not here."""
    right = {each.case for row in reference.values() for each in row if each.kind == "right"}
    return {name: [each for each in row if each.case in right] for name, row in found.items()}


def report(found: Mapping[str, Found]) -> str:
    """Returns the whole text, for targets of which the first is the reference."""
    (first, reference), *others = found.items()
    lines = ["# ONNX's conformance tests", "", introduction(), "", *counts(found)]
    lines += ["", "## What is refused", "", *refusals(reference)]
    for target, each in others:
        more = beyond(each, reference)
        nothing = all(one.kind == "right" for row in more.values() for one in row)
        said = ["Nothing."] if nothing else refusals(more)
        lines += ["", f"## What is right on `{first}`, and not on `{target}`", "", *said]
    return "\n".join(lines) + "\n"


def introduction() -> str:
    """Returns what the table is of."""
    known = ", ".join(f"{name} {each}" for name, each in versions(PACKAGES).items())
    return (
        "Written by `python -m bench.onnx_conformance`: right, refused with an error, or wrong.\n"
        f"Versions {OPSETS[0]} to {OPSETS[-1]} of ONNX's operators; {known}."
    )


# ---- the command -----------------------------------------------------------------------------


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.onnx_conformance", description=__doc__)
    names: Callable[[str], list[str]] = some_of(TARGETS)
    parser.add_argument("--targets", type=names, default=list(TARGETS), metavar="A,B")
    parser.add_argument("--output", type=Path, default=FILE, metavar="FILE")
    return parser.parse_args(arguments)


def main() -> int:
    """Runs all cases, writes the table after each target, and says how many cases are wrong."""
    options = parse(sys.argv[1:])
    cases = suites()
    found: dict[str, Found] = {}
    for target in dict.fromkeys(("reference", *options.targets)):
        found[target] = run(cases, target)
        options.output.write_text(report(found), encoding="utf-8")
        print(f"{target} is written to {options.output}", flush=True)
    print("\n".join(counts(found)))
    outcomes = (each for one in found.values() for row in one.values() for each in row)
    return int(any(each.kind == "wrong" for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
