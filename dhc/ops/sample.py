"""Small examples of operators, by which the tests hold every definition to every other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dhc.ir.graph import Op
from dhc.ir.types import DType, Tensor

Range = tuple[float, float]


@dataclass(frozen=True)
class Sample:
    """An operator with types of inputs that it takes.

    Attributes:
        ranges: The lowest and highest value of each input; -2 .. 2 where there is none.
    """

    op: Op
    types: tuple[Tensor, ...]
    ranges: tuple[Range, ...] = ()

    def arrays(self, seed: int = 0) -> list[NDArray[np.generic]]:
        """Returns one random array for each input."""
        random = np.random.default_rng(seed)
        ranges = (*self.ranges, *[(-2.0, 2.0)] * (len(self.types) - len(self.ranges)))
        return [_array(random, type, span) for type, span in zip(self.types, ranges, strict=True)]


def sample(op: Op, *types: str, ranges: tuple[Range, ...] = ()) -> Sample:
    """Returns an example whose types are written like `f32[2, 3]`."""
    return Sample(op, tuple(map(tensor, types)), ranges)


def elementwise_samples(op: Op, names: tuple[str, ...], elements: str) -> list[Sample]:
    """Examples of an element-wise operator: inputs of one shape, the last one broadcast."""
    count = 3 if names[-1].startswith("*") else len(names)
    dtypes = {
        "float": ["f32"], "integer": ["i32"], "number": ["f32", "i32"], "bool": ["bool"],
        "any": ["f32"],
    }  # fmt: skip
    last = "[3, 1]" if count > 1 else "[3, 4]"
    return [
        sample(op, *[f"{dtype}[3, 4]"] * (count - 1), dtype + last, ranges=((-7, 7),) * count)
        for dtype in dtypes[elements]
    ]


def tensor(text: str) -> Tensor:
    """Returns the type that a text such as `f32[2, 3]` means."""
    dtype, sizes = text.rstrip("]").split("[")
    return Tensor(DType(dtype), tuple(int(size) for size in sizes.split(",") if size.strip()))


def _array(random: np.random.Generator, type: Tensor, span: Range) -> NDArray[np.generic]:
    shape, dtype = type.static_shape, type.dtype
    low, high = span
    if dtype is DType.BOOL:
        return random.integers(0, 2, shape).astype(np.bool_)
    if dtype.is_integer:
        least = int(low) if dtype.is_signed else max(int(low), 0)
        return random.integers(least, int(high) + 1, shape).astype(dtype.numpy)
    return np.asarray(random.uniform(low, high, shape)).astype(dtype.numpy)
