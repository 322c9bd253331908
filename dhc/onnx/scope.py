"""Names of a graph while it is read, and what of it could not be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dhc.errors import Diagnostic
from dhc.ir.graph import Node
from dhc.ops.foreign import ForeignError, Held

if TYPE_CHECKING:
    import onnx


@dataclass
class Problems:
    """What could not be read; what follows from it needs no words.

    Attributes:
        found: One record for each node.
        unknown: For each of them the values that it must know before the model runs.
        sizes: For each of them what sizes of the inputs must be.
    """

    found: list[Diagnostic] = field(default_factory=list)
    unknown: list[frozenset[Node]] = field(default_factory=list)
    sizes: list[Mapping[str, int]] = field(default_factory=list)

    def add(self, node: onnx.NodeProto, opset: int, error: Exception) -> None:
        name = f" '{node.name}'" if node.name else ""
        reason = str(error).rstrip(".")
        text = f"The node{name} of {node.op_type} (version {opset}) cannot be read: {reason}."
        self.found.append(Diagnostic("onnx", text))
        told = error if isinstance(error, ForeignError) else ForeignError("")
        self.unknown.append(told.unknown)
        self.sizes.append(told.sizes)

    def fold(self, count: int) -> None:
        """Makes one problem of those within a node, if they are more than before.

        Raises:
            ForeignError: with the first of them.
        """
        if len(self.found) > count:
            reason, unknown = self.found[count].message, frozenset().union(*self.unknown[count:])
            sizes = {name: size for each in self.sizes[count:] for name, size in each.items()}
            del self.found[count:], self.unknown[count:], self.sizes[count:]
            raise ForeignError(f"of what it is made of: {reason}", unknown, sizes)


@dataclass(frozen=True)
class Scope:
    """Names of a graph or a function: of values, and of the version of its operators.

    Attributes:
        values: What each name stands for; None for what could not be read.
        opset: The version of the operators.
        read: The names of values that something reads.
        attributes: What the call of a function says, by name, as ONNX writes it.
        depth: How many functions and graphs stand around it.
        within: The functions among them, by domain and name.
    """

    values: MutableMapping[str, Held | None]
    opset: int
    read: frozenset[str]
    attributes: Mapping[str, onnx.AttributeProto] = field(default_factory=dict)
    depth: int = 0
    within: frozenset[tuple[str, str]] = frozenset()

    def of(self, nodes: Iterable[onnx.NodeProto]) -> Iterable[onnx.NodeProto]:
        """Nodes with what the call of the function says in place of names."""
        return (self._with_attributes(node) for node in nodes)

    def _with_attributes(self, node: onnx.NodeProto) -> onnx.NodeProto:
        if not any(each.ref_attr_name for each in node.attribute):
            return node
        found = type(node)()
        found.CopyFrom(node)
        del found.attribute[:]
        for each in node.attribute:
            if not each.ref_attr_name:
                found.attribute.append(each)
            elif each.ref_attr_name in self.attributes:
                said = found.attribute.add()
                said.CopyFrom(self.attributes[each.ref_attr_name])
                said.name = each.name
        return found


def read_names(nodes: Iterable[onnx.NodeProto], outward: Iterable[str]) -> frozenset[str]:
    """Returns the names that nodes read, also within their graphs, and those that go outward."""
    found = set(outward)
    for node in nodes:
        found.update(node.input)
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                found |= read_names(graph.node, [each.name for each in graph.output])
    return frozenset(found - {""})
