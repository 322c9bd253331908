"""ONNX models of others, from packages of the Python index: dhc beside ONNX Runtime.

Each model runs once with inputs that suit it, on the same number of threads. What it computes is
compared with what ONNX Runtime computes: the largest difference over the largest value of a result.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import dhc
from bench.machine import describe, keep_memory, print_description
from bench.onnx_cases import ONNX_CASES, SEED, OnnxCase
from bench.onnx_files import find
from bench.options import some_of
from bench.output import add_output, write_json
from bench.peers import relative_error, session
from bench.timing import Plan, geometric_mean, interleave
from dhc.commands.report import print_table
from dhc.ir.graph import Array, Input
from dhc.onnx.imported import Imported
from dhc.onnx.models import model_of
from dhc.onnx.read import load

Run = Callable[[], list[Array]]


@dataclass(frozen=True)
class Result:
    """What was found for one model.

    Attributes:
        name: What tables call it.
        kind: What it does.
        package: The package that holds it.
        member: Its file there.
        sha256: What that file is.
        shapes: The shapes of its inputs.
        given: Values of inputs that dhc was told when it read the file.
        load_s: Seconds in which dhc read the file.
        compile_s: Seconds in which it compiled it for these shapes.
        session_s: Seconds in which ONNX Runtime opened it.
        dhc_ms: The median over the rounds.
        onnxruntime_ms: The same.
        rounds_ms: The median of each round, by contender.
        errors: For each output the largest difference over the largest value.
        most_error: What they may be.
    """

    name: str
    kind: str
    package: str
    member: str
    sha256: str
    shapes: Mapping[str, Sequence[int]]
    given: Mapping[str, object]
    load_s: float
    compile_s: float
    session_s: float
    dhc_ms: float
    onnxruntime_ms: float
    rounds_ms: Mapping[str, Sequence[float]]
    errors: Mapping[str, float]
    most_error: float

    @property
    def ratio(self) -> float:
        """ONNX Runtime's time over ours: above 1, dhc is quicker."""
        return self.onnxruntime_ms / self.dhc_ms

    @property
    def error(self) -> float:
        """The largest of the outputs' errors; what is no number counts as infinite."""
        return max(math.inf if math.isnan(each) else each for each in self.errors.values())


# ---- one model -------------------------------------------------------------------------------


def measure(case: OnnxCase, folder: Path, threads: int, plan: Plan) -> Result:
    """Measures both on one model.

    Raises:
        Exception: if one of them cannot run it, or it cannot be found.
    """
    file = find(case, folder)
    random = np.random.default_rng(SEED)
    values = {name: draw(random) for name, draw in case.inputs.items()}
    start = time.perf_counter()
    opened = session(file, threads)
    session_s = time.perf_counter() - start
    names = [each.name for each in opened.get_outputs()]
    start = time.perf_counter()
    imported = load(file, case.given, case.shapes)
    load_s = time.perf_counter() - start
    start = time.perf_counter()
    ours = _compiled(imported, values, threads)
    compile_s = time.perf_counter() - start
    theirs: Run = lambda: opened.run(None, {**values, **case.given})  # noqa: E731
    found = dict(zip(names, zip(ours(), theirs(), strict=True), strict=True))
    errors = {name: relative_error(a, np.asarray(b)) for name, (a, b) in found.items()}
    times = interleave({"dhc": ours, "onnxruntime": theirs}, plan)
    return Result(
        case.name, case.kind, case.package, case.member, case.sha256,
        {name: value.shape for name, value in values.items()},
        {name: value.tolist() for name, value in case.given.items()},
        load_s, compile_s, session_s, times["dhc"].median, times["onnxruntime"].median,
        {name: each.rounds for name, each in times.items()}, errors, case.most_error,
    )  # fmt: skip


def _compiled(imported: Imported, values: Mapping[str, Array], threads: int) -> Run:
    """The model as a program for inputs of these shapes."""
    nodes = [node for node in imported.graph.inputs if isinstance(node.op, Input)]
    shapes: dict[str, int] = {}
    arrays: dict[str, Array] = {}
    for node, name in zip(nodes, imported.inputs, strict=True):
        arrays[node.op.label] = values[name]  # type: ignore[attr-defined]
        pairs = zip(node.type.shape, values[name].shape, strict=True)
        shapes |= {str(size): number for size, number in pairs if not isinstance(size, int)}
    program = dhc.compile(model_of(imported), "cpu", shapes, threads=threads)
    labels = [str(label) for label in imported.outputs.values()]

    def call() -> list[Array]:
        found = program(**arrays)
        return [found[label] for label in labels]

    return call


# ---- tables ----------------------------------------------------------------------------------


def print_results(results: Sequence[Result]) -> None:
    """Prints one line for each model."""
    titles = (
        "model", "kind", "dhc ms", "onnxruntime ms", "onnxruntime / dhc", "error", "load s",
        "compile s",
    )  # fmt: skip
    rows = [
        [
            r.name, r.kind, f"{r.dhc_ms:.2f}", f"{r.onnxruntime_ms:.2f}", f"{r.ratio:.2f}",
            f"{r.error:.1e}", f"{r.load_s:.2f}", f"{r.compile_s:.1f}",
        ]
        for r in results
    ]  # fmt: skip
    print_table("ONNX models of others", titles, rows)
    if results:
        ratios = [r.ratio for r in results]
        print(f"geometric mean {geometric_mean(ratios):.3f}, smallest {min(ratios):.3f}")


def as_content(results: Sequence[Result], failed: Mapping[str, str]) -> dict[str, object]:
    """Returns everything that was found, ready for JSON."""
    ratios = [r.ratio for r in results]
    return {
        "models": [{**asdict(r), "onnxruntime_over_dhc": r.ratio} for r in results],
        "failed": dict(failed),
        "geometric_mean": geometric_mean(ratios) if ratios else None,
        "smallest": min(ratios, default=None),
    }


# ---- the command -----------------------------------------------------------------------------


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    names = [case.name for case in ONNX_CASES]
    parser = argparse.ArgumentParser(prog="python -m bench.onnx_models", description=__doc__)
    parser.add_argument("folder", type=Path, help="holds wheels or files; pip loads what it lacks")
    parser.add_argument(
        "--models", type=some_of(names), default=names, metavar="A,B", help=", ".join(names)
    )
    parser.add_argument("--threads", type=int, default=2, help="for each of them")
    parser.add_argument("--rounds", type=int, default=Plan.rounds, help="turns of each of them")
    parser.add_argument(
        "--keep-cache", action="store_true", help="compile with the programs of earlier times"
    )
    add_output(parser, "onnx_models")
    return parser.parse_args(arguments)


def main() -> int:
    """Measures what the command line names; 1 if dhc failed on one or is wrong."""
    options = parse(sys.argv[1:])
    keep_memory()
    machine = describe(options.threads)
    print_description(machine)
    plan = Plan(options.rounds)
    results: list[Result] = []
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as cache:
        if not options.keep_cache:
            os.environ["DHC_CACHE"] = cache
        for case in (case for case in ONNX_CASES if case.name in options.models):
            try:
                results.append(measure(case, options.folder, options.threads, plan))
            except Exception as error:  # the others are still worth measuring
                failed[case.name] = f"{type(error).__name__}: {error}"
                print(f"{case.name}: {failed[case.name]}", flush=True)
            gc.collect()
    print_results(results)
    wrong = [r.name for r in results if r.error > r.most_error]
    if wrong:
        print(f"errors are too large: {', '.join(wrong)}")
    content = {"machine": machine, "plan": asdict(plan), **as_content(results, failed)}
    write_json(options.output, content)
    return int(bool(failed or wrong))


if __name__ == "__main__":
    sys.exit(main())
