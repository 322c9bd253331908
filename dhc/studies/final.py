"""What a study ends with: the chosen models, as one program, and the test part, opened once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.frontend import Program
from dhc.ir.graph import Array, Graph
from dhc.metrics.base import join_rows
from dhc.metrics.bootstrap import interval
from dhc.passes.ensemble import ensemble, ensemble_values
from dhc.passes.join import join
from dhc.runtime.data.dataset import DataSet
from dhc.studies.leaderboard import FoldResult, Standing, fold_value
from dhc.studies.settings import Selection, StudySettings
from dhc.training.evaluate import Evaluation, Measurement, evaluate, groups_of
from dhc.training.job import TrainingJob
from dhc.training.run import Run
from dhc.training.samples import image_dtype
from dhc.training.settings import TrainSettings

TEST = "test"
CHUNK = 64  # samples whose outputs are held at once


@dataclass(frozen=True)
class Member:
    """A trained model that belongs to the final one."""

    candidate: str
    fold: int
    value: float


def choose_members(
    places: Sequence[Standing],
    results: Mapping[str, Sequence[FoldResult]],
    settings: StudySettings,
) -> list[Member]:
    """Returns the models of the final one.

    Candidates come in their order on the leaderboard, and the models of a candidate by what each
    is worth on its own fold; the first is the best model, the first few are the ensemble.
    """
    found = []
    for place in places:
        metrics = {m.name: m.metric for m in settings.candidates[place.candidate].metrics}
        own = [
            Member(place.candidate, number, fold_value(result, metrics, settings.selection.name))
            for number, result in enumerate(results[place.candidate], 1)
        ]
        found += sorted(own, key=lambda member: _rank(member, settings.selection))
    return found[: settings.final.top if settings.final.kind == "ensemble" else 1]


def _rank(member: Member, selection: Selection) -> tuple[bool, float]:
    unknown = bool(np.isnan(member.value))
    return unknown, -member.value if selection.rises else member.value


# ---- one program -----------------------------------------------------------------------------


def deployed(program: Program, settings: TrainSettings, dataset: DataSet) -> Graph:
    """Returns a candidate's network behind the pipeline that it is used with, if it has one.

    Raises:
        DhcError: if pipeline and network do not fit each other.
    """
    model = program.instance(settings.model).graph
    pipelines = settings.data.pipelines
    name = pipelines.get(TEST) or pipelines.get("val", "")
    if not name:
        return model
    return join(program.pipeline(name, image_dtype(dataset)).graph, model)


def check_final(program: Program, settings: StudySettings, dataset: DataSet) -> None:
    """Refuses, before anything is trained, candidates that make no ensemble.

    Raises:
        DhcError: saying how they differ.
    """
    graphs = [deployed(program, each, dataset) for each in settings.candidates.values()]
    folds = settings.folding.count if settings.folding else 1
    mixed = settings.final.kind == "ensemble" and settings.final.top > folds
    try:
        ensemble(settings.name, graphs if mixed else graphs[:1])
    except DhcError as problem:
        raise problem.at(settings.configured.places.get("final")) from None


def save_final(
    path: Path,
    program: Program,
    settings: StudySettings,
    members: Sequence[Member],
    runs: Sequence[Run],
    target: Target,
) -> None:
    """Writes the final model as one artifact: stored image in, mean of its members out."""
    graphs, values = [], []
    for member, run in zip(members, runs, strict=True):
        run.load_best()
        graphs.append(deployed(program, settings.candidates[member.candidate], run.job.dataset))
        values.append(run.job.weights())
    whole = ensemble(settings.name, graphs)
    compile_graph(whole, target, parameters=ensemble_values(values)).save(path)


# ---- the test part ---------------------------------------------------------------------------


def evaluate_final(runs: Sequence[Run]) -> Evaluation:
    """Measures the mean of several models on the test part.

    Args:
        runs: Of the members, the best first; its metrics are those that are measured.
    """
    for run in runs:
        run.load_best()
        if len(runs) == 1:
            return evaluate(run.job, TEST)
    return _evaluate_mean([run.job for run in runs])


def _evaluate_mean(jobs: Sequence[TrainingJob]) -> Evaluation:
    first = jobs[0]
    samples = first.part(TEST)
    rows = {metric.name: [] for metric in first.settings.metrics}  # type: ignore[var-annotated]
    for start in range(0, len(samples), CHUNK):
        chosen = range(start, min(start + CHUNK, len(samples)))
        outputs = _mean([_outputs(job, chosen)[0] for job in jobs])
        truth = _outputs(first, chosen)[1]
        for m in first.settings.metrics:
            rows[m.name].append(m.metric.rows(outputs[m.prediction], truth[m.truth]))
    groups = groups_of(samples.samples)
    found = {}
    for m in first.settings.metrics:
        own = join_rows(rows[m.name])
        measured = interval(m.metric, own, groups, seed=first.settings.seed)
        found[m.name] = Measurement(measured, m.metric.components(own))
    count = len(set(groups)) if groups else len(samples)
    return Evaluation(TEST, len(samples), count, float("nan"), found)


def _outputs(job: TrainingJob, chosen: Sequence[int]) -> tuple[dict[str, Array], dict[str, Array]]:
    """What a network gives for some samples of the test part, and what is true of them."""
    batches = list(job.apply(job.part(TEST), chosen))
    outputs, truths = [found for _, found in batches], [batch for batch, _ in batches]
    names = {m.prediction for m in job.settings.metrics}
    return (
        {name: np.concatenate([each[name] for each in outputs]) for name in names},
        {name: np.concatenate([each[name] for each in truths]) for name in truths[0]},
    )


def _mean(outputs: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    wide = {name: [each[name].astype(np.float64) for each in outputs] for name in outputs[0]}
    return {
        name: np.asarray(sum(arrays) / len(arrays), outputs[0][name].dtype)
        for name, arrays in wide.items()
    }
