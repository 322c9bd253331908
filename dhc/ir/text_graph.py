"""Graphs as text: one line for each node, operands first.

    dhc-graph 1
    graph "net" {
      %x = input {label: "x"} : f32[N, 3]
      %1 = relu(%x) : f32[N, 3]  # block.relu net.dhm:4:5
      inputs (%x)
      outputs ("y" = %1)
    }

The data of constants and the places where nodes came from are not part of the text; the latter are
shown as comments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from dhc.errors import did_you_mean
from dhc.ir.graph import Constant, Graph, Input, Node, Op, Param, topological
from dhc.ir.text_tokens import Cursor, Token
from dhc.ir.text_values import ValueParser, fields_text, type_text
from dhc.ir.types import Tensor

VERSION = 1
_TYPED_LEAVES = (Input, Param, Constant)


def graph_text(graph: Graph, origins: bool) -> str:
    """Returns the text of a graph with its head line."""
    return f"dhc-graph {VERSION}\n{_body_text(graph, origins, 0)}\n"


def _body_text(graph: Graph, origins: bool, depth: int) -> str:
    inner, names = "  " * (depth + 1), _node_names(graph)
    lines = [f"graph {json.dumps(graph.name)} {{"]
    for node in names:
        comment = _comment(graph, node) if origins else ""
        lines.append(f"{inner}{_node_text(node, names, origins, depth + 1)}{comment}")
    lines.append(f"{inner}inputs ({', '.join(names[node] for node in graph.inputs)})")
    lines.append(f"{inner}outputs ({_results_text(graph.outputs, names)})")
    if graph.updates:
        lines.append(f"{inner}updates ({_results_text(graph.updates, names)})")
    return "\n".join([*lines, "  " * depth + "}"])


def _results_text(results: tuple[tuple[str, Node], ...], names: Mapping[Node, str]) -> str:
    return ", ".join(f"{json.dumps(label)} = {names[node]}" for label, node in results)


def _node_names(graph: Graph) -> dict[Node, str]:
    """Returns a name for each node: the label of an input, the path of a weight, else a number."""
    names: dict[Node, str] = {}
    taken: set[str] = set()
    for number, node in enumerate(topological((*graph.inputs, *graph.roots))):
        label = getattr(node.op, "label" if isinstance(node.op, Input) else "path", "")
        plain = isinstance(node.op, Input | Param) and re.fullmatch(
            r"[A-Za-z_][\w.]*", label, re.ASCII
        )
        name = f"%{label}" if plain and f"%{label}" not in taken else f"%{number}"
        taken.add(name)
        names[node] = name
    return names


def _node_text(node: Node, names: Mapping[Node, str], origins: bool, depth: int) -> str:
    omit = "type" if isinstance(node.op, _TYPED_LEAVES) and node.op.type == node.type else ""
    attributes = fields_text(node.op, lambda g: _body_text(g, origins, depth), omit)
    inputs = ", ".join(names[source] for source in node.inputs)
    call = f"{node.op.name}({inputs})" if inputs else node.op.name
    braces = f" {{{attributes}}}" if attributes else ""
    return f"{names[node]} = {call}{braces} : {type_text(node.type)}"


def _comment(graph: Graph, node: Node) -> str:
    places = [f"{o.path} {o.span or ''}".strip() for o in graph.origins.get(node, ())]
    shown = "; ".join(place for place in dict.fromkeys(places) if place)
    return f"  # {_one_line(shown)}" if shown else ""


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


# ---- parsing ---------------------------------------------------------------------------------


def known_operators() -> dict[str, type[Op]]:
    """Returns all operator classes that are loaded, by name; of equal names the newest."""
    found: dict[str, type[Op]] = {}

    def visit(cls: type[Op]) -> None:
        for child in cls.__subclasses__():
            if child.name:
                found[child.name] = child
            visit(child)

    visit(Op)
    return found


class GraphParser:
    """Reads one graph; types are taken as written, for the verifier to check."""

    def __init__(self, cursor: Cursor, operators: Mapping[str, type[Op]]) -> None:
        self.cursor = cursor
        self.operators = operators
        self.values = ValueParser(cursor, self.body)
        self._nodes: dict[str, Node] = {}

    def graph(self) -> Graph:
        self._head()
        result = self.body()
        if self.cursor.token.kind != "end":
            self.cursor.fail("The graph has ended before this.")
        return result

    def _head(self) -> None:
        start = self.cursor.token
        words = [self.cursor.advance().text for _ in range(3)]
        if words != ["dhc", "-", "graph"]:
            self.cursor.fail("This is not the text of a graph.", start)
        version = self.cursor.integer()
        if version != VERSION:
            hint = "update dhc" if version > VERSION else None
            self.cursor.fail(f"This is version {version} of the graph text.", start, hint)

    def body(self) -> Graph:
        """Reads `graph "name" {...}`; nodes of a surrounding graph cannot be seen from inside."""
        outer, self._nodes = self._nodes, {}
        with self.cursor.nested():
            self.cursor.expect("graph")
            name = self.cursor.string()
            self.cursor.expect("{")
            while self.cursor.token.kind == "node":
                self._node()
            self.cursor.expect("inputs")
            inputs = self.cursor.listed(self._input, "(", ")")
            self.cursor.expect("outputs")
            outputs = self.cursor.listed(self._result, "(", ")")
            has_updates = self.cursor.accept("updates")
            updates = self.cursor.listed(self._result, "(", ")") if has_updates else ()
            self.cursor.expect("}")
        self._nodes = outer
        return Graph(name, inputs, outputs, updates)

    def _node(self) -> None:
        token = self.cursor.advance()
        if token.text in self._nodes:
            self.cursor.fail(f"'{token.text}' is defined twice.", token)
        self.cursor.expect("=")
        start = self.cursor.token
        cls = self._operator()
        has_inputs = self.cursor.token.text == "("
        inputs = self.cursor.listed(self._reference, "(", ")") if has_inputs else ()
        attributes = self.cursor.position
        self._skip_braces()
        self.cursor.expect(":")
        type = self.values.type()
        after = self.cursor.position
        self.cursor.position = attributes
        op = self._attributes(cls, type, start)
        self.cursor.position = after
        self._nodes[token.text] = Node(op, inputs, type)

    def _attributes(self, cls: type[Op], type: Tensor, start: Token) -> Op:
        known = {"type": type} if issubclass(cls, _TYPED_LEAVES) else {}
        try:
            op = self.values.fields(cls, known)
        except (TypeError, ValueError) as error:
            self.cursor.fail(f"'{cls.name}' does not take these attributes: {error}.", start)
        assert isinstance(op, Op)
        return op

    def _operator(self) -> type[Op]:
        token = self.cursor.token
        name = self.cursor.name()
        if name not in self.operators:
            near = did_you_mean(name, self.operators)
            hint = f"perhaps '{near}'" if near else None
            self.cursor.fail(f"There is no operator '{name}'.", token, hint)
        return self.operators[name]

    def _skip_braces(self) -> None:
        depth = 0
        while depth or self.cursor.token.text == "{":
            token = self.cursor.advance()
            if token.kind == "end":
                self.cursor.fail("A brace is not closed.", token)
            depth += {"{": 1, "}": -1}.get(token.text, 0) if token.kind == "mark" else 0

    def _reference(self) -> Node:
        token = self.cursor.advance()
        if token.kind != "node" or token.text not in self._nodes:
            self.cursor.fail(f"'{token.text}' is not a node defined above.", token)
        return self._nodes[token.text]

    def _input(self) -> Node:
        token = self.cursor.token
        node = self._reference()
        if not isinstance(node.op, Input):
            self.cursor.fail("An input of the graph must be an 'input' node.", token)
        return node

    def _result(self) -> tuple[str, Node]:
        label = self.cursor.string()
        self.cursor.expect("=")
        return label, self._reference()
