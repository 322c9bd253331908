"""Parameters: their initial values, and loading them from files."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from dhc.errors import DhcError, Diagnostic, did_you_mean
from dhc.ir.graph import Array, Param

MAX_REPORTED = 20


def initial_values(params: Iterable[Param], seed: int = 0) -> dict[str, Array]:
    """Returns fresh values; each depends on the seed and the parameter's own path alone."""
    return {param.path: _draw(param, seed) for param in params}


def _draw(param: Param, seed: int) -> Array:
    start, dtype = param.initializer, param.type.dtype.numpy
    shape = param.type.static_shape
    if start.kind == "constant":
        return np.full(shape, start.value, dtype)
    digest = hashlib.sha256(f"{seed}:{param.path}".encode()).digest()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    if start.kind == "he_normal":
        return (generator.standard_normal(shape) * math.sqrt(2 / start.fan_in)).astype(dtype)
    bound = math.sqrt(6 / (start.fan_in + start.fan_out))
    return generator.uniform(-bound, bound, shape).astype(dtype)


def read_safetensors(path: str | Path) -> dict[str, Array]:
    """Reads a safetensors file.

    Raises:
        DhcError: if it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        if isinstance(error, KeyError):
            reason = f"elements of type {reason} are not supported"
        text = f"The weights '{path}' cannot be read: {reason}."
        raise DhcError(Diagnostic("weights-file", text)) from error


def check_values(params: Iterable[Param], values: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the values for exactly these parameters, converted to their element types.

    Raises:
        DhcError: naming every missing, unexpected and misshapen entry at once.
    """
    values = {path: np.asarray(value) for path, value in values.items()}
    expected = {param.path: param for param in params}
    problems = [_missing(path, values) for path in expected if path not in values]
    problems += [
        Diagnostic(
            "weights-extra", f"There is no parameter '{path}'.", hints=_guess(path, expected)
        )
        for path in values
        if path not in expected
    ]
    for path in [path for path in expected if path in values]:
        problems += _misfit(expected[path], values[path])
    if problems:
        raise DhcError(problems[:MAX_REPORTED])
    return {
        path: np.ascontiguousarray(values[path], param.type.dtype.numpy)
        for path, param in expected.items()
    }


def _missing(path: str, values: Mapping[str, Array]) -> Diagnostic:
    return Diagnostic(
        "weights-missing", f"Parameter '{path}' has no value.", hints=_guess(path, values)
    )


def _misfit(param: Param, value: Array) -> list[Diagnostic]:
    shape, wanted = param.type.static_shape, param.type.dtype
    if value.shape != shape:
        text = f"Parameter '{param.path}' has shape {list(shape)}, not {list(value.shape)}."
        return [Diagnostic("weights-shape", text)]
    if not np.can_cast(value.dtype, wanted.numpy, "same_kind"):
        text = f"Parameter '{param.path}' has {wanted} elements, not {value.dtype}."
        return [Diagnostic("weights-type", text)]
    return []


def _guess(path: str, names: Iterable[str]) -> tuple[str, ...]:
    guess = did_you_mean(path, list(names))
    return (f"did you mean '{guess}'?",) if guess else ()
