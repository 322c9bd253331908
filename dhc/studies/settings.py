"""What a `study` block says, in the types that the rest of a study uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dhc.errors import DhcError, Diagnostic, did_you_mean
from dhc.frontend import Configured, Program
from dhc.frontend.values import ConfigurationValue, Record, Reference, Value
from dhc.metrics import METRICS
from dhc.runtime.data.folds import Folding
from dhc.source import Span
from dhc.training.settings import TrainSettings, train_settings
from dhc.training.step import LOSS

GROUPS = ("patient", "group", "subject", "source_group")
VALIDATION = "val."
MAX_FOLDS = 1000


@dataclass(frozen=True)
class Selection:
    """What candidates are compared by.

    Attributes:
        name: A metric of all candidates, or the loss.
        rises: Whether more of it is better.
    """

    name: str
    rises: bool


@dataclass(frozen=True)
class Final:
    """What becomes of the comparison: the best model, or the mean of the best few."""

    kind: Literal["best", "ensemble"]
    top: int = 1


@dataclass(frozen=True)
class StudySettings:
    """A whole `study` block, evaluated.

    Attributes:
        candidates: The settings of the trains that are compared, by name.
        folding: How train and validation parts are cut anew; None to leave them as they are.
    """

    name: str
    configured: Configured
    candidates: dict[str, TrainSettings]
    folding: Folding | None
    selection: Selection
    final: Final
    seed: int


def study_settings(program: Program, name: str) -> StudySettings:
    """Returns what a study block says, or a train block with folds: a study of one candidate.

    Raises:
        DhcError: with what in it is wrong, or does not fit its candidates.
    """
    if name in program.trains:
        return _of_train(program, name)
    found = program.study(name)
    seed = found.values.get("seed", 0)
    assert isinstance(seed, int)
    candidates = {each: train_settings(program, each) for each in _candidates(program, found)}
    _check_data(candidates, found)
    _check_alone(candidates)
    return StudySettings(
        name,
        found,
        candidates,
        _folding(found, seed),
        _selection(found, candidates),
        _final(found),
        seed,
    )


def _of_train(program: Program, name: str) -> StudySettings:
    """All models of the folds together are the final one."""
    own = train_settings(program, name)
    _check_first(own)
    folding = _folding(own.configured, own.seed)
    assert folding is not None
    monitor = own.stop.monitor or LOSS
    kind = next((each.metric.name for each in own.metrics if each.name == monitor), "")
    rises = bool(kind) and METRICS[kind].better == "higher"
    final = Final("ensemble", folding.count)
    selection = Selection(monitor, rises)
    return StudySettings(name, own.configured, {name: own}, folding, selection, final, own.seed)


# ---- candidates ------------------------------------------------------------------------------


def _candidates(program: Program, found: Configured) -> list[str]:
    value, span = found.values["candidates"], found.places["candidates"]
    names = []
    for item in value if isinstance(value, tuple) else (value,):
        own = item.definition.name.text if isinstance(item, ConfigurationValue) else ""
        if own not in program.trains or program.find(own) is not item:
            text = "A candidate of a study is a train block of the same file."
            hint = "write a train block for it, which says how it learns"
            raise DhcError(Diagnostic("type", text, span, "here", hints=(hint,)))
        if own in names:
            raise DhcError(Diagnostic("duplicate-name", f"'{own}' is there twice.", span, "here"))
        names.append(own)
    if not names:
        raise DhcError(Diagnostic("arguments", "A study needs a candidate.", span, "here"))
    return names


def _check_data(candidates: dict[str, TrainSettings], found: Configured) -> None:
    paths = {settings.data.path for settings in candidates.values()}
    if len(paths) > 1:
        listed = " and ".join(f"'{path}'" for path in sorted(paths))
        text = f"Candidates are compared on the same data; these have {listed}."
        raise DhcError(Diagnostic("data", text, found.places["candidates"], "here"))


def _check_alone(candidates: dict[str, TrainSettings]) -> None:
    """Refuses what a candidate cannot have: folds of its own, and a stage before it."""
    for name, settings in candidates.items():
        places = settings.configured.places
        if "folds" in places:
            text = f"The candidate '{name}' has folds of its own; those of the study count."
            span, hint = places["folds"], "leave it out"
            raise DhcError(Diagnostic("arguments", text, span, "here", hints=(hint,)))
        _check_first(settings)


def _check_first(settings: TrainSettings) -> None:
    """A stage that saw all of the training part has seen what the folds hold back."""
    if settings.begins_with:
        text = f"The candidate '{settings.name}' begins with the weights of another train, which "
        text += "has learnt from samples that the folds hold back."
        places = settings.configured.places
        span = places.get("init") or places["weights"]
        hint = "begin with a file of weights that were learnt from other data"
        raise DhcError(Diagnostic("arguments", text, span, "here", hints=(hint,)))


# ---- folds -----------------------------------------------------------------------------------


def _folding(found: Configured, seed: int) -> Folding | None:
    """From `folds`, a number or kfold(...), and `split = by(patient)`."""
    folds, split = found.values.get("folds"), found.values.get("split")
    if folds is None:
        if split is not None:
            text = "'split' says how folds are cut; there are none."
            raise DhcError(Diagnostic("arguments", text, found.places["split"], "here"))
        return None
    span = found.places["folds"]
    if isinstance(folds, int):
        return Folding(_count(folds, span), _grouped(split, found), seed=seed)
    assert isinstance(folds, Record)
    if folds.name != "kfold":
        text = f"'folds' is a number or kfold(...), not {folds.name}(...)."
        raise DhcError(Diagnostic("type", text, span, "here"))
    count, own = folds.get("k"), folds.get("seed")
    assert isinstance(count, int)
    assert isinstance(own, int)
    group = folds.get("group")
    grouped = _grouped(split, found) or _names_group(group, folds.span)
    stratified = _names_label(folds.get("stratify"), folds.span)
    return Folding(_count(count, span), grouped, stratified, own or seed)


def _count(folds: int, span: Span) -> int:
    if not 2 <= folds <= MAX_FOLDS:
        text = f"A study has 2 to {MAX_FOLDS} folds, not {folds}."
        hint = "leave 'folds' out to use the data's own train and val parts"
        raise DhcError(Diagnostic("arguments", text, span, "here", hints=(hint,)))
    return folds


def _grouped(split: Value, found: Configured) -> bool:
    if split is None:
        return False
    assert isinstance(split, Record)
    return _names_group(split.get("column"), found.places["split"])


def _names_group(column: Value, span: Span) -> bool:
    if column is None:
        return False
    name = column.path if isinstance(column, Reference) else ""
    if name not in GROUPS:
        text = f"Samples are grouped by one of {', '.join(GROUPS)}; not by '{name}'."
        guess = did_you_mean(name, GROUPS)
        hints = (f"did you mean '{guess}'?",) if guess else ()
        raise DhcError(Diagnostic("unknown-name", text, span, "here", hints=hints))
    return True


def _names_label(column: Value, span: Span) -> bool:
    if column is None:
        return False
    if not isinstance(column, Reference) or column.path != "label":
        text = "Folds are stratified by 'label', the class of each sample."
        raise DhcError(Diagnostic("unknown-name", text, span, "here"))
    return True


# ---- choice ----------------------------------------------------------------------------------


def _selection(found: Configured, candidates: dict[str, TrainSettings]) -> Selection:
    value = found.values.get("select")
    if value is None:
        return Selection(LOSS, rises=False)
    assert isinstance(value, Record)
    watched = value.get("0")
    path = watched.path if isinstance(watched, Reference) else ""
    span = found.places["select"]
    if not path.startswith(VALIDATION):
        text = "A study selects by a number of the validation part alone."
        hint = "write select = max(val.auc)"
        raise DhcError(Diagnostic("type", text, span, "here", hints=(hint,)))
    name = path.removeprefix(VALIDATION)
    for candidate, settings in candidates.items():
        _check_measured(candidate, settings, name, span)
    _check_direction(value.name, name, candidates, span)
    return Selection(name, value.name == "max")


def _check_measured(candidate: str, settings: TrainSettings, name: str, span: Span) -> None:
    known = [LOSS, *(metric.name for metric in settings.metrics)]
    if name not in known:
        text = f"The candidate '{candidate}' does not measure '{name}'."
        hint = f"it measures {', '.join(known)}"
        raise DhcError(Diagnostic("unknown-name", text, span, "here", hints=(hint,)))


def _check_direction(
    function: str, name: str, candidates: dict[str, TrainSettings], span: Span
) -> None:
    """Refuses to choose the worst."""
    metrics = next(iter(candidates.values())).metrics
    kind = next((each.metric.name for each in metrics if each.name == name), "")
    wanted = "max" if kind and METRICS[kind].better == "higher" else "min"
    if function != wanted:
        text = f"{function}({VALIDATION}{name}) would choose the worst candidate."
        hint = f"write {wanted}({VALIDATION}{name})"
        raise DhcError(Diagnostic("arguments", text, span, "here", hints=(hint,)))


def _final(found: Configured) -> Final:
    value = found.values.get("final")
    if value is None:
        return Final("best")
    assert isinstance(value, Record)
    span = found.places["final"]
    if value.name == "best":
        return Final("best")
    if value.name != "ensemble":
        text = f"A study ends with best() or ensemble(top=...), not {value.name}(...)."
        raise DhcError(Diagnostic("type", text, span, "here"))
    top = value.get("top")
    assert isinstance(top, int)
    if top < 1 or value.get("by") is not None:
        text = "An ensemble has at least one model, and is ranked by the study's own selection."
        raise DhcError(Diagnostic("arguments", text, span, "here", hints=("ensemble(top=5)",)))
    return Final("ensemble", top)
