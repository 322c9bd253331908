"""From entries of ledgers to the indicators that DeepHealth defines.

toppi is the time of a pipeline: T1, to design and write it, and T2, to run it over all images.
totm is the time of a training run. ttmip is the time to a model in production: design, test and
totm of every candidate, toppi of every pipeline once, and the deployment of the result.

A sum is measured if all of it is, declared if a person gave a part of it, and unknown if a part
is missing; then what is known of it is a bound from below.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dhc.runtime.kpi.ledger import KINDS, Entry, Label

_RANK: tuple[Label, ...] = ("measured", "declared", "unknown")


@dataclass(frozen=True)
class Amount:
    """A time.

    Attributes:
        seconds: What is known of it.
        label: How it is known.
        missing: What is not known of it.
    """

    seconds: float
    label: Label
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A model that was trained."""

    program: str
    name: str
    design: Amount
    training: Amount
    test: Amount


@dataclass(frozen=True)
class Preparation:
    """The pipelines that one set of data goes through."""

    pipeline: str
    name: str
    design: Amount
    run: Amount

    @property
    def toppi(self) -> Amount:
        """T1 + T2."""
        return total((self.design, self.run))


@dataclass(frozen=True)
class Indicators:
    """All of it."""

    candidates: tuple[Candidate, ...]
    preparations: tuple[Preparation, ...]
    deployment: Amount

    @property
    def toppi(self) -> Amount:
        return total(each.toppi for each in self.preparations)

    @property
    def totm(self) -> Amount:
        return total(each.training for each in self.candidates)

    @property
    def ttmip(self) -> Amount:
        own = [(each.design, each.training, each.test) for each in self.candidates]
        return total([*(a for each in own for a in each), self.toppi, self.deployment])


def indicators(entries: Sequence[Entry]) -> Indicators:
    """Returns the indicators of one development: a run, or a study with all its candidates.

    Args:
        entries: Of one or several ledgers, the oldest first.
    """
    programs = dict.fromkeys(entry.program for entry in entries if entry.program)
    pipelines = dict.fromkeys(entry.pipeline for entry in entries if entry.pipeline)
    return Indicators(
        tuple(_candidate(p, [e for e in entries if e.program == p]) for p in programs),
        tuple(_preparation(p, [e for e in entries if e.pipeline == p]) for p in pipelines),
        _amount(entries, "deployment", "the result"),
    )


def total(amounts: Iterable[Amount]) -> Amount:
    """Returns a sum, labelled as its least certain part."""
    given = list(amounts)
    label: Label = max((each.label for each in given), key=_RANK.index, default="unknown")
    missing = tuple(dict.fromkeys(text for each in given for text in each.missing))
    return Amount(sum(each.seconds for each in given), label, missing)


def _candidate(program: str, own: Sequence[Entry]) -> Candidate:
    name = next((entry.subject for entry in own if entry.subject), program[:8])
    return Candidate(
        program,
        name,
        _amount(own, "model_design", name),
        _training(own, name),
        _amount(own, "test", name),
    )


def _training(own: Sequence[Entry], name: str) -> Amount:
    """The time of all sessions; one that began and never ended leaves it open."""
    found = _amount(own, "training", name)
    begun = {entry.session for entry in own if entry.kind == "start"}
    ended = {entry.session for entry in own if entry.kind == "training"}
    if not begun - ended or found.label == "declared":
        return found
    missing = f"training of {name}: a session did not end, or has not yet"
    return Amount(found.seconds, "unknown", (missing,))


def _preparation(pipeline: str, own: Sequence[Entry]) -> Preparation:
    name = next((entry.subject for entry in own if entry.subject), pipeline[:8])
    return Preparation(pipeline, name, _amount(own, "pipeline_design", name), _run(own, name))


def _run(own: Sequence[Entry], name: str) -> Amount:
    """T2: of each part of the data the first time; later ones repeat it."""
    measured = [e for e in own if e.kind == "pipeline_run" and e.label == "measured"]
    if not measured:
        return _amount(own, "pipeline_run", name)
    first: dict[str, float] = {}
    for entry in measured:
        first.setdefault(entry.part, entry.seconds)
    wanted = dict.fromkeys(part for entry in measured for part in entry.parts.split())
    missing = [part for part in wanted if part not in first]
    texts = tuple(f"pipeline of {name} over the {part} part" for part in missing)
    label: Label = "unknown" if missing else "measured"
    return Amount(sum(first.values()), label, texts)


def _amount(entries: Sequence[Entry], kind: str, name: str) -> Amount:
    """What was measured of a kind, added up; else what was declared last."""
    own = [entry for entry in entries if entry.kind == kind]
    measured = [entry.seconds for entry in own if entry.label == "measured"]
    if measured:
        return Amount(sum(measured), "measured")
    if own:
        return Amount(own[-1].seconds, "declared")
    return Amount(0.0, "unknown", (f"{KINDS[kind]}: {name}",))
