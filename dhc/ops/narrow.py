"""Narrow elements: what converts to them as ONNX says, and rounding that stays in wide ones."""

from __future__ import annotations

from collections.abc import Sequence

from dhc.ir.graph import Node, literal
from dhc.ir.scalar import Bitcast, Scalar, cast, lift, select
from dhc.ir.types import DType
from dhc.ops.base import Elementwise, op
from dhc.ops.elementwise import Cast, Mul
from dhc.ops.foreign import Call, ForeignError, reads
from dhc.ops.sample import Sample, sample

EIGHT_BITS = (DType.F8E4M3FN, DType.F8E4M3FNUZ, DType.F8E5M2, DType.F8E5M2FNUZ)
"""The floats that saturate where ONNX says so."""


@op("round_bf16")
class RoundBf16(Elementwise):
    """The nearest number with the eight significant bits of bf16, half to even.

    It keeps its element type. Being flat between its steps, it has no gradient but 0; passes put it
    in after differentiation.
    """

    def scalar(self, x: Scalar) -> Scalar:
        return cast(cast(x, DType.BF16), x.dtype)

    def grad(self, upstream: Node, output: Node, *inputs: Node) -> tuple[Node | None, ...]:
        return (Mul()(upstream, literal(0.0, upstream.type.dtype)),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[3, 5]")]


@op("power_of_two")
class PowerOfTwo(Elementwise):
    """The power of two next to a number: the least that is not below it if `up`, else the other.

    None is below 2 ** -127, which stands for zero as well. Numbers below zero, infinity and NaN
    stay as they are. It has no gradient but 0, being flat between its steps.
    """

    up: bool = True

    def scalar(self, x: Scalar) -> Scalar:
        bits = Bitcast(cast(x, DType.F32), DType.U32)
        least, beyond = (lift(each, DType.U32) for each in (0x400000, 0x7FFFFF))
        normal = (bits + beyond if self.up else bits) & 0x7F800000
        small = bits <= (least if self.up else beyond)
        power = cast(Bitcast(select(small, least, normal), DType.F32), x.dtype)
        return select(bits < 0x7F800000, power, x)

    def grad(self, upstream: Node, output: Node, *inputs: Node) -> tuple[Node | None, ...]:
        return (Mul()(upstream, literal(0.0, upstream.type.dtype)),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(up), "f32[3, 5]", ranges=((0.0, 9.0),)) for up in (True, False)]


@reads("Cast")
def _read_cast(call: Call) -> Node:
    """Only floats of 8 bits saturate; powers of two are rounded as the node says."""
    saturate, mode = bool(call.get("saturate", 1)), call.get("round_mode", "up")
    x, to = call.tensor(0), call.dtype("to")
    if x.type.dtype is to:
        return x
    if to is DType.F8E8M0:
        return _to_powers_of_two(x, mode, saturate)
    return Cast(to, saturate and to in EIGHT_BITS)(x)


def _to_powers_of_two(x: Node, mode: str, saturate: bool) -> Node:
    """Numbers as f8e8m0.

    Raises:
        ForeignError: if a node of ONNX says another mode than `up`, `down` and `nearest`.
    """
    if mode not in ("up", "down", "nearest"):
        raise ForeignError(f"attribute 'round_mode' is {mode!r}")
    wide = x if x.type.dtype is DType.F32 else Cast(DType.F32)(x)
    nearest = wide if mode == "nearest" else PowerOfTwo(mode == "up")(wide)
    return Cast(DType.F8E8M0, saturate)(nearest)
