"""Keeps the account of a run: what its training, tests and pipelines took, in its ledger."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from dhc.ir.text import graph_digest
from dhc.runtime.kpi.ledger import Entry, append
from dhc.training.job import TrainingJob
from dhc.training.run import Run


class Account:
    """Measures one session of a run.

    Args:
        run: What is accounted for; its ledger is in its folder.
        began: When the session began, as `perf_counter` says.
    """

    def __init__(self, run: Run, began: float) -> None:
        self._run = run
        self._began = began
        self._session = secrets.token_hex(8)
        self._program = program_digest(run.job)
        self._pipeline = pipeline_digest(run.job)
        self._prepared: set[str] = set()

    @contextmanager
    def training(self) -> Iterator[None]:
        """Accounts for what happens inside, however it ends, and for all before since `began`."""
        self._write("start", 0.0)
        try:
            yield
        finally:
            self._write("training", perf_counter() - self._began)
            self._write_prepared()

    @contextmanager
    def test(self) -> Iterator[None]:
        """Accounts for what happens inside, if it ends well."""
        began = perf_counter()
        yield
        self._write("test", perf_counter() - began)
        self._write_prepared()

    def _write_prepared(self) -> None:
        """Notes for each part what its pipeline took, once all of its samples have been through."""
        parts = " ".join(part for part, own in self._run.job.dataset.parts.items() if own)
        for part, samples in self._run.job.opened.items():
            if part not in self._prepared and (seconds := samples.seconds) is not None:
                self._prepared.add(part)
                self._write("pipeline_run", seconds, part, parts)

    def _write(self, kind: str, seconds: float, part: str = "", parts: str = "") -> None:
        entry = Entry(
            kind,
            seconds,
            "measured",
            "" if part else self._program,
            self._pipeline,
            self._run.settings.name,
            self._session,
            part,
            parts,
        )
        append(self._run.folder, entry)


def program_digest(job: TrainingJob) -> str:
    """Returns what identifies a candidate: its step and recipe, whatever seed or fold."""
    settings = job.settings
    recipe = f"{graph_digest(job.built.step.graph)} {settings.batch} {settings.epochs}"
    return _digest(f"{recipe} {settings.schedule}")


def pipeline_digest(job: TrainingJob) -> str:
    """Returns what identifies the pipelines of all parts, and the data that they are for."""
    own = [f"{part} {name}" for part, name in sorted(job.settings.data.pipelines.items())]
    return _digest("\n".join([job.settings.data.path, job.train.digest, *own]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
