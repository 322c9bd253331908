"""Division as ONNX has it: integers toward zero, and rests with the sign of the dividend."""

from __future__ import annotations

from dhc.ir.graph import Node, literal
from dhc.ops.compare import And, Equal, Less, Not, NotEqual, Xor
from dhc.ops.elementwise import Abs, Add, Div, Mod, Mul, Neg, Sub, Where
from dhc.ops.foreign import Call, reads


@reads("Div")
def _read_div(call: Call) -> Node:
    a, b = call.tensors
    dtype, quotient = a.type.dtype, Div()(a, b)
    if not dtype.is_integer or not dtype.is_signed:
        return quotient
    zero, one = literal(0, dtype), literal(1, dtype)
    below = Xor()(Less()(a, zero), Less()(b, zero))
    rounded = And()(below, Not()(Equal()(Mul()(quotient, b), a)))
    return Where()(rounded, Add()(quotient, one), quotient)


@reads("Mod")
def _read_mod(call: Call) -> Node:
    """With `fmod` the rest has the sign of the dividend, else of the divisor."""
    a, b = call.tensors
    dtype, rest = a.type.dtype, Mod()(a, b)
    if not call.get("fmod", 0):
        return rest
    zero = literal(0, dtype)
    if dtype.is_float:
        size = Mod()(Abs()(a), Abs()(b))
        return Where()(Less()(a, zero), Neg()(size), size)
    other = And()(NotEqual()(rest, zero), Xor()(Less()(rest, zero), Less()(a, zero)))
    return Where()(other, Sub()(rest, b), rest)
