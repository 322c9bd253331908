"""Types of values in a graph: an element type and a shape."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

import numpy as np

from dhc.ir.size import Shape, static


class DType(Enum):
    """The type of one element; the value is its name in the language and in printed IR.

    Narrow types are for storage: nothing computes with them but what converts or moves elements.
    """

    F64 = "f64"
    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    F8E4M3FN = "f8e4m3fn"
    F8E4M3FNUZ = "f8e4m3fnuz"
    F8E5M2 = "f8e5m2"
    F8E5M2FNUZ = "f8e5m2fnuz"
    F8E8M0 = "f8e8m0"
    F4E2M1 = "f4e2m1"
    I64 = "i64"
    I32 = "i32"
    I16 = "i16"
    I8 = "i8"
    I4 = "i4"
    I2 = "i2"
    U64 = "u64"
    U32 = "u32"
    U16 = "u16"
    U8 = "u8"
    U4 = "u4"
    U2 = "u2"
    BOOL = "bool"

    @property
    def is_float(self) -> bool:
        return self.value.startswith(("f", "bf"))

    @property
    def is_signed(self) -> bool:
        return self.value.startswith("i") or (self.is_float and self is not DType.F8E8M0)

    @property
    def is_integer(self) -> bool:
        return not self.is_float and self is not DType.BOOL

    @property
    def is_narrow(self) -> bool:
        """Whether elements are only stored, and become wider where something computes."""
        return self in _STORED

    @property
    def stored(self) -> DType:
        """The type of the bits of an element in memory; narrow ones fill a byte or two."""
        return _STORED.get(self, self)

    @property
    def bits(self) -> int:
        found = re.match(r"[a-z]+(\d+)", self.value)
        return int(found[1]) if found else 8

    @property
    def bytes(self) -> int:
        return max(self.bits // 8, 1)

    @property
    def numpy(self) -> np.dtype:
        """The numpy type that holds such elements; those of narrow types are in `ml_dtypes`."""
        name = _NUMPY_NAMES[self]
        if self not in _STORED:
            return np.dtype(name)
        import ml_dtypes

        found: np.dtype = np.dtype(getattr(ml_dtypes, name))
        return found

    def __str__(self) -> str:
        return self.value


_STORED = {
    DType.BF16: DType.U16,
    DType.F8E4M3FN: DType.U8,
    DType.F8E4M3FNUZ: DType.U8,
    DType.F8E5M2: DType.U8,
    DType.F8E5M2FNUZ: DType.U8,
    DType.F8E8M0: DType.U8,
    DType.F4E2M1: DType.U8,
    DType.I4: DType.U8,
    DType.I2: DType.U8,
    DType.U4: DType.U8,
    DType.U2: DType.U8,
}
_NUMPY_NAMES = {
    DType.F64: "float64",
    DType.F32: "float32",
    DType.F16: "float16",
    DType.BF16: "bfloat16",
    DType.F8E4M3FN: "float8_e4m3fn",
    DType.F8E4M3FNUZ: "float8_e4m3fnuz",
    DType.F8E5M2: "float8_e5m2",
    DType.F8E5M2FNUZ: "float8_e5m2fnuz",
    DType.F8E8M0: "float8_e8m0fnu",
    DType.F4E2M1: "float4_e2m1fn",
    DType.I64: "int64",
    DType.I32: "int32",
    DType.I16: "int16",
    DType.I8: "int8",
    DType.I4: "int4",
    DType.I2: "int2",
    DType.U64: "uint64",
    DType.U32: "uint32",
    DType.U16: "uint16",
    DType.U8: "uint8",
    DType.U4: "uint4",
    DType.U2: "uint2",
    DType.BOOL: "bool",
}
_BY_NUMPY_NAME = {name: dtype for dtype, name in _NUMPY_NAMES.items()}


def dtype_of(array: np.ndarray) -> DType:
    """Returns the element type of a numpy array.

    Raises:
        ValueError: if no element type of the language has that representation.
    """
    found = _BY_NUMPY_NAME.get(array.dtype.name)
    if found is None or not array.dtype.isnative:
        raise ValueError(f"arrays of type '{array.dtype}' have no counterpart in the language")
    return found


def as_bits(array: np.ndarray) -> np.ndarray:
    """Returns the bits of narrow elements as integers, as files have them; other arrays as such."""
    dtype = _BY_NUMPY_NAME.get(array.dtype.name)
    return array if dtype is None or not dtype.is_narrow else array.view(dtype.stored.numpy)


def from_bits(array: np.ndarray, dtype: DType) -> np.ndarray:
    """Returns integers as the narrow elements whose bits they are; other arrays as such."""
    if dtype.is_narrow and array.dtype == dtype.stored.numpy:
        return array.view(dtype.numpy)
    return array


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
