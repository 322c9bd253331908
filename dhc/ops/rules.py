"""Rules that many operators share: what they refuse, and how shapes broadcast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from dhc.ir.size import Shape, Size, unify
from dhc.ir.types import DType, Tensor

Elements = Literal["float", "integer", "number", "bool", "any"]


class TypeRuleError(Exception):
    """An operator cannot take its inputs. The front end adds where it is in the source.

    Args:
        message: What is wrong, a plain sentence.
        input: Which input is at fault, if one is.
        hint: What to do instead.
    """

    def __init__(self, message: str, input: int | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.input = input
        self.hint = hint


class NarrowTypeError(TypeRuleError):
    """An operator computes, and so cannot take or give elements of a narrow type.

    Attributes:
        dtype: The type.
    """

    def __init__(self, name: str, dtype: DType) -> None:
        """Says what to do instead."""
        text = f"'{name}' does not compute with {dtype} elements."
        super().__init__(text, hint="convert them with cast(..., f32)")
        self.dtype = dtype


def require_least(name: str, attribute: str, value: float, least: float) -> None:
    """Refuses a number below those that have a meaning."""
    if value < least:
        raise TypeRuleError(f"'{attribute}' of '{name}' must be at least {least}, not {value}.")


def require_same_dtype(name: str, inputs: Sequence[Tensor]) -> None:
    for i, tensor in enumerate(inputs):
        if tensor.dtype is not inputs[0].dtype:
            raise TypeRuleError(
                f"'{name}' needs inputs of one element type, not {inputs[0].dtype} "
                f"and {tensor.dtype}.",
                i,
                "convert one with cast(...)",
            )


def require_elements(name: str, elements: Elements, inputs: Sequence[Tensor]) -> None:
    """Refuses tensors whose elements are not of the kind that an operator takes."""
    for i, tensor in enumerate(inputs):
        kind = tensor.dtype
        fits = {
            "float": kind.is_float,
            "integer": kind.is_integer,
            "number": kind is not DType.BOOL,
            "bool": kind is DType.BOOL,
            "any": True,
        }
        if not fits[elements]:
            wanted = {"float": "floating-point", "number": "integer or floating-point"}
            raise TypeRuleError(
                f"'{name}' needs {wanted.get(elements, elements)} elements, not {kind}.",
                i,
                "convert them with cast(...)",
            )


def broadcast_shapes(name: str, shapes: Sequence[Shape]) -> Shape:
    """Returns the shape that numpy's rules give; sizes must be equal or 1."""
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[Size] = []
    for axis in range(-rank, 0):
        size: Size = 1
        for i, shape in enumerate(shapes):
            if len(shape) < -axis or shape[axis] == 1:
                continue
            common = shape[axis] if size == 1 else unify(size, shape[axis])
            if common is None:
                raise TypeRuleError(
                    f"'{name}' needs sizes that match or are 1 on axis {axis}, "
                    f"not {size} and {shape[axis]}.",
                    i,
                )
            size = common
        result.append(size)
    return tuple(result)


def normalize_axis(name: str, axis: int, rank: int) -> int:
    """Returns the axis counted from the front.

    Raises:
        TypeRuleError: if the tensor has no such axis.
    """
    if not -rank <= axis < rank:
        raise TypeRuleError(f"'{name}' has no axis {axis} in a tensor of {rank} axes.", 0)
    return axis % rank
