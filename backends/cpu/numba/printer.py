"""Prints kernels as numba functions: plain loops over numpy arrays.

Every printed expression has exactly the type of what it stands for. Numba computes narrow integers
in 64 bits, so their results are converted back; constants carry their type wherever numba would
otherwise take them for f64 or i64.
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Mapping
from typing import ClassVar

from dhc.backends.fold import WIDTH
from dhc.backends.printer import PRIMARY, Printer, Text, call
from dhc.backends.ranges import Ranges
from dhc.ir.kernel import Alloc, Assign, Declare, For, If, Kernel, Let, Statement, Store, statements
from dhc.ir.scalar import (
    Binary,
    Bitcast,
    Buffer,
    Cast,
    Compare,
    Const,
    Fma,
    Load,
    Scalar,
    Select,
    Unary,
    Var,
)
from dhc.ir.types import DType
from dhc.lower.expand_math import expand_math_in_kernel

_UNARY, _PRODUCT, _SUM, _SHIFT, _BIT_AND, _BIT_XOR, _BIT_OR = 14, 13, 12, 11, 10, 9, 8
_ORDER, _NOT, _AND, _OR, _CHOICE = 7, 6, 5, 4, 3

_OPERATORS: Mapping[str, tuple[str, int]] = {
    "add": ("+", _SUM), "sub": ("-", _SUM), "mul": ("*", _PRODUCT), "div": ("/", _PRODUCT),
    "and": ("&", _BIT_AND), "or": ("|", _BIT_OR), "xor": ("^", _BIT_XOR), "shl": ("<<", _SHIFT),
    "shr": (">>", _SHIFT),
}  # fmt: skip
_LOGIC: Mapping[str, tuple[str, int]] = {
    "mul": ("and", _AND), "min": ("and", _AND), "xor": ("!=", _ORDER),
    "or": ("or", _OR), "add": ("or", _OR), "max": ("or", _OR),
}  # fmt: skip
_RELATIONS: Mapping[str, str] = {
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
}  # fmt: skip
_NUMPY: Mapping[str, str] = {
    "exp": "np.exp", "log": "np.log", "tanh": "np.tanh", "erf": "math.erf", "sqrt": "np.sqrt",
    "sin": "np.sin", "cos": "np.cos", "floor": "np.floor", "ceil": "np.ceil", "round": "np.rint",
    "trunc": "np.trunc",
}  # fmt: skip
_MODULAR = ("add", "sub", "mul", "and", "or", "xor")
"""Whose low bits depend only on the low bits of the operands."""

FUNCTIONS = frozenset(
    {
        *("fma", "same_bits", "minimum", "maximum", "power"),
        *("floordiv", "floordiv_u64", "floordiv_float", "mod", "mod_u64", "mod_float"),
        *(f"saturate_{dtype.value}" for dtype in DType if dtype.is_integer and not dtype.is_narrow),
    }
)
"""What `dhc.backends.cpu.numba.functions` gives to printed text."""

TYPES: Mapping[str, str] = {
    dtype.value: f"np.{'bool_' if dtype is DType.BOOL else dtype.numpy.name}"
    for dtype in DType
    if dtype is not DType.F16 and not dtype.is_narrow
}
"""The names of element types in printed text, and what they stand for."""

_RESERVED = FUNCTIONS | {*keyword.kwlist, *TYPES, "np", "math", "range", "prange", "njit", "run"}


def python_name(name: str) -> str:
    """Returns an identifier as close to `name` as can be."""
    clean = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
    clean = clean if clean and clean[0].isalpha() else f"v{clean}"
    return f"{clean}_" if clean in _RESERVED else clean


def is_parallel(kernel: Kernel) -> bool:
    """Whether workers share a loop of the kernel."""
    return any(isinstance(s, For) and s.kind == "parallel" for s in statements(kernel.body))


class NumbaPrinter(Printer):
    """Prints one kernel.

    Args:
        kernel: What to print; mathematical functions are expanded.

    Attributes:
        used: The names that the text needs from elsewhere.
    """

    indent: ClassVar[str] = "    "
    folds_inside: ClassVar[bool] = True

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self._kernel = expand_math_in_kernel(kernel)
        self._ranges = Ranges(self._kernel)
        self._unwrapped: dict[Scalar, Text] = {}
        self.used: set[str] = set()

    def text(self) -> str:
        """Returns the function."""
        kernel = self._kernel
        names = [*(b.name for b in kernel.buffers), *(s.name for s in kernel.sizes)]
        parallel = ", parallel=True" if is_parallel(kernel) else ""
        self.line(f'@njit(fastmath=False, error_model="numpy", nogil=True{parallel})')
        self.line(f"def {python_name(kernel.name)}({', '.join(map(python_name, names))}):")
        with self.indented():
            self._block(kernel.body)
        return "\n".join(self.lines) + "\n"

    # ---- statements ---------------------------------------------------------------------------

    def _block(self, body: tuple[Statement, ...]) -> None:
        self.body(body)
        if not body:
            self.line("pass")

    def loop(self, loop: For) -> None:
        var, extent = python_name(loop.var.name), self.expression(loop.extent)
        if loop.kind == "parallel":
            turn = f"{var}_turn"
            self.line(f"for {turn} in {self._use('prange')}({extent}):")
        else:
            self.line(f"for {var} in range({extent}):")
        with self.indented():
            if loop.kind == "parallel":
                self.line(f"{var} = {self._use('i64')}({turn})")
            self._block(loop.body)

    def branch(self, branch: If) -> None:
        self._with_value("if ", self.expression(branch.condition), ":")
        with self.indented():
            self._block(branch.then)
        if branch.otherwise:
            self.line("else:")
            with self.indented():
                self._block(branch.otherwise)

    def let(self, let: Let) -> None:
        self._define(let.var, let.value)

    def declare(self, declare: Declare) -> None:
        self._define(declare.var, declare.value)

    def assign(self, assign: Assign) -> None:
        self._define(assign.var, assign.value)

    def _define(self, var: Var, value: Scalar) -> None:
        self._with_value(f"{python_name(var.name)} = ", self.expression(value))

    def store(self, store: Store) -> None:
        target = self._element(store.buffer, store.index)
        self._with_value(f"{target} = ", self.expression(store.value))

    def _with_value(self, start: str, value: Text, end: str = "") -> None:
        """Appends a line; a value that is too long for it gets brackets, to be folded."""
        long = len(f"{self.margin}{start}{value}{end}") > WIDTH
        self.line(f"{start}{value.at(PRIMARY) if long else value}{end}")

    def alloc(self, alloc: Alloc) -> None:
        buffer = alloc.buffer
        shape = f"({', '.join(str(size) for size in buffer.shape)},)"
        kind = self._use(buffer.type.value)
        self.line(f"{python_name(buffer.name)} = np.empty({shape}, {kind})")

    def barrier(self) -> None:
        raise TypeError("kernels for processors have no barriers")

    # ---- expressions --------------------------------------------------------------------------

    def operation(self, part: Scalar, operands: Mapping[Scalar, Text]) -> Text:
        match part:
            case Const():
                return self._constant(part)
            case Var(name):
                return Text(python_name(name), PRIMARY)
            case Unary():
                return self._unary(part, operands[part.operand])
            case Binary():
                return self._binary(part, operands)
            case Compare(relation, left, right):
                sides = (self._plain(side, operands) for side in (left, right))
                return _infix((_RELATIONS[relation], _ORDER), *sides)
            case Select(condition, then, otherwise):
                return _choice(*(operands[side] for side in (condition, then, otherwise)))
            case Fma(left, right, addend):
                return self._call("fma", operands[left], operands[right], operands[addend])
            case Cast(operand, dtype, saturate):
                return self._cast(operands[operand], operand, dtype, saturate)
            case Bitcast(operand, dtype):
                return self._bitcast(operands[operand], operand, dtype)
            case Load(buffer, place, guard, otherwise):
                # Inside of prange, numba cannot index an array without axes.
                own = f"{python_name(buffer.name)}.item()"
                element = Text(self._element(buffer, place) if place else own, PRIMARY)
                if guard is None or otherwise is None:
                    return element
                return _choice(operands[guard], element, operands[otherwise])
        raise TypeError(f"'{type(part).__name__}' is not part of a kernel that can be printed")

    def _use(self, name: str) -> str:
        self.used.add(name)
        return name

    def _call(self, function: str, *arguments: Text) -> Text:
        return call(self._use(function), *arguments)

    def _element(self, buffer: Buffer, place: tuple[Scalar, ...]) -> str:
        index = ", ".join(str(self.expression(i)) for i in place)
        return f"{python_name(buffer.name)}[{index or '()'}]"

    def _constant(self, constant: Const) -> Text:
        text = _number(constant)
        if constant.type in (DType.F64, DType.I64, DType.BOOL):
            return text
        return self._call(constant.type.value, text)

    def _plain(self, part: Scalar, operands: Mapping[Scalar, Text]) -> Text:
        """Returns an operand of integer arithmetic, where constants need no type."""
        narrow = part.dtype.is_integer and part.dtype is not DType.U64
        return _number(part) if narrow and isinstance(part, Const) else operands[part]

    def _unary(self, part: Unary, operand: Text) -> Text:
        dtype = part.dtype
        match part.function:
            case "neg":
                separate = " " if operand.text.startswith("-") else ""
                return self._wrapped(part, Text(f"-{separate}{operand.at(_UNARY)}", _UNARY))
            case "not" if dtype is DType.BOOL:
                return Text(f"not {operand.at(_NOT)}", _NOT)
            case "not":
                return self._wrapped(part, Text(f"~{operand.at(_UNARY)}", _UNARY))
            case "abs":
                return self._wrapped(part, call("abs", operand)) if dtype.is_signed else operand
        return call(_NUMPY[part.function], operand)

    def _binary(self, part: Binary, operands: Mapping[Scalar, Text]) -> Text:
        function, dtype = part.function, part.dtype
        left, right = operands[part.left], operands[part.right]
        if dtype is DType.BOOL and function == "and":
            return self._conjunction(part, operands)
        if dtype is DType.BOOL and function in _LOGIC:
            return _infix(_LOGIC[function], left, right)
        if function in ("min", "max"):
            return self._call(f"{function}imum", left, right)
        if function == "pow" and dtype.is_float:
            return call("np.power", left, right)
        if function == "pow":
            return self._call(dtype.value, self._call("power", left, right))
        if function in ("floordiv", "mod"):
            return self._wrapped(part, self._division(part, operands))
        sides = [self._plain(side, operands) for side in (part.left, part.right)]
        if function in _MODULAR:
            raw = (part.left, part.right)
            sides = [self._unwrapped.get(p, s) for p, s in zip(raw, sides, strict=True)]
        if function == "add" and sides[1].text.startswith("-") and isinstance(part.right, Const):
            text = _infix(("-", _SUM), sides[0], Text(sides[1].text[1:], PRIMARY))
        else:
            text = _infix(_OPERATORS[function], *sides)
        return self._wrapped(part, text)

    def _conjunction(self, part: Binary, operands: Mapping[Scalar, Text]) -> Text:
        """Prints `a and b and c`; `low <= x < high` where neighbours bound one value."""
        texts: list[str] = []
        conditions = _conditions(part)
        while conditions:
            match conditions[:2]:
                case [
                    Compare("ge", bounded, low),
                    Compare("lt" | "le" as relation, value, high),
                ] if bounded is value:
                    sides = [self._plain(side, operands).at(_SUM) for side in (low, value, high)]
                    texts.append(f"{sides[0]} <= {sides[1]} {_RELATIONS[relation]} {sides[2]}")
                    del conditions[:2]
                case _:
                    texts.append(operands[conditions.pop(0)].at(_NOT))
        return Text(" and ".join(texts), _AND if len(texts) > 1 else _ORDER)

    def _division(self, part: Binary, operands: Mapping[Scalar, Text]) -> Text:
        """Prints integers' own division where the divisor is positive; by zero gives zero."""
        function, dtype = part.function, part.dtype
        bounds = self._ranges.of(part.right) if dtype.is_integer else None
        if bounds is not None and bounds[0] > 0:
            sides = (self._plain(side, operands) for side in (part.left, part.right))
            return _infix(("//" if function == "floordiv" else "%", _PRODUCT), *sides)
        kind = "_float" if dtype.is_float else "_u64" if dtype is DType.U64 else ""
        return self._call(f"{function}{kind}", operands[part.left], operands[part.right])

    def _wrapped(self, part: Scalar, text: Text) -> Text:
        """Converts what numba computes in 64 bits to the type; i64 never overflows."""
        dtype = part.dtype
        if dtype.is_float or dtype is DType.I64:
            return text
        if dtype is DType.U64 and isinstance(part, Binary):
            return text
        if dtype.is_signed and isinstance(part, Binary) and part.function in _MODULAR:
            self._unwrapped[part] = text
        return self._call(dtype.value, text)

    def _cast(self, text: Text, operand: Scalar, dtype: DType, saturate: bool) -> Text:
        if dtype is DType.BOOL:
            return _infix(("!=", _ORDER), text, Text("0", PRIMARY))
        if saturate and dtype.is_integer:
            return self._call(f"saturate_{dtype.value}", text)
        return self._call(dtype.value, text)

    def _bitcast(self, text: Text, operand: Scalar, dtype: DType) -> Text:
        if operand.dtype.is_integer and dtype.is_integer:
            return self._call(dtype.value, self._unwrapped.get(operand, text))
        return self._call("same_bits", text, Text(self._use(dtype.value), PRIMARY))


def _conditions(part: Scalar) -> list[Scalar]:
    """Returns what must all hold for a conjunction, from left to right."""
    match part:
        case Binary("and", left, right):
            return [*_conditions(left), *_conditions(right)]
    return [part]


def _number(constant: Const) -> Text:
    value = constant.value
    if isinstance(value, float) and not math.isfinite(value):
        name = "np.nan" if math.isnan(value) else "np.inf"
        text = f"-{name}" if value < 0 else name
    else:
        text = repr(value)
    return Text(text, _UNARY if text.startswith("-") else PRIMARY)


def _infix(operator: tuple[str, int], left: Text, right: Text) -> Text:
    """Prints `left operator right`; what is easily misread gets parentheses."""
    symbol, level = operator
    if level >= _SUM:
        clear = level
    elif level in (_AND, _OR):
        clear = _NOT
    else:
        clear = _SUM if level == _ORDER else _UNARY
    first = left.text if left.level == level and level != _ORDER else left.at(clear)
    return Text(f"{first} {symbol} {right.at(max(clear, level + 1))}", level)


def _choice(condition: Text, then: Text, otherwise: Text) -> Text:
    sides = then.at(_CHOICE + 1), condition.at(_CHOICE + 1), otherwise.at(_CHOICE)
    return Text(f"{sides[0]} if {sides[1]} else {sides[2]}", _CHOICE)
