"""Parity: whole experiments by dhc and by PyTorch, with the same topology, data and recipe."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path

import dhc
from bench.machine import describe, keep_memory, print_description
from bench.options import some_of
from bench.output import add_output, write_json
from bench.parity import ours, theirs
from bench.parity.compare import Judged, compare
from bench.parity.tasks import FILE, TASKS, Task, split
from dhc.commands.report import print_table
from dhc.metrics.bootstrap import Interval
from dhc.runtime.data.dataset import DataSet
from dhc.training.evaluate import groups_of
from dhc.training.settings import train_settings


def measure(
    task: Task, dataset: DataSet, seeds: int, threads: int, epochs: int
) -> dict[str, object]:
    """Trains both ways with each seed, in turns."""
    found: dict[str, list[ours.Trained]] = {"dhc": [], "torch": []}
    program = dhc.load(FILE).program
    for seed in range(1, seeds + 1):
        given = {"seed": str(seed), **({"epochs": str(epochs)} if epochs else {})}
        settings = train_settings(program.with_settings(task.train, given), task.train)
        own = ours.train(task.train, dataset, seed, threads, epochs)
        other = theirs.train(settings, dataset, own.start, threads)
        print(f"{task.train}, seed {seed}: {own.seconds:.0f} s, {other.seconds:.0f} s", flush=True)
        found["dhc"].append(own)
        found["torch"].append(other)
    name, _, component = task.metric.partition(".")
    metric = Judged(next(m.metric for m in settings.metrics if m.name == name), component)
    groups = groups_of(dataset.parts["test"])
    totm = {kind: [run.seconds for run in runs] for kind, runs in found.items()}
    return {
        "task": task.train,
        "metric": task.metric,
        "least": task.least,
        "samples": {part: len(own) for part, own in dataset.parts.items()},
        "epochs": settings.epochs,
        "totm_s": totm,
        "totm_ratio": sum(totm["torch"]) / sum(totm["dhc"]),
        **{kind: asdict(each) for kind, each in compare(metric, found, groups).items()},
    }


def print_tasks(results: list[dict[str, object]]) -> None:
    """Prints one line for each experiment."""
    columns = ["experiment", "metric", "goal", "dhc", "torch", "difference", "together", "totm"]
    rows = [
        [
            str(r["task"]), str(r["metric"]), str(r["least"]), _text(r["dhc"]), _text(r["torch"]),
            _text(r["difference"]), _text(r["together"]), f"{r['totm_ratio']:.2f}",
        ]
        for r in results
    ]  # fmt: skip
    print_table("Parity", columns, rows)


def _text(content: object) -> str:
    assert isinstance(content, dict)
    found = Interval(**content)
    return f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    names = [task.train for task in TASKS]
    parser = argparse.ArgumentParser(prog="python -m bench.parity", description=__doc__)
    parser.add_argument("data", type=Path, help="the folder with the data sets")
    parser.add_argument("--tasks", type=some_of(names), default=names, metavar="A,B")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=0, help="else as the experiments say")
    parser.add_argument(
        "--inner", action="store_true", help="evaluate on a part of the training data"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    add_output(parser, "parity")
    return parser.parse_args(arguments)


def main() -> int:
    """Measures what the command line names."""
    options = parse(sys.argv[1:])
    keep_memory()
    machine = describe(options.threads)
    print_description(machine)
    results = []
    for task in (task for task in TASKS if task.train in options.tasks):
        dataset = split(task, options.data, options.inner)
        results.append(measure(task, dataset, options.seeds, options.threads, options.epochs))
        print_tasks(results)
        write_json(options.output, {"machine": machine, "seeds": options.seeds, "tasks": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
