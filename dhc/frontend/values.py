"""What expressions of the language evaluate to at compile time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dhc.frontend import ast
from dhc.ir.graph import Node
from dhc.ir.size import Expr
from dhc.source import Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from dhc.frontend.scope import Scope
    from dhc.ops.base import Layer, Operator


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit, in the base unit of its kind (see `units`)."""

    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Word:
    """A bare word that names a choice, such as `same`, `bilinear` or the axis `C`."""

    text: str


@dataclass(frozen=True, slots=True)
class Zeros:
    """The start value of a scan: zeros of a shape, for every sample of the batch."""

    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """`low .. high`."""

    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class Bundle:
    """Several values that travel together: a tuple, or the outputs of a block by name."""

    values: tuple[Value, ...]
    names: tuple[str, ...] = ()

    def member(self, name: str) -> Value | None:
        return dict(zip(self.names, self.values, strict=False)).get(name)


@dataclass(frozen=True, slots=True)
class Builtin:
    """A pure function of the language, computed by Python."""

    name: str
    function: Callable[..., Value] = field(compare=False)


@dataclass(frozen=True, slots=True)
class FunctionValue:
    """A `fn` and the scope it was written in."""

    definition: ast.Function
    scope: Scope = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DefinitionValue:
    """A block, model, pipeline or app, and the scope it was written in."""

    definition: ast.Definition
    scope: Scope = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        return self.definition.name.text


@dataclass(frozen=True, slots=True)
class Primitive:
    """An operator or layer of the registries."""

    name: str
    target: type[Operator] | Layer = field(compare=False)


@dataclass(frozen=True, slots=True)
class Given:
    """An argument of a call: its name if it has one, its value, and where it stands."""

    name: str | None
    value: Value
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Instance:
    """A block, model, pipeline or layer with its arguments, not yet applied to inputs.

    `shared` is the weight path of a `share`; applications of one share use the same weights.
    """

    callee: DefinitionValue | Primitive
    arguments: tuple[Given, ...]
    span: Span = field(compare=False, repr=False)
    shared: str | None = None


@dataclass(frozen=True, slots=True)
class Stub:
    """A function of the vocabulary; its call makes a `Record`."""

    name: str


@dataclass(frozen=True, slots=True)
class Record:
    """A call that only describes something, such as `adam(lr=1e-3)` or `dataset("a.yml")`."""

    name: str
    arguments: tuple[tuple[str, Value], ...]
    span: Span = field(compare=False, repr=False)

    def get(self, name: str) -> Value:
        return dict(self.arguments).get(name)


@dataclass(frozen=True, slots=True)
class Reference:
    """Something that exists only when running: `lung.best`, `val.auc`, a column of a table."""

    path: str


@dataclass(frozen=True, slots=True)
class ConfigurationValue:
    """A train, target or study by name."""

    definition: ast.Configuration
    scope: Scope = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A file imported under a name."""

    name: str
    scope: Scope = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Broken:
    """The result of something whose error has been reported already."""


Callee = Builtin | FunctionValue | DefinitionValue | Primitive | Instance
Value = (
    None
    | bool
    | int
    | float
    | str
    | Quantity
    | Word
    | Zeros
    | Interval
    | Bundle
    | Expr
    | Node
    | Builtin
    | FunctionValue
    | DefinitionValue
    | Primitive
    | Instance
    | Stub
    | Record
    | Reference
    | ConfigurationValue
    | Namespace
    | Broken
    | tuple["Value", ...]
)

# Base units, and what each written unit is in them.
UNITS: dict[str, tuple[str, float]] = {
    "%": ("", 0.01),
    "deg": ("deg", 1.0),
    "px": ("px", 1.0),
    "um": ("mm", 1e-3),
    "mm": ("mm", 1.0),
    "cm": ("mm", 10.0),
    "us": ("s", 1e-6),
    "ms": ("s", 1e-3),
    "s": ("s", 1.0),
    "Hz": ("Hz", 1.0),
    "kHz": ("Hz", 1e3),
    "MHz": ("Hz", 1e6),
    "GHz": ("Hz", 1e9),
    "kB": ("B", 1e3),
    "MB": ("B", 1e6),
    "GB": ("B", 1e9),
}


def describe(value: Value) -> str:
    """A value in the words of a message."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f'the string "{value if len(value) <= 40 else value[:37] + "..."}"'
        case Quantity(number, unit):
            return f"{number:g}{unit}"
        case Word(text):
            return f"'{text}'"
        case Node():
            return f"the tensor {value.type}"
        case Expr():
            return f"the size {value}"
        case tuple():
            return f"a list of {len(value)}"
        case Bundle(values):
            return f"{len(values)} values"
        case Zeros():
            return "zeros(...)"
        case Interval():
            return "a range a .. b"
        case _:
            return _describe_other(value)


def _describe_other(value: Value) -> str:
    match value:
        case Builtin(name) | Primitive(name) | Stub(name):
            return f"'{name}' itself, without a call"
        case FunctionValue(definition):
            return f"the function '{definition.name.text}'"
        case DefinitionValue(definition) | ConfigurationValue(definition):
            return f"the {definition.kind} '{definition.name.text}'"
        case Instance(callee):
            return f"'{callee.name}(...)' that is not applied to anything"
        case Record(name):
            return f"{name}(...)"
        case Reference(path):
            return f"'{path}'"
        case Namespace(name):
            return f"the file '{name}'"
        case _:
            return "a value"
