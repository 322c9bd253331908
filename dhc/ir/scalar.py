"""The scalar language: typed expressions for one element, for operators, kernels and printers.

Expressions are immutable and interned, so identity is equality. Integer division and remainder
round toward minus infinity; `minimum` and `maximum` propagate NaN; `not` of an integer inverts its
bits; `Select` may evaluate both sides; a guarded `Load` never touches memory where its guard is
false. i64 is the type of indices, and its arithmetic must not overflow; other integers wrap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal

from dhc.ir.interning import Interned
from dhc.ir.number import Number as Number
from dhc.ir.number import canonical, rounded, wrap
from dhc.ir.types import DType

UnaryFunction = Literal[
    "neg", "abs", "not", "exp", "log", "tanh", "erf", "sqrt", "sin", "cos",
    "floor", "ceil", "round", "trunc",
]  # fmt: skip
BinaryFunction = Literal[
    "add", "sub", "mul", "div", "floordiv", "mod", "min", "max", "pow",
    "and", "or", "xor", "shl", "shr",
]  # fmt: skip
Relation = Literal["lt", "le", "eq", "ne", "gt", "ge"]
ReduceKind = Literal["sum", "prod", "max", "min", "argmax", "argmin", "any", "all"]


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Scalar(metaclass=Interned):
    """One typed value. Python's operators build larger expressions and fold constants."""

    @property
    def dtype(self) -> DType:
        raise NotImplementedError

    def __add__(self, other: Scalar | Number) -> Scalar:
        return binary("add", self, lift(other, self.dtype))

    def __radd__(self, other: Number) -> Scalar:
        return binary("add", lift(other, self.dtype), self)

    def __sub__(self, other: Scalar | Number) -> Scalar:
        return binary("sub", self, lift(other, self.dtype))

    def __rsub__(self, other: Number) -> Scalar:
        return binary("sub", lift(other, self.dtype), self)

    def __mul__(self, other: Scalar | Number) -> Scalar:
        return binary("mul", self, lift(other, self.dtype))

    def __rmul__(self, other: Number) -> Scalar:
        return binary("mul", lift(other, self.dtype), self)

    def __truediv__(self, other: Scalar | Number) -> Scalar:
        return binary("div", self, lift(other, self.dtype))

    def __rtruediv__(self, other: Number) -> Scalar:
        return binary("div", lift(other, self.dtype), self)

    def __floordiv__(self, other: Scalar | Number) -> Scalar:
        return binary("floordiv", self, lift(other, self.dtype))

    def __mod__(self, other: Scalar | Number) -> Scalar:
        return binary("mod", self, lift(other, self.dtype))

    def __neg__(self) -> Scalar:
        return unary("neg", self)

    def __abs__(self) -> Scalar:
        return unary("abs", self)

    def __lt__(self, other: Scalar | Number) -> Scalar:
        return compare("lt", self, lift(other, self.dtype))

    def __le__(self, other: Scalar | Number) -> Scalar:
        return compare("le", self, lift(other, self.dtype))

    def __gt__(self, other: Scalar | Number) -> Scalar:
        return compare("gt", self, lift(other, self.dtype))

    def __ge__(self, other: Scalar | Number) -> Scalar:
        return compare("ge", self, lift(other, self.dtype))

    def __and__(self, other: Scalar | Number) -> Scalar:
        return binary("and", self, lift(other, self.dtype))

    def __or__(self, other: Scalar | Number) -> Scalar:
        return binary("or", self, lift(other, self.dtype))

    def __xor__(self, other: Scalar | Number) -> Scalar:
        return binary("xor", self, lift(other, self.dtype))

    def __lshift__(self, other: Scalar | Number) -> Scalar:
        return binary("shl", self, lift(other, self.dtype))

    def __rshift__(self, other: Scalar | Number) -> Scalar:
        return binary("shr", self, lift(other, self.dtype))

    def __invert__(self) -> Scalar:
        return unary("not", self)

    def equals(self, other: Scalar | Number) -> Scalar:
        """The element-wise equality as an expression (`==` compares the expressions themselves)."""
        return compare("eq", self, lift(other, self.dtype))

    def differs(self, other: Scalar | Number) -> Scalar:
        return compare("ne", self, lift(other, self.dtype))


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Const(Scalar):
    """A number in its one canonical form, so that equal constants are one object.

    Integers lie in the range of their type. A float is the shortest decimal that rounds to the
    value in its type: `Const(0.1, F32)` holds 0.1, though f32 arithmetic uses the nearest f32.
    """

    value: Number
    type: DType

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", canonical(self.value, self.type))

    @property
    def dtype(self) -> DType:
        return self.type


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Var(Scalar):
    """A named value. An index variable knows its `extent`: 0 <= value < extent."""

    name: str
    type: DType
    extent: int | None = None

    @property
    def dtype(self) -> DType:
        return self.type


class Operation(Scalar):
    """Something computed that has the type of its last operand."""

    __slots__ = ("_dtype",)
    _dtype: DType

    def __post_init__(self) -> None:
        last: Scalar = getattr(self, fields(self)[-1].name)
        object.__setattr__(self, "_dtype", last.dtype)

    @property
    def dtype(self) -> DType:
        return self._dtype


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Unary(Operation):
    function: UnaryFunction
    operand: Scalar


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Binary(Operation):
    function: BinaryFunction
    left: Scalar
    right: Scalar


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Compare(Scalar):
    relation: Relation
    left: Scalar
    right: Scalar

    @property
    def dtype(self) -> DType:
        return DType.BOOL


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Select(Operation):
    condition: Scalar
    then: Scalar
    otherwise: Scalar


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Fma(Operation):
    """`left * right + addend`, rounded once."""

    left: Scalar
    right: Scalar
    addend: Scalar


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Cast(Scalar):
    """A conversion: floats to integers truncate toward zero; `saturate` clamps to the range first.

    Without `saturate` a float outside the integer's range has no defined result, and integers wrap.
    """

    operand: Scalar
    type: DType
    saturate: bool = False

    @property
    def dtype(self) -> DType:
        return self.type


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Bitcast(Scalar):
    """The same bits seen as another type of the same width."""

    operand: Scalar
    type: DType

    @property
    def dtype(self) -> DType:
        return self.type


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Buffer(metaclass=Interned):
    """Memory that kernels index logically: element `i` lies at `sum(i[k] * strides[k])`.

    A halo or a slice of a larger array is a matter of strides and of where the pointer starts, so
    indices may be negative where the planner has put a halo. Strides count elements. Shape and
    strides are integers, or index expressions over a kernel's run-time sizes.
    """

    name: str
    type: DType
    shape: tuple[int | Scalar, ...]
    strides: tuple[int | Scalar, ...]
    space: Literal["global", "shared", "register", "bram", "stream"] = "global"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Load(Scalar):
    """One element of a buffer; where `guard` is false, `otherwise` instead, without a read."""

    buffer: Buffer
    index: tuple[Scalar, ...]
    guard: Scalar | None = None
    otherwise: Scalar | None = None

    @property
    def dtype(self) -> DType:
        return self.buffer.type


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Reduce(Scalar):
    """`body` folded over all values of `axes`, in row-major order, starting from `initial`.

    `argmax` and `argmin` give the row-major position of the first extreme, as i64. Sums of products
    accumulate with `Fma`.
    """

    kind: ReduceKind
    axes: tuple[Var, ...]
    body: Scalar

    @property
    def dtype(self) -> DType:
        return DType.I64 if self.kind.startswith("arg") else self.body.dtype


# ---- building --------------------------------------------------------------------------------


def lift(value: Scalar | Number, dtype: DType) -> Scalar:
    """Returns an expression: numbers become constants of `dtype`."""
    if isinstance(value, Scalar):
        return value
    if dtype.is_float:
        return Const(float(value), dtype)
    if dtype is DType.BOOL:
        return Const(bool(value), dtype)
    return Const(value, dtype)


def index(value: Scalar | int) -> Scalar:
    """Returns an index expression (i64)."""
    return lift(value, DType.I64)


def unary(function: UnaryFunction, operand: Scalar) -> Scalar:
    from dhc.ir.simplify import simplify_unary

    return simplify_unary(function, operand)


def binary(function: BinaryFunction, left: Scalar, right: Scalar) -> Scalar:
    from dhc.ir.simplify import simplify_binary

    if left.dtype is not right.dtype:
        raise TypeError(f"'{function}' of {left.dtype} and {right.dtype}")
    if function == "div" and not left.dtype.is_float:
        raise TypeError("'div' is for floats; integers have 'floordiv'")
    return simplify_binary(function, left, right)


def compare(relation: Relation, left: Scalar, right: Scalar) -> Scalar:
    from dhc.ir.simplify import simplify_compare

    if left.dtype is not right.dtype:
        raise TypeError(f"'{relation}' of {left.dtype} and {right.dtype}")
    return simplify_compare(relation, left, right)


def select(condition: Scalar, then: Scalar | Number, otherwise: Scalar | Number) -> Scalar:
    """Returns `then` where `condition` holds, else `otherwise`; numbers take the other's type."""
    if isinstance(then, Scalar):
        otherwise = lift(otherwise, then.dtype)
    elif isinstance(otherwise, Scalar):
        then = lift(then, otherwise.dtype)
    else:
        raise TypeError("one side of a select must be an expression")
    if isinstance(condition, Const):
        return then if condition.value else otherwise
    return then if then is otherwise else Select(condition, then, otherwise)


def minimum(left: Scalar, right: Scalar | Number) -> Scalar:
    return binary("min", left, lift(right, left.dtype))


def maximum(left: Scalar, right: Scalar | Number) -> Scalar:
    return binary("max", left, lift(right, left.dtype))


def clamp(value: Scalar, low: Scalar | Number, high: Scalar | Number) -> Scalar:
    return minimum(maximum(value, low), high)


def exp(value: Scalar) -> Scalar:
    return unary("exp", value)


def log(value: Scalar) -> Scalar:
    return unary("log", value)


def tanh(value: Scalar) -> Scalar:
    return unary("tanh", value)


def erf(value: Scalar) -> Scalar:
    return unary("erf", value)


def sqrt(value: Scalar) -> Scalar:
    return unary("sqrt", value)


def sin(value: Scalar) -> Scalar:
    return unary("sin", value)


def cos(value: Scalar) -> Scalar:
    return unary("cos", value)


def floor(value: Scalar) -> Scalar:
    return unary("floor", value)


def ceil(value: Scalar) -> Scalar:
    return unary("ceil", value)


def round_half_even(value: Scalar) -> Scalar:
    return unary("round", value)


def power(value: Scalar, exponent: Scalar | Number) -> Scalar:
    return binary("pow", value, lift(exponent, value.dtype))


def fma(left: Scalar, right: Scalar | Number, addend: Scalar | Number) -> Scalar:
    return Fma(left, lift(right, left.dtype), lift(addend, left.dtype))


def cast(value: Scalar, dtype: DType, saturate: bool = False) -> Scalar:
    if value.dtype is dtype:
        return value
    if isinstance(value, Const) and not saturate:
        folded = _cast_constant(value, dtype)
        if folded is not None:
            return folded
    return Cast(value, dtype, saturate)


def _cast_constant(value: Const, dtype: DType) -> Const | None:
    if dtype is DType.BOOL:
        return Const(value.value != 0, dtype)
    if value.dtype.is_float:
        exact = float(rounded(value.value, value.dtype))
        return Const(exact, dtype) if dtype.is_float else None
    number = int(value.value)
    if dtype.is_float:
        return Const(number, dtype) if abs(number) < 2**53 else None
    return Const(wrap(number, dtype), dtype)


def reduce_over(kind: ReduceKind, axes: tuple[Var, ...], body: Scalar) -> Scalar:
    return Reduce(kind, axes, body) if axes or kind.startswith("arg") else body


# ---- walking ---------------------------------------------------------------------------------


def children(expression: Scalar) -> tuple[Scalar, ...]:
    """Returns the direct sub-expressions, in order."""
    found: list[Scalar] = []
    for f in fields(expression):
        value = getattr(expression, f.name)
        if isinstance(value, Scalar):
            found.append(value)
        elif isinstance(value, tuple):
            found.extend(item for item in value if isinstance(item, Scalar))
    return tuple(found)


def walk(expression: Scalar) -> Iterator[Scalar]:
    """Yields every distinct sub-expression once, operands before the expressions that use them."""
    done: set[int] = set()
    stack: list[tuple[Scalar, bool]] = [(expression, False)]
    while stack:
        current, expanded = stack.pop()
        if id(current) in done:
            continue
        if expanded:
            done.add(id(current))
            yield current
        else:
            stack.append((current, True))
            stack.extend((child, False) for child in reversed(children(current)))
