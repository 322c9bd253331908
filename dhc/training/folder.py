"""The folder of a run: what was trained, on what, how it went, and what came of it.

program/            the file with its imports, as they were
resolved.dhm        the train block with all defaults
run.json            which train of it, with what settings, and where its data are
data.json           parts, classes and groups of the data
environment.json    versions and the machine
status.json         whether it has ended, and why
history.jsonl       every step and epoch
events.out.*        the same for TensorBoard
last.ckpt best.ckpt checkpoints
weights.safetensors the best weights, for `dhc run --weights`
results.json        metrics of the best weights on each part, with intervals
evidence.json       confusions, curves and examples behind them
report.html         all of it for people
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dhc.errors import DhcError, Diagnostic
from dhc.files import atomic_writer
from dhc.ir.graph import Array
from dhc.ir.types import as_bits
from dhc.runtime.data.folds import Fold
from dhc.runtime.reporting.decode import read_record
from dhc.runtime.reporting.files import DESCRIPTION, PROGRAM, WEIGHTS, write_record, write_text


@dataclass(frozen=True)
class Description:
    """What a run is.

    Attributes:
        train: The name of the train block.
        file: The main file within `program`.
        data: The folder where paths of the train block begin.
        target: What steps are compiled for.
        settings: Settings that were given besides the file, `NAME.setting=value`.
        fold: How a study divided the data; None where it is as the data set says.
    """

    train: str
    file: str
    data: str
    target: str
    settings: tuple[str, ...] = ()
    fold: Fold | None = None


def write_description(folder: Path, description: Description, sources: Mapping[str, str]) -> None:
    """Writes what a run is, with copies of its sources."""
    for name, text in sources.items():
        write_text(folder / PROGRAM / PurePosixPath(name), text)
    write_record(folder / DESCRIPTION, description)


def read_description(folder: Path) -> Description:
    """Reads what a run is.

    Raises:
        DhcError: if the folder holds no run.
    """
    path = folder / DESCRIPTION
    found = read_record(path, Description)
    if found is None:
        text = f"'{folder}' holds no run: {DESCRIPTION} is not there."
        raise DhcError(Diagnostic("run", text, hints=("`dhc train FILE --out RUN` makes one",)))
    if PurePosixPath(found.file).name != found.file:
        raise DhcError(Diagnostic("run", f"'{path}' names a file outside of its folder."))
    return found


def write_weights(folder: Path, arrays: Mapping[str, Array]) -> None:
    """Writes the network's parameters as a safetensors file."""
    from safetensors.numpy import save

    with atomic_writer(folder / WEIGHTS) as stream:
        stream.write(save({name: as_bits(array) for name, array in arrays.items()}))
