"""From a model to its graph."""

from __future__ import annotations

from dataclasses import dataclass, field

from dhc.errors import DhcError, Diagnostic
from dhc.frontend import ast
from dhc.frontend.execute import Executor
from dhc.frontend.fail import error
from dhc.frontend.frame import Frame
from dhc.frontend.naming import Paths, Place
from dhc.frontend.shapes import InputTypes
from dhc.frontend.values import DefinitionValue, Given
from dhc.ir.graph import Graph, Input, Node, Origin
from dhc.ir.size import collecting, simplify
from dhc.ops.anchor import anchored
from dhc.ops.random import counters_of
from dhc.source import Span


@dataclass(frozen=True)
class Entry:
    """A model or pipeline as a graph.

    Attributes:
        kind: "model" or "pipeline".
        constraints: What the sizes must satisfy, as sentences such as `H % 8 == 0`.
        parameters: The values its parameters have in this graph.
    """

    name: str
    kind: str
    graph: Graph
    constraints: tuple[str, ...] = ()
    parameters: tuple[tuple[str, object], ...] = ()
    span: Span | None = field(default=None, compare=False, repr=False)


class ModelBuilder(Executor):
    """Executes a model's body on symbolic inputs."""

    def build(self, model: DefinitionValue, given: tuple[Given, ...], span: Span) -> Entry:
        """The graph of a model.

        Raises:
            DhcError: with every independent mistake in its body.
        """
        definition = model.definition
        scope = self.bind_parameters(
            model.name, definition.parameters, given, model.scope, definition
        )
        parameters = tuple((p.name.text, scope.names[p.name.text]) for p in definition.parameters)
        self.frame = Frame(model.name, "model", scope, Place(), Paths(), body=definition.body)
        with collecting() as constraints:
            inputs = self._declare_inputs(definition)
            self._run(definition)
        self._finish(definition)
        outputs = tuple((n, v) for n, v in self.frame.outputs.items() if isinstance(v, Node))
        graph = self.graph_of(model.name, inputs, outputs)
        return Entry(
            model.name, "model", graph, simplify(constraints), parameters, definition.name.span
        )

    def graph_of(
        self, name: str, inputs: tuple[Node, ...], outputs: tuple[tuple[str, Node], ...]
    ) -> Graph:
        """The graph of what was built; counters of random draws become inputs of their own."""
        counters = counters_of(node for _, node in outputs)
        made = Graph(name, (*inputs, *counters), outputs, origins=dict(self.state.origins))
        return anchored(made)

    def _run(self, definition: ast.Definition) -> None:
        try:
            self.execute(definition.body)
        except RecursionError:
            message = f"'{definition.name.text}' is nested too deeply."
            raise error("limit", message, definition.name.span) from None

    def _declare_inputs(self, definition: ast.Definition) -> tuple[Node, ...]:
        declared = [s for s in definition.body.statements if isinstance(s, ast.Input)]
        if not declared:
            message = f"The model '{definition.name.text}' has no input."
            hint = "write input image: f32[N, 3, H, W]"
            raise error("no-input", message, definition.name.span, "here", hint)
        types = InputTypes(self.evaluate, self.frame.scope)
        nodes: list[Node] = []
        for statement in declared:
            if statement.name.text in [
                each.op.label for each in nodes if isinstance(each.op, Input)
            ]:
                message = f"There are two inputs '{statement.name.text}'."
                raise error("duplicate-name", message, statement.name.span, "second")
            node = Input(statement.name.text, types.declare(statement))()
            self.state.origins[node] = (Origin(statement.span, statement.name.text),)
            self.frame.scope.define(statement.name.text, node, statement.name.span)
            nodes.append(node)
        return tuple(nodes)

    def _finish(self, definition: ast.Definition) -> None:
        if self.diagnostics:
            raise DhcError(_once(self.diagnostics))
        if not self.frame.outputs:
            message = f"The model '{definition.name.text}' has no output."
            raise error("no-output", message, definition.name.span, "here", "write output y = ...")


def _once(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics without repetitions, as loops make them."""
    found: list[Diagnostic] = []
    for item in diagnostics:
        if item not in found:
            found.append(item)
    return found
