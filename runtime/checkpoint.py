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
from dhc.files import atomic_writer
from dhc.ir.graph import Array
from dhc.ir.types import as_bits

VERSION = 1
FORMAT = f"dhc checkpoint {VERSION}"
_ENTRY = "checkpoint"  # the only one: safetensors writes several in an order of chance

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

    arrays = {name: _portable(array) for name, array in checkpoint.arrays.items()}
    state = json.dumps(checkpoint.state, sort_keys=True, separators=(",", ":"))
    entry = {"format": FORMAT, "state": state, "digest": _digest(arrays, state)}
    content = save(arrays, {_ENTRY: json.dumps(entry)})
    with atomic_writer(path) as stream:
        stream.write(content)


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint and compares its digest.

    Raises:
        DhcError: if it is missing, of another kind or version, or damaged.
    """
    arrays, text = _read(path)
    entry = _parse(text) or {}
    if entry.get("format") != FORMAT:
        found = entry.get("format", "no checkpoint of dhc")
        raise _fail(f"'{path}' is {found!r}; this version reads {FORMAT!r}.")
    state = str(entry.get("state"))
    if entry.get("digest") != _digest(arrays, state):
        hint = "use an older checkpoint of the run"
        raise _fail(f"The checkpoint '{path}' is damaged: its digest differs.", hint)
    content = _parse(state)
    if content is None:
        raise _fail(f"The checkpoint '{path}' has no readable state.")
    return Checkpoint(arrays, content)


def _read(path: Path) -> tuple[dict[str, Array], str]:
    """The arrays of a file and its entry; the library limits the header to 100 MB."""
    from safetensors import SafetensorError, safe_open

    try:
        if not path.is_file():
            raise ValueError("there is no such file")
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, metadata.get(_ENTRY, "")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise _fail(f"The checkpoint '{path}' cannot be read: {reason}.") from error


def _parse(text: str) -> State | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _portable(array: Array) -> Array:
    """The same elements in the order of the file: little-endian, the last axis fastest."""
    bits = as_bits(array)
    return np.asarray(bits, bits.dtype.newbyteorder("<"), order="C")


def _digest(arrays: Mapping[str, Array], state: str) -> str:
    digest = hashlib.sha256(state.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _fail(text: str, *hints: str) -> DhcError:
    return DhcError(Diagnostic("checkpoint", text, hints=hints))
