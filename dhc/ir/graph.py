"""The graph language: one immutable, interned node; a graph names its inputs and outputs.

A network, an image pipeline and a training step are the same kind of graph. Operators are frozen
dataclasses that hold their attributes, so `Conv(stride=(2, 2), ...)` is a value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dhc.ir.interning import Interned
from dhc.ir.size import Expr, Size, substitute
from dhc.ir.types import DType, Tensor
from dhc.source import Span

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Op:
    """An operator with its attributes. `dhc.ops.base` has the classes that contributors extend.

    Attributes:
        name: What it is called.
        finds: Whether it finds the counts that it says: see `dhc.ir.counts`.
    """

    name: ClassVar[str] = ""
    finds: ClassVar[bool] = False

    def infer(self, *inputs: Any, **unused: Any) -> Tensor:
        """Returns the type of the result; overridden with one `Tensor` for each input.

        Raises:
            dhc.ops.base.TypeRuleError: if the operator cannot take such inputs.
        """
        raise NotImplementedError

    def __call__(self, *inputs: Node) -> Node:
        return Node(self, inputs, self.infer(*(node.type for node in inputs)))

    def substitute(self, bindings: Mapping[str, Size]) -> Op:
        """Returns the operator with the symbols in its size attributes replaced."""
        changed = {f.name: _substitute(getattr(self, f.name), bindings) for f in fields(self)}
        return replace(self, **changed) if changed else self


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Node(metaclass=Interned):
    """One value: an operator applied to other values. Equal nodes are the same object."""

    op: Op
    inputs: tuple[Node, ...]
    type: Tensor

    def __repr__(self) -> str:
        return f"<{self.op.name}: {self.type}>"


# ---- leaves ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Input(Op):
    """A value that the caller gives."""

    name: ClassVar[str] = "input"
    label: str
    type: Tensor

    def infer(self, *inputs: Tensor) -> Tensor:
        return self.type

    def substitute(self, bindings: Mapping[str, Size]) -> Op:
        return Input(self.label, _substitute_type(self.type, bindings))


Distribution = Literal[
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "truncated_normal",
    "orthogonal",
    "constant",
]


@dataclass(frozen=True)
class Initializer:
    """How a parameter starts: a distribution and its scale.

    `glorot`, `he` and `lecun` take their scale from the fans. `value` is the number of `constant`,
    the deviation of `truncated_normal`, the norm of the units of `orthogonal`.
    """

    kind: Distribution = "constant"
    value: float = 0.0
    fan_in: int = 1
    fan_out: int = 1


@dataclass(frozen=True)
class Param(Op):
    """A weight, by its path in the program; its data lie beside the graph."""

    name: ClassVar[str] = "param"
    path: str
    type: Tensor
    initializer: Initializer = Initializer()
    trainable: bool = True

    def infer(self, *inputs: Tensor) -> Tensor:
        return self.type

    def substitute(self, bindings: Mapping[str, Size]) -> Op:
        return replace(self, type=_substitute_type(self.type, bindings))


@dataclass(frozen=True)
class Constant(Op):
    """An array known at compile time, by the digest of its content in `Graph.constants`."""

    name: ClassVar[str] = "constant"
    digest: str
    type: Tensor

    def infer(self, *inputs: Tensor) -> Tensor:
        return self.type


def digest_of(type: Tensor, content: Array) -> str:
    """Returns what `Graph.constants` keeps the elements of a tensor by, which lie in order."""
    return hashlib.sha256(f"{type}".encode() + content.tobytes()).hexdigest()


@dataclass(frozen=True)
class Literal_(Op):  # noqa: N801
    """One number, a tensor of rank 0."""

    name: ClassVar[str] = "literal"
    value: float | int | bool
    dtype: DType

    def infer(self, *inputs: Tensor) -> Tensor:
        return Tensor(self.dtype, ())


def literal(value: float | int | bool, dtype: DType) -> Node:
    """Returns a tensor of rank 0 that holds one number."""
    return Literal_(float(value) if dtype.is_float else value, dtype)()


# ---- graphs ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Origin:
    """Where a node came from: its place in the source and its path of layer names."""

    span: Span | None = None
    path: str = ""


Origins = Mapping[Node, tuple[Origin, ...]]


@dataclass(frozen=True)
class Graph:
    """A function from inputs and parameters to named outputs.

    Attributes:
        name: For people.
        inputs: `Input` nodes in calling order, used or not.
        outputs: Name and value of each result.
        updates: New values of stateful parameters, by path.
        origins: Where nodes came from; not part of the graph's identity.
        constants: Data of `Constant` nodes by digest; not part of the identity either.
    """

    name: str
    inputs: tuple[Node, ...]
    outputs: tuple[tuple[str, Node], ...]
    updates: tuple[tuple[str, Node], ...] = ()
    origins: Origins = field(default_factory=dict, compare=False, repr=False)
    constants: Mapping[str, Array] = field(default_factory=dict, compare=False, repr=False)

    @property
    def roots(self) -> tuple[Node, ...]:
        return tuple(node for _, node in (*self.outputs, *self.updates))

    @property
    def params(self) -> tuple[Param, ...]:
        """The parameters in use, in order of first use."""
        return tuple(n.op for n in topological(self.roots) if isinstance(n.op, Param))

    def origin(self, node: Node) -> Origin:
        """The first place a node came from, or an empty origin."""
        found = self.origins.get(node, ())
        return found[0] if found else Origin()


def input_label(node: Node) -> str:
    """Returns the name of an `Input` node."""
    assert isinstance(node.op, Input)
    return node.op.label


def topological(roots: Iterable[Node], within: Container[Node] | None = None) -> Iterator[Node]:
    """Yields every node that the roots need, once, operands first.

    Args:
        roots: Where to begin.
        within: If given, what other nodes than these need is not visited.
    """
    done: set[int] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, expanded = stack.pop()
        if id(node) in done:
            continue
        if expanded:
            done.add(id(node))
            yield node
        else:
            stack.append((node, True))
            if within is None or node in within:
                stack.extend((source, False) for source in reversed(node.inputs))


def users(roots: Iterable[Node]) -> dict[Node, list[Node]]:
    """Returns for every node the nodes that read it, in topological order."""
    found: dict[Node, list[Node]] = {}
    for node in topological(roots):
        found.setdefault(node, [])
        for source in node.inputs:
            if node not in found[source]:
                found[source].append(node)
    return found


def _substitute_type(type: Tensor, bindings: Mapping[str, Size]) -> Tensor:
    return type.with_shape(tuple(substitute(size, bindings) for size in type.shape))


def _substitute(value: object, bindings: Mapping[str, Size]) -> object:
    if isinstance(value, Expr):
        return substitute(value, bindings)
    if isinstance(value, tuple):
        return tuple(_substitute(item, bindings) for item in value)
    return value
