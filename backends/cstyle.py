"""Prints kernels as C: one body for CUDA and OpenCL, and, with other words around it, HLS C++.

What the dialects name differently is in `Dialect` and in the preamble that each backend puts before
the text; `cstyle.h` has the functions that plain C lacks. Indices are 32-bit where every index and
address of a kernel fits (`Ranges`), which is decided here once for the whole kernel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources

from dhc.backends.fold import WIDTH
from dhc.backends.keywords import mangle
from dhc.backends.launch import grid_dimension, thread_counts
from dhc.backends.printer import PRIMARY, Printer, Text, call
from dhc.backends.ranges import INT32, Ranges, address, fits, indices_fit_int32
from dhc.ir.kernel import Alloc, Assign, Declare, For, If, Kernel, Let, LoopKind, Store, statements
from dhc.ir.number import type_range
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
    lift,
)
from dhc.ir.types import DType
from dhc.lower.expand_math import expand_math_in_kernel

_UNARY, _PRODUCT, _SUM, _SHIFT, _ORDER, _EQUAL = 14, 13, 12, 11, 10, 9
_BIT_AND, _BIT_XOR, _BIT_OR, _AND, _OR, _CHOICE = 8, 7, 6, 5, 4, 3

_TYPES: Mapping[DType, str] = {
    DType.F64: "double", DType.F32: "float", DType.F16: "half", DType.I64: "i64", DType.I32: "int",
    DType.I16: "i16", DType.I8: "i8", DType.U64: "u64", DType.U32: "u32", DType.U16: "u16",
    DType.U8: "u8", DType.BOOL: "bool",
}  # fmt: skip
_OPERATORS: Mapping[str, tuple[str, int]] = {
    "add": ("+", _SUM), "sub": ("-", _SUM), "mul": ("*", _PRODUCT), "div": ("/", _PRODUCT),
    "and": ("&", _BIT_AND), "or": ("|", _BIT_OR), "xor": ("^", _BIT_XOR), "shl": ("<<", _SHIFT),
    "shr": (">>", _SHIFT),
}  # fmt: skip
_LOGIC: Mapping[str, tuple[str, int]] = {
    "and": ("&&", _AND), "or": ("||", _OR), "xor": ("!=", _EQUAL), "min": ("&&", _AND),
    "max": ("||", _OR),
}  # fmt: skip
_RELATIONS: Mapping[str, tuple[str, int]] = {
    "lt": ("<", _ORDER), "le": ("<=", _ORDER), "gt": (">", _ORDER), "ge": (">=", _ORDER),
    "eq": ("==", _EQUAL), "ne": ("!=", _EQUAL),
}  # fmt: skip
_WRAPPING = ("add", "sub", "mul", "shl")


@dataclass(frozen=True)
class Dialect:
    """What kinds of C name differently.

    Attributes:
        head: How a kernel starts, with `{name}` and `{threads}`.
        output, input, size: How a parameter is declared, with `{type}` and `{name}`.
        opened: Whether buffers are made pointers by a first line in the kernel.
        inside: For kinds of loops, a line that stands first in their body.
        innermost: A line that stands first in every loop without inner loops.
    """

    head: str
    output: str
    input: str
    size: str
    opened: bool = False
    inside: Mapping[LoopKind, str] = field(default_factory=dict)
    innermost: str = ""


GRID = Dialect(
    head="KERNEL({threads}) void {name}",
    output="OUTPUT({type}, {name})",
    input="INPUT({type}, {name})",
    size="SIZE({name})",
    opened=True,
)
"""CUDA and OpenCL: the preambles define the words in capitals."""

PLAIN = Dialect(
    head="static void {name}",
    output="{type} *{name}",
    input="const {type} *{name}",
    size="const i64 {name}",
    innermost="#pragma HLS PIPELINE",
    inside={"unroll": "#pragma HLS UNROLL"},
)
"""C++ for high-level synthesis."""


def memory_type(dtype: DType) -> str:
    """Returns the C type of an element in memory; what C lacks are typedefs of the preamble."""
    return "u8" if dtype is DType.BOOL else _TYPES[dtype.stored]


def unsupported(dtype: DType) -> bool:
    """Whether no C printer has this element type."""
    return dtype.stored not in _TYPES


def helper_text() -> str:
    """Returns the functions that printed kernels call; they follow a backend's own preamble."""
    return resources.files("dhc.backends").joinpath("cstyle.h").read_text(encoding="utf-8")


def print_kernel(kernel: Kernel, dialect: Dialect) -> str:
    """Returns the C text of a kernel, mathematical functions expanded."""
    return CPrinter(expand_math_in_kernel(kernel), dialect).text()


class CPrinter(Printer):
    """Prints one kernel.

    Args:
        kernel: What to print; names that C reserves are changed.
        dialect: Which C.
    """

    def __init__(self, kernel: Kernel, dialect: Dialect) -> None:
        super().__init__()
        self._kernel = kernel
        self._dialect = dialect
        self._ranges = Ranges(kernel)
        self._narrow = indices_fit_int32(kernel, self._ranges)
        self._names: dict[str, str] = {}
        self._unsigned: dict[Scalar, Text] = {}  # i32 sums and products before their conversion

    def text(self) -> str:
        """Returns the function."""
        self._head()
        with self.indented():
            self._open_buffers()
            for statement in statements(self._kernel.body):
                if isinstance(statement, Alloc) and statement.buffer.space == "shared":
                    self._array(statement.buffer, "SHARED ")
            self.body(self._kernel.body)
        self.line("}")
        return "\n".join(self.lines) + "\n"

    # ---- the function -------------------------------------------------------------------------

    def _head(self) -> None:
        threads = ", ".join(map(str, (*thread_counts(self._kernel), 1, 1)[:3]))
        name = mangle(self._kernel.name)
        head = self._dialect.head.format(name=name, threads=threads)
        parameters = [self._parameter(k) for k in range(len(self._kernel.buffers))]
        for size in self._kernel.sizes:
            parameters.append(self._dialect.size.format(name=self._name(size.name)))
        line = f"{head}({', '.join(parameters)}) {{"
        if len(line) > WIDTH:
            joined = ",\n    ".join(parameters)
            line = f"{head}(\n    {joined}) {{"
        self.lines.extend(line.splitlines())

    def _parameter(self, position: int) -> str:
        buffer = self._kernel.buffers[position]
        written = position < self._kernel.outputs
        form = self._dialect.output if written else self._dialect.input
        return form.format(type=memory_type(buffer.type), name=self._name(buffer.name))

    def _open_buffers(self) -> None:
        for position in range(len(self._kernel.buffers)) if self._dialect.opened else ():
            self.line(f"OPEN_{self._parameter(position)};")

    def _name(self, name: str) -> str:
        if name not in self._names:
            self._names[name] = mangle(name, self._names.values())
        return self._names[name]

    def _type(self, dtype: DType) -> str:
        return "int" if dtype is DType.I64 and self._narrow else _TYPES[dtype]

    # ---- statements ---------------------------------------------------------------------------

    def loop(self, loop: For) -> None:
        if loop.kind in ("block", "thread"):
            self._spread(loop)
            return
        var, index = self._name(loop.var.name), self._type(DType.I64)
        extent = self.expression(loop.extent).at(_ORDER + 1)
        self.line(f"for ({index} {var} = 0; {var} < {extent}; ++{var}) {{")
        pragma = self._dialect.inside.get(loop.kind, "")
        if not pragma and not any(isinstance(inner, For) for inner in statements(loop.body)):
            pragma = self._dialect.innermost
        if pragma:
            self.lines.append(pragma)
        with self.indented():
            self.body(loop.body)
        self.line("}")

    def _spread(self, loop: For, alone: bool = False) -> None:
        """Prints a loop that the device runs: its variable is the number of a block or thread."""
        if loop.kind == "thread" and not alone:
            self.line("{")
            with self.indented():
                self._spread(loop, alone=True)
            self.line("}")
            return
        dimension = grid_dimension(self._kernel, loop)
        word = "GROUP" if loop.kind == "block" else "LOCAL"
        index = self._type(DType.I64)
        self.line(f"const {index} {self._name(loop.var.name)} = {word}({dimension});")
        match loop.body:
            case (For(kind="block" | "thread") as inner,):
                self._spread(inner, alone=True)
            case _ if loop.kind == "block":
                self.body(loop.body)
            case _:
                self._within_extent(loop, thread_counts(self._kernel)[dimension])

    def _within_extent(self, loop: For, threads: int) -> None:
        if isinstance(loop.extent, Const) and loop.extent.value == threads:
            self.body(loop.body)
        else:
            self.branch(If(loop.var < loop.extent, loop.body))

    def branch(self, branch: If) -> None:
        self.line(f"if ({self.expression(branch.condition)}) {{")
        with self.indented():
            self.body(branch.then)
        if branch.otherwise:
            self.line("} else {")
            with self.indented():
                self.body(branch.otherwise)
        self.line("}")

    def let(self, let: Let) -> None:
        self._define("const ", let.var, let.value)

    def declare(self, declare: Declare) -> None:
        self._define("", declare.var, declare.value)

    def _define(self, qualifier: str, var: Var, value: Scalar) -> None:
        text = self.expression(value)
        self.line(f"{qualifier}{self._type(var.type)} {self._name(var.name)} = {text};")

    def assign(self, assign: Assign) -> None:
        self.line(f"{self._name(assign.var.name)} = {self.expression(assign.value)};")

    def store(self, store: Store) -> None:
        value = self.expression(store.value)
        self.line(f"{self._element(store.buffer, store.index)} = {value};")

    def alloc(self, alloc: Alloc) -> None:
        if alloc.buffer.space != "shared":
            self._array(alloc.buffer, "")

    def _array(self, buffer: Buffer, qualifier: str) -> None:
        shape = [size for size in buffer.shape if isinstance(size, int)]
        assert len(shape) == len(buffer.shape), f"the size of '{buffer.name}' is not known"
        last = address(buffer, tuple(lift(max(size - 1, 0), DType.I64) for size in shape))
        assert isinstance(last, Const)
        size, name = int(last.value) + 1, self._name(buffer.name)
        self.line(f"{qualifier}{memory_type(buffer.type)} {name}[{size}];")

    def barrier(self) -> None:
        self.line("BARRIER();")

    # ---- expressions --------------------------------------------------------------------------

    def operation(self, part: Scalar, operands: Mapping[Scalar, Text]) -> Text:
        match part:
            case Const():
                return self._constant(part)
            case Var(name):
                return Text(self._name(name), PRIMARY)
            case Unary():
                return self._unary(part, operands[part.operand])
            case Binary():
                return self._binary(part, operands[part.left], operands[part.right])
            case Compare(relation, left, right):
                return _infix(_RELATIONS[relation], operands[left], operands[right])
            case Select(condition, then, otherwise):
                return _choice(*(operands[side] for side in (condition, then, otherwise)))
            case Fma(left, right, addend):
                return call("fma", operands[left], operands[right], operands[addend])
            case Cast(operand, dtype, saturate):
                return self._cast(operands[operand], operand, dtype, saturate)
            case Bitcast(operand, dtype):
                return self._bitcast(operands[operand], operand, dtype)
            case Load(buffer, place, guard, otherwise):
                element = Text(self._element(buffer, place), PRIMARY)
                if guard is None or otherwise is None:
                    return element
                return _choice(operands[guard], element, operands[otherwise])
        raise TypeError(f"'{type(part).__name__}' is not part of a kernel that can be printed")

    def _element(self, buffer: Buffer, place: tuple[Scalar, ...]) -> str:
        return f"{self._name(buffer.name)}[{self.expression(address(buffer, place))}]"

    def _constant(self, constant: Const) -> Text:
        if constant.type is DType.BOOL:
            return Text("true" if constant.value else "false", PRIMARY)
        if constant.type.is_float:
            text = _float_text(float(constant.value), constant.type)
        else:
            text = _integer_text(int(constant.value), constant.type)
        return Text(text, _UNARY if text[0] in "-(" else PRIMARY)

    def _unary(self, part: Unary, operand: Text) -> Text:
        dtype, name = part.dtype, self._type(part.dtype)
        match part.function:
            case "neg":
                separate = " " if operand.text.startswith("-") else ""
                text = Text(f"-{separate}{operand.at(_UNARY)}", _UNARY)
                return self._wrapped(part, text) if dtype.is_integer else text
            case "not" if dtype is DType.BOOL:
                return Text(f"!{operand.at(_UNARY)}", _UNARY)
            case "not":
                return self._wrapped(part, Text(f"~{operand.at(_UNARY)}", _UNARY))
            case "abs" if dtype.is_integer:
                return call(f"abs_{name}", operand) if dtype.is_signed else operand
            case "abs":
                return call("fabs", operand)
            case "round":
                return call("rint", operand)
        return call(part.function, operand)

    def _binary(self, part: Binary, left: Text, right: Text) -> Text:
        function, dtype = part.function, part.dtype
        if dtype is DType.BOOL and function in _LOGIC:
            return _infix(_LOGIC[function], left, right)
        if function in ("floordiv", "mod") and self._divides_plainly(part):
            return _infix(("/" if function == "floordiv" else "%", _PRODUCT), left, right)
        if function == "pow" and dtype.is_float:
            return call("pow", left, right)
        if function not in _OPERATORS:
            return call(f"{function}_{self._type(dtype)}", left, right)
        if function == "add" and isinstance(part.right, Const) and right.text.startswith("-"):
            text = _infix(("-", _SUM), left, Text(right.text[1:], PRIMARY))
        else:
            text = _infix(_OPERATORS[function], left, right)
        return self._wrapped(part, text, left, right) if dtype.is_integer else text

    def _divides_plainly(self, part: Binary) -> bool:
        """Whether C's division, which truncates and must not divide by zero, gives the same."""
        if not part.dtype.is_integer:
            return False
        most = type_range(part.dtype)[1]
        return fits(self._ranges.of(part.left), (0, most)) and fits(
            self._ranges.of(part.right), (1, most)
        )

    def _wrapped(self, part: Unary | Binary, text: Text, *sides: Text) -> Text:
        """Returns integer arithmetic that wraps where the type says so; i64 never overflows."""
        dtype = part.dtype
        if dtype in (DType.I64, DType.U32, DType.U64):
            return text
        if dtype.bits < 32 and part.function != "mul":
            return Text(f"({_TYPES[dtype]})({text})", _UNARY)
        if part.function not in _WRAPPING or self._stays_inside(part):
            return text
        assert isinstance(part, Binary)
        left, right = self._as_u32(part.left, sides[0]), sides[1]
        if part.function != "shl":
            right = self._as_u32(part.right, right)
        inner = _infix(_OPERATORS[part.function], left, right)
        if dtype is DType.I32:
            self._unsigned[part] = inner
        return Text(f"({_TYPES[dtype]})({inner})", _UNARY)

    def _as_u32(self, value: Scalar, text: Text) -> Text:
        """Returns the same bits as u32, in which arithmetic wraps."""
        if isinstance(value, Const):
            return Text(f"{int(value.value) % 2**32}u", PRIMARY)
        return self._unsigned.get(value) or Text(f"(u32){text.at(_UNARY)}", _UNARY)

    def _stays_inside(self, part: Unary | Binary) -> bool:
        if not isinstance(part, Binary) or part.dtype is not DType.I32:
            return False
        both = [self._ranges.of(side) for side in (part.left, part.right)]
        if part.function == "shl" or not all(fits(bounds, INT32) for bounds in both):
            return False
        return fits(self._ranges.of(part), INT32)

    def _cast(self, text: Text, operand: Scalar, dtype: DType, saturate: bool) -> Text:
        name = self._type(dtype)
        if dtype is DType.BOOL:
            return Text(f"{text.at(_SUM)} != 0", _EQUAL)
        if saturate and not fits(self._ranges.of(operand), type_range(dtype)):
            return call(f"saturate_{name}_{_wide(operand.dtype)}", text)
        return Text(f"({name}){text.at(_UNARY)}", _UNARY)

    def _bitcast(self, text: Text, operand: Scalar, target: DType) -> Text:
        source = operand.dtype
        if target is DType.U32 and source is DType.I32:
            return self._as_u32(operand, text)
        if source.is_float == target.is_float:
            return Text(f"({_TYPES[target]}){text.at(_UNARY)}", _UNARY)
        return call(f"{_TYPES[target]}_of_{_TYPES[source]}_bits", text)


def _wide(dtype: DType) -> str:
    """The type that a saturating cast takes: floats as they are, integers as the widest."""
    if dtype.is_float:
        return _TYPES[dtype]
    return "u64" if dtype is DType.U64 else "i64"


def _float_text(value: float, dtype: DType) -> str:
    suffix = "" if dtype is DType.F64 else "f"
    if math.isnan(value):
        text = "NAN"
    elif math.isinf(value):
        text = "INFINITY" if value > 0 else "-INFINITY"
    else:
        text = repr(value) + suffix
    if dtype is DType.F16 or (dtype is DType.F64 and not math.isfinite(value)):
        return f"({_TYPES[dtype]}){text}"
    return text


def _integer_text(value: int, dtype: DType) -> str:
    low, _ = type_range(dtype)
    if value == low and dtype in (DType.I32, DType.I64):
        return f"({value + 1} - 1)"
    return f"{value}u" if dtype in (DType.U32, DType.U64) else str(value)


def _infix(operator: tuple[str, int], left: Text, right: Text) -> Text:
    """Prints `left operator right`; what is easily misread gets parentheses."""
    symbol, level = operator
    if level >= _SUM:
        clear = level
    elif level in (_ORDER, _EQUAL):
        clear = _SUM
    else:
        clear = _EQUAL if level in (_AND, _OR) else _UNARY
    first = left.text if left.level == level and level != _EQUAL else left.at(clear)
    return Text(f"{first} {symbol} {right.at(max(clear, level + 1))}", level)


def _choice(condition: Text, then: Text, otherwise: Text) -> Text:
    text = f"{condition.at(_CHOICE + 1)} ? {then.at(_CHOICE + 1)} : {otherwise.at(_CHOICE)}"
    return Text(text, _CHOICE)
