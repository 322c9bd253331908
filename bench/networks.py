"""Networks: dhc beside PyTorch, ONNX Runtime and OpenVINO."""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.cases import CASES, SEED, Case, build
from bench.machine import describe, keep_memory, print_description
from bench.options import add_contenders
from bench.output import add_output, write_json
from bench.peers import OURS, PEERS, Call, Peer, exact, relative_error
from bench.timing import Plan, Times, geometric_mean, interleave
from dhc.commands.report import print_table
from dhc.ir.graph import Array
from dhc.passes.bind_sizes import bind_sizes
from dhc.summary import summarise


@dataclass(frozen=True)
class Row:
    """What was found for one contender: milliseconds, and the error against float64."""

    contender: str
    median_ms: float
    min_ms: float
    rounds_ms: tuple[float, ...]
    error: float | None


@dataclass(frozen=True)
class Result:
    """What was found for one network.

    Attributes:
        name: The network.
        flop: Its floating-point operations.
        rows: One for each contender that ran; ours is the first.
        absent: Why the others did not run.
    """

    name: str
    flop: int
    rows: tuple[Row, ...]
    absent: Mapping[str, str]

    @property
    def best(self) -> Row | None:
        """The quickest of the others."""
        return min(self.rows[1:], key=lambda row: row.median_ms, default=None)

    @property
    def ratio(self) -> float | None:
        """The best peer's time over ours: above 1, dhc is quicker."""
        return None if self.best is None else self.best.median_ms / self.rows[0].median_ms


# ---- one network -----------------------------------------------------------------------------


def measure(case: Case, peers: Sequence[Peer], threads: int, plan: Plan) -> Result:
    """Measures all contenders on one network."""
    image = np.random.default_rng(SEED).standard_normal((1, *case.shape)).astype(np.float32)
    absent = {peer.name: f"needs {', '.join(peer.missing)}" for peer in peers if peer.missing}
    with tempfile.TemporaryDirectory() as folder:
        network = build(case, image, Path(folder))
        calls: dict[str, Call] = {}
        for peer in (OURS, *(peer for peer in peers if not peer.missing)):
            try:
                calls[peer.name] = peer.prepare(network, image, threads)
                calls[peer.name]()
            except Exception as error:  # one that cannot run this network does not stop the others
                if peer is OURS:
                    raise
                calls.pop(peer.name, None)
                absent[peer.name] = f"{type(error).__name__}: {error}".splitlines()[0]
    reference = None if network.module is None else exact(network.module, image)
    results = {name: np.array(call()) for name, call in calls.items()}
    times = interleave(calls, plan)
    rows = tuple(_row(name, times[name], results[name], reference) for name in calls)
    flop = summarise(bind_sizes(network.model.graph, network.shapes)).flop
    return Result(case.name, flop, rows, absent)


def _row(name: str, times: Times, result: Array, reference: Array | None) -> Row:
    error = None if reference is None else relative_error(result, reference)
    return Row(name, times.median, times.least, times.rounds, error)


# ---- tables ----------------------------------------------------------------------------------


def print_result(result: Result) -> None:
    """Prints one network."""
    ours = result.rows[0]
    rows = [
        [
            row.contender,
            f"{row.median_ms:.2f}",
            f"{row.min_ms:.2f}",
            f"{result.flop / row.median_ms / 1e6:.0f}",
            f"{row.median_ms / ours.median_ms:.2f}",
            "-" if row.error is None else f"{row.error:.1e}",
        ]
        for row in result.rows
    ]
    rows += [[name, "-", "-", "-", "-", "-"] for name in result.absent]
    print_table(result.name, ("contender", "ms", "least", "GF/s", "/ dhc", "error"), rows)
    for name, why in result.absent.items():
        print(f"{name}: {why}")
    print(flush=True)


def print_summary(results: Sequence[Result]) -> None:
    """Prints our time beside the best of the others, for all networks."""
    found = [(r, r.best, r.ratio) for r in results]
    rows = [
        [r.name, f"{r.rows[0].median_ms:.2f}", f"{best.median_ms:.2f}", best.contender, f"{x:.2f}"]
        for r, best, x in found
        if best is not None and x is not None
    ]
    if not rows:
        return
    print_table("Best peer beside dhc", ("network", "dhc", "best", "peer", "best / dhc"), rows)
    ratios = [x for _, _, x in found if x is not None]
    print(f"geometric mean {geometric_mean(ratios):.3f}, smallest {min(ratios):.3f}")


def as_content(results: Sequence[Result]) -> dict[str, object]:
    """Returns everything that was found, ready for JSON."""
    ratios = [r.ratio for r in results if r.ratio is not None]
    networks = [
        {**asdict(r), "best": r.best.contender if r.best else None, "best_over_dhc": r.ratio}
        for r in results
    ]
    return {
        "networks": networks,
        "geometric_mean": geometric_mean(ratios) if ratios else None,
        "smallest": min(ratios, default=None),
    }


# ---- the command -----------------------------------------------------------------------------


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    names, peers = [case.name for case in CASES], [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(prog="python -m bench.networks", description=__doc__)
    add_contenders(parser, names, peers)
    add_output(parser, "networks")
    return parser.parse_args(arguments)


def main() -> int:
    """Measures what the command line names; 1 if dhc failed on a network."""
    options = parse(sys.argv[1:])
    keep_memory()
    machine = describe(options.threads)
    print_description(machine)
    plan = Plan(options.rounds, options.seconds_per_network)
    peers = [peer for peer in PEERS if peer.name in options.peers]
    results: list[Result] = []
    failed = False
    for case in (case for case in CASES if case.name in options.networks):
        try:
            results.append(measure(case, peers, options.threads, plan))
            print_result(results[-1])
        except Exception as error:  # what was found for the others is still worth printing
            failed = True
            print(f"{case.name}: {type(error).__name__}: {error}\n", flush=True)
        gc.collect()
    print_summary(results)
    content = {"machine": machine, "plan": asdict(plan), **as_content(results)}
    write_json(options.output, content)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
