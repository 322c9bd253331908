"""Application of layers, operators, blocks and models to tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dhc.errors import DhcError, Related
from dhc.frontend import ast
from dhc.frontend.axes import axis_index, axis_letters
from dhc.frontend.binding import bind_attributes, convert_argument
from dhc.frontend.builtins import BUILTINS
from dhc.frontend.evaluate import Evaluator
from dhc.frontend.explain import Failure, explain_shapes
from dhc.frontend.fail import error, guess
from dhc.frontend.frame import Frame, GraphState, Site, WeightContext
from dhc.frontend.inputs import (
    constant_like,
    is_tensor,
    named_inputs,
    needs_no_tensor,
    split_definition_inputs,
    split_tensors,
    take_pin,
    with_weights,
)
from dhc.frontend.limits import check_shape
from dhc.frontend.naming import Paths, Place
from dhc.frontend.scope import Scope
from dhc.frontend.shapes import InputTypes
from dhc.frontend.signature import (
    AxisResolver,
    MismatchError,
    Parameter,
    Signature,
    expected_text,
    mismatch_message,
    signature_of,
)
from dhc.frontend.values import (
    Bundle,
    DefinitionValue,
    FunctionValue,
    Given,
    Instance,
    Primitive,
    Value,
    describe,
)
from dhc.ir.graph import Node, Origin
from dhc.ir.size import collecting
from dhc.ops.base import Body, Layer, Operator, TypeRuleError, operators
from dhc.source import Span

INFIX_OPERATORS = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "^": "pow", "<": "less", ">": "greater",
    "<=": "less_equal", ">=": "greater_equal", "==": "equal", "!=": "not_equal",
}  # fmt: skip


class Applier(Evaluator):
    """An evaluator in whose expressions tensors flow."""

    batched = True  # whether tensors have a batch axis

    def __init__(self) -> None:
        super().__init__()
        self.state = GraphState()
        self.frame = Frame("", "model", Scope(), Place(), Paths())
        self.trying = False  # whether a call is tried only to see if it works

    # ---- calls in expressions

    def call(self, callee: Value, given: tuple[Given, ...], node: ast.Call) -> Value:
        """Calls something; a builtin steps aside for the operator of its name on tensors."""
        name = getattr(callee, "name", None)
        if isinstance(callee, Primitive) and name in BUILTINS and not any(map(is_tensor, given)):
            return self.call_builtin(BUILTINS[callee.name], given, node)
        return super().call(callee, given, node)

    def instantiate(self, callee: Value, given: tuple[Given, ...], node: ast.Call) -> Value:
        """A call outside of a chain: leading tensors are its inputs."""
        if not isinstance(callee, Primitive | DefinitionValue | Instance):
            message = f"{describe(callee).capitalize()} cannot be called."
            raise error("type", message, node.callee.span)
        count = 0
        while count < len(given) and given[count].name is None and is_tensor(given[count]):
            count += 1
        named = named_inputs(callee, given)
        if count or named or needs_no_tensor(callee):
            return self.apply(callee, given[:count], given[count:], node.span)
        if isinstance(callee, Instance):
            return replace(callee, arguments=(*callee.arguments, *given))
        return Instance(callee, given, node.span)

    def _chain(self, node: ast.Chain, scope: Scope) -> Value:
        value = self.evaluate(node.source, scope)
        places: tuple[ast.Expression, ...] = (node.source,)
        if isinstance(node.source, ast.Tuple):
            places = node.source.items
        for stage in node.stages:
            inputs = self.flowing(value, places, stage)
            value = self.apply_stage(stage, inputs, scope)
            places = (stage,)
        return value

    def flowing(
        self, value: Value, places: Sequence[ast.Expression], stage: ast.Node
    ) -> tuple[Given, ...]:
        """The tensors that flow into a stage, each with its place in the source."""
        items: tuple[Value, ...] = (value,)
        if isinstance(value, Bundle):
            items = value.values
        elif isinstance(value, tuple):
            items = value
        spans = [place.span for place in places]
        if len(spans) != len(items):
            spans = [spans[0].to(spans[-1])] * len(items)
        for item, span in zip(items, spans, strict=True):
            if not isinstance(item, Node):
                message = f"Only tensors flow through '->', not {describe(item)}."
                raise error("type", message, span)
        return tuple(Given(None, item, span) for item, span in zip(items, spans, strict=True))

    def apply_stage(self, stage: ast.Expression, inputs: tuple[Given, ...], scope: Scope) -> Value:
        """Applies one stage of a chain to what flows into it."""
        self.budget.step(stage.span)
        if isinstance(stage, ast.Call):
            callee = self.callee(stage.callee, scope)
            given = self.arguments(callee, stage.arguments, scope)
            return self.apply(callee, inputs, given, stage.span)
        value = self.callee(stage, scope)
        if isinstance(value, Primitive):
            message = f"'{value.name}' is a layer; a stage calls it."
            raise error("type", message, stage.span, "here", f"write {value.name}()")
        return self.apply(value, inputs, (), stage.span)

    def apply(
        self, callee: Value, inputs: tuple[Given, ...], given: tuple[Given, ...], span: Span
    ) -> Value:
        """Applies a layer, operator, block or model."""
        match callee:
            case Instance():
                both = (*callee.arguments, *given)
                if isinstance(callee.callee, Primitive):
                    return self._apply_primitive(callee.callee, inputs, both, span, callee.shared)
                return self.apply_definition(callee.callee, inputs, both, span, callee.shared)
            case Primitive():
                return self._apply_primitive(callee, inputs, given, span)
            case DefinitionValue():
                return self.apply_definition(callee, inputs, given, span)
            case FunctionValue(definition):
                message = f"'{definition.name.text}' computes numbers; tensors cannot flow into it."
                raise error("type", message, span, "here", "write it as a block")
            case _:
                message = f"{describe(callee).capitalize()} is no layer, block or model."
                raise error("type", message, span)

    # ---- operators and layers

    def _apply_primitive(
        self,
        callee: Primitive,
        inputs: tuple[Given, ...],
        given: tuple[Given, ...],
        span: Span,
        shared: str | None = None,
    ) -> Value:
        callee = with_weights(callee, inputs, given)
        signature = signature_of(callee.target)
        tensors, rest = split_tensors(signature, inputs, given)
        pin, rest = take_pin(rest, signature.names)
        nodes = self._tensor_inputs(callee, signature, tensors, span)
        axis = self.axis_resolver(nodes)
        attributes: dict[str, object] = {}
        for name, value in bind_attributes(callee.name, signature, rest, span).items():
            parameter = signature.attribute(name)
            assert parameter is not None
            if parameter.annotation is Body:
                attributes[name] = self._body(callee.name, parameter, value)
                continue
            drawn = self.drawn(callee.name, parameter.annotation, value)
            attributes[name] = convert_argument(callee.name, parameter, drawn, axis)
        frame = self._frame_for_share(shared) if shared is not None else self.frame
        context = WeightContext(self.state, frame, callee.name, pin, span)
        try:
            result = _run(callee.target, context, nodes, attributes)
        except TypeRuleError as problem:
            site = Site(
                span,
                callee.name,
                tuple(tensors),
                self.frame.scope,
                lambda others: self._apply_primitive(callee, others, tuple(rest), span, shared),
            )
            raise explain_shapes(self, Failure(problem, site, attributes)) from None
        except (ValueError, ArithmeticError) as problem:
            message = f"'{callee.name}' cannot take these arguments: {problem}."
            raise error("arguments", message, span) from problem
        made = result if isinstance(result, tuple) else (result,)
        for node in made:
            check_shape(f"'{callee.name}' would give", node.type, span)
            self.state.record(node, Origin(span, context.shown_path))
        return Bundle(made) if isinstance(result, tuple) else made[0]

    def _tensor_inputs(
        self, callee: Primitive, signature: Signature, tensors: list[Given], span: Span
    ) -> list[Node]:
        nodes: list[Node] = []
        first = next((each.value for each in tensors if isinstance(each.value, Node)), None)
        for each in tensors:
            if isinstance(each.value, Node):
                nodes.append(each.value)
            elif first is not None and isinstance(each.value, int | float):
                nodes.append(constant_like(each.value, first.type))
            else:
                raise error("type", f"'{callee.name}' takes tensors.", each.span)
        wanted = len(signature.tensors)
        enough = len(nodes) >= wanted - 1 if signature.variadic else len(nodes) == wanted
        if not enough or (signature.variadic and not nodes):
            names = ", ".join(p.name for p in signature.tensors)
            plural = "tensor" if wanted == 1 else "tensors"
            message = f"'{callee.name}' takes {wanted} {plural} ({names}), and gets {len(nodes)}."
            raise error("arguments", message, span)
        return nodes

    def _body(self, name: str, parameter: Parameter, given: Given) -> Body:
        """A block that is an argument, as a function of tensors."""
        value, span = given.value, given.span
        if not isinstance(value, Instance | DefinitionValue | Primitive):
            problem = MismatchError(expected_text(Body))
            message = mismatch_message(name, parameter.name, value, problem)
            raise error("type", message, span, "here")

        def body(*inputs: Node) -> tuple[Node, ...]:
            tensors = tuple(Given(None, node, span) for node in inputs)
            result = self.apply(value, tensors, (), span)
            items = result.values if isinstance(result, Bundle) else (result,)
            return tuple(item for item in items if isinstance(item, Node))

        return body

    def axis_resolver(self, nodes: Sequence[Node]) -> AxisResolver | None:
        """How axis letters are understood by an operator on these tensors."""
        if not nodes:
            return None
        shape = nodes[0].type.shape
        return lambda letter: axis_index(letter, shape, self.batched)

    def drawn(self, name: str, annotation: object, given: Given) -> Given:
        """Turns `a .. b` into a random draw where that is possible; only in pipelines."""
        return given

    def works(self, site: Site, inputs: tuple[Given, ...]) -> bool:
        """Whether a call would succeed with other tensors; leaves no trace."""
        state, frame = self.state, self.frame
        self.state = GraphState()
        self.frame = replace(frame, paths=Paths())
        self.trying = True
        try:
            with collecting() as constraints:
                site.again(inputs)
        except DhcError:
            return False
        finally:
            self.state, self.frame, self.trying = state, frame, False
        return not constraints.equal

    # ---- blocks and models

    def apply_definition(
        self,
        callee: DefinitionValue,
        inputs: tuple[Given, ...],
        given: tuple[Given, ...],
        span: Span,
        shared: str | None = None,
    ) -> Value:
        """Executes the body of a block or model on tensors."""
        definition = callee.definition
        if definition.kind not in ("block", "model"):
            message = f"A {definition.kind} cannot be used as a layer."
            raise error("type", message, span, f"'{callee.name}' is a {definition.kind}")
        parameter_names = [p.name.text for p in definition.parameters]
        tensors, rest = split_definition_inputs(definition, inputs, given)
        pin, rest = take_pin(rest, parameter_names)
        self.budget.enter(callee.name, span)
        outer = self.frame
        try:
            local = self.bind_parameters(
                callee.name, definition.parameters, rest, callee.scope, _Spot(span)
            )
            frame = self._frame_for(callee, local, pin, shared)
            self.state.sites.append(
                Site(
                    span,
                    callee.name,
                    tensors,
                    outer.scope,
                    lambda others: self.apply_definition(callee, others, tuple(rest), span, shared),
                )
            )
            self.frame = frame
            self._bind_inputs(definition, tensors, span)
            self.execute(definition.body)
            return self.result_of(frame, definition)
        except RecursionError:
            raise error("limit", "Blocks are nested too deeply here.", span) from None
        finally:
            if self.state.sites and self.frame is not outer:
                self.state.sites.pop()
            self.frame = outer
            self.budget.leave()

    def _frame_for(
        self, callee: DefinitionValue, local: Scope, pin: str | None, shared: str | None
    ) -> Frame:
        definition = callee.definition
        frame = Frame(callee.name, definition.kind, local, Place(), self.frame.paths)
        frame.body = definition.body
        if shared is not None:
            base = self._frame_for_share(shared)
            frame.place, frame.paths, frame.shared = base.place, base.paths, True
        elif pin is not None:
            prefix = self.frame.place.prefix
            frame.place = Place(f"{prefix}.{pin}" if prefix else pin)
        else:
            frame.place = self.frame.place.inside()
        return frame

    def _frame_for_share(self, path: str) -> Frame:
        """A frame that numbers layers from the beginning, so that every use names the same ones."""
        return replace(self.frame, place=Place(path), paths=Paths(), shared=True)

    def _bind_inputs(
        self, definition: ast.Definition, tensors: tuple[Given, ...], span: Span
    ) -> None:
        declared = [s for s in definition.body.statements if isinstance(s, ast.Input)]
        name = definition.name.text
        self.frame.has_inputs = bool(declared)
        wanted = len(declared) or 1
        if len(tensors) != wanted:
            names = f" ({', '.join(i.name.text for i in declared)})" if declared else ""
            plural = "tensor" if wanted == 1 else "tensors"
            message = f"'{name}' takes {wanted} {plural}{names}, and gets {len(tensors)}."
            related = (Related(definition.name.span, f"{definition.kind} '{name}'"),)
            raise error("arguments", message, span, "this call", related=related)
        if not declared:
            self.frame.flow = tensors[0].value
            return
        types = InputTypes(self.evaluate, self.frame.scope)
        for statement, given in zip(declared, tensors, strict=True):
            assert isinstance(given.value, Node)
            types.match(statement, given.value.type, given.span, name)
            self.frame.scope.define(statement.name.text, given.value, statement.name.span)

    def result_of(self, frame: Frame, definition: ast.Definition) -> Value:
        """What a call of the body gives: its one output, or several by name."""
        if not frame.has_inputs:
            return frame.flow
        outputs = frame.outputs
        if not outputs:
            message = f"The {definition.kind} '{frame.name}' has no output."
            raise error("no-output", message, definition.name.span, "here", "write output x")
        if len(outputs) == 1:
            return next(iter(outputs.values()))
        return Bundle(tuple(outputs.values()), tuple(outputs))

    def execute(self, body: ast.Body) -> None:
        """Executes statements; the builder knows how."""
        raise NotImplementedError

    # ---- operators between tensors

    def tensor_operator(self, symbol: str, values: tuple[Value, ...], node: ast.Node) -> Value:
        if len(values) == 1 and "neg" not in operators:
            values = (0, *values)
        name = "neg" if len(values) == 1 else INFIX_OPERATORS.get(symbol, "")
        if name not in operators:
            raise error("type", f"'{symbol}' is not possible on tensors.", node.span)
        places = [node]
        if isinstance(node, ast.Binary):
            places = [node.left, node.right]
        given = tuple(
            Given(None, value, place.span)
            for value, place in zip(values, [*places, *places], strict=False)
        )
        for each in given:
            if not isinstance(each.value, Node | int | float):
                message = f"'{symbol}' is not possible between a tensor and {describe(each.value)}."
                raise error("type", message, each.span)
        return self._apply_primitive(Primitive(name, operators[name]), given, (), node.span)

    def tensor_member(self, value: Node, name: ast.Identifier) -> Value:
        """`x.H`: the size of an axis."""
        position = axis_index(name.text, value.type.shape, self.batched)
        if position is None:
            known = axis_letters()
            message = f"{value.type} has no axis '{name.text}'."
            raise error("unknown-axis", message, name.span, "here", guess(name.text, known))
        return value.type.shape[position]


class _Spot(ast.Node):
    """A place for messages about a call that has no node of its own."""


def _run(
    target: type[Operator] | Layer,
    context: WeightContext,
    nodes: list[Node],
    attributes: dict[str, object],
) -> Node | tuple[Node, ...]:
    if isinstance(target, Layer):
        return target.function(context, *nodes, **attributes)
    return target(**attributes)(*nodes)
