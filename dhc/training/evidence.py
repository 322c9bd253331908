"""Finds what stands behind metrics while they are measured: confusions, curves, examples."""

from __future__ import annotations

from collections.abc import Mapping

from dhc.ir.graph import Input
from dhc.metrics.base import Array
from dhc.runtime.reporting.evidence import Evidence
from dhc.training.collect import COLLECTORS, Collector, Pair
from dhc.training.examples import Wanted, show
from dhc.training.job import TrainingJob
from dhc.training.samples import Samples


class Gather:
    """Looks at each batch of a measurement; see `TrainingJob.measure`."""

    def __init__(self, job: TrainingJob) -> None:
        self._job = job
        self._collectors = {pair: COLLECTORS[pair.kind]() for pair in pairs_of(job)}

    def __call__(self, batch: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        for pair, collector in list(self._collectors.items()):
            prediction, truth = outputs[pair.output], batch[pair.truth]
            if collector.fits(prediction, truth):
                collector.add(prediction, truth)
            else:
                del self._collectors[pair]

    def evidence(self, samples: Samples) -> Evidence:
        """Returns what was found in samples, with pictures of some of them."""
        names = self._job.dataset.classes
        parts = [each.found(pair, names) for pair, each in self._collectors.items()]
        shown = [
            show(self._job, samples, _wanted(pair, each), each.ranked(names))
            for pair, each in self._collectors.items()
        ]
        return Evidence(
            confusions=tuple(c for part in parts for c in part.confusions),
            curves=tuple(c for part in parts for c in part.curves),
            examples=tuple(each for each in shown if each.cases),
            scatters=tuple(s for part in parts for s in part.scatters),
        )


def pairs_of(job: TrainingJob) -> list[Pair]:
    """Returns what is compared with what: by metrics, else the only output with the only truth."""
    fields = job.dataset.fields
    named = [(m.prediction, m.truth) for m in job.settings.metrics]
    if not named:
        given = {n.op.label for n in job.built.check.inputs if isinstance(n.op, Input)}
        truths = [name for name, kind in fields.items() if name in given and kind != "image"]
        outputs = [name for name, _ in job.built.check.outputs][:-1]
        named = [(outputs[0], truths[0])] if len(outputs) == len(truths) == 1 else []
    pairs = [Pair(output, truth, fields.get(truth, "")) for output, truth in dict.fromkeys(named)]
    return [pair for pair in pairs if pair.kind in COLLECTORS]


def _wanted(pair: Pair, collector: Collector) -> Wanted:
    return Wanted(pair.output, pair.truth, collector.order, collector.kind)
