"""Checkpoints: everything that a run needs to go on as if it had never stopped, in one file.

A checkpoint is a safetensors file. Its arrays are the weights and the optimizer's moments by path;
the state of the run is JSON in its metadata, with a digest of both. It is written to a temporary
file, flushed to disk and renamed, so a reader finds the old checkpoint or the new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array
from dhc.runtime.data.files import atomic_writer

VERSION = 1
MAX_STATE = 64 << 20  # characters of JSON
_STATE, _DIGEST, _FORMAT = "state", "digest", "format"
FORMAT = f"dhc checkpoint {VERSION}"

State = Mapping[str, object]


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run.

    Attributes:
        arrays: Weights and moments by path.
        state: Everything else, as JSON has it: step, epoch, schedule, program.
    """

    arrays: Mapping[str, Array]
    state: State


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replaces a checkpoint atomically.

    Raises:
        OSError: naming the file, if it cannot be written.
    """
    from safetensors.numpy import save

    arrays = {name: np.asarray(array, order="C") for name, array in checkpoint.arrays.items()}
    state = json.dumps(checkpoint.state, sort_keys=True, separators=(",", ":"))
    metadata = {_FORMAT: FORMAT, _STATE: state, _DIGEST: _digest(arrays, state)}
    content = save(arrays, metadata)
    with atomic_writer(path) as stream:
        stream.write(content)


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint and compares its digest.

    Raises:
        DhcError: if it is missing, of another kind or version, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            names = list(file.keys())
            arrays = {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise _fail(f"The checkpoint '{path}' cannot be read: {reason}.") from error
    if metadata.get(_FORMAT) != FORMAT:
        found = metadata.get(_FORMAT, "no checkpoint of dhc")
        raise _fail(f"'{path}' is {found!r}; this version reads {FORMAT!r}.")
    text = metadata.get(_STATE, "")
    if metadata.get(_DIGEST) != _digest(arrays, text):
        hint = "use an older checkpoint of the run"
        raise _fail(f"The checkpoint '{path}' is damaged: its digest differs.", hint)
    return Checkpoint(arrays, _parse(path, text))


def _parse(path: Path, text: str) -> State:
    try:
        found = json.loads(text) if len(text) <= MAX_STATE else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _fail(f"The checkpoint '{path}' has no readable state.")
    return found


def _digest(arrays: Mapping[str, Array], state: str) -> str:
    digest = hashlib.sha256(state.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _fail(text: str, *hints: str) -> DhcError:
    return DhcError(Diagnostic("checkpoint", text, hints=hints))
