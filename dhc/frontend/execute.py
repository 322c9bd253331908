"""Execution of statements in the bodies of blocks and models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dhc.errors import DhcError, Diagnostic, Related
from dhc.frontend import ast
from dhc.frontend.apply import Applier
from dhc.frontend.arithmetic import is_number
from dhc.frontend.binding import bind_attributes, convert_argument
from dhc.frontend.fail import error
from dhc.frontend.frame import Frame
from dhc.frontend.limits import check_count
from dhc.frontend.naming import join
from dhc.frontend.scan import ScanOptions, element_type, said_of_scan, time_at, time_first
from dhc.frontend.scope import Scope
from dhc.frontend.signature import attributes_signature
from dhc.frontend.values import (
    Broken,
    Bundle,
    DefinitionValue,
    Given,
    Instance,
    Primitive,
    Value,
    Zeros,
    describe,
)
from dhc.ir.graph import Node, Origin, literal
from dhc.ir.types import DType, Tensor
from dhc.ops.base import TypeRuleError
from dhc.ops.closure import close, placeholder
from dhc.ops.movement import Expand
from dhc.ops.scan import Scan
from dhc.source import Span


class Executor(Applier):
    """An applier that executes bodies; in the outermost body it goes on after an error."""

    def __init__(self) -> None:
        super().__init__()
        self.diagnostics: list[Diagnostic] = []
        self._statements: dict[type, Callable[..., None]] = {
            ast.Input: self._input,
            ast.Output: self._output,
            ast.Assign: self._assign,
            ast.Stages: self._stages,
            ast.If: self._if,
            ast.For: self._for,
            ast.Repeat: self._repeat,
            ast.OneOf: self._oneof,
            ast.Let: self._let,
            ast.Share: self._share,
            ast.Carry: self._carry,
            ast.Yield: self._carry,
        }

    def execute(self, body: ast.Body) -> None:
        """Executes the statements of a body in order."""
        for statement in body.statements:
            self.budget.step(statement.span)
            if self.state.sites:
                self._statements[type(statement)](statement)
            else:
                self._execute_and_go_on(statement)

    def _execute_and_go_on(self, statement: ast.Statement) -> None:
        try:
            self._statements[type(statement)](statement)
        except DhcError as problem:
            self.diagnostics += problem.diagnostics
            for name in assigned_names(statement):
                self.frame.scope.define(name.text, Broken(), name.span)
            if isinstance(statement, ast.Output):
                self.frame.outputs[_output_name(statement)] = Broken()

    def _name(self, node: ast.Name, scope: Scope) -> Value:
        if scope.find(node.text) is None and self.frame.body is not None:
            for name in assigned_names(self.frame.body):
                if name.text == node.text:
                    related = (Related(name.span, "it gets one here"),)
                    message = f"'{node.text}' has no value yet."
                    raise error("unknown-name", message, node.span, related=related)
        return super()._name(node, scope)

    def _input(self, statement: ast.Input) -> None:
        """Inputs were bound before the body began."""

    # ---- values

    def _bound(self, name: str, expression: ast.Expression) -> Value:
        """Evaluates an expression whose layers are named after what it is assigned to."""
        outer = self.frame.place
        self.frame.place = outer.bound_to(name)
        try:
            return self.evaluate(expression, self.frame.scope)
        finally:
            self.frame.place = outer

    def _assign(self, statement: ast.Assign) -> None:
        value = self._bound(statement.names[0].text, statement.value)
        if len(statement.names) == 1:
            self._define(statement.names[0], value)
            return
        items = value.values if isinstance(value, Bundle) else value
        if not isinstance(items, tuple) or len(items) != len(statement.names):
            message = f"{len(statement.names)} names stand for {describe(value)}."
            raise error("arguments", message, statement.names[0].span.to(statement.names[-1].span))
        for name, item in zip(statement.names, items, strict=True):
            self._define(name, item)

    def _define(self, name: ast.Identifier, value: Value) -> None:
        self.frame.scope.define(name.text, value, name.span)

    def _let(self, statement: ast.Let) -> None:
        self._define(statement.name, self._bound(statement.name.text, statement.value))

    def _share(self, statement: ast.Share) -> None:
        value = self.evaluate(statement.value, self.frame.scope)
        place = self.frame.place
        turns = "".join(f"[{turn}]" for turn in place.turns)
        path = self.frame.paths.claim(join(place.prefix, statement.name.text + turns))
        self._define(statement.name, shared_instance(value, path, statement.value.span))

    def _output(self, statement: ast.Output) -> None:
        name = _output_name(statement)
        if not self.frame.has_inputs:
            message = f"'{self.frame.name}' has no input, so its last layer is its output."
            hint = "write input x: ..., or leave 'output' out"
            raise error("no-input", message, statement.span, "here", hint)
        bound = statement.name.text if statement.name else ""
        value = self._bound(bound, statement.value)
        if name in self.frame.outputs:
            span = statement.name.span if statement.name else statement.span
            raise error("duplicate-name", f"There are two outputs '{name}'.", span, "second")
        self.check_output(value, statement.value.span)
        self.frame.outputs[name] = value
        if statement.name is not None:
            self._define(statement.name, value)

    def check_output(self, value: Value, span: Span) -> None:
        """Outputs are tensors; those of inner blocks may be lists or several."""
        if isinstance(value, Node) or (self.state.sites and isinstance(value, tuple | Bundle)):
            return
        raise error("type", f"An output is a tensor, not {describe(value)}.", span)

    def _stages(self, statement: ast.Stages) -> None:
        if self.frame.has_inputs:
            first = statement.stages[0].span
            span = first.to(statement.stages[-1].span)
            hint = "write y = ... or output ..., or did you forget '->'?"
            raise error("unused", "The result of this is not used.", span, "here", hint)
        places: list[ast.Expression] = []
        for stage in statement.stages:
            inputs = self.flowing(self.frame.flow, places or [stage], stage)
            self.frame.flow = self.apply_stage(stage, inputs, self.frame.scope)
            places = [stage]

    # ---- control

    def _if(self, statement: ast.If) -> None:
        branch: ast.Body | ast.If | None = statement
        while isinstance(branch, ast.If):
            value = self.evaluate(branch.condition, self.frame.scope)
            chosen = self.truth(value, branch.condition.span)
            branch = branch.then if chosen else branch.otherwise
        if branch is not None:
            self.execute(branch)

    def _for(self, statement: ast.For) -> None:
        value = self.evaluate(statement.sequence, self.frame.scope)
        items = value.values if isinstance(value, Bundle) else value
        if not isinstance(items, tuple):
            message = f"'for' goes over a list, not {describe(value)}."
            raise error("type", message, statement.sequence.span)
        for turn, item in enumerate(items):
            self._define_turn(statement, turn, item)
            self._turn(turn, statement.body)

    def _define_turn(self, statement: ast.For, turn: int, item: Value) -> None:
        """One name is the item; of several, the first is the turn's number."""
        names = statement.names
        if len(names) == 1:
            self._define(names[0], item)
            return
        self._define(names[0], turn)
        if len(names) == 2:
            self._define(names[1], item)
            return
        parts = item.values if isinstance(item, Bundle) else item
        if not isinstance(parts, tuple) or len(parts) != len(names) - 1:
            message = f"{len(names) - 1} names stand for {describe(item)}."
            raise error("arguments", message, names[1].span.to(names[-1].span))
        for name, part in zip(names[1:], parts, strict=True):
            self._define(name, part)

    def _repeat(self, statement: ast.Repeat) -> None:
        count = self.evaluate(statement.count, self.frame.scope)
        whole = is_number(count) and isinstance(count, int | float) and float(count).is_integer()
        if not whole or not isinstance(count, int | float) or count < 0:
            message = f"'repeat' takes a whole number from 0 on, not {describe(count)}."
            raise error("type", message, statement.count.span)
        check_count(int(count), "A loop", statement.count.span)
        for turn in range(int(count)):
            self._turn(turn, statement.body)

    def _turn(self, turn: int, body: ast.Body) -> None:
        outer = self.frame.place
        self.frame.place = outer.turn(turn)
        try:
            self.execute(body)
        finally:
            self.frame.place = outer

    def _oneof(self, statement: ast.OneOf) -> None:
        message = "'oneof' chooses at random, which only a pipeline does."
        raise error("type", message, statement.span)

    # ---- loops over time

    def _carry(self, statement: ast.Carry | ast.Yield) -> None:
        carries = isinstance(statement, ast.Carry)
        word = "carry" if carries else "yield"
        if self.frame.kind != "scan":
            raise error("type", f"'{word}' stands in the body of a scan only.", statement.span)
        name = statement.name.text if statement.name else "output"
        value = self._bound("" if carries else name, statement.value)
        if not isinstance(value, Node):
            message = f"'{word}' takes a tensor, not {describe(value)}."
            raise error("type", message, statement.value.span)
        results = self.frame.carried if carries else self.frame.outputs
        if name in results:
            raise error("duplicate-name", f"'{word} {name}' stands here twice.", statement.span)
        results[name] = value

    def _scan(self, node: ast.Scan, scope: Scope) -> Value:
        sequences = self._sequences(node, scope)
        options = self._scan_options(node, scope, sequences[0])
        axis = options.axis
        steps = [element_type(each.type, axis) for each in sequences]
        elements = [placeholder(n.text, t) for n, t in zip(node.names, steps, strict=True)]
        starts = [self._start(binding, scope, steps[0]) for binding in node.bindings]
        carried = [
            placeholder(binding.name.text, start.type)
            for binding, start in zip(node.bindings, starts, strict=True)
        ]
        frame = self._execute_step(node, scope, elements, carried)
        following = tuple(
            self._next_value(b, c, frame) for b, c in zip(node.bindings, carried, strict=True)
        )
        yielded = {n: v for n, v in frame.outputs.items() if isinstance(v, Node)}
        if not yielded and not (options.last and carried):
            raise error(
                "no-output", "This scan yields nothing.", node.span, "here", "write yield x"
            )
        length = sequences[0].type.shape[axis]
        closure = close((*elements, *carried), (*following, *yielded.values()))
        loop = Scan(closure.body, len(sequences), len(carried), length, reverse=options.reverse)
        inputs = (*(time_first(each, axis) for each in sequences), *starts, *closure.captures)
        results = [
            time_at(replace(loop, output=len(carried) + i)(*inputs), axis)
            for i in range(len(yielded))
        ]
        names = [*yielded]
        if options.last:
            results += [replace(loop, output=i, last=True)(*inputs) for i in range(len(carried))]
            names += [binding.name.text for binding in node.bindings]
        for result in results:
            self.state.record(result, Origin(node.span, self.frame.place.path_of("scan")))
        return Bundle(tuple(results), tuple(names)) if len(results) > 1 else results[0]

    def _scan_options(self, node: ast.Scan, scope: Scope, first: Node) -> ScanOptions:
        """What stands in parentheses behind the word."""
        given = [
            Given(
                each.name.text if each.name else None, self.evaluate(each.value, scope), each.span
            )
            for each in node.arguments
        ]
        signature = attributes_signature(said_of_scan)
        axis = self.axis_resolver([first])
        said = {
            name: convert_argument("scan", parameter, value, axis)
            for name, value in bind_attributes("scan", signature, given, node.span).items()
            if (parameter := signature.attribute(name)) is not None
        }
        try:
            return ScanOptions.of(first.type, **said)  # type: ignore[arg-type]
        except TypeRuleError as problem:
            raise error("arguments", problem.message, node.span) from None

    def _sequences(self, node: ast.Scan, scope: Scope) -> list[Node]:
        value = self.evaluate(node.sequence, scope)
        items = value.values if isinstance(value, Bundle) else (value,)
        least = 1 if node.arguments else 2
        nodes = [item for item in items if isinstance(item, Node) and item.type.rank >= least]
        if len(nodes) != len(items) or len(nodes) != len(node.names):
            message = f"A scan over {len(node.names)} needs as many sequences [N, T, ...]."
            raise error("type", message, node.sequence.span, describe(value))
        return nodes

    def _start(self, binding: ast.Binding, scope: Scope, step: Tensor) -> Node:
        """The start value of something carried."""
        value = self.evaluate(binding.value, scope)
        if isinstance(value, Node):
            return value
        if isinstance(value, Zeros):
            dtype = step.dtype if step.dtype.is_float else DType.F32
            return Expand((step.shape[0], *value.shape))(literal(0.0, dtype))
        message = f"A start value is a tensor or zeros(...), not {describe(value)}."
        raise error("type", message, binding.value.span)

    def _execute_step(
        self, node: ast.Scan, scope: Scope, elements: list[Node], carried: list[Node]
    ) -> Frame:
        local = Scope(scope)
        names = [*node.names, *(binding.name for binding in node.bindings)]
        for name, value in zip(names, [*elements, *carried], strict=True):
            local.define(name.text, value, name.span)
        outer = self.frame
        self.frame = Frame("scan", "scan", local, outer.place.inside(), outer.paths, body=node.body)
        try:
            for statement in node.body.statements:
                self._statements[type(statement)](statement)
            return self.frame
        finally:
            self.frame = outer

    def _next_value(self, binding: ast.Binding, start: Node, frame: Frame) -> Node:
        value = frame.carried.get(binding.name.text)
        if not isinstance(value, Node):
            message = f"'{binding.name.text}' has a start value, but the scan never carries it on."
            hint = f"write carry {binding.name.text} = ..."
            raise error("missing-carry", message, binding.name.span, "here", hint)
        if value.type != start.type:
            message = f"'{binding.name.text}' starts as {start.type} and goes on as {value.type}."
            raise error("shape-mismatch", message, binding.span)
        return value


def shared_instance(value: Value, path: str, span: Span) -> Instance:
    """What `share name = ...` stands for: one set of weights."""
    if isinstance(value, Instance):
        return Instance(value.callee, value.arguments, span, path)
    if isinstance(value, DefinitionValue | Primitive):
        return Instance(value, (), span, path)
    message = f"'share' takes a block, model or layer, not {describe(value)}."
    hint = "it takes no tensors: write share encoder = resnet18()"
    raise error("type", message, span, "here", hint)


def assigned_names(statement: ast.Node) -> list[ast.Identifier]:
    """Names that a statement gives values to, also inside its bodies."""
    found: list[ast.Identifier] = []
    stack: list[ast.Node] = [statement]
    while stack:
        node = stack.pop()
        match node:
            case ast.Assign(names=names) | ast.For(names=names):
                found.extend(names)
            case ast.Let(name=name) | ast.Share(name=name):
                found.append(name)
            case ast.Output(name=name) if name is not None:
                found.append(name)
        if not isinstance(node, ast.Scan):
            stack.extend(ast.children(node))
    return found


def _output_name(statement: ast.Output) -> str:
    if statement.name is not None:
        return statement.name.text
    return statement.value.text if isinstance(statement.value, ast.Name) else "output"
