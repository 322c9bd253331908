"""Samples that are worth a look: those that the network does worst, and others beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dhc.ir.graph import Input
from dhc.metrics.base import Array
from dhc.runtime.data.pictures import Rgb
from dhc.runtime.reporting.evidence import Case, Examples, png
from dhc.training.job import TrainingJob
from dhc.training.pictures import ground_of, map_pictures, mask_pictures, small
from dhc.training.samples import Samples

Look = Literal["classes", "masks", "maps"]
"""What truth and prediction of a sample are."""

EACH = 2  # of the worst, the middle and the best
WORST = 8  # where only the worst are shown


@dataclass(frozen=True)
class Ranked:
    """How good the prediction of one sample is.

    Attributes:
        score: More is better.
        note: What a person is told of it.
        empty: Whether neither truth nor prediction have anything to show.
    """

    score: float
    note: str
    empty: bool = False


@dataclass(frozen=True)
class Wanted:
    """Which examples are wanted.

    Attributes:
        output: Of the network.
        truth: The field that it is compared with.
        order: What samples are ranked by.
        kind: Whether truth and prediction are classes, masks, or maps of numbers.
    """

    output: str
    truth: str
    order: str
    kind: Look


def show(job: TrainingJob, samples: Samples, wanted: Wanted, ranked: Sequence[Ranked]) -> Examples:
    """Returns pictures of some samples: of classes the worst, of maps also others."""
    chosen = choose_worst(ranked) if wanted.kind == "classes" else choose(ranked)
    images = [n.op.label for n in job.built.check.inputs if isinstance(n.op, Input)]
    image = next((n for n in images if job.dataset.fields.get(n) == "image"), "")
    if not chosen or not image:
        return Examples(wanted.output, wanted.order, ())

    def draw(batch: Mapping[str, Array], outputs: Mapping[str, Array], k: int) -> dict[str, Rgb]:
        own = slice(k, k + 1)
        given = batch[image][own], batch[wanted.truth][own], outputs[wanted.output][own]
        match wanted.kind:
            case "masks":
                return mask_pictures(*given)
            case "maps":
                return map_pictures(*given)
        return {"image": ground_of(batch[image][k])}

    cases = _cases(job, samples, [ranked[index] for index, _ in chosen], chosen, draw)
    return Examples(wanted.output, wanted.order, cases)


def choose(ranked: Sequence[Ranked]) -> list[tuple[int, str]]:
    """Returns the numbers of samples to show, with where they stand; those with nothing last."""
    full = [k for k, each in enumerate(ranked) if not each.empty]
    known = sorted(full or range(len(ranked)), key=lambda k: (ranked[k].score, k))
    if len(known) <= 3 * EACH:
        return [(k, f"{place} of {len(known)}") for place, k in enumerate(known, 1)]
    middle = len(known) // 2 - EACH // 2
    return [
        *((k, "worst") for k in known[:EACH]),
        *((k, "middle") for k in known[middle : middle + EACH]),
        *((k, "best") for k in known[-EACH:]),
    ]


def choose_worst(ranked: Sequence[Ranked]) -> list[tuple[int, str]]:
    """Returns the numbers of the worst samples, the worst first, with their places."""
    known = sorted(range(len(ranked)), key=lambda k: (ranked[k].score, k))[:WORST]
    return [(k, f"{place} of {len(ranked)}") for place, k in enumerate(known, 1)]


def _cases(
    job: TrainingJob,
    samples: Samples,
    ranked: Sequence[Ranked],
    chosen: Sequence[tuple[int, str]],
    draw: Callable[[Mapping[str, Array], Mapping[str, Array], int], dict[str, Rgb]],
) -> tuple[Case, ...]:
    cases: list[Case] = []
    for batch, outputs in job.apply(samples, [index for index, _ in chosen]):
        for k in range(job.size(batch)):
            index, place = chosen[len(cases)]
            shown = {name: png(small(each)) for name, each in draw(batch, outputs, k).items()}
            cases.append(Case(samples.samples[index].name, place, ranked[len(cases)].note, shown))
    return tuple(cases)
