"""The syntax tree of a .dhm file: frozen nodes, each with its place in the source.

Spans take no part in comparison, so two trees are equal when they say the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Literal

from dhc.source import SourceFile, Span


@dataclass(frozen=True, slots=True)
class Node:
    """Anything that stands in the source."""

    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Identifier(Node):
    """A name where it is declared, or the name of an argument, setting or member."""

    text: str


# ---- expressions -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name(Node):
    text: str


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number as written; `unit` is empty, "%" or a physical unit."""

    value: int | float
    unit: str


@dataclass(frozen=True, slots=True)
class String(Node):
    value: str


@dataclass(frozen=True, slots=True)
class List(Node):
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Tuple(Node):
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Argument(Node):
    name: Identifier | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Call(Node):
    callee: Expression
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Member(Node):
    value: Expression
    name: Identifier


@dataclass(frozen=True, slots=True)
class Index(Node):
    value: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: Literal["-", "not"]
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """`operator` is one of + - * / // ^ and or == != < <= > >=."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Interval(Node):
    """`low .. high`: a random draw or an interval, as the parameter's type says."""

    low: Expression
    high: Expression


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """`source -> stage -> stage`."""

    source: Expression
    stages: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Binding(Node):
    """The start value of something carried by a scan."""

    name: Identifier
    value: Expression


@dataclass(frozen=True, slots=True)
class Scan(Node):
    arguments: tuple[Argument, ...]
    names: tuple[Identifier, ...]
    sequence: Expression
    bindings: tuple[Binding, ...]
    body: Body


Expression = (
    Name
    | Number
    | String
    | List
    | Tuple
    | Call
    | Member
    | Index
    | Unary
    | Binary
    | Conditional
    | Interval
    | Chain
    | Scan
)


# ---- types -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dim(Node):
    """A size in a type: `N`, `3`, `?` (size is None), or `C=?`, `H=h2` (with an axis name)."""

    axis: Identifier | None
    size: Expression | None


@dataclass(frozen=True, slots=True)
class Type(Node):
    """`f32[N, 3, H, W]`, `image[3]`, `dicom_series(modality="CT")`; dims is None without []."""

    name: Identifier
    dims: tuple[Dim, ...] | None
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    name: Identifier
    type: Type | None
    default: Expression | None


# ---- statements ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Body(Node):
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Input(Node):
    name: Identifier
    type: Type


@dataclass(frozen=True, slots=True)
class Output(Node):
    name: Identifier | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Carry(Node):
    name: Identifier
    value: Expression


@dataclass(frozen=True, slots=True)
class Yield(Node):
    name: Identifier | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Assign(Node):
    names: tuple[Identifier, ...]
    value: Expression


@dataclass(frozen=True, slots=True)
class Stages(Node):
    """A chain that stands alone, such as `conv(64) -> relu()`."""

    stages: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class If(Node):
    condition: Expression
    then: Body
    otherwise: Body | If | None


@dataclass(frozen=True, slots=True)
class For(Node):
    names: tuple[Identifier, ...]
    sequence: Expression
    body: Body


@dataclass(frozen=True, slots=True)
class Repeat(Node):
    count: Expression
    body: Body


@dataclass(frozen=True, slots=True)
class OneOf(Node):
    arguments: tuple[Argument, ...]
    body: Body


@dataclass(frozen=True, slots=True)
class Let(Node):
    name: Identifier
    value: Expression


@dataclass(frozen=True, slots=True)
class Share(Node):
    name: Identifier
    value: Expression


Statement = (
    Input | Output | Carry | Yield | Assign | Stages | If | For | Repeat | OneOf | Let | Share
)


# ---- items -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Import(Node):
    path: String
    alias: Identifier | None


@dataclass(frozen=True, slots=True)
class Function(Node):
    name: Identifier
    parameters: tuple[Parameter, ...]
    value: Expression


@dataclass(frozen=True, slots=True)
class Definition(Node):
    """A block, model, pipeline or app."""

    kind: Literal["block", "model", "pipeline", "app"]
    name: Identifier
    parameters: tuple[Parameter, ...]
    body: Body


@dataclass(frozen=True, slots=True)
class Setting(Node):
    name: Identifier
    value: Expression


@dataclass(frozen=True, slots=True)
class Section(Node):
    """Named settings inside settings, such as `distribute { ... }`."""

    name: Identifier
    settings: Settings


@dataclass(frozen=True, slots=True)
class Settings(Node):
    entries: tuple[Setting | Section, ...]


@dataclass(frozen=True, slots=True)
class Configuration(Node):
    """A train, target or study."""

    kind: Literal["train", "target", "study"]
    name: Identifier
    settings: Settings


Item = Import | Let | Function | Share | Definition | Configuration


@dataclass(frozen=True, slots=True)
class Module(Node):
    """One file."""

    file: SourceFile = field(compare=False, repr=False)
    version: int | None
    items: tuple[Item, ...]


def children(node: Node) -> Iterator[Node]:
    """Yields the nodes directly inside a node, in the order of the source."""
    for each in fields(node):
        value = getattr(node, each.name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, Node))
