"""Parameters: their initial values, and loading them from files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from dhc.errors import DhcError, Diagnostic, did_you_mean
from dhc.ir.graph import Array, Initializer, Param
from dhc.ir.types import from_bits
from dhc.runtime.draws import Draws, orthogonal

MAX_REPORTED = 20


def initial_values(params: Iterable[Param], seed: int = 0) -> dict[str, Array]:
    """Returns fresh values; each depends on the seed and the parameter's own path alone."""
    return {param.path: _draw(param, seed) for param in params}


def _draw(param: Param, seed: int) -> Array:
    start, dtype = param.initializer, param.type.dtype.numpy
    shape = param.type.static_shape
    if start.kind == "constant":
        return np.full(shape, start.value, dtype)
    draws, count = Draws(f"{seed}:{param.path}"), math.prod(shape)
    family, _, distribution = start.kind.partition("_")
    if family == "orthogonal":
        rows = shape[0] if shape else 1
        values = start.value * orthogonal(draws.normal(count).reshape(rows, -1))
    elif family == "truncated":
        values = start.value * draws.truncated_normal(count)
    else:
        variance = _variance(family, start)
        bound = math.sqrt(3 * variance)
        values = (
            math.sqrt(variance) * draws.normal(count)
            if distribution == "normal"
            else 2 * bound * draws.uniform(count) - bound
        )
    return values.reshape(shape).astype(dtype)


def _variance(family: str, start: Initializer) -> float:
    """The variance that keeps the size of values from layer to layer; see `dhc.recipe`."""
    if family == "glorot":
        return 2 / (start.fan_in + start.fan_out)
    return (2 if family == "he" else 1) / start.fan_in


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

    Integers are the bits of narrow elements, as files have them.

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
        problems += misfit(expected[path], values[path])
    if problems:
        raise DhcError(problems[:MAX_REPORTED])
    return {
        path: np.ascontiguousarray(from_bits(values[path], dtype), dtype.numpy)
        for path, dtype in ((path, param.type.dtype) for path, param in expected.items())
    }


def _missing(path: str, values: Mapping[str, Array]) -> Diagnostic:
    return Diagnostic(
        "weights-missing", f"Parameter '{path}' has no value.", hints=_guess(path, values)
    )


def misfit(param: Param, value: Array) -> list[Diagnostic]:
    """Returns what keeps an array from being a parameter's value: its shape or its type."""
    shape, wanted = param.type.static_shape, param.type.dtype
    if value.shape != shape:
        text = f"Parameter '{param.path}' has shape {list(shape)}, not {list(value.shape)}."
        return [Diagnostic("weights-shape", text)]
    if not np.can_cast(from_bits(value, wanted).dtype, wanted.numpy, "same_kind"):
        text = f"Parameter '{param.path}' has {wanted} elements, not {value.dtype}."
        return [Diagnostic("weights-type", text)]
    return []


def _guess(path: str, names: Iterable[str]) -> tuple[str, ...]:
    guess = did_you_mean(path, list(names))
    return (f"did you mean '{guess}'?",) if guess else ()
