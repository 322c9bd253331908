"""One experiment by dhc."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import dhc
from bench.parity.tasks import FILE
from dhc.backends.base import Target
from dhc.ir.graph import Array
from dhc.runtime.data.dataset import DataSet
from dhc.training.account import Account
from dhc.training.describe import Beginning, describe_run
from dhc.training.run import Run, open_run
from dhc.training.session import carry_out


@dataclass(frozen=True)
class Trained:
    """What an experiment gave.

    Attributes:
        seconds: From the data on disk to the best weights and what they are worth.
        predictions, truths: Of the evaluation part, sample after sample.
        start: The parameters that it began with.
    """

    seconds: float
    predictions: Array
    truths: Array
    start: dict[str, Array]


def train(name: str, dataset: DataSet, seed: int, threads: int, epochs: int) -> Trained:
    """Trains with a seed, as `dhc train` does, in a folder that is removed."""
    source = dhc.load(FILE)
    settings = {"seed": str(seed), **({"epochs": str(epochs)} if epochs else {})}
    program = source.program.with_settings(name, settings)
    target = Target("cpu", threads)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / name
        began = time.perf_counter()
        run = open_run(program, name, source.folder, folder, target, dataset)
        start = {path: array.copy() for path, array in run.job.weights().items()}
        describe_run(run, Beginning(source, target, settings))
        carry_out(run, Account(run, began))
        seconds = time.perf_counter() - began
        run.load_best()
        return Trained(seconds, *_compared(run), start)


def _compared(run: Run) -> tuple[Array, Array]:
    """What the metrics compare on the evaluation part."""
    names, found = run.settings.metrics[0], []

    def keep(batch: Mapping[str, Array], results: Mapping[str, Array]) -> None:
        found.append((results[names.prediction], batch[names.truth]))

    run.job.measure(run.job.part("test"), keep)
    predictions, truths = zip(*found, strict=True)
    return np.concatenate(predictions), np.concatenate(truths)
