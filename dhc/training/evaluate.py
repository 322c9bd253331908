"""Measures a trained network on one part of its data, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from dhc.metrics.bootstrap import Interval, interval
from dhc.runtime.data.dataset import Sample
from dhc.runtime.reporting.evidence import Evidence
from dhc.training.evidence import Gather
from dhc.training.job import TrainingJob


@dataclass(frozen=True)
class Measurement:
    """A metric on a part of the data.

    Attributes:
        interval: The value, and between what it lies if samples are drawn anew.
        components: The numbers behind it, such as one for each class.
    """

    interval: Interval
    components: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """What a network is worth on one part of the data.

    Attributes:
        part: `val` or `test`.
        samples, groups: How many; groups are patients, slides or whatever the data set names.
        loss: The mean over the samples.
        metrics: By name.
        evidence: What stands behind them: confusions, curves, examples.
        synthetic: Whether the data were made by a program, so that it says nothing of patients.
    """

    part: str
    samples: int
    groups: int
    loss: float
    metrics: Mapping[str, Measurement]
    evidence: Evidence = field(default_factory=Evidence)
    synthetic: bool = False

    def to_json(self) -> dict[str, object]:
        """Returns plain values; None where a number is not determined."""
        metrics = {
            name: {
                **{key: _known(value) for key, value in asdict(each.interval).items()},
                "components": {key: _known(value) for key, value in each.components.items()},
            }
            for name, each in self.metrics.items()
        }
        own = {"part": self.part, "samples": self.samples, "groups": self.groups}
        found = {**own, "synthetic": self.synthetic, "loss": _known(self.loss)}
        return {**found, "metrics": metrics}


def evaluate(job: TrainingJob, part: str) -> Evaluation:
    """Measures the network as it is on a part of its data.

    Raises:
        DhcError: if the data have no such part.
    """
    samples = job.part(part)
    gather = Gather(job)
    loss, rows = job.measure(samples, gather)
    groups = groups_of(samples.samples)
    found = {
        each.name: Measurement(
            interval(
                each.metric, rows[each.name], groups, job.settings.intervals, job.settings.seed
            ),
            each.metric.components(rows[each.name]),
        )
        for each in job.settings.metrics
    }
    count = len(set(groups)) if groups else len(samples)
    evidence, synthetic = gather.evidence(samples), job.dataset.synthetic
    return Evaluation(part, len(samples), count, loss, found, evidence, synthetic)


def groups_of(samples: Sequence[Sample]) -> list[str] | None:
    """The group of each sample; None where the data set names no groups."""
    groups = [sample.group or sample.name for sample in samples]
    return groups if any(sample.group for sample in samples) else None


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
