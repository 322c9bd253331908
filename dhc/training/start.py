"""The parameters with which a run begins: drawn by the seed, from a file, or from another run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dhc.errors import DhcError, Diagnostic, did_you_mean
from dhc.frontend.values import Reference, Value
from dhc.ir.graph import Array, Param
from dhc.recipe.initializers import Draw
from dhc.runtime.checkpoint import read_checkpoint
from dhc.runtime.parameters import check_values, initial_values, misfit, read_safetensors
from dhc.training.step import AVERAGE

MAX_LISTED = 6
Pair = tuple[str, str]
Drawn = tuple[tuple[Draw, frozenset[str]], ...]


@dataclass(frozen=True)
class Taken:
    """Where weights are taken from.

    Attributes:
        path: A safetensors file, a checkpoint or the folder of a run; empty for a train.
        train: The name of a train whose run lies beside this one.
        which: Its `best` or `last` weights.
    """

    path: str = ""
    train: str = ""
    which: str = "best"

    def __str__(self) -> str:
        return self.path or f"{self.train}.{self.which}"

    def read(self, folder: Path, runs: Path) -> dict[str, Array]:
        """Returns the weights by path.

        Args:
            folder: Where paths begin.
            runs: The folder of the runs of other trains.

        Raises:
            DhcError: if they are not there, or cannot be read.
        """
        place = runs / self.train if self.train else folder / self.path
        if self.train and not place.is_dir():
            text = f"'{self.train}' has not been trained: there is no run '{place}'."
            hint = f"train it first: dhc train FILE {self.train} --out {place}"
            raise DhcError(Diagnostic("run", text, hints=(hint,)))
        if place.is_dir():
            place = place / f"{self.which}.ckpt"
        if place.suffix == ".ckpt":
            return network_weights(read_checkpoint(place).arrays)
        return read_safetensors(place)


def taken(value: Value) -> Taken | None:
    """Returns what a setting such as `skin.best` or `"weights.safetensors"` means."""
    if isinstance(value, Reference):
        train, _, which = value.path.partition(".")
        return Taken(train=train, which=which)
    return Taken(value) if isinstance(value, str) and value else None


def network_weights(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the network's parameters in a checkpoint: averages where it keeps them.

    What has a slash in its name belongs to the optimizer.
    """
    prefix = AVERAGE + "/"
    own = {path: array for path, array in arrays.items() if "/" not in path}
    return own | {p.removeprefix(prefix): a for p, a in arrays.items() if p.startswith(prefix)}


def draw(params: Sequence[Param], initializers: Drawn, seed: int) -> dict[str, Array]:
    """Returns values drawn by the seed and each parameter's path.

    Args:
        params: All parameters of the step.
        initializers: What to draw in place of the layers' own, and for which paths; the last one
            that names a path counts.
        seed: Decides all.

    Raises:
        DhcError: if an initialiser needs fans that a parameter has not.
    """
    chosen: dict[str, Draw] = {}
    for each, paths in initializers:
        chosen |= dict.fromkeys(paths, each)
    return initial_values([_redrawn(param, chosen.get(param.path)) for param in params], seed)


def _redrawn(param: Param, initializer: Draw | None) -> Param:
    if initializer is None or not param.trainable:
        return param
    if initializer.needs_fans and param.type.rank < 2:
        text = f"'{initializer.kind}' takes its scale from what goes into a layer; "
        text += f"'{param.path}' has one axis only."
        hint = 'choose weights, such as "*.weight", or use fixed(0.1, "*.bias")'
        raise DhcError(Diagnostic("arguments", text, hints=(hint,)))
    return replace(param, initializer=initializer.instead_of(param.initializer))


# ---- from files and runs ---------------------------------------------------------------------


def part_of(
    params: Sequence[Param], values: Mapping[str, Array], source: str
) -> tuple[dict[str, Array], str]:
    """Returns the values for those parameters that have one, and a report of the others.

    Raises:
        DhcError: if a value has another shape or type than its parameter, or none fits any.
    """
    known = {param.path: param for param in params}
    found = {path: array for path, array in values.items() if path in known}
    problems = [each for path, array in found.items() for each in misfit(known[path], array)]
    if problems:
        hint = 'leave out what does not fit: rename = [["NAME.", ""]]'
        raise DhcError([replace(each, hints=(hint,)) for each in problems])
    if not found:
        text = f"No weight of '{source}' has the name of a parameter."
        note = f"it has {_listed(list(values))}; the model has {_listed(list(known))}"
        hints = ('change how names begin: rename = [["encoder.", "backbone."]]',)
        raise DhcError(Diagnostic("weights-missing", text, notes=(note,), hints=hints))
    drawn = [path for path in known if path not in found]
    unused = [path for path in values if path not in known]
    text = f"{len(found)} of {len(known)} parameters are from '{source}'"
    text += f"; drawn anew: {_listed(drawn)}" if drawn else ""
    text += f"; not used: {_listed(unused)}" if unused else ""
    return check_values([known[path] for path in found], found), f"{text}."


def renamed(values: Mapping[str, Array], pairs: Sequence[Pair]) -> dict[str, Array]:
    """Returns values under other names: where a name begins with `old`, `new` stands instead.

    The first pair that fits a name counts. An empty `new` leaves the value out; an empty `old` fits
    every name.

    Raises:
        DhcError: if a pair fits no name, or two values would have the same name.
    """
    unused = {old for old, _ in pairs}
    found: dict[str, Array] = {}
    for path, array in values.items():
        pair = next((pair for pair in pairs if path.startswith(pair[0])), None)
        old, new = pair or ("", "")
        unused.discard(old)
        if pair and not new:
            continue
        name = new + path[len(old) :]
        if name in found:
            raise DhcError(Diagnostic("weights-extra", f"Two weights would be named '{name}'."))
        found[name] = array
    if unused:
        old = min(unused)
        guess = did_you_mean(old, _prefixes(values))
        hints = (f"did you mean '{guess}'?",) if guess else ()
        raise DhcError(Diagnostic("unknown-name", f"No weight begins with '{old}'.", hints=hints))
    return found


def _prefixes(names: Iterable[str]) -> list[str]:
    parts = [name.split(".") for name in names]
    return sorted({".".join(p[: k + 1]) + "." for p in parts for k in range(len(p) - 1)})


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
