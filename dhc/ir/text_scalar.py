"""Scalar expressions as text: `fn(x0: f32) => max(x0 * 0.5, 0.0)`.

Numbers without a type are f32 if they have a point or an exponent and i64 if not; `u8(3)` gives
the type. Parts that are used often or lie deep are named first: `with $0 = a + b in $0 * $0`. A
name that no line above declares is declared where it stands: `(x0: f32)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dhc.ir.scalar import (
    Binary,
    Bitcast,
    Buffer,
    Cast,
    Compare,
    Const,
    Fma,
    Load,
    Reduce,
    Scalar,
    Select,
    Unary,
    Var,
    children,
    index,
    walk,
)
from dhc.ir.text_tokens import quote_name
from dhc.ir.types import DType

Scope = Mapping[str, Var | Buffer]

# Of what binds tighter the level is higher.
LEVELS: Mapping[str, tuple[str, int]] = {
    "or": ("|", 1), "xor": ("^", 2), "and": ("&", 3), "shl": ("<<", 5), "shr": (">>", 5),
    "add": ("+", 6), "sub": ("-", 6), "mul": ("*", 7), "div": ("/", 7), "floordiv": ("//", 7),
    "mod": ("%", 7),
}  # fmt: skip
RELATIONS = {"lt": "<", "le": "<=", "eq": "==", "ne": "!=", "gt": ">", "ge": ">="}
COMPARE_LEVEL, UNARY_LEVEL, PRIMARY_LEVEL = 4, 8, 9

_SHARED_SIZE = 12  # a part of at least so many nodes is written once
_SHARED_DEPTH = 16  # and so is one that nests so deep


def print_scalar(expression: Scalar) -> str:
    """Returns the text of an expression with its free variables and buffers declared in front."""
    scope: dict[str, Var | Buffer] = {}
    declared: list[str] = []
    for value in free_names(expression):
        if value.name not in scope:
            declared.append(declaration(value, scope))
            scope[value.name] = value
    return f"fn({', '.join(declared)}) => {expression_text(expression, scope)}"


def free_names(expression: Scalar) -> list[Var | Buffer]:
    """Returns the variables and buffers that an expression takes from outside, in order."""
    bound = {axis for part in walk(expression) if isinstance(part, Reduce) for axis in part.axes}
    found: dict[Var | Buffer, None] = {}
    for part in walk(expression):
        if isinstance(part, Var) and part not in bound:
            found[part] = None
        if isinstance(part, Load):
            found |= dict.fromkeys(buffer_names(part.buffer))
            found[part.buffer] = None
    return list(found)


def buffer_names(buffer: Buffer) -> list[Var]:
    """Returns the run-time sizes that a buffer's shape and strides are made of."""
    sizes = [size for size in (*buffer.shape, *buffer.strides) if isinstance(size, Scalar)]
    return list(dict.fromkeys(p for size in sizes for p in walk(size) if isinstance(p, Var)))


# ---- declarations ----------------------------------------------------------------------------


def declaration(value: Var | Buffer, scope: Scope | None = None) -> str:
    """Returns `name: type`, with the extent of a variable or the shape of a buffer."""
    if isinstance(value, Buffer):
        return _buffer_text(value, scope or {})
    return f"{quote_name(value.name)}: {value.type}{_extent_text(value)}"


def axis_text(axis: Var) -> str:
    """Returns a declaration in which the type i64 goes without saying."""
    if axis.type is not DType.I64:
        return declaration(axis)
    return f"{quote_name(axis.name)}{_extent_text(axis)}"


def _extent_text(variable: Var) -> str:
    return "" if variable.extent is None else f" < {variable.extent}"


def _buffer_text(buffer: Buffer, scope: Scope) -> str:
    text = f"{quote_name(buffer.name)}: {buffer.type}[{_sizes_text(buffer.shape, scope)}]"
    if buffer.strides != dense_strides(buffer.shape):
        text += f" strides ({_sizes_text(buffer.strides, scope)})"
    return text if buffer.space == "global" else f"{text} {buffer.space}"


def _sizes_text(sizes: Iterable[int | Scalar], scope: Scope) -> str:
    return ", ".join(_size_text(size, scope) for size in sizes)


def _size_text(size: int | Scalar, scope: Scope) -> str:
    if isinstance(size, int):
        return str(size)
    return f"i64({size.value})" if isinstance(size, Const) else expression_text(size, scope)


def dense_strides(shape: tuple[int | Scalar, ...]) -> tuple[int | Scalar, ...]:
    """Returns the strides of a buffer in row-major order without gaps."""
    strides: list[int | Scalar] = []
    step: Scalar = index(1)
    for size in reversed(shape):
        strides.append(int(step.value) if isinstance(step, Const) else step)
        step = step * size
    return tuple(reversed(strides))


# ---- expressions -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Piece:
    """The text of one part, how tightly it binds, and how large and how deep it is."""

    text: str
    level: int = PRIMARY_LEVEL
    size: int = 1
    depth: int = 1


def expression_text(expression: Scalar, scope: Scope) -> str:
    """Returns the text of an expression whose names the scope declares."""
    return _Printer(scope, 0).text(expression)


class _Printer:
    def __init__(self, scope: Scope, first: int) -> None:
        self._scope = scope
        self._first = first
        self._definitions: list[str] = []
        self._done: dict[Scalar, _Piece] = {}

    def text(self, expression: Scalar) -> str:
        order = outside_reductions(expression)
        uses: dict[Scalar, int] = {}
        for part in order:
            for child in _operands(part):
                uses[child] = uses.get(child, 0) + 1
        for part in order:
            piece = self._piece(part)
            large = uses.get(part, 0) > 1 and piece.size >= _SHARED_SIZE
            if large or (piece.depth >= _SHARED_DEPTH and part is not expression):
                piece = self._define(piece)
            self._done[part] = piece
        result = self._done[expression].text
        return f"with {', '.join(self._definitions)} in {result}" if self._definitions else result

    def _define(self, piece: _Piece) -> _Piece:
        name = f"${self._first + len(self._definitions)}"
        self._definitions.append(f"{name} = {piece.text}")
        return _Piece(name)

    def _piece(self, part: Scalar) -> _Piece:
        if isinstance(part, Reduce):
            return self._reduction(part)
        text, level = self._written(part)
        pieces = [self._done[child] for child in _operands(part)]
        size = 1 + sum(piece.size for piece in pieces)
        return _Piece(text, level, size, 1 + max((p.depth for p in pieces), default=0))

    def _reduction(self, part: Reduce) -> _Piece:
        scope = {**self._scope, **{axis.name: axis for axis in part.axes}}
        inner = _Printer(scope, self._first + len(self._definitions))
        axes = ", ".join(map(axis_text, part.axes))
        text = f"{part.kind}{{{axes}}} ({inner.text(part.body)})"
        deepest = max(piece.depth for piece in inner._done.values())
        return _Piece(text, size=_SHARED_SIZE, depth=1 + deepest)

    def _written(self, part: Scalar) -> tuple[str, int]:
        match part:
            case Const():
                return _constant_text(part)
            case Var(name):
                known = self._scope.get(name) is part
                return (quote_name(name) if known else f"({declaration(part)})"), PRIMARY_LEVEL
            case Unary("neg", operand):
                return f"-{self._negated(operand)}", UNARY_LEVEL
            case Unary("not", operand):
                return f"~{self._at(operand, UNARY_LEVEL)}", UNARY_LEVEL
            case Binary(function, left, right) if function in LEVELS:
                sign, level = LEVELS[function]
                return f"{self._at(left, level)} {sign} {self._at(right, level + 1)}", level
            case Compare(relation, left, right):
                sides = [self._at(side, COMPARE_LEVEL + 1) for side in (left, right)]
                return f" {RELATIONS[relation]} ".join(sides), COMPARE_LEVEL
            case Load():
                return self._load(part), PRIMARY_LEVEL
        return self._call(part), PRIMARY_LEVEL

    def _call(self, part: Scalar) -> str:
        arguments = [self._done[child].text for child in children(part)]
        match part:
            case Unary(function) | Binary(function):
                name: str = function
            case Select():
                name = "select"
            case Fma():
                name = "fma"
            case Cast(_, dtype, saturate):
                name = "saturate" if saturate else "cast"
                arguments.append(str(dtype))
            case Bitcast(_, dtype):
                name = "bitcast"
                arguments.append(str(dtype))
            case _:
                raise TypeError(f"no text for {type(part).__name__}")
        return f"{name}({', '.join(arguments)})"

    def _negated(self, operand: Scalar) -> str:
        """The text after a minus sign; a bare number in brackets, as it is no negative constant."""
        text = self._at(operand, UNARY_LEVEL)
        bare = isinstance(operand, Const) and "(" not in text
        return f"({text})" if bare else text

    def _at(self, part: Scalar, level: int) -> str:
        piece = self._done[part]
        return piece.text if piece.level >= level else f"({piece.text})"

    def _load(self, load: Load) -> str:
        buffer = load.buffer
        known = self._scope.get(buffer.name) is buffer
        name = quote_name(buffer.name) if known else f"({declaration(buffer, self._scope)})"
        inside = ", ".join(self._done[i].text for i in load.index)
        if load.guard is not None:
            inside += f" if {self._done[load.guard].text}"
        if load.otherwise is not None:
            inside += f" else {self._done[load.otherwise].text}"
        return f"{name}[{inside.strip()}]"


def _constant_text(constant: Const) -> tuple[str, int]:
    if constant.type is DType.BOOL:
        return ("true" if constant.value else "false"), PRIMARY_LEVEL
    text = repr(constant.value)
    if constant.type not in (DType.F32, DType.I64):
        return f"{constant.type}({text})", PRIMARY_LEVEL
    return text, UNARY_LEVEL if text.startswith("-") else PRIMARY_LEVEL


def _operands(part: Scalar) -> tuple[Scalar, ...]:
    return () if isinstance(part, Reduce) else children(part)


def outside_reductions(expression: Scalar) -> list[Scalar]:
    """Returns the distinct parts that are not inside a reduction, operands first."""
    order: list[Scalar] = []
    done: set[int] = set()
    stack: list[tuple[Scalar, bool]] = [(expression, False)]
    while stack:
        current, expanded = stack.pop()
        if id(current) in done:
            continue
        if expanded:
            done.add(id(current))
            order.append(current)
        else:
            stack.append((current, True))
            stack.extend((child, False) for child in reversed(_operands(current)))
    return order
