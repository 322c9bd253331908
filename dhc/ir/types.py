"""Types of values in a graph: an element type and a shape."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from dhc.ir.size import Shape, static


class DType(Enum):
    """The type of one element; the value is its name in the language and in printed IR."""

    F64 = "f64"
    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    I64 = "i64"
    I32 = "i32"
    I16 = "i16"
    I8 = "i8"
    U64 = "u64"
    U32 = "u32"
    U16 = "u16"
    U8 = "u8"
    BOOL = "bool"

    @property
    def is_float(self) -> bool:
        return self.value.startswith(("f", "bf"))

    @property
    def is_signed(self) -> bool:
        return self.is_float or self.value.startswith("i")

    @property
    def is_integer(self) -> bool:
        return not self.is_float and self is not DType.BOOL

    @property
    def bits(self) -> int:
        return 8 if self is DType.BOOL else int(self.value.lstrip("bfiu"))

    @property
    def bytes(self) -> int:
        return self.bits // 8

    @property
    def numpy(self) -> np.dtype:
        """The numpy type that holds such elements; bf16 is held as f32 in the reference."""
        return np.dtype(_NUMPY_NAMES[self])

    def __str__(self) -> str:
        return self.value


_NUMPY_NAMES = {
    DType.F64: "float64",
    DType.F32: "float32",
    DType.F16: "float16",
    DType.BF16: "float32",
    DType.I64: "int64",
    DType.I32: "int32",
    DType.I16: "int16",
    DType.I8: "int8",
    DType.U64: "uint64",
    DType.U32: "uint32",
    DType.U16: "uint16",
    DType.U8: "uint8",
    DType.BOOL: "bool",
}


def dtype_of(array: np.ndarray) -> DType:
    """Returns the element type of a numpy array.

    Raises:
        ValueError: if no element type of the language has that representation.
    """
    for dtype, name in _NUMPY_NAMES.items():
        if array.dtype == np.dtype(name) and dtype is not DType.BF16:
            return dtype
    raise ValueError(f"arrays of type '{array.dtype}' have no counterpart in the language")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A dense array of `dtype` elements; `shape` may hold symbolic sizes."""

    dtype: DType
    shape: Shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def static_shape(self) -> tuple[int, ...]:
        """The shape with every size known; ValueError where one is not."""
        return static(self.shape)

    def with_shape(self, shape: Shape) -> Tensor:
        return Tensor(self.dtype, shape)

    def with_dtype(self, dtype: DType) -> Tensor:
        return Tensor(dtype, self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"
