"""Writes what a run is into its folder, before its first step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dhc.api import Source
from dhc.backends.base import Target
from dhc.frontend.render import render_configured
from dhc.runtime.data.dataset import DataSet, Sample, summary
from dhc.runtime.data.folds import Fold
from dhc.runtime.reporting.environment import environment
from dhc.runtime.reporting.files import (
    DATA,
    ENVIRONMENT,
    RESOLVED,
    DataSummary,
    PartSummary,
    write_json,
    write_record,
    write_text,
)
from dhc.training.folder import Description, write_description
from dhc.training.run import Run


@dataclass(frozen=True)
class Beginning:
    """Where a run comes from: what it takes to open it again.

    Attributes:
        source: The file.
        target: What steps are compiled for.
        settings: Expressions that replace settings of the train block.
        fold: How the data are divided, where a study does.
    """

    source: Source
    target: Target
    settings: Mapping[str, str] = field(default_factory=dict)
    fold: Fold | None = None


def describe_run(run: Run, beginning: Beginning) -> None:
    """Writes the program, its train block with all defaults, the data and the machine."""
    source, target = beginning.source, beginning.target
    sources = source.program.sources
    given = tuple(f"{setting}={text}" for setting, text in beginning.settings.items())
    data = str(source.folder.resolve())
    found = Description(
        run.settings.name, next(iter(sources)), data, target.backend, given, beginning.fold
    )
    write_description(run.folder, found, sources)
    write_text(run.folder / RESOLVED, render_configured(run.settings.configured))
    write_record(run.folder / DATA, summarise(run.job.dataset))
    write_json(run.folder / ENVIRONMENT, environment())


def summarise(dataset: DataSet) -> DataSummary:
    """Returns how many samples, groups and classes each part of a data set has."""
    counts = summary(dataset)
    parts = {}
    for part, samples in dataset.parts.items():
        classes = {name: count for name, count in counts[part].items() if name in dataset.classes}
        parts[part] = PartSummary(len(samples), _groups(samples), classes)
    return DataSummary(
        dataset.name, dataset.synthetic, dict(dataset.fields), dataset.classes, parts
    )


def _groups(samples: tuple[Sample, ...]) -> int | None:
    groups = {sample.group for sample in samples if sample.group}
    return len(groups) if groups else None
