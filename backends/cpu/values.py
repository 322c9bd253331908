"""Values in LLVM text: types, constants, and the names that depend on them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dhc.ir.scalar import Number
from dhc.ir.types import DType

_TYPES = {DType.F64: "double", DType.F32: "float", DType.F16: "half", DType.BOOL: "i1"}
_SUFFIX = {DType.F64: "f64", DType.F32: "f32", DType.F16: "f16"}


@dataclass(frozen=True)
class Value:
    """A printed value; `lanes` is 1 for a scalar."""

    text: str
    dtype: DType
    lanes: int = 1

    @property
    def type(self) -> str:
        return llvm_type(self.dtype, self.lanes)


def llvm_type(dtype: DType, lanes: int = 1) -> str:
    """Returns LLVM's name of a type in registers."""
    scalar = _TYPES.get(dtype) or f"i{dtype.bits}"
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def memory_type(dtype: DType, lanes: int = 1) -> str:
    """Returns LLVM's name of a type in memory, where a bool is a byte."""
    scalar = "i8" if dtype is DType.BOOL else llvm_type(dtype)
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def constant(value: Number, dtype: DType) -> str:
    """Returns a number as LLVM writes it; floats by their exact bits."""
    if dtype is DType.BOOL:
        return "true" if value else "false"
    if not dtype.is_float:
        return str(int(value))
    if dtype is DType.F16:
        return f"0xH{struct.unpack('<H', struct.pack('<e', value))[0]:04X}"
    if dtype is DType.F32:
        value = _to_f32(float(value))
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def constant_value(value: Number, dtype: DType, lanes: int = 1) -> Value:
    """Returns a number as a value, the same in all lanes."""
    text = constant(value, dtype)
    if lanes > 1:
        text = f"splat ({llvm_type(dtype)} {text})"
    return Value(text, dtype, lanes)


def is_zero(value: Value) -> bool:
    """Whether a value is the constant 0."""
    return value.text in ("0", "false", "0x0000000000000000", "0xH0000")


def overload(value: Value) -> str:
    """The suffix by which LLVM tells apart the types of an intrinsic."""
    scalar = _SUFFIX.get(value.dtype) or f"i{value.dtype.bits}"
    return scalar if value.lanes == 1 else f"v{value.lanes}{scalar}"


def conversion(source: DType, target: DType) -> str:
    """The instruction that converts without saturation."""
    if source.is_float and target.is_float:
        return "fpext" if target.bits > source.bits else "fptrunc"
    if source.is_float:
        return "fptosi" if target.is_signed else "fptoui"
    signed = source.is_signed and source is not DType.BOOL
    if target.is_float:
        return "sitofp" if signed else "uitofp"
    if source is not DType.BOOL and target.bits <= source.bits:
        return "trunc"
    return "sext" if signed else "zext"


def _to_f32(value: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
