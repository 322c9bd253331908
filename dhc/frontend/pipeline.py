"""From a pipeline to its graph: one sample, no batch axis.

What the stages of a pipeline expect from the registries of operators and layers:

- A name means the stage that `stages` has for it, else the layer or operator.
- A stage is geometric if its name is in `GEOMETRIC`, or its operator class or layer function has
  the attribute `stage = "geometric"`; all others are photometric. Geometry moves images, masks and
  volumes alike, with the same draws; photometry touches images and volumes only.
- On masks, the first parameter of a geometric stage that knows the word `nearest` is that, and what
  fills the border is the background, 0: the parameters `fill` and `value` keep their defaults.
- A parameter whose annotation admits `Node` takes `a .. b` as a random draw of the layer
  `uniform(low, high)`; any other takes it as an interval or not at all.
- `p=` is handed to a stage that has such a parameter; else the stage is applied where a draw is
  below it, with the operators `less` and `where`.
- Neighbouring warps are composed later, by a pass. After the stage `exact_steps()` each warp of the
  pipeline is marked to stay alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from dhc.errors import DhcError
from dhc.frontend import ast
from dhc.frontend.build import Entry, ModelBuilder
from dhc.frontend.fail import error
from dhc.frontend.frame import Frame
from dhc.frontend.naming import Paths, Place
from dhc.frontend.sample import IMAGES, MASKS, sample_type
from dhc.frontend.scope import Scope
from dhc.frontend.signature import admits, choices_of, signature_of
from dhc.frontend.values import (
    DefinitionValue,
    Given,
    Instance,
    Interval,
    Primitive,
    Quantity,
    Value,
    Word,
    describe,
)
from dhc.ir.graph import Input, Node, Origin
from dhc.ir.size import collecting, simplify
from dhc.ir.types import DType
from dhc.ops.base import Layer, layers, operators, stages
from dhc.ops.warp import AffineWarp
from dhc.source import Span

GEOMETRIC = frozenset(
    (
        "resize", "rescale", "rotate", "mirror", "flip", "crop", "center_crop", "random_crop",
        "pad", "scale", "zoom", "shear", "translate", "affine", "elastic", "grid_distortion",
        "optical_distortion", "perspective", "transpose", "resample",
    )
)  # fmt: skip

EXACT_STEPS = "exact_steps"
_FILLS = ("fill", "value")
_PLACES = ("points", "boxes")


def is_geometric(stage: Primitive) -> bool:
    """Whether a stage moves pixels, so that masks must follow."""
    target = stage.target.function if isinstance(stage.target, Layer) else stage.target
    kind = getattr(target, "stage", None)
    return stage.name in GEOMETRIC if kind is None else kind == "geometric"


class PipelineBuilder(ModelBuilder):
    """Executes the stages of a pipeline on the values of one sample."""

    batched = False

    def __init__(self, dtype: DType) -> None:
        super().__init__()
        self._dtype = dtype
        self._kinds: dict[str, str] = {}
        self._values: dict[str, Node] = {}
        self._only: frozenset[str] | None = None
        self._exact = False

    def build(
        self, model: DefinitionValue, given: tuple[Given, ...], span: Span | None = None
    ) -> Entry:
        """The graph of a pipeline: the same names in and out."""
        definition = model.definition
        scope = Scope(model.scope)
        self.frame = Frame(model.name, "pipeline", scope, Place(), Paths())
        with collecting() as constraints:
            inputs = self._declare(definition)
            self._run(definition)
        if self.diagnostics:
            raise DhcError(self.diagnostics)
        graph = self.graph_of(model.name, inputs, tuple(self._values.items()))
        return Entry(model.name, "pipeline", graph, simplify(constraints), (), definition.name.span)

    def _declare(self, definition: ast.Definition) -> tuple[Node, ...]:
        for parameter in definition.parameters:
            assert parameter.type is not None, "resolved before"
            name = parameter.name.text
            type = sample_type(parameter, definition.parameters, self._dtype, self._size)
            node = Input(name, type)()
            self._kinds[name], self._values[name] = parameter.type.name.text, node
            self.state.origins[node] = (Origin(parameter.span, name),)
        return tuple(self._values.values())

    def _size(self, expression: ast.Expression) -> int:
        value = self.evaluate(expression, self.frame.scope)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        message = f"A size is a positive whole number, not {describe(value)}."
        raise error("type", message, expression.span)

    # ---- statements

    def _stages(self, statement: ast.Stages) -> None:
        first, *rest = statement.stages
        if isinstance(first, ast.Name) and first.text in self._values:
            with self._restricted_to(first.text):
                for stage in rest:
                    self._stage(stage)
            return
        for stage in statement.stages:
            self._stage(stage)

    @contextmanager
    def _restricted_to(self, name: str) -> Iterator[None]:
        """`ct -> window(...)`: these stages touch one value only."""
        self._only = frozenset((name,))
        try:
            yield
        finally:
            self._only = None

    def _output(self, statement: ast.Output) -> None:
        message = "A pipeline has no output statement; its values come out under their names."
        raise error("type", message, statement.span, "here", "leave it out")

    def _assign(self, statement: ast.Assign) -> None:
        message = "A pipeline has stages; numbers are named with 'let'."
        raise error("type", message, statement.span, "here", "write let name = ...")

    def _stage(self, stage: ast.Expression) -> None:
        """Applies one stage to every value that it concerns."""
        callee, given = self._callee_of(stage)
        if callee.name == EXACT_STEPS:
            self._exact = True
            return
        parameters = signature_of(callee.target).names
        chance = None if "p" in parameters else next((g for g in given if g.name == "p"), None)
        rest = tuple(each for each in given if each is not chance)
        drawn = self._draw_all(callee, rest)
        before = dict(self._values)
        self._apply_to_values(callee, drawn, stage.span)
        if chance is not None:
            self._keep_sometimes(before, chance, stage.span)

    def _callee_of(self, stage: ast.Expression) -> tuple[Primitive, tuple[Given, ...]]:
        scope = self.frame.scope
        if isinstance(stage, ast.Call):
            value = _as_stage(self.callee(stage.callee, scope))
            given = self.arguments(value, stage.arguments, scope)
            if isinstance(value, Instance) and isinstance(value.callee, Primitive):
                return value.callee, (*value.arguments, *given)
            if isinstance(value, Primitive):
                return value, given
            if isinstance(value, DefinitionValue):
                message = f"'{value.name}' is a {value.definition.kind}, no stage of a pipeline."
                raise error("type", message, stage.span)
        message = "A stage is a call such as resize(256, 256)."
        raise error("type", message, stage.span)

    def _apply_to_values(self, callee: Primitive, given: tuple[Given, ...], span: Span) -> None:
        geometric = is_geometric(callee)
        if geometric and self._only is None:
            self._refuse_places(callee, span)
        chosen = self._only or {n for n, kind in self._kinds.items() if kind in IMAGES + MASKS}
        # Every value gets the same path, so that draws inside a stage agree.
        path = self.frame.paths.claim(self.frame.place.path_of(callee.name))
        for name, kind in self._kinds.items():
            if name not in chosen or (kind in MASKS and not geometric):
                continue
            arguments = self._for_masks(callee, given, span) if kind in MASKS else given
            input = Given(None, self._values[name], span)
            result = self.apply(Instance(callee, (), span, path), (input,), arguments, span)
            assert isinstance(result, Node), "a stage makes one value"
            self._values[name] = self._alone(result) if self._exact else result

    def _refuse_places(self, callee: Primitive, span: Span) -> None:
        """Points and boxes must move with their picture; nothing moves them yet."""
        for name, kind in self._kinds.items():
            if kind in _PLACES:
                message = f"'{callee.name}' cannot move the {kind} '{name}' yet."
                raise error("unsupported", message, span)

    def _alone(self, node: Node) -> Node:
        """Marks a warp as a step of its own."""
        if not isinstance(node.op, AffineWarp):
            return node
        marked = replace(node.op, alone=True)(*node.inputs)
        self.state.origins[marked] = self.state.origins.get(node, ())
        return marked

    def _for_masks(
        self, callee: Primitive, given: tuple[Given, ...], span: Span
    ) -> tuple[Given, ...]:
        given = tuple(each for each in given if each.name not in _FILLS)
        for parameter in signature_of(callee.target).attributes:
            if "nearest" in choices_of(parameter.annotation):
                kept = tuple(each for each in given if each.name != parameter.name)
                return (*kept, Given(parameter.name, Word("nearest"), span))
        return given

    # ---- chance

    def _draw_all(self, callee: Primitive, given: tuple[Given, ...]) -> tuple[Given, ...]:
        """Draws `a .. b` once for all values of the sample."""
        signature = signature_of(callee.target)
        positional = iter(signature.attributes)
        result = []
        for each in given:
            parameter = next(positional, None) if each.name is None else None
            if each.name is not None:
                parameter = signature.attribute(each.name)
            if isinstance(each.value, Interval) and parameter and admits(parameter, Node):
                label = f"{callee.name}.{parameter.name}"
                node = self._uniform(each.value.low, each.value.high, label, each.span)
                each = replace(each, value=node)
            result.append(each)
        return tuple(result)

    def _uniform(self, low: Value, high: Value, label: str, span: Span) -> Node:
        if "uniform" not in layers:
            raise error("unsupported", "Random draws are not available yet.", span)
        bounds = [
            Given(name, each.value if isinstance(each, Quantity) else each, span)
            for name, each in (("low", low), ("high", high))
        ]
        path = self.frame.paths.claim(self.frame.place.path_of(label))
        drawer = Instance(Primitive("uniform", layers["uniform"]), (), span, path)
        node = self.apply(drawer, (), tuple(bounds), span)
        assert isinstance(node, Node)
        return node

    def _keep_sometimes(self, before: dict[str, Node], chance: Given, span: Span) -> None:
        """Goes back to the values before a stage, except with its probability."""
        draw = self._uniform(0.0, 1.0, "p", span)
        chosen = self.tensor_operator("<", (draw, chance.value), _Place(span))
        assert isinstance(chosen, Node)
        self._choose(chosen, dict(self._values), before, span)

    def _choose(
        self, condition: Node, first: dict[str, Node], second: dict[str, Node], span: Span
    ) -> None:
        if "where" not in operators:
            raise error("unsupported", "Choosing at random is not available yet.", span)
        where = Primitive("where", operators["where"])
        for name in self._values:
            if first[name] is second[name]:
                self._values[name] = first[name]
                continue
            parts = (condition, first[name], second[name])
            inputs = tuple(Given(None, each, span) for each in parts)
            result = self.apply(where, inputs, (), span)
            assert isinstance(result, Node)
            self._values[name] = result

    def _oneof(self, statement: ast.OneOf) -> None:
        """One of the alternatives, each with the same probability."""
        before = dict(self._values)
        alternatives = []
        for alternative in statement.body.statements:
            self._values = dict(before)
            self._statements[type(alternative)](alternative)
            alternatives.append(self._values)
        if not alternatives:
            raise error("type", "'oneof' has nothing to choose from.", statement.span)
        self._values = self._pick(alternatives, statement.span)
        given = self.arguments(None, statement.arguments, self.frame.scope)
        for each in given:
            if each.name != "p":
                message = "'oneof' takes nothing but p=, the probability to choose at all."
                raise error("unknown-argument", message, each.span)
            self._keep_sometimes(before, each, statement.span)

    def _pick(self, alternatives: list[dict[str, Node]], span: Span) -> dict[str, Node]:
        if len(alternatives) == 1:
            return alternatives[0]
        draw = self._uniform(0.0, float(len(alternatives)), "oneof", span)
        self._values = alternatives[-1]
        for bound in range(len(alternatives) - 1, 0, -1):
            below = self.tensor_operator("<", (draw, float(bound)), _Place(span))
            assert isinstance(below, Node)
            self._choose(below, alternatives[bound - 1], dict(self._values), span)
        return self._values


def _as_stage(callee: Value) -> Value:
    """What a callable means in pipelines, where that differs from models."""
    if isinstance(callee, Instance) and isinstance(callee.callee, Primitive):
        target = _as_stage(callee.callee)
        assert isinstance(target, Primitive)
        return replace(callee, callee=target)
    if isinstance(callee, Primitive) and callee.name in stages:
        return Primitive(callee.name, stages[callee.name])
    return callee


class _Place(ast.Node):
    """A place for messages about something that has no node of its own."""
